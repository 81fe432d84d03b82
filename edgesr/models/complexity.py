"""Parameters and multiply-adds, counted on the network itself and in each paper's own way.

True multiply-adds are the weight products of every convolution, transposed convolution and linear
layer, for a 1280 x 720 SR image; biases, activations and resizing count nothing. At x3 the LR area is
exact (102,400 pixels), not 426 columns. Which rule a paper used was found by reproducing its figures.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgesr.models import MODELS, create_model

HR_PIXELS = 1280 * 720


@dataclass(frozen=True)
class Complexity:
    """The counts of one network at one scale."""

    model: str
    scale: int
    params: int
    params_paper_rule: int
    """Counted as the network's paper counts: LFFN leaves the PReLU slopes out."""
    macs: int
    macs_paper_rule: int
    paper_params: int | None
    """As printed in the paper; None where it prints none."""
    paper_macs: int | None


# (model, scale) -> parameters, multiply-adds as printed: LFFN Tables III to V, MSFIN Table 4
PRINTED: dict[tuple[str, int], tuple[int | None, int | None]] = {
    ("lffn-s", 2): (173_000, 37_900_000_000),
    ("lffn-s", 3): (185_000, 18_100_000_000),
    ("lffn-s", 4): (183_000, 11_700_000_000),
    ("msfin-s", 2): (352_000, None),
    ("msfin-s", 3): (352_000, None),
    ("msfin-s", 4): (352_000, None),
}


def complexity(name: str, scale: int) -> Complexity:
    """Count one network. UserError for an unknown name or scale."""
    with torch.device("meta"):  # shapes only: no memory, no arithmetic
        model = create_model(name, scale=scale)
    params = sum(p.numel() for p in model.parameters())
    slopes = sum(p.numel() for m in model.modules() if isinstance(m, nn.PReLU) for p in m.parameters())
    macs = _macs_at_720p(model, scale, MODELS[name].lr_multiple(scale)) if params else 0
    printed = PRINTED.get((name, scale), (None, None))
    return Complexity(name, scale, params, params - slopes, macs, macs, *printed)


def _macs_at_720p(model: nn.Module, scale: int, multiple: int) -> int:
    """Products grow linearly with the area, from those on pooled features: two sizes give the line."""
    small, large = 8 * multiple, 16 * multiple
    at_small, at_large = (_count_macs(model, side) for side in (small, large))
    slope, rest = divmod((at_large - at_small) * HR_PIXELS, (large**2 - small**2) * scale**2)
    assert rest == 0, "multiply-adds are not linear in the area"
    return at_small + slope - (at_large - at_small) * small**2 // (large**2 - small**2)


def _count_macs(model: nn.Module, side: int) -> int:
    """Run shapes through the network; sum outputs (inputs, if transposed) times weights per position."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(layer.weight, Tensor)
        transposed = isinstance(layer, nn.ConvTranspose2d)
        positions = (inputs[0] if transposed else output).shape[-2:].numel()
        total += positions * layer.weight.numel()

    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    model(torch.empty(1, 3, side, side, device="meta"))
    for handle in handles:
        handle.remove()
    return total
