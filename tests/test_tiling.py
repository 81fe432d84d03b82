import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.errors import UserError
from edgesr.tiling import padded_length, plan, upscale_tiled

GOLDEN = json.loads((Path(__file__).parent / "golden" / "tiles.json").read_text())
GRIDS = [
    (tile, overlap, multiple)
    for tile, overlap, multiple in product((1, 4, 12, 16, 17, 31, 64), (0, 1, 3, 8, 15), (1, 2, 4))
    if tile % multiple == 0 and tile >= 2 * overlap + multiple
]


class Convolutions(nn.Module):
    """Reads 2 pixels around each; whole-number weights and pixels keep every sum exact."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scale = scale
        self.first = torch.randint(-2, 3, (4, 3, 3, 3)).float()
        self.second = torch.randint(-2, 3, (3 * scale**2, 4, 3, 3)).float()

    def forward(self, lr: Tensor) -> Tensor:
        deep = F.conv2d(F.relu(F.conv2d(lr, self.first, padding=1)), self.second, padding=1)
        return F.pixel_shuffle(deep, self.scale)


def whole_numbers(*shape: int) -> Tensor:
    return torch.randint(0, 16, shape, generator=torch.Generator().manual_seed(1)).float()


def test_grids_are_many() -> None:
    assert len(GRIDS) >= 30


def test_small_images_are_mirrored_as_often_as_it_takes() -> None:
    lr, seen = torch.rand(1, 3, 2, 7), []

    def upscale(tile: Tensor) -> Tensor:
        seen.append(tile)
        return tile

    upscale_tiled(upscale, lr, scale=1, tile=(9, 8), overlap=1)
    expected = np.pad(lr[0].numpy(), ((0, 0), (0, 7), (0, 1)), mode="symmetric")
    assert np.array_equal(seen[0][0].numpy(), expected)


@pytest.mark.parametrize(("tile", "overlap", "multiple"), GRIDS)
def test_every_pixel_is_kept_once_with_its_context(tile: int, overlap: int, multiple: int) -> None:
    for length in range(1, 201):
        spans = plan(length, tile, overlap, multiple)
        padded = padded_length(length, tile, multiple)
        kept = [pixel for span in spans for pixel in range(span.keep_from, span.keep_to)]
        assert kept == list(range(length))
        assert padded % multiple == 0
        for span in spans:
            assert span.start % multiple == 0
            assert 0 <= span.start <= span.keep_from < span.keep_to
            assert span.keep_to <= span.start + tile <= padded
            assert span.start == 0 or span.keep_from - span.start >= overlap
            assert span.start + tile == padded or span.start + tile - span.keep_to >= overlap


def test_image_as_long_as_the_tile_has_one_window_and_no_padding() -> None:
    assert len(plan(64, 64, 8)) == 1
    assert padded_length(64, 64) == 64
    assert len(plan(65, 64, 8)) == 2


@pytest.mark.parametrize("row", GOLDEN["plans"], ids=lambda row: str([*row.values()][:4]))
def test_plan_equals_golden(row: dict) -> None:
    arguments = (row["length"], row["tile"], row["overlap"], row["multiple"])
    spans = [[span.start, span.keep_from, span.keep_to] for span in plan(*arguments)]
    assert spans == row["spans"]
    assert padded_length(row["length"], row["tile"], row["multiple"]) == row["padded"]


@pytest.mark.parametrize("row", GOLDEN["refused"], ids=str)
def test_impossible_plan_is_refused(row: dict) -> None:
    with pytest.raises(UserError):
        plan(**row)


def test_refusal_names_the_smallest_possible_tile() -> None:
    with pytest.raises(UserError, match="at least 20 are needed"):
        plan(100, 16, 8, 4)
    assert plan(100, 20, 8, 4)


@pytest.mark.parametrize(("height", "width"), [(37, 53), (16, 12), (17, 13), (61, 12), (101, 97)])
@pytest.mark.parametrize("scale", [2, 3])
def test_tiles_equal_the_whole(height: int, width: int, scale: int) -> None:
    lr, upscale = whole_numbers(1, 3, height, width), Convolutions(scale)
    tiled = upscale_tiled(upscale, lr, scale=scale, tile=(16, 12), overlap=2)
    assert torch.equal(tiled, upscale(lr))


def test_one_pixel_less_of_overlap_shows_seams() -> None:
    lr, upscale = whole_numbers(1, 3, 37, 53), Convolutions(2)
    tiled = upscale_tiled(upscale, lr, scale=2, tile=(16, 16), overlap=1)
    assert not torch.equal(tiled, upscale(lr))


@pytest.mark.parametrize(("height", "width"), [(37, 53), (40, 56), (101, 18)])
def test_tiles_in_multiples_equal_the_whole_in_multiples(height: int, width: int) -> None:
    lr, upscale = whole_numbers(1, 3, height, width), Convolutions(2)
    tiled = upscale_tiled(upscale, lr, scale=2, tile=(16, 12), overlap=2, multiple=4)
    margins = ((0, 0), (0, 0), (0, -height % 4), (0, -width % 4))
    padded = torch.from_numpy(np.pad(lr.numpy(), margins, mode="symmetric"))
    assert torch.equal(tiled, upscale(padded)[:, :, : 2 * height, : 2 * width])


def test_upscaler_sees_only_whole_tiles() -> None:
    shapes, calls = set(), []

    def upscale(lr: Tensor) -> Tensor:
        shapes.add((*lr.shape, lr.is_contiguous()))
        return lr.repeat_interleave(2, 2).repeat_interleave(2, 3)

    lr = whole_numbers(1, 3, 23, 5)
    sr = upscale_tiled(
        upscale, lr, scale=2, tile=(8, 16), overlap=1, on_tile=lambda *count: calls.append(count)
    )
    assert shapes == {(1, 3, 8, 16, True)}
    assert torch.equal(sr, upscale(lr))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_one_pixel_is_padded_with_itself() -> None:
    lr = torch.tensor([0.2, 0.4, 0.6]).reshape(1, 3, 1, 1)
    seen = []

    def upscale(tile: Tensor) -> Tensor:
        seen.append(tile)
        return tile.repeat_interleave(4, 2).repeat_interleave(4, 3)

    sr = upscale_tiled(upscale, lr, scale=4, tile=(8, 8), overlap=2)
    assert torch.equal(seen[0], lr.expand(1, 3, 8, 8))
    assert torch.equal(sr, lr.expand(1, 3, 4, 4))


def test_upscaler_of_another_scale_is_refused() -> None:
    upscale, lr = Convolutions(2), whole_numbers(1, 3, 9, 9)
    with pytest.raises(UserError, match="scale 3"):
        upscale_tiled(upscale, lr, scale=3, tile=(8, 8), overlap=2)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(UserError, match="One image"):
        upscale_tiled(Convolutions(2), whole_numbers(2, 3, 9, 9), scale=2, tile=(8, 8), overlap=2)
