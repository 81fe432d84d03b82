"""What is inside an .mlpackage, read from the folder itself: what computes in integers, and what not."""

from collections.abc import Iterator
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from edgesr.engines.mlpackage import Operation, Program, read_program
from export.census import Census, Node, Operator, counted, linked

MOVERS = {"cast", "quantize", "dequantize", "constexpr_affine_dequantize"}
"""Operations that change a tensor's type and compute nothing."""
FUSED = {"relu", "leaky_relu", "prelu", "clip"}
"""Activations that a kernel computes with the operation before."""


def census(path: Path) -> Census:
    """Count a package's operations. All of them are Core ML's: none is outside."""
    program = read_program(path)
    flow = Flow(program)
    int8 = [operation for operation in _computing(program) if flow.is_int8(operation)]
    return counted(
        _in_order(program, flow),
        partitions=1,
        float_weight_bytes=sum(_bytes(constant) for constant in _float_weights(program, int8).values()),
        planned_bytes=flow.peak_bytes(),
    )


def operators(path: Path) -> list[Operator]:
    """A package's operations in the order of its program."""
    program = read_program(path)
    return _in_order(program, Flow(program))


def _computing(program: Program) -> list[Operation]:
    return [operation for operation in program.operations if operation.kind not in MOVERS]


def _in_order(program: Program, flow: "Flow") -> list[Operator]:
    def node(operation: Operation) -> Node:
        operator = Operator(operation.kind, "int8" if flow.is_int8(operation) else "float", 0)
        written = [value.name for value in operation.outputs]
        return Node(operator, _names(operation), written, operation.kind in MOVERS)

    return linked(map(node, program.operations), program.inputs[0].name)


class Flow:
    """Who writes and who reads each value of a program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.writer = {value.name: o for o in program.operations for value in o.outputs}
        self.readers: dict[str, list[Operation]] = {}
        for operation in program.operations:
            for name in _names(operation):
                self.readers.setdefault(name, []).append(operation)

    def is_int8(self, operation: Operation) -> bool:
        """Whether all that it reads and writes is integers, but for a type that a compiler removes."""
        return self._reads_int8(operation) and self._writes_int8(operation)

    def _reads_int8(self, operation: Operation) -> bool:
        sources = [
            self.writer.get(name) for name in _names(operation) if name not in self.program.constants
        ]
        return all(
            source is not None
            and (
                source.kind in ("dequantize", "constexpr_affine_dequantize")
                or (operation.kind in FUSED and self._reads_int8(source))
            )
            for source in sources
        )

    def _writes_int8(self, operation: Operation) -> bool:
        readers = [reader for value in operation.outputs for reader in self.readers.get(value.name, [])]
        return bool(readers) and all(
            reader.kind == "quantize" or (reader.kind in FUSED and self._writes_int8(reader))
            for reader in readers
        )

    def peak_bytes(self) -> int:
        """The most that is alive at once, in program order, if every activation is stored."""
        last = {name: at for at, o in enumerate(self.program.operations) for name in _names(o)}
        alive: dict[str, int] = {v.name: _bytes(v) for v in self.program.inputs}
        peak = 0
        for at, operation in enumerate(self.program.operations):
            if operation.kind.startswith("constexpr"):
                continue  # a weight
            alive |= {value.name: _bytes(value) for value in operation.outputs}
            peak = max(peak, sum(alive.values()))
            alive = {name: size for name, size in alive.items() if last.get(name, at + 1) > at}
        return peak


def _names(operation: Operation) -> Iterator[str]:
    return (name for names in operation.inputs.values() for name in names)


def _bytes(tensor: Tensor | object) -> int:
    shape, dtype = tensor.shape, tensor.dtype  # pyright: ignore[reportAttributeAccessIssue]
    return prod(shape) * torch.empty((), dtype=dtype).element_size()


def _float_weights(program: Program, int8: list[Operation]) -> dict[str, Tensor]:
    """Constant float tensors but for those that integer kernels hold as integers: scales and biases."""
    held = {
        name
        for operation in program.operations
        if operation.kind not in MOVERS
        for parameter, names in operation.inputs.items()
        if not (operation in int8 and parameter == "bias")
        for name in names
    }
    constants = {name: program.constants[name] for name in held if name in program.constants}
    return {
        name: constant
        for name, constant in constants.items()
        if isinstance(constant, Tensor) and constant.is_floating_point() and constant.ndim
    }
