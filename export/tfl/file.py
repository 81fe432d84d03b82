"""A .tflite, read: its tensors and operators, whoever wrote it."""

from typing import Any

import numpy as np

from export.stored import File, Operator, Quantization, Tensor
from export.tfl.model import KINDS, schema

NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
TYPES = {kind: dtype for dtype, kind in KINDS.items()}


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
