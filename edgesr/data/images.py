"""Image files ↔ pixels.

`read_picture` keeps what a user expects to get back (transparency, greyness, colour profile);
`read_uint8` gives the bare 8-bit pixels that training and scoring use. Both turn the image upright
by its EXIF orientation and take the first frame of an animation. 16-bit grey is read in full;
16-bit *colour* is reduced to 8 bits by Pillow. Colour profiles are carried along, never applied.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from edgesr.errors import UserError
from edgesr.files import replacing


@dataclass(frozen=True)
class Format:
    """How files of one suffix are written. `longest` is the longest side the format allows."""

    name: str
    alpha: bool
    longest: int
    options: Mapping[str, Any]


_JPEG = Format("JPEG", False, 65_500, {"quality": 95, "subsampling": 0})
_TIFF = Format("TIFF", True, 2**31 - 1, {"compression": "tiff_adobe_deflate"})
FORMATS = {
    ".bmp": Format("BMP", False, 2**31 - 1, {}),
    ".jpeg": _JPEG,
    ".jpg": _JPEG,
    ".png": Format("PNG", True, 2**31 - 1, {}),
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".webp": Format("WEBP", True, 16_383, {"lossless": True}),
}

# What Pillow's decoders raise for broken files (RuntimeError is AVIF's).
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, RuntimeError, struct.error)
_GREY_MODES = ("1", "L", "LA", "La")
_DEEP_MODES = {"I": 65_535, "I;16": 65_535, "I;16L": 65_535, "I;16B": 65_535, "F": 1}


@dataclass(frozen=True)
class Picture:
    """An image as a user sees it: `rgb` (3,H,W) and `alpha` (1,H,W), float32 in [0,1].

    `grey` says that the file has one colour channel (so rgb repeats it, and saving writes grey);
    `bits` is 8 or 16 per channel; `profile` is the ICC colour profile of the file.
    """

    rgb: Tensor
    alpha: Tensor | None = None
    grey: bool = False
    bits: int = 8
    profile: bytes | None = None


@dataclass(frozen=True)
class _Decoded:
    """Pixels of a file: colour (H,W,1|3) and alpha (H,W,1), from 0 to `top`."""

    colour: NDArray[Any]
    alpha: NDArray[Any] | None
    top: int
    profile: bytes | None


def read_picture(path: Path) -> Picture:
    """Read an image file; UserError where it is missing, broken or holds no usable pixels."""
    decoded = _decode(path)
    grey = decoded.colour.shape[2] == 1
    rgb = _chw(decoded.colour, decoded.top)
    alpha = None if decoded.alpha is None else _chw(decoded.alpha, decoded.top)
    bits = 8 if decoded.top == 255 else 16
    return Picture(rgb.expand(3, -1, -1), alpha, grey, bits, decoded.profile)


def read_uint8(path: Path) -> NDArray[np.uint8]:
    """Read an image file as (H,W,1) where it is grey, else (H,W,3). Transparency is dropped.

    16-bit levels are divided by 257 and rounded. UserError as in `read_picture`.
    """
    decoded = _decode(path)
    if decoded.top == 255:
        return decoded.colour
    return np.floor(decoded.colour * (255 / decoded.top) + 0.5).astype(np.uint8)


def write_picture(picture: Picture, path: Path) -> None:
    """Write 8 bits per channel, in the format of the suffix; `path` is replaced as a whole or not.

    Formats without transparency (JPEG, BMP) get the picture over white. PNG, TIFF, WebP and BMP
    are lossless, JPEG has quality 95. UserError for an unknown suffix, or a side too long for the
    format.
    """
    form = writable(path)
    height, width = picture.rgb.shape[1:]
    if max(height, width) > form.longest:
        raise UserError(
            f"{path}: {form.name} holds at most {form.longest} pixels a side and this image is "
            f"{width}x{height}. Choose another suffix, such as .png."
        )
    image = _image(picture, form.alpha)
    with replacing(path) as temporary:
        image.save(temporary, form.name, icc_profile=picture.profile, **form.options)


def writable(path: Path) -> Format:
    """The format that `path` will be written in; UserError naming the known suffixes if none."""
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        came = f"the suffix {path.suffix!r}" if path.suffix else "no suffix"
        raise UserError(f"{path} has {came}. Images are written as {', '.join(FORMATS)}.")
    return form


def to_tensor(image: NDArray[np.uint8]) -> Tensor:
    """8-bit pixels (H,W,1|3) → (1,3,H,W) float32 in [0,1], grey repeated."""
    return _chw(image, 255).expand(3, -1, -1).contiguous().unsqueeze(0)


def to_uint8(image: Tensor) -> NDArray[np.uint8]:
    """(3,H,W) or (1,3,H,W) → 8-bit pixels (H,W,3): clamped to [0,1], rounded half up."""
    chw = image.detach().squeeze(0) if image.ndim == 4 else image.detach()
    levels = (chw.float().clamp(0, 1) * 255 + 0.5).floor().to(torch.uint8)
    return levels.permute(1, 2, 0).contiguous().cpu().numpy()


def find_images(folder: Path) -> list[Path]:
    """The image files directly in `folder`, by suffix, in order of name; hidden files are skipped.

    UserError where the folder is missing or holds no image.
    """
    if not folder.is_dir():
        came = "is a file" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {came}. Give a folder of images.")
    found = (path for path in folder.iterdir() if path.suffix.lower() in FORMATS)
    images = sorted(path for path in found if path.is_file() and not path.name.startswith("."))
    if not images:
        raise UserError(f"{folder} holds no image (looked for {', '.join(FORMATS)}).")
    return images


def _chw(levels: NDArray[Any], top: int) -> Tensor:
    scaled = levels.astype(np.float32) / np.float32(top)
    return torch.from_numpy(scaled).permute(2, 0, 1)


def _decode(path: Path) -> _Decoded:
    if path.is_dir():
        raise UserError(f"{path} is a folder. Give an image file.")
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            return _channels(image)
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


def _channels(image: Image.Image) -> _Decoded:
    """Any mode of Pillow → grey or RGB, with alpha where the image has any."""
    if image.mode in _DEEP_MODES:
        return _Decoded(_deep(image), None, _DEEP_MODES[image.mode], None)
    target = "L" if image.mode in _GREY_MODES else "RGB"
    # A profile describes the channels of the file: it is wrong after a change of colour space.
    kept = image.mode in (*_GREY_MODES, "P", "PA", "RGB", "RGBA")
    profile = image.info.get("icc_profile") if kept else None
    transparent = image.has_transparency_data
    pixels = np.array(image.convert(target + "A" if transparent else target))
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if not transparent:
        return _Decoded(pixels, None, 255, profile)
    return _Decoded(np.ascontiguousarray(pixels[:, :, :-1]), pixels[:, :, -1:], 255, profile)


def _deep(image: Image.Image) -> NDArray[Any]:
    """Grey of more than 8 bits as (H,W,1): whole numbers up to 65535, or floats up to 1."""
    levels, top = np.array(image), _DEEP_MODES[image.mode]
    low, high = levels.min(), levels.max()
    if not (low >= 0 and high <= top):
        raise UserError(
            f"its levels run from {low:g} to {high:g} and only 0 to {top} is understood "
            f"for pixels of type {image.mode!r}. Rescale it, or save it as 8-bit PNG."
        )
    return levels[:, :, None]


def _image(picture: Picture, keep_alpha: bool) -> Image.Image:
    """The 8-bit Pillow image of a picture, over white where transparency cannot be kept."""
    rgb, alpha = picture.rgb, picture.alpha
    if alpha is not None and not keep_alpha:
        rgb, alpha = rgb * alpha + (1 - alpha), None
    pixels = to_uint8(rgb)
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0]) if picture.grey else pixels)
    if alpha is not None:
        image.putalpha(Image.fromarray(to_uint8(alpha)[:, :, 0]))
    return image
