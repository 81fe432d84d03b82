"""Classic mobile networks: what a user might pick instead of ours. Written from the papers.

None is trained here: they are there for their cost, which does not depend on weights.
They are no part of `edgesr.models`.
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from edgesr.data.drawn import drawn_lr
from edgesr.engines import Artifact
from edgesr.quantization import find_scheme, pt2e
from export.choose import FP32
from export.target import HasOptions, find_target

SEED = 0
UNTRAINED = f"none: fresh weights, seed {SEED}"
"""In the place of a checkpoint's SHA-256."""


class _Residual(nn.Module):
    """A body and what goes around it."""

    def __init__(self, body: nn.Module, around: nn.Module) -> None:
        super().__init__()
        self.body, self.around = body, around

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.around(x)


class _Joined(nn.Module):
    """A body and what goes around it, channels side by side."""

    def __init__(self, body: nn.Module, around: nn.Module) -> None:
        super().__init__()
        self.body, self.around = body, around

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.body(x), self.around(x)), 1)


def _conv(inputs: int, outputs: int, side: int = 3, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, side, padding=side // 2, groups=groups)


def _espcn(scale: int) -> nn.Module:
    """Shi et al., CVPR 2016. ReLU where the paper has tanh, as its followers do."""
    layers = [_conv(3, 64, 5), nn.ReLU(), _conv(64, 32), nn.ReLU(), _conv(32, 3 * scale**2)]
    return nn.Sequential(*layers, nn.PixelShuffle(scale))


def _fsrcnn(scale: int) -> nn.Module:
    """Dong et al., ECCV 2016, d=56 s=12 m=4. Its 9x9 transposed convolution is a 3x3 one for each phase
    of the output: those and a pixel shuffle stand for it.
    """
    mapping = [layer for _ in range(4) for layer in (_conv(12, 12), nn.PReLU(12))]
    layers = [_conv(3, 56, 5), nn.PReLU(56), _conv(56, 12, 1), nn.PReLU(12), *mapping]
    layers += [_conv(12, 56, 1), nn.PReLU(56), _conv(56, 3 * scale**2)]
    return nn.Sequential(*layers, nn.PixelShuffle(scale))


def _sesr_m5(scale: int) -> nn.Module:
    """Bhardwaj et al., MLSys 2022, M5 as it is run: every linear block collapsed to one convolution."""
    body = [layer for _ in range(5) for layer in (_conv(16, 16), nn.PReLU(16))]
    features = [_conv(3, 16, 5), nn.PReLU(16), _Residual(nn.Sequential(*body), nn.Identity())]
    return nn.Sequential(*features, _conv(16, 3 * scale**2, 5), nn.PixelShuffle(scale))


def _xlsr(scale: int) -> nn.Module:
    """Like Ayazoglu, CVPRW 2021: grouped convolutions, one skip of 16 channels, the end clipped."""

    def block() -> list[nn.Module]:
        return [_conv(32, 32, groups=4), nn.ReLU(), _conv(32, 32, 1), nn.ReLU()]

    body = nn.Sequential(_conv(3, 32), nn.ReLU(), *block(), *block(), *block())
    around = nn.Sequential(_conv(3, 16), nn.ReLU())
    layers = [_Joined(body, around), _conv(48, 32, 1), nn.ReLU(), _conv(32, 3 * scale**2)]
    return nn.Sequential(*layers, nn.PixelShuffle(scale))


def _abpn(scale: int) -> nn.Module:
    """Like Du et al., CVPRW 2021: six plain convolutions and the image itself, each pixel repeated."""
    body = [layer for _ in range(4) for layer in (_conv(28, 28), nn.ReLU())]
    layers = [_conv(3, 28), nn.ReLU(), *body, _conv(28, 3 * scale**2)]
    repeated = nn.Conv2d(3, 3 * scale**2, 1, bias=False)
    with torch.no_grad():
        repeated.weight.copy_(torch.eye(3).repeat_interleave(scale**2, 0)[:, :, None, None])
    return nn.Sequential(_Residual(nn.Sequential(*layers), repeated), nn.PixelShuffle(scale))


PEERS: dict[str, Callable[[int], nn.Module]] = {
    "ESPCN": _espcn,
    "FSRCNN": _fsrcnn,
    "SESR-M5": _sesr_m5,
    "XLSR-like": _xlsr,
    "ABPN-like": _abpn,
}
"""Name → the network at a scale, from RGB to RGB."""


def lower(name: str, like: Artifact, folder: Path) -> Path:
    """A peer as `like` is: for the same runtime, scale, scheme and tile; calibrated on a drawn image."""
    target = find_target(like.path)
    torch.manual_seed(SEED)
    network = PEERS[name](like.scale).eval()
    lr = drawn_lr(like.tile)
    if like.scheme == FP32:
        program = torch.export.export(network, (lr,))
    else:
        scheme = find_scheme(like.scheme)
        program = pt2e.calibrated_program(network, scheme, lr, fold_weights=target.FOLD_WEIGHTS)
    options = target.chosen(like.scheme, {}) if isinstance(target, HasOptions) else {}
    facts = {"model": name, "scale": like.scale, "scheme": like.scheme, "tile": list(like.tile)}
    facts |= {"overlap": 0, "multiple": 1, "checkpoint_sha256": UNTRAINED}
    path = folder / f"{name}_x{like.scale}_{like.scheme}{like.path.suffix}"
    target.lower(program, facts | options, path)
    return path
