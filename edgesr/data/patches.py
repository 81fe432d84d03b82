"""Random patches of LR and HR that belong together, cut where the pixels are: in memory or on a GPU."""

from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgesr.data.downscale import crop_to_multiple, downscale
from edgesr.data.store import Store
from edgesr.errors import UserError

Image8 = NDArray[np.uint8]
Integers = NDArray[np.int64]


class Pixels:
    """Images (H,W,3) end to end in flat uint8 tensors."""

    def __init__(self, flats: list[Tensor], rows: list[tuple[int, int, int, int]]) -> None:
        """Take a row for each image: which tensor, where in it, height, width."""
        self.flats = flats
        self.which, self.offset, self.height, self.width = np.array(rows, dtype=np.int64).T

    @classmethod
    def of_images(cls, images: list[Image8]) -> Self:
        """Copy images (H,W,1|3) into one tensor; grey is repeated."""
        rgb = [np.broadcast_to(image, (*image.shape[:2], 3)) for image in images]
        begins = np.cumsum([0] + [image.size for image in rgb]).tolist()
        flat = torch.from_numpy(np.concatenate([image.reshape(-1) for image in rgb]))
        sides = [(image.shape[0], image.shape[1]) for image in rgb]
        rows = [(0, start, *side) for start, side in zip(begins[:-1], sides, strict=True)]
        return cls([flat], rows)

    @classmethod
    def of_stores(cls, stores: list[Store], chosen: list[tuple[int, int]]) -> Self:
        """The images of `chosen`, each told as (which store, which image of it); nothing is copied."""
        entries = [(which, stores[which].entries[index]) for which, index in chosen]
        rows = [(which, entry.offset, entry.height, entry.width) for which, entry in entries]
        return cls([store.flat for store in stores], rows)

    @property
    def size(self) -> int:
        """Of all tensors, in bytes."""
        return sum(flat.numel() for flat in self.flats)

    def to(self, device: torch.device) -> None:
        """Move all tensors."""
        self.flats = [flat.to(device) for flat in self.flats]

    def cut(self, places: "Places", side: int) -> Tensor:
        """A square from each of `places`, turned as asked: (N,side,side,3) uint8, where the pixels are.

        All are gathered at once. In a flat image one step along a patch's row or column is always the
        same number of pixels, and each of the eight symmetries only exchanges these or turns them back.
        """
        width = self.width[places.chosen]
        start = self.offset[places.chosen] // 3 + width * places.tops + places.lefts
        asked = [(places.symmetries & bit).astype(bool) for bit in (4, 2, 1)]
        down, right = np.where(asked[0], (np.ones_like(width), width), (width, np.ones_like(width)))
        start = start + (side - 1) * (asked[1] * down + asked[2] * right)
        down, right = np.where(asked[1], -down, down), np.where(asked[2], -right, right)
        walk = np.stack([start, down, right])
        which = self.which[places.chosen]
        if (which == which[0]).all():
            return _walked(self.flats[which[0]], walk, side)
        device = self.flats[0].device
        found = torch.empty((len(which), side, side, 3), dtype=torch.uint8, device=device)
        for number in np.unique(which):
            there = which == number
            found[torch.from_numpy(there)] = _walked(self.flats[number], walk[:, there], side)
        return found


class Places(NamedTuple):
    """Where to cut: each is [N]."""

    chosen: Integers
    """Which images."""
    tops: Integers
    lefts: Integers
    symmetries: Integers
    """Of the square: transposed (4), and then upside down (2), and then mirrored (1)."""

    def part(self, which: slice) -> "Places":
        """Some of them."""
        return Places(*(column[which] for column in self))

    def enlarged(self, scale: int) -> "Places":
        """The same places in images `scale` times as large."""
        return self._replace(tops=scale * self.tops, lefts=scale * self.lefts)


class PairedImages:
    """HR images and the LR of each; `batch` cuts random patches from them.

    LR is made once, of the whole image, and a patch is cut from both on LR's grid: so the border of a
    patch was shrunk with what lies beyond it, as everywhere in the benchmarks' LR images. Of a patch
    shrunk alone, a frame of 2 pixels would see its mirror image instead.
    """

    def __init__(self, hrs: list[Image8], scale: int) -> None:
        """Take HR images (H,W,1|3); they are cropped to a multiple of `scale`."""
        whole = [crop_to_multiple(hr, scale) for hr in hrs]
        lrs = [downscale(hr, scale) for hr in whole]
        self._take(Pixels.of_images(whole), Pixels.of_images(lrs), scale)

    @classmethod
    def of_stores(
        cls, hrs: list[Store], lrs: list[Store], chosen: list[tuple[int, int]], scale: int
    ) -> Self:
        """The images of `chosen` (which store, which image), HR and LR from stores of one order."""
        images = cls.__new__(cls)
        images._take(Pixels.of_stores(hrs, chosen), Pixels.of_stores(lrs, chosen), scale)
        return images

    def _take(self, hr: Pixels, lr: Pixels, scale: int) -> None:
        self.hr, self.lr, self.scale = hr, lr, scale
        areas = (lr.height * lr.width).astype(np.float64)
        self._edges = np.cumsum(areas) / areas.sum()

    def __len__(self) -> int:
        """The number of images."""
        return len(self.lr.height)

    @property
    def size(self) -> int:
        """Of all pixels, in bytes."""
        return self.hr.size + self.lr.size

    def to(self, device: torch.device) -> None:
        """Move the pixels to where batches shall be cut."""
        self.hr.to(device)
        self.lr.to(device)

    def draw(self, rng: np.random.Generator, batch: int, side: int) -> Places:
        """Random places of `side` LR pixels: an image in proportion to its area, then a place in it.

        UserError where an image is smaller than a patch.
        """
        chosen = np.searchsorted(self._edges, rng.random(batch), side="right")
        height, width = self.lr.height[chosen], self.lr.width[chosen]
        for tall, wide in zip(height, width, strict=True):
            if min(tall, wide) < side:
                raise UserError(f"A {side} pixel patch does not fit an LR image of {wide}x{tall}.")
        tops, lefts = rng.integers(height - side + 1), rng.integers(width - side + 1)
        return Places(chosen, tops, lefts, rng.integers(8, size=batch))

    def cut(self, places: Places, side: int) -> tuple[Tensor, Tensor]:
        """The patches at `places`: LR (N,3,side,side) and HR, uint8, where the pixels are.

        They lie in memory as channels-last does.
        """
        lr = self.lr.cut(places, side)
        hr = self.hr.cut(places.enlarged(self.scale), self.scale * side)
        return lr.permute(0, 3, 1, 2), hr.permute(0, 3, 1, 2)

    def batch(self, rng: np.random.Generator, batch: int, patch_lr: int) -> tuple[Tensor, Tensor]:
        """Random patches: LR (N,3,p,p) and HR (N,3,sp,sp), uint8, p being `patch_lr`.

        UserError where an image is smaller than a patch.
        """
        return self.cut(self.draw(rng, batch, patch_lr), patch_lr)


def _walked(flat: Tensor, walk: Integers, side: int) -> Tensor:
    """The pixels found from `walk` (start, step down, step right: [3,N]): (N,side,side,3)."""
    start, down, right = torch.from_numpy(walk).to(flat.device, non_blocking=True)[..., None, None]
    along = torch.arange(side, device=flat.device)
    index = start + down * along[:, None] + right * along
    return flat.view(-1, 3).index_select(0, index.view(-1)).view(-1, side, side, 3)
