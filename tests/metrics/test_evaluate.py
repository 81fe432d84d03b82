"""One scoring for all upscalers."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from edgesr import Upscaler
from edgesr.data import Pair, drawn_pairs, load_benchmark, make_pair, to_tensor
from edgesr.errors import UserError
from edgesr.metrics import Score, Scores, evaluate, luma, psnr, ssim
from edgesr.resize import taps

# Enlarged in 8 bits; the published tables differ from these by at most 0.01 dB and 0.0008.
BICUBIC = {
    ("Set5", 2): (33.67, 0.9303),
    ("Set5", 3): (30.40, 0.8689),
    ("Set5", 4): (28.43, 0.8111),
    ("Set14", 2): (30.23, 0.8691),
    ("Set14", 3): (27.54, 0.7745),
    ("Set14", 4): (25.99, 0.7029),
    ("BSD100", 2): (29.56, 0.8434),
    ("BSD100", 3): (27.21, 0.7391),
    ("BSD100", 4): (25.96, 0.6681),
}


def bicubic(scale: int) -> Upscaler:
    """MATLAB's enlargement of 8-bit images, rows first, rounded after each dimension."""

    def rows(image: np.ndarray) -> np.ndarray:
        indices, weights = taps(len(image), len(image) * scale, scale)
        tall = sum(image[i] * w[:, None, None] for i, w in zip(indices.T, weights.T, strict=True))
        return np.floor(np.clip(tall, 0, 255) + 0.5)

    def upscale(lr: Tensor) -> Tensor:
        image = (lr[0].permute(1, 2, 0).double() * 255).round().numpy()
        sr = rows(rows(image).swapaxes(0, 1)).swapaxes(0, 1)
        return torch.from_numpy(sr).float().permute(2, 0, 1).unsqueeze(0) / 255

    return upscale


def always(image: np.ndarray) -> Upscaler:
    return lambda lr: to_tensor(image)


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype(np.uint8)


def test_colour_is_scored_on_y_without_the_border():
    pair, sr = make_pair("a", noise(30, 40), 2), noise(30, 40, seed=1)
    score = evaluate(always(sr), [pair], 2).images["a"]
    y, reference = luma(sr)[2:-2, 2:-2], luma(pair.hr)[2:-2, 2:-2]
    assert score == Score(psnr(y, reference), ssim(y, reference))


def test_the_border_does_not_count():
    pair = make_pair("a", noise(40, 40), 4)
    sr = pair.hr.copy()
    sr[:4], sr[-4:], sr[:, :4], sr[:, -4:] = 0, 0, 0, 0
    assert evaluate(always(sr), [pair], 4).psnr == math.inf
    sr[4, 20] ^= 255
    assert evaluate(always(sr), [pair], 4).psnr < 60


def test_grey_is_scored_as_it_is():
    pair, sr = make_pair("a", noise(30, 30, 1), 2), noise(30, 30, 1, seed=1)
    score = evaluate(always(sr), [pair], 2).images["a"]
    inner = np.s_[2:-2, 2:-2, 0]
    assert score == Score(psnr(sr[inner], pair.hr[inner]), ssim(sr[inner], pair.hr[inner]))


def test_sr_is_rounded_and_clamped_to_bytes():
    pair = make_pair("a", np.full((24, 24, 3), 255, np.uint8), 2)
    assert evaluate(lambda lr: torch.full((1, 3, 24, 24), 1.3), [pair], 2).psnr == math.inf
    assert evaluate(lambda lr: torch.full((1, 3, 24, 24), 254.6 / 255), [pair], 2).psnr == math.inf


def test_upscalers_see_the_lr_as_the_contract_says():
    pair, seen = make_pair("a", noise(24, 30, 1), 2), []

    def upscale(lr: Tensor) -> Tensor:
        seen.append((lr.shape, lr.dtype, lr.min() >= 0, lr.max() <= 1, torch.is_grad_enabled()))
        return to_tensor(pair.hr)

    evaluate(upscale, [pair], 2)
    assert seen == [((1, 3, 12, 15), torch.float32, True, True, False)]


def test_means_are_over_images():
    scores = Scores({"a": Score(30, 0.8), "b": Score(34, 0.9)})
    assert (scores.psnr, scores.ssim) == (32, pytest.approx(0.85))


def test_json_holds_means_and_images():
    scores = Scores({"a": Score(30, 0.5), "b": Score(math.inf, 1)})
    expected = {
        "psnr": None,
        "ssim": 0.75,
        "images": {"a": {"psnr": 30, "ssim": 0.5}, "b": {"psnr": None, "ssim": 1}},
    }
    assert json.loads(json.dumps(scores.to_json(), allow_nan=False)) == expected


def test_each_image_is_told():
    told = []
    pairs = drawn_pairs(2, 2, 32)
    scores = evaluate(bicubic(2), pairs, 2, on_image=lambda *news: told.append(news))
    assert told == list(scores.images.items())
    assert [name for name, _ in told] == ["drawn00", "drawn01"]


def test_sr_of_the_wrong_shape_is_refused():
    pair = make_pair("a", noise(32, 32), 2)
    with pytest.raises(UserError, match=r"SR of 'a' has shape \(1, 3, 64, 64\) .* for scale 2"):
        evaluate(bicubic(4), [pair], 2)


def test_images_too_small_to_score_are_refused():
    evaluate(bicubic(2), [make_pair("a", noise(16, 16), 2)], 2)
    with pytest.raises(UserError, match="'a' is 20x14 pixels: too small to score, which needs 15"):
        evaluate(bicubic(2), [make_pair("a", noise(14, 20), 2)], 2)


def test_no_images_and_two_of_one_name_are_refused():
    with pytest.raises(UserError, match="no image to score"):
        evaluate(bicubic(2), [], 2)
    pair = make_pair("a", noise(32, 32), 2)
    with pytest.raises(UserError, match="Two images are called 'a'"):
        evaluate(bicubic(2), [pair, Pair("a", pair.lr, pair.hr)], 2)


@pytest.mark.parametrize(("name", "scale"), BICUBIC)
def test_bicubic_scores_as_in_the_tables(shared: Path, name: str, scale: int):
    scores = evaluate(bicubic(scale), load_benchmark(shared / "data/benchmark" / name, scale), scale)
    expected = BICUBIC[name, scale]
    assert scores.psnr == pytest.approx(expected[0], abs=0.006)
    assert scores.ssim == pytest.approx(expected[1], abs=0.0001)
