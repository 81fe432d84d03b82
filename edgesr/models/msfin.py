"""MSFIN: Multi-Scale Feature Interaction Network (Wang et al., "Lightweight Image Super-Resolution With
Multi-Scale Feature Interaction Network", ICME 2021).

Written from the paper, with the authors' public code read for what it leaves open
(github.com/wzx0826/MSFIN, no licence stated; nothing is copied). Readings taken:

- All eight connections between levels have their own weights, as in the released networks (the paper
  calls that "NS"); Eq. 15 concatenates the first, third and fifth feature of a level.
- The connections from level 3's shallow features into level 2 are 1x1 convolutions, not deconvolutions.
- The colour shift at both ends is a trainable 1x1 convolution, as the released networks have it. The
  authors compute in 0..255; here the shifts also carry that factor, so that the ends are in [0,1].

Everything runs at HR size H x W after one bilinear enlargement, which must be a multiple of 4.
Legend: N batch, n features, H x W = HR size.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
LEVELS = 255.0


class ChannelAttention(nn.Module):
    """Global mean, squeeze, excite, sigmoid, times the input: (N,C,h,w) → (N,C,h,w)."""

    def __init__(self, features: int, reduction: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(features, features // reduction, 1)
        self.excite = nn.Conv2d(features // reduction, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        pooled = F.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(pooled))))


class RecurrentBlock(nn.Module):
    """RRCAB: grouped residual channel attention, applied `passes` times. Paper Fig. 2."""

    def __init__(self, features: int, groups: int, reduction: int, passes: int) -> None:
        super().__init__()
        self.passes = passes
        self.body = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1, groups=groups),
            nn.ReLU(),
            nn.Conv2d(features, features, 3, padding=1, groups=groups),
            nn.ReLU(),
            nn.Conv2d(features, features, 1),
            ChannelAttention(features, reduction),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        for _ in range(self.passes):
            x = x + self.body(x)
        return x


def down(features: int, inner: int, out: int) -> nn.Sequential:
    """Halve the size: (N,features,h,w) → (N,out,h/2,w/2)."""
    return nn.Sequential(
        nn.Conv2d(features, inner, 3, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(inner, out, 3, padding=1, bias=False),
    )


def up(features: int, out: int) -> nn.Sequential:
    """Double the size: (N,features,h,w) → (N,out,2h,2w)."""
    return nn.Sequential(nn.Conv2d(features, 4 * out, 3, padding=1), nn.PixelShuffle(2))


def doubling(features: int) -> nn.ConvTranspose2d:
    """A connection to the finer level: (N,features,h,w) → (N,features/2,2h,2w)."""
    return nn.ConvTranspose2d(features, features // 2, 2, stride=2)


class Coarse(nn.Module):
    """Level 3: four blocks at H/4, four at H/2, each row closed by a fusion of its features."""

    def __init__(self, n: int, **block: int) -> None:
        super().__init__()
        self.down = nn.Sequential(down(n, n, 2 * n), down(2 * n, 4 * n, 4 * n))
        self.at_quarter = nn.ModuleList(RecurrentBlock(4 * n, **block) for _ in range(5))
        self.fuse_quarter = nn.Conv2d(12 * n, 4 * n, 1)
        self.to_half = up(4 * n, n)
        self.at_half = nn.ModuleList(RecurrentBlock(n, **block) for _ in range(5))
        self.fuse_half = nn.Conv2d(3 * n, n, 1)
        self.to_full = up(n, n)

    def forward(self, f: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N,n,H,W) → (N,n,H,W) and what level 2 listens to: two features of each row."""
        z = _row(self.down(f), self.at_quarter, self.fuse_quarter)  # 4n x H/4 x W/4
        u = _row(self.to_half(z[5]), self.at_half, self.fuse_half)  # n x H/2 x W/2
        return self.to_full(u[5]), [z[2], z[4], u[2], u[4]]


