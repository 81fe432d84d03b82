"""What a target is. `edgesr.engines.<NAME>` runs the files that it writes."""

import argparse
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch.export import ExportedProgram

from export.report import Census

TARGETS = ("executorch", "tflite")
"""Each is a module `export.<name>`."""


class Target(Protocol):
    """A target is a module with these names."""

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


@runtime_checkable
class HasOptions(Protocol):
    """A target with options of its own. Their values become facts of the file."""

    @staticmethod
    def add_options(parser: argparse.ArgumentParser) -> None:
        """Add them to the common ones."""
        ...

    @staticmethod
    def check_options(scheme: str, options: dict[str, Any]) -> None:
        """UserError if they do not suit a checkpoint of this scheme."""
        ...


@runtime_checkable
class ReadsBack(Protocol):
    """A target that can tell from a file alone what it says, whatever a runtime makes of it."""

    @staticmethod
    def faults(program: ExportedProgram, path: Path) -> list[str]:
        """Everything in which the file differs from the program that it was lowered from, in words."""
        ...
