"""The XNNPACK graphs of a .pte, read from its bytes.

The parsers are ExecuTorch's own, some of them private to it: its version is pinned exactly.
"""

import json
import re
import struct
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from executorch.backends.xnnpack.serialization.xnnpack_graph_serialize import (
    XNNHeader,
    _get_schema_bytes,
)
from executorch.exir import schema
from executorch.exir._serialize._flatbuffer import _flatc_decompile
from executorch.exir._serialize._program import (
    PTEFile,
    _extract_delegate_payload,
    deserialize_pte_binary,
)
from executorch.exir.schema import DelegateCall, ExecutionPlan, Program
from numpy.typing import NDArray

from export.stored import File, Operator, Quantization, Tensor

DTYPES = {
    "xnn_datatype_fp32": np.float32,
    "xnn_datatype_qint8": np.int8,
    "xnn_datatype_qcint8": np.int8,
    "xnn_datatype_qcint32": np.int32,
}
NONE = 0xFFFFFFFF
"""The number of a tensor that is not there."""
EXTERNAL_INPUT, EXTERNAL_OUTPUT = 1, 2
"""Flags of a tensor."""


def forward(program: Program) -> tuple[ExecutionPlan, list[Any]]:
    """What a .pte does with an image: its plan, and the steps of it in turn."""
    plan = next(plan for plan in program.execution_plan if plan.name == "forward")
    return plan, [step.instr_args for chain in plan.chains for step in chain.instructions]


def delegated(content: bytes, index: int = 0) -> dict[str, Any] | None:
    """A .pte's XNNPACK graph of that index as JSON; None if it has fewer.

    Floats are their four bytes as a whole number (`number`): as decimals, flatc would print six digits.
    """
    payload = _extract_delegate_payload(content, "XnnpackBackend", index)
    if not payload:
        return None
    header = XNNHeader.from_bytes(payload[: XNNHeader.EXPECTED_LENGTH])
    begin = header.flatbuffer_offset
    exact = re.sub(rb":\s*float\b", b":uint", re.sub(rb"\[float\]", b"[uint]", _get_schema_bytes()))
    with TemporaryDirectory() as folder:
        described, binary = Path(folder, "schema.fbs"), Path(folder, "graph.bin")
        described.write_bytes(exact)
        binary.write_bytes(payload[begin : begin + header.flatbuffer_size])
        _flatc_decompile(folder, str(described), str(binary), ["--raw-binary"])
        return json.loads(Path(folder, "graph.json").read_text())


def number(bits: int) -> float:
    """The float32 of these four bytes."""
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def tensors(graph: dict[str, Any]) -> list[dict[str, Any]]:
    """Every tensor of a graph, quantized or not, by its common fields."""
    values = [value["xvalue_union"] for value in graph["xvalues"]]
    return [value.get("tensor_value", value) for value in values]


def kind(node: dict[str, Any]) -> str:
    """What a node computes, such as Conv2d."""
    return node["xnode_union_type"].removeprefix("_XNNNode").removeprefix("XNN")


def read(content: bytes) -> File:
    """A .pte that is one XNNPACK graph. ValueError for any other."""
    graph = delegated(content)
    if graph is None or delegated(content, 1) is not None:
        raise ValueError("not one XNNPACK graph")
    stored = _Stored(graph, deserialize_pte_binary(content))
    described = tensors(graph)
    places = {tensor["id_out"]: index for index, tensor in enumerate(described)}
    (image,), (upscaled,) = (
        [
            index
            for index, tensor in enumerate(described)
            if tensor["flags"] & flag and tensor["external_id"] not in stored.given
        ]
        for flag in (EXTERNAL_INPUT, EXTERNAL_OUTPUT)
    )
    return File(
        [stored.tensor(value["xvalue_union"]) for value in graph["xvalues"]],
        [_operator(node, places) for node in graph["xnodes"]],
        image,
        upscaled,
    )


class _Stored:
    """The constants of a graph, which lie beside it by name."""

    def __init__(self, graph: dict[str, Any], file: PTEFile) -> None:
        self._names = [data["named_key"] for data in graph["constant_data"]]
        self._named = file.named_data
        self.given = _given(file.program)
        """Constants that the program hands in with the image, by their external number."""

    def array(self, index: int, dtype: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        """The constant of that number."""
        assert self._named is not None
        entry = self._named.pte_data[self._names[index]]
        data = self._named.buffers[entry.buffer_index]
        assert isinstance(data, bytes)
        count = int(np.prod(shape, dtype=np.int64))
        return np.frombuffer(data, dtype, count).reshape(shape)

    def tensor(self, value: dict[str, Any]) -> Tensor:
        """A tensor of the graph, with its values if it is a constant."""
        own = value.get("tensor_value", value)
        shape, dtype = tuple(own.get("dims", ())), np.dtype(DTYPES[own["datatype"]])
        buffer = own["constant_buffer_idx"]
        values = self.array(buffer, dtype, shape) if buffer else self.given.get(own["external_id"])
        if values is not None:
            values = values.reshape(-1)[: int(np.prod(shape))].reshape(shape)  # storage is aligned
        return Tensor(str(own["id_out"]), shape, dtype, self._quantization(value), values)

    def _quantization(self, value: dict[str, Any]) -> Quantization | None:
        if "quant_params" not in value:
            return None
        own = value["quant_params"]
        if value["quant_params_type"] == "PerTensorQuant":
            return Quantization.of_tensor(number(own["scale"]), own["zero_point"])
        count = (own["num_scales"],)
        return Quantization.of_channels(
            self.array(own["scale_buffer_idx"], np.float32, count), own["channel_dim"]
        )


def _given(program: Program) -> dict[int, NDArray[np.float32]]:
    """A delegate's arguments lie in the order of their external numbers."""
    plan, steps = forward(program)
    (call,) = (step for step in steps if isinstance(step, DelegateCall))
    arguments = [plan.values[index].val for index in call.args]
    return {
        number: np.frombuffer(program.constant_buffer[value.data_buffer_idx].storage, np.float32)
        for number, value in enumerate(arguments)
        if isinstance(value, schema.Tensor) and value.data_buffer_idx
    }


def _operator(node: dict[str, Any], places: dict[int, int]) -> Operator:
    """A node with its limits among its options, and its tensors by their places in the list of all."""
    own = dict(node["xnode_union"])
    if (limits := node.get("output_min_max")) is not None:
        own["limits"] = (number(limits["output_min"]), number(limits["output_max"]))
    return Operator(kind(node), [places[i] for i in inputs_of(node)], [places[own["output_id"]]], own)


def inputs_of(node: dict[str, Any]) -> list[int]:
    """The numbers of the tensors that a node reads: image, filter, bias and what there is."""
    own = node["xnode_union"]
    fields = [name for name in own if name.endswith("_id") and name != "output_id"]
    fields.sort(key=lambda name: ("input" not in name, "filter" not in name, name))
    inputs = [own[name] for name in fields if own[name] != NONE]
    if (count := re.fullmatch(r"Concatenate(\d)", kind(node))) is not None:
        inputs = inputs[: int(count[1])]
    return inputs
