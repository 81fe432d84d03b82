"""What a target is. `edgesr.engines.<NAME>` runs the files that it writes."""

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch.export import ExportedProgram

from export.proof import Proof
from export.report import Budget, Census

TARGETS = ("executorch", "coreml")
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
class Interpreted(Target, Protocol):
    """A target whose runtime is not to be had here: an interpreter of ours runs its files."""

    PRECISIONS: dict[str, Any]
    """What the float part of a file can be computed in, by name."""
    NO_LATENCY: str
    """Why a report has none."""

    @staticmethod
    def default_precision(scheme: str) -> str:
        """Of a file of this scheme."""
        ...

    @staticmethod
    def label(scheme: str, precision: str) -> str:
        """Both as in file names."""
        ...

    @staticmethod
    def budget(scheme: str, precision: str) -> Budget:
        """What such a file may cost."""
        ...

    @staticmethod
    def verify(program: ExportedProgram, path: Path, precision: str) -> Proof:
        """Whether a file is the program, beyond what images can show."""
        ...
