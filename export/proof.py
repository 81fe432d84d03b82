"""Prove that an .mlpackage is the graph that was trained, where no Core ML is at hand.

An int8 package computes its float islands in float16, so it cannot equal its graph, and how far it may
be off hides small faults. Hence in three steps, with a twin in float32 made from the same capture:

1. the graph's quantized weights and all its scales and zero points are in the twin, bit for bit;
2. the twin, read from disk and interpreted, computes what the graph computes, bit for bit;
3. the package is the twin with constants rounded to float16: operation by operation, wire by wire.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import GraphModule

from edgesr.data.drawn import drawn_pairs
from edgesr.data.images import to_tensor
from edgesr.engines.coreml import LEVELS
from edgesr.engines.interpreter import RECIPROCAL, Interpreter
from edgesr.engines.mil import OPERATIONS
from edgesr.engines.mlpackage import Operation, Program, read_program
from export.constants import decomposed, dequantized_constants, example_of, held
from export.report import Proof

FLOAT_TOLERANCE = 0.01
"""Levels by which a float twin may differ: coremltools fuses what PyTorch computes one by one."""

UNROUNDED = {**RECIPROCAL, "round": OPERATIONS["identity"]}
"""PyTorch's way to quantize, and the image as it is before it is rounded to whole levels."""


def compare(program: ExportedProgram, path: Path, write_twin: Callable[[Path], None] | None) -> Proof:
    """Compare a package with the program that it was made of.

    `write_twin` writes the same in float32; None where the package itself is in float32.
    """
    shipped = read_program(path)
    twin = shipped
    if write_twin is not None:
        with TemporaryDirectory() as folder:
            write_twin(Path(folder, "twin.mlpackage"))
            twin = read_program(Path(folder, "twin.mlpackage"))
    graph = program.module()
    assert isinstance(graph, GraphModule)
    failures = altered_constants(graph, twin)
    difference = largest_difference(graph, twin, example_of(program))
    allowed = 0.0 if quantized_weights(graph) else FLOAT_TOLERANCE
    if not difference <= allowed:
        failures.append(f"in float32 the package is {difference} levels from its graph > {allowed}")
    if write_twin is not None:
        failures += first_difference(shipped, twin)
    return Proof(
        {"float32_twin_max_levels": difference, "operations": len(shipped.operations)}, failures
    )


def altered_constants(graph: GraphModule, program: Program) -> list[str]:
    """What is quantized in the graph and not in the program, or the reverse."""
    failures = []
    for what, trained, stored in (
        ("quantized weights", quantized_weights(graph), stored_weights(program)),
        ("pairs of scale and zero point", graph_grids(graph), stored_grids(program)),
    ):
        if lost := len(trained - stored):
            failures.append(f"{lost} of the graph's {len(trained)} {what} are not in the package")
        if foreign := len(stored - trained):
            failures.append(f"{foreign} of the package's {len(stored)} {what} are not in the graph")
    return failures


def quantized_weights(graph: GraphModule) -> set[str]:
    """A digest of each of the graph's int8 weights with its scales and zero points."""
    return {
        _digest(*_unsigned(held(graph, weight), held(graph, zero)), _row(held(graph, scale)))
        for weight, scale, zero in (node.args[:3] for node in dequantized_constants(graph))
    }


def stored_weights(program: Program) -> set[str]:
    """The same of a program in float32."""
    return {
        _digest(*_unsigned(weight, zero), _row(scale))
        for operation in program.operations
        if operation.kind == "constexpr_affine_dequantize"
        for weight, zero, scale in [
            _tensors(program, operation, "quantized_data", "zero_point", "scale")
        ]
    }


def graph_grids(graph: GraphModule) -> set[tuple[float, int]]:
    """Scale and zero point (of unsigned integers) of every activation that the graph quantizes."""
    return {
        (float(torch.tensor(node.args[1])), int(node.args[2]) + 128)
        for node in graph.graph.nodes
        if node.target is decomposed.quantize_per_tensor.default
    }


