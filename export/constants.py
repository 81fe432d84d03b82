"""The inputs of a captured program, and its quantized constants: integers that are dequantized."""

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node

import edgesr.quantization.pt2e  # noqa: F401  it registers the operators below

decomposed = torch.ops.quantized_decomposed
DEQUANTIZERS = {
    decomposed.dequantize_per_channel.default: 4,
    decomposed.dequantize_per_tensor.default: 3,
}
"""Operator → where its quant_min stands, with quant_max and dtype behind; 1 and 2 are scale and zero."""


def example_of(program: ExportedProgram) -> Tensor:
    """The LR tile (1,3,h,w) that an upscaler was captured with."""
    assert program.example_inputs is not None
    return program.example_inputs[0][0]


def dequantized_constants(graph: GraphModule) -> list[Node]:
    """The dequantize operators that read a constant."""
    return [
        node
        for node in graph.graph.nodes
        if node.target in DEQUANTIZERS
        and isinstance(node.args[0], Node)
        and node.args[0].op == "get_attr"
    ]


def held(graph: GraphModule, argument: object) -> Tensor:
    """What an operator's argument is: a constant of the graph, or a number."""
    if not isinstance(argument, Node):
        return torch.tensor(argument)
    owner, _, leaf = str(argument.target).rpartition(".")
    return getattr(graph.get_submodule(owner), leaf)
