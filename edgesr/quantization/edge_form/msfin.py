"""MSFIN for integer kernels."""

import torch
from torch import nn

from edgesr.models.blocks import ChannelAttention
from edgesr.models.msfin import LEVELS, MSFIN, RecurrentBlock
from edgesr.quantization.edge_form.folding import bias_of, convolution, weight_of
from edgesr.quantization.edge_form.parts import PreciseIsland
from edgesr.quantization.edge_form.portable import Attention, Bilinear, Wide


def edge_msfin(model: MSFIN) -> nn.Module:
    """MSFIN in unit range, its colour shifts folded, its ends and gates in float."""
    compute_in_unit_range(model)
    fold_output_shift(model)
    for block in list(model.modules()):
        if isinstance(block, RecurrentBlock) and isinstance(gate := block.body[5], ChannelAttention):
            block.body[5] = Attention(gate)
    return with_float_ends(model)


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
        for shift, factor in ((model.sub_mean, 1 / LEVELS), (model.add_mean, LEVELS)):
            assert isinstance(shift, nn.Conv2d)
            shift.weight *= factor


def fold_output_shift(model: MSFIN) -> None:
    """MSFIN's last 1x1 colour shift into the 3x3 convolution before it."""
    tail, shift = model.tail, model.add_mean
    matrix = weight_of(shift)[:, :, 0, 0]
    weight = torch.einsum("oc,cikl->oikl", matrix, weight_of(tail))
    model.tail = convolution(weight, matrix @ bias_of(tail) + bias_of(shift), padding=1)
    model.add_mean = nn.Identity()


def with_float_ends(model: MSFIN) -> nn.Module:
    """From pixels to the first features of each level, and from the last features to pixels, in float:
    there int8 would cost most.

    The colour shift comes ahead of the bilinear enlargement, whose weights sum to one: it is then
    computed once per LR pixel.
    """
    assert isinstance(model.sub_mean, nn.Conv2d)
    shift = Wide(model.sub_mean)
    model.sub_mean = nn.Identity()
    model.enlarge = Bilinear(model.enlarge, model.scale)
    model.head, model.tail = PreciseIsland(model.head), PreciseIsland(model.tail)
    for down in (model.coarse.down[0], model.middle.down):
        assert isinstance(down, nn.Sequential)
        first, activation = down[0], down[1]
        down[0], down[1] = PreciseIsland(nn.Sequential(first, activation)), nn.Identity()
    return nn.Sequential(shift, model)
