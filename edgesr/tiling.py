"""Any image through an upscaler of one fixed size, without seams.

The plan uses whole numbers only and treats height and width alike, so that the Android app makes
the same tiles: both are held to `tests/golden/tiles.json`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from torch import Tensor

from edgesr import Upscaler
from edgesr.errors import UserError


@dataclass(frozen=True)
class Span:
    """One window along one dimension, in LR pixels of the image."""

    start: int
    """First pixel that the window sees; it sees `tile` of them."""
    keep_from: int
    keep_to: int
    """The result is kept for the pixels keep_from ≤ x < keep_to."""


def plan(length: int, tile: int, overlap: int, multiple: int = 1) -> list[Span]:
    """The windows of `tile` pixels that cover `length` pixels, from first to last.

    Every pixel is kept from exactly one window and has at least `overlap` pixels of context there,
    except towards an edge of the image. Starts are multiples of `multiple`. All windows lie inside
    the image after it is padded at its end to `padded_length`; the last one ends where that ends.
    UserError for a tile that is too small for its overlap or not a multiple.
    """
    _check(length, tile, overlap, multiple)
    last = padded_length(length, tile, multiple) - tile
    step = (tile - 2 * overlap) // multiple * multiple
    starts = [*range(0, last, step), last]
    # Neighbours meet in the middle of what both see, which leaves each side at least `overlap`.
    cuts = [(left + tile + right) // 2 for left, right in pairwise(starts)]
    edges = [0, *cuts, length]
    return [Span(start, *kept) for start, kept in zip(starts, pairwise(edges), strict=True)]


def padded_length(length: int, tile: int, multiple: int = 1) -> int:
    """The length to pad to before planning: a multiple of `multiple`, and one tile at least."""
    return max(tile, -(-length // multiple) * multiple)


def upscale_tiled(
    upscale: Upscaler,
    lr: Tensor,
    *,
    scale: int,
    tile: tuple[int, int],
    overlap: int,
    multiple: int = 1,
    on_tile: Callable[[int, int], None] | None = None,
) -> Tensor:
    """LR (1,3,H,W) → SR (1,3,sH,sW) by an upscaler that is only ever given (1,3,*tile).

    `tile` is (height, width). Where `plan` asks for it, the image is padded at the bottom and right by
    its mirror image, which costs PSNR least (DECISIONS.md). `on_tile(done, total)` is called after
    each tile. UserError for arguments that `plan` refuses, more than one image, and an upscaler of
    another scale.
    """
    if lr.ndim != 4 or lr.shape[0] != 1:
        raise UserError(f"One image of shape (1,3,H,W) can be tiled at a time, got {tuple(lr.shape)}.")
    height, width = lr.shape[2:]
    sr = lr.new_empty(*lr.shape[:2], scale * height, scale * width)
    grid = Grid((height, width), scale, tile, overlap, multiple)
    windows = enlarged(upscale, lambda rows, columns: lr[:, :, rows][:, :, :, columns], grid)
    for done, (row, column, kept) in enumerate(windows, start=1):
        sr[:, :, grid.in_sr(row), grid.in_sr(column)] = kept
        if on_tile is not None:
            on_tile(done, grid.count)
    return sr


@dataclass(frozen=True)
class Grid:
    """The windows of one image: what `plan` says of its height and of its width."""

    size: tuple[int, int]
    """LR height and width."""
    scale: int
    tile: tuple[int, int]
    overlap: int
    multiple: int = 1

    @cached_property
    def rows(self) -> list[Span]:
        """From top to bottom."""
        return plan(self.size[0], self.tile[0], self.overlap, self.multiple)

    @cached_property
    def columns(self) -> list[Span]:
        """From left to right."""
        return plan(self.size[1], self.tile[1], self.overlap, self.multiple)

    @property
    def count(self) -> int:
        """How many windows there are."""
        return len(self.rows) * len(self.columns)

    def in_sr(self, span: Span, origin: int = 0) -> slice:
        """The pixels of SR that are kept of a window, counted from LR pixel `origin`."""
        return slice(self.scale * (span.keep_from - origin), self.scale * (span.keep_to - origin))


def enlarged(
    upscale: Upscaler, window: Callable[[list[int], list[int]], Tensor], grid: Grid
) -> Iterator[tuple[Span, Span, Tensor]]:
    """The SR of one window after another, row by row, cut to what is kept of it: (1,3,h,w).

    `window(rows, columns)` gives the LR pixels (1,3,*tile) in those rows and columns, so an image need
    not be in memory as floats. UserError as `upscale_tiled`.
    """
    for row in grid.rows:
        seen_rows = _seen(row, grid.tile[0], grid.size[0])
        for column in grid.columns:
            lr = window(seen_rows, _seen(column, grid.tile[1], grid.size[1]))
            sr = _checked(upscale(lr.contiguous()), lr, grid.scale)
            yield row, column, sr[:, :, grid.in_sr(row, row.start), grid.in_sr(column, column.start)]


def _check(length: int, tile: int, overlap: int, multiple: int) -> None:
    if length < 1 or overlap < 0 or multiple < 1:
        raise UserError(
            f"Cannot tile {length} pixels with overlap {overlap} and multiple {multiple}: "
            "the length and the multiple must be 1 or more, the overlap 0 or more."
        )
    if tile < 1 or tile % multiple:
        raise UserError(f"A tile of {tile} pixels is not a multiple of {multiple}.")
    if tile < 2 * overlap + multiple:
        raise UserError(
            f"A tile of {tile} pixels is too small for an overlap of {overlap} on each side: "
            f"at least {padded_length(2 * overlap + multiple, 1, multiple)} are needed. "
            "Enlarge the tile or lower the overlap."
        )


def _seen(span: Span, tile: int, length: int) -> list[int]:
    """The pixels that a window sees; beyond the end of the image its mirror image: … 2 2 1 0 0 1 …"""
    folded = (x % (2 * length) for x in range(span.start, span.start + tile))
    return [min(x, 2 * length - 1 - x) for x in folded]


def _checked(sr: Tensor, lr: Tensor, scale: int) -> Tensor:
    expected = (*lr.shape[:2], scale * lr.shape[2], scale * lr.shape[3])
    if tuple(sr.shape) != expected:
        raise UserError(
            f"The upscaler made {tuple(sr.shape)} of {tuple(lr.shape)} and not {expected}. "
            f"Is it one for scale {scale}?"
        )
    return sr
