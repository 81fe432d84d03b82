"""Patches that belong together, and folders that may be trained on."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgesr.data import PairedImages, downscale, load_training
from edgesr.data.patches import Places
from edgesr.errors import UserError


def coordinates(height: int, width: int) -> np.ndarray:
    """An image whose levels say where each pixel lies: row, column, sum."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, rows + columns], axis=2).astype(np.uint8)


def put(path: Path, side: int = 24, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_patches_are_aligned(scale: int):
    noise = np.random.default_rng(1).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    lr, hr = PairedImages([noise], scale).batch(np.random.default_rng(0), 32, 8)
    assert (lr.dtype, lr.shape) == (torch.uint8, (32, 3, 8, 8))
    assert (hr.dtype, hr.shape) == (torch.uint8, (32, 3, 8 * scale, 8 * scale))
    for small, large in zip(lr.numpy(), hr.numpy(), strict=True):
        again = downscale(large.transpose(1, 2, 0), scale).transpose(2, 0, 1)
        # Away from the patch's border; a transposed patch is rounded in another order.
        gap = again[:, 2:-2, 2:-2].astype(int) - small[:, 2:-2, 2:-2]
        assert np.abs(gap).max() <= 1


def test_all_eight_symmetries_occur():
    image = coordinates(8, 8)
    _, hr = PairedImages([image], 2).batch(np.random.default_rng(0), 200, 4)
    seen = {patch.numpy().transpose(1, 2, 0).tobytes() for patch in hr}
    flips = [np.rot90(turned, turns) for turned in (image, image[:, ::-1]) for turns in range(4)]
    assert seen == {flip.tobytes() for flip in flips}


def test_the_whole_of_an_image_is_used():
    _, hr = PairedImages([coordinates(20, 28)], 2).batch(np.random.default_rng(0), 400, 4)
    assert set(hr[:, 0].unique().tolist()) == set(range(20))
    assert set(hr[:, 1].unique().tolist()) == set(range(28))


def test_images_are_drawn_by_area():
    small, large = np.zeros((8, 8, 3), np.uint8), np.full((24, 24, 3), 255, np.uint8)
    _, hr = PairedImages([small, large], 2).batch(np.random.default_rng(0), 4000, 2)
    share = (hr[:, 0, 0, 0] == 255).float().mean().item()
    assert share == pytest.approx(0.9, abs=0.02)


def test_the_generator_alone_decides():
    images = PairedImages([coordinates(40, 40), 255 - coordinates(40, 40)], 2)
    first = images.batch(np.random.default_rng(5), 8, 4)
    again = images.batch(np.random.default_rng(5), 8, 4)
    other = images.batch(np.random.default_rng(6), 8, 4)
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


def test_grey_is_repeated():
    grey = np.random.default_rng(0).integers(0, 256, (16, 16, 1)).astype(np.uint8)
    lr, hr = PairedImages([grey], 2).batch(np.random.default_rng(0), 3, 4)
    for patches in (lr, hr):
        assert patches.shape[1] == 3
        assert torch.equal(patches[:, 0], patches[:, 2])


def test_a_patch_larger_than_the_image_is_refused():
    with pytest.raises(UserError, match="A 9 pixel patch does not fit an LR image of 20x8"):
        PairedImages([coordinates(16, 40)], 2).batch(np.random.default_rng(0), 1, 9)


@pytest.mark.parametrize("inner", ["DIV2K_train_HR", "Flickr2K_HR", "HR", "."])
def test_layouts_are_recognised(tmp_path: Path, inner: str):
    for index in range(3):
        put(tmp_path / inner / f"{index}.png", seed=index)
    train, validation, left_out = load_training([tmp_path], 2, 8, holdout=1)
    assert (len(train), len(validation), left_out) == (2, 1, 0)
    np.testing.assert_array_equal(validation[0].lr, downscale(validation[0].hr, 2))


def test_held_out_images_depend_on_names_only(tmp_path: Path):
    for index in range(6):
        put(tmp_path / "one" / f"{index}.png", seed=index)
        put(tmp_path / "two" / f"t{index}.png", seed=10 + index)
    folders = [tmp_path / "one", tmp_path / "two"]
    train, validation, _ = load_training(folders, 2, 8, holdout=4)
    _, turned, _ = load_training(folders[::-1], 2, 8, holdout=4)
    assert [pair.name for pair in validation] == [pair.name for pair in turned]
    held = {pair.hr.tobytes() for pair in validation}
    assert len(held) == 4
    assert len(train) == 8
    cut = [train.cut(Places(*np.array([[n], [0], [0], [0]])), 12)[1] for n in range(len(train))]
    assert not held & {hr[0].permute(1, 2, 0).numpy().tobytes() for hr in cut}


def test_pieces_of_a_held_out_picture_are_not_trained_on(tmp_path: Path):
    for index in range(4):
        put(tmp_path / "one" / f"{index}.png", seed=index)
        put(tmp_path / "two" / f"{index}.bmp", seed=10 + index)
    train, validation, _ = load_training([tmp_path / "one", tmp_path / "two"], 2, 8, holdout=3)
    assert (len(train), len(validation)) == (4, 3)
    assert len({pair.name for pair in validation}) == 3
    assert len({Path(pair.name).stem for pair in validation}) == 2


def test_a_folder_named_twice_counts_once(tmp_path: Path):
    for index in range(3):
        put(tmp_path / f"{index}.png", seed=index)
    told: list[tuple[str, int, int]] = []
    train, validation, _ = load_training(
        [tmp_path, tmp_path], 2, 8, holdout=1, progress=lambda *counts: told.append(counts)
    )
    assert (len(train), len(validation)) == (2, 1)
    assert told[-1] == ("shrinking", 3, 3)


def test_progress_is_told(tmp_path: Path):
    told: list[tuple[str, int, int]] = []
    for index in range(3):
        put(tmp_path / f"{index}.png")
    load_training([tmp_path], 2, 8, holdout=0, progress=lambda *counts: told.append(counts))
    assert told == [(step, n, 3) for step in ("decoding", "shrinking") for n in (1, 2, 3)]


def test_small_images_are_left_out_and_counted(tmp_path: Path):
    put(tmp_path / "large.png", side=16)
    put(tmp_path / "small.png", side=15)
    train, _, left_out = load_training([tmp_path], 2, 8, holdout=0)
    assert (len(train), left_out) == (1, 1)


def test_only_small_images_are_refused(tmp_path: Path):
    put(tmp_path / "small.png", side=15)
    with pytest.raises(UserError, match=r"one crop of 16x16 pixels: .*small\.png, for one, is 15x15"):
        load_training([tmp_path], 2, 8, holdout=0)


def test_holding_out_everything_is_refused(tmp_path: Path):
    put(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"1 images are to be held out .* none of the 1 usable"):
        load_training([tmp_path], 2, 8, holdout=1)


@pytest.mark.parametrize("folder", ["Set5", "set14/HR", "BSD100", "Urban100/HR", "Manga109", "B100"])
def test_benchmarks_are_never_trained_on(tmp_path: Path, folder: str):
    put(tmp_path / folder / "a.png")
    with pytest.raises(UserError, match="is a benchmark: its images are for scoring only"):
        load_training([tmp_path / folder], 2, 8, holdout=0)


def test_a_link_to_a_benchmark_is_seen_through(tmp_path: Path):
    put(tmp_path / "Set5/HR/a.png")
    (tmp_path / "train").symlink_to(tmp_path / "Set5")
    with pytest.raises(UserError, match="is a benchmark"):
        load_training([tmp_path / "train"], 2, 8, holdout=0)


def test_an_unreadable_image_is_named(tmp_path: Path):
    put(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no image")
    with pytest.raises(UserError, match=r"b\.png could not be read"):
        load_training([tmp_path], 2, 8, holdout=0)


def test_a_folder_without_images_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="holds no image"):
        load_training([tmp_path], 2, 8, holdout=0)
