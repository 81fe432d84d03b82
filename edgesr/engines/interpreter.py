"""Run a Core ML program without Core ML: on any system, to the bit what its operations say."""

import inspect
from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor

from edgesr.engines.mil import OPERATIONS, Kernel, quantize_by_reciprocal
from edgesr.engines.mlpackage import Constant, Operation, Program, Value
from edgesr.errors import UserError

RECIPROCAL: dict[str, Kernel] = {**OPERATIONS, "quantize": quantize_by_reciprocal}
"""The operations with PyTorch's way to quantize, under which a program in float32 must equal its graph.

MIL's documentation divides by the scale, PyTorch multiplies by its reciprocal. The last bit of the
product differs, and so does what a value next to a rounding tie is rounded to."""

LISTS = {"values"}
"""Parameters that are lists of tensors."""


LARGEST = 2**31
"""Values of all that a program computes, which are in memory together: 8 GiB."""

IMPOSSIBLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a kernel may raise for arguments that come from a file (NotImplementedError among them)."""


class Interpreter:
    """A program, ready to run.

    A value that the program declares as float16 is computed in float32 and then rounded to float16:
    that is what storing it costs. How a device adds up within one operation is its own affair.
    """

    def __init__(self, program: Program, operations: Mapping[str, Kernel] = OPERATIONS) -> None:
        """UserError, with all their names, for operations and parameters without a kernel; for a program
        that asks for what cannot be computed, or for more memory than `LARGEST`.
        """
        self.operations = operations
        self.outputs = program.outputs
        self.inputs = program.inputs
        refuse_unknown(program, operations)
        self.fixed: dict[str, Any] = {name: _plain(held) for name, held in program.constants.items()}
        self._rehearse(program)
        self.steps: list[Operation] = []
        for operation in program.operations:  # weights are dequantized here, once
            names = [name for names in operation.inputs.values() for name in names]
            if all(name in self.fixed for name in names):
                self._run(operation, self.fixed)
            else:
                self.steps.append(operation)

    @torch.no_grad()
    def __call__(self, *inputs: Tensor) -> Tensor:
        """The first output; inputs in the program's order, of its shapes."""
        values = dict(self.fixed)
        for declared, given in zip(self.inputs, inputs, strict=True):
            values[declared.name] = _stored(given, declared)
        for operation in self.steps:
            self._run(operation, values)
        return values[self.outputs[0]]

    def _rehearse(self, program: Program) -> None:
        """Run it on shapes alone: what a file says that makes no sense shows before it takes memory."""
        values = {name: _shape_of(held) for name, held in self.fixed.items()}
        for given in program.inputs:
            values[given.name] = torch.empty(given.shape, device="meta")
        total = 0
        for operation in program.operations:
            self._run(operation, values)
            total += sum(prod(value.shape) for value in operation.outputs)
            if total > LARGEST:
                raise UserError(f"The Core ML program holds more than {LARGEST} values at once.")
        if not self.outputs or self.outputs[0] not in values:
            raise UserError("The Core ML program does not compute what it says that it gives.")

    def _run(self, operation: Operation, values: dict[str, Any]) -> None:
        try:
            arguments = {
                parameter: [values[name] for name in names] if parameter in LISTS else values[names[0]]
                for parameter, names in operation.inputs.items()
            }
            result = self.operations[operation.kind](**arguments)
            results = [result] if isinstance(result, Tensor) else result
            stored = [_stored(*pair) for pair in zip(results, operation.outputs, strict=True)]
        except IMPOSSIBLE as error:
            if isinstance(error, UserError):
                raise
            raise UserError(
                f"The Core ML program is damaged: its {operation.kind} {operation.name!r} cannot be "
                f"computed ({error!r})."
            ) from error
        values |= {
            declared.name: value for declared, value in zip(operation.outputs, stored, strict=True)
        }


def refuse_unknown(program: Program, operations: Mapping[str, Kernel]) -> None:
    """UserError that names each operation that has no kernel, or parameters that its kernel has not."""
    kinds = {operation.kind: operation for operation in program.operations}
    missing = sorted(kinds.keys() - operations.keys())
    for operation in program.operations:
        if operation.kind in operations:
            known = inspect.signature(operations[operation.kind]).parameters
            missing += [f"{operation.kind}({name}=…)" for name in operation.inputs.keys() - known]
    if missing:
        raise UserError(
            f"The Core ML interpreter does not know: {', '.join(dict.fromkeys(missing))}. "
            "Add it to OPERATIONS in edgesr/engines/mil.py, with a test."
        )


def _plain(constant: Constant) -> Tensor | str | int | bool | list[int] | list[bool]:
    """A constant as kernels want it: float tensors in float32, whole numbers as Python's.

    8-bit tensors are quantized values and stay tensors.
    """
    if isinstance(constant, str):
        return constant
    if constant.is_floating_point():
        return constant.float()
    if constant.dtype in (torch.int8, torch.uint8):
        return constant
    return constant.tolist()


def _shape_of(held: Any) -> Any:
    """A fixed value without its content; a number, which decides about shapes, as it is."""
    return held.to("meta") if isinstance(held, Tensor) and held.ndim else held


def _stored(computed: Tensor, declared: Value) -> Tensor:
    """A result as the program declares it: of its shape, rounded to its type."""
    if tuple(computed.shape) != declared.shape:
        raise UserError(
            f"The Core ML program declares {declared.name!r} as {declared.shape}, and its "
            f"inputs make it {tuple(computed.shape)}."
        )
    if declared.dtype == torch.float16:
        return computed.half().float()
    return computed.to(declared.dtype)
