"""MSFIN: Multi-Scale Feature Interaction Network (Wang et al., "Lightweight Image Super-Resolution With
Multi-Scale Feature Interaction Network", ICME 2021).

Written from the paper, with the authors' public code read for what it leaves open
(github.com/wzx0826/MSFIN, no licence stated; nothing is copied). Readings taken:

- All eight connections between levels have their own weights, as in the released networks (the paper
  calls that "NS"); Eq. 15 concatenates the first, third and fifth feature of a level.
- The connections from level 3's shallow features into level 2 are 1x1 convolutions, not deconvolutions.
- The ablations (Tables 1 and 2) are met to the digit with 20 features, 4 groups and a reduction of 16
  and 5. There "IC" shares one deconvolution per level, and "CIC" adds a second set from level 3 to
  level 1; "CS" is taken to stand where the 1x1 convolution "FF" does. Table 2's last row needs a bias
  in FF to print 544K (543,763), and is printed 543K.
- "Group 6" is right for MSFIN; the small network's 16 features are not divisible by 6 and use 4.
- The colour shift at both ends is a trainable 1x1 convolution, as the released networks have it. The
  authors compute in 0..255; here the shifts also carry that factor, so that the ends are in [0,1].

Everything runs at HR size H x W after one bilinear enlargement, which is padded to a multiple of 4.
Legend: N batch, n features, H x W = HR size.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.models.blocks import DIV2K_MEAN, ChannelAttention, ChannelShuffle, Enlarge, lr_multiple

Connections = Literal["none", "shared", "shared+cross", "own"]
"""The paper's Table 1: none, IC, CIC, and NS, which the released networks have."""
Mix = Literal["none", "shuffle", "fusion"]
"""The paper's Table 2: what follows the grouped convolutions; CS and FF."""

STRIDES = 4
LEVELS = 255.0


