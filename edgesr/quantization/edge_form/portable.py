"""Float operators composed of such as every CPU computes alike.

The last bit of a float decides now and then how the next quantizer rounds, and so a phone would show
other pixels than were verified. On ARM64 XNNPACK has other formulas than on x86-64 for sigmoid and
bilinear enlargement, and convolutions with fewer than 8 outputs or over a single pixel add up in another
order. Other convolutions, sums, products, quotients, limits and means are the same to the bit
(DECISIONS.md).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.models.blocks import ChannelAttention
from edgesr.quantization.edge_form.enlargement import Phases, linear
from edgesr.quantization.edge_form.parts import Precise, PreciseIsland

NARROWEST = 8
"""Outputs from which on a convolution adds up in one order everywhere."""
LIMIT = 16.0
"""Where a sigmoid is 1 or 0 but for 1.1e-7."""
TERMS = (
    (2.00018061, 9.8699665),
    (2.11476375, 90.19910343),
    (4.41450263, 341.92924583),
    (38.1329546, 3469.61989946),
)
"""(c, p) of sigmoid(x) = 1/2 + sum of c * x / (x² + p), by weighted least squares on 0..16, the weights
moved to where the error is largest. The exact series has c = 2, p = ((2k - 1)π)², and no end."""


class Portable(Precise):
    """Computes what `module` computes. A scheme that has integer kernels for that takes it as it is."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


class Wide(Portable):
    """A convolution with few outputs: (N,C,h,w) → (N,O,h,w)."""

    module: nn.Conv2d

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution."""
        return F.conv2d(x, *widened(self.module))[:, : self.module.out_channels]


def widened(layer: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a layer without padding, with as many outputs of zeros as it lacks.

    They are constants of an exported program (`edgesr.quantization.pt2e`); what is trained and stored
    keeps its shape.
    """
    assert layer.bias is not None
    assert (layer.padding, layer.stride, layer.groups) == ((0, 0), (1, 1), 1)
    missing = max(0, NARROWEST - layer.out_channels)
    return F.pad(layer.weight, (0, 0, 0, 0, 0, 0, 0, missing)), F.pad(layer.bias, (0, missing))


class Attention(Portable):
    """`ChannelAttention`, its gates at most 3e-7 off.

    The layers between mean and gate see four equal pixels, and the sigmoid needs them: each is one of
    its terms. These are positive, and none is large or small, so that fp16 holds a gate to 1e-3.
    Constants have four dimensions, or XNNPACK's delegate would turn what they meet to NCHW and back.
    """

    module: ChannelAttention
    numerators: Tensor
    poles: Tensor
    middle: Tensor
    rows: Tensor

    def __init__(self, module: ChannelAttention) -> None:
        super().__init__(module)
        c, p = torch.tensor(TERMS).view(1, 1, len(TERMS), 2).split(1, 3)
        self.register_buffer("numerators", c * len(TERMS), persistent=False)  # for a mean as the sum
        self.register_buffer("poles", p.clone(), persistent=False)
        self.register_buffer("middle", torch.full((1, 1, 1, 1), 0.5), persistent=False)
        # added, for four of one tensor in a row would leave XNNPACK's delegate
        self.register_buffer("rows", torch.zeros(1, 1, len(TERMS), 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        squeeze, excite = self.module.squeeze, self.module.excite
        seen = self.module.statistic(x) + self.rows
        hidden = F.relu(F.conv2d(seen, *widened(squeeze)))
        missing = hidden.shape[1] - excite.in_channels
        weight = F.pad(excite.weight, (0, 0, 0, 0, 0, missing))
        return x * self.sigmoid(F.conv2d(hidden, weight, excite.bias))

    def sigmoid(self, x: Tensor) -> Tensor:
        """1 / (1 + exp(-x)) of (N,C,4,1) with four equal rows: (N,C,1,1)."""
        limited = x.clamp(-LIMIT, LIMIT)
        terms = limited * self.numerators / (limited * limited + self.poles)
        return F.adaptive_avg_pool2d(terms, 1) + self.middle


class Bilinear(Portable):
    """`Enlarge("bilinear")` of an RGB image by a whole number."""

    def __init__(self, module: nn.Module, scale: int) -> None:
        super().__init__(module)
        self.phases = Phases(scale, linear, 1)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """(N,3,h,w) → (N,3,sh,sw); `size` must be that."""
        large = self.shuffle(self.phases(x))
        assert list(large.shape[2:]) == list(size)
        return large


def with_own_operators(model: nn.Module) -> None:
    """Every portable module as the one that it stands for, under the same names."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, Portable):
                setattr(module, name, PreciseIsland(child.module))
