"""Run a .pte in the ExecuTorch runtime. The only file that imports it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from edgesr.errors import UserError

FACTS = "edgesr_facts"
"""The method of a .pte that returns its facts as JSON."""


def open_file(path: Path) -> tuple[dict[str, Any], Callable[[Tensor], Tensor]]:
    """The facts inside the file and its forward. UserError if it is not an executable .pte of ours."""
    try:
        from executorch.runtime import Runtime, Verification
    except ImportError as error:
        raise UserError(
            f"Running {path.name} needs the ExecuTorch runtime: pip install 'edgesr[executorch]'"
        ) from error
    content = path.read_bytes()
    try:
        program = Runtime.get().load_program(content, verification=Verification.InternalConsistency)
        if FACTS not in program.method_names:
            raise UserError(f"{path} was not exported by edgesr: it has no method {FACTS}.")
        facts = json.loads(_method(program, FACTS).execute([])[0])
        forward = _method(program, "forward")
    except (RuntimeError, json.JSONDecodeError) as error:
        raise UserError(
            f"{path} is damaged or not a .pte of this ExecuTorch version ({error})."
        ) from error

    # the method computes on memory of both, which must live as long as it does
    def run(lr: Tensor, _alive: tuple[object, bytes] = (program, content)) -> Tensor:
        return forward.execute((lr,))[0]

    return facts, run


def _method(program: Any, name: str) -> Any:
    method = program.load_method(name)
    if method is None:
        raise UserError(f"This .pte has no method {name!r}.")
    return method
