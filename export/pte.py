"""What is inside a .pte, read from the file itself: its operators, and its XNNPACK graphs.

The parsers are ExecuTorch's own, some of them private to it: its version is pinned exactly.
"""

import json
import re
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import (
    XNNHeader,
    _get_schema_bytes,
)
from executorch.exir._serialize._flatbuffer import _flatc_decompile
from executorch.exir._serialize._program import _extract_delegate_payload, deserialize_pte_binary
from executorch.exir.schema import DelegateCall, KernelCall

from export.report import Census

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
        _xnnpack_graph(payload)
        for index in range(sum(isinstance(call, DelegateCall) for call in calls))
        if (payload := _extract_delegate_payload(content, "XnnpackBackend", index))
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


def _xnnpack_graph(payload: bytes) -> dict[str, Any]:
    """A delegate's flatbuffer as the JSON of its schema."""
    header = XNNHeader.from_bytes(payload[: XNNHeader.EXPECTED_LENGTH])
    begin = header.flatbuffer_offset
    with TemporaryDirectory() as folder:
        schema, binary = Path(folder, "schema.fbs"), Path(folder, "graph.bin")
        schema.write_bytes(_get_schema_bytes())
        binary.write_bytes(payload[begin : begin + header.flatbuffer_size])
        _flatc_decompile(folder, str(schema), str(binary), ["--raw-binary"])
        text = Path(folder, "graph.json").read_text()
    # an unbounded clamp is written as a bare inf, which JSON does not know
    return json.loads(re.sub(r"(?<=[\s:\[,])-?(inf|nan)(?=[\s,\]}])", "null", text))


def _tensors(graph: dict[str, Any]) -> list[dict[str, Any]]:
    """Every tensor of a graph, quantized or not, by its common fields."""
    values = [value["xvalue_union"] for value in graph["xvalues"]]
    return [value.get("tensor_value", value) for value in values]


def _operators(graph: dict[str, Any]) -> list[tuple[str, str]]:
    """(kind, type computed in) of each node that computes. A node's type is that of its output."""
    types = {tensor["id_out"]: tensor["datatype"] for tensor in _tensors(graph)}
    found = []
    for node in graph["xnodes"]:
        kind = node["xnode_union_type"].removeprefix("_XNNNode").removeprefix("XNN")
        if kind not in MOVERS:
            found.append((kind, types[node["xnode_union"]["output_id"]]))
    return found


def _float_weight_bytes(graph: dict[str, Any]) -> int:
    constants = (t for t in _tensors(graph) if t["constant_buffer_idx"] and t["datatype"] == FLOAT)
    return sum(4 * prod(tensor["dims"]) for tensor in constants)
