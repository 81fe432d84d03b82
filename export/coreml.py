"""Lower a checkpoint to an .mlpackage for Apple's devices: `python -m export.coreml`.

The package takes an image and gives an image, from iOS 17 and macOS 14 on. No Mac is needed to make it
and to prove it: `export.proof` says how.
"""

import argparse
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from functools import lru_cache
from pathlib import Path
from typing import Any

import coremltools as ct
import torch
from coremltools.converters.mil.mil import Program
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import GraphModule, Node

from edgesr import cli
from edgesr.engines.coreml import FACTS, LEVELS
from edgesr.files import remove
from export.choose import FP32
from export.constants import DEQUANTIZERS, dequantized_constants, example_of, held
from export.mlpackage import census, operators
from export.proof import compare
from export.report import BUDGETS, Budget, Proof

NAME: str = "coreml"
FOLD_WEIGHTS: bool = True
PRECISIONS: dict[str, ct.precision] = {"fp16": ct.precision.FLOAT16, "fp32": ct.precision.FLOAT32}
"""What is not int8 is computed in one of these. The Neural Engine knows the first alone."""
NO_LATENCY: str = (
    "not measured: Core ML runs on Apple's devices only, and our interpreter's time is none of theirs. "
    "On a Mac: make mac"
)

# Float16 rounds a value in [0,1] by a sixteenth of a level at most; over a network's depth that is a
# level here and there. Int8 files are judged as those of other targets, and proven besides.
HALF_BUDGET = Budget(48.0, 4, 0.02, 1, 0, None)

RESCALING = "common::distributive_quantized_binary_op_scale_normalization"
"""A pass of coremltools' that gives sums other scales than were trained."""
DEBUGGING = "executorch_debug_handle_mapping.json"
"""What coremltools leaves in a package for ExecuTorch: of no use here, and as large as the weights."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """What only a package has."""
    parser.add_argument(
        "--precision",
        choices=list(PRECISIONS),
        help="what is not int8 is computed in it (default fp16, but with --scheme fp32 fp32)",
    )


def chosen(scheme: str, given: dict[str, Any]) -> dict[str, Any]:
    """What is asked of a float file is float32; an int8 file is for the Neural Engine."""
    return {"precision": given.get("precision") or usual_precision(scheme)}


def label(scheme: str, options: dict[str, Any]) -> str:
    """As in file names: `fp16` is a float file in half precision, `w8a8-fp32` has float32 islands."""
    precision = options["precision"]
    if scheme == FP32:
        return precision
    return scheme if precision == usual_precision(scheme) else f"{scheme}-{precision}"


def budget(scheme: str, options: dict[str, Any]) -> Budget:
    """What such a file may cost."""
    return HALF_BUDGET if label(scheme, options) == "fp16" else BUDGETS[scheme]


def lower(program: ExportedProgram, facts: dict[str, Any], path: Path) -> None:
    """Write `program` to the folder `path` with its facts inside."""
    model = convert(capture(program), facts["precision"])
    height, width = facts["tile"]
    model.author = "edgesr"
    model.license = "Apache-2.0 (the program; the weights are under the licence of who trained them)"
    model.version = facts["commit"]
    model.short_description = (
        f"{facts['model']}: enlarges an image of {width}x{height} {facts['scale']} times"
    )
    model.input_description["image"] = f"RGB image, {width} pixels wide, {height} high"
    model.output_description["sr"] = f"the same, {facts['scale']} times as wide and as high"
    model.user_defined_metadata[FACTS] = json.dumps(facts)
    save(model, path)


def prove(program: ExportedProgram, path: Path, facts: dict[str, Any]) -> Proof:
    """Whether the package at `path` is `program`, beyond what images can show."""

    def write_twin(twin: Path) -> None:
        save(convert(capture(program), "fp32"), twin)

    return compare(program, path, None if facts["precision"] == "fp32" else write_twin)


def usual_precision(scheme: str) -> str:
    """What is not int8 is computed in it, where nobody says otherwise."""
    return "fp32" if scheme == FP32 else "fp16"


class ImageToImage(nn.Module):
    """An upscaler of tensors in [0,1] as one of 8-bit images.

    Core ML's images are 0..255. Its output is whole levels already, whether what follows rounds them or
    cuts them off (which is nowhere documented).
    """

    def __init__(self, upscale: nn.Module) -> None:
        super().__init__()
        self.upscale = upscale

    def forward(self, image: Tensor) -> Tensor:
        """(1,3,h,w) → (1,3,sh,sw), both of levels."""
        return (self.upscale(image * (1 / LEVELS)) * LEVELS).clamp(0, LEVELS).round()


@lru_cache(maxsize=1)  # the package and its twin are made from one capture
def capture(program: ExportedProgram) -> ExportedProgram:
    """A program as coremltools can read it: images at its ends, weights in uint8, ATen's operators."""
    graph = program.module()
    assert isinstance(graph, GraphModule)
    _refuse_scalars(graph)
    _store_unsigned(graph)
    graph.recompile()
    image = torch.zeros_like(example_of(program))
    exported = torch.export.export(ImageToImage(graph), (image,), strict=False)
    return exported.run_decompositions({})  # of none: but it leaves the dialect that coremltools refuses


