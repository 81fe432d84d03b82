"""What `export.bench --peers` measured, as a table and a plot for people and as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesr import Upscaler
from edgesr.engines import Artifact
from edgesr.errors import UserError
from edgesr.files import replacing
from export.timings import Timing

NAME, CELL = 38, 12
"""Widths of the table's columns."""


@dataclass(frozen=True)
class Contender:
    """What takes a turn."""

    name: str
    bytes: int
    upscale: Upscaler
    """One tile."""
    like: Artifact
    """The file of ours that it is beside, in whose tiles it takes whole images."""
    trained: bool = True
    off: float | None = None
    """Of a maker's: the largest difference from the float network's SR of one tile of noise."""


@dataclass(frozen=True)
class Row:
    """What was measured of one."""

    contender: Contender
    timing: Timing
    psnr: dict[str, float]
    """By benchmark; empty for what is not trained, and where no benchmark was named."""

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        known = self.contender
        own = {"name": known.name, "trained": known.trained, "bytes": known.bytes}
        return own | {"off": known.off, "psnr_db": self.psnr} | self.timing.to_json()


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
        known = row.contender
        label = known.name if known.trained else f"{known.name} (untrained)"
        _print_row(label, [*scores, *times, f"{slower:.2f}", f"{known.bytes / 1e6:.3f}"])


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
        if row.contender.trained:
            label = f"{row.contender.name}: {row.psnr[name]:.2f} dB, {ms:.2f} ms"
            axes.plot(ms, row.psnr[name], "o", color=color, label=label)
        else:
            label = f"{row.contender.name}: {ms:.2f} ms; untrained, time only"
            axes.axvline(ms, color=color, linestyle="--", linewidth=1, label=label)
    axes.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix.removeprefix(".") or None)
