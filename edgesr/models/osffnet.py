"""OSFFNet: Omni-Stage Feature Fusion Network (Wang and Zhang, AAAI 2024).

Written from the paper; its authors released no code. Blocks that it takes from BSRN (Li et al., CVPR
Workshops 2022) and IMDN are as those papers' public code has them (github.com/xiaom233/BSRN and
github.com/Zheng222/IMDN; read, not copied). Every parameter count of the paper is met, in all rows of
Tables 1, 2 and 4, which pins what has parameters:

- A scalar per connection (Eq. 2's lambda), not one per channel; the fourth distillation is a BSConv,
  the first three 1x1 convolutions; the perceptron widens by 2.
- D = (1,1,3,3,5,5,7,7) as listed: the printed d = floor(k/2)*2+1 gives it when k counts from 0.

What the paper leaves open, and what was taken: GELU everywhere, also after each distillation and between
the two convolutions of the last fusion (BSRN); every ERB adds its input before it is activated; ESA's
strided convolution does not pad (BSRN); Eq. 6 multiplies by the attention's weights, not by features
already weighted; the standard deviation has an epsilon, without which it has no gradient at 0.

Contradictions: the text after Eq. 7 swaps H_D and H_R, and Eq. 7 writes F for f; a column of Table 2 is
headed MDFD for MFDF; Fig. 8 shows x16 where the text says x6. The paper's multiply-adds count each layer
of the perceptrons once, not once per pixel, so the true cost at x4 is 29.3 G where it prints 22.0.

Legend: N batch, C = 64 features, h x w = LR size, s = scale.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.models.blocks import BSConv, ChannelAttention, Contrast, Scalar, SpatialAttention, require

SMALLEST = 15
KERNELS = (1, 1, 3, 3, 5, 5, 7, 7)


class ResidualBlock(nn.Module):
    """ERB: BSConv plus input, activated: (N,C,h,w) → (N,C,h,w)."""

    def __init__(self, features: int, kernel: int) -> None:
        super().__init__()
        self.convolution = BSConv(features, features, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        return F.gelu(self.convolution(x) + x)


class Perceptron(nn.Module):
    """LayerNorm and two dense layers at each pixel, plus the input. Paper Eq. 10."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.widen = nn.Linear(features, 2 * features)
        self.narrow = nn.Linear(2 * features, features)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        tokens = self.norm(x.permute(0, 2, 3, 1))
        return self.narrow(F.gelu(self.widen(tokens))).permute(0, 3, 1, 2) + x


def spatial_attention(features: int, inner: int = 16) -> SpatialAttention:
    """ESA as BSRN has it. Paper Fig. 4."""
    convolutions = [BSConv(inner, inner, 3), BSConv(inner, inner, 3), BSConv(inner, inner, 3)]
    return SpatialAttention(
        features,
        inner,
        shrink=BSConv(inner, inner, 3, stride=2, padding=0),
        body=nn.Sequential(convolutions[0], nn.GELU(), convolutions[1], nn.GELU(), convolutions[2]),
        skip=nn.Conv2d(inner, inner, 1),
        squash=nn.Sigmoid(),
        enlarge="bilinear",
    )


def contrast_attention(features: int) -> ChannelAttention:
    """CCA as IMDN has it. Paper Fig. 3."""
    return ChannelAttention(features, features // 16, Contrast)


class Distillation(nn.Module):
    """AEFD: refine three times, keep half of each stage, fuse, attend, mix. Paper Eq. 7 to 10."""

    def __init__(self, features: int, esa: bool, cca: bool) -> None:
        super().__init__()
        half = features // 2
        self.norm: nn.Module = nn.BatchNorm2d(features)
        self.refine = nn.ModuleList(ResidualBlock(features, 3) for _ in range(3))
        self.distil = nn.ModuleList(nn.Conv2d(features, half, 1) for _ in range(3))
        self.distil_last = BSConv(features, half, 3)
        self.fuse = nn.Conv2d(4 * half, features, 1)
        self.esa = spatial_attention(features) if esa else None
        self.cca = contrast_attention(features) if cca else nn.Identity()
        self.perceptron: nn.Module = Perceptron(features)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        base = self.norm(x)
        kept = [self.distil[0](base)]
        refined = self.refine[0](base)
        kept.append(self.distil[1](refined))
        refined = self.refine[1](refined + base)
        kept.append(self.distil[2](refined))
        refined = self.refine[2](refined + base)
        kept.append(self.distil_last(refined))
        fused = self.fuse(F.gelu(torch.cat(kept, 1)))
        if self.esa is not None:
            fused = fused * self.esa(fused)
        return self.perceptron(self.cca(fused) + base)


class DynamicField(nn.Module):
    """DRF: an ERB of its own kernel, weighted by an attention of the same input. Paper Eq. 6."""

    def __init__(self, features: int, kernel: int) -> None:
        super().__init__()
        self.block = ResidualBlock(features, kernel)
        self.attention = contrast_attention(features)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        return self.block(x) * self.attention.weights(x)


class OSFFNet(nn.Module):
    """LR (N,3,h,w) → SR (N,3,sh,sw), both in [0,1]. UserError below 15 pixels a side."""

    def __init__(
        self,
        scale: int,
        *,
        features: int = 64,
        copies: int = 8,
        shallow: bool = True,
        fields: bool = True,
        esa: bool = True,
        cca: bool = True,
        kernels: tuple[int, ...] = KERNELS,
    ) -> None:
        """`kernels` has one entry per stage. Table 2's OISI is `copies` (1 without it), SFGC `shallow`,
        MFDF `fields`; Table 4's `esa` and `cca` are the attentions inside the distillation blocks.
        """
        super().__init__()
        self.scale, self.copies = scale, copies
        stages = len(kernels)
        self.head = BSConv(3 * copies, features, 3)
        self.stages = nn.ModuleList(Distillation(features, esa, cca) for _ in range(stages))
        self.shallow = nn.ModuleList(Scalar(1.0) for _ in range(stages - 1 if shallow else 0))
        self.fields = nn.ModuleList(
            DynamicField(features, kernel) if fields else nn.Identity() for kernel in kernels
        )
        self.fuse = nn.Conv2d(stages * features, features, 1)
        self.mix = BSConv(features, features, 3)
        self.last = nn.Conv2d(features, 3 * scale * scale, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, lr: Tensor) -> Tensor:
        """The paper's Eq. 1 to 5."""
        require(lr, SMALLEST)
        shallow = self.head(torch.cat([lr] * self.copies, 1))
        x, fields = shallow, []
        for index, (stage, field) in enumerate(zip(self.stages, self.fields, strict=True)):
            if index and len(self.shallow):
                x = x + self.shallow[index - 1](shallow)
            x = stage(x)
            fields.append(field(x))
        fused = self.mix(F.gelu(self.fuse(torch.cat(fields, 1))))
        return self.shuffle(self.last(fused + shallow))


def osffnet(scale: int) -> OSFFNet:
    """OSFFNet as its paper trains it."""
    return OSFFNet(scale)
