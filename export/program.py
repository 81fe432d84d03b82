"""A captured program as writers and proofs read it: constants, and who is quantized how."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Node

from export.stored import Quantization

aten = torch.ops.aten
QUANTIZE = "quantized_decomposed.quantize_per_tensor.default"
DEQUANTIZE = "quantized_decomposed.dequantize_per_tensor.default"
DEQUANTIZE_CHANNELS = "quantized_decomposed.dequantize_per_channel.default"


@dataclass(frozen=True)
class Codes:
    """A constant in int8: its integers, and a scale for each index of `axis` (or one for all)."""

    integers: NDArray[np.int8]
    scale: NDArray[np.float32]
    zero_point: int
    axis: int


def is_quantize(node: Node) -> bool:
    """Whether a node turns floats into int8."""
    return str(node.target) == QUANTIZE


def is_dequantize(node: Node) -> bool:
    """Whether a node turns int8 into floats, by one scale."""
    return str(node.target) == DEQUANTIZE


def quantization(node: Node) -> Quantization:
    """Scale and zero point that a quantize or dequantize node has as arguments."""
    scale, zero_point = node.args[1:3]
    assert isinstance(scale, float)
    assert isinstance(zero_point, int)
    return Quantization.of_tensor(scale, zero_point)


def shape_of(node: Node) -> tuple[int, ...]:
    """Of the tensor that a node computes."""
    return tuple(int(side) for side in node.meta["val"].shape)


def readers(node: Node) -> list[Node]:
    """Who reads a value, looking through its dequantize nodes."""
    found = []
    for user in node.users:
        found += list(user.users) if is_dequantize(user) else [user]
    return found


class Graph:
    """The nodes of a program with one image in and one out."""

    def __init__(self, program: ExportedProgram) -> None:
        signature = program.graph_signature
        stored = {**program.state_dict, **program.constants}
        names = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        self.nodes = list(program.graph.nodes)
        self.constants: dict[Node, Tensor] = {
            node: stored[names[node.name]].detach() for node in self.nodes if node.name in names
        }
        (self.image,) = (
            node for node in self.nodes if node.op == "placeholder" and node not in self.constants
        )
        (self.upscaled,) = self.nodes[-1].args[0]

    def used(self) -> list[NDArray[Any]]:
        """The constants that it computes with: all but the float weights that became int8 ones."""
        return [constant.numpy() for node, constant in self.constants.items() if node.users]

    def is_constant(self, node: Any) -> bool:
        """Whether a value is known before any image is."""
        if not isinstance(node, Node):
            return False
        return node in self.constants or self.codes(node) is not None

    def floats(self, node: Node) -> NDArray[np.float32] | None:
        """A constant that is stored in float; None for anything else."""
        stored = self.constants.get(node)
        return None if stored is None or not stored.is_floating_point() else stored.numpy()

    def codes(self, node: Node) -> Codes | None:
        """A constant that is stored in int8, by the node that dequantizes it; None for anything else."""
        source = node.args[0] if node.args else None
        if not isinstance(source, Node) or source not in self.constants:
            return None
        integers = self.constants[source].numpy()
        if is_dequantize(node):
            own = quantization(node)
            return Codes(integers, own.scale, int(own.zero_point[0]), 0)
        if str(node.target) == DEQUANTIZE_CHANNELS:
            scale, zero_point, axis = node.args[1:4]
            assert isinstance(scale, Node)
            assert isinstance(zero_point, Node)
            assert isinstance(axis, int)
            if self.constants[zero_point].any():
                raise NotImplementedError(f"{node.name}: weights with a zero point")
            return Codes(integers, self.constants[scale].float().numpy(), 0, axis)
        return None

    def activations(self, node: Node) -> list[Node]:
        """What a node reads that depends on the image."""
        return [source for source in node.all_input_nodes if not self.is_constant(source)]


@dataclass(frozen=True)
class Weights:
    """What a convolution multiplies by: (O, I/groups, h, w), in int8 with a scale for each of O."""

    kernel: NDArray[Any]
    scale: NDArray[np.float32] | None
    """None: the kernel is float."""
    bias: NDArray[np.float64]
    groups: int


def weights_of(graph: Graph, node: Node, order: NDArray[np.int64] | None = None) -> Weights:
    """A convolution's parameters, its output channels in this order if one is given."""
    arguments = [*node.args, *[None] * 7]
    groups = arguments[6] or 1
    codes = graph.codes(arguments[1])
    kernel = graph.floats(arguments[1]) if codes is None else codes.integers
    assert kernel is not None
    outputs = len(kernel)
    stored = None if arguments[2] is None else graph.floats(arguments[2])
    bias = np.zeros(outputs) if stored is None else stored.astype(np.float64)
    scale = None if codes is None else np.broadcast_to(codes.scale, outputs).astype(np.float32)
    if order is None:
        return Weights(kernel, scale, bias, groups)
    dense = _dense(kernel, groups)  # a group's outputs lie side by side, which another order undoes
    return Weights(dense[order], None if scale is None else scale[order], bias[order], 1)


def integer_bias(weights: Weights, read: Quantization) -> tuple[NDArray[np.int32], Quantization]:
    """The bias as integer kernels add it: in steps of input scale times weight scale."""
    assert weights.scale is not None
    steps = np.float64(read.scale[0]) * weights.scale.astype(np.float64)
    limits = np.iinfo(np.int32)
    integers = np.clip(np.rint(weights.bias / steps), limits.min, limits.max).astype(np.int32)
    return integers, Quantization.of_channels(steps.astype(np.float32), 0)


def _dense(kernel: NDArray[Any], groups: int) -> NDArray[Any]:
    """A grouped kernel (O, I/groups, h, w) as (O, I, h, w), with zeros between the groups."""
    if groups == 1:
        return kernel
    outputs, inputs, *size = kernel.shape
    dense = np.zeros((outputs, inputs * groups, *size), kernel.dtype)
    for group in range(groups):
        rows = slice(group * outputs // groups, (group + 1) * outputs // groups)
        dense[rows, group * inputs : (group + 1) * inputs] = kernel[rows]
    return dense
