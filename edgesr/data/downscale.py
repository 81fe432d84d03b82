"""LR images as MATLAB makes them: bicubic, antialiased, rounded to 8 bits after each dimension.

Rounding between the two dimensions is not a shortcut of ours: MATLAB's `imresize` keeps the class
of its input (uint8) between the passes, and the published LR images show it.
"""

import numpy as np
from numpy.typing import NDArray

from edgesr.errors import UserError
from edgesr.resize import taps

Image8 = NDArray[np.uint8]


def crop_to_multiple(image: Image8, scale: int) -> Image8:
    """Cut rows off the bottom and columns off the right until `scale` divides both sides.

    image (H,W,C) → (H - H % scale, W - W % scale, C), a view. UserError where nothing is left.
    """
    height, width = image.shape[:2]
    if min(height, width) < scale:
        raise UserError(f"{width}x{height} pixels are too few to shrink {scale} times.")
    return image[: height - height % scale, : width - width % scale]


def downscale(image: Image8, scale: int) -> Image8:
    """Shrink `scale` times: (H,W,C) → (H // scale, W // scale, C), cropped to a multiple first."""
    cropped = crop_to_multiple(image, scale)
    short = _shrink_rows(cropped, scale)
    small = _shrink_rows(short.swapaxes(0, 1), scale).swapaxes(0, 1)
    return np.ascontiguousarray(small)


def _shrink_rows(image: Image8, scale: int) -> Image8:
    """Resample the first axis, in float64, and round half up."""
    length = len(image)
    indices, weights = taps(length, length // scale, 1 / scale)
    total = np.zeros((length // scale, *image.shape[1:]))
    for index, weight in zip(indices.T, weights.T, strict=True):
        total += image[index] * weight[:, None, None]
    return np.floor(total + 0.5).clip(0, 255).astype(np.uint8)
