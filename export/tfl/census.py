"""What is inside a .tflite, read from the file and from the runtime that took it over."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgesr.engines.litert import open_interpreter
from export.census import Census, Node, Operator, counted, linked
from export.tfl.file import File, read

MOVERS = {"DEQUANTIZE", "QUANTIZE"}
"""Operators that change a tensor's type and compute nothing."""
COMPUTES: dict[str, Literal["int8", "float"]] = {"int8": "int8", "float32": "float"}
DELEGATE = "DELEGATE"


def census(path: Path) -> Census:
    """Count a .tflite's operators, those that XNNPACK took and those that it left."""
    content = path.read_bytes()
    file, parts = read(content), delegation(content)
    return counted(
        _in_order(file, parts),
        partitions=len(parts),
        float_weight_bytes=float_weight_bytes(file),
        planned_bytes=_between(file, set(range(len(file.operators))).difference(*parts)),
        transposes=sum(operator.name == "TRANSPOSE" for operator in file.operators),
    )


def operators(path: Path) -> list[Operator]:
    """A .tflite's operators in the order in which they run."""
    content = path.read_bytes()
    return _in_order(read(content), delegation(content))


def _in_order(file: File, parts: list[set[int]]) -> list[Operator]:
    return linked(_nodes(file, parts), file.image)


def _nodes(file: File, parts: list[set[int]]) -> Iterator[Node]:
    for index, (operator, tensor) in enumerate(file.written()):
        part = next((number for number, taken in enumerate(parts) if index in taken), None)
        described = Operator(operator.name, COMPUTES.get(tensor.dtype.name, "other"), part)
        moves = part is not None and operator.name in MOVERS
        yield Node(described, operator.inputs, operator.outputs, moves)


def delegation(content: bytes) -> list[set[int]]:
    """The parts of a file that XNNPACK computes, by the numbers of their operators."""
    interpreter = open_interpreter(content)
    calls: list[dict[str, Any]] = interpreter._get_ops_details()
    parts = [call for call in calls if call["op_name"] == DELEGATE]
    own = [call for call in calls if call["op_name"] != DELEGATE]  # they stay listed, taken or not
    writers = {int(tensor): index for index, call in enumerate(own) for tensor in call["outputs"]}
    taken: list[set[int]] = []
    for part in parts:
        begin, inside = {int(tensor) for tensor in part["inputs"]}, set[int]()
        open_ends = [int(tensor) for tensor in part["outputs"]]
        while open_ends:  # from a part's outputs back to its inputs
            tensor = open_ends.pop()
            writer = writers.get(tensor)
            if tensor in begin or writer is None or writer in inside:
                continue
            inside.add(writer)
            open_ends += [int(source) for source in own[writer]["inputs"]]
        taken.append(inside)
    return taken


def float_weight_bytes(file: File) -> int:
    """Of all constants that are stored in float."""
    constants = (tensor.values for tensor in file.tensors if tensor.values is not None)
    return sum(values.nbytes for values in constants if values.dtype == np.float32)


def _between(file: File, left: set[int]) -> int:
    """Bytes of what is handed over outside of XNNPACK: the ends, and what the others write."""
    tensors = {file.image, file.upscaled}
    tensors |= {tensor for index in left for tensor in file.operators[index].outputs}
    return sum(
        int(np.prod(file.tensors[index].shape)) * file.tensors[index].dtype.itemsize for index in tensors
    )
