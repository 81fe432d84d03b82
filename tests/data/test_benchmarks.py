"""Benchmark folders of every layout, right and wrong."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesr.data import downscale, load_benchmark
from edgesr.errors import UserError

NOISE = np.random.default_rng(0).integers(0, 256, (25, 30, 3)).astype(np.uint8)


def put(path: Path, image: np.ndarray = NOISE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


@pytest.mark.parametrize("inner", ["HR", "DIV2K_valid_HR", "."])
def test_lr_is_made_where_there_is_none(tmp_path: Path, inner: str):
    put(tmp_path / inner / "b.png")
    put(tmp_path / inner / "a.png", NOISE[:, :, 0])
    first, second = load_benchmark(tmp_path, 4)
    assert (first.name, second.name) == ("a", "b")
    assert first.hr.shape == (24, 28, 1)
    np.testing.assert_array_equal(second.hr, NOISE[:24, :28])
    np.testing.assert_array_equal(second.lr, downscale(NOISE, 4))


@pytest.mark.parametrize("lr_name", ["ax4.png", "a.png"])
@pytest.mark.parametrize("names", [("HR", "LR_bicubic"), ("DIV2K_valid_HR", "DIV2K_valid_LR_bicubic")])
def test_lr_files_are_used(tmp_path: Path, names: tuple[str, str], lr_name: str):
    lr = np.full((6, 7, 3), 9, np.uint8)
    put(tmp_path / names[0] / "a.png")
    put(tmp_path / names[1] / "X4" / lr_name, lr)
    (pair,) = load_benchmark(tmp_path, 4)
    np.testing.assert_array_equal(pair.lr, lr)
    np.testing.assert_array_equal(pair.hr, NOISE[:24, :28])
    (pair,) = load_benchmark(tmp_path, 3)  # there is no X3
    np.testing.assert_array_equal(pair.lr, downscale(NOISE, 3))


def test_lr_of_the_wrong_size_is_refused(tmp_path: Path):
    put(tmp_path / "HR/a.png")
    put(tmp_path / "LR_bicubic/X4/ax4.png", NOISE[:8, :10])
    pairs = load_benchmark(tmp_path, 4)
    with pytest.raises(UserError, match=r"ax4\.png is 10x8 pixels.* it must be 7x6"):
        next(pairs)


def test_a_missing_lr_file_is_refused_at_once(tmp_path: Path):
    put(tmp_path / "HR/a.png")
    put(tmp_path / "LR_bicubic/X4/bx4.png")
    with pytest.raises(UserError, match="has no LR image for 'a'"):
        load_benchmark(tmp_path, 4)


def test_missing_folders_are_refused_at_once(tmp_path: Path):
    with pytest.raises(UserError, match="gone does not exist"):
        load_benchmark(tmp_path / "gone", 4)


def test_images_are_read_when_asked_for(tmp_path: Path):
    put(tmp_path / "HR/a.png")
    (tmp_path / "HR/b.png").write_text("no image")
    pairs = load_benchmark(tmp_path, 2)
    assert next(pairs).name == "a"
    with pytest.raises(UserError, match=r"b\.png could not be read"):
        next(pairs)


def test_images_too_small_for_the_scale_are_refused(tmp_path: Path):
    put(tmp_path / "HR/a.png", NOISE[:3])
    with pytest.raises(UserError, match=r"a\.png is 30x3 pixels: too small to shrink 4 times"):
        next(load_benchmark(tmp_path, 4))


def test_two_images_of_one_name_are_refused(tmp_path: Path):
    put(tmp_path / "HR/a.png")
    put(tmp_path / "HR/a.bmp")
    with pytest.raises(UserError, match="2 images called 'a'"):
        load_benchmark(tmp_path, 2)


def test_set5_uses_the_official_lr(shared: Path):
    pairs = list(load_benchmark(shared / "data/benchmark/Set5", 3))
    assert [pair.name for pair in pairs] == ["baby", "bird", "butterfly", "head", "woman"]
    assert pairs[4].lr.shape == (114, 76, 3)
    assert pairs[4].hr.shape == (342, 228, 3)


def test_the_grey_image_of_set14_has_one_channel(shared: Path):
    shapes = {pair.name: pair.hr.shape for pair in load_benchmark(shared / "data/benchmark/Set14", 2)}
    assert [name for name, shape in shapes.items() if shape[2] == 1] == ["bridge"]
