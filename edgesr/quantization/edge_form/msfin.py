"""MSFIN for integer kernels."""

import torch
from torch import nn

from edgesr.models.blocks import ChannelAttention
from edgesr.models.msfin import LEVELS, MSFIN
from edgesr.quantization.edge_form.folding import convolution


def edge_msfin(model: MSFIN) -> nn.Module:
    """MSFIN in unit range, its colour shifts folded."""
    compute_in_unit_range(model)
    fold_output_shift(model)
    return shift_before_enlarging(model)


def compute_in_unit_range(model: MSFIN) -> None:
    """MSFIN's features, of the size of 0..255 pixels, divided by 255 throughout.

    All but the attention's sigmoid is homogeneous, so it is a matter of biases. Else the last weights
    carry the factor, and their scales fall below what int8 (and fp16) targets hold precisely.
    """
    gates = {g for m in model.modules() if isinstance(m, ChannelAttention) for g in m.children()}
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer not in gates | {
                model.add_mean
            }:
                if layer.bias is not None:
                    layer.bias /= LEVELS
            elif isinstance(layer, ChannelAttention):
                layer.squeeze.weight *= LEVELS
        model.sub_mean.weight /= LEVELS
        model.add_mean.weight *= LEVELS


def fold_output_shift(model: MSFIN) -> None:
    """MSFIN's last 1x1 colour shift into the 3x3 convolution before it."""
    tail, shift = model.tail, model.add_mean
    assert tail.bias is not None
    assert shift.bias is not None
    matrix = shift.weight[:, :, 0, 0].double()
    weight = torch.einsum("oc,cikl->oikl", matrix, tail.weight.double())
    model.tail = convolution(weight, matrix @ tail.bias.double() + shift.bias.double(), padding=1)
    model.add_mean = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]


def shift_before_enlarging(model: MSFIN) -> nn.Module:
    """MSFIN's first colour shift ahead of the bilinear enlargement, whose weights sum to one.

    It is then computed once per LR pixel, and the enlargement gets an input and an output of
    different scales: on one scale every 64th interpolated value would be a rounding tie.
    """
    shift = model.sub_mean
    model.sub_mean = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    return nn.Sequential(shift, model)
