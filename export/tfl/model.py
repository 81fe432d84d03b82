"""A .tflite under construction: tensors, operators, buffers, and the flatbuffer of them all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated
from numpy.typing import NDArray

from export.stored import Quantization

schema: Any = schema_py_generated
"""Untyped: its annotations know neither arrays nor bytes, which it takes and packs faster."""

Op = schema.BuiltinOperator
Kind = schema.TensorType

SIGNATURE = "serving_default"
INPUT, OUTPUT = "image", "upscaled"
"""Names of the one signature and of its ends."""

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
OLDEST_RUNTIME = "2.14.0"
"""As the metadata says: the oldest runtime that these files are tested in."""

KINDS = {
    np.dtype(np.float32): Kind.FLOAT32,
    np.dtype(np.int32): Kind.INT32,
    np.dtype(np.int8): Kind.INT8,
    np.dtype(np.uint8): Kind.UINT8,
}

VERSIONS: dict[int, tuple[int, int]] = {
    Op.ADD: (1, 2),
    Op.CONCATENATION: (1, 2),
    Op.CONV_2D: (1, 3),
    Op.DEPTHWISE_CONV_2D: (1, 3),
    Op.DEQUANTIZE: (2, 2),
    Op.GELU: (1, 2),
    Op.LEAKY_RELU: (1, 2),
    Op.LOGISTIC: (1, 2),
    Op.MAX_POOL_2D: (1, 2),
    Op.MEAN: (1, 2),
    Op.MUL: (1, 2),
    Op.PAD: (1, 2),
    Op.PADV2: (1, 2),
    Op.QUANTIZE: (1, 2),
    Op.RELU: (1, 2),
    Op.RESIZE_BILINEAR: (3, 3),
    Op.RESIZE_NEAREST_NEIGHBOR: (3, 3),
    Op.SLICE: (1, 2),
    Op.SOFTMAX: (1, 2),
    Op.SPLIT: (1, 2),
    Op.SUB: (1, 2),
    Op.TRANSPOSE: (1, 2),
}
"""Operator → the version that has its float kernel, and its int8 kernel; 1 where not said."""


@dataclass
class Model:
    """Everything that a .tflite is made of, in the order in which it was added."""

    tensors: list[Any] = field(default_factory=list)
    operators: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=lambda: [schema.BufferT()])  # the first is empty
    codes: dict[tuple[int, int], int] = field(default_factory=dict)
    numbers: dict[bytes, int] = field(default_factory=dict)

    def tensor(
        self, name: str, shape: Sequence[int], dtype: type, quantization: Quantization | None = None
    ) -> int:
        """Add a tensor that is computed; return its index."""
        tensor = schema.TensorT()
        tensor.name = f"{name}:{len(self.tensors)}".encode()  # runtimes want unique names
        tensor.shape = np.array(shape, np.int32)
        tensor.type = KINDS[np.dtype(dtype)]
        if quantization is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = quantization.scale
            tensor.quantization.zeroPoint = quantization.zero_point
            tensor.quantization.quantizedDimension = quantization.axis
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, name: str, values: NDArray[Any], quantization: Quantization | None = None) -> int:
        """Add a tensor with its values; return its index."""
        index = self.tensor(name, values.shape, values.dtype.type, quantization)
        self.tensors[index].buffer = self._buffer(np.ascontiguousarray(values).tobytes())
        return index

    def integers(self, values: Any) -> int:
        """A constant of int32, such as axes and sizes; equal ones are one tensor."""
        array = np.array(values, np.int32)
        key = repr((array.shape, array.tolist())).encode()
        if key not in self.numbers:
            self.numbers[key] = self.constant("numbers", array)
        return self.numbers[key]

    def operator(
        self, op: int, inputs: Sequence[int], outputs: Sequence[int], options: Any = None
    ) -> None:
        """Add an operator. Its version follows from whether it writes integers or floats."""
        integer = self.tensors[outputs[0]].type != Kind.FLOAT32
        version = VERSIONS.get(op, (1, 1))[integer]
        call = schema.OperatorT()
        call.opcodeIndex = self.codes.setdefault((op, version), len(self.codes))
        call.inputs, call.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        if options is not None:
            call.builtinOptions = options
            call.builtinOptionsType = getattr(
                schema.BuiltinOptions, type(options).__name__.removesuffix("T")
            )
        self.operators.append(call)

    def finish(self, image: int, upscaled: int, metadata: Mapping[str, str], *, free: bool) -> bytes:
        """The file. `free`: height and width of its ends may be changed after loading."""
        for index, name in ((image, INPUT), (upscaled, OUTPUT)):
            self.tensors[index].name = name.encode()
            if free:
                channels = self.tensors[index].shape[3]
                self.tensors[index].shapeSignature = np.array([1, -1, -1, channels], np.int32)
        graph = schema.SubGraphT()
        graph.name = b"main"
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = np.array([image], np.int32), np.array([upscaled], np.int32)
        model = schema.ModelT()
        model.version, model.description = SCHEMA_VERSION, b"edgesr"
        model.subgraphs, model.signatureDefs = [graph], [_signature(image, upscaled)]
        model.operatorCodes = [_code(op, version) for op, version in self.codes]
        texts = {"min_runtime_version": OLDEST_RUNTIME, **metadata}
        model.metadata = [self._note(name, text) for name, text in texts.items()]
        model.buffers = self.buffers
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())

    def _buffer(self, content: bytes) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.buffers.append(buffer)
        return len(self.buffers) - 1

    def _note(self, name: str, text: str) -> Any:
        note = schema.MetadataT()
        note.name, note.buffer = name.encode(), self._buffer(text.encode())
        return note


def _code(op: int, version: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode, code.version = op, version
    code.deprecatedBuiltinCode = min(op, 127)  # the field that old runtimes read; 127: look at the new
    return code


def _signature(image: int, upscaled: int) -> Any:
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE.encode(), 0
    signature.inputs, signature.outputs = [_end(INPUT, image)], [_end(OUTPUT, upscaled)]
    return signature


def _end(name: str, index: int) -> Any:
    end = schema.TensorMapT()
    end.name, end.tensorIndex = name.encode(), index
    return end
