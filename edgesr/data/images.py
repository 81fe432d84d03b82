"""Image files → pixels.

`read_picture` keeps what a user expects to get back (transparency, greyness, 16 bits, colour profile);
`read_uint8` gives the bare 8-bit pixels that training and scoring use. Both turn the image upright
by its EXIF orientation and take the first frame of an animation. Colour profiles are carried along,
never applied.

Pillow reads every format but reduces 16-bit *colour* to 8 bits. Such PNG and TIFF files are decoded by
imagecodecs and tifffile instead.
"""

import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from torch import Tensor

from edgesr.data.formats import FORMATS
from edgesr.errors import UserError

Levels = NDArray[Any]
"""uint8, uint16, or float32 from 0 to 1."""

TOPS = {"uint8": 255, "uint16": 65_535, "float32": 1}
"""Type of pixels → their white."""

STRIP = 256
"""Rows that are taken out of a decoded image at a time: a whole second copy would cost memory."""

# What decoders raise for broken files (RuntimeError is AVIF's and imagecodecs', IndexError GIF's).
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, RuntimeError, IndexError, struct.error)
_GREY_MODES = ("1", "L", "LA", "La")
_DEEP_MODES = {"I": 65_535, "I;16": 65_535, "I;16L": 65_535, "I;16B": 65_535, "F": 1}

_ORIENTATION, _BITS = 274, 258
"""Tags of TIFF and EXIF."""
_DEEP_BITS = ((16, 16), (16, 16, 16), (16, 16, 16, 16))
_BLACK_IS_ZERO, _RGB = 1, 2
"""Ways of a TIFF to mean its numbers."""

_UPRIGHT: dict[int, Callable[[Levels], Levels]] = {
    2: lambda rows: rows[:, ::-1],
    3: lambda rows: rows[::-1, ::-1],
    4: lambda rows: rows[::-1],
    5: lambda rows: rows.swapaxes(0, 1),
    6: lambda rows: rows.swapaxes(0, 1)[:, ::-1],
    7: lambda rows: rows[::-1, ::-1].swapaxes(0, 1),
    8: lambda rows: rows.swapaxes(0, 1)[::-1],
}
"""EXIF orientation → the image as it is to be shown, a view."""


@dataclass(frozen=True)
class Picture:
    """An image as a user sees it, in the levels of its file: one byte per channel costs one byte.

    `colour` is (H,W,1) where the file is grey and (H,W,3) otherwise, `opacity` (H,W,1) of the same type;
    `profile` is the ICC colour profile.
    """

    colour: Levels
    opacity: Levels | None = None
    profile: bytes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.colour.shape[0], self.colour.shape[1]

    @property
    def grey(self) -> bool:
        """Whether there is one colour channel."""
        return self.colour.shape[2] == 1

    @property
    def channels(self) -> int:
        """How many there are, alpha included."""
        return self.colour.shape[2] + (self.opacity is not None)

    @property
    def bits(self) -> int:
        """8 or 16 per channel: what it takes to write the picture without loss."""
        return 8 if self.colour.dtype == np.uint8 else 16

    @property
    def rgb(self) -> Tensor:
        """(3,H,W) float32 in [0,1], grey repeated."""
        return to_floats(self.colour).expand(3, -1, -1)

    @property
    def alpha(self) -> Tensor | None:
        """(1,H,W) float32 in [0,1]."""
        return None if self.opacity is None else to_floats(self.opacity)


def read_picture(path: Path) -> Picture:
    """Read an image file; UserError where it is missing, broken or holds no usable pixels."""
    with opened(path) as image:
        deep = _deep_colour(image, path)
        return decode(image) if deep is None else deep


