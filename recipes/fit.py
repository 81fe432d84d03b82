"""The training loop, the same for a float network and for a fake-quantized graph.

A step depends on the tensors before it and on its own number alone: the batch is drawn from the
seed and the number, the learning rate is a function of the number. So a run that was stopped, even
by a power cut, goes on to the very weights it would have reached (on one device and thread count).
"""

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.cli import Progress
from edgesr.errors import UserError
from recipes.run import Run, State
from recipes.settings import Settings

Batches = Callable[[int], tuple[Tensor, Tensor]]
"""Finished steps → LR (N,3,p,p) and HR (N,3,sp,sp), both uint8."""
LOGGED_ROWS = 1000


def use_device(name: str, threads: int) -> torch.device:
    """The device called `name` (auto, cpu, cuda), made repeatable. UserError if it is not there."""
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"Unknown device {name!r}. Known: auto, cpu, cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: PyTorch sees no CUDA device here. Use --device cpu.")
    if threads < 1:
        raise UserError(f"threads is {threads}; it must be 1 or more.")
    torch.set_num_threads(threads)  # how a sum is split among threads decides its last bits
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only so
    torch.use_deterministic_algorithms(True, warn_only=True)
    cuda = name != "cpu" and torch.cuda.is_available()
    return torch.device("cuda" if cuda else "cpu")


def fit(
    network: nn.Module,
    batches: Batches,
    settings: Settings,
    run: Run,
    *,
    device: torch.device,
    before_step: Callable[[int], None] | None = None,
    validate: Callable[[nn.Module], float] | None = None,
) -> State:
    """Train `network` in place by L1 loss and Adam until `settings.steps`, from where `run` stands.

    `before_step(step)` is called ahead of each step with the number of finished ones. `validate`
    measures the network, which is in eval mode meanwhile, in dB. Ctrl-C finishes the step, saves
    and raises KeyboardInterrupt. UserError if the loss or its gradient is no longer finite: what
    was saved before stays.
    """
    network.to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.lr)
    state = run.load_state(network, optimizer)
    run.cut_log(state.step)
    if state.step == 0:  # whatever the network was made from may change before a resume
        run.save_state(state, network, optimizer)
    saved, total = time.monotonic(), settings.steps
    with Progress(total, "training", "step", state.step) as bar, _deferring_ctrl_c() as interrupted:
        while state.step < total:
            began = time.monotonic()
            if before_step is not None:
                before_step(state.step)
            lr, hr = (_to_float(images, device) for images in batches(state.step))
            loss = _step(network, optimizer, lr, hr, settings, state.step)
            rate = len(lr) / (time.monotonic() - began)

            done = state.step + 1
            due = validate is not None and _validates(settings, done)
            psnr = _measured(validate, network) if due else None
            if due or done == total or done % math.ceil(total / LOGGED_ROWS) == 0:
                run.log(done, loss, settings.lr_at(state.step), round(rate, 1), psnr)
            bar.advance(loss=f"{loss:.5f}", images=f"{rate:.1f}/s")

            seconds = state.seconds + time.monotonic() - began
            state = replace(
                state, step=done, loss=loss, seconds=seconds, psnr=psnr if due else state.psnr
            )
            old = time.monotonic() - saved >= settings.save_every
            if old or done == total or interrupted.is_set():
                run.save_state(state, network, optimizer)
                saved = time.monotonic()
            if interrupted.is_set():
                print(f"\nSaved after step {done}. Continue with: --resume {run.folder}", flush=True)
                raise KeyboardInterrupt
    return state


def _step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    lr: Tensor,
    hr: Tensor,
    settings: Settings,
    step: int,
) -> float:
    """One optimizer step; its loss. UserError, before the weights change, if that is not finite."""
    rate = settings.lr_at(step)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    loss = F.l1_loss(network(lr), hr)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(network.parameters(), settings.clip or math.inf)
    value, size = loss.item(), norm.item()
    if not (math.isfinite(value) and math.isfinite(size)):
        raise UserError(
            f"Training broke down at step {step + 1}, learning rate {rate:.3g}: the loss is "
            f"{value}, the norm of its gradient {size}. Try a smaller --lr in a new run."
        )
    optimizer.step()
    return value


def _to_float(images: Tensor, device: torch.device) -> Tensor:
    """uint8 → float32 in [0,1], on the device: a quarter of the bytes to move."""
    return images.to(device, non_blocking=True).float() / 255


def _validates(settings: Settings, done: int) -> bool:
    every = settings.validate_every
    return done == settings.steps or (every > 0 and done % every == 0)


def _measured(validate: Callable[[nn.Module], float] | None, network: nn.Module) -> float:
    assert validate is not None
    network.eval()
    psnr = validate(network)
    network.train()
    return psnr


@contextmanager
def _deferring_ctrl_c() -> Iterator[Event]:
    """Set an event on Ctrl-C instead of raising in the middle of a step; a second one raises."""
    asked, previous = Event(), signal.getsignal(signal.SIGINT)

    def note(*_: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, previous)
