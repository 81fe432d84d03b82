"""The images the project draws: always the same, and worth training on."""

import numpy as np

from edgesr.data import downscale, drawn_images, drawn_pairs


def test_the_same_arguments_draw_the_same_images():
    first, again = drawn_images(6, 48), drawn_images(6, 48)
    np.testing.assert_array_equal(first, again)
    assert first[0].shape == (48, 48, 3)
    assert first[0].dtype == np.uint8


def test_seed_and_place_make_the_difference():
    images = [*drawn_images(7, 48), *drawn_images(7, 48, seed=1)]
    assert len({image.tobytes() for image in images}) == 14
    np.testing.assert_array_equal(drawn_images(2, 48)[1], drawn_images(7, 48)[1])


def test_images_have_contrast_edges_and_colour():
    for image in drawn_images(12, 96):
        levels = image.astype(float)
        assert levels.std() > 45
        assert np.abs(np.diff(levels, axis=1)).mean() > 12
        assert np.ptp(levels, axis=2).mean() > 6


def test_pairs_hold_the_same_images():
    pairs = list(drawn_pairs(3, 2, 50))
    assert [pair.name for pair in pairs] == ["drawn00", "drawn01"]
    image = drawn_images(2, 50)[1]
    np.testing.assert_array_equal(pairs[1].hr, image[:48, :48])
    np.testing.assert_array_equal(pairs[1].lr, downscale(image, 3))
