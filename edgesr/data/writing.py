"""Pixels → image files, whole or not at all. PNG and TIFF are written row by row, as the rows come.

So an image may be larger than memory. PNG (ISO/IEC 15948) is written here, on zlib, because no kept-up
library takes rows from Python as they come; TIFF by tifffile, which takes compressed strips.
"""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from edgesr.data.formats import check_fits
from edgesr.data.images import TOPS, Levels, Picture
from edgesr.files import replacing

ROWS = 64
"""That are compressed at a time."""

LEVEL = 3
"""Of zlib: files 8 % larger than at 6, in a third of the time."""

PNG_COLOUR = {1: 0, 2: 4, 3: 2, 4: 6}
"""Channels → colour type of PNG."""
UP = 2
"""PNG's filter that subtracts the row above; on enlarged images it is the best single one."""

BIG = 2**32 - 2**25
"""Bytes of pixels beyond which a TIFF is a BigTIFF, for its offsets would not fit."""


@dataclass(frozen=True)
class Head:
    """What has to be known of an image before its first row."""

    height: int
    width: int
    channels: int
    """1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha."""
    bits: int
    """8 or 16 per channel."""
    profile: bytes | None = None

    @property
    def transparent(self) -> bool:
        """Whether the last channel is alpha."""
        return self.channels in (2, 4)

    @property
    def kind(self) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
        """The type of the levels."""
        return np.dtype(np.uint8) if self.bits == 8 else np.dtype(np.uint16)


def head_for(path: Path, size: tuple[int, int], picture: Picture) -> Head:
    """Of a file of `size` (height, width) with all of `picture`'s kinds of pixels that its format has.

    UserError as `check_fits`.
    """
    form = check_fits(path, size)
    return Head(*size, picture.channels, picture.bits if form.deep else 8, picture.profile)


def write_picture(picture: Picture, path: Path, *, overwrite: bool = True) -> None:
    """Write a picture in the format of the suffix; `path` is replaced as a whole or not.

    Formats without transparency (JPEG, BMP) get the picture over white. PNG, TIFF, WebP and BMP
    are lossless, JPEG has quality 95, GIF has 256 colours. UserError for an unknown suffix, or a picture
    too large for the format.
    """
    head = head_for(path, picture.size, picture)
    parts = [picture.colour] if picture.opacity is None else [picture.colour, picture.opacity]
    levels = np.concatenate(parts, axis=2)
    if levels.dtype != head.kind:
        levels = np.floor(levels * (TOPS[head.kind.name] / TOPS[levels.dtype.name]) + 0.5).astype(
            head.kind
        )
    write_bands(path, head, [levels], overwrite=overwrite)


def write_bands(path: Path, head: Head, bands: Iterable[Levels], *, overwrite: bool = True) -> None:
    """Write an image whose rows come from top to bottom, in bands (h, width, channels).

    `path` is written as a whole or not at all, and FileExistsError if it is there unless `overwrite`.
    """
    form = check_fits(path, (head.height, head.width))
    write = _STREAMED.get(form.name)
    with replacing(path, overwrite=overwrite) as temporary:
        if write is not None:
            write(temporary, head, bands)
        else:
            image = _collected(head, bands, form.alpha)
            image = on_or_off(image) if form.name == "GIF" else image
            image.save(temporary, form.name, icc_profile=head.profile, **form.options)


def over_white(levels: Levels) -> Levels:
    """(h,w,C and alpha) → (h,w,C): what is seen on a white page."""
    top = TOPS[levels.dtype.name]
    alpha = levels[:, :, -1:].astype(np.float32) / top
    mixed = levels[:, :, :-1] * alpha + (1 - alpha) * top
    return np.floor(mixed + 0.5).astype(levels.dtype)


def to_image(levels: Levels) -> Image.Image:
    """8-bit (h,w,1..4) as a Pillow image."""
    return Image.fromarray(np.ascontiguousarray(levels[:, :, 0] if levels.shape[2] == 1 else levels))


def on_or_off(image: Image.Image) -> Image.Image:
    """For GIF: each pixel shown or not, by half. Others are returned as they are."""
    if image.mode not in ("LA", "RGBA"):
        return image
    shown = image.getchannel("A").point([0] * 128 + [255] * 128)
    seen = Image.new("RGBA", image.size)
    seen.paste(image.convert("RGB"), mask=shown)
    return seen


