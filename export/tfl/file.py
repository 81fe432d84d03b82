"""A .tflite, read: its tensors and operators, whoever wrote it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.tfl.model import KINDS, Quantization, schema

NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
TYPES = {kind: dtype for dtype, kind in KINDS.items()}


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    quantization: Quantization | None
    values: NDArray[Any] | None
    """Of a constant; None for what is computed."""


@dataclass(frozen=True)
class Operator:
    """An operator of the file."""

    name: str
    """As in TFLite's schema, such as CONV_2D."""
    inputs: list[int]
    outputs: list[int]
    options: Any


@dataclass(frozen=True)
class File:
    """What a .tflite holds."""

    tensors: list[Tensor]
    operators: list[Operator]
    image: int
    upscaled: int

    def written(self) -> Iterator[tuple[Operator, Tensor]]:
        """Each operator with the first tensor that it writes."""
        for operator in self.operators:
            yield operator, self.tensors[operator.outputs[0]]


def read(content: bytes) -> File:
    """Read a file's content. It must be a sound flatbuffer, as one that a runtime opened is."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (graph,) = model.subgraphs
    return File(
        [_tensor(tensor, model.buffers) for tensor in graph.tensors],
        [_operator(operator, model.operatorCodes) for operator in graph.operators],
        int(graph.inputs[0]),
        int(graph.outputs[0]),
    )


def _tensor(tensor: Any, buffers: list[Any]) -> Tensor:
    shape = () if tensor.shape is None else tuple(int(side) for side in tensor.shape)
    dtype, data = TYPES[tensor.type], buffers[tensor.buffer].data
    values = None if data is None else np.frombuffer(bytes(data), dtype).reshape(shape)
    own = tensor.quantization
    quantization = None
    if own is not None and own.scale is not None and len(own.scale):
        quantization = Quantization(
            np.asarray(own.scale, np.float32),
            np.asarray(own.zeroPoint, np.int64),
            int(own.quantizedDimension),
        )
    return Tensor(tensor.name.decode(), shape, dtype, quantization, values)


def _operator(operator: Any, codes: list[Any]) -> Operator:
    code = codes[operator.opcodeIndex]
    return Operator(
        NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)],
        [int(index) for index in operator.inputs],
        [int(index) for index in operator.outputs],
        operator.builtinOptions,
    )
