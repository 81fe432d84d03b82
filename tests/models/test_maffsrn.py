"""MAFFSRN by hand, and the settings of its ablations."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgesr.models import SCALES
from edgesr.models.maffsrn import MAFFSRN, FusionGroup, maffsrn
from tests.golden.make_golden import fixed

State = dict[str, Tensor]


def convolved(x: Tensor, w: State, layer: str, **options: int) -> Tensor:
    return F.conv2d(x, w[f"{layer}.weight"], w[f"{layer}.bias"], **options)


def normed(x: Tensor, w: State, layer: str, padding: int = 0) -> Tensor:
    """A weight-normed convolution: g is the norm of each output's kernel, v its direction."""
    g, v = (w[f"{layer}.parametrizations.weight.original{index}"] for index in (0, 1))
    weight = g * v / v.square().sum((1, 2, 3), keepdim=True).sqrt()
    return F.conv2d(x, weight, w[f"{layer}.bias"], padding=padding)


def attended(x: Tensor, w: State, block: str) -> Tensor:
    """MAB."""
    gate, near, far = f"{block}.gate", ".body.convolutions.0", ".body.convolutions.1"
    x = F.leaky_relu(convolved(x, w, f"{block}.first", padding=1), 0.05)
    x = convolved(x, w, f"{block}.second", padding=1)
    reduced = convolved(x, w, f"{gate}.reduce")
    coarse = F.max_pool2d(convolved(reduced, w, f"{gate}.shrink", stride=2, padding=1), 7, 3)
    one = F.leaky_relu(convolved(coarse, w, gate + near, padding=1), 0.05)
    other = F.leaky_relu(convolved(coarse, w, gate + far, padding=2, dilation=2), 0.05)
    rows, columns = (
        torch.arange(large) * side // large
        for large, side in zip(x.shape[2:], coarse.shape[2:], strict=True)
    )
    nearest = (one + other)[:, :, rows][:, :, :, columns]
    seen = convolved(nearest + reduced, w, f"{gate}.expand")
    each = convolved(convolved(x, w, f"{block}.cea.0"), w, f"{block}.cea.1", padding=2, groups=32)
    return x * seen.relu().sigmoid() * each.sigmoid()


def joined(x: Tensor, y: Tensor) -> Tensor:
    """One channel of each in turn."""
    return torch.stack([x, y], 2).flatten(1, 2)


def grouped(x: Tensor, w: State, group: str) -> Tensor:
    """FFG."""
    x0 = attended(x, w, f"{group}.blocks.0")
    x1 = attended(x0, w, f"{group}.blocks.1") + x0
    x2 = attended(x1, w, f"{group}.blocks.2") + x1
    x3 = attended(x2, w, f"{group}.blocks.3")
    first, second, third = (f"{group}.reductions.{index}.convolution" for index in range(3))
    fused = normed(joined(normed(joined(x0, x1), w, first), x2), w, second)
    fused = normed(joined(fused, x3), w, third)
    return w[f"{group}.of_result.scale"] * fused + w[f"{group}.of_input.scale"] * x


def by_hand(w: State, scale: int, lr: Tensor) -> Tensor:
    x = normed(lr, w, "head", padding=1)
    for index in range(4):
        x = grouped(x, w, f"body.{index}")
    narrow = w["tail.of_narrow.scale"] * normed(x, w, "tail.narrow", padding=1)
    wide = w["tail.of_wide.scale"] * normed(x, w, "tail.wide", padding=2)
    enlarged = F.interpolate(lr, scale_factor=float(scale), mode="bicubic", align_corners=False)
    return F.pixel_shuffle(narrow + wide, scale) + enlarged


@torch.no_grad()
@pytest.mark.parametrize("scale", SCALES)
def test_forward_by_hand(scale: int) -> None:
    network, lr = fixed(maffsrn(scale)).double(), torch.rand(1, 3, 19, 26, dtype=torch.float64)
    torch.testing.assert_close(network(lr), by_hand(network.state_dict(), scale, lr))


@torch.no_grad()
@pytest.mark.parametrize(
    "setting",
    [
        *({"fusion": fusion, "cea": cea} for fusion in ("hff", "bff", "m-bff") for cea in (True, False)),
        {"shuffle": False},
        *({"convolutions": kernels} for kernels in (((3, 1),), ((5, 1), (5, 2)), ((7, 1), (3, 2)))),
    ],
)
def test_settings_of_the_ablations(setting: dict[str, Any]) -> None:
    sr = MAFFSRN(2, groups=1, features=8, **setting)(torch.rand(1, 3, 13, 16))
    assert sr.shape == (1, 3, 26, 32)
    assert sr.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        ("hff", lambda r, x: r[0](x[0], x[1], x[2], x[3])),
        ("bff", lambda r, x: r[2](r[0](x[0], x[1]), r[1](x[2], x[3]))),
        ("m-bff", lambda r, x: r[2](r[1](r[0](x[0], x[1]), x[2]), x[3])),
    ],
)
def test_orders_of_fusion(fusion: Any, expected: Any) -> None:
    group = FusionGroup(8, fusion, True, True, ((3, 1),))
    features = [torch.rand(1, 8, 4, 5) for _ in range(4)]
    assert torch.equal(group._fuse(*features), expected(group.reductions, features))
