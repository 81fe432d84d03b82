"""The training loop, the same for a float network and for a fake-quantized graph.

A step depends on the tensors before it and on its own number alone: the batch is drawn from the
seed and the number, the learning rate is a function of the number. So a run that was stopped, even
by a power cut, goes on to the very weights it would have reached (on one device and thread count).

A GPU is not asked for a step's loss before the next step is on its way: losses are read some steps at
a time. What is logged, validated or saved was read, and found finite, before.
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
from torch.utils import deterministic

from edgesr.cli import Progress
from edgesr.errors import UserError
from recipes import processes
from recipes.run import Run, State
from recipes.settings import Settings
from recipes.step import Step
from recipes.views import Views

Batches = Callable[[int], tuple[Tensor, Tensor]]
"""Finished steps → LR (N,3,p,p) and HR (N,3,sp,sp), both uint8; N is this process's share."""
LOGGED_ROWS = 1000
READ_EVERY = 20  # steps on a GPU between two readings of losses


def use_device(name: str, threads: int) -> torch.device:
    """The device called `name` (auto, cpu, cuda), made repeatable. UserError if it is not there."""
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"Unknown device {name!r}. Known: auto, cpu, cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: PyTorch sees no CUDA device here. Use --device cpu.")
    if not 1 <= threads <= 1024:
        raise UserError(f"threads is {threads}; it must be from 1 to 1024.")
    torch.set_num_threads(threads)  # how a sum is split among threads decides its last bits
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats itself only so
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing here reads memory it did not write, and filling every new tensor costs bandwidth.
    deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", processes.local_rank())
    torch.cuda.set_device(device)
    return device


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
    """Train `network` in place until `settings.steps`, from where `run` stands.

    `before_step(step)` is called ahead of each step with the number of finished ones. `validate`
    measures the network, which is in eval mode meanwhile, in dB. Where averaged weights are asked for,
    they are what is measured, and what `network` has in the end. Ctrl-C (and SIGTERM) finishes the
    step, saves and raises KeyboardInterrupt. UserError if the loss or its gradient is no longer finite:
    what was saved before stays. Of several processes the first alone validates and writes into `run`.
    """
    network.to(device).train()  # captured graphs return nothing here
    step = Step(network, settings, device)
    main, total = processes.is_main(), settings.steps
    state = run.load_state(network, step.optimizer, step.average)
    step.begin()
    views = Views(run, state.step)
    if main:
        run.cut_log(state.step)
        if state.step == 0:  # whatever the network was made from may change before a resume
            run.save_state(state, network, step.optimizer, step.average)
    unread: list[Tensor] = []
    saved = began = time.monotonic()
    with Progress(total, "training", "step", state.step) as bar, _deferring_ctrl_c() as interrupted:
        while state.step < total:
            done = state.step + len(unread)
            if before_step is not None:
                before_step(done)
            unread.append(step(*batches(done), settings.lr_at(done)))
            done += 1
            due = validate is not None and _validates(settings, done)
            logged = due or done == total or done % math.ceil(total / LOGGED_ROWS) == 0
            if device.type != "cpu" and not logged and done % READ_EVERY:
                continue
            loss, stop = _read(unread, interrupted.is_set(), settings, state.step)
            psnr = _measured(validate, step.result) if due and main else None
            now = time.monotonic()
            rate = len(unread) * settings.batch / (now - began)
            bar.advance(len(unread), loss=f"{loss:.5f}", images=f"{rate:.1f}/s")
            seconds, began = state.seconds + now - began, now
            known = state.psnr if psnr is None else psnr
            state = replace(state, step=done, loss=loss, seconds=seconds, psnr=known)
            unread.clear()
            if not main:
                if stop:
                    raise KeyboardInterrupt
                continue
            if logged:
                views.add(done, loss, settings.lr_at(done - 1), round(rate, 1), psnr)
            if now - saved >= settings.save_every or done == total or stop:
                run.save_state(state, network, step.optimizer, step.average)
                views.draw(stop or done == total)
                saved = time.monotonic()
            if stop:
                print(f"\nSaved after step {done}. Continue with: --resume {run.folder}", flush=True)
                raise KeyboardInterrupt
    if step.average is not None:
        network.load_state_dict(step.result.state_dict())
    return state


def _read(unread: list[Tensor], stop: bool, settings: Settings, first: int) -> tuple[float, bool]:
    """The last loss, over all processes, and whether one was told to stop; `first` steps were read.

    UserError where a loss or a norm is not finite.
    """
    values, stop = processes.mean(torch.stack(unread), stop)
    for number, (loss, norm) in enumerate(values.tolist()):
        if not (math.isfinite(loss) and math.isfinite(norm)):
            step = first + number
            raise UserError(
                f"Training broke down at step {step + 1}, learning rate {settings.lr_at(step):.3g}: the "
                f"loss is {loss}, the norm of its gradient {norm}. Try a smaller --lr in a new run."
            )
    return values[-1, 0].item(), stop


def _validates(settings: Settings, done: int) -> bool:
    every = settings.validate_every
    return done == settings.steps or (every > 0 and done % every == 0)


def _measured(validate: Callable[[nn.Module], float] | None, network: nn.Module) -> float:
    assert validate is not None
    training = network.training
    network.eval()
    psnr = validate(network)
    network.train(training)
    return psnr


@contextmanager
def _deferring_ctrl_c() -> Iterator[Event]:
    """Set an event on Ctrl-C instead of raising in the middle of a step; a second one raises.

    SIGTERM counts as well: it is how schedulers, and `torchrun`, tell a process to end.
    """
    asked, signals = Event(), (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.getsignal(number) for number in signals}

    def note(number: int, _: object) -> None:
        asked.set()
        signal.signal(number, previous[signal.Signals(number)])

    for number in signals:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
