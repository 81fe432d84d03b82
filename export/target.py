"""What a target is. `edgesr.engines.<NAME>` runs the files that it writes."""

from pathlib import Path
from typing import Any, Protocol

from torch.export import ExportedProgram

from export.report import Census

TARGETS = ("executorch",)
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
