"""The networks: one readable table, one file per family, a size is a row of numbers."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from edgesr.errors import UserError, unknown
from edgesr.models.bicubic import Bicubic
from edgesr.models.blocks import lr_multiple
from edgesr.models.lffn import lffn, lffn_nf, lffn_ns, lffn_s
from edgesr.models.maffsrn import SMALLEST as MAFFSRN_SMALLEST
from edgesr.models.maffsrn import maffsrn, maffsrn_l
from edgesr.models.mlrn import mlrn
from edgesr.models.msfin import STRIDES, msfin, msfin_s
from edgesr.models.osffnet import SMALLEST as OSFFNET_SMALLEST
from edgesr.models.osffnet import osffnet

SCALES = (2, 3, 4)
DEFAULT_SCALE = 4


@dataclass(frozen=True)
class Model:
    """What is known of a network before it is built."""

    build: Callable[[int], nn.Module]
    """scale -> the network, freshly initialised."""
    summary: str
    smallest: int = 1
    """Side of the smallest LR image; below it the network raises UserError."""
    hr_multiple: int = 1
    """What SR height and width are padded to inside the network, for its strides."""
    learns: bool = True
    """False for a fixed filter: nothing to train, quantize or import."""

    def lr_multiple(self, scale: int) -> int:
        """LR sides that are multiples of this are not padded; those of tiles have to be."""
        return lr_multiple(self.hr_multiple, scale)


MODELS: dict[str, Model] = {
    "bicubic": Model(Bicubic, "MATLAB's bicubic enlargement, the floor", learns=False),
    "lffn": Model(lffn, "LFFN: spindle blocks, softmax feature fusion (SPL 2019)"),
    "lffn-s": Model(lffn_s, "LFFN-S: 4 modules of 15, depthwise"),
    "lffn-nf": Model(lffn_nf, "LFFN without its softmax fusion (the paper's ablation)"),
    "lffn-ns": Model(lffn_ns, "LFFN of residual blocks (the paper's ablation)"),
    "msfin": Model(
        msfin, "MSFIN: three scales that interact, at HR size (ICME 2021)", hr_multiple=STRIDES
    ),
    "msfin-s": Model(msfin_s, "MSFIN-S: 16 features, one pass", hr_multiple=STRIDES),
    "maffsrn": Model(
        maffsrn, "MAFFSRN: attention in space, fused in chains (AIM 2020)", smallest=MAFFSRN_SMALLEST
    ),
    "maffsrn-l": Model(maffsrn_l, "MAFFSRN-L: 8 groups of 4", smallest=MAFFSRN_SMALLEST),
    "osffnet": Model(
        osffnet, "OSFFNet: distillation with shallow features (AAAI 2024)", smallest=OSFFNET_SMALLEST
    ),
    "mlrn": Model(mlrn, "MLRN: extractors of three sizes, all levels fused (one reading of the paper)"),
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
