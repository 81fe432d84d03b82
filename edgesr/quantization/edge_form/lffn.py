"""LFFN for integer kernels."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.models.lffn import LFFN
from edgesr.quantization.edge_form.folding import convolution


class EdgeLFFN(nn.Module):
    """LFFN with its all-linear tail as two convolutions: PS(A·R + B·M0 + b).

    The published tail carries the image at ±0.5 through features of ±8, which costs int8 most of its
    loss. And the shift of the input becomes the padding's value and the head's bias, because 8-bit
    pixels minus 0.5 are not on any int8 grid that holds zero.
    """

    def __init__(self, model: LFFN) -> None:
        super().__init__()
        head_bias, (mixed, skip, bias) = _shift_of(model.head), _compose_tail(model)
        self.head = convolution(model.head.weight, head_bias)
        self.body, self.fusion = model.body, model.fusion
        self.tail_fused = convolution(mixed, bias)
        self.tail_head = convolution(skip, None)
        self.shuffle = nn.PixelShuffle(model.scale)

    def forward(self, lr: Tensor) -> Tensor:
        """LR (N,3,h,w) → SR (N,3,sh,sw)."""
        m0 = self.head(F.pad(lr, (1, 1, 1, 1), value=0.5))
        x, outputs = m0, []
        for module in self.body:
            x = module(x)
            outputs.append(x)
        return self.shuffle(self.tail_fused(self.fusion(outputs)) + self.tail_head(m0))


def _shift_of(head: nn.Conv2d) -> Tensor:
    """head(x - 0.5) = head(x) + this, when x is padded with 0.5."""
    return -0.5 * head.weight.sum((1, 2, 3))


def _compose_tail(model: LFFN) -> tuple[Tensor, Tensor, Tensor]:
    """The tail as A (from R), B (from M0) and b, in PixelShuffle's order, found by probing it."""
    tail = copy.deepcopy(nn.Sequential(model.up, model.last)).double()
    post = model.post.weight.double()
    channels = post.shape[0]
    with torch.no_grad():
        bias = tail(torch.zeros(1, channels, 1, 1, dtype=torch.double))
        response = tail(torch.eye(channels, dtype=torch.double).view(channels, channels, 1, 1)) - bias
    skip = response.flatten(1).T  # (3s², C): one column per feature
    mixed = skip @ post[:, :, 0, 0]
    return mixed[:, :, None, None], skip[:, :, None, None], (bias + 0.5).flatten()
