"""One way to score every upscaler: a network, a fake-quantized graph, an exported file."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgesr import Upscaler
from edgesr.data.benchmarks import Pair
from edgesr.data.images import to_tensor, to_uint8
from edgesr.errors import UserError
from edgesr.metrics.color import grey, luma
from edgesr.metrics.psnr import psnr
from edgesr.metrics.ssim import WINDOW, ssim

Image8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Score:
    """PSNR in dB and mean SSIM of one image."""

    psnr: float
    ssim: float

    def to_json(self) -> dict[str, float | None]:
        """Both numbers; an infinite PSNR, which JSON cannot hold, is null."""
        return {"psnr": _finite(self.psnr), "ssim": self.ssim}


@dataclass(frozen=True)
class Scores:
    """The scores of a set of images by name, and their means over the images."""

    images: dict[str, Score] = field(default_factory=dict)

    @property
    def psnr(self) -> float:
        """Mean PSNR in dB."""
        return fmean(score.psnr for score in self.images.values())

    @property
    def ssim(self) -> float:
        """Mean SSIM."""
        return fmean(score.ssim for score in self.images.values())

    def to_json(self) -> dict[str, Any]:
        """The means and, under `images`, the score of each image."""
        images = {name: score.to_json() for name, score in self.images.items()}
        return {**Score(self.psnr, self.ssim).to_json(), "images": images}


def evaluate(
    upscale: Upscaler,
    pairs: Iterable[Pair],
    scale: int,
    *,
    on_image: Callable[[str, Score], None] | None = None,
) -> Scores:
    """Score `upscale` on each pair; `on_image(name, score)` is called after each.

    SR is rounded to 8 bits, `scale` pixels are shaved off each border, and PSNR and SSIM are taken
    on Y (BT.601, studio swing), or on the raw grey where HR has one channel. UserError for no
    pairs, two of one name, an SR of the wrong shape and an image too small to score.
    """
    scores: dict[str, Score] = {}
    for pair in pairs:
        if pair.name in scores:
            raise UserError(f"Two images are called {pair.name!r}: scores go by name, rename one.")
        scores[pair.name] = _score_pair(upscale, pair, scale)
        if on_image is not None:
            on_image(pair.name, scores[pair.name])
    if not scores:
        raise UserError("There is no image to score.")
    return Scores(scores)


def score(sr: Image8, hr: Image8, shave: int) -> Score:
    """Compare SR (H,W,3) with HR (H,W,1|3), both 8-bit, without `shave` pixels at each border."""
    one_channel = hr.shape[2] == 1
    sr_plane = grey(sr) if one_channel else luma(sr)
    hr_plane = hr[:, :, 0].astype(np.float64) if one_channel else luma(hr)
    height, width = hr_plane.shape
    inner = np.s_[shave : height - shave, shave : width - shave]
    return Score(psnr(sr_plane[inner], hr_plane[inner]), ssim(sr_plane[inner], hr_plane[inner]))


def _score_pair(upscale: Upscaler, pair: Pair, scale: int) -> Score:
    height, width = pair.hr.shape[:2]
    if min(height, width) < WINDOW + 2 * scale:
        raise UserError(
            f"{pair.name!r} is {width}x{height} pixels: too small to score, which needs "
            f"{WINDOW + 2 * scale} a side ({scale} are shaved off each border). Leave it out."
        )
    with torch.no_grad():
        sr = upscale(to_tensor(pair.lr))
    if tuple(sr.shape) != (1, 3, height, width):
        raise UserError(
            f"The SR of {pair.name!r} has shape {tuple(sr.shape)} and not {(1, 3, height, width)}. "
            f"Is this upscaler one for scale {scale}?"
        )
    return score(to_uint8(sr), pair.hr, scale)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