def read_uint8(path: Path) -> NDArray[np.uint8]:
    """Read an image file as (H,W,1) where it is grey, else (H,W,3). Transparency is dropped.

    16-bit levels are divided by 257 and rounded. UserError as in `read_picture`.
    """
    with opened(path) as image:  # 16-bit colour by Pillow: eight bits are wanted, after all
        colour = decode(image).colour
    if colour.dtype == np.uint8:
        return colour
    return np.floor(colour * (255 / TOPS[colour.dtype.name]) + 0.5).astype(np.uint8)


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image file, opened by Pillow, no pixel read yet; what goes wrong with it is a UserError."""
    if path.is_dir():
        raise UserError(f"{path} is a folder. Give an image file.")
    try:
        with warnings.catch_warnings():
            # Pillow warns at half the size that it refuses; here memory is bounded, so that is large.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                yield image
    except FileNotFoundError:
        raise UserError(f"{path} does not exist. Check the path.") from None
    except PermissionError:
        raise UserError(f"{path} may not be read. Check its permissions.") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except Image.DecompressionBombError as error:
        raise UserError(f"{path} is too large to read: {error} Cut it into pieces.") from None
    except _BROKEN as error:
        raise UserError(
            f"{path} could not be read as an image: {error}. "
            "It may be truncated, or something else under this name; fetch or export it again."
        ) from None


def decode(image: Image.Image) -> Picture:
    """Any mode of Pillow → grey or RGB, with alpha where the image has any, upright."""
    try:
        image.load()
        transparent = image.has_transparency_data
    except AssertionError as error:  # a GIF's frame that lies outside of its image or has no palette
        raise ValueError("a part of it is not where it may be") from error
    turn = image.getexif().get(_ORIENTATION, 1)  # after `load`, which turns a TIFF by itself
    if image.mode in _DEEP_MODES:
        return Picture(_upright(_deep_grey(image), turn))
    target = "L" if image.mode in _GREY_MODES else "RGB"
    # A profile describes the channels of the file: it is wrong after a change of colour space.
    kept = image.mode in (*_GREY_MODES, "P", "PA", "RGB", "RGBA")
    pixels = _upright(_strips(image, target + "A" if transparent else target), turn)
    colour, alpha = (pixels[:, :, :-1], pixels[:, :, -1:]) if transparent else (pixels, None)
    return Picture(colour, alpha, image.info.get("icc_profile") if kept else None)


def to_tensor(image: NDArray[np.uint8]) -> Tensor:
    """8-bit pixels (H,W,1|3) → (1,3,H,W) float32 in [0,1], grey repeated."""
    return to_floats(image).expand(3, -1, -1).contiguous().unsqueeze(0)


def to_floats(levels: Levels) -> Tensor:
    """Pixels (H,W,C) → (C,H,W) float32 in [0,1]."""
    scaled = levels.astype(np.float32) / np.float32(TOPS[levels.dtype.name])
    return torch.from_numpy(scaled).permute(2, 0, 1)


def to_uint8(image: Tensor) -> NDArray[np.uint8]:
    """(3,H,W) or (1,3,H,W) → 8-bit pixels (H,W,3): clamped to [0,1], rounded half up."""
    return to_levels(image, np.dtype(np.uint8))


def to_levels(image: Tensor, kind: np.dtype[Any]) -> Levels:
    """(C,H,W) or (1,C,H,W) → whole levels (H,W,C), uint8 or uint16: clamped, rounded half up."""
    chw = image.detach().squeeze(0) if image.ndim == 4 else image.detach()
    levels = chw.float().clamp(0, 1).mul_(TOPS[kind.name]).add_(0.5).permute(1, 2, 0)
    return levels.cpu().numpy().astype(kind, order="C")  # a cast cuts off, which is floor from 0 upward


def find_images(folder: Path, suffixes: frozenset[str] = frozenset(FORMATS)) -> list[Path]:
    """The image files directly in `folder`, by suffix, in order of name; hidden files are skipped.

    UserError where the folder is missing or holds no image.
    """
    if not folder.is_dir():
        came = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {came}. Give a folder of images.")
    found = (path for path in folder.iterdir() if path.suffix.lower() in suffixes)
    images = sorted(path for path in found if path.is_file() and not path.name.startswith("."))
    if not images:
        raise UserError(f"{folder} holds no image (looked for {', '.join(sorted(suffixes))}).")
    return images


def _upright(rows: Levels, orientation: int) -> Levels:
    return _UPRIGHT.get(orientation, lambda same: same)(rows)


def _strips(image: Image.Image, mode: str) -> Levels:
    """The pixels (H,W,C) in a mode of 8 bits per channel."""
    width, height = image.size
    pixels = np.empty((height, width, len(mode)), np.uint8)
    for top in range(0, height, STRIP):
        strip = image.crop((0, top, width, min(top + STRIP, height)))
        strip = strip if strip.mode == mode else strip.convert(mode)
        pixels[top : top + STRIP] = np.asarray(strip).reshape(-1, width, len(mode))
    return pixels


def _deep_grey(image: Image.Image) -> Levels:
    """Grey of more than 8 bits as (H,W,1): whole numbers up to 65535, or floats up to 1."""
    levels, top = np.asarray(image), _DEEP_MODES[image.mode]
    low, high = levels.min(), levels.max()
    if not (low >= 0 and high <= top):
        raise UserError(
            f"its levels run from {low:g} to {high:g} and only 0 to {top} is understood "
            f"for pixels of type {image.mode!r}. Rescale it, or save it as 8-bit PNG."
        )
    return levels.astype(np.float32 if image.mode == "F" else np.uint16)[:, :, None]


def _deep_colour(image: Image.Image, path: Path) -> Picture | None:
    """A PNG or TIFF of 16 bits per channel that Pillow would cut to 8; None for all others."""
    turn = 1
    if isinstance(image, PngImageFile) and "transparency" not in image.info:
        pixels = _png(path)
        turn = image.getexif().get(_ORIENTATION, 1) if pixels is not None else turn
    elif isinstance(image, TiffImageFile) and image.tag_v2.get(_BITS) in _DEEP_BITS:
        pixels = _tiff(path, image.width * image.height)
        turn = image.tag_v2.get(_ORIENTATION, 1)
    else:
        return None
    if pixels is None or pixels.dtype != np.uint16 or pixels.shape[2:] not in ((2,), (3,), (4,)):
        return None
    pixels = _upright(pixels, turn)
    transparent = pixels.shape[2] != 3
    colour, alpha = (pixels[:, :, :-1], pixels[:, :, -1:]) if transparent else (pixels, None)
    return Picture(colour, alpha, image.info.get("icc_profile"))


def _png(path: Path) -> Levels | None:
    """(H,W,C) where there are 16 bits for each of several channels; of one, Pillow reads all."""
    with path.open("rb") as file:
        bits, colour_type = file.read(26)[24:]
    if bits != 16 or colour_type == 0:
        return None
    from imagecodecs import png_decode

    return png_decode(path.read_bytes())


def _tiff(path: Path, count: int) -> Levels | None:
    """The first page as (H,W,C), of `count` pixels; None where its channels are no grey or RGB."""
    from tifffile import TiffFile, TiffFileError

    try:
        with TiffFile(path) as file:
            page = file.pages.first
            if page.photometric not in (_BLACK_IS_ZERO, _RGB):
                return None
            if page.size != count * page.samplesperpixel:  # of a volume: Pillow's limit is for images
                raise ValueError(f"its {page.size} values are not those of {count} pixels")
            pixels = page.asarray()
            return np.moveaxis(pixels, 0, -1) if page.planarconfig == 2 and pixels.ndim == 3 else pixels
    except TiffFileError as error:
        raise ValueError(str(error)) from error
