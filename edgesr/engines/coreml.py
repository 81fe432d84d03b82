"""Run an .mlpackage anywhere: by our interpreter, not by Core ML, which only Apple's systems have.

What it computes is what the operations in the file are documented to compute, with values stored as the
file stores them. How long it takes says nothing of a phone.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from edgesr.engines.interpreter import Interpreter
from edgesr.engines.mlpackage import read_program
from edgesr.errors import UserError
from edgesr.files import parse_json

FACTS = "edgesr_facts"
"""The entry of a package's metadata that holds its facts as JSON."""

LEVELS = 255
"""Its images are of 8 bits: the input's and the output's largest value."""


def open_file(path: Path) -> tuple[dict[str, Any], Callable[[Tensor], Tensor]]:
    """The facts inside a package and its forward. UserError if it is not a sound package of ours."""
    program = read_program(path)
    if FACTS not in program.metadata:
        raise UserError(f"{path} was not exported by edgesr: its metadata has no {FACTS}.")
    try:
        facts = parse_json(program.metadata[FACTS])
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}).") from error
    interpreter = Interpreter(program)

    def run(lr: Tensor) -> Tensor:
        """The package takes an image of whole levels: what lies between is rounded."""
        return interpreter((lr * LEVELS).round()) / LEVELS

    return facts, run
