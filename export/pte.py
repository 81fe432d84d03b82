"""What is inside a .pte: its operators, and those of its XNNPACK graphs."""

from math import prod
from pathlib import Path
from typing import Any, Literal

from executorch.exir._serialize._program import deserialize_pte_binary
from executorch.exir.schema import DelegateCall, ExecutionPlan, KernelCall

from export.census import Census, Operator, counted
from export.xnn.file import delegated, forward, kind, tensors

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
    found: list[Operator] = []
    delegates = iter(enumerate(graphs))
    for call in steps:
        if isinstance(call, KernelCall):
            found.append(Operator(plan.operators[call.op_index].name, "other", None))
        elif isinstance(call, DelegateCall):
            index, graph = next(delegates)
            found += [Operator(name, COMPUTES.get(t, "other"), index) for name, t in _operators(graph)]
    return found


def _operators(graph: dict[str, Any]) -> list[tuple[str, str]]:
    """(kind, type computed in) of each node that computes. A node's type is that of its output."""
    types = {tensor["id_out"]: tensor["datatype"] for tensor in tensors(graph)}
    found = []
    for node in graph["xnodes"]:
        if (name := kind(node)) not in MOVERS:
            found.append((name, types[node["xnode_union"]["output_id"]]))
    return found


def _float_weight_bytes(graph: dict[str, Any]) -> int:
    constants = (t for t in tensors(graph) if t["constant_buffer_idx"] and t["datatype"] == FLOAT)
    return sum(4 * prod(tensor["dims"]) for tensor in constants)
