"""Lower a checkpoint to a .pte through XNNPACK: `python -m export.executorch`.

`--backend` lowers it for another of ExecuTorch's backends, whose files nothing here can run.
"""

import argparse
import copy
import json
from functools import partial
from pathlib import Path
from typing import Any

from executorch.exir import to_edge_transform_and_lower
from torch.export import ExportedProgram

from edgesr import Upscaler, cli
from edgesr.engines.executorch import FACTS
from export import backends, pte, readback
from export.backends import BACKENDS, XNNPACK
from export.census import Census, Operator
from export.report import Proof
from export.xnn.file import read
from export.xnn.kernels import upscale
from export.xnn.lowering import Partitioner

NAME: str = "executorch"
FOLD_WEIGHTS: bool = True


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which of ExecuTorch's backends."""
    parser.add_argument(
        "--backend",
        choices=[XNNPACK, *BACKENDS],
        default=XNNPACK,
        help="which of ExecuTorch's backends computes the file (default %(default)s). Files for the "
        "others are read back and not run: they are kept as .unrun, and no verdict is passed",
    )


def chosen(scheme: str, given: dict[str, Any]) -> dict[str, Any]:
    """The backend; every one takes every scheme."""
    return {"backend": XNNPACK} | given


def label(scheme: str, options: dict[str, Any]) -> str:
    """As in file names."""
    return scheme if options["backend"] == XNNPACK else f"{scheme}-{options['backend']}"


def not_run(options: dict[str, Any]) -> str:
    """Why nothing here can run such a file; empty where it can be run."""
    return "" if options["backend"] == XNNPACK else BACKENDS[options["backend"]].not_run


def interpreted(path: Path) -> Upscaler | None:
    """A file that cannot be run, by an interpreter of ours; None where there is none."""
    return backends.upscaler(path)


def census(path: Path) -> Census:
    """Count a .pte's operators, inside its delegates and outside."""
    return backends.read(path)[0] if backends.is_elsewhere(path) else pte.census(path)


def operators(path: Path) -> list[Operator]:
    """A .pte's operators in the order in which they run; those outside of its delegates come first
    where it is not for XNNPACK.
    """
    return backends.read(path)[1] if backends.is_elsewhere(path) else pte.operators(path)


def lower(program: ExportedProgram, facts: dict[str, Any], path: Path) -> None:
    """Write `program` to `path` with its facts inside: all as JSON, the numbers also one by one."""
    numbers = {
        "scale": facts["scale"],
        "tile_height": facts["tile"][0],
        "tile_width": facts["tile"][1],
        "overlap": facts["overlap"],
        "multiple": facts["multiple"],
    }
    backend = BACKENDS.get(facts.get("backend", XNNPACK))
    own = copy.copy(program)
    own._constants = dict(program.constants)  # ExecuTorch takes some out of the program that it gets
    edge = to_edge_transform_and_lower(
        own,
        partitioner=backend.partitioners(facts["scheme"]) if backend else [Partitioner()],
        constant_methods={FACTS: json.dumps(facts), **numbers},
    )
    path.write_bytes(edge.to_executorch().buffer)


def prove(program: ExportedProgram, path: Path, facts: dict[str, Any]) -> Proof:
    """Whether the file holds the program, read back from its bytes without a runtime."""
    if facts.get("backend", XNNPACK) != XNNPACK:
        return Proof({}, backends.faults(program, path))
    return Proof({}, faults(program, path.read_bytes()))


def faults(program: ExportedProgram, content: bytes) -> list[str]:
    """Everything in which a .pte differs from the program that it was lowered from, in words."""
    try:
        file = read(content)
    except ValueError as error:
        return [f"the file cannot be read back: {error}"]
    return readback.faults(program, file, partial(upscale, file))


__all__ = [
    "FOLD_WEIGHTS",
    "NAME",
    "add_options",
    "census",
    "chosen",
    "faults",
    "interpreted",
    "label",
    "lower",
    "not_run",
    "operators",
    "prove",
]


if __name__ == "__main__":
    from export import command, executorch

    cli.run(lambda: command.main(executorch))
