from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from edgesr.authors import from_authors
from edgesr.checkpoint import Checkpoint
from edgesr.data.benchmarks import load_benchmark
from edgesr.ensemble import self_ensemble
from edgesr.metrics import evaluate
from edgesr.models.bicubic import Bicubic

EIGHT = [(quarters, mirrored) for mirrored in (False, True) for quarters in range(4)]


def turn(image: Tensor, quarters: int, mirrored: bool) -> Tensor:
    return torch.rot90(torch.flip(image, (3,)) if mirrored else image, quarters, (2, 3))


def turn_back(image: Tensor, quarters: int, mirrored: bool) -> Tensor:
    upright = torch.rot90(image, -quarters, (2, 3))
    return torch.flip(upright, (3,)) if mirrored else upright


def whole_numbers(*shape: int) -> Tensor:
    """Pixels whose sums are exact in whatever order they are taken."""
    return torch.randint(0, 16, shape, generator=torch.Generator().manual_seed(1)).float()


def crooked(lr: Tensor) -> Tensor:
    """x2, with exact sums; no two turns of an image agree."""
    weight = torch.randint(-2, 3, (12, 3, 3, 3), generator=torch.Generator().manual_seed(2)).float()
    return F.pixel_shuffle(F.relu(F.conv2d(lr, weight, padding=1)), 2)


def nearest(lr: Tensor) -> Tensor:
    return lr.repeat_interleave(3, 2).repeat_interleave(3, 3)


def test_nearest_is_unchanged() -> None:
    lr = whole_numbers(2, 3, 5, 7)
    assert torch.equal(self_ensemble(nearest)(lr), nearest(lr))


def test_bicubic_is_unchanged_but_for_rounding() -> None:
    lr, upscale = torch.rand(2, 3, 5, 7), Bicubic(3)
    torch.testing.assert_close(self_ensemble(upscale)(lr), upscale(lr), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(6, 6), (5, 7), (1, 4)])
def test_mean_of_the_dihedral_group(size: tuple[int, int]) -> None:
    lr = whole_numbers(2, 3, *size)
    srs = [turn_back(crooked(turn(lr, *element)), *element) for element in EIGHT]
    assert torch.equal(self_ensemble(crooked)(lr), torch.stack(srs).mean(0))
    assert not torch.equal(srs[0], torch.stack(srs).mean(0))


@pytest.mark.parametrize("element", EIGHT[1:])
def test_turned_image_gives_turned_result(element: tuple[int, bool]) -> None:
    lr, upscale = whole_numbers(1, 3, 5, 7), self_ensemble(crooked)
    assert torch.equal(upscale(turn(lr, *element)), turn(upscale(lr), *element))
    assert not torch.equal(crooked(turn(lr, *element)), turn(crooked(lr), *element))


def test_upscaler_sees_each_of_the_eight_once_and_in_order_of_memory() -> None:
    lr, seen = whole_numbers(1, 3, 5, 7), []

    def upscale(turned: Tensor) -> Tensor:
        seen.append(turned)
        return turned

    self_ensemble(upscale)(lr)
    assert all(turned.is_contiguous() for turned in seen)
    expected = [turn(lr, *element).flatten(1).tolist() for element in EIGHT]
    assert sorted(turned.flatten(1).tolist() for turned in seen) == sorted(expected)


@pytest.mark.parametrize("size", [(5, 7), (1, 1)])  # `flip` treats one pixel apart
def test_what_the_upscaler_returned_is_not_written_to(size: tuple[int, int]) -> None:
    returned, copies = [], []

    def upscale(turned: Tensor) -> Tensor:
        returned.append(turned + len(returned))
        copies.append(returned[-1].clone())
        return returned[-1]

    lr = whole_numbers(1, 3, *size)
    assert torch.equal(self_ensemble(upscale)(lr), lr + 3.5)
    assert all(torch.equal(sr, copy) for sr, copy in zip(returned, copies, strict=True))


@pytest.mark.slow  # half a minute
def test_set5_is_near_what_the_paper_prints_for_msfin_s_plus(shared: Path) -> None:
    """32.18 dB and 0.8945 there. The weights released give 0.01 dB less, as without the ensemble."""
    theirs = load_file(shared / "reference" / "msfin_s_x4.authors.safetensors")
    network = Checkpoint("msfin-s", 4, None, from_authors("msfin-s", 4, theirs)).build_float()
    pairs = load_benchmark(shared / "data" / "benchmark" / "Set5", 4)
    scores = evaluate(self_ensemble(network), pairs, 4)
    assert scores.psnr == pytest.approx(32.173, abs=0.005)
    assert scores.ssim == pytest.approx(0.8944, abs=0.0002)
