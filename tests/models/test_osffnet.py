"""OSFFNet by hand, and the settings of its ablations."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.models import SCALES
from edgesr.models.osffnet import OSFFNet, osffnet
from tests.golden.make_golden import fixed

State = dict[str, Tensor]


def convolved(x: Tensor, w: State, layer: str, padding: int = 0) -> Tensor:
    return F.conv2d(x, w[f"{layer}.weight"], w[f"{layer}.bias"], padding=padding)


def blueprint(x: Tensor, w: State, layer: str, stride: int = 1, padding: int | None = None) -> Tensor:
    """BSConv: 1x1 without bias, then depthwise with one."""
    weight = w[f"{layer}.1.weight"]
    padding = weight.shape[2] // 2 if padding is None else padding
    x = F.conv2d(x, w[f"{layer}.0.weight"])
    return F.conv2d(x, weight, w[f"{layer}.1.bias"], stride, padding, groups=len(weight))


def refined(x: Tensor, w: State, block: str) -> Tensor:
    """ERB."""
    return F.gelu(blueprint(x, w, f"{block}.convolution") + x)


def spatial(x: Tensor, w: State, gate: str) -> Tensor:
    """ESA's gate."""
    reduced = convolved(x, w, f"{gate}.reduce")
    y = F.max_pool2d(blueprint(reduced, w, f"{gate}.shrink", stride=2, padding=0), 7, 3)
    y = F.gelu(blueprint(y, w, f"{gate}.body.0"))
    y = F.gelu(blueprint(y, w, f"{gate}.body.2"))
    y = F.interpolate(blueprint(y, w, f"{gate}.body.4"), x.shape[2:], mode="bilinear")
    return convolved(y + convolved(reduced, w, f"{gate}.skip"), w, f"{gate}.expand").sigmoid()


def contrast(x: Tensor, w: State, attention: str) -> Tensor:
    """The weights of CCA."""
    statistic = x.std((2, 3), unbiased=False, keepdim=True) + x.mean((2, 3), keepdim=True)
    hidden = convolved(statistic, w, f"{attention}.squeeze").relu()
    return convolved(hidden, w, f"{attention}.excite").sigmoid()


def distilled(x: Tensor, w: State, stage: str) -> Tensor:
    """AEFD."""
    mean, variance, gain, bias = (
        w[f"{stage}.norm.{name}"] for name in ("running_mean", "running_var", "weight", "bias")
    )
    b = F.batch_norm(x, mean, variance, gain, bias)
    r1 = refined(b, w, f"{stage}.refine.0")
    r2 = refined(r1 + b, w, f"{stage}.refine.1")
    r3 = refined(r2 + b, w, f"{stage}.refine.2")
    kept = [convolved(r, w, f"{stage}.distil.{index}") for index, r in enumerate((b, r1, r2))]
    kept.append(blueprint(r3, w, f"{stage}.distil_last"))
    y = convolved(torch.cat([F.gelu(d) for d in kept], 1), w, f"{stage}.fuse")
    y = y * spatial(y, w, f"{stage}.esa")
    y = y * contrast(y, w, f"{stage}.cca") + b
    norm, widen, narrow = (
        (w[f"{stage}.perceptron.{name}.weight"], w[f"{stage}.perceptron.{name}.bias"])
        for name in ("norm", "widen", "narrow")
    )
    tokens = F.layer_norm(y.movedim(1, 3), [64], *norm)
    return y + F.linear(F.gelu(F.linear(tokens, *widen)), *narrow).movedim(3, 1)


def by_hand(w: State, scale: int, lr: Tensor) -> Tensor:
    x = shallow = blueprint(lr.repeat(1, 8, 1, 1), w, "head")
    fields = []
    for index in range(8):
        if index > 0:
            x = x + w[f"shallow.{index - 1}.scale"] * shallow
        x = distilled(x, w, f"stages.{index}")
        field = f"fields.{index}"
        fields.append(refined(x, w, f"{field}.block") * contrast(x, w, f"{field}.attention"))
    x = blueprint(F.gelu(convolved(torch.cat(fields, 1), w, "fuse")), w, "mix") + shallow
    return F.pixel_shuffle(convolved(x, w, "last", padding=1), scale)


@torch.no_grad()
@pytest.mark.parametrize("scale", SCALES)
def test_forward_by_hand(scale: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgesr.models.blocks.EPS", 0.0)
    network, lr = fixed(osffnet(scale)).double().eval(), torch.rand(1, 3, 17, 24, dtype=torch.float64)
    torch.testing.assert_close(network(lr), by_hand(network.state_dict(), scale, lr))


def test_kernels_of_the_fields() -> None:
    network = osffnet(2)
    weights = [network.get_parameter(f"fields.{i}.block.convolution.1.weight") for i in range(8)]
    assert [weight.shape[2] for weight in weights] == [1, 1, 3, 3, 5, 5, 7, 7]


@torch.no_grad()
@pytest.mark.parametrize(
    "setting",
    [{}, {"copies": 1}, {"shallow": False}, {"fields": False}, {"esa": False}, {"cca": False}],
)
def test_settings_of_the_ablations(setting: dict[str, Any]) -> None:
    sr = OSFFNet(2, features=16, **setting)(torch.rand(1, 3, 15, 18))
    assert sr.shape == (1, 3, 30, 36)
    assert sr.isfinite().all()


@torch.no_grad()
def test_without_shallow_connections_their_factors_are_zero() -> None:
    network, without = OSFFNet(2, features=16).eval(), OSFFNet(2, features=16, shallow=False).eval()
    for factor in network.shallow:
        nn.init.zeros_(factor.get_parameter("scale"))
    without.load_state_dict(network.state_dict(), strict=False)
    lr = torch.rand(1, 3, 15, 18)
    torch.testing.assert_close(network(lr), without(lr))
