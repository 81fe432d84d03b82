"""Peak signal-to-noise ratio."""

import math

import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.float64] | NDArray[np.uint8]

PEAK = 255.0


def psnr(a: Levels, b: Levels) -> float:
    """PSNR in dB of two arrays of one shape, on a scale of 255; infinite where they are equal."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return 10 * math.log10(PEAK**2 / error) if error else math.inf
