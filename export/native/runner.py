"""The runner as an upscaler of single tiles, wherever its command runs it."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import torch
from torch import Tensor

from edgesr import Upscaler
from edgesr.errors import UserError
from export.native.build import RUNNERS


@contextmanager
def running(
    command: Sequence[str], model: Path, scale: int, folder: Path | None = None
) -> Iterator[Upscaler]:
    """A process that holds a file open, as an upscaler of one tile: LR (1,3,h,w) → SR.

    `command` starts the runner, in `folder`; the model is added to it. UserError in the runner's own
    words if it stops, on a tile or at the end.
    """
    with TemporaryFile() as log:  # a pipe would fill and stop the process
        process = subprocess.Popen(
            [*command, str(model.absolute())],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )

        def failed() -> UserError:
            status = process.wait()
            log.seek(0)
            return failure(model.name, status, log.read().decode(errors="replace"))

        def upscale(lr: Tensor) -> Tensor:
            sr = _exchange(process, lr, (*lr.shape[:2], *(scale * side for side in lr.shape[2:])))
            if sr is None:
                raise failed()
            return sr

        try:
            yield upscale
        except BaseException:
            process.kill()
            process.communicate()
            raise
        if process.communicate()[0]:
            raise UserError(f"The runner of {model.name} wrote more than it was asked for.")
        if process.returncode:
            raise failed()


def _exchange(process: subprocess.Popen[bytes], lr: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    """Send a tile and wait for the SR of that shape; None if the process stops first."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(lr.contiguous().numpy().tobytes())
        process.stdin.flush()
    except BrokenPipeError:
        return None
    content = process.stdout.read(4 * prod(shape))
    if len(content) < 4 * prod(shape):
        return None
    return torch.frombuffer(bytearray(content), dtype=torch.float32).reshape(shape)


def bench(
    command: Sequence[str], model: Path, options: Sequence[str], folder: Path | None = None
) -> dict[str, Any]:
    """What `--bench` prints about a model, read. UserError if it fails or prints something else."""
    done = subprocess.run(
        [*command, str(model.absolute()), "--bench", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise failure(model.name, done.returncode, done.stderr)
    return read_bench(done.stdout, model.name)


def read_bench(text: str, model: str) -> dict[str, Any]:
    """The line of JSON that `--bench` prints. UserError if it is none or lacks a figure."""
    try:
        measured = json.loads(text.strip().splitlines()[-1])
        return {
            "load_ms": float(measured["load_ms"]),
            "median_ms": float(measured["median_ms"]),
            "p90_ms": float(measured["p90_ms"]),
            "peak_rss_bytes": int(measured["peak_rss_bytes"]),
            "threads": int(measured["threads"]),
            "warmup": int(measured["warmup"]),
            "runs_ms": [float(ms) for ms in measured["runs_ms"]],
        }
    except (IndexError, KeyError, TypeError, ValueError) as error:
        said = " ".join(text.split())[-200:] or "nothing"
        raise UserError(
            f"The runner was to print its figures for {model} and printed: {said}"
        ) from error


def failure(model: str, status: int, log: str) -> UserError:
    """Why a runner stopped: its own line, or the last that was said."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    names = tuple(f"{runner.name}: " for runner in RUNNERS.values())
    own = [line.partition(": ")[2] for line in lines if line.startswith(names)]
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    reason = (own or lines[-1:] or ["it said nothing"])[-1]
    return UserError(f"The runner of {model} {how}: {reason}")
