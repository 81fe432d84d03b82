"""Exported files beside what a user might pick instead, on the same images and in the same run.

python -m export.bench artifacts/msfin-s_x4_w8a8_64x64.pte --peers --benchmark Set5 --plot peers.svg
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from edgesr import Upscaler, cli
from edgesr.data.benchmarks import Pair, load_benchmark
from edgesr.engines import Artifact, open_artifact
from edgesr.errors import UserError
from edgesr.files import replacing, write_text
from edgesr.metrics import evaluate
from edgesr.models import create_model
from edgesr.provenance import processor, versions
from export.contenders import of_artifact
from export.mobile import PEERS, lower
from export.timings import Timing, race

NAME, CELL = 38, 12
"""Widths of the table's columns."""
DRAWN = (".png", ".svg")

Sets = dict[str, list[Pair]]


@dataclass(frozen=True)
class Settings:
    """What was asked for."""

    files: list[Path]
    benchmarks: list[Path]
    runs: int
    threads: int
    json: Path | None
    plot: Path | None


@dataclass(frozen=True)
class Row:
    """One contender."""

    name: str
    """Of the file."""
    bytes: int
    timing: Timing
    psnr: dict[str, float]
    """By benchmark; empty for what is not trained, and where no benchmark was named."""
    trained: bool

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        own = {"file": self.name, "trained": self.trained, "bytes": self.bytes, "psnr_db": self.psnr}
        return own | self.timing.to_json()


def bench(settings: Settings, made_by: str) -> None:
    """Lower the peers, time all in turns, score what is trained, print, write.

    UserError for files that cannot be compared.
    """
    ours = [open_artifact(path) for path in settings.files]
    _check(ours, settings)
    scale, tile = ours[0].scale, ours[0].tile
    sets = {folder.name: list(load_benchmark(folder, scale)) for folder in settings.benchmarks}
    with TemporaryDirectory() as temporary:
        likes = {artifact.path.suffix: artifact for artifact in ours}
        total = len(likes) * len(PEERS)
        with cli.Progress(total, "lowering", "peer") as bar:
            theirs = []
            for like, name in product(likes.values(), PEERS):
                theirs.append(open_artifact(lower(name, like, Path(temporary))))
                bar.advance(file=theirs[-1].path.name)
        opened = {artifact.path.name: artifact for artifact in [*ours, *theirs]}
        with cli.Progress(settings.runs + 1, "running", "round") as bar:
            upscalers = {name: artifact.upscale for name, artifact in opened.items()}
            timings = race(upscalers, tile, settings.runs, bar)
        rows = [
            _row(artifact, timings[name], sets, artifact in ours) for name, artifact in opened.items()
        ]
    bicubic = _scores(create_model("bicubic", scale=scale), sets, scale)
    device = f"host: {processor()}"
    conditions = f"{device}, {settings.threads} thread(s), median of {settings.runs}"
    print_table(rows, bicubic, f"{conditions}, x{scale}, one LR tile of {tile[0]}x{tile[1]}")
    if settings.json:
        content = {"device": device, "threads": settings.threads, "runs": settings.runs}
        content |= {"commit": made_by, "versions": versions(), "bicubic_db": bicubic}
        content |= {"contenders": [row.to_json() for row in rows]}
        write_text(settings.json, json.dumps(content, indent=2) + "\n")
    if settings.plot:
        plot(rows, bicubic, settings.plot)


def _check(ours: list[Artifact], settings: Settings) -> None:
    for artifact in ours:
        of_artifact(artifact)
    if len({(artifact.scale, artifact.tile) for artifact in ours}) > 1:
        raise UserError("--peers compares files of one scale and one tile: name only such.")
    if settings.plot and settings.plot.suffix not in DRAWN:
        raise UserError(f"Cannot draw into {settings.plot}: its name must end in {' or '.join(DRAWN)}.")
    if settings.plot and not settings.benchmarks:
        raise UserError("--plot draws PSNR against time: say on what with --benchmark DIR.")


def _row(artifact: Artifact, timing: Timing, sets: Sets, trained: bool) -> Row:
    scores = _scores(artifact.tiled(), sets, artifact.scale) if trained else {}
    return Row(artifact.path.name, artifact.path.stat().st_size, timing, scores, trained)


@torch.no_grad()
def _scores(upscale: Upscaler, sets: Sets, scale: int) -> dict[str, float]:
    return {name: evaluate(upscale, pairs, scale).psnr for name, pairs in sets.items()}


def print_table(rows: list[Row], bicubic: Mapping[str, float], conditions: str) -> None:
    """A row per contender, the fastest first, with how many times as long as that it takes."""
    print(conditions)
    heads = [*(f"{name}, dB" for name in bicubic), "ms", "± iqr", "CPU ms", "times", "MB"]
    _print_row("network", heads)
    if bicubic:
        _print_row("bicubic in PyTorch", [*(f"{db:.3f}" for db in bicubic.values()), *5 * "-"])
    ordered = sorted(rows, key=lambda row: row.timing.cpu_median)
    for row in ordered:
        scores = [f"{row.psnr[name]:.3f}" if name in row.psnr else "-" for name in bicubic]
        timing = row.timing
        slower = timing.cpu_median / ordered[0].timing.cpu_median
        times = [f"{timing.median:.2f}", f"{timing.spread:.2f}", f"{timing.cpu_median:.2f}"]
        label = row.name if row.trained else f"{row.name} (untrained)"
        _print_row(label, [*scores, *times, f"{slower:.2f}", f"{row.bytes / 1e6:.3f}"])


def _print_row(name: str, cells: list[str]) -> None:
    print("".join([f"{name:<{NAME}}", *(f"{cell:>{CELL}}" for cell in cells)]))


def plot(rows: list[Row], bicubic: Mapping[str, float], path: Path) -> None:
    """PSNR on the first benchmark over CPU time; what is not trained as a line at its time.

    UserError without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("matplotlib draws the plot. Type: pip install 'edgesr[plot]'") from None

    name, least = next(iter(bicubic.items()))
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.add_subplot(xscale="log", xlabel="ms of CPU time per tile on this host")
    axes.set_ylabel(f"PSNR on {name}, dB")
    axes.axhline(least, color="grey", linestyle=":", label=f"bicubic: {least:.2f} dB")
    for index, row in enumerate(rows):
        ms, color = row.timing.cpu_median, f"C{index % 10}"
        if row.trained:
            label = f"{row.name}: {row.psnr[name]:.2f} dB, {ms:.2f} ms"
            axes.plot(ms, row.psnr[name], "o", color=color, label=label)
        else:
            label = f"{row.name}: {ms:.2f} ms; untrained, time only"
            axes.axvline(ms, color=color, linestyle="--", linewidth=1, label=label)
    axes.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix.removeprefix(".") or None)
