"""MAFFSRN: Multi-Attentive Feature Fusion Super-Resolution Network (Muqeet et al., "Multi-Attention
Based Ultra Lightweight Image Super-Resolution", AIM workshop, ECCV 2020).

Written from the paper, with the authors' public code read for what it leaves open
(github.com/AbdulMoqeet/MAFFSRN, no licence stated; nothing is copied). Readings taken:

- "stride = 3" is the max-pool's; the strided convolution of an attention block has stride 2.
- The spatial gate is sigmoid(ReLU(·)), so it is never below one half: the code has it so.
- An FFG's two factors start at 1 as in the code, where the paper says 0.5; those of the tail at 0.5.
- Blocks 1 and 4 of an FFG have no skip connection of their own, blocks 2 and 3 have.
- The code defines a mean colour and never subtracts it. Nor do we.
- Sec. 3.1 calls M-BFF a chain, [[[x0,x1],x2],x3]; BFF is the balanced tree, [[x0,x1],[x2,x3]], and HFF
  one 1x1 convolution of all four. The paper's Table 1 counts the HFF rows as 364K and 394K; ours have
  363,482 and 393,690, and no description of HFF in the paper would add the half thousand.
- The paper's multiply-adds leave out every weight-normed layer (`edgesr.models.complexity`), so the
  true cost at x4 is 23.8 G where it prints 19.3.

The bicubic skip is PyTorch's (a = -0.75), as in the code, not MATLAB's.
Legend: N batch, C = 32 features, h x w = LR size, s = scale.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from edgesr.models.blocks import ChannelShuffle, Scalar, SpatialAttention, require

SLOPE = 0.05
SMALLEST = SpatialAttention.SMALLEST
Convolutions = tuple[tuple[int, int], ...]
"""(kernel, dilation) of each of the parallel convolutions on the attention's coarse grid."""


