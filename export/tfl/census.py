"""What is inside a .tflite, read from the file and from the runtime that took it over."""

from pathlib import Path
from typing import Any

import numpy as np

from edgesr.engines.litert import open_interpreter
from export.report import Census
from export.tfl.file import File, read

MOVERS = {"DEQUANTIZE", "QUANTIZE"}
"""Operators that change a tensor's type and compute nothing."""
DELEGATE = "DELEGATE"


def census(path: Path) -> Census:
    """Count a .tflite's operators, those that XNNPACK took and those that it left."""
    content = path.read_bytes()
    file = read(content)
    partitions, left = delegation(content)
    delegated = [
        pair
        for index, pair in enumerate(file.written())
        if index not in left and pair[0].name not in MOVERS
    ]
    outside = [file.operators[index].name for index in sorted(left)]
    return Census(
        ops_delegated=len(delegated),
        ops_outside=len(outside),
        partitions=partitions,
        outside=outside,
        int8_ops=sum(tensor.dtype == np.int8 for _, tensor in delegated),
        float_ops=sorted({o.name for o, tensor in delegated if tensor.dtype == np.float32}),
        float_weight_bytes=float_weight_bytes(file),
        planned_bytes=_between(file, left),
        transposes=sum(operator.name == "TRANSPOSE" for operator in file.operators),
    )


def delegation(content: bytes) -> tuple[int, set[int]]:
    """How many parts of a file XNNPACK computes, and the operators that it left to the runtime."""
    interpreter = open_interpreter(content)
    calls: list[dict[str, Any]] = interpreter._get_ops_details()
    parts = [call for call in calls if call["op_name"] == DELEGATE]
    own = [call for call in calls if call["op_name"] != DELEGATE]  # they stay listed, taken or not
    writers = {int(tensor): index for index, call in enumerate(own) for tensor in call["outputs"]}
    taken: set[int] = set()
    for part in parts:
        begin = {int(tensor) for tensor in part["inputs"]}
        open_ends = [int(tensor) for tensor in part["outputs"]]
        while open_ends:  # from a part's outputs back to its inputs
            tensor = open_ends.pop()
            writer = writers.get(tensor)
            if tensor in begin or writer is None or writer in taken:
                continue
            taken.add(writer)
            open_ends += [int(source) for source in own[writer]["inputs"]]
    return len(parts), set(range(len(own))) - taken


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
