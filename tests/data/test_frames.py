"""Animations keep their frames, times, loops and transparency."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from edgesr.data.frames import (
    Clip,
    loop_of,
    read_frames,
    read_header,
    readable_suffixes,
    write_clip,
)
from edgesr.errors import UserError

TIMES = [50, 120, 300]
FORMS = {".gif": {"disposal": 2}, ".png": {}, ".webp": {"lossless": True}}
COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]


def frame(index: int) -> Image.Image:
    """Transparent, with a ring of one colour that moves.

    No square: libwebp cuts transparent edges off and then does not say that the file has any alpha.
    """
    image = Image.new("RGBA", (24, 16))
    box = (4 * index, 4, 4 * index + 8, 12)
    ImageDraw.Draw(image).ellipse(box, outline=(*COLOURS[index], 255), width=3)
    return image


def save_clip(path: Path, loop: int = 3) -> Path:
    first, *others = (frame(index) for index in range(3))
    options = {"save_all": True, "append_images": others, "duration": TIMES, "loop": loop}
    first.save(path, **options, **FORMS[path.suffix])
    return path


@pytest.mark.parametrize("suffix", FORMS)
def test_frames_come_whole_and_with_their_times(tmp_path: Path, suffix: str) -> None:
    path = save_clip(tmp_path / f"clip{suffix}")
    header = read_header(path)
    assert (header.size, header.frames, header.animated) == ((16, 24), 3, True)
    frames = list(read_frames(path))
    assert [one.milliseconds for one in frames] == TIMES
    assert loop_of(path) == 3
    for index, one in enumerate(frames):
        expected = np.asarray(frame(index))
        assert one.picture.opacity is not None
        np.testing.assert_array_equal(one.picture.opacity, expected[:, :, 3:])
        shown = expected[:, :, 3] > 0
        np.testing.assert_array_equal(one.picture.colour[shown], expected[shown][:, :3])


@pytest.mark.parametrize("suffix", FORMS)
@pytest.mark.parametrize("loop", [0, 1, 3, None])
def test_a_clip_is_written_as_it_is(tmp_path: Path, suffix: str, loop: int | None) -> None:
    levels = [np.asarray(frame(index)) for index in range(3)]
    write_clip(tmp_path / f"clip{suffix}", Clip(levels, list(map(float, TIMES)), loop))
    path = tmp_path / f"clip{suffix}"
    frames = list(read_frames(path))
    assert [one.milliseconds for one in frames] == TIMES
    for one, expected in zip(frames, levels, strict=True):
        assert one.picture.opacity is not None
        np.testing.assert_array_equal(one.picture.opacity, expected[:, :, 3:])
        shown = expected[:, :, 3] > 0
        np.testing.assert_array_equal(one.picture.colour[shown], expected[shown][:, :3])
    assert loop_of(path) == (loop if suffix == ".gif" or loop is not None else 0)


@pytest.mark.parametrize("suffix", [".gif", ".png"])
def test_a_frame_shown_for_too_long_is_refused(tmp_path: Path, suffix: str) -> None:
    """As a long run of fuzzing found; WebP can say 4.6 hours."""
    levels = [np.asarray(frame(index)) for index in range(2)]
    for path in (tmp_path / f"clip{suffix}", tmp_path / "clip.webp"):
        clip = Clip(levels, [40.0, 700_001.0], 0)
        if path.suffix == suffix:
            with pytest.raises(UserError, match="shown for up to 700001 ms"):
                write_clip(path, clip)
            assert not path.exists()
        else:
            write_clip(path, clip)
            assert [one.milliseconds for one in read_frames(path)] == clip.milliseconds


def test_half_seen_pixels_of_a_gif_are_shown_or_not(tmp_path: Path) -> None:
    levels = np.full((8, 8, 4), 200, np.uint8)
    levels[:, :4, 3], levels[:, 4:, 3] = 127, 128
    write_clip(tmp_path / "clip.gif", Clip([levels, levels[:, ::-1]], [100, 100], 0))
    for index, one in enumerate(read_frames(tmp_path / "clip.gif")):
        assert one.picture.opacity is not None
        row = one.picture.opacity[0, :, 0].tolist()
        assert (row if index == 0 else row[::-1]) == [0] * 4 + [255] * 4


def test_frames_of_unlike_kinds_are_written_as_the_richest(tmp_path: Path) -> None:
    grey, coloured = np.full((8, 8, 1), 90, np.uint8), np.asarray(frame(0))[:8, :8]
    write_clip(tmp_path / "clip.png", Clip([grey, coloured], [40, 40], 0))
    first, second = read_frames(tmp_path / "clip.png")
    assert (first.picture.channels, second.picture.channels) == (4, 4)
    assert first.picture.colour[0, 0].tolist() == [90, 90, 90]


def test_the_still_before_an_apng_is_no_frame(tmp_path: Path) -> None:
    first, *others = (frame(index) for index in range(3))
    path = tmp_path / "clip.png"
    first.save(path, save_all=True, append_images=others, duration=70, default_image=True)
    assert read_header(path).frames == 2
    colours = [one.picture.colour[8, 5 + 4 * index] for index, one in enumerate(read_frames(path))]
    assert [colour.tolist() for colour in colours] == [[0, 255, 0], [0, 0, 255]]


def test_pages_of_a_tiff_are_no_animation(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    frame(0).save(path, save_all=True, append_images=[frame(1)])
    header = read_header(path)
    assert (header.frames, header.animated) == (2, False)


def test_suffixes_are_of_formats_that_are_decoded() -> None:
    suffixes = readable_suffixes()
    assert {".avif", ".gif", ".jpg", ".jp2", ".png", ".ppm", ".tga", ".tif", ".webp"} <= suffixes
    assert not {".eps", ".h5", ".mpg", ".pdf"} & suffixes
