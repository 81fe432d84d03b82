"""What a target is. `edgesr.engines.<NAME>` runs the files that it writes."""

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch.export import ExportedProgram

from edgesr import Upscaler
from edgesr.engines import engine_of
from export.census import Census, Operator
from export.report import BUDGETS, Budget, Proof

TARGETS = ("executorch", "tflite", "coreml")
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

    @staticmethod
    def operators(path: Path) -> list[Operator]:
        """What is in the file, in the order in which it runs."""
        ...


@runtime_checkable
class HasOptions(Protocol):
    """A target with options of its own. Their values become facts of the file."""

    @staticmethod
    def add_options(parser: argparse.ArgumentParser) -> None:
        """Add them to the common ones."""
        ...

    @staticmethod
    def chosen(scheme: str, given: dict[str, Any]) -> dict[str, Any]:
        """All of them, for a checkpoint of this scheme; None was not given. UserError for what does not
        suit it.
        """
        ...


@runtime_checkable
class Provable(Protocol):
    """A target that can tell from a file alone what it says, whatever a runtime makes of it."""

    @staticmethod
    def prove(program: ExportedProgram, path: Path, facts: dict[str, Any]) -> Proof:
        """Whether a file is the program that it was lowered from."""
        ...


@runtime_checkable
class Labelled(Protocol):
    """A target whose options are seen in a file's name."""

    @staticmethod
    def label(scheme: str, options: dict[str, Any]) -> str:
        """What a file is, as in its name."""
        ...


@runtime_checkable
class Elsewhere(Protocol):
    """A target some of whose files nothing on this host can run: none of them has passed."""

    @staticmethod
    def not_run(options: dict[str, Any]) -> str:
        """Why such a file cannot be run; empty where it can."""
        ...

    @staticmethod
    def interpreted(path: Path) -> Upscaler | None:
        """Such a file of one tile by an interpreter of ours; None where there is none."""
        ...


@runtime_checkable
class Interpreted(Protocol):
    """A target whose runtime is not to be had here: an interpreter of ours runs its files."""

    NO_LATENCY: str
    """Why a report has none."""

    @staticmethod
    def budget(scheme: str, options: dict[str, Any]) -> Budget:
        """What such a file may cost."""
        ...


def budget_of(target: Target, scheme: str, options: dict[str, Any]) -> Budget:
    """What a file of a checkpoint of this scheme may cost."""
    return target.budget(scheme, options) if isinstance(target, Interpreted) else BUDGETS[scheme]


def find_target(path: Path) -> Target:
    """The target that writes files of this suffix. UserError for a suffix that none has."""
    return import_module(f"export.{engine_of(path)}")  # pyright: ignore[reportReturnType]
