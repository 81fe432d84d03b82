"""Run a .tflite in LiteRT, or in the older tflite-runtime."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgesr.engines.litert import facts_text, open_interpreter, run, runtime
from edgesr.errors import UserError
from edgesr.files import parse_json

_threads: int | None = None


def open_file(path: Path) -> tuple[dict[str, Any], Callable[[Tensor], Tensor]]:
    """The facts inside the file and its forward. UserError if it is not a sound .tflite of ours."""
    try:
        runtime()
    except ImportError as error:
        raise UserError(
            f"Running {path.name} needs a TFLite runtime ({error}): pip install 'edgesr[tflite]'"
        ) from error
    content = path.read_bytes()
    try:
        text = facts_text(content)
        if text is None:
            raise UserError(f"{path} was not exported by edgesr: it has no facts of ours.")
        facts = parse_json(text)
        interpreter = open_interpreter(content, threads=_threads or torch.get_num_threads())
    except UserError:
        raise
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"{path} is damaged or not a .tflite that this runtime reads ({error})."
        ) from error

    def forward(lr: Tensor) -> Tensor:
        sr = run(interpreter, lr.permute(0, 2, 3, 1).contiguous().numpy())
        return torch.from_numpy(sr).permute(0, 3, 1, 2).contiguous()

    return facts, forward


def use_threads(count: int) -> None:
    """Give files that are opened from now on `count` threads each; else it is as many as PyTorch has."""
    global _threads
    _threads = count
