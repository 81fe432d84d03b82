"""Write a checkpoint as a .tflite: `python -m export.tflite`."""

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

from torch.export import ExportedProgram

from edgesr import cli
from edgesr.engines.litert import FACTS
from edgesr.errors import UserError
from export import readback
from export.program import Graph
from export.report import Proof
from export.tfl.census import census, operators
from export.tfl.channels import orders
from export.tfl.file import read
from export.tfl.kernels import upscale
from export.tfl.profiles import DEFAULT_PROFILE, PROFILES
from export.tfl.rules import RULES
from export.tfl.writer import Writer

NAME: str = "tflite"
FOLD_WEIGHTS: bool = True
INT8, UINT8 = "int8", "uint8"


def add_options(parser: argparse.ArgumentParser) -> None:
    """What only a .tflite has; the chosen values become facts of the file."""
    summaries = "; ".join(f"{profile.name}: {profile.summary}" for profile in PROFILES.values())
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default=DEFAULT_PROFILE,
        help=f"for whom (default %(default)s). {summaries}",
    )
    parser.add_argument(
        "--ends",
        choices=[INT8, UINT8],
        default=INT8,
        help="type of the images of a quantized file; uint8 costs a conversion at each end "
        "(default %(default)s: the level minus 128)",
    )


def chosen(scheme: str, given: dict[str, Any]) -> dict[str, Any]:
    """The options, with defaults. UserError if the profile is not for checkpoints of this scheme."""
    options = {"profile": DEFAULT_PROFILE, "ends": INT8} | given
    profile = PROFILES[options["profile"]]
    if profile.schemes is not None and scheme not in profile.schemes:
        wanted = " or ".join(profile.schemes)
        raise UserError(
            f"--profile {profile.name} is for {profile.summary}: it takes a checkpoint of scheme "
            f"{wanted}, and this one is {scheme}. Name another with --scheme or --checkpoint."
        )
    return options


def lower(program: ExportedProgram, facts: dict[str, Any], path: Path) -> None:
    """Write `program` to `path` with its facts inside, as JSON in an entry of its metadata."""
    profile = PROFILES[facts["profile"]]
    unsigned = facts["ends"] == UINT8 and facts["scheme"] != "fp32"
    writer = Writer(Graph(program), profile, RULES)
    path.write_bytes(writer.write({FACTS: json.dumps(facts)}, unsigned=unsigned))


def prove(program: ExportedProgram, path: Path, facts: dict[str, Any]) -> Proof:
    """Whether the file holds the program, read back from its bytes without a runtime, and is for whom
    its profile says.
    """
    content = path.read_bytes()
    profile = PROFILES[facts["profile"]]
    return Proof({}, [*faults(program, content), *profile.faults(read(content))])


def faults(program: ExportedProgram, content: bytes) -> list[str]:
    """Everything in which a .tflite differs from the program that it was written from, in words."""
    file = read(content)
    return readback.faults(program, file, partial(upscale, file), orders(Graph(program)))


__all__ = [
    "FOLD_WEIGHTS",
    "NAME",
    "add_options",
    "census",
    "chosen",
    "faults",
    "lower",
    "operators",
    "prove",
]


if __name__ == "__main__":
    from export import command, tflite

    cli.run(lambda: command.main(tflite))
