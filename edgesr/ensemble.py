"""Geometric self-ensemble: the "+" that papers put behind the name of a network.

R. Timofte, R. Rothe, L. Van Gool, "Seven ways to improve example-based single image super
resolution", CVPR 2016, there "enhanced prediction"; B. Lim et al., "Enhanced deep residual networks
for single image super-resolution" (EDSR), CVPR Workshops 2017, there "geometric self-ensemble".

A network enlarges a photo and its mirror image a little differently, though neither is the right way
round. The mean over all eight ways to turn the photo cancels a part of its errors, for eight times
the work.
"""

from itertools import product

from torch import Tensor

from edgesr import Upscaler

HEIGHT, WIDTH = 2, 3
FLIPS = ((), (HEIGHT,), (WIDTH,), (HEIGHT, WIDTH))


def self_ensemble(upscale: Upscaler) -> Upscaler:
    """An upscaler that gives the mean of what `upscale` makes of the eight flips and turns of LR.

    LR (N,3,H,W) → SR (N,3,sH,sW). `upscale` is given (N,3,H,W) four times, then (N,3,W,H) four times.
    Each SR is added to the sum as it comes, so that no more than the sum is kept.
    """

    def mean_of_eight(lr: Tensor) -> Tensor:
        first, *others = product((False, True), FLIPS)
        total = _turned_back(upscale(_turned(lr, *first)), *first)
        for turn in others:
            total += _turned_back(upscale(_turned(lr, *turn)), *turn)
        return total.div_(8)

    return mean_of_eight


def _turned(image: Tensor, transposed: bool, flips: tuple[int, ...]) -> Tensor:
    """One of the eight, in memory row by row as any image that an upscaler is given."""
    upright = image.transpose(HEIGHT, WIDTH) if transposed else image
    return upright.flip(flips).contiguous()


def _turned_back(image: Tensor, transposed: bool, flips: tuple[int, ...]) -> Tensor:
    """The image before `_turned`; a copy always, for `flip` makes one even where it flips nothing."""
    unflipped = image.flip(flips)
    return unflipped.transpose(HEIGHT, WIDTH) if transposed else unflipped
