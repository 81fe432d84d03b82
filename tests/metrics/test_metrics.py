"""Y, PSNR and SSIM against numbers worked out by other means."""

import math

import numpy as np
import pytest

from edgesr.errors import UserError
from edgesr.metrics import grey, luma, psnr, ssim


def plane(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, shape)


@pytest.mark.parametrize(
    ("rgb", "y"),
    [
        ((0, 0, 0), 16.0),
        ((255, 255, 255), 235.0),
        ((255, 0, 0), 81.481),
        ((0, 255, 0), 144.553),
        ((0, 0, 255), 40.966),
    ],
)
def test_luma_of_the_primaries(rgb: tuple[int, int, int], y: float):
    assert luma(np.array([[rgb]], np.uint8)).item() == pytest.approx(y)


def test_luma_is_not_rounded():
    assert luma(np.array([[[1, 1, 1]]], np.uint8)).item() == pytest.approx(16 + 219 / 255)


def test_grey_of_equal_channels_is_that_level():
    levels = np.arange(256).astype(np.uint8)
    np.testing.assert_array_equal(grey(np.stack([levels] * 3, axis=-1)[None])[0], levels)


def test_grey_is_rounded():
    # 0.299 * 10 + 0.587 * 20 + 0.114 * 30 = 18.15; 0.299 * 200 + 0.114 * 7 = 60.598.
    assert grey(np.array([[[10, 20, 30], [200, 0, 7]]], np.uint8)).tolist() == [[18, 61]]


def test_psnr_by_hand():
    a = np.zeros((2, 2))
    assert psnr(a, a + 255) == pytest.approx(0)
    assert psnr(a, a + 1) == pytest.approx(48.1308036)
    assert psnr(a, np.array([[2.0, 0], [0, 0]])) == pytest.approx(48.1308036)  # the mean square is 1


def test_psnr_of_equal_images_is_infinite():
    assert psnr(plane(4, 4), plane(4, 4)) == math.inf


def test_psnr_of_bytes_does_not_wrap_round():
    a, b = np.array([[0]], np.uint8), np.array([[255]], np.uint8)
    assert psnr(a, b) == pytest.approx(0)


def test_ssim_of_equal_images_is_one():
    assert ssim(plane(20, 30), plane(20, 30)) == pytest.approx(1)


def test_ssim_of_flat_images_is_the_brightness_term():
    a, b = np.full((11, 11), 100.0), np.full((11, 11), 150.0)
    c1 = 2.55**2
    expected = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert ssim(a, b) == pytest.approx(expected)


def test_ssim_of_one_window_from_the_definition():
    a, b = plane(11, 11), plane(11, 11, seed=1)
    y, x = np.mgrid[-5:6, -5:6]
    weights = np.exp(-(x**2 + y**2) / (2 * 1.5**2))
    weights /= weights.sum()
    mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
    spread_a, spread_b = (weights * (a - mean_a) ** 2).sum(), (weights * (b - mean_b) ** 2).sum()
    shared = (weights * (a - mean_a) * (b - mean_b)).sum()
    c1, c2 = 2.55**2, 7.65**2
    brightness = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    expected = brightness * (2 * shared + c2) / (spread_a + spread_b + c2)
    assert ssim(a, b) == pytest.approx(expected, abs=1e-12)


def test_ssim_is_the_mean_over_windows_inside():
    a, b = plane(12, 13), plane(12, 13, seed=1)
    windows = [np.s_[top : top + 11, left : left + 11] for top in range(2) for left in range(3)]
    expected = np.mean([ssim(a[window], b[window]) for window in windows])
    assert ssim(a, b) == pytest.approx(expected)


def test_ssim_of_less_than_a_window_is_refused():
    with pytest.raises(UserError, match="at least 11 pixels a side, got 30x10"):
        ssim(plane(10, 30), plane(10, 30))
