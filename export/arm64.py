"""Does a .pte or a .tflite compute on ARM64 kernels what it computes on this host?

The runner is built for ARM64 against the same release of the runtime and emulated as four CPUs, each of
which takes other kernels of XNNPACK. An emulator shows what a file computes there, never how fast.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgesr.data.drawn import drawn_lr
from edgesr.data.images import to_uint8
from edgesr.engines import Artifact, open_artifact
from edgesr.errors import UserError
from edgesr.quantization import find_scheme, pt2e
from export.choose import FP32
from export.native import build, cache, toolchain
from export.native.runner import running
from export.report import Census
from export.target import HasOptions, Target, find_target

CPUS = {
    "cortex-a53": "plain NEON",
    "cortex-a76": "dot product",
    "neoverse-v1": "i8mm",
    "max": "SVE2 and SME",
}
"""qemu's CPU model → the newest kind of kernels that it has."""
APPROXIMATED = {"Sigmoid", "StaticResizeBilinear2D", "LOGISTIC", "RESIZE_BILINEAR"}
"""Float operators, as ExecuTorch and TFLite name them, for which XNNPACK has another formula per
instruction set. Our other kernels are equal to the last bit on ARM64 and x86-64 (DECISIONS.md)."""
MOVING = {"StaticReshape", "StaticTranspose", "DEPTH_TO_SPACE"}
"""What pixel shuffle is made of: it computes nothing."""

Tiles = list[tuple[Tensor, Tensor]]
"""LR tiles, and the SR that the host makes of each."""


@dataclass(frozen=True)
class Bound:
    """How far ARM64 may be from the host."""

    max_abs: float
    """Of one float value; 1 is full scale."""
    max_levels: int
    """Of one 8-bit value."""
    max_fraction: float
    """Of 8-bit values that differ at all."""


EXACT = Bound(0.0, 0, 0.0)
FLOAT = Bound(1e-5, 1, 1e-3)
ROUNDED = Bound(1.5 / 255, 1, 1e-3)
SPREAD = Bound(2.5 / 255, 2, 0.4)


def bound_of(scheme: str, census: Census) -> Bound:
    """What a file is held to.

    Integer kernels are exact. Float islands may differ in the last bit, which can round a value up
    instead of down where int8 comes next; the approximated operators do it for every other value.
    """
    if scheme == FP32:
        return FLOAT
    if not set(census.float_ops) - MOVING and not census.ops_outside:
        return EXACT
    return SPREAD if APPROXIMATED & set(census.float_ops) else ROUNDED


@dataclass
class Difference:
    """What one CPU computed, against the host."""

    values: int = 0
    differing_floats: int = 0
    max_abs: float = 0.0
    differing_bytes: int = 0
    max_levels: int = 0
    seconds: float = 0.0
    """Of emulation: no phone's."""

    def add(self, sr: Tensor, expected: Tensor) -> None:
        """Compare two SR tiles, as floats and as the 8-bit pixels that they become."""
        levels = np.abs(to_uint8(sr).astype(np.int64) - to_uint8(expected).astype(np.int64))
        self.values += levels.size
        self.differing_floats += int((sr != expected).sum())
        worst = (sr - expected).abs().max().item()
        self.max_abs = max(self.max_abs, worst) if worst == worst else float("inf")  # nan
        self.differing_bytes += int((levels > 0).sum())
        self.max_levels = max(self.max_levels, int(levels.max()))

    @property
    def fraction(self) -> float:
        """Of the 8-bit values that differ."""
        return self.differing_bytes / self.values

    def failures(self, bound: Bound) -> list[str]:
        """What is outside the bound, in words."""
        checks = {
            f"a value is {self.max_abs:.2g} off > {bound.max_abs:.2g}": self.max_abs > bound.max_abs,
            f"a value differs by {self.max_levels} levels > {bound.max_levels}": (
                self.max_levels > bound.max_levels
            ),
            f"{100 * self.fraction:.3f} % of 8-bit values differ > {100 * bound.max_fraction:g} %": (
                self.fraction > bound.max_fraction
            ),
        }
        return [text for text, failed in checks.items() if failed]


