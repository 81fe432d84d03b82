"""What `export.bench` measured, as a table for people and as JSON."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
import torch

from edgesr import Upscaler
from edgesr.cli import Progress
from edgesr.engines import SUFFIXES
from export import pte
from export.contenders import BESIDE, EAGER, EDGE, INT8, PUBLISHED, Entry
from export.profile import Kind
from export.tfl import census as tfl

ROLES = (EAGER, PUBLISHED, EDGE, INT8)
"""The table's columns, in this order."""
NAME, CELL, GAIN = 28, 16, 11
"""Their widths: the network, a contender, a ratio."""
BUSY = 1.1
"""Wall time over CPU time from which something else must have had the processor."""


@dataclass(frozen=True)
class Timing:
    """One contender's runs, in milliseconds."""

    wall: list[float]
    cpu: list[float]
    """Of all threads of the process: on one thread, about the wall time where nobody disturbs."""

    @property
    def median(self) -> float:
        """Of the wall time."""
        return median(self.wall)

    @property
    def cpu_median(self) -> float:
        """Of the CPU time."""
        return median(self.cpu)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The wall time that a quarter and three quarters of the runs are below."""
        first, third = np.quantile(self.wall, [0.25, 0.75])
        return float(first), float(third)

    @property
    def spread(self) -> float:
        """The inter-quartile range of the wall time."""
        first, third = self.quartiles
        return third - first

    def to_json(self) -> dict[str, Any]:
        """Wall times whole, CPU time as its median."""
        first, third = self.quartiles
        return {
            "median_ms": self.median,
            "q1_ms": first,
            "q3_ms": third,
            "cpu_median_ms": self.cpu_median,
            "runs_ms": self.wall,
        }


@dataclass(frozen=True)
class Result:
    """A row of the table."""

    entry: Entry
    timings: dict[str, Timing]
    """By role, as `Entry.open` returns them."""
    kinds: list[Kind] | None = None
    """The profile of the last file, if it was asked for."""

    @property
    def subject(self) -> str:
        """The role that the others are compared with: the last one."""
        return list(self.timings)[-1]

    @property
    def ratios(self) -> dict[str, float]:
        """How many times as fast as each other contender the subject is, by medians of wall time."""
        return self._ratios({role: timing.median for role, timing in self.timings.items()})

    @property
    def cpu_ratios(self) -> dict[str, float]:
        """The same by CPU time, which other programs on the machine disturb less."""
        return self._ratios({role: timing.cpu_median for role, timing in self.timings.items()})

    @property
    def disturbed(self) -> bool:
        """Whether a contender waited for the processor in most of its runs."""
        return any(timing.median > BUSY * timing.cpu_median for timing in self.timings.values())

    def _ratios(self, ms: dict[str, float]) -> dict[str, float]:
        return {role: theirs / ms[self.subject] for role, theirs in ms.items() if role != self.subject}

    def to_json(self) -> dict[str, Any]:
        """Everything, with what is inside the files."""
        timed = {role: timing.to_json() | self._file(role) for role, timing in self.timings.items()}
        return {
            "model": self.entry.model,
            "scale": self.entry.scale,
            "size": list(self.entry.size),
            "contenders": timed,
            "ratios": {
                "subject": self.subject,
                "faster_than": self.ratios,
                "faster_than_by_cpu_time": self.cpu_ratios,
            },
            "profile": None if self.kinds is None else [asdict(kind) for kind in self.kinds],
        }

    def _file(self, role: str) -> dict[str, Any]:
        if role not in self.entry.files:
            return {}
        path = self.entry.files[role]
        counted = (tfl.census if path.suffix == SUFFIXES["tflite"] else pte.census)(path)
        return {
            "file": path.name,
            "bytes": path.stat().st_size,
            "partitions": counted.partitions,
            "ops_outside": counted.ops_outside,
            "outside": counted.outside,
        }


def race(
    upscalers: Mapping[str, Upscaler], size: tuple[int, int], runs: int, bar: Progress
) -> dict[str, Timing]:
    """Run each on one random LR of `size`, in turns, so that a busy minute is everybody's.

    The first round warms up and is left out.
    """
    lr = torch.rand(1, 3, *size)
    timings = {role: Timing([], []) for role in upscalers}
    with torch.no_grad():
        for turn in range(runs + 1):
            for role, upscale in upscalers.items():
                wall, cpu = time.perf_counter(), time.process_time()
                upscale(lr)
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                if turn > 0:
                    timings[role].wall.append(1000 * wall)
                    timings[role].cpu.append(1000 * cpu)
            bar.advance()
    return timings


def print_table(results: list[Result], conditions: str) -> None:
    """A row per network: milliseconds, then how many times as fast the last file is.

    Below it the same by CPU time, if the machine was busy with something else.
    """
    print(f"{conditions}, ms ± inter-quartile range")
    _print_row("", ["", "published", "edge", "edge"], ["last file", "is faster", "than"])
    heads = ["eager", "fp32 .pte", "fp32 .pte", "int8 .pte"]
    _print_row("network, LR size", heads, ["eager", "publ. .pte", "edge fp32"])
    for result in results:
        entry = result.entry
        name = f"{entry.model} x{entry.scale} {entry.size[0]}x{entry.size[1]}"
        timings = [result.timings.get(role) for role in ROLES]
        wall = ["-" if t is None else f"{t.median:.1f} ±{t.spread:.1f}" for t in timings]
        _print_row(name, wall, _gains(result.ratios))
        for role in (role for role in result.timings if role not in ROLES):
            _print_other(result, role)
        if result.disturbed:
            cpu = ["-" if t is None else f"{t.cpu_median:.1f}" for t in timings]
            _print_row("  busy machine: CPU time", cpu, _gains(result.cpu_ratios))


def _print_other(result: Result, role: str) -> None:
    """A line for a contender without a column, with what it is faster than if it is the last."""
    timing = result.timings[role]
    gains = result.ratios if role == result.subject else {}
    faster = ", ".join(f"{ratio:.2f}x {other}" for other, ratio in gains.items())
    if role in BESIDE:
        faster = f"{result.subject} is {result.ratios[role]:.2f}x as fast"
    print(f"  {role}: {timing.median:.1f} ±{timing.spread:.1f}" + (f", {faster}" if faster else ""))


def print_profile(result: Result) -> None:
    """The kinds of operators of a row's last file; nothing if they were not asked for."""
    if result.kinds is None:
        return
    file = result.entry.last.name
    print(f"\n{file}: {sum(kind.ms for kind in result.kinds):.1f} ms while operators are recorded")
    print(f"{'ms':>9}{'share':>8}{'count':>7}  operator")
    for kind in result.kinds:
        print(f"{kind.ms:>9.2f}{100 * kind.share:>6.1f} %{kind.count or '':>7}  {kind.name}")


def _gains(ratios: dict[str, float]) -> list[str]:
    return [f"{ratios[role]:.2f}x" if role in ratios else "-" for role in ROLES[:-1]]


def _print_row(name: str, cells: list[str], gains: list[str]) -> None:
    row = [f"{name:<{NAME}}", *(f"{cell:>{CELL}}" for cell in cells), *(f"{g:>{GAIN}}" for g in gains)]
    print("".join(row).rstrip())
