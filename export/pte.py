"""What is inside a .pte: its operators, and those of its XNNPACK graphs."""

from math import prod
from pathlib import Path
from typing import Any

from executorch.exir._serialize._program import deserialize_pte_binary
from executorch.exir.schema import DelegateCall, KernelCall

from export.report import Census
from export.xnn.file import delegated, kind, tensors

FLOAT = "xnn_datatype_fp32"
INT8 = "xnn_datatype_qint8"
MOVERS = {"Convert"}
"""XNNPACK nodes that change a tensor's type and compute nothing."""


def census(path: Path) -> Census:
    """Count a .pte's operators, inside its delegates and outside."""
    content = path.read_bytes()
    plan = next(p for p in deserialize_pte_binary(content).program.execution_plan if p.name == "forward")
    calls = [step.instr_args for chain in plan.chains for step in chain.instructions]
    graphs = [
        graph
        for index in range(sum(isinstance(call, DelegateCall) for call in calls))
        if (graph := delegated(content, index)) is not None
    ]
    outside = [plan.operators[call.op_index].name for call in calls if isinstance(call, KernelCall)]
    operators = [kind_and_type for graph in graphs for kind_and_type in _operators(graph)]
    return Census(
        ops_delegated=len(operators),
        ops_outside=len(outside),
        partitions=len(graphs),
        outside=outside,
        int8_ops=sum(datatype == INT8 for _, datatype in operators),
        float_ops=sorted({kind for kind, datatype in operators if datatype == FLOAT}),
        float_weight_bytes=sum(_float_weight_bytes(graph) for graph in graphs),
        planned_bytes=sum(plan.non_const_buffer_sizes[1:]),
    )


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
