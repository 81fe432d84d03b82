"""An upscaler over images of any size, memory bounded by its tile: tensors, Pillow images, files."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from edgesr import Upscaler
from edgesr.data.images import Levels, Picture, decode, read_picture, to_floats, to_levels
from edgesr.data.writing import Head, head_for, to_image, write_bands
from edgesr.ensemble import self_ensemble
from edgesr.models.bicubic import Bicubic
from edgesr.tiling import Grid, Span, enlarged, upscale_tiled

OnTile = Callable[[int, int], None]
"""Called with the number of tiles that are done, and of all."""

GREY = torch.tensor([0.299, 0.587, 0.114])  # BT.601, as `edgesr.metrics.grey`

BICUBIC_CONTEXT = 2
"""LR pixels that an SR pixel depends on beyond its own, on each side."""


@dataclass(frozen=True)
class Runner:
    """An upscaler and how it is brought over an image of any size."""

    upscale: Upscaler
    """One tile, or a whole image of up to `whole` pixels."""
    scale: int
    tile: tuple[int, int]
    """LR height and width."""
    overlap: int
    multiple: int
    whole: int = 0
    """Images up to this many LR pixels go through in one piece."""
    smallest: int = 1
    """Side of the smallest image that can; a smaller one is mirrored until it fills a tile."""
    ensemble: bool = False
    """Take the mean over the eight flips and turns of each tile."""

    def __call__(self, lr: Tensor) -> Tensor:
        """LR (N,3,H,W) RGB in [0,1] → SR (N,3,sH,sW) in [0,1]. Images of a batch go one by one."""
        sr = [self._tensor(image.unsqueeze(0)) for image in lr]
        return torch.cat(sr).clamp(0, 1)

    def image(self, source: Image.Image | Path | str) -> Image.Image:
        """A Pillow image or an image file → its SR as an 8-bit Pillow image, alpha and profile kept.

        UserError for a file that is no image. For SR larger than memory there is `file`.
        """
        picture = decode(source) if isinstance(source, Image.Image) else read_picture(Path(source))
        head = Head(*self.sr_size(picture), picture.channels, 8, picture.profile)
        large = to_image(np.concatenate(list(self.bands(picture, head.kind))))
        if head.profile is not None:
            large.info["icc_profile"] = head.profile
        return large

    def file(self, source: Path | str, out: Path | str, *, overwrite: bool = False) -> None:
        """Upscale an image file into another, as `edgesr upscale` does. UserError; FileExistsError."""
        self.write(read_picture(Path(source)), Path(out), overwrite=overwrite)

    def write(
        self, picture: Picture, path: Path, *, overwrite: bool = False, on_tile: OnTile | None = None
    ) -> None:
        """Upscale a picture into a file, row by row if PNG or TIFF, at 16 bits if it has them."""
        head = head_for(path, self.sr_size(picture), picture)
        write_bands(path, head, self.bands(picture, head.kind, on_tile), overwrite=overwrite)

    def sr_size(self, picture: Picture) -> tuple[int, int]:
        """Height and width of its SR."""
        return self.scale * picture.size[0], self.scale * picture.size[1]

    def tiles(self, height: int, width: int) -> int:
        """How many tiles an LR image is upscaled in."""
        return self._grid(height, width).count

    def bands(
        self, picture: Picture, kind: np.dtype[Any], on_tile: OnTile | None = None
    ) -> Iterator[Levels]:
        """The SR from top to bottom: bands (h,sW,channels) of levels of a kind, one per row of tiles.

        Colours by the upscaler, alpha by bicubic. Grey stays grey.
        """
        grid = self._grid(*picture.size)

        def window(rows: list[int], columns: list[int]) -> Tensor:
            return to_floats(picture.colour[np.ix_(rows, columns)]).expand(3, -1, -1).unsqueeze(0)

        band = np.empty((0, 0, 0), kind)
        for done, (row, column, sr) in enumerate(enlarged(self._one, window, grid), start=1):
            if column is grid.columns[0]:
                band = np.empty((sr.shape[2], self.scale * picture.size[1], picture.channels), kind)
            colour = torch.einsum("c,nchw->nhw", GREY, sr).unsqueeze(1) if picture.grey else sr
            here = band[:, grid.in_sr(column)]
            here[:, :, : picture.colour.shape[2]] = to_levels(colour, kind)
            if picture.opacity is not None:
                here[:, :, -1:] = to_levels(self._alpha(picture.opacity, row, column), kind)
            if on_tile is not None:
                on_tile(done, grid.count)
            if column is grid.columns[-1]:
                yield band

    def _grid(self, height: int, width: int) -> Grid:
        if height * width <= self.whole and min(height, width) >= self.smallest:
            return Grid((height, width), self.scale, (height, width), overlap=0)
        return Grid((height, width), self.scale, self.tile, self.overlap, self.multiple)

    def _tensor(self, lr: Tensor) -> Tensor:
        """LR (1,3,H,W) → SR (1,3,sH,sW)."""
        return self._tiled(self._one, lr)

    def _tiled(self, upscale: Upscaler, lr: Tensor) -> Tensor:
        grid = self._grid(*lr.shape[2:])
        return upscale_tiled(
            upscale,
            lr,
            scale=self.scale,
            tile=grid.tile,
            overlap=grid.overlap,
            multiple=grid.multiple,
        )

    @torch.inference_mode()
    def _one(self, lr: Tensor) -> Tensor:
        """One window, eight times where an ensemble is wanted."""
        return self_ensemble(self._either_way_up)(lr) if self.ensemble else self.upscale(lr)

    def _either_way_up(self, lr: Tensor) -> Tensor:
        """A window or, turned by an ensemble, one as wide as tiles are high: that is tiled once more."""
        height, width = lr.shape[2:]
        if (height, width) == self.tile or height * width <= self.whole:
            return self.upscale(lr)
        return self._tiled(self.upscale, lr)

    def _alpha(self, opacity: Levels, row: Span, column: Span) -> Tensor:
        """The SR alpha (1,h,w) of what is kept of a window, by bicubic from the pixels around it."""
        spans = [
            (max(0, span.keep_from - BICUBIC_CONTEXT), min(length, span.keep_to + BICUBIC_CONTEXT), span)
            for span, length in zip((row, column), opacity.shape, strict=False)
        ]
        (top, bottom, _), (left, right, _) = spans
        large = Bicubic(self.scale)(to_floats(opacity[top:bottom, left:right]).unsqueeze(0))[0]
        kept = [
            slice(self.scale * (span.keep_from - first), self.scale * (span.keep_to - first))
            for first, _, span in spans
        ]
        return large[:, kept[0], kept[1]]
