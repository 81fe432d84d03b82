"""What is inside a .pte: its operators, and those of its XNNPACK graphs."""

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, Literal

from executorch.exir._serialize._program import deserialize_pte_binary
from executorch.exir.schema import DelegateCall, ExecutionPlan, KernelCall

from export.census import Census, Node, Operator, counted, linked
from export.xnn.file import (
    EXTERNAL_INPUT,
    EXTERNAL_OUTPUT,
    delegated,
    forward,
    inputs_of,
    kind,
    tensors,
)

FLOAT = "xnn_datatype_fp32"
INT8 = "xnn_datatype_qint8"
COMPUTES: dict[str, Literal["int8", "float"]] = {INT8: "int8", FLOAT: "float"}
MOVERS = {"Convert"}
"""XNNPACK nodes that change a tensor's type and compute nothing."""


def census(path: Path) -> Census:
    """Count a .pte's operators, inside its delegates and outside."""
    plan, steps, graphs = _opened(path)
    return counted(
        _in_order(plan, steps, graphs),
        partitions=len(graphs),
        float_weight_bytes=sum(_float_weight_bytes(graph) for graph in graphs),
        planned_bytes=sum(plan.non_const_buffer_sizes[1:]),
    )


def operators(path: Path) -> list[Operator]:
    """A .pte's operators in the order in which they run."""
    return _in_order(*_opened(path))


def _opened(path: Path) -> tuple[ExecutionPlan, list[Any], list[dict[str, Any]]]:
    """The program's plan and steps, and the graphs of its delegates in the order of their calls."""
    content = path.read_bytes()
    plan, steps = forward(deserialize_pte_binary(content).program)
    graphs = [
        graph
        for index in range(sum(isinstance(step, DelegateCall) for step in steps))
        if (graph := delegated(content, index)) is not None
    ]
    return plan, steps, graphs


def _in_order(plan: ExecutionPlan, steps: list[Any], graphs: list[dict[str, Any]]) -> list[Operator]:
    """Values of the program go by their number, a delegate's own by its index and theirs."""
    return linked(_nodes(plan, steps, graphs), plan.inputs[0])


def _nodes(plan: ExecutionPlan, steps: list[Any], graphs: list[dict[str, Any]]) -> Iterator[Node]:
    delegates = iter(enumerate(graphs))
    for call in steps:
        if isinstance(call, KernelCall):
            *given, result = call.args  # which is there twice: to write into, and as what is returned
            operator = Operator(plan.operators[call.op_index].name, "other", None)
            yield Node(operator, [value for value in given if value != result], [result])
        elif isinstance(call, DelegateCall):
            index, graph = next(delegates)
            yield from _delegated(index, graph, call.args)


def _delegated(index: int, graph: dict[str, Any], arguments: list[int]) -> Iterator[Node]:
    """The nodes of a delegate. A node's type is that of its output."""
    types, names = {}, {}
    for tensor in tensors(graph):
        own, types[tensor["id_out"]] = tensor["id_out"], tensor["datatype"]
        outer = tensor["flags"] & (EXTERNAL_INPUT | EXTERNAL_OUTPUT)
        names[own] = arguments[tensor["external_id"]] if outer else (index, own)
    for node in graph["xnodes"]:
        name, output = kind(node), node["xnode_union"]["output_id"]
        operator = Operator(name, COMPUTES.get(types[output], "other"), index)
        reads = [names[value] for value in inputs_of(node)]
        yield Node(operator, reads, [names[output]], name in MOVERS)


def _float_weight_bytes(graph: dict[str, Any]) -> int:
    constants = (t for t in tensors(graph) if t["constant_buffer_idx"] and t["datatype"] == FLOAT)
    return sum(4 * prod(tensor["dims"]) for tensor in constants)