def _row(x: Tensor, blocks: nn.ModuleList, fuse: nn.Conv2d) -> list[Tensor]:
    """The input, four blocks in series, and the fifth over the fusion of every second one."""
    features = [x]
    for block in blocks[:4]:
        features.append(block(features[-1]))
    return [*features, blocks[4](fuse(torch.cat([features[0], features[2], features[4]], 1)))]


class Middle(nn.Module):
    """Level 2, at H/2: before each block it adds a feature of level 3."""

    def __init__(self, n: int, **block: int) -> None:
        super().__init__()
        self.down = down(n, n, 2 * n)
        self.listen = nn.ModuleList(
            [doubling(4 * n), doubling(4 * n), nn.Conv2d(n, 2 * n, 1), nn.Conv2d(n, 2 * n, 1)]
        )
        self.blocks = nn.ModuleList(RecurrentBlock(2 * n, **block) for _ in range(5))
        self.to_full = up(2 * n, n)

    def forward(self, f: Tensor, heard: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """(N,n,H,W) and level 3's features → (N,n,H,W) and what level 1 listens to."""
        y, said = self.down(f), []
        for listen, block, feature in zip(self.listen, self.blocks[:4], heard, strict=True):
            y = block(y + listen(feature))
            said.append(y)
        return self.to_full(self.blocks[4](y)), said


class Fine(nn.Module):
    """Level 1, at full size: before each block it adds a feature of level 2."""

    def __init__(self, n: int, **block: int) -> None:
        super().__init__()
        self.listen = nn.ModuleList(doubling(2 * n) for _ in range(4))
        self.blocks = nn.ModuleList(RecurrentBlock(n, **block) for _ in range(5))

    def forward(self, f: Tensor, heard: list[Tensor]) -> Tensor:
        """(N,n,H,W) and level 2's features → (N,n,H,W)."""
        for listen, block, feature in zip(self.listen, self.blocks[:4], heard, strict=True):
            f = block(f + listen(feature))
        return self.blocks[4](f)


class MSFIN(nn.Module):
    """LR (N,3,h,w) → SR (N,3,sh,sw), both in [0,1]. No weight depends on the scale."""

    def __init__(self, scale: int, *, features: int, groups: int, reduction: int, passes: int) -> None:
        super().__init__()
        self.scale = scale
        block = {"groups": groups, "reduction": reduction, "passes": passes}
        self.sub_mean = _colour_shift(LEVELS, [-LEVELS * mean for mean in DIV2K_MEAN])
        self.head = nn.Conv2d(3, features, 3, padding=1)
        self.coarse = Coarse(features, **block)
        self.middle = Middle(features, **block)
        self.fine = Fine(features, **block)
        self.blend = nn.Sequential(*(RecurrentBlock(features, **block) for _ in range(4)))
        self.tail = nn.Conv2d(features, 3, 3, padding=1)
        self.add_mean = _colour_shift(1 / LEVELS, list(DIV2K_MEAN))

    def forward(self, lr: Tensor) -> Tensor:
        """Paper Fig. 1. Raises no error for unaligned sizes: pad with `edgesr.tiling.aligned`."""
        x = F.interpolate(lr, scale_factor=float(self.scale), mode="bilinear", align_corners=False)
        f = self.head(self.sub_mean(x))
        coarse, heard_by_middle = self.coarse(f)
        middle, heard_by_fine = self.middle(f, heard_by_middle)
        fine = self.fine(f, heard_by_fine)
        return self.add_mean(self.tail(self.blend(fine + middle + coarse)))


def _colour_shift(factor: float, bias: list[float]) -> nn.Conv2d:
    """A trainable 1x1 convolution 3 → 3 that starts as y = factor * x + bias."""
    shift = nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        shift.weight.copy_(factor * torch.eye(3).view(3, 3, 1, 1))
        assert shift.bias is not None
        shift.bias.copy_(torch.tensor(bias))
    return shift


def msfin_s(scale: int) -> MSFIN:
    """MSFIN-S: 16 features, 4 groups, one pass."""
    return MSFIN(scale, features=16, groups=4, reduction=4, passes=1)
