"""The networks: one readable table, one file per family, a size is a row of numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd

from torch import nn

from edgesr.errors import UserError, unknown
from edgesr.models.bicubic import Bicubic
from edgesr.models.lffn import lffn_s
from edgesr.models.msfin import msfin_s

SCALES = (2, 3, 4)
DEFAULT_SCALE = 4


@dataclass(frozen=True)
class Model:
    """What is known of a network before it is built."""

    build: Callable[[int], nn.Module]
    """scale -> the network, freshly initialised."""
    summary: str
    hr_multiple: int = 1
    """SR height and width must be multiples of this (the network's inner strides)."""
    learns: bool = True
    """False for a fixed filter: nothing to train, quantize or import."""

    def lr_multiple(self, scale: int) -> int:
        """LR height and width must be multiples of this at `scale`."""
        return self.hr_multiple // gcd(self.hr_multiple, scale)


MODELS: dict[str, Model] = {
    "bicubic": Model(Bicubic, "MATLAB's bicubic enlargement, the floor", learns=False),
    "lffn-s": Model(lffn_s, "LFFN-S: spindle blocks, depthwise, softmax feature fusion (SPL 2019)"),
    "msfin-s": Model(msfin_s, "MSFIN-S: multi-scale feature interaction at HR size", hr_multiple=4),
}


def find_model(name: str) -> Model:
    """The row of `name`; UserError names the known ones."""
    if name not in MODELS:
        raise unknown("model", name, list(MODELS))
    return MODELS[name]


def find_trainable(name: str) -> Model:
    """The row of a network that has something to train; UserError otherwise."""
    model = find_model(name)
    if not model.learns:
        allowed = ", ".join(key for key, row in MODELS.items() if row.learns)
        raise UserError(
            f"Model {name!r} has no parameters to train or quantize. Choose one of: {allowed}."
        )
    return model


def chosen_scale(scale: int | None) -> int:
    """`scale`, or the default where none is given. UserError for one that no network has."""
    if scale is None:
        return DEFAULT_SCALE
    if scale not in SCALES:
        raise UserError(f"Unknown scale {scale}. Known scales: {', '.join(map(str, SCALES))}.")
    return scale


def create_model(name: str, *, scale: int) -> nn.Module:
    """Build a network with fresh weights. UserError for an unknown name or scale."""
    model = find_model(name)
    return model.build(chosen_scale(scale))