class RecurrentBlock(nn.Module):
    """RRCAB: grouped residual channel attention, applied `passes` times. Paper Fig. 2."""

    def __init__(
        self, features: int, groups: int, reduction: int, passes: int, attention: bool, mix: Mix
    ) -> None:
        super().__init__()
        self.passes = passes
        mixers = {
            "none": nn.Identity,
            "shuffle": lambda: ChannelShuffle(groups),
            "fusion": lambda: nn.Conv2d(features, features, 1),
        }
        self.body = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1, groups=groups),
            nn.ReLU(),
            nn.Conv2d(features, features, 3, padding=1, groups=groups),
            nn.ReLU(),
            mixers[mix](),
            ChannelAttention(features, features // reduction) if attention else nn.Identity(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        for _ in range(self.passes):
            x = x + self.body(x)
        return x


Block = Callable[[int], RecurrentBlock]
"""Features → a block of that width."""


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


Kind = tuple[int, int, int]
"""A connection to a finer level: features in, features out, how many times larger."""


class Connection(nn.ModuleList):
    """What a level adds before each of its blocks: a feature of a coarser level, enlarged."""

    def __init__(self, kinds: list[Kind], shared: bool) -> None:
        different = list(dict.fromkeys(kinds)) if shared else kinds
        super().__init__(_enlarging(*kind) for kind in different)
        self.which = [different.index(kind) for kind in kinds] if shared else list(range(len(kinds)))

    def forward(self, block: int, feature: Tensor) -> Tensor:
        """(N,in,h,w) → (N,out,times*h,times*w), for the block of that index."""
        return self[self.which[block]](feature)


def _enlarging(features: int, out: int, times: int) -> nn.Module:
    if times == 1:
        return nn.Conv2d(features, out, 1)
    return nn.ConvTranspose2d(features, out, times, stride=times)


class Coarse(nn.Module):
    """Level 3: four blocks at H/4, four at H/2, each row closed by a fusion of its features."""

    def __init__(self, n: int, block: Block) -> None:
        super().__init__()
        self.down = nn.Sequential(down(n, n, 2 * n), down(2 * n, 4 * n, 4 * n))
        self.at_quarter = nn.ModuleList(block(4 * n) for _ in range(5))
        self.fuse_quarter = nn.Conv2d(12 * n, 4 * n, 1)
        self.to_half = up(4 * n, n)
        self.at_half = nn.ModuleList(block(n) for _ in range(5))
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

    def __init__(self, n: int, block: Block, connections: Connections) -> None:
        super().__init__()
        self.down = down(n, n, 2 * n)
        kinds = [(4 * n, 2 * n, 2), (4 * n, 2 * n, 2), (n, 2 * n, 1), (n, 2 * n, 1)]
        self.listen = None if connections == "none" else Connection(kinds, connections != "own")
        self.blocks = nn.ModuleList(block(2 * n) for _ in range(5))
        self.to_full = up(2 * n, n)

    def forward(self, f: Tensor, heard: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """(N,n,H,W) and level 3's features → (N,n,H,W) and what level 1 listens to."""
        y, said = self.down(f), []
        for index, block in enumerate(self.blocks[:4]):
            y = block(y if self.listen is None else y + self.listen(index, heard[index]))
            said.append(y)
        return self.to_full(self.blocks[4](y)), said


class Fine(nn.Module):
    """Level 1, at full size: before each block it adds a feature of level 2 (and, in CIC, of 3)."""

    def __init__(self, n: int, block: Block, connections: Connections) -> None:
        super().__init__()
        shared = connections != "own"
        near: list[Kind] = [(2 * n, n, 2)] * 4
        far = [(4 * n, n, 4), (4 * n, n, 4), (n, n, 2), (n, n, 2)]
        self.listen = None if connections == "none" else Connection(near, shared)
        self.cross = Connection(far, shared) if connections == "shared+cross" else None
        self.blocks = nn.ModuleList(block(n) for _ in range(5))

    def forward(self, f: Tensor, heard: list[Tensor], far: list[Tensor]) -> Tensor:
        """(N,n,H,W), level 2's and level 3's features → (N,n,H,W)."""
        for index, block in enumerate(self.blocks[:4]):
            if self.listen is not None:
                f = f + self.listen(index, heard[index])
            if self.cross is not None:
                f = f + self.cross(index, far[index])
            f = block(f)
        return self.blocks[4](f)


class MSFIN(nn.Module):
    """LR (N,3,h,w) → SR (N,3,sh,sw), both in [0,1], any size. No weight depends on the scale."""

    def __init__(
        self,
        scale: int,
        *,
        features: int,
        groups: int,
        reduction: int,
        passes: int,
        connections: Connections = "own",
        attention: bool = True,
        mix: Mix = "fusion",
    ) -> None:
        """`connections` is the paper's Table 1; `attention` (CA) and `mix` (CS, FF) are Table 2."""
        super().__init__()
        self.scale = scale

        def block(width: int) -> RecurrentBlock:
            return RecurrentBlock(width, groups, reduction, passes, attention, mix)

        self.enlarge: nn.Module = Enlarge("bilinear")
        self.sub_mean: nn.Module = _colour_shift(LEVELS, [-LEVELS * mean for mean in DIV2K_MEAN])
        self.head: nn.Module = nn.Conv2d(3, features, 3, padding=1)
        self.coarse = Coarse(features, block)
        self.middle = Middle(features, block, connections)
        self.fine = Fine(features, block, connections)
        self.blend = nn.Sequential(*(block(features) for _ in range(4)))
        self.tail: nn.Module = nn.Conv2d(features, 3, 3, padding=1)
        self.add_mean: nn.Module = _colour_shift(1 / LEVELS, list(DIV2K_MEAN))

    def forward(self, lr: Tensor) -> Tensor:
        """Paper Fig. 1. Sizes that the strides do not divide are padded by their edge and cropped."""
        height, width = lr.shape[2:]
        multiple = lr_multiple(STRIDES, self.scale)
        if height % multiple == width % multiple == 0:
            return self._enlarge(lr)
        padded = F.pad(lr, (0, -width % multiple, 0, -height % multiple), mode="replicate")
        return self._enlarge(padded)[:, :, : self.scale * height, : self.scale * width]

    def _enlarge(self, lr: Tensor) -> Tensor:
        x = self.enlarge(lr, [self.scale * side for side in lr.shape[2:]])
        f = self.head(self.sub_mean(x))
        coarse, heard_by_middle = self.coarse(f)
        middle, heard_by_fine = self.middle(f, heard_by_middle)
        fine = self.fine(f, heard_by_fine, heard_by_middle)
        return self.add_mean(self.tail(self.blend(fine + middle + coarse)))


def _colour_shift(factor: float, bias: list[float]) -> nn.Conv2d:
    """A trainable 1x1 convolution 3 → 3 that starts as y = factor * x + bias."""
    shift = nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        shift.weight.copy_(factor * torch.eye(3).view(3, 3, 1, 1))
        assert shift.bias is not None
        shift.bias.copy_(torch.tensor(bias))
    return shift


def msfin(scale: int) -> MSFIN:
    """MSFIN: 24 features, 6 groups, every block twice."""
    return MSFIN(scale, features=24, groups=6, reduction=5, passes=2)


def msfin_s(scale: int) -> MSFIN:
    """MSFIN-S: 16 features, 4 groups, one pass."""
    return MSFIN(scale, features=16, groups=4, reduction=4, passes=1)
