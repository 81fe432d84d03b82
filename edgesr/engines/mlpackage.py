"""Read a Core ML package from disk: its program as plain operations, its weights as tensors.

An .mlpackage is a folder. Its manifest names a protobuf, which holds an "ML program": a list of
operations in the language MIL, in the order in which they run, each with named inputs. Constants are
operations, too; the large ones lie in a file of weights. The format is that of coremltools' MIL.proto
and, for the weights, of its MILBlob/Blob/StorageFormat.hpp. The protobuf classes are coremltools' own;
nothing else of it is used, so that what it wrote is read without its help.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgesr.errors import UserError
from edgesr.files import parse_json

Constant = Tensor | str

TYPES = {
    "BOOL": torch.bool,
    "FLOAT16": torch.float16,
    "FLOAT32": torch.float32,
    "INT8": torch.int8,
    "INT32": torch.int32,
    "UINT8": torch.uint8,
}
"""MIL's name of a data type → torch's. Types that no program of ours holds are left out."""

SENTINEL = 0xDEADBEEF
"""The first word of the record that each blob in a file of weights begins with."""
RECORD = struct.Struct("<IIQQ")
"""That record: sentinel, type, size in bytes, offset of the content in the file."""


@dataclass(frozen=True)
class Value:
    """What an operation writes."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Operation:
    """One operation: its kind as in MIL's documentation, and the names of what it reads and writes."""

    kind: str
    inputs: dict[str, tuple[str, ...]]
    """Parameter → names; more than one where the parameter is a list."""
    outputs: tuple[Value, ...]

    @property
    def name(self) -> str:
        """That of its first output: names of values are unique."""
        return self.outputs[0].name


@dataclass(frozen=True)
class Program:
    """A package's one function."""

    inputs: tuple[Value, ...]
    outputs: tuple[str, ...]
    operations: tuple[Operation, ...]
    """In the order in which they run, without the constants."""
    constants: dict[str, Constant]
    metadata: dict[str, str]
    """What its author wrote into it."""

    def constant(self, operation: Operation, parameter: str) -> Constant | None:
        """What a parameter is fixed to; None if it is not there, or computed."""
        names = operation.inputs.get(parameter, ())
        return self.constants.get(names[0]) if names else None


def read_program(path: Path) -> Program:
    """The program of a package. UserError if it is damaged or holds what we do not know."""
    try:
        spec, weights = _read_files(path)
        return _Reader(path, weights).program(spec)
    except (OSError, KeyError, TypeError, ValueError, struct.error, RuntimeError, IndexError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is damaged or not a Core ML package ({error!r}).") from error


def specification(path: Path) -> Path:
    """Where a package keeps its protobuf: beside it lies the folder of weights."""
    manifest = parse_json(_inside(path, path / "Manifest.json").read_text(encoding="utf-8"))
    entry = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]
    return _inside(path, path / "Data" / entry["path"])


def _inside(package: Path, file: Path) -> Path:
    """`file`, which a package names: never another one of the machine. ValueError where it is."""
    if not file.resolve().is_relative_to(package.resolve()):
        raise ValueError(f"{file} lies outside of the package")
    if file.exists() and not file.is_file():
        raise ValueError(f"{file} is no file")
    return file


def _read_files(path: Path) -> tuple[Any, bytes]:
    """The protobuf and the content of the file of weights."""
    try:
        from coremltools.proto import Model_pb2  # its classes are made as it is imported
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise UserError(
            f"Reading {path.name} needs coremltools: pip install 'edgesr[coreml]'"
        ) from error
    file = specification(path)
    weights = _inside(path, file.parent / "weights" / "weight.bin")
    spec: Any = Model_pb2.Model()
    try:
        spec.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise ValueError(str(error)) from error
    if spec.WhichOneof("Type") != "mlProgram":
        raise ValueError(f"it holds a {spec.WhichOneof('Type')}, not an ML program")
    return spec, weights.read_bytes() if weights.exists() else b""


class _Reader:
    """Protobuf messages → our own types."""

    def __init__(self, path: Path, weights: bytes) -> None:
        self.path, self.weights = path, weights
        self.constants: dict[str, Constant] = {}

    def program(self, spec: Any) -> Program:
        function = spec.mlProgram.functions["main"]
        block = function.block_specializations[function.opset]
        return Program(
            inputs=tuple(self._value(value) for value in function.inputs),
            operations=tuple(self._operations(block)),
            outputs=tuple(block.outputs),
            constants=self.constants,
            metadata=dict(spec.description.metadata.userDefined),
        )

    def _operations(self, block: Any) -> Iterator[Operation]:
        for message in block.operations:
            if message.type == "const":
                self.constants[message.outputs[0].name] = self._constant(message.attributes["val"])
                continue
            outputs = tuple(self._value(output) for output in message.outputs)
            inputs = {
                parameter: tuple(
                    self._name(f"{outputs[0].name}.{parameter}.{index}", binding)
                    for index, binding in enumerate(argument.arguments)
                )
                for parameter, argument in message.inputs.items()
            }
            for parameter, value in message.attributes.items():
                if parameter != "name":  # constexpr operations keep their inputs here
                    inputs[parameter] = (self._named(f"{outputs[0].name}.{parameter}", value),)
            yield Operation(message.type, inputs, outputs)

    def _name(self, own: str, binding: Any) -> str:
        """The value that a binding names, or the one that it holds, under a name of its own."""
        return (
            binding.name if binding.WhichOneof("binding") == "name" else self._named(own, binding.value)
        )

    def _named(self, name: str, value: Any) -> str:
        self.constants[name] = self._constant(value)
        return name

    def _value(self, message: Any) -> Value:
        return Value(message.name, *self._type(message.type.tensorType, message.name))

    def _type(self, message: Any, what: str) -> tuple[torch.dtype, tuple[int, ...]]:
        kind = type(message).DESCRIPTOR.fields_by_name["dataType"].enum_type.values_by_number
        name = kind[message.dataType].name
        if name not in TYPES:
            raise UserError(
                f"{self.path}: {what!r} is of type {name}, which our interpreter does not know. "
                f"It knows {', '.join(TYPES)}."
            )
        if any(d.WhichOneof("dimension") != "constant" for d in message.dimensions):
            raise UserError(f"{self.path}: {what!r} has no fixed shape, which our interpreter needs.")
        return TYPES[name], tuple(d.constant.size for d in message.dimensions)

    def _constant(self, value: Any) -> Constant:
        message = value.type.tensorType
        if value.WhichOneof("value") == "immediateValue":
            tensor = value.immediateValue.tensor
            if tensor.WhichOneof("value") == "strings":
                return tensor.strings.values[0]
            dtype, shape = self._type(message, "a constant")
            held = getattr(tensor, tensor.WhichOneof("value")).values
            if isinstance(held, bytes):
                return torch.frombuffer(bytearray(held), dtype=dtype).reshape(shape)
            return torch.tensor(list(held), dtype=dtype).reshape(shape)
        dtype, shape = self._type(message, "a constant")
        content = self._blob(value.blobFileValue.offset)
        return torch.frombuffer(bytearray(content), dtype=dtype).reshape(shape)

    def _blob(self, offset: int) -> bytes:
        sentinel, _, size, begin = RECORD.unpack_from(self.weights, offset)
        if sentinel != SENTINEL or begin + size > len(self.weights):
            raise ValueError(f"no whole blob at byte {offset} of the weights")
        return self.weights[begin : begin + size]
