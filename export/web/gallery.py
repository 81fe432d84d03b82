"""What of the images a page shows: all differences counted, the worst image, one before and after."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

import numpy as np
from numpy.typing import NDArray

from edgesr.data.benchmarks import Pair
from edgesr.metrics.evaluate import score
from edgesr.metrics.psnr import psnr
from edgesr.models.bicubic import Bicubic
from edgesr.sheet import window_sums
from export.matrix import REFERENCE
from export.measure import upscaled

SIDE = 384
"""Pixels of the largest part of an image that is shown: a page is of a megabyte or two."""

Image8 = NDArray[np.uint8]
Part = tuple[slice, slice]


@dataclass(frozen=True)
class Before:
    """An image enlarged by bicubic and by the file, the part where they differ most."""

    name: str
    before: Image8
    after: Image8
    before_db: float
    after_db: float
    """PSNR to HR of the whole image, as scores are."""

    @property
    def gain(self) -> float:
        """What the file is better by, in dB."""
        return self.after_db - self.before_db


@dataclass(frozen=True)
class Worst:
    """The image in which file and graph are furthest apart, the part where they are most."""

    name: str
    file: Image8
    graph: Image8
    psnr_db: float
    """Between the two, over the whole image."""
    max_levels: int


@dataclass
class Exhibit:
    """What one file's page shows of images."""

    levels: Counter[int] = field(default_factory=Counter)
    """File minus graph in 8-bit levels → how many values, of all images and channels."""
    worst: Worst | None = None
    """None while no value differs."""
    images: list[Before] = field(default_factory=list)

    @property
    def median(self) -> Before:
        """The image whose gain over bicubic is the median: neither the best nor the worst to show."""
        return sorted(self.images, key=lambda image: image.gain)[len(self.images) // 2]


@dataclass
class Gallery:
    """An exhibit for each form that is a file, by its name in the matrix."""

    scale: int
    exhibits: dict[str, Exhibit]

    def add(self, benchmark: str, pair: Pair, images: Mapping[str, Image8]) -> None:
        """Take in what each form made (sH,sW,3) of one pair."""
        name = f"{benchmark}: {pair.name}"
        bicubic = upscaled(Bicubic(self.scale), pair)
        before_db = score(bicubic, pair.hr, self.scale).psnr
        for form, exhibit in self.exhibits.items():
            sr, graph = images[form], images[REFERENCE]
            _count(exhibit, name, sr, graph)
            after_db = score(sr, pair.hr, self.scale).psnr
            part = busiest(sr, bicubic)
            exhibit.images.append(Before(name, bicubic[part], sr[part], before_db, after_db))


def _count(exhibit: Exhibit, name: str, sr: Image8, graph: Image8) -> None:
    off = sr.astype(np.int16) - graph
    values, counts = np.unique(off, return_counts=True)
    exhibit.levels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
    apart = psnr(sr, graph)
    if apart < (exhibit.worst.psnr_db if exhibit.worst else inf):
        part = busiest(sr, graph)
        exhibit.worst = Worst(name, sr[part], graph[part], apart, int(np.abs(off).max()))


def busiest(one: Image8, other: Image8) -> Part:
    """Where two images (H,W,3) differ most, at most SIDE pixels a side."""
    height, width = (min(SIDE, side) for side in one.shape[:2])
    energy = ((one.astype(np.float32) - other) ** 2).sum(axis=2)
    worth = window_sums(energy, height, width)
    top, left = (int(index) for index in np.unravel_index(worth.argmax(), worth.shape))
    return np.s_[top : top + height, left : left + width]