def _collected(head: Head, bands: Iterable[Levels], keep_alpha: bool) -> Image.Image:
    """The whole image, for formats that are written in one piece."""
    flat = head.transparent and not keep_alpha
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[head.channels - flat]
    image, top = Image.new(mode, (head.width, head.height)), 0
    for band in bands:
        for start in range(0, len(band), ROWS):
            rows = band[start : start + ROWS]
            image.paste(to_image(over_white(rows) if flat else rows), (0, top))
            top += len(rows)
    return image


def _write_png(path: Path, head: Head, bands: Iterable[Levels]) -> None:
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        colour = PNG_COLOUR[head.channels]
        _chunk(
            file, b"IHDR", struct.pack(">IIBBBBB", head.width, head.height, head.bits, colour, 0, 0, 0)
        )
        if head.profile is not None:
            _chunk(file, b"iCCP", b"ICC Profile\0\0" + zlib.compress(head.profile))
        pressed = zlib.compressobj(LEVEL)
        for rows in _filtered(head, bands):
            _chunk(file, b"IDAT", pressed.compress(rows))
        _chunk(file, b"IDAT", pressed.flush())
        _chunk(file, b"IEND", b"")


def _filtered(head: Head, bands: Iterable[Levels]) -> Iterator[bytes]:
    """Some rows at a time: the filter's number, then what it leaves of each row's bytes."""
    above = np.zeros((1, head.width * head.channels * head.bits // 8), np.uint8)
    for strip in _strips(bands, ROWS):
        big_endian = strip.astype(head.kind.newbyteorder(">"), order="C")
        rows = big_endian.reshape(len(strip), -1).view(np.uint8)
        written = np.full((len(rows), 1 + rows.shape[1]), UP, np.uint8)
        np.subtract(rows, np.concatenate([above, rows[:-1]]), out=written[:, 1:])
        above = rows[-1:]
        yield written.tobytes()


def _chunk(file: BinaryIO, name: bytes, content: bytes) -> None:
    """One chunk of a PNG; compressors at times return nothing, which is not worth one."""
    if content or name == b"IEND":
        file.write(struct.pack(">I", len(content)) + name + content)
        file.write(struct.pack(">I", zlib.crc32(content, zlib.crc32(name))))


def _write_tiff(path: Path, head: Head, bands: Iterable[Levels]) -> None:
    from tifffile import TiffWriter

    if (head.channels, head.bits) == (2, 16):  # Pillow, and so we, would not read it: grey as RGB
        head, bands = replace(head, channels=4), (band[:, :, [0, 0, 0, 1]] for band in bands)
    # one channel goes without its dimension: it would be taken for a stack of narrow pages
    shape = (head.height, head.width, head.channels)[: 2 + (head.channels > 1)]
    size = head.height * head.width * head.channels * head.bits // 8
    with TiffWriter(path, byteorder="<", bigtiff=size > BIG) as file:
        file.write(
            _pressed(head, bands),
            shape=shape,
            dtype=head.kind,
            photometric="minisblack" if head.channels < 3 else "rgb",
            extrasamples=["unassalpha"] if head.transparent else None,
            planarconfig="contig" if head.channels > 1 else None,
            rowsperstrip=min(ROWS, head.height),
            compression="adobe_deflate",
            predictor=True,
            iccprofile=head.profile,
            metadata=None,
            software=False,
        )


def _pressed(head: Head, bands: Iterable[Levels]) -> Iterator[bytes]:
    """Strips of `ROWS` rows, compressed, with TIFF's predictor: each pixel less the one to its left."""
    for strip in _strips(bands, ROWS):
        rows = strip.astype(head.kind.newbyteorder("<"), order="C")
        rows[:, 1:] -= rows[:, :-1].copy()
        yield zlib.compress(rows.tobytes(), LEVEL)


def _strips(bands: Iterable[Levels], rows: int) -> Iterator[Levels]:
    """The same rows in strips of `rows`, the last one perhaps shorter."""
    rest: Levels | None = None
    for band in bands:
        joined = band if rest is None else np.concatenate([rest, band])
        whole = len(joined) // rows * rows
        yield from (joined[start : start + rows] for start in range(0, whole, rows))
        rest = joined[whole:] if whole < len(joined) else None
    if rest is not None:
        yield rest


_STREAMED: dict[str, Callable[[Path, Head, Iterable[Levels]], None]] = {
    "PNG": _write_png,
    "TIFF": _write_tiff,
}
