"""Animated images: GIF, APNG and WebP, frame by frame, each with the time that it is shown for.

Pillow composes the frames, so that each is a whole image however its file stores the changes.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from edgesr.data.formats import check_fits
from edgesr.data.images import Levels, Picture, decode, opened
from edgesr.data.writing import on_or_off, to_image
from edgesr.errors import UserError
from edgesr.files import replacing

ANIMATED = ("GIF", "PNG", "WEBP")
"""Formats whose frames follow one another in time; those of a TIFF are pages."""

SOURCE, NOT_CLEARED, CLEARED = 0, 0, 2


@dataclass(frozen=True)
class Header:
    """What a file says of itself before any pixel is decoded."""

    size: tuple[int, int]
    """Height and width, as they are stored: not yet turned upright."""
    frames: int
    animated: bool
    """Whether the frames are shown one after another."""


@dataclass(frozen=True)
class Frame:
    """One picture of an animation."""

    picture: Picture
    milliseconds: float


@dataclass(frozen=True)
class Clip:
    """Frames as 8-bit levels (H,W,C), milliseconds each, and how often they are played (None: once)."""

    frames: list[Levels]
    milliseconds: list[float]
    loop: int | None
    profile: bytes | None = None


def read_header(path: Path) -> Header:
    """UserError where the file is missing or no image."""
    with opened(path) as image:
        frames = getattr(image, "n_frames", 1) - bool(image.info.get("default_image"))
        height, width = image.height, image.width
        return Header((height, width), frames, frames > 1 and image.format in ANIMATED)


def read_frames(path: Path) -> Iterator[Frame]:
    """The frames of an animation, each decoded when it is asked for. UserError for a broken file."""
    with opened(path) as image:
        first = int(bool(image.info.get("default_image")))  # of an APNG: shown where APNG is not known
        for number in range(first, getattr(image, "n_frames", 1)):
            image.seek(number)
            picture = decode(image)
            yield Frame(picture, float(image.info.get("duration", 0)))


def loop_of(path: Path) -> int | None:
    """How often an animation is played: 0 forever, None where a GIF says nothing, which means once."""
    with opened(path) as image:
        image.load()
        loop = image.info.get("loop")
        return None if loop is None else int(loop)


def write_clip(path: Path, clip: Clip, *, overwrite: bool = True) -> None:
    """Write an animation as GIF, APNG or WebP. UserError for a format that has none, too many
    pixels, and a frame that is shown for longer than the format can say.

    GIF keeps 256 colours a frame, transparency on or off, and hundredths of a second.
    """
    height, width = clip.frames[0].shape[:2]
    form = check_fits(path, (height, width), len(clip.frames))
    images = [to_image(levels) for levels in _alike(clip.frames)]
    transparent = images[0].mode in ("LA", "RGBA")
    options = dict(form.options)
    if form.name == "PNG":
        options |= {"blend": SOURCE, "disposal": NOT_CLEARED}
    if form.name == "GIF":
        images = [on_or_off(image) for image in images]
        options |= {"disposal": CLEARED if transparent else NOT_CLEARED}
    if clip.loop is not None:
        options["loop"] = clip.loop
    durations = clip.milliseconds if form.name == "PNG" else [round(time) for time in clip.milliseconds]
    options |= {"duration": durations, "icc_profile": clip.profile}
    first, *others = images
    with replacing(path, overwrite=overwrite) as temporary:
        try:
            first.save(temporary, form.name, save_all=True, append_images=others, **options)
        except (OverflowError, ValueError, struct.error) as error:
            raise UserError(
                f"{path}: {form.name} cannot hold these frames, shown for up to {max(durations):.0f} ms "
                f"({error}). Choose another format that moves: .gif, .png or .webp."
            ) from error


def _alike(frames: Iterable[Levels]) -> Iterator[Levels]:
    """All with as many channels as the one that has most, for a file has one kind of pixels."""
    frames = list(frames)
    transparent = any(frame.shape[2] in (2, 4) for frame in frames)
    coloured = any(frame.shape[2] > 2 for frame in frames)
    for levels in frames:
        has_alpha = levels.shape[2] in (2, 4)
        colour = levels[:, :, :-1] if has_alpha else levels
        colour = np.repeat(colour, 3, axis=2) if coloured and colour.shape[2] == 1 else colour
        alpha = levels[:, :, -1:] if has_alpha else np.full((*levels.shape[:2], 1), 255, np.uint8)
        yield np.concatenate([colour, alpha], axis=2) if transparent else colour


def readable_suffixes() -> frozenset[str]:
    """The suffixes of all formats that Pillow decodes, but for those it only recognises by name."""
    undecoded = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
    known = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in known if name in Image.OPEN and name not in undecoded)
