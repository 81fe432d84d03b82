"""The seam of everything: what an upscaler is (see the head of the package)."""

from collections.abc import Callable

from torch import Tensor

Upscaler = Callable[[Tensor], Tensor]
"""LR (N,3,H,W) → SR (N,3,scale*H,scale*W), RGB float32 in [0,1]."""
