"""Exported files as upscalers: one readable table, one file per runtime.

An artifact describes itself: its facts travel inside the file, so nothing beside it can go stale.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor

from edgesr import Upscaler
from edgesr.engines import trial
from edgesr.errors import UserError, unknown
from edgesr.tiling import upscale_tiled

SUFFIXES: dict[str, str] = {"executorch": ".pte", "tflite": ".tflite", "coreml": ".mlpackage"}
"""Engine → the suffix of its files. `edgesr.engines.<engine>.open_file` reads them."""

INTERPRETED = {"coreml"}
"""Engines that are interpreters of ours: right in what they compute, and no measure of time."""

LARGEST = 2**15
"""Of the numbers that a file states about itself: more is damage."""

FOLDERS = {"coreml"}
"""Engines whose files are folders."""

ARTIFACTS = Path("artifacts")
"""Where `python -m export.<engine>` puts its files."""


@dataclass(frozen=True)
class Artifact:
    """An exported file, opened."""

    path: Path
    model: str
    scale: int
    scheme: str
    """A scheme's name, or fp32."""
    tile: tuple[int, int]
    """LR height and width: the only size that `upscale` takes."""
    overlap: int
    """LR pixels of context that a tile gives away at each inner edge."""
    multiple: int
    """Tile positions are multiples of this (the network's inner strides)."""
    checkpoint_sha256: str
    upscale: Upscaler
    """One tile: LR (1,3,*tile) → SR."""
    facts: dict[str, Any] = field(default_factory=dict)
    """Everything that the file says of itself, its target's options too."""

    def tiled(self, upscale: Upscaler | None = None) -> Upscaler:
        """The file over LR of any size, tile by tile; or `upscale` in the same tiles, to compare."""
        return partial(
            upscale_tiled,
            upscale or self.upscale,
            scale=self.scale,
            tile=self.tile,
            overlap=self.overlap,
            multiple=self.multiple,
        )


def file_name(model: str, scale: int, scheme: str, tile: tuple[int, int], engine: str) -> str:
    """The name of an artifact: it says what the file is and nothing else."""
    return f"{model}_x{scale}_{scheme}_{tile[0]}x{tile[1]}{SUFFIXES[engine]}"


def open_artifact(path: Path, *, trusted: bool = False) -> Artifact:
    """Open an exported file by its suffix. UserError if it is absent, damaged or not one of ours.

    A file must be the one of its report. Without a report, a process of its own tries it out first,
    because a damaged one can end the process that opens it; `trusted` is for who has just made it.
    """
    engine = engine_of(path)
    if not path.exists():
        raise UserError(f"{path} does not exist. Export it: python -m export.{engine}")
    if path.is_dir() != (engine in FOLDERS):
        came = "a folder" if path.is_dir() else "a file"
        raise UserError(f"{path} is {came}: it is damaged or no {path.suffix}. Export it anew.")
    if not trusted and not trial.same_as_reported(path) and engine not in INTERPRETED:
        trial.try_out(path)
    try:
        facts, run = import_module(f"edgesr.engines.{engine}").open_file(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    return describe(path, facts, run)


def use_threads(path: Path, count: int) -> None:
    """Give the runtime of a file `count` threads, before the file is opened.

    UserError where it is absent or cannot be told.
    """
    engine = engine_of(path)
    setting = getattr(import_module(f"edgesr.engines.{engine}"), "use_threads", None)
    if setting is None:
        raise UserError(f"The {engine} engine chooses its threads itself. Leave --threads out.")
    try:
        setting(count)
    except ImportError as error:
        raise UserError(
            f"Running {path.name} needs another package ({error}): pip install 'edgesr[{engine}]'"
        ) from error


def engine_of(path: Path) -> str:
    """Which engine runs a file, by its suffix. UserError for a suffix that none has."""
    engine = next((name for name, suffix in SUFFIXES.items() if path.suffix == suffix), None)
    if engine is None:
        raise unknown("artifact suffix", path.suffix, list(SUFFIXES.values()))
    return engine


def describe(path: Path, facts: Any, run: Callable[[Tensor], Tensor]) -> Artifact:
    """Check a file's facts and name them; the upscaler refuses every size but the tile's.

    UserError for facts that are not ours, and from the upscaler where the runtime fails.
    """
    try:
        height, width = (_whole(side, 1) for side in facts["tile"])
        scale = _whole(facts["scale"], 1)
        artifact = Artifact(
            path,
            str(facts["model"]),
            scale,
            str(facts["scheme"]),
            (height, width),
            _whole(facts["overlap"], 0),
            _whole(facts["multiple"], 1),
            str(facts["checkpoint_sha256"]),
            partial(_run_tile, run, (height, width), scale, path),
            facts,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} carries no facts of ours ({error!r}). Export it anew.") from error
    return artifact


def _whole(value: Any, least: int) -> int:
    """A whole number of facts that a file states. ValueError for anything else."""
    if type(value) is not int or not least <= value <= LARGEST:
        raise ValueError(f"{value!r} is no whole number from {least} to {LARGEST}")
    return value


def _run_tile(
    run: Callable[[Tensor], Tensor], tile: tuple[int, int], scale: int, path: Path, lr: Tensor
) -> Tensor:
    if tuple(lr.shape) != (1, 3, *tile):
        raise UserError(
            f"{path.name} takes one LR tile of shape {(1, 3, *tile)}, not {tuple(lr.shape)}. "
            "Use edgesr.tiling.upscale_tiled for other sizes."
        )
    try:
        sr = run(lr.contiguous())  # ExecuTorch misreads channels-last memory
    except (RuntimeError, ValueError) as error:
        raise UserError(f"{path.name} could not be run ({error}). Export it anew.") from error
    expected = (1, 3, scale * tile[0], scale * tile[1])
    if tuple(sr.shape) != expected:
        raise UserError(
            f"{path.name} says that it enlarges {scale} times, and makes {tuple(sr.shape)} of a tile "
            f"where {expected} is due. Export it anew."
        )
    return sr


def find_artifact(engine: str, model: str, scale: int) -> Path:
    """The newest exported file of a network in ./artifacts; UserError says how to make one."""
    if engine not in SUFFIXES:
        raise unknown("engine", engine, ["torch", *SUFFIXES])
    found = list(ARTIFACTS.glob(f"{model}_x{scale}_*{SUFFIXES[engine]}"))
    if not found:
        raise UserError(
            f"No exported {engine} file of {model} x{scale} in ./{ARTIFACTS}. Make one: "
            f"python -m export.{engine} --model {model} --scale {scale}, or name one with --artifact."
        )
    return max(found, key=lambda path: path.stat().st_mtime)
