"""MLRN, from "Multi-Level Feature Fusion Network for Single Image Super-Resolution".

Written from the paper alone. No code and no weights were released, and the paper prints neither
parameters nor multiply-adds: **this network cannot be checked against its authors'**. The recommended
reading is the default; the others are arguments of `MLRN`, listed with their counts in `READINGS`.

Where the paper contradicts itself, and what was taken:

- "C_3x5" against "s x s kernel": a 3x3 and then a 5x5 convolution. It continues the receptive fields of
  its neighbours (5, 7, 9) and, unlike a rectangular kernel, it does not change under the 90-degree
  turns of the augmentation.
- Eq. 2 writes F_1 for F_-1. Two equations are numbered 6; the second names "SAN", another network.
- "Directly from all previous blocks" against Eq. 6 to 9, which read the block before only: the latter.
- The shallow block has "two convolution layers", "several 1x1" and sits "in the tail": two 1x1 after the
  first convolution, with the residual connection of Fig. 2.
- Where the residual skip connection starts is never said: at F_0, the blocks' input.
- The upscaler has "some choices": sub-pixel convolution, which Sec. III-C names, x4 in two steps.
- Of the four parts listed, "DFB" is never defined.

Legend: N batch, C = 32 features (the paper's G), h x w = LR size, s = scale.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.models.blocks import DIV2K_MEAN, upsampler

Kernel = tuple[int, int]
"""Height and width."""
Extractors = tuple[tuple[Kernel, Kernel], ...]
"""The two kernels of each of a block's three extractors."""


def square(*sides: tuple[int, int]) -> Extractors:
    """Extractors of square kernels, from the two sides of each."""
    return tuple(((first, first), (second, second)) for first, second in sides)


MIXED = square((3, 3), (3, 5), (5, 5))


class ShallowBlock(nn.Module):
    """SFblock: two 1x1 convolutions plus the input: (N,C,h,w) → (N,C,h,w). Paper Fig. 2."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(features, features, 1)
        self.second = nn.Conv2d(features, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        return x + self.second(F.relu(self.first(x)))


class SkipFusionBlock(nn.Module):
    """FSFblock: extractors of three sizes, fused one after the other, plus input. Paper Eq. 6 to 9."""

    def __init__(self, features: int, growth: int, extractors: Extractors) -> None:
        super().__init__()
        self.extractors = nn.ModuleList(
            nn.Sequential(
                _convolution(features, growth, first), nn.ReLU(), _convolution(growth, growth, second)
            )
            for first, second in extractors
        )
        self.fuse = nn.ModuleList(nn.Conv2d(growth + features, features, 1) for _ in extractors)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        fused = x
        for extract, fuse in zip(self.extractors, self.fuse, strict=True):
            fused = fuse(torch.cat([extract(x), fused], 1))
        return fused + x


def _convolution(features: int, out: int, kernel: Kernel) -> nn.Conv2d:
    return nn.Conv2d(features, out, kernel, padding=(kernel[0] // 2, kernel[1] // 2))


class MLRN(nn.Module):
    """LR (N,3,h,w) → SR (N,3,sh,sw), both in [0,1]."""

    mean: Tensor

    def __init__(
        self,
        scale: int,
        *,
        features: int = 32,
        growth: int = 32,
        blocks: int = 8,
        extractors: Extractors = MIXED,
        direct: bool = False,
        refine: bool = False,
        correct: bool = False,
        gff: bool = True,
        rsc: bool = True,
    ) -> None:
        """Readings: `direct` makes SR with one sub-pixel convolution, `refine` adds a 3x3 convolution
        after the global fusion, `correct` a second shallow block there. `gff` and `rsc` are Table 1.
        """
        super().__init__()
        self.scale = scale
        self.head: nn.Module = nn.Conv2d(3, features, 3, padding=1)
        self.shallow = ShallowBlock(features)
        self.blocks = nn.ModuleList(SkipFusionBlock(features, growth, extractors) for _ in range(blocks))
        self.gff = nn.Conv2d(blocks * features, features, 1) if gff else None
        self.rsc = rsc
        self.refine = nn.Sequential()
        if refine:
            self.refine.append(nn.Conv2d(features, features, 3, padding=1))
        if correct:
            self.refine.append(ShallowBlock(features))
        if direct:
            last = nn.Conv2d(features, 3 * scale * scale, 3, padding=1)
            self.tail = nn.Sequential(last, nn.PixelShuffle(scale))
        else:
            self.tail = upsampler(features, scale, kernel=3).append(nn.Conv2d(features, 3, 3, padding=1))
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN).view(1, 3, 1, 1), persistent=False)

    def forward(self, lr: Tensor) -> Tensor:
        """The paper's Eq. 1 to 6."""
        return self.deep(self.shallow(self.head(lr - self.mean))) + self.mean

    def deep(self, shallow: Tensor) -> Tensor:
        """From the shallow features to SR without its colour shift: (N,C,h,w) → (N,3,sh,sw)."""
        x, outputs = shallow, []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        if self.gff is not None:
            x = self.gff(torch.cat(outputs, 1))
        x = self.refine(x)
        return self.tail(x + shallow if self.rsc else x)


def mlrn(scale: int) -> MLRN:
    """The recommended reading."""
    return MLRN(scale)


READINGS: dict[str, Callable[[int], MLRN]] = {
    "recommended: 3x3 then 5x5": mlrn,
    "rectangular 3x5 kernels": lambda scale: MLRN(
        scale, extractors=(((3, 3), (3, 3)), ((3, 5), (3, 5)), ((5, 5), (5, 5)))
    ),
    "kernels 3, 5, 7": lambda scale: MLRN(scale, extractors=square((3, 3), (5, 5), (7, 7))),
    "kernels 1, 3, 5": lambda scale: MLRN(scale, extractors=square((1, 1), (3, 3), (5, 5))),
    "one sub-pixel convolution": lambda scale: MLRN(scale, direct=True),
    "3x3 after the global fusion": lambda scale: MLRN(scale, refine=True),
    "shallow block in the tail": lambda scale: MLRN(scale, correct=True),
    "64 features, 32 inside the extractors": lambda scale: MLRN(scale, features=64),
}
"""What the paper can be read as; `recipes.complexity` prints the counts of all."""
