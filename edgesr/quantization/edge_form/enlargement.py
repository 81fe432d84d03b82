"""Interpolation by a whole number as a fixed convolution: one kernel for each phase of the SR grid."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.quantization.edge_form.parts import EdgePadding

CUBIC = -0.75
"""The parameter of PyTorch's bicubic kernel (Keys 1981)."""

Kernel = Callable[[Tensor], Tensor]
"""Distance in LR pixels, in double precision → weight."""


def linear(distance: Tensor) -> Tensor:
    """PyTorch's "bilinear" in one dimension; nothing from distance 1 on."""
    return (1 - distance).clamp(min=0)


def cubic(distance: Tensor) -> Tensor:
    """PyTorch's "bicubic" in one dimension; nothing from distance 2 on."""
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = CUBIC * (((distance - 5) * distance + 8) * distance - 4)
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0.0))


class Phases(nn.Module):
    """An RGB image, enlarged (corners not aligned), before its pixel shuffle.

    Every SR pixel of one phase has the same weights, so it is a depthwise convolution with one output
    per phase, over an image whose border is repeated.
    """

    kernels: Tensor

    def __init__(self, scale: int, kernel: Kernel, reach: int) -> None:
        """`reach`: how many LR pixels to each side the kernel sees."""
        super().__init__()
        self.padding = EdgePadding(reach)
        pixels = torch.arange(-reach, reach + 1, dtype=torch.double)
        centres = (torch.arange(scale, dtype=torch.double) + 0.5) / scale - 0.5
        taps = kernel((pixels - centres[:, None]).abs())
        kernels = torch.einsum("yi,xj->yxij", taps, taps).flatten(0, 1)
        weight = kernels.float().repeat(3, 1, 1).unsqueeze(1)
        self.register_buffer("kernels", weight, persistent=False)

    def forward(self, lr: Tensor) -> Tensor:
        """LR (N,3,h,w) → (N,3s²,h,w)."""
        return F.conv2d(self.padding(lr), self.kernels, groups=3)
