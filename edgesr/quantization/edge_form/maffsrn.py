"""MAFFSRN for integer kernels: weight norms, shuffles, factors and tails folded, the skip in float."""

from torch import Tensor, nn

from edgesr.models.blocks import ChannelShuffle, Scalar
from edgesr.models.maffsrn import MAFFSRN, AttentionBlock, FusionGroup, Reduction, Tail
from edgesr.quantization.edge_form.enlargement import Phases, cubic
from edgesr.quantization.edge_form.folding import (
    bias_of,
    convolution,
    fold_weight_norm,
    scaled,
    unshuffled,
    weight_of,
    widened,
)
from edgesr.quantization.edge_form.parts import Precise, Repeat, Size


class BicubicSkip(Precise):
    """PyTorch's bicubic enlargement, before its pixel shuffle, plus a residual of the same shape.

    Pixels are exact in float; in int8 the rounding of this skip alone would cost more than everything
    else.
    """

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.phases = Phases(scale, cubic, 2)

    def forward(self, lr: Tensor, residual: Tensor) -> Tensor:
        """LR (N,3,h,w), residual (N,3s²,h,w) → (N,3s²,h,w)."""
        return self.phases(lr) + residual


class EdgeMAFFSRN(nn.Module):
    """The groups' factors of their inputs are carried along the trunk and into the tail."""

    def __init__(self, model: MAFFSRN, size: Size) -> None:
        super().__init__()
        fold_weight_norm(model)
        self.head = model.head
        self.body = nn.ModuleList()
        carried = 1.0  # the trunk holds the published features divided by this
        for group in model.body:
            assert isinstance(group, FusionGroup)
            of_input = _factor(group.of_input)
            fold_group(group, before=carried, after=carried * of_input, size=size)
            carried *= of_input
            self.body.append(group)
        self.tail = fold_tail(model.tail, carried)
        self.skip = BicubicSkip(model.scale)
        self.shuffle = nn.PixelShuffle(model.scale)

    def forward(self, lr: Tensor) -> Tensor:
        """LR (N,3,h,w) → SR (N,3,sh,sw)."""
        x = self.head(lr)
        for group in self.body:
            x = group(x)
        return self.shuffle(self.skip(lr, self.tail(x)))


def fold_group(group: FusionGroup, *, before: float, after: float, size: Size) -> None:
    """Shuffles into the reductions, the result's factor into the last of them, the input's into the
    trunk: out/after = (of_result/after) * result + x/before, where after = before * of_input.
    """
    first = group.blocks[0]
    assert isinstance(first, AttentionBlock)
    first.first = scaled(first.first, inputs=before)
    for reduction in group.reductions:
        assert isinstance(reduction, Reduction)
        if isinstance(reduction.shuffle, ChannelShuffle):
            reduction.convolution = unshuffled(reduction.convolution, reduction.shuffle.groups)
        reduction.shuffle = nn.Identity()
    last = group.reductions[-1]
    assert isinstance(last, Reduction)
    last.convolution = scaled(last.convolution, outputs=_factor(group.of_result) / after)
    group.of_result = nn.Identity()
    group.of_input = nn.Identity()
    for block in group.blocks:
        assert isinstance(block, AttentionBlock)
        block.gate.enlarge = Repeat((_coarse(size[0]), _coarse(size[1])), size)


def _factor(module: nn.Module) -> float:
    assert isinstance(module, Scalar)
    return module.scale.item()


def _coarse(side: int) -> int:
    """Behind a padded stride of 2 and a 7x7 pool of stride 3."""
    return ((side + 1) // 2 - 7) // 3 + 1


def fold_tail(tail: Tail, carried: float) -> nn.Conv2d:
    """Both kernels, their factors and the trunk's as one 5x5 convolution: (N,C,h,w) → (N,3s²,h,w)."""
    parts = ((tail.narrow, tail.of_narrow), (tail.wide, tail.of_wide))
    weight = sum(_factor(factor) * widened(weight_of(layer), 5) for layer, factor in parts)
    bias = sum(_factor(factor) * bias_of(layer) for layer, factor in parts)
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    return convolution(carried * weight, bias, padding=2)
