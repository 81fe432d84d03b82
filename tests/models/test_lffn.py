"""LFFN: how it starts, its fusion by hand, and the settings of its ablation."""

from typing import Any

import pytest
import torch

from edgesr.models import create_model
from edgesr.models.lffn import LFFN, SoftmaxFusion


def test_lffn_starts_as_its_authors_do() -> None:
    """He's normal, a depthwise layer's fan-in counting all 16 channels."""
    network = create_model("lffn-s", scale=4)
    for name, fan_in in (("head", 27), ("body.0.fuse", 192), ("body.0.blocks.0.paths.1.0", 144)):
        weight = network.get_parameter(f"{name}.weight")
        spread = 0.88 * (2 / fan_in) ** 0.5  # a normal cut at two deviations
        assert weight.std().item() == pytest.approx(spread, rel=0.25)


@pytest.mark.parametrize(("name", "layer"), [("lffn", "shrink"), ("lffn-ns", "second")])
def test_deep_ones_start_their_branches_at_a_tenth(name: str, layer: str) -> None:
    network = create_model(name, scale=2)
    for path in ("body.3.fuse", f"body.3.blocks.1.{layer}", "post"):
        weight = network.get_parameter(f"{path}.weight")
        calm = 1.0 if path == "post" else 0.1
        expected = calm * 0.88 * (2 / weight[0].numel()) ** 0.5
        assert weight.std().item() == pytest.approx(expected, rel=0.1)


@torch.no_grad()
def test_softmax_fusion_by_hand() -> None:
    """For each channel, weights over the modules that add up to 1."""
    fusion = SoftmaxFusion(4, 3)
    outputs = torch.rand(3, 2, 4, 5, 6)  # modules, images, channels, height, width
    dense = torch.stack([layer.get_parameter("weight")[:, :, 0, 0] for layer in fusion.dense])
    scores = torch.einsum("moc,mnc->mno", dense, outputs.mean((3, 4)))
    weights = scores.exp() / scores.exp().sum(0)
    expected = torch.einsum("mnc,mnchw->nchw", weights, outputs)
    torch.testing.assert_close(fusion(list(outputs)), expected)


@torch.no_grad()
@pytest.mark.parametrize("block", ["spindle", "residual"])
@pytest.mark.parametrize("fusion", [True, False])
@pytest.mark.parametrize("depthwise", [True, False])
def test_settings_of_the_ablation(block: Any, fusion: bool, depthwise: bool) -> None:
    network = LFFN(2, modules=2, blocks=2, features=12, block=block, fusion=fusion, depthwise=depthwise)
    sr = network(torch.rand(1, 3, 5, 6))
    assert sr.shape == (1, 3, 10, 12)
    assert sr.isfinite().all()


@torch.no_grad()
def test_without_fusion_the_last_module_speaks() -> None:
    network, lr = LFFN(2, modules=3, blocks=1, features=12, fusion=False), torch.rand(1, 3, 5, 6)
    m0, fused = network.trunk(lr)
    x = m0
    for module in network.body:
        x = module(x)
    assert torch.equal(fused, x)
