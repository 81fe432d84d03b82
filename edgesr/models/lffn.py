"""LFFN: Lightweight Feature Fusion Network (Yang et al., IEEE Signal Processing
Letters 2019).

Written from the paper, with the authors' public TensorFlow code read for what the paper leaves open
(github.com/qibao77/LFFN, no licence stated; nothing is copied). Where the two disagree, the code, its
released weights and the paper's Table II agree with one another and are followed: the small network's
3x3 convolutions are depthwise only, without the pointwise half that the text's 12.13 % would need.

Legend: N batch, C = 48 features, h x w = LR size, s = scale.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.models.blocks import Mean, upsampler

PATHS = (1, 1, 2, 3)  # 3x3 convolutions on each of a spindle block's four paths
CLOSING = ("shrink.weight", "second.weight", "fuse.weight")  # of the layers that end a residual branch


class SpindleBlock(nn.Module):
    """Expand, four paths of growing depth, shrink, add: (N,C,h,w) → (N,C,h,w). Paper Fig. 3b, Eq. 5."""

    def __init__(self, features: int, expanded: int, depthwise: bool) -> None:
        super().__init__()
        self.width = expanded // len(PATHS)
        self.depthwise = depthwise
        groups = self.width if depthwise else 1
        self.expand = nn.Conv2d(features, expanded, 1, bias=False)
        self.paths = nn.ModuleList(
            nn.Sequential(*self._path(depth, groups, linear=index == 0))
            for index, depth in enumerate(PATHS)
        )
        self.shrink = nn.Conv2d(expanded, features, 1, bias=False)

    def _path(self, depth: int, groups: int, *, linear: bool) -> list[nn.Module]:
        """Convolutions each followed by PReLU; the first path alone stays linear."""
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers.append(nn.Conv2d(self.width, self.width, 3, padding=1, groups=groups, bias=False))
            if not linear:
                layers.append(nn.PReLU(self.width, init=0.1))
        return layers

    def forward(self, x: Tensor) -> Tensor:
        """Slices rather than split(): a list of tensors leaves the delegate."""
        wide, width = self.expand(x), self.width
        parts = [path(wide[:, i * width : (i + 1) * width]) for i, path in enumerate(self.paths)]
        return self.shrink(torch.cat(parts, 1)) + x


class ResidualBlock(nn.Module):
    """What LFFN-NS has instead: (N,C,h,w) → (N,C,h,w). Paper Fig. 3a."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.second = nn.Conv2d(features, features, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        return x + self.second(F.relu(self.first(x)))


class FusionModule(nn.Module):
    """B blocks in series, their outputs fused, plus the input. Paper Fig. 2, Eq. 2."""

    def __init__(self, features: int, blocks: int, block: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(block() for _ in range(blocks))
        self.fuse = nn.Conv2d(features * blocks, features, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        outputs, t = [], x
        for block in self.blocks:
            t = block(t)
            outputs.append(t)
        return self.fuse(torch.cat(outputs, 1)) + x


class SoftmaxFusion(nn.Module):
    """SFFM: module outputs weighted per channel by a softmax over them. Paper Sec. II-C."""

    def __init__(self, features: int, modules: int) -> None:
        super().__init__()
        self.dense = nn.ModuleList(nn.Conv2d(features, features, 1, bias=False) for _ in range(modules))
        self.statistic = Mean()

    def forward(self, outputs: list[Tensor]) -> Tensor:
        """M tensors (N,C,h,w) → (N,C,h,w)."""
        scores = [dense(self.statistic(x)) for dense, x in zip(self.dense, outputs, strict=True)]
        joined = torch.cat(scores, 3)  # (N,C,1,M)
        # rank 3 with the softmax last: XNNPACK computes a rank-4 softmax wrongly
        ranked = joined.reshape(joined.shape[0], joined.shape[1], joined.shape[3])
        weights = torch.softmax(ranked, -1).reshape(joined.shape)
        weighted = [x * weights[:, :, :, i : i + 1] for i, x in enumerate(outputs)]
        total = weighted[0]
        for term in weighted[1:]:
            total = total + term
        return total


class LastFeature(nn.Module):
    """What LFFN-NF has instead of the SFFM: the last module's output alone."""

    def forward(self, outputs: list[Tensor]) -> Tensor:
        """M tensors (N,C,h,w) → (N,C,h,w)."""
        return outputs[-1]


class LFFN(nn.Module):
    """LR (N,3,h,w) → SR (N,3,sh,sw), both in [0,1]. Only the up-sampling has biases."""

    centre: Tensor

    def __init__(
        self,
        scale: int,
        *,
        modules: int,
        blocks: int = 4,
        features: int = 48,
        depthwise: bool = False,
        block: Literal["spindle", "residual"] = "spindle",
        fusion: bool = True,
    ) -> None:
        """`block` and `fusion` (the SFFM) are the paper's Table I."""
        super().__init__()

        def build() -> nn.Module:
            if block == "residual":
                return ResidualBlock(features)
            return SpindleBlock(features, features * 4 // 3, depthwise)

        self.scale = scale
        self.head = nn.Conv2d(3, features, 3, padding=1, bias=False)
        self.body = nn.ModuleList(FusionModule(features, blocks, build) for _ in range(modules))
        self.fusion = SoftmaxFusion(features, modules) if fusion else LastFeature()
        self.post = nn.Conv2d(features, features, 1, bias=False)
        self.up = upsampler(features, scale)
        self.last = nn.Conv2d(features, 3, 1, bias=False)
        self.register_buffer("centre", torch.full((1, 1, 1, 1), 0.5), persistent=False)
        self.apply(_initialise)
        if not depthwise:
            _calm(self.body)

    def trunk(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """(N,3,h,w) → the head's features M0 and the fused R, both (N,C,h,w)."""
        m0 = self.head(lr - self.centre)
        x, outputs = m0, []
        for module in self.body:
            x = module(x)
            outputs.append(x)
        return m0, self.fusion(outputs)

    def forward(self, lr: Tensor) -> Tensor:
        """The paper's Eq. 1 to 4."""
        m0, fused = self.trunk(lr)
        return self.last(self.up(self.post(fused) + m0)) + self.centre


def _initialise(module: nn.Module) -> None:
    """He's normal as the authors' code has it: truncated, and a depthwise layer's fan-in counts every
    channel (which quarters its weights: with the true fan-in the untrained network's output explodes).
    """
    if isinstance(module, nn.Conv2d):
        fan_in = module.in_channels * module.kernel_size[0] * module.kernel_size[1]
        std = (2 / fan_in) ** 0.5
        nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


@torch.no_grad()
def _calm(body: nn.Module) -> None:
    """Start what closes a residual branch at a tenth. With He's normal alone, all that the paper
    says, 60 blocks that each add a branch give an SR of 1e9 (residual blocks) to 1e13 (spindle).
    """
    for name, weight in body.named_parameters():
        if name.endswith(CLOSING):
            weight.mul_(0.1)


def lffn(scale: int) -> LFFN:
    """LFFN: 15 modules of 4 spindle blocks (B4M15)."""
    return LFFN(scale, modules=15)


def lffn_nf(scale: int) -> LFFN:
    """LFFN without the softmax feature fusion (paper Table I)."""
    return LFFN(scale, modules=15, fusion=False)


def lffn_ns(scale: int) -> LFFN:
    """LFFN of residual blocks, which need 64 features (paper Table I)."""
    return LFFN(scale, modules=15, features=64, block="residual")


def lffn_s(scale: int) -> LFFN:
    """LFFN-S: 4 modules, depthwise paths (paper Table II)."""
    return LFFN(scale, modules=4, depthwise=True)
