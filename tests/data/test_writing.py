"""Images written as their rows come."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imagecodecs import png_decode
from PIL import Image

from edgesr.data.formats import FORMATS, WHOLE, check_fits
from edgesr.data.images import Levels, read_picture
from edgesr.data.writing import Head, write_bands
from edgesr.errors import UserError

STREAMED = [".png", ".tif"]


def cut(levels: Levels, heights: list[int]) -> Iterator[Levels]:
    """The rows in bands of such heights, over and over."""
    top, index = 0, 0
    while top < len(levels):
        yield levels[top : top + heights[index % len(heights)]]
        top, index = top + heights[index % len(heights)], index + 1


@pytest.mark.parametrize("suffix", STREAMED)
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    shape=st.tuples(st.integers(1, 150), st.integers(1, 70), st.integers(1, 4)),
    bits=st.sampled_from([8, 16]),
    heights=st.lists(st.integers(1, 140), min_size=1, max_size=4),
    seed=st.integers(0, 2**32 - 1),
)
def test_other_decoders_read_what_was_written(
    tmp_path: Path, suffix: str, shape: tuple[int, int, int], bits: int, heights: list[int], seed: int
) -> None:
    """By libpng and tifffile, which read 16 bits, and by Pillow, which is what we read with."""
    levels = np.random.default_rng(seed).integers(0, 2**bits, shape).astype(f"uint{bits}")
    path = tmp_path / f"image{suffix}"
    write_bands(path, Head(*shape, bits, b"profile"), cut(levels, heights))
    grey_as_rgb = suffix == ".tif" and (shape[2], bits) == (2, 16)
    expected = levels[:, :, [0, 0, 0, 1]] if grey_as_rgb else levels
    decoded = png_decode(path.read_bytes()) if suffix == ".png" else tifffile.imread(path)
    np.testing.assert_array_equal(decoded.reshape(expected.shape), expected)
    picture = read_picture(path)
    parts = [picture.colour] + ([] if picture.opacity is None else [picture.opacity])
    np.testing.assert_array_equal(np.concatenate(parts, axis=2), expected)
    with Image.open(path) as image:
        assert image.info["icc_profile"] == b"profile"
        image.verify()


@pytest.mark.parametrize("suffix", STREAMED)
def test_memory_is_that_of_a_band(tmp_path: Path, suffix: str) -> None:
    """48 MB of pixels, never more than a few bands of 0.4 MB at once."""
    bands = (np.full((64, 2000, 3), index % 256, np.uint8) for index in range(125))
    head = Head(8000, 2000, 3, 8)
    write_bands(tmp_path / f"warm{suffix}", Head(1, 1, 1, 8), [np.zeros((1, 1, 1), np.uint8)])
    tracemalloc.start()
    write_bands(tmp_path / f"large{suffix}", head, bands)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5e6
    with Image.open(tmp_path / f"large{suffix}") as image:
        assert image.size == (2000, 8000)
        assert image.getpixel((1999, 7999)) == (124, 124, 124)


def test_large_tiff_is_a_big_tiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesr.data.writing.BIG", 1000)
    levels = np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype(np.uint8)
    write_bands(tmp_path / "big.tif", Head(20, 30, 3, 8), [levels])
    assert (tmp_path / "big.tif").read_bytes()[2] == 43
    np.testing.assert_array_equal(read_picture(tmp_path / "big.tif").colour, levels)


@pytest.mark.parametrize("suffix", FORMATS)
def test_too_many_pixels_for_one_piece_are_refused_with_the_limit(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"large{suffix}"
    if FORMATS[suffix].pixels is None:
        check_fits(path, (40_000, 40_000))
        with pytest.raises(UserError, match=r"at most 268 megapixels here, .* 100 frames"):
            check_fits(path, (4_000, 4_000), frames=100)
        return
    with pytest.raises(UserError, match=r"16383 pixels a side|268 megapixels .* Choose \.png or"):
        check_fits(path, (40_000, 40_000))
    check_fits(path, (2_000, 2_000))


def test_the_limit_of_one_piece_is_in_pixels() -> None:
    check_fits(Path("a.jpg"), (WHOLE // 2**14, 2**14))
    with pytest.raises(UserError, match="Choose"):
        check_fits(Path("a.jpg"), (WHOLE // 2**14 + 1, 2**14))


def test_what_is_there_is_kept_on_demand(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    levels = np.zeros((2, 2, 1), np.uint8)
    write_bands(path, Head(2, 2, 1, 8), [levels], overwrite=False)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        write_bands(path, Head(2, 2, 1, 8), [levels + 1], overwrite=False)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    write_bands(path, Head(2, 2, 1, 8), [levels + 1])
    assert path.read_bytes() != before


def test_what_is_there_is_kept_where_there_are_no_hard_links(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    test_what_is_there_is_kept_on_demand(tmp_path)
