"""What a target is, and the command line that all targets share."""

import argparse
from pathlib import Path
from typing import Any, Protocol

from torch.export import ExportedProgram

from edgesr import checkpoint as checkpoints
from edgesr import weights
from edgesr.checkpoint import Checkpoint
from edgesr.engines import ARTIFACTS
from edgesr.errors import UserError
from edgesr.models import find_trainable
from edgesr.quantization import SCHEMES
from export.report import Census

TARGETS = ("executorch",)
"""Each is a module `export.<name>`."""

RUNS = Path("runs")
BUNDLED = ("msfin-s", 4)
FP32 = "fp32"


class Target(Protocol):
    """A target is a module with these names; `edgesr.engines.<NAME>` runs its files."""

    NAME: str
    FOLD_WEIGHTS: bool
    """Whether it wants int8 weights in the program, or float ones with their quantize operators."""

    @staticmethod
    def lower(program: ExportedProgram, facts: dict[str, Any], path: Path) -> None:
        """Write the file."""
        ...

    @staticmethod
    def census(path: Path) -> Census:
        """Count what is in the file."""
        ...


def main(target: Target) -> None:
    """Export a checkpoint, verify the file and write its report. UserError if it fails its budget."""
    from export.pipeline import Request, export

    args = _parser(target.NAME).parse_args()
    checkpoint = choose_checkpoint(args.checkpoint, args.model, args.scale, args.scheme)
    reference = checkpoints.load(args.float_checkpoint) if args.float_checkpoint else None
    request = Request(checkpoint, _tile(args.tile), args.overlap, args.out, args.benchmark, reference)
    export(target, request, say=print)


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m export.{name}",
        description=f"Lower a checkpoint to {name}, run the file, compare it with the trained network "
        "and write a report beside it. A file outside its budget is kept as .rejected, with exit "
        "status 1. With no arguments: the newest QAT run under ./runs, else the bundled weights.",
    )
    add = parser.add_argument
    add("--checkpoint", type=Path, help="a checkpoint of recipes.qat or recipes.train")
    add("--model", help="export this network's newest QAT run, else its bundled weights")
    add("--scale", type=int, help="with --model: 2, 3 or 4 (default 4)")
    add("--scheme", choices=[*SCHEMES, FP32], help="with --model (default w8a8)")
    add("--tile", default="64x64", help="LR height x width of the one input (default %(default)s)")
    add("--overlap", type=int, default=8, help="LR pixels that tiles share at inner edges (default 8)")
    add("--out", type=Path, default=ARTIFACTS, help="folder for the file (default ./%(default)s)")
    add(
        "--benchmark",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="score the file on these and compare images on them; else on images drawn here",
    )
    add("--float-checkpoint", type=Path, help="the float network to compare with (default: its parent)")
    return parser


def _tile(text: str) -> tuple[int, int]:
    parts = text.split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise UserError(f"--tile {text!r} is not HEIGHTxWIDTH in LR pixels, as in 64x64.")
    return int(parts[0]), int(parts[1])


def choose_checkpoint(
    path: Path | None, model: str | None, scale: int | None, scheme: str | None
) -> Checkpoint:
    """The checkpoint that the options name. UserError if they contradict it or nothing is found."""
    if path is not None:
        return _agreeing(checkpoints.load(path), model, scale, scheme)
    if model is not None:
        find_trainable(model)
    elif scale is not None or scheme is not None:
        raise UserError("--scale and --scheme choose among a network's checkpoints: give --model too.")
    quantized = scheme != FP32
    runs = _newest_run(model, (scale or 4) if model else None) if quantized else None
    wanted = (model or BUNDLED[0], scale or BUNDLED[1], scheme or "w8a8")
    found = runs or weights.find(wanted[0], wanted[1], wanted[2] if quantized else None)
    if found is None:
        verb = "qat" if quantized else "train"
        raise UserError(
            f"There is no {wanted[2]} checkpoint of {wanted[0]} x{wanted[1]}: none is bundled and no run "
            f"under ./{RUNS} has one. Make one: python -m recipes.{verb} --model {wanted[0]} "
            f"--scale {wanted[1]}, or name one with --checkpoint."
        )
    return checkpoints.load(found)


def _newest_run(model: str | None, scale: int | None) -> Path | None:
    """The newest finished QAT checkpoint under ./runs, of this network if one is named."""
    for path in sorted(RUNS.rglob("checkpoint.json"), key=lambda p: p.stat().st_mtime, reverse=True):
        facts = checkpoints.read_facts(path)
        if facts["scheme"] and model in (None, facts["model"]) and scale in (None, facts["scale"]):
            return path
    return None


def find_by_sha256(digest: str | None) -> Path | None:
    """The checkpoint under ./runs or among the bundled ones whose tensors have this SHA-256."""
    known = [*RUNS.rglob("checkpoint.json"), *weights.FOLDER.glob("*.json")]
    return next((p for p in known if checkpoints.read_facts(p)["sha256"] == digest), None)


def _agreeing(
    checkpoint: Checkpoint, model: str | None, scale: int | None, scheme: str | None
) -> Checkpoint:
    actual = (checkpoint.model, checkpoint.scale, checkpoint.scheme or FP32)
    for option, wanted, is_ in zip(("model", "scale", "scheme"), (model, scale, scheme), actual, strict=True):
        if wanted is not None and wanted != is_:
            raise UserError(
                f"The checkpoint's {option} is {is_}, not {wanted}. Leave --{option} away, "
                "or name another checkpoint."
            )
    return checkpoint
