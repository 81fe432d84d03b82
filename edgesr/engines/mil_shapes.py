"""The operations of Core ML programs that arrange values and enlarge images, as `mil` has the others."""

from collections.abc import Sequence
from math import floor

import torch
from torch import Tensor
from torch.nn import functional as F

Number = Tensor | float


def concat(values: Sequence[Tensor], axis: int, interleave: bool = False) -> Tensor:
    """One behind the other; interleaved, by turns: a0 b0 a1 b1 …"""
    if not interleave:
        return torch.cat(list(values), axis)
    return torch.stack(list(values), axis + 1).flatten(axis, axis + 1)


def split(
    x: Tensor, axis: int, num_splits: int | None = None, split_sizes: Sequence[int] | None = None
) -> list[Tensor]:
    """The parts of a tensor, of equal or of given sizes."""
    if split_sizes is None:
        assert num_splits is not None
        return list(x.chunk(num_splits, axis))
    return list(x.split(list(split_sizes), axis))


def stack(values: Sequence[Tensor], axis: int) -> Tensor:
    """Along a new dimension."""
    return torch.stack(list(values), axis)


def expand_dims(x: Tensor, axes: Sequence[int]) -> Tensor:
    """With dimensions of size 1 that stand at `axes` of the result."""
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def squeeze(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """Without these dimensions of size 1, or without all."""
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def reshape(x: Tensor, shape: Sequence[int]) -> Tensor:
    """-1 is what is left, 0 the input's own size there."""
    return x.reshape([x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)])


def transpose(x: Tensor, perm: Sequence[int]) -> Tensor:
    """Dimensions in another order."""
    return x.permute(*perm)


def slice_by_index(
    x: Tensor,
    begin: Sequence[int],
    end: Sequence[int],
    stride: Sequence[int] | None = None,
    begin_mask: Sequence[bool] | None = None,
    end_mask: Sequence[bool] | None = None,
    squeeze_mask: Sequence[bool] | None = None,
) -> Tensor:
    """As NumPy's x[begin:end:stride, …]; masked ends are open, squeezed dimensions are left out."""
    masks = [mask or [False] * x.ndim for mask in (begin_mask, end_mask, squeeze_mask)]
    index: list[slice | int] = []
    for axis, step in enumerate(stride or [1] * x.ndim):
        if step < 1:
            raise NotImplementedError(f"slice_by_index with stride {step}")
        open_begin, open_end, squeezed = (mask[axis] for mask in masks)
        span = slice(None if open_begin else begin[axis], None if open_end else end[axis], step)
        index.append(begin[axis] if squeezed else span)
    return x[tuple(index)]


def slice_by_size(x: Tensor, begin: Sequence[int], size: Sequence[int]) -> Tensor:
    """`size` values of each dimension from `begin` on; -1 is all that are left."""
    spans = [slice(b, None if s == -1 else b + s) for b, s in zip(begin, size, strict=True)]
    return x[tuple(spans)]


def pad(x: Tensor, pad: Sequence[int], mode: str = "constant", constant_val: Number = 0.0) -> Tensor:
    """`pad` is before and after of the last dimensions, the first of them first."""
    pairs = [pad[place : place + 2] for place in range(0, len(pad), 2)]
    backwards = [width for pair in reversed(pairs) for width in pair]
    if mode == "constant":
        return F.pad(x, backwards, value=float(constant_val))
    while backwards[-2:] == [0, 0] and len(backwards) > 4:  # PyTorch refuses them, even of no width
        backwards = backwards[:-2]
    return F.pad(x, backwards, mode=mode)


def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    """Depth to space, in PyTorch's order."""
    return F.pixel_shuffle(x, upscale_factor)


def upsample_bilinear(
    x: Tensor,
    scale_factor_height: Number = 1.0,
    scale_factor_width: Number = 1.0,
    align_corners: bool = True,
) -> Tensor:
    """By factors. MIL aligns corners unless told otherwise."""
    factors = (scale_factor_height, scale_factor_width)
    size = [floor(side * float(factor)) for side, factor in zip(x.shape[2:], factors, strict=True)]
    return F.interpolate(x, size, mode="bilinear", align_corners=align_corners)
