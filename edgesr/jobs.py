"""Image files, folders and videos through a runner: which file becomes which, what is there already."""

import glob
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image

from edgesr.data.formats import WHOLE, check_fits, writable
from edgesr.data.frames import Clip, loop_of, read_frames, read_header, readable_suffixes, write_clip
from edgesr.data.images import Levels, Picture, find_images, opened, read_picture
from edgesr.data.video import VIDEOS, Video, read_video
from edgesr.data.video_writing import VIDEO_FORMATS, check_video, stored_size, video_format, write_video
from edgesr.errors import UserError
from edgesr.runner import OnTile, Runner

OnStart = Callable[[int, int], OnTile | None]
"""Called with the numbers of tiles and frames before the first; gives what to call after each tile."""


@dataclass(frozen=True)
class Policy:
    """What to do where a file is there already. By default it is refused."""

    force: bool = False
    """Replace it."""
    resume: bool = False
    """Keep it if it is an image of the right size and whole."""


@dataclass(frozen=True)
class Job:
    """One image or video and the file that it becomes."""

    source: Path
    out: Path

    @property
    def moving(self) -> bool:
        """Whether it is a video; animated images are not."""
        return self.source.suffix.lower() in VIDEOS


@dataclass(frozen=True)
class Done:
    """How a job was done."""

    tiles: int
    frames: int
    before: tuple[int, int]
    """LR height and width, upright."""
    left_out: int = 0
    """Frames or pages beyond the first that the format written cannot hold."""
    tracks_left_out: tuple[str, ...] = ()
    """Kinds of the tracks of a video that are not carried along."""


def find_jobs(inputs: list[str], out: Path, *, scale: int, policy: Policy) -> list[Job]:
    """The images that `inputs` name and the file of each, before anything is computed.

    An input is a file, a folder of images or a pattern such as `photos/*.jpg`. `out` is a file for one
    image or video and a folder otherwise, where `photo.jpg` becomes `photo_x4.png` and what moves keeps
    its format if that is written.
    UserError for a suffix that cannot be written, two images of one name, nothing found, and files
    that are there already unless the policy says what to do.
    """
    paths = [path for text in inputs for path in _matching(text)]
    images = list(dict.fromkeys(image for path in paths for image in _images(path)))
    one = len(inputs) == 1 and images == [Path(inputs[0])] and not out.is_dir()
    if not one and out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file and there are {len(images)} images. Give a folder.")
    if one:
        if not images[0].exists():
            raise UserError(f"{images[0]} does not exist. Give an image or a folder of images.")
        (video_format if Job(images[0], out).moving else writable)(out)
    jobs = [Job(image, out if one else out / _name(image, scale)) for image in images]
    _refuse_equal_names(jobs)
    existing = [job.out for job in jobs if job.out.exists()]
    if existing and not policy.force and not policy.resume:
        raise UserError(
            f"{existing[0]} exists already ({len(existing)} of {len(jobs)} files do). "
            "Give another --out, --resume to keep them and make the rest, or --force to replace them."
        )
    return jobs


def run_job(job: Job, runner: Runner, policy: Policy, on_start: OnStart) -> Done | None:
    """Upscale one image or video into its file; None where it is there already and may stay.

    UserError for one that cannot be read, or whose SR its format cannot hold: that, before any pixel is
    read, but for one frame of a video.
    """
    sr_size, work = (_video if job.moving else _image)(job, runner, policy.force, on_start)
    if policy.resume and job.out.exists():
        wrong = _what_is_wrong(job.out, sr_size)
        if wrong is None:
            return None
        if not policy.force:
            raise UserError(f"{job.out} {wrong}. Give --force with --resume to make it anew.")
    try:
        return work()
    except FileExistsError:
        if not job.out.exists():  # it is a folder's name that is taken, by a file
            raise
        if policy.resume and _what_is_wrong(job.out, sr_size) is None:
            return None  # another process was here first
        raise UserError(
            f"{job.out} was made by someone else meanwhile and is kept. Give --force to replace it."
        ) from None


