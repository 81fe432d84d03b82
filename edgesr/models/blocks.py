"""What several networks are built from. Each block exists once; a network says how it uses it.

Legend: N batch, C features, h x w the size of the features, s = scale.
"""

from collections.abc import Iterator, Sequence
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.errors import UserError

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Mean RGB of DIV2K's training images, in [0,1]."""

EPS = 1e-6
"""Added to a variance, whose root has no slope at 0."""


class GlobalStatistic(nn.Module):
    """One number per channel over the whole input: (N,C,h,w) → (N,C,1,1).

    What depends on it depends on every pixel, so tiles see other numbers than the whole image.
    """


class Mean(GlobalStatistic):
    """The mean of each channel."""

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,1,1)."""
        return F.adaptive_avg_pool2d(x, 1)


class Contrast(GlobalStatistic):
    """Standard deviation plus mean of each channel (IMDN, Hui et al., ACM MM 2019, Eq. 5)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,1,1)."""
        mean = F.adaptive_avg_pool2d(x, 1)
        variance = F.adaptive_avg_pool2d((x - mean).square(), 1)
        return torch.sqrt(variance + EPS) + mean


class ChannelAttention(nn.Module):
    """Statistic, squeeze, excite, sigmoid, times the input (RCAN, Zhang et al., ECCV 2018).

    With `Contrast` it is IMDN's contrast-aware channel attention, CCA.
    """

    def __init__(self, features: int, inner: int, statistic: type[GlobalStatistic] = Mean) -> None:
        super().__init__()
        self.statistic: nn.Module = statistic()
        self.squeeze = nn.Conv2d(features, inner, 1)
        self.excite = nn.Conv2d(inner, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        return x * self.weights(x)

    def weights(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,1,1) in (0,1)."""
        return torch.sigmoid(self.excite(F.relu(self.squeeze(self.statistic(x)))))


class Enlarge(nn.Module):
    """Interpolation to a given size, "nearest" or "bilinear" (corners not aligned)."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """(N,C,h,w) → (N,C,*size)."""
        options = {} if self.mode == "nearest" else {"align_corners": False}
        return F.interpolate(x, list(size), mode=self.mode, **options)


class SpatialAttention(nn.Module):
    """The skeleton of ESA (RFANet, Liu et al., CVPR 2020): a gate seen through a coarse grid.

    Reduce the channels, then go down by a stride of 2 and a 7x7 max-pool of stride 3; compute there;
    enlarge again and add the reduced features; widen and squash. The networks differ in the parts.
    """

    SMALLEST = 13
    """Side of the smallest input for a strided convolution that pads; without padding, 15."""

    def __init__(
        self,
        features: int,
        inner: int,
        *,
        shrink: nn.Module,
        body: nn.Module,
        skip: nn.Module,
        squash: nn.Module,
        enlarge: str,
    ) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(features, inner, 1)
        self.shrink = shrink
        self.body = body
        self.skip = skip
        self.enlarge: nn.Module = Enlarge(enlarge)
        self.expand = nn.Conv2d(inner, features, 1)
        self.squash = squash

    def forward(self, x: Tensor) -> Tensor:
        """The gate, not yet multiplied: (N,C,h,w) → (N,C,h,w)."""
        reduced = self.reduce(x)
        coarse = self.body(F.max_pool2d(self.shrink(reduced), 7, 3))
        large = self.enlarge(coarse, x.shape[2:])
        return self.squash(self.expand(large + self.skip(reduced)))


class BSConv(nn.Sequential):
    """Blueprint separable convolution (BSConv-U, Haase and Amthor, CVPR 2020): 1x1, then depthwise."""

    def __init__(
        self, features: int, out: int, kernel: int, stride: int = 1, padding: int | None = None
    ):
        padding = kernel // 2 if padding is None else padding
        super().__init__(
            nn.Conv2d(features, out, 1, bias=False),
            nn.Conv2d(out, out, kernel, stride, padding, groups=out),
        )


def upsampler(features: int, scale: int, kernel: int = 1) -> nn.Sequential:
    """Convolutions and pixel shuffles (ESPCN, Shi et al., CVPR 2016), x4 in two steps of 2.

    (N,C,h,w) → (N,C,sh,sw).
    """

    def layers() -> Iterator[nn.Module]:
        for step in (2, 2) if scale == 4 else (scale,):
            yield nn.Conv2d(features, features * step * step, kernel, padding=kernel // 2)
            yield nn.PixelShuffle(step)

    return nn.Sequential(*layers())


class ChannelShuffle(nn.Module):
    """Interleave `groups` equal parts of the channels (ShuffleNet, Zhang et al., CVPR 2018)."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        return x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)


class Scalar(nn.Module):
    """A learned factor."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1,), start))

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, unchanged."""
        return x * self.scale.view(1, 1, 1, 1)


def lr_multiple(hr_multiple: int, scale: int) -> int:
    """What LR sides must be multiples of for SR sides to be multiples of `hr_multiple`."""
    return hr_multiple // gcd(hr_multiple, scale)


def require(lr: Tensor, smallest: int) -> None:
    """UserError for an LR image (N,3,h,w) below the smallest side that a network's strides need."""
    height, width = lr.shape[2:]
    if min(height, width) < smallest:
        raise UserError(
            f"An LR image of {width}x{height} pixels is too small for this network, which needs "
            f"{smallest} a side. Choose another model, or upscale in tiles of that size."
        )
