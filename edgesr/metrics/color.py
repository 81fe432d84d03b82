"""The one channel that scores are computed on."""

import numpy as np
from numpy.typing import NDArray


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Y of 8-bit RGB (H,W,3) → (H,W) in [16,235], not rounded.

    ITU-R BT.601 in studio swing, with the coefficients of MATLAB's `rgb2ycbcr`.
    """
    return 16 + rgb.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255


def grey(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Full-swing grey of 8-bit RGB (H,W,3) → (H,W), whole numbers in [0,255].

    Rounded 0.299 R + 0.587 G + 0.114 B (BT.601), in whole numbers so that R = G = B stays exactly
    that value.
    """
    thousandths = rgb.astype(np.int64) @ np.array([299, 587, 114])
    return ((thousandths + 500) // 1000).astype(np.float64)