Work = tuple[tuple[int, int], Callable[[], Done]]
"""Height and width of what will be written, and how to."""


def _image(job: Job, runner: Runner, overwrite: bool, on_start: OnStart) -> Work:
    header = read_header(job.source)
    height, width = header.size
    if height * width > WHOLE:
        raise UserError(
            f"{job.source} is {width}x{height} = {height * width / 1e6:.0f} megapixels. It is "
            f"decoded in one piece, at most {WHOLE / 1e6:.0f} megapixels here. Cut it into parts."
        )
    sr_size = (runner.scale * height, runner.scale * width)
    animated = header.animated and writable(job.out).animated
    check_fits(job.out, sr_size, header.frames if animated else 1)

    def still() -> Done:
        picture = read_picture(job.source)
        tiles = runner.tiles(*picture.size)
        runner.write(picture, job.out, overwrite=overwrite, on_tile=on_start(tiles, 1))
        return Done(tiles, 1, picture.size, header.frames - 1)

    def moving() -> Done:
        return _animation(job, runner, header.frames, overwrite, on_start)

    return sr_size, moving if animated else still


def _video(job: Job, runner: Runner, overwrite: bool, on_start: OnStart) -> Work:
    video = read_video(job.source)
    sr_size = (runner.scale * video.size[0], runner.scale * video.size[1])
    form = check_video(video, job.out, sr_size)
    return stored_size(form, video, sr_size), lambda: _frame_by_frame(
        job, runner, video, overwrite, on_start
    )


def _frame_by_frame(job: Job, runner: Runner, video: Video, overwrite: bool, on_start: OnStart) -> Done:
    """Each frame is written before the next one is read."""
    tiles = runner.tiles(*video.size)
    on_tile, done = on_start(tiles * video.frames, video.frames), count()

    def enlarge(picture: Picture) -> Levels:
        told = _counted_on(on_tile, next(done) * tiles, tiles * video.frames)
        return np.concatenate(list(runner.bands(picture, np.dtype(np.uint8), told)))

    frames = write_video(video, job.out, enlarge, overwrite=overwrite)
    return Done(tiles * frames, frames, video.size, tracks_left_out=video.left_out)


def _animation(job: Job, runner: Runner, frames: int, overwrite: bool, on_start: OnStart) -> Done:
    """Frame by frame; the file is written in one piece in the end."""
    large: list[Levels] = []
    times: list[float] = []
    tiles, on_tile, profile, size = 0, None, None, (0, 0)
    for number, frame in enumerate(read_frames(job.source)):
        if number == 0:
            size, profile = frame.picture.size, frame.picture.profile
            tiles = frames * runner.tiles(*size)
            on_tile = on_start(tiles, frames)
        told = _counted_on(on_tile, number * (tiles // frames), tiles)
        large.append(np.concatenate(list(runner.bands(frame.picture, np.dtype(np.uint8), told))))
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


def _name(source: Path, scale: int) -> str:
    """Lossless PNG, but what moves stays what it is, or becomes what holds any sound."""
    suffix, moving = source.suffix.lower(), Job(source, source).moving
    try:
        animated = suffix in (".gif", ".webp") and read_header(source).animated
    except UserError:  # is said when its turn comes
        animated = False
    if moving:
        suffix = suffix if suffix in VIDEO_FORMATS else ".mkv"
    return f"{source.stem}_x{scale}{suffix if animated or moving else '.png'}"


def _refuse_equal_names(jobs: list[Job]) -> None:
    writer: dict[Path, Path] = {}
    for job in jobs:
        first = writer.setdefault(job.out, job.source)
        if first != job.source:
            raise UserError(f"{first} and {job.source} would both become {job.out}. Upscale them apart.")


def _what_is_wrong(path: Path, size: tuple[int, int]) -> str | None:
    """Why a file is not the image of `size` (height, width), either way up; None if it is, and whole."""
    try:
        if path.suffix.lower() in VIDEOS:
            height, width = read_video(path).size
            return (
                None
                if (height, width) == size
                else f"is {width}x{height} pixels, not {size[1]}x{size[0]}"
            )
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
