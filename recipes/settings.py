"""How long, on what and how fast to train."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from edgesr.errors import UserError

SMALLEST_PATCH = 8  # below it, a held-out image may be too small to be scored

CHOICES = {
    "decay": ("cosine", "halving"),
    "optimizer": ("adam", "adamp"),
    "loss": ("l1", "l2"),
    "precision": ("float32", "tf32", "bfloat16"),
    "compile": ("no", "default", "cuda-graphs"),
}


RANGES = {
    "steps": (1, 10**9),
    "batch": (1, 2**16),
    "accumulate": (1, 2**16),
    "patch": (SMALLEST_PATCH, 2**14),
    "seed": (0, 2**63 - 1),
    "validate_every": (0, 10**9),
}
"""Whole numbers, from and to: beyond that a typing error would ask for all memory."""

REALS = {"lr": False, "final_lr": False, "clip": True, "ema": True, "save_every": False}
"""Other numbers, and whether None is one of their values."""


@dataclass(frozen=True)
class Settings:
    """What decides every step of a training, together with the network and the images."""

    steps: int
    """Optimizer steps. The learning rate's decay always spans all of them, however few."""
    batch: int
    """Patches per step."""
    patch: int
    """Side of an LR patch in pixels."""
    lr: float
    """Learning rate of the first step."""
    final_lr: float
    """Learning rate that the decay arrives at."""
    decay: Literal["cosine", "halving"]
    """From `lr` to `final_lr` along half a cosine, or in equally long plateaus of half the rate."""
    clip: float | None = None
    """Largest norm of the gradient, None for no limit."""
    optimizer: Literal["adam", "adamp"] = "adam"
    """Betas 0.9 and 0.999, epsilon 1e-8, no weight decay."""
    loss: Literal["l1", "l2"] = "l1"
    ema: float | None = None
    """How much of the averaged weights each step keeps, such as 0.999; None for no average."""
    accumulate: int = 1
    """Parts that a step's patches are passed through the network in, for want of memory."""
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    """Of products: tf32 rounds factors to 10 bits on GPUs that can, bfloat16 is autocast."""
    channels_last: bool = False
    """Whether a pixel's channels lie side by side in memory."""
    compile: Literal["no", "default", "cuda-graphs"] = "no"
    """Whether `torch.compile` rewrites the network first, and replays its kernels as CUDA graphs."""
    seed: int = 0
    """Of the network's first weights and of every batch."""
    validate_every: int = 0
    """Steps between validations; 0 validates at the end only."""
    save_every: float = 60.0
    """Seconds between two savings of the state. It changes no number, only what a crash costs."""

    def __post_init__(self) -> None:
        """Raise UserError for a setting out of its range."""
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            if type(value) is not int or value > most:
                raise UserError(f"{name} is {value!r:.60}; it must be a whole number up to {most}.")
            if value < least:
                raise UserError(f"{name} is {value}; it must be {least} or more.")
        for name, optional in REALS.items():
            value = getattr(self, name)
            if type(value) not in (int, float) and not (optional and value is None):
                raise UserError(f"{name} is {value!r:.60}; it must be a number.")
        if type(self.channels_last) is not bool:
            raise UserError(f"channels_last is {self.channels_last!r:.60}; it must be true or false.")
        for name in ("lr", "final_lr", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < float(value) < math.inf:
                raise UserError(f"{name} is {value}; it must be a number above 0.")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UserError(f"Unknown {name} {getattr(self, name)!r}. Known: {', '.join(known)}.")
        if self.ema is not None and not 0 < self.ema < 1:
            raise UserError(f"ema is {self.ema}; it must be between 0 and 1, such as 0.999.")
        if not self.save_every >= 0:
            raise UserError(f"save_every is {self.save_every}; it must be 0 seconds or more.")

    def lr_at(self, step: int) -> float:
        """The learning rate after `step` finished steps: it depends on nothing else."""
        if self.decay == "halving":
            plateaus = 1 + round(math.log2(self.lr / self.final_lr))
            return self.lr * 0.5 ** (plateaus * step // self.steps)
        way = (1 - math.cos(math.pi * step / self.steps)) / 2
        return self.lr + (self.final_lr - self.lr) * way

    def changed(self, **given: Any) -> Self:
        """With the values that are not None; a new `lr` takes `final_lr` along in proportion."""
        given = {name: value for name, value in given.items() if value is not None}
        if "lr" in given:
            given.setdefault("final_lr", self.final_lr * given["lr"] / self.lr)
        return replace(self, **given)
