"""The taps, against weights worked out by hand from Keys' kernel."""

import numpy as np
import pytest

from edgesr.resize import taps


def dense(in_length: int, out_length: int, scale: float) -> np.ndarray:
    """The resampling as a matrix (out_length, in_length)."""
    indices, weights = taps(in_length, out_length, scale)
    matrix = np.zeros((out_length, in_length))
    for row, (index, weight) in enumerate(zip(indices, weights, strict=True)):
        np.add.at(matrix[row], index, weight)
    return matrix


def test_doubling_uses_the_quarter_phase_weights():
    # Distances 1.75, 0.75, 0.25, 1.25 → Keys' kernel in 128ths.
    matrix = dense(8, 16, 2)
    expected = np.array([-3, 29, 111, -9]) / 128
    np.testing.assert_allclose(matrix[8, 2:6], expected, atol=1e-12)
    np.testing.assert_allclose(matrix[7, 2:6], expected[::-1], atol=1e-12)


def test_border_is_mirrored_with_its_sample_repeated():
    matrix = dense(8, 16, 2)
    # Output 0 lies at -0.25, between samples -2, -1, 0 and 1, which fold onto 1, 0, 0 and 1.
    expected = np.array([29 + 111, -3 - 9]) / 128
    np.testing.assert_allclose(matrix[0, :2], expected, atol=1e-12)


def test_halving_stretches_the_kernel():
    # Distances 0.25, 0.75, 1.25, 1.75 of the kernel, each side, halved.
    indices, weights = taps(16, 8, 1 / 2)
    assert indices.shape == weights.shape == (8, 8)
    half = np.array([-3, -9, 29, 111]) / 256
    np.testing.assert_allclose(weights[4], [*half, *half[::-1]], atol=1e-12)
    assert indices[4].tolist() == list(range(5, 13))


def test_scale_one_is_the_identity_with_a_single_tap():
    indices, weights = taps(5, 5, 1)
    assert indices.tolist() == [[0], [1], [2], [3], [4]]
    np.testing.assert_allclose(weights, 1)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("length", [1, 2, 3, 7, 50])
def test_rows_sum_to_one_and_stay_inside(length: int, scale: int):
    for sizes in ((length, length * scale, scale), (length * scale, length, 1 / scale)):
        indices, weights = taps(*sizes)
        np.testing.assert_allclose(weights.sum(axis=1), 1)
        assert indices.min() >= 0
        assert indices.max() < sizes[0]
        assert weights.shape[1] <= (4 if sizes[2] > 1 else 4 * scale)


@pytest.mark.parametrize("scale", [2, 3, 4, 1 / 2, 1 / 3, 1 / 4])
def test_a_ramp_stays_a_ramp_inside(scale: float):
    length = 48
    out = round(length * scale)
    resized = dense(length, out, scale) @ np.arange(length)
    expected = (np.arange(out) + 0.5) / scale - 0.5
    margin = int(np.ceil(2 * max(scale, 1))) + 1
    np.testing.assert_allclose(resized[margin:-margin], expected[margin:-margin], atol=1e-9)
