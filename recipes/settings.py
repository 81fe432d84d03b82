"""How long, on what and how fast to train: the papers' schedules as one table."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from edgesr.errors import UserError

SMALLEST_PATCH = 8  # below it, a held-out image may be too small to be scored


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
    seed: int = 0
    """Of the network's first weights and of every batch."""
    validate_every: int = 0
    """Steps between validations; 0 validates at the end only."""
    save_every: float = 60.0
    """Seconds between two savings of the state. It changes no number, only what a crash costs."""

    def __post_init__(self) -> None:
        """Raise UserError for a setting out of its range."""
        least = {"steps": 1, "batch": 1, "patch": SMALLEST_PATCH, "seed": 0, "validate_every": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise UserError(f"{name} is {getattr(self, name)}; it must be {bound} or more.")
        for name in ("lr", "final_lr", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UserError(f"{name} is {value}; it must be a number above 0.")
        if self.decay not in ("cosine", "halving"):
            raise UserError(f"Unknown decay {self.decay!r}. Known: cosine, halving.")
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


LFFN = Settings(187_500, 16, 32, 8e-4, 5e-5, "halving", clip=5.0)
MSFIN = Settings(1_000_000, 16, 48, 1e-4, 6.25e-6, "cosine")
MAFFSRN = Settings(1_000_000, 16, 48, 2e-4, 1.25e-5, "halving")

PAPER: dict[str, Settings] = {
    # LFFN Sec. III-A: Adam, 8e-4 halved every 20 epochs. An epoch of the authors' code is 30,000
    # patches, 1,875 steps, and it stops below 4e-5: five plateaus. Their second stage is `--init`
    # and `--lr 4e-4`. For the larger LFFN the paper gives four days on a GTX 1080 Ti.
    "lffn": LFFN,
    "lffn-s": LFFN,
    "lffn-nf": LFFN,
    "lffn-ns": LFFN,
    # MSFIN Sec. 3.2: Adam, 1e-4 to 6.25e-6 along a cosine; 1,000,000 steps are the authors' code's.
    # Everything is computed at HR size: at x4 a step has 25 times the multiply-adds of LFFN-S's, one of
    # MSFIN-S nine times.
    "msfin": MSFIN,
    "msfin-s": MSFIN,
    # MAFFSRN, "Training Settings": 2e-4 halved every 200 of 1000 epochs, of 1,000 steps in the authors'
    # code, with AdamP. Ours is Adam, which the paper's Table 4 finds worse at x2: by 0.10 dB on Set5,
    # by 0.21 dB on Urban100.
    "maffsrn": MAFFSRN,
    "maffsrn-l": MAFFSRN,
    # OSFFNet, "Implementation Details": Adam, 1e-4 to 1e-7 along a cosine, DIV2K and Flickr2K. Its
    # "64x64 patches" are taken for LR: at x4 HR patches would be 16 LR pixels, where the coarse grid of
    # its attention is a single cell. The paper goes on from x2 to x3 and x4, which `--init` cannot: the
    # last convolution has another shape. So here each scale starts anew.
    "osffnet": Settings(500_000, 64, 64, 1e-4, 1e-7, "cosine"),
    # MLRN Sec. IV-B: Adam, 1e-4 halved every 200 of 1000 epochs of 1,000 steps, HR patches of 192: 48 LR
    # pixels at x4; at x3 and x2 give `--patch 64` and `--patch 96`.
    "mlrn": Settings(1_000_000, 16, 48, 1e-4, 6.25e-6, "halving"),
}

FINE = Settings(200, 8, 24, 5e-6, 5e-8, "cosine", clip=5.0)

QAT: dict[str, Settings] = dict.fromkeys(PAPER, FINE)
"""Fine-tuning: calibration alone loses little, and large steps on few images lose more than they win."""

DRAWN_QAT = {"steps": 150, "batch": 4, "patch": 16}
"""Over QAT, for a run without --data: a few minutes on two cores, to see it work."""
