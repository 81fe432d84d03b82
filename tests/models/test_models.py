"""Every network of the table meets the same contract."""

from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.errors import UserError
from edgesr.models import MODELS, SCALES, create_model, find_trainable
from edgesr.models.blocks import ChannelAttention

TRAINABLE = [name for name in MODELS if MODELS[name].learns]
MINIMUM = {name: model.smallest for name, model in MODELS.items() if model.smallest > 1}
DEEP = ("lffn", "lffn-nf", "lffn-ns", "msfin", "maffsrn-l")  # slow to train: up to a second a step

every_network = pytest.mark.parametrize(
    ("name", "scale"), [(name, scale) for name in MODELS for scale in SCALES]
)
every_trainable = pytest.mark.parametrize(
    ("name", "scale"), [(name, scale) for name in TRAINABLE for scale in SCALES]
)


@cache
def network(name: str, scale: int) -> nn.Module:
    """Built once, in eval mode, from a seed of its own: for tests that only look at it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return create_model(name, scale=scale).eval()


def image(name: str, more: tuple[int, int], count: int = 1) -> Tensor:
    """LR images (count,3,h,w), so many pixels higher and wider than the least that `name` takes."""
    height, width = (MODELS[name].smallest + side for side in more)
    return torch.rand(count, 3, height, width)


@torch.no_grad()
@pytest.mark.parametrize("more", [(0, 0), (2, 6), (7, 4)])
@every_network
def test_sr_is_scale_times_lr(name: str, scale: int, more: tuple[int, int]) -> None:
    lr = image(name, more)
    sr = network(name, scale)(lr)
    assert sr.shape == (1, 3, scale * lr.shape[2], scale * lr.shape[3])
    assert sr.dtype == torch.float32
    assert sr.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize("more", [(-1, 9), (9, -1)])
@pytest.mark.parametrize("name", MINIMUM)
def test_below_its_minimum_a_network_says_so(name: str, more: tuple[int, int]) -> None:
    with pytest.raises(UserError, match=f"too small .* needs {MINIMUM[name]} a side"):
        network(name, 2)(image(name, more))


@torch.no_grad()
@every_network
def test_images_of_a_batch_do_not_mix(name: str, scale: int) -> None:
    model, lr = network(name, scale), image(name, (3, 5), count=2)
    alone = torch.cat([model(one[None]) for one in lr])
    assert torch.allclose(model(lr), alone, atol=1e-4 * alone.abs().max().item())


@every_trainable
def test_a_gradient_reaches_every_parameter(name: str, scale: int) -> None:
    model = create_model(name, scale=scale)
    for module in model.modules():
        if isinstance(module, ChannelAttention):  # four ReLUs, which may all be closed by chance
            nn.init.ones_(module.get_parameter("squeeze.bias"))
    model(image(name, (3, 3))).square().mean().backward()
    without = [name for name, one in model.named_parameters() if one.grad is None or not one.grad.any()]
    assert without == []


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_flat_image_has_a_gradient(name: str) -> None:
    """Roots, norms and gates are steep or have no slope where little varies."""
    model, lr = create_model(name, scale=2), image(name, (3, 3))
    for level in (0.0, 0.5):
        model(torch.full_like(lr, level)).square().mean().backward()
    gradients = {name: one.grad for name, one in model.named_parameters()}
    assert [name for name, one in gradients.items() if one is None or not one.isfinite().all()] == []


@torch.no_grad()
@every_trainable
def test_untrained_networks_start_near_the_images_range(name: str, scale: int) -> None:
    """An initialisation whose output explodes makes the first steps destroy the weights."""
    sr = network(name, scale)(image(name, (15, 15)))
    assert sr.abs().max() < 50


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in DEEP else ()) for name in TRAINABLE]
)
def test_every_network_trains(name: str) -> None:
    """Ten steps on one batch of blurred noise, at the rate where it is known to fall."""
    model, side = create_model(name, scale=2), max(8, MODELS[name].smallest)
    hr = F.interpolate(torch.rand(2, 3, side, side), scale_factor=2.0, mode="bilinear")
    lr = F.avg_pool2d(hr, 2)
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=1e-3), []
    for _ in range(10):
        optimizer.zero_grad()
        loss = F.l1_loss(model(lr), hr)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0], losses


def test_bicubic_keeps_a_constant_and_a_pixel() -> None:
    for scale in SCALES:
        bicubic = create_model("bicubic", scale=scale)
        for size in ((1, 1), (5, 4)):
            constant = torch.full((1, 3, *size), 0.3)
            assert torch.allclose(bicubic(constant), torch.tensor(0.3), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: create_model("msfin_s", scale=4), "Did you mean 'msfin-s'"),
        (lambda: create_model("lffn-s", scale=5), "Known scales: 2, 3, 4"),
        (lambda: find_trainable("bicubic"), "no parameters to train"),
    ],
)
def test_mistakes_are_explained(call, message: str) -> None:
    with pytest.raises(UserError, match=message):
        call()


@pytest.mark.parametrize(
    ("name", "scale", "multiple"),
    [("msfin-s", 2, 2), ("msfin-s", 3, 4), ("msfin-s", 4, 1), ("lffn-s", 3, 1)],
)
def test_lr_multiples(name: str, scale: int, multiple: int) -> None:
    assert MODELS[name].lr_multiple(scale) == multiple
