"""The formats that images are written in: one readable table."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesr.errors import UserError

WHOLE = 2**28
"""Pixels of the largest image that Pillow writes in one piece here: it holds 4 bytes of each, 1 GiB."""


@dataclass(frozen=True)
class Format:
    """How files of one suffix are written."""

    name: str
    alpha: bool
    longest: int
    """The longest side that the format allows."""
    pixels: int | None
    """What is written in one piece may have so many; None where rows are written as they come."""
    options: Mapping[str, Any]
    animated: bool = False
    deep: bool = False
    """Whether it holds 16 bits per channel."""


_JPEG = Format("JPEG", False, 65_500, WHOLE, {"quality": 95, "subsampling": 0})
_TIFF = Format("TIFF", True, 2**31 - 1, None, {}, deep=True)
FORMATS = {
    ".bmp": Format("BMP", False, 2**31 - 1, WHOLE, {}),
    ".gif": Format("GIF", True, 65_535, WHOLE, {}, animated=True),
    ".jpeg": _JPEG,
    ".jpg": _JPEG,
    ".png": Format("PNG", True, 2**31 - 1, None, {}, animated=True, deep=True),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    # its encoder needs 23 bytes of each pixel beside the image's own 4
    ".webp": Format("WEBP", True, 16_383, 50_000_000, {"lossless": True}, animated=True),
}


def writable(path: Path) -> Format:
    """The format that `path` will be written in; UserError naming the known suffixes if none."""
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        came = f"the suffix {path.suffix!r}" if path.suffix else "no suffix"
        raise UserError(f"{path} has {came}. Images are written as {', '.join(FORMATS)}.")
    return form


def check_fits(path: Path, size: tuple[int, int], frames: int = 1) -> Format:
    """The format of `path`, once it is known to hold so many frames of `size` (height, width).

    UserError for an unknown suffix, a side too long for the format, and more pixels than are held in
    memory for a format that is written in one piece.
    """
    form, (height, width) = writable(path), size
    if max(height, width) > form.longest:
        raise UserError(
            f"{path}: {form.name} holds at most {form.longest} pixels a side and this image is "
            f"{width}x{height}. Choose another suffix, such as .png."
        )
    limit = form.pixels if frames == 1 else form.pixels or WHOLE
    if limit is not None and frames * height * width > limit:
        what = f"{frames} frames of {width}x{height}" if frames > 1 else f"{width}x{height}"
        cure = "Take a part of it" if frames > 1 else "Choose .png or .tif, which are written row by row"
        raise UserError(
            f"{path}: {form.name} is written in one piece, at most {limit / 1e6:.0f} megapixels here, "
            f"and this is {what} = {frames * height * width / 1e6:.0f} megapixels. {cure}."
        )
    return form
