"""Run a .pte in the ExecuTorch runtime. The only file that imports it."""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
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


def use_threads(count: int) -> None:
    """Give the runtime's thread pool `count` threads; it begins with one per core.

    Files that were opened before hold on to the old pool and must not run again.
    """
    from executorch.extension.pybindings import portable_lib

    if portable_lib._threadpool_get_thread_count() != count:
        portable_lib._unsafe_reset_threadpool(count)


def trace(path: Path, lr: Tensor, runs: int) -> bytes:
    """The ETDump of `runs` runs of a file on one LR tile: when each operator began and ended.

    The runtime measures them only if it is told so as it opens a file, hence not in `open_file`.
    """
    from executorch.runtime import Runtime

    program = Runtime.get().load_program(path.read_bytes(), enable_etdump=True)
    forward = _method(program, "forward")
    for _ in range(runs):
        forward.execute((lr,))
    with TemporaryDirectory() as folder:
        dump = Path(folder, "run.etdp")
        program.write_etdump_result_to_file(str(dump), str(Path(folder, "tensors.bin")))
        return dump.read_bytes()


def _method(program: Any, name: str) -> Any:
    method = program.load_method(name)
    if method is None:
        raise UserError(f"This .pte has no method {name!r}.")
    return method