def stored_grids(program: Program) -> set[tuple[float, int]]:
    """The same of a program, of what it quantizes and of what it dequantizes."""
    types = {value.name: value.dtype for o in program.operations for value in o.outputs}
    grids = set()
    for operation in program.operations:
        if operation.kind in ("quantize", "dequantize"):
            integers = operation.outputs[0].name
            if operation.kind == "dequantize":
                (integers,) = operation.inputs["input"]
            scale, zero = (program.constant(operation, name) for name in ("scale", "zero_point"))
            assert isinstance(scale, Tensor)
            shift = 128 if types[integers] == torch.int8 else 0
            grids.add((float(scale), (0 if zero is None else int(zero)) + shift))
    return grids


@torch.no_grad()
def largest_difference(graph: GraphModule, program: Program, lr: Tensor) -> float:
    """Levels between graph and program on two tiles of the shape of `lr`: a drawn image, and noise."""
    interpreter = Interpreter(program, UNROUNDED)
    differences = []
    for image in _images(lr.shape[2], lr.shape[3]):
        expected = (graph(image * (1 / LEVELS)) * LEVELS).clamp(0, LEVELS)
        differences.append((interpreter(image) - expected).abs().max().item())
    return max(differences)


def _images(height: int, width: int) -> Iterator[Tensor]:
    """LR tiles (1,3,height,width) of whole levels."""
    drawn = next(drawn_pairs(2, 1, size=2 * max(height, width)))
    yield (to_tensor(drawn.lr)[:, :, :height, :width] * LEVELS).round()
    noise = torch.Generator().manual_seed(0)
    yield torch.randint(0, LEVELS + 1, (1, 3, height, width), generator=noise).float()


def first_difference(shipped: Program, twin: Program) -> list[str]:
    """Where the package first differs from its twin by more than the rounding of constants."""
    ours, theirs = fingerprints(shipped), fingerprints(twin)
    if [ours[name] for name in shipped.outputs] == [theirs[name] for name in twin.outputs]:
        return []
    known = set(theirs.values())
    kinds = {value.name: o.kind for o in shipped.operations for value in o.outputs}
    name = next((name for name in kinds if ours[name] not in known), shipped.outputs[0])
    return [f"the package is not its float32 twin: they first differ at {kinds[name]} {name!r}"]


def fingerprints(program: Program) -> dict[str, str]:
    """A digest of each value: of the operation that writes it and, through theirs, of all before.

    Names do not count, nor do casts, and float constants count as float16.
    """
    prints = {value.name: _digest("input", value.shape) for value in program.inputs}
    for name, constant in program.constants.items():
        prints[name] = _digest(_half(constant) if isinstance(constant, Tensor) else constant)
    for operation in program.operations:
        if operation.kind == "cast":
            prints[operation.name] = prints[operation.inputs["x"][0]]
            continue
        parameters = {key: [prints[n] for n in names] for key, names in operation.inputs.items()}
        for place, value in enumerate(operation.outputs):
            prints[value.name] = _digest(operation.kind, place, value.shape, sorted(parameters.items()))
    return prints


def _digest(*parts: object) -> str:
    """Of tensors their types, shapes and bytes, of all else what it prints."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            digest.update(f"{part.dtype}{tuple(part.shape)}".encode())
            digest.update(part.contiguous().numpy().tobytes())
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()


def _half(constant: Tensor) -> Tensor:
    return constant.half() if constant.is_floating_point() else constant


def _tensors(program: Program, operation: Operation, *parameters: str) -> list[Tensor]:
    found = [program.constant(operation, parameter) for parameter in parameters]
    assert all(isinstance(tensor, Tensor) for tensor in found)
    return found  # pyright: ignore[reportReturnType]


def _unsigned(integers: Tensor, zero_point: Tensor) -> tuple[Tensor, Tensor]:
    """8-bit integers and their zero points, both counted from -128 if they are signed."""
    shift = 128 if integers.dtype == torch.int8 else 0
    return integers.short() + shift, zero_point.reshape(-1).short() + shift


def _row(scale: Tensor) -> Tensor:
    return scale.reshape(-1).float()