def tiles_of(artifact: Artifact, images: Iterable[Tensor], count: int) -> Tiles:
    """`count` tiles of each LR image (1,3,H,W), evenly spread over it, with the host's SR; 0: all."""
    chosen: Tiles = []
    for image in images:
        tiles: Tiles = []

        def keep(lr: Tensor, tiles: Tiles = tiles) -> Tensor:
            tiles.append((lr, artifact.upscale(lr).clone()))
            return tiles[-1][1]

        with torch.no_grad():
            artifact.tiled(keep)(image)
        wanted = min(count or len(tiles), len(tiles))
        chosen += [tiles[(2 * i + 1) * len(tiles) // (2 * wanted)] for i in range(wanted)]
    return chosen


def commands(qemu: Path, path: Path, cpus: Iterable[str] = CPUS) -> dict[str, list[str]]:
    """CPU → the command that runs files of this kind on it, inside `folder_of(path)`."""
    start = build.arm64(build.runner_of(path)).start
    return {cpu: [str(qemu), "-cpu", cpu, *start] for cpu in cpus}


def folder_of(path: Path) -> Path:
    """Where the runner of files of this kind lies, with everything that it loads."""
    return build.arm64(build.runner_of(path)).folder


def compare(
    artifact: Artifact, tiles: Tiles, starts: Mapping[str, Sequence[str]], on_tile: Callable[[], None]
) -> dict[str, Difference]:
    """Run the tiles on each CPU. UserError if a runner fails; `on_tile` is called after each tile."""
    found, folder = {}, folder_of(artifact.path)
    for cpu, start in starts.items():
        difference, began = Difference(), time.monotonic()
        with running(start, artifact.path, artifact.scale, folder) as upscale:
            for lr, expected in tiles:
                difference.add(upscale(lr), expected)
                on_tile()
        difference.seconds = time.monotonic() - began
        found[cpu] = difference
    return found


def check_emulator(qemu: Path, path: Path, cpus: Iterable[str] = CPUS) -> None:
    """Have each CPU compute a small int8 network, whose integers every right CPU computes alike.

    It is lowered as `path` is. UserError if one does not: it is then the emulator that is wrong, or the
    runner, and no artifact.
    """
    artifact = _integer_artifact(path)
    tiles = tiles_of(artifact, [drawn_lr((24, 24))], 0)
    starts = commands(qemu, path, cpus)
    for cpu, difference in compare(artifact, tiles, starts, lambda: None).items():
        if failures := difference.failures(EXACT):
            raise UserError(
                f"The emulated CPU {cpu} computes integers wrongly, so it proves nothing: "
                f"{failures[0]}. Use another qemu, version 10 or newer."
            )


def _integer_artifact(like: Path) -> Artifact:
    """Convolutions in int8 from end to end, lowered once and kept in the cache."""
    target, wheel = find_target(like), build.runner_of(like).wheel
    folder = cache.kept(
        f"integers-{target.NAME}-{toolchain.installed(wheel)}",
        lambda made: _lower_integers(target, made / f"integers{like.suffix}"),
    )
    return open_artifact(folder / f"integers{like.suffix}", trusted=True)


def _lower_integers(target: Target, path: Path) -> None:
    torch.manual_seed(0)
    wide = nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 1), nn.ReLU()
    ends = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(64, 12, 3, padding=1)
    network = nn.Sequential(ends[0], *wide, ends[1], nn.PixelShuffle(2)).eval()
    lr, scheme = drawn_lr((24, 24)), find_scheme("int8")
    program = pt2e.calibrated_program(network, scheme, lr, fold_weights=target.FOLD_WEIGHTS)
    options = target.chosen(scheme.name, {}) if isinstance(target, HasOptions) else {}
    facts = {"model": "integers", "scale": 2, "scheme": scheme.name, "tile": [24, 24], "overlap": 0}
    target.lower(program, facts | options | {"multiple": 1, "checkpoint_sha256": "none"}, path)


def to_json(found: Mapping[str, Difference], bound: Bound) -> dict[str, Any]:
    """CPUs, bound and verdict, for the report."""
    failures = {cpu: difference.failures(bound) for cpu, difference in found.items()}
    return {
        "cpus": {
            cpu: {"kernels": CPUS.get(cpu), **asdict(d), "differing_fraction": d.fraction}
            for cpu, d in found.items()
        },
        "bound": asdict(bound),
        "passed": not any(failures.values()),
        "failures": [f"{cpu}: {text}" for cpu, texts in failures.items() for text in texts],
    }
