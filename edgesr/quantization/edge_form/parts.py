"""Modules that edge forms are built from; the quantizer knows some of them by name."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Size = tuple[int, int]
"""Height and width in pixels."""


class FloatIsland(nn.Module):
    """What is inside stays float: it reads dequantized values, and its results are quantized."""


class Precise(FloatIsland):
    """An island that int8 could compute, at a cost in accuracy: the scheme decides."""


class Island(FloatIsland):
    """A module that computes in float, as it is."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the module makes of its inputs."""
        return self.module(*inputs)


class PreciseIsland(Island, Precise):
    """The same, where the scheme decides."""


class OneHot(nn.Module):
    """Convolutions with weights 0 and 1 that only copy values: the quantizer keeps scale and values."""


class Repeat(OneHot):
    """Nearest enlargement from one fixed size to another, which XNNPACK has no operator for.

    Each dimension in turn becomes the channels of a 1x1 convolution that picks source rows:
    (N,C,h,w) → (N,C,H,W). Source row floor(i * h / H), as PyTorch's "nearest".
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, coarse: Size, fine: Size) -> None:
        super().__init__()
        # not persistent: they depend on the size, and a checkpoint does not
        self.register_buffer("rows", _picker(coarse[0], fine[0]), persistent=False)
        self.register_buffer("columns", _picker(coarse[1], fine[1]), persistent=False)

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """(N,C,h,w) → (N,C,H,W); `size` must be the one it was made for."""
        assert tuple(size) == (len(self.rows), len(self.columns))
        tall = F.conv2d(x.permute(0, 2, 1, 3), self.rows)  # (N,H,C,w)
        large = F.conv2d(tall.permute(0, 3, 2, 1), self.columns)  # (N,W,C,H)
        return large.permute(0, 2, 3, 1)


def _picker(sources: int, outputs: int) -> Tensor:
    """(outputs, sources, 1, 1): a 1 in each row."""
    index = torch.arange(outputs) * sources // outputs
    return F.one_hot(index, sources).float()[:, :, None, None]


class EdgePadding(nn.Module):
    """Repeat the border pixels `width` times; slices and a concatenation stay in the delegate."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h+2*width,w+2*width)."""
        tall = torch.cat([x[:, :, :1]] * self.width + [x] + [x[:, :, -1:]] * self.width, 2)
        left, right = tall[:, :, :, :1], tall[:, :, :, -1:]
        return torch.cat([left] * self.width + [tall] + [right] * self.width, 3)


class ColourPadding(nn.Module):
    """Pad an RGB image by one pixel of one colour: (N,3,h,w) → (N,3,h+2,w+2)."""

    def __init__(self, colour: tuple[float, ...]) -> None:
        super().__init__()
        self.colour = colour

    def forward(self, x: Tensor) -> Tensor:
        """Each channel has its own constant, which a padding operator cannot have."""
        planes = [F.pad(x[:, c : c + 1], (1, 1, 1, 1), value=v) for c, v in enumerate(self.colour)]
        return torch.cat(planes, 1)
