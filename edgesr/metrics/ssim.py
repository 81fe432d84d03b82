"""Structural similarity.

Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error
visibility to structural similarity", IEEE Trans. Image Processing 13(4), 2004. The constants and
the window are those of the authors' `ssim_index.m`, without its later optional downsampling.
"""

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import UserError

Plane = NDArray[np.float64]
Levels = Plane | NDArray[np.uint8]

WINDOW = 11
SIGMA = 1.5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2


def ssim(a: Levels, b: Levels) -> float:
    """Mean SSIM of two planes (H,W) on a scale of 255, over the windows wholly inside them.

    UserError where a side is shorter than the window of 11 pixels.
    """
    height, width = a.shape
    if min(height, width) < WINDOW:
        raise UserError(f"SSIM needs at least {WINDOW} pixels a side, got {width}x{height}.")
    a, b = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = _blurred(a), _blurred(b)
    spread_a = _blurred(a * a) - mean_a**2
    spread_b = _blurred(b * b) - mean_b**2
    shared = _blurred(a * b) - mean_a * mean_b
    likeness = (2 * mean_a * mean_b + C1) * (2 * shared + C2)
    return float(np.mean(likeness / ((mean_a**2 + mean_b**2 + C1) * (spread_a + spread_b + C2))))


def _blurred(plane: Plane) -> Plane:
    """Gaussian mean of each 11x11 window: (H,W) → (H - 10, W - 10)."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-(offsets**2) / (2 * SIGMA**2))
    weights /= weights.sum()
    tall = np.lib.stride_tricks.sliding_window_view(plane, WINDOW, axis=0) @ weights
    return np.lib.stride_tricks.sliding_window_view(tall, WINDOW, axis=1) @ weights
