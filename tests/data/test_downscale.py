"""LR images: by hand on tiny ones, and bit for bit against MATLAB's on Set5."""

from pathlib import Path

import numpy as np
import pytest

from edgesr.data import crop_to_multiple, downscale, read_uint8
from edgesr.errors import UserError


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_flat_image_stays_flat(scale: int):
    image = np.full((scale * 5 + 1, scale * 3 + 1, 3), 137, np.uint8)
    small = downscale(image, scale)
    assert small.shape == (5, 3, 3)
    assert small.dtype == np.uint8
    assert (small == 137).all()


def test_one_bright_row_by_hand():
    # Halved, a row of 255 weighs 111, 29, -9 and -3 of 256 by its distance from the output.
    image = np.zeros((16, 16, 1), np.uint8)
    image[8] = 255
    expected = [0, 0, 0, 29 * 255 / 256, 111 * 255 / 256, 0, 0, 0]  # negative ones are clipped
    assert downscale(image, 2)[:, 4, 0].tolist() == [round(level) for level in expected]


def test_each_dimension_is_rounded_before_the_next():
    image = np.zeros((16, 16, 1), np.uint8)
    image[8, 8] = 8
    # 8 * 111 / 256 = 3.47 → 3, then 3 * 111 / 256 = 1.30 → 1; unrounded it would be 1.504 → 2.
    assert downscale(image, 2)[4, 4, 0] == 1


def test_rows_come_before_columns():
    # The pixel weighs 111 / 256 in its column and 29 / 256 in its row. Rows first: 254 → 110.13 →
    # 110 → 12.46 → 12. Columns first it would be 254 → 28.77 → 29 → 12.57 → 13.
    image = np.zeros((16, 16, 1), np.uint8)
    image[8, 8] = 254
    assert downscale(image, 2)[4, 3, 0] == 12
    assert downscale(image, 2)[3, 4, 0] == 13


def test_crop_keeps_the_top_left():
    image = np.arange(7 * 9).reshape(7, 9, 1).astype(np.uint8)
    cropped = crop_to_multiple(image, 4)
    np.testing.assert_array_equal(cropped, image[:4, :8])


def test_an_image_smaller_than_the_scale_is_refused():
    with pytest.raises(UserError, match="2x9 pixels are too few to shrink 3 times"):
        downscale(np.zeros((9, 2, 3), np.uint8), 3)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["baby", "bird", "butterfly", "head", "woman"])
def test_set5_equals_matlab_bit_for_bit(shared: Path, name: str, scale: int):
    folder = shared / "data/benchmark/Set5"
    made = downscale(read_uint8(folder / f"HR/{name}.png"), scale)
    official = read_uint8(folder / f"LR_bicubic/X{scale}/{name}x{scale}.png")
    np.testing.assert_array_equal(made, official)
