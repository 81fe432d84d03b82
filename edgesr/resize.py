"""The arithmetic of MATLAB's `imresize(image, scale, 'bicubic')`, one axis at a time.

The kernel is the cubic convolution of R. Keys, "Cubic convolution interpolation for digital image
processing", IEEE Trans. ASSP 29(6), 1981, with a = -1/2. MATLAB stretches it when shrinking
(antialiasing) and mirrors the image at its border. This is what published super-resolution tables
use to make LR images, so the numbers here must agree with MATLAB's, not merely resemble them.
"""

import numpy as np
from numpy.typing import NDArray

SUPPORT = 4.0  # the cubic kernel spans four samples
NEGLIGIBLE = 1e-9  # far below half a level of 8 bits, far above the rounding of float64


def taps(in_length: int, out_length: int, scale: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The samples that make each output sample, and their weights.

    `scale` is output over input: 4 enlarges, 1/4 shrinks. Returns indices (out_length, k), each in
    [0, in_length), and weights (out_length, k) whose rows sum to 1. The same index may occur twice
    in a row near a border, where the image is mirrored. Positions that weigh nothing in any row are
    dropped, so k is 4 when enlarging and at most 4 / scale when shrinking.
    """
    stretch = min(scale, 1.0)
    width = SUPPORT / stretch
    centres = (np.arange(out_length, dtype=np.float64) + 0.5) / scale - 0.5
    first = np.floor(centres - width / 2).astype(np.int64)
    positions = first[:, None] + np.arange(int(np.ceil(width)) + 2)
    weights = _cubic(stretch * (centres[:, None] - positions))
    weights /= weights.sum(axis=1, keepdims=True)
    used = (np.abs(weights) > NEGLIGIBLE).any(axis=0)
    return _mirrored(positions[:, used], in_length), weights[:, used]


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel: 1 at 0, 0 at the other whole numbers and beyond 2."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _mirrored(positions: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Fold positions outside the image back into it, the border sample repeated: … 1 0 | 0 1 …."""
    folded = positions % (2 * length)
    return np.minimum(folded, 2 * length - 1 - folded)
