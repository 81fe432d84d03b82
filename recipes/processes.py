"""One process or several: what `torchrun` starts, on one machine or many, runs the same recipe.

    torchrun --nproc-per-node 4 -m recipes.train --model lffn-s --data DIV2K

Every process draws the same places for a step and trains on its own share of them; gradients are
averaged. So a step is the same for any number of processes, but for the order of its sums. The first
process alone prints, logs, validates and saves. Without `torchrun` all of this is the one process.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from edgesr.cli import Progress
from edgesr.errors import UserError

PATIENCE = timedelta(hours=2)
"""How long a process waits for the others: one may be decoding a large folder."""

T = TypeVar("T")


@contextmanager
def together() -> Iterator[None]:
    """Join the other processes, if `torchrun` started any, for the length of the block."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    out, quiet = sys.stdout, Progress.silent
    try:
        if not is_main():
            sys.stdout, Progress.silent = Path(os.devnull).open("w"), True  # noqa: SIM115
        yield
    finally:
        sys.stdout, Progress.silent = out, quiet
        distributed.destroy_process_group()


def count() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_main() -> bool:
    """Whether this one prints, logs, validates and saves."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def local_rank() -> int:
    """Number of this process on its machine, which is that of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def share(batch: int) -> slice:
    """Which of a step's patches are this process's. UserError if they cannot be shared equally."""
    if batch % count():
        raise UserError(
            f"A batch of {batch} patches cannot be shared equally by {count()} processes: give a "
            f"--batch that is a multiple of {count()}, or start another number of processes."
        )
    rank, size = (distributed.get_rank() if distributed.is_initialized() else 0), batch // count()
    return slice(rank * size, (rank + 1) * size)


def from_main(make: Callable[[], T]) -> T:
    """What `make` returns in the first process, in all of them; its UserError too.

    What is made travels between our own processes by `torch.distributed`, never through a file.
    """
    if count() == 1:
        return make()
    said: list[Any] = [None, None]
    if is_main():
        try:
            said = [make(), None]
        except UserError as error:
            said = [None, error]
    distributed.broadcast_object_list(said, src=0, device=torch.device("cpu"))
    if said[1] is not None:
        raise said[1]
    return said[0]


def mean(values: Tensor, stop: bool) -> tuple[Tensor, bool]:
    """The mean of all processes' `values`, on the CPU, and whether any of them wants to stop."""
    if count() == 1:
        return values.cpu(), stop
    told = torch.cat([values.double().cpu().flatten(), torch.tensor([float(stop)]).double()])
    distributed.all_reduce(told)  # in gloo: it is a few numbers
    return (told[:-1] / count()).view(values.shape), told[-1].item() > 0