class DilatedSum(nn.Module):
    """Parallel convolutions on the coarse grid, activated and added: (N,C,h,w) → (N,C,h,w)."""

    def __init__(self, features: int, convolutions: Convolutions) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(features, features, k, padding=k // 2 * d, dilation=d) for k, d in convolutions
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        total = F.leaky_relu(self.convolutions[0](x), SLOPE)
        for convolution in self.convolutions[1:]:
            total = total + F.leaky_relu(convolution(x), SLOPE)
        return total


class AttentionBlock(nn.Module):
    """MAB: two convolutions, gated in space and, by the CEA, per value. Paper Fig. 3, right."""

    def __init__(self, features: int, cea: bool, convolutions: Convolutions) -> None:
        super().__init__()
        inner = features // 4
        self.first = nn.Conv2d(features, features, 3, padding=1)
        self.second = nn.Conv2d(features, features, 3, padding=1)
        self.gate = SpatialAttention(
            features,
            inner,
            shrink=nn.Conv2d(inner, inner, 3, 2, 1),
            body=DilatedSum(inner, convolutions),
            skip=nn.Identity(),
            squash=nn.Sequential(nn.ReLU(), nn.Sigmoid()),
            enlarge="nearest",
        )
        self.cea = nn.Sequential(
            nn.Conv2d(features, features, 1),
            nn.Conv2d(features, features, 5, padding=2, groups=features),
            nn.Sigmoid(),
        )
        if not cea:
            self.cea = None

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        x = self.second(F.leaky_relu(self.first(x), SLOPE))
        gated = self.gate(x) * x
        return gated if self.cea is None else gated * self.cea(x)


class Reduction(nn.Module):
    """Concatenated features, shuffled between two groups, to C by a weight-normed 1x1 convolution."""

    def __init__(self, inputs: int, features: int, shuffle: bool) -> None:
        super().__init__()
        self.shuffle: nn.Module = ChannelShuffle(2) if shuffle else nn.Identity()
        self.convolution = weight_norm(nn.Conv2d(inputs * features, features, 1))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Tensors of (N,C,h,w) → (N,C,h,w)."""
        return self.convolution(self.shuffle(torch.cat(inputs, 1)))


class FusionGroup(nn.Module):
    """FFG: four attention blocks, their outputs fused, plus the input. Paper Fig. 3 left, Fig. 4."""

    def __init__(
        self,
        features: int,
        fusion: Literal["hff", "bff", "m-bff"],
        shuffle: bool,
        cea: bool,
        convolutions: Convolutions,
    ) -> None:
        super().__init__()
        self.fusion = fusion
        self.blocks = nn.ModuleList(AttentionBlock(features, cea, convolutions) for _ in range(4))
        inputs = (4,) if fusion == "hff" else (2, 2, 2)
        self.reductions = nn.ModuleList(Reduction(count, features, shuffle) for count in inputs)
        self.of_result: nn.Module = Scalar(1.0)
        self.of_input: nn.Module = Scalar(1.0)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        x0 = self.blocks[0](x)
        x1 = self.blocks[1](x0) + x0
        x2 = self.blocks[2](x1) + x1
        x3 = self.blocks[3](x2)
        return self.of_result(self._fuse(x0, x1, x2, x3)) + self.of_input(x)

    def _fuse(self, x0: Tensor, x1: Tensor, x2: Tensor, x3: Tensor) -> Tensor:
        if self.fusion == "hff":
            return self.reductions[0](x0, x1, x2, x3)
        first, second, third = self.reductions
        if self.fusion == "bff":
            return third(first(x0, x1), second(x2, x3))
        return third(second(first(x0, x1), x2), x3)


class Tail(nn.Module):
    """Two kernels, each weighted and shuffled to SR size, then added. Paper Eq. 4."""

    def __init__(self, features: int, scale: int) -> None:
        super().__init__()
        out = 3 * scale * scale
        self.narrow = weight_norm(nn.Conv2d(features, out, 3, padding=1))
        self.wide = weight_norm(nn.Conv2d(features, out, 5, padding=2))
        self.of_narrow, self.of_wide = Scalar(0.5), Scalar(0.5)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,3,sh,sw)."""
        narrow, wide = self.of_narrow(self.narrow(x)), self.of_wide(self.wide(x))
        return self.shuffle(narrow) + self.shuffle(wide)


class MAFFSRN(nn.Module):
    """LR (N,3,h,w) → SR (N,3,sh,sw), both in [0,1]. UserError below 13 pixels a side."""

    def __init__(
        self,
        scale: int,
        *,
        groups: int,
        features: int = 32,
        fusion: Literal["hff", "bff", "m-bff"] = "m-bff",
        shuffle: bool = True,
        cea: bool = True,
        convolutions: Convolutions = ((3, 1), (3, 2)),
    ) -> None:
        """`fusion`, `shuffle`, `cea` and `convolutions` are the paper's Tables 1, 2 and 3."""
        super().__init__()
        self.scale = scale
        self.head = weight_norm(nn.Conv2d(3, features, 3, padding=1))
        self.body = nn.Sequential(
            *(FusionGroup(features, fusion, shuffle, cea, convolutions) for _ in range(groups))
        )
        self.tail = Tail(features, scale)

    def forward(self, lr: Tensor) -> Tensor:
        """The paper's Eq. 2 to 4."""
        require(lr, SMALLEST)
        size = [self.scale * side for side in lr.shape[2:]]
        enlarged = F.interpolate(lr, size, mode="bicubic", align_corners=False)
        return self.tail(self.body(self.head(lr))) + enlarged


def maffsrn(scale: int) -> MAFFSRN:
    """MAFFSRN: 4 groups."""
    return MAFFSRN(scale, groups=4)


def maffsrn_l(scale: int) -> MAFFSRN:
    """MAFFSRN-L: 8 groups."""
    return MAFFSRN(scale, groups=8)
