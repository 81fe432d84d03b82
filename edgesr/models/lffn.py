"""LFFN: Lightweight Feature Fusion Network (Yang et al., IEEE Signal Processing
Letters 2019).

Written from the paper, with the authors' public TensorFlow code read for what the paper leaves open
(github.com/qibao77/LFFN, no licence stated; nothing is copied). Where the two disagree, the code, its
released weights and the paper's Table II agree with one another and are followed: the small network's
3x3 convolutions are depthwise only, without the pointwise half that the text's 12.13 % would need.

Legend: N batch, C = 48 features, h x w = LR size, s = scale.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATHS = (1, 1, 2, 3)  # 3x3 convolutions on each of a spindle block's four paths


class SpindleBlock(nn.Module):
    """Expand, four paths of growing depth, shrink, add: (N,C,h,w) → (N,C,h,w). Paper Fig. 3b, Eq. 5."""

    def __init__(self, features: int, expanded: int, depthwise: bool) -> None:
        super().__init__()
        self.width = expanded // len(PATHS)
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


class FusionModule(nn.Module):
    """B spindle blocks in series, their outputs fused, plus the input. Paper Fig. 2, Eq. 2."""

    def __init__(self, features: int, expanded: int, blocks: int, depthwise: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(SpindleBlock(features, expanded, depthwise) for _ in range(blocks))
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

    def forward(self, outputs: list[Tensor]) -> Tensor:
        """M tensors (N,C,h,w) → (N,C,h,w)."""
        scores = [
            dense(F.adaptive_avg_pool2d(x, 1)) for dense, x in zip(self.dense, outputs, strict=True)
        ]
        joined = torch.cat(scores, 3)  # (N,C,1,M)
        # rank 3 with the softmax last: XNNPACK computes a rank-4 softmax wrongly
        ranked = joined.reshape(joined.shape[0], joined.shape[1], joined.shape[3])
        weights = torch.softmax(ranked, -1).reshape(joined.shape)
        weighted = [x * weights[:, :, :, i : i + 1] for i, x in enumerate(outputs)]
        total = weighted[0]
        for term in weighted[1:]:
            total = total + term
        return total


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
    ) -> None:
        super().__init__()
        self.scale = scale
        self.head = nn.Conv2d(3, features, 3, padding=1, bias=False)
        self.body = nn.ModuleList(
            FusionModule(features, features * 4 // 3, blocks, depthwise) for _ in range(modules)
        )
        self.fusion = SoftmaxFusion(features, modules)
        self.post = nn.Conv2d(features, features, 1, bias=False)
        self.up = nn.Sequential(*_upsampler(features, scale))
        self.last = nn.Conv2d(features, 3, 1, bias=False)
        self.register_buffer("centre", torch.full((1, 1, 1, 1), 0.5), persistent=False)
        self.apply(_initialise)

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


def _upsampler(features: int, scale: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for step in (2, 2) if scale == 4 else (scale,):
        layers += [nn.Conv2d(features, features * step * step, 1), nn.PixelShuffle(step)]
    return layers


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


def lffn_s(scale: int) -> LFFN:
    """LFFN-S: 4 modules, depthwise paths (paper Table II)."""
    return LFFN(scale, modules=4, depthwise=True)
