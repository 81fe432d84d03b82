"""The command line that all targets share."""

import argparse
from pathlib import Path

from edgesr import checkpoint as checkpoints
from edgesr.engines import ARTIFACTS
from edgesr.errors import UserError
from edgesr.quantization import DEFAULT_SCHEME, SCHEMES
from export.choose import FP32, choose_checkpoint
from export.pipeline import Request, export
from export.target import HasOptions, Target

TILE = "64x64"


def main(target: Target) -> None:
    """Export a checkpoint, verify the file and write its report. UserError if it fails its budget."""
    parser = _parser(target)
    common = vars(parser.parse_args([])).keys()
    if isinstance(target, HasOptions):
        target.add_options(parser)
    args = parser.parse_args()
    checkpoint = choose_checkpoint(args.checkpoint, args.model, args.scale, args.scheme)
    reference = checkpoints.load(args.float_checkpoint) if args.float_checkpoint else None
    request = Request(
        checkpoint,
        parse_size("--tile", args.tile, TILE),
        args.overlap,
        args.out,
        args.benchmark,
        reference,
        {name: value for name, value in vars(args).items() if name not in common},
    )
    export(target, request, say=print)


def _parser(target: Target) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m export.{target.NAME}",
        description=f"Lower a checkpoint to {target.NAME}, run the file, compare it with the trained "
        "network and write a report beside it. A file outside its budget is kept as .rejected, with "
        "exit status 1. With no arguments: the newest QAT run under ./runs, else the bundled weights.",
    )
    add = parser.add_argument
    add("--checkpoint", type=Path, help="a checkpoint of recipes.qat or recipes.train")
    add("--model", help="export this network's newest QAT run, else its bundled weights")
    add("--scale", type=int, help="with --model: 2, 3 or 4 (default 4)")
    add("--scheme", choices=[*SCHEMES, FP32], help=f"with --model (default {DEFAULT_SCHEME})")
    add("--tile", default=TILE, help="LR height x width of the one input (default %(default)s)")
    add(
        "--overlap",
        type=int,
        default=8,
        help="LR pixels that tiles share at inner edges (default 8)",
    )
    add("--out", type=Path, default=ARTIFACTS, help="folder for the file (default ./%(default)s)")
    add(
        "--benchmark",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="score the file on these and compare images on them; else on images drawn here",
    )
    add(
        "--float-checkpoint",
        type=Path,
        help="the float network to compare with (default: its parent)",
    )
    return parser


def parse_size(option: str, text: str, example: str) -> tuple[int, int]:
    """HEIGHTxWIDTH as two numbers. UserError names the option and gives the example."""
    parts = text.split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise UserError(f"{option} {text!r} is not HEIGHTxWIDTH in LR pixels, as in {example}.")
    return int(parts[0]), int(parts[1])
