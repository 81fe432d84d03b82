"""Run a .pte in the ExecuTorch runtime. The only file that imports it."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from edgesr.errors import UserError
from edgesr.files import parse_json

FACTS = "edgesr_facts"
"""The method of a .pte that returns its facts as JSON."""


def open_file(path: Path) -> tuple[dict[str, Any], Callable[[Tensor], Tensor]]:
    """The facts inside the file and its forward. UserError if it is not an executable .pte of ours.

    Not every damage is found: some kinds end the process (see `edgesr.engines.trial`).
    """
    try:
        runtime = _runtime()
    except ImportError as error:
        raise UserError(
            f"Running {path.name} needs the ExecuTorch runtime: pip install 'edgesr[executorch]'"
        ) from error
    content = path.read_bytes()
    try:
        program = _program(runtime, content)
        names = {program.get_method_name(index) for index in range(program.num_methods())}
        for name in (FACTS, "forward"):
            if name not in names:
                raise UserError(f"{path} was not exported by edgesr: it has no method {name}.")
        facts = parse_json(program.load_method(FACTS)([])[0])
        forward = program.load_method("forward")
    except UserError:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise UserError(
            f"{path} is damaged or not a .pte of this ExecuTorch version ({error})."
        ) from error

    # the method computes on memory of both, which must live as long as it does
    def run(lr: Tensor, _alive: tuple[object, bytes] = (program, content)) -> Tensor:
        return forward((lr,))[0]

    return facts, run


def use_threads(count: int) -> None:
    """Give the runtime's thread pool `count` threads; it begins with one per core.

    Files that were opened before hold on to the old pool and must not run again.
    """
    runtime = _runtime()
    if runtime._threadpool_get_thread_count() != count:
        runtime._unsafe_reset_threadpool(count)


def trace(path: Path, lr: Tensor, runs: int) -> bytes:
    """The ETDump of `runs` runs of a file on one LR tile: when each operator began and ended.

    The runtime measures them only if it is told so as it opens a file, hence not in `open_file`.
    """
    content = path.read_bytes()
    program = _program(_runtime(), content, enable_etdump=True)
    forward = program.load_method("forward")
    for _ in range(runs):
        forward((lr,))
    with TemporaryDirectory() as folder:
        dump = Path(folder, "run.etdp")
        program.write_etdump_result_to_file(str(dump), str(Path(folder, "tensors.bin")))
        return dump.read_bytes()


def _runtime() -> Any:
    """The runtime's own module: `executorch.runtime` around it imports the exporter, for seconds."""
    import torch as _  # noqa: F401  its libraries are what the runtime's need
    from executorch.extension.pybindings import _C

    return _C


def _program(runtime: Any, content: bytes, **options: Any) -> Any:
    """A file's content, its tables verified."""
    checked = runtime.Verification.InternalConsistency
    return runtime._load_program_from_buffer(content, program_verification=checked, **options)
