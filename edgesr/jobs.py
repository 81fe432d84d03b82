"""Image files and folders through a runner: which file becomes which, what is there already."""

import glob
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from edgesr.data.formats import WHOLE, check_fits, writable
from edgesr.data.frames import Clip, loop_of, read_frames, read_header, readable_suffixes, write_clip
from edgesr.data.images import Levels, find_images, opened, read_picture
from edgesr.errors import UserError
from edgesr.runner import OnTile, Runner

VIDEOS = {".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"}


@dataclass(frozen=True)
class Policy:
    """What to do where a file is there already. By default it is refused."""

    force: bool = False
    """Replace it."""
    resume: bool = False
    """Keep it if it is an image of the right size and whole."""


@dataclass(frozen=True)
class Job:
    """One image and the file that it becomes."""

    source: Path
    out: Path


@dataclass(frozen=True)
class Done:
    """How a job was done."""

    tiles: int
    frames: int
    before: tuple[int, int]
    """LR height and width, upright."""
    left_out: int = 0
    """Frames or pages beyond the first that the format written cannot hold."""


def find_jobs(inputs: list[str], out: Path, *, scale: int, policy: Policy) -> list[Job]:
    """The images that `inputs` name and the file of each, before anything is computed.

    An input is a file, a folder or a pattern such as `photos/*.jpg`. `out` is a file for one image and a
    folder otherwise, where `photo.jpg` becomes `photo_x4.png` and an animation keeps its format.
    UserError for a suffix that cannot be written, two images of one name, nothing found, and files
    that are there already unless the policy says what to do.
    """
    paths = [path for text in inputs for path in _matching(text)]
    images = list(dict.fromkeys(image for path in paths for image in _images(path)))
    one = len(inputs) == 1 and images == [Path(inputs[0])] and not out.is_dir()
    if not one and out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file and there are {len(images)} images. Give a folder.")
    if one:
        _refuse_missing(images[0])
        writable(out)
    jobs = [Job(image, out if one else out / _name(image, scale)) for image in images]
    _refuse_equal_names(jobs)
    existing = [job.out for job in jobs if job.out.exists()]
    if existing and not policy.force and not policy.resume:
        raise UserError(
            f"{existing[0]} exists already ({len(existing)} of {len(jobs)} files do). "
            "Give another --out, --resume to keep them and make the rest, or --force to replace them."
        )
    return jobs


def run_job(
    job: Job, runner: Runner, policy: Policy, on_start: Callable[[int], OnTile | None]
) -> Done | None:
    """Upscale one image into its file; None where it is there already and may stay.

    `on_start(tiles)` is called once the work is known and gives what to call after each tile. UserError
    for an image that cannot be read, or whose SR its format cannot hold: that, before any pixel is read.
    """
    header = read_header(job.source)
    height, width = header.size
    if height * width > WHOLE:
        raise UserError(
            f"{job.source} is {width}x{height} = {height * width / 1e6:.0f} megapixels. It is "
            f"decoded in one piece, at most {WHOLE / 1e6:.0f} megapixels here. Cut it into parts."
        )
    sr_size = (runner.scale * height, runner.scale * width)
    if policy.resume and job.out.exists():
        wrong = _what_is_wrong(job.out, sr_size)
        if wrong is None:
            return None
        if not policy.force:
            raise UserError(f"{job.out} {wrong}. Give --force with --resume to make it anew.")
    animated = header.animated and writable(job.out).animated
    frames = header.frames if animated else 1
    check_fits(job.out, sr_size, frames)
    try:
        if animated:
            return _animation(job, runner, header.frames, policy.force, on_start)
        picture = read_picture(job.source)
        tiles = runner.tiles(*picture.size)
        runner.write(picture, job.out, overwrite=policy.force, on_tile=on_start(tiles))
    except FileExistsError:
        if not job.out.exists():  # it is a folder's name that is taken, by a file
            raise
        if policy.resume and _what_is_wrong(job.out, sr_size) is None:
            return None  # another process was here first
        raise UserError(
            f"{job.out} was made by someone else meanwhile and is kept. Give --force to replace it."
        ) from None
    return Done(tiles, 1, picture.size, header.frames - 1)


def _animation(
    job: Job, runner: Runner, frames: int, overwrite: bool, on_start: Callable[[int], OnTile | None]
) -> Done:
    """Frame by frame; the file is written in one piece in the end."""
    large: list[Levels] = []
    times: list[float] = []
    tiles, on_tile, profile, size = 0, None, None, (0, 0)
    for number, frame in enumerate(read_frames(job.source)):
        if number == 0:
            size, profile = frame.picture.size, frame.picture.profile
            tiles = frames * runner.tiles(*size)
            on_tile = on_start(tiles)
        count = _counted_on(on_tile, number * (tiles // frames), tiles)
        large.append(np.concatenate(list(runner.bands(frame.picture, np.dtype(np.uint8), count))))
        times.append(frame.milliseconds)
    write_clip(job.out, Clip(large, times, loop_of(job.source), profile), overwrite=overwrite)
    return Done(tiles, frames, size)


def _counted_on(on_tile: OnTile | None, before: int, total: int) -> OnTile | None:
    """The same, for one frame of several."""
    return None if on_tile is None else lambda done, _: on_tile(before + done, total)


def _matching(text: str) -> list[Path]:
    """The path itself, or what a pattern matches where the shell left it unexpanded."""
    path = Path(text)
    if path.exists() or not glob.has_magic(text):
        return [path]
    found = sorted(Path(name) for name in glob.glob(text, recursive=True))  # noqa: PTH207 (absolute ones too)
    if not found:
        raise UserError(f"No file matches {text}. Check the path and the pattern.")
    return found


def _images(path: Path) -> list[Path]:
    return find_images(path, readable_suffixes()) if path.is_dir() else [path]


def _name(image: Path, scale: int) -> str:
    """Lossless PNG, but an animation stays what it is."""
    suffix = image.suffix.lower()
    try:
        animated = suffix in (".gif", ".webp") and read_header(image).animated
    except UserError:  # is said when its turn comes
        animated = False
    return f"{image.stem}_x{scale}{suffix if animated else '.png'}"


def _refuse_missing(path: Path) -> None:
    if not path.exists():
        raise UserError(f"{path} does not exist. Give an image or a folder of images.")
    if path.suffix.lower() in VIDEOS:
        raise UserError(
            f"{path} is a video; edgesr takes images and animated GIF, APNG and WebP. Take it apart "
            f"with `ffmpeg -i {path.name} frames/%06d.png`, upscale the folder and join them again."
        )


def _refuse_equal_names(jobs: list[Job]) -> None:
    writer: dict[Path, Path] = {}
    for job in jobs:
        first = writer.setdefault(job.out, job.source)
        if first != job.source:
            raise UserError(f"{first} and {job.source} would both become {job.out}. Upscale them apart.")


def _what_is_wrong(path: Path, size: tuple[int, int]) -> str | None:
    """Why a file is not the image of `size` (height, width), either way up; None if it is, and whole."""
    try:
        with opened(path) as image:
            if sorted(image.size) != sorted(size):
                return f"is {image.width}x{image.height} pixels and not {size[1]}x{size[0]}"
            _read_to_the_end(image)
    except UserError:
        return "is no image, or not whole"
    return None


def _read_to_the_end(image: Image.Image) -> None:
    """OSError and its like if it is cut short. A PNG has checksums; others are decoded if not huge."""
    if image.format == "PNG":
        image.verify()
    elif image.width * image.height <= 2**27:
        image.load()
