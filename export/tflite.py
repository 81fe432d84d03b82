"""Write a checkpoint as a .tflite: `python -m export.tflite`."""

import argparse
import json
from pathlib import Path
from typing import Any

from torch.export import ExportedProgram

from edgesr import cli
from edgesr.engines.interpreter import FACTS
from edgesr.errors import UserError
from export.tfl.census import census
from export.tfl.graph import Graph
from export.tfl.profiles import DEFAULT_PROFILE, PROFILES
from export.tfl.rules import RULES
from export.tfl.verify import faults as differences
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


def check_options(scheme: str, options: dict[str, Any]) -> None:
    """UserError if a checkpoint of this scheme is nothing for the chosen profile."""
    profile = PROFILES[options["profile"]]
    if profile.schemes is not None and scheme not in profile.schemes:
        wanted = " or ".join(profile.schemes)
        raise UserError(
            f"--profile {profile.name} is for {profile.summary}: it takes a checkpoint of scheme "
            f"{wanted}, and this one is {scheme}. Name another with --scheme or --checkpoint."
        )


def lower(program: ExportedProgram, facts: dict[str, Any], path: Path) -> None:
    """Write `program` to `path` with its facts inside, as JSON in an entry of its metadata."""
    profile = PROFILES[facts.get("profile", DEFAULT_PROFILE)]
    unsigned = facts.get("ends") == UINT8 and facts["scheme"] != "fp32"
    writer = Writer(Graph(program), profile, RULES)
    path.write_bytes(writer.write({FACTS: json.dumps(facts)}, unsigned=unsigned))


def faults(program: ExportedProgram, path: Path) -> list[str]:
    """Everything in which the file differs from the program, in words."""
    return differences(program, path.read_bytes())


__all__ = [
    "FOLD_WEIGHTS",
    "NAME",
    "add_options",
    "census",
    "check_options",
    "faults",
    "lower",
]


if __name__ == "__main__":
    from export import command, tflite

    cli.run(lambda: command.main(tflite))
