"""MLRN by hand, and the readings of its paper."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgesr.models import SCALES
from edgesr.models.mlrn import MLRN, READINGS, mlrn
from tests.golden.make_golden import fixed

State = dict[str, Tensor]


def convolved(x: Tensor, w: State, layer: str) -> Tensor:
    """A convolution that keeps the size."""
    weight = w[f"{layer}.weight"]
    padding = (weight.shape[2] // 2, weight.shape[3] // 2)
    return F.conv2d(x, weight, w[f"{layer}.bias"], padding=padding)


def by_hand(w: State, scale: int, lr: Tensor) -> Tensor:
    """The recommended reading, step by step."""
    mean = torch.tensor([0.4488, 0.4371, 0.4040])[:, None, None].to(lr.dtype)
    first = convolved(lr - mean, w, "head")
    x = start = first + convolved(convolved(first, w, "shallow.first").relu(), w, "shallow.second")
    outputs = []
    for block in (f"blocks.{index}" for index in range(8)):
        t = x
        for index in range(3):
            e = convolved(x, w, f"{block}.extractors.{index}.0").relu()
            e = convolved(e, w, f"{block}.extractors.{index}.2")
            t = convolved(torch.cat([e, t], 1), w, f"{block}.fuse.{index}")
        x = t + x
        outputs.append(x)
    x = convolved(torch.cat(outputs, 1), w, "gff") + start
    for layer, step in {2: [(0, 2)], 3: [(0, 3)], 4: [(0, 2), (2, 2)]}[scale]:
        x = F.pixel_shuffle(convolved(x, w, f"tail.{layer}"), step)
    return convolved(x, w, "tail.4" if scale == 4 else "tail.2") + mean


@torch.no_grad()
@pytest.mark.parametrize("scale", SCALES)
def test_forward_by_hand(scale: int) -> None:
    network, lr = fixed(mlrn(scale)).double(), torch.rand(1, 3, 6, 9, dtype=torch.float64)
    torch.testing.assert_close(network(lr), by_hand(network.state_dict(), scale, lr))


def test_kernels_of_the_recommended_reading() -> None:
    names = [f"blocks.0.extractors.{index}.{layer}.weight" for index in range(3) for layer in (0, 2)]
    weights = [mlrn(2).get_parameter(name) for name in names]
    assert [weight.shape[2] for weight in weights] == [3, 3, 3, 5, 5, 5]
    assert all(weight.shape[2] == weight.shape[3] for weight in weights)


@torch.no_grad()
@pytest.mark.parametrize("reading", READINGS)
def test_every_reading_runs(reading: str) -> None:
    for scale in (2, 4):
        sr = READINGS[reading](scale)(torch.rand(1, 3, 5, 6))
        assert sr.shape == (1, 3, 5 * scale, 6 * scale)
        assert sr.isfinite().all()


@torch.no_grad()
def test_without_global_fusion_the_last_block_speaks() -> None:
    """And without the skip connection, it alone."""
    network = MLRN(2, features=8, growth=8, blocks=2, gff=False, rsc=False)
    lr = torch.rand(1, 3, 5, 6)
    shallow = network.shallow(network.head(lr - network.mean))
    last = network.blocks[1](network.blocks[0](shallow))
    torch.testing.assert_close(network(lr), network.tail(last) + network.mean)
    with_skip = MLRN(2, features=8, growth=8, blocks=2, gff=False)
    with_skip.load_state_dict(network.state_dict())
    torch.testing.assert_close(with_skip(lr), network.tail(last + shallow) + network.mean)