def convert(program: ExportedProgram, precision: str) -> ct.models.MLModel:
    """A captured program as a Core ML model."""
    pipeline = ct.PassPipeline()
    pipeline.remove_passes({RESCALING})
    shape, rgb = tuple(example_of(program).shape), ct.colorlayout.RGB
    # its progress bars, one for each of its stages, are kept back
    with redirect_stderr(io.StringIO()), checked_in_the_end():
        model = ct.convert(
            program,
            convert_to="mlprogram",
            inputs=[ct.ImageType(name="image", shape=shape, color_layout=rgb)],
            outputs=[ct.ImageType(name="sr", color_layout=rgb)],
            minimum_deployment_target=ct.target.iOS17,
            compute_precision=PRECISIONS[precision],
            pass_pipeline=pipeline,
            skip_model_load=True,
        )
    assert isinstance(model, ct.models.MLModel)
    return model


@contextmanager
def checked_in_the_end() -> Iterator[None]:
    """coremltools checks the whole program after each of its passes, which takes a third of its time.
    Here it does so where it is read, where dead code went and, whatever the passes did, where it is
    written: wherever it also asks that every operation says where it comes from.
    """
    check = Program.validate

    def validate(self: Program, check_essential_scope: bool | None = False) -> None:
        if check_essential_scope:
            check(self, check_essential_scope)

    Program.validate = validate
    try:
        yield
    finally:
        Program.validate = check


def save(model: ct.models.MLModel, path: Path) -> None:
    """Write the folder, in place of what is there."""
    remove(path)
    model.save(str(path))
    remove(path / DEBUGGING)


def _refuse_scalars(graph: GraphModule) -> None:
    """coremltools 9.0 dequantizes a constant without dimensions in int8, which overflows: 0.5 became
    -0.002. No network of ours has one; a new one must give it the shape (1,1,1,1) or leave it float.
    """
    for node in dequantized_constants(graph):
        if held(graph, node.args[0]).ndim == 0:
            raise NotImplementedError(f"{node.name} dequantizes a scalar, which coremltools gets wrong")


def _store_unsigned(graph: GraphModule) -> None:
    """Weights as uint8 with 128 added to all and to their zero points: the same values.

    GPUs and the Neural Engine were reported to read signed ones wrong (coremltools #2114, #2675).
    """
    for node in dequantized_constants(graph):
        weight, scale, zero_point = (held(graph, argument) for argument in node.args[:3])
        if weight.dtype != torch.int8:
            continue
        shifted = zero_point + 128
        node.args = (
            _hold(graph, node, f"{node.name}_unsigned", (weight.short() + 128).byte()),
            node.args[1],
            _hold(graph, node, f"{node.name}_zero", shifted) if scale.ndim else int(shifted),
            *node.args[3 : DEQUANTIZERS[node.target]],  # pyright: ignore[reportArgumentType]
            *(0, 255, torch.uint8),
        )
    graph.graph.eliminate_dead_code()


def _hold(graph: GraphModule, before: Node, name: str, constant: Tensor) -> Node:
    """A new constant of the graph, fetched ahead of a node."""
    graph.register_buffer(name, constant)
    with graph.graph.inserting_before(before):
        return graph.graph.get_attr(name)


__all__ = [
    "FOLD_WEIGHTS",
    "NAME",
    "NO_LATENCY",
    "add_options",
    "budget",
    "census",
    "chosen",
    "label",
    "lower",
    "operators",
    "prove",
]


if __name__ == "__main__":
    from export import command, coreml

    cli.run(lambda: command.main(coreml))
