"""Checkpoint → program → file → report: the same steps for every target."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from edgesr import Upscaler, weights
from edgesr import checkpoint as checkpoints
from edgesr.checkpoint import Checkpoint
from edgesr.data.benchmarks import load_benchmark
from edgesr.data.drawn import drawn_lr, drawn_pairs
from edgesr.engines import describe, file_name, open_artifact
from edgesr.errors import UserError
from edgesr.files import move, remove, replacing, sha256, size
from edgesr.models import MODELS
from edgesr.provenance import commit, versions
from edgesr.quantization import pt2e
from edgesr.tiling import plan
from export.choose import FP32, find_by_sha256
from export.measure import latency, measure
from export.memory import peak_rss
from export.report import Parity, Report
from export.target import (
    Elsewhere,
    HasOptions,
    Interpreted,
    Labelled,
    Provable,
    Target,
    budget_of,
)

DRAWN_IMAGES = 4
UNRUN = ".unrun"
"""Behind the name of a file that nothing here can run."""


@dataclass(frozen=True)
class Request:
    """What to export and what to measure it on."""

    checkpoint: Checkpoint
    tile: tuple[int, int]
    overlap: int
    out: Path
    benchmarks: list[Path]
    parent: Checkpoint | None
    """The float network to score beside it; None: its parent, where the checkpoint names one."""
    options: dict[str, Any] = field(default_factory=dict)
    """Of the target alone, by name; None where it shall choose."""

    @property
    def scheme(self) -> str:
        """As in file names: the checkpoint decides."""
        return self.checkpoint.scheme or FP32

    @property
    def multiple(self) -> int:
        """What tile sizes and positions must be multiples of."""
        return MODELS[self.checkpoint.model].lr_multiple(self.checkpoint.scale)

    @property
    def facts(self) -> dict[str, Any]:
        """What the file says of itself."""
        return {
            "model": self.checkpoint.model,
            "scale": self.checkpoint.scale,
            "scheme": self.scheme,
            "tile": list(self.tile),
            "overlap": self.overlap,
            "multiple": self.multiple,
            "checkpoint_sha256": self.checkpoint.sha256,
            "commit": commit(),
            "versions": versions(),
            **self.options,
        }


def export(target: Target, request: Request, say: Callable[[str], None]) -> Path:
    """Lower, run, compare, judge; return the artifact's path.

    Raises UserError if the tile does not suit the network, or if the file is outside its budget: it
    is then kept as `<artifact>.rejected`, its report beside it. A file that nothing here can run is kept
    as `<artifact>.unrun`, whatever else is known of it.
    """
    for side in request.tile:
        plan(side, side, request.overlap, request.multiple)  # refuses a tile that cannot be used
    checkpoint = request.checkpoint
    for folder in request.benchmarks:
        load_benchmark(folder, checkpoint.scale)  # refuses one that is not there, before the work
    if isinstance(target, HasOptions):
        request = replace(request, options=target.chosen(request.scheme, request.options))
    label = request.scheme
    if isinstance(target, Labelled):
        label = target.label(request.scheme, request.options)
    not_run = target.not_run(request.options) if isinstance(target, Elsewhere) else ""
    name = file_name(checkpoint.model, checkpoint.scale, label, request.tile, target.NAME)
    path, rejected = request.out / (name + UNRUN * bool(not_run)), request.out / f"{name}.rejected"
    say(f"capturing {name}")
    reference, program, inexact = build(request, target.FOLD_WEIGHTS)
    with replacing(path) as temporary:
        say(f"lowering to {target.NAME}; this takes a minute or two")
        target.lower(program, request.facts, temporary)
        say("running the file and comparing" if not not_run else f"not running the file: {not_run}")
        report = examine(target, request, temporary, reference, inexact, not_run)
        if isinstance(target, Provable):
            say("reading the file back and comparing it with the graph")
            report.proof = target.prove(program, temporary, request.facts)
        report.artifact = {"file": path.name, **report.artifact}
        verdict = rejected if report.failures else path
        report.write(verdict.with_name(f"{verdict.name}.report.json"))
        if report.failures:
            move(temporary, rejected)
            failures = "".join(f"\n  {failure}" for failure in report.failures)
            raise UserError(f"The file is outside its budget and kept as {rejected}:{failures}")
    for leftover in (rejected, rejected.with_name(f"{rejected.name}.report.json")):
        remove(leftover)
    say(report.summary() + f"\n{'lowered, not run' if not_run else 'passed'}: {path}")
    return path


def build(request: Request, fold_weights: bool) -> tuple[Upscaler, ExportedProgram, float | None]:
    """For one tile: the reference, the program to lower, and how far converting moved the output."""
    checkpoint, shape = request.checkpoint, (1, 3, *request.tile)
    if checkpoint.scheme is None:
        return checkpoint.build_float(), pt2e.float_program(checkpoint, shape), None
    graph = pt2e.fake_quantized(checkpoint, shape)
    converted = pt2e.convert(graph, fold_weights=fold_weights)
    lr = drawn_lr(request.tile)
    with torch.no_grad():
        inexact = (graph(lr) - converted(lr)).abs().max().item()
    return graph, pt2e.program_of(converted, lr), inexact


def examine(
    target: Target,
    request: Request,
    path: Path,
    reference: Upscaler,
    inexact: float | None,
    not_run: str = "",
) -> Report:
    """Open the file, run it on images, and write down everything that the verdict rests on.

    What cannot be run, for the reason `not_run`, is interpreted where an interpreter is there.
    """
    checkpoint = request.checkpoint
    report = Report(
        artifact={"bytes": size(path), "sha256": sha256(path)},
        facts=request.facts,
        census=target.census(path),
        parity=Parity("fake-quant graph" if checkpoint.scheme else "float network"),
        budget=budget_of(target, request.scheme, request.options),
        converted_difference=inexact,
        shipped=weights.scores(checkpoint.model, checkpoint.scale, checkpoint.sha256),
        not_run=not_run,
    )
    if isinstance(target, Elsewhere) and not_run:
        upscale = target.interpreted(path)
        if upscale is None:
            return report
        artifact = describe(path, request.facts, upscale)
    else:
        artifact = open_artifact(path, trusted=True)
    original = original_of(checkpoint, request.parent) if request.benchmarks else None
    for folder in request.benchmarks:
        pairs, title = list(load_benchmark(folder, artifact.scale)), folder.name
        report.quality[title] = measure(artifact, reference, original, pairs, report.parity, title)
    if not request.benchmarks:
        pairs = list(drawn_pairs(artifact.scale, DRAWN_IMAGES))
        measure(artifact, reference, None, pairs, report.parity, "drawn")
    if not_run:
        return report
    if isinstance(target, Interpreted):  # time and memory would be the interpreter's
        report.no_latency = target.NO_LATENCY
        return report
    report.latency = latency(artifact)
    report.peak_rss_bytes = peak_rss(path.resolve())
    return report


def original_of(checkpoint: Checkpoint, parent: Checkpoint | None) -> Upscaler | None:
    """The float network on whole images: `parent`, or the one that the checkpoint names, if at hand."""
    parent = parent or (None if checkpoint.scheme else checkpoint)
    if parent is None and (found := find_by_sha256(checkpoint.parent)) is not None:
        parent = checkpoints.load(found)
    return None if parent is None else parent.build_float()
