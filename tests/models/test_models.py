"""Every network of the table meets the same contract."""

import pytest
import torch

from edgesr.errors import UserError
from edgesr.models import MODELS, SCALES, create_model, find_trainable

NETWORKS = [(name, scale) for name in MODELS for scale in SCALES]
TRAINABLE = [(name, scale) for name, scale in NETWORKS if MODELS[name].learns]


@pytest.fixture(params=NETWORKS, ids=lambda p: f"{p[0]}_x{p[1]}")
def case(request: pytest.FixtureRequest) -> tuple[torch.nn.Module, int, int]:
    name, scale = request.param
    return create_model(name, scale=scale).eval(), scale, MODELS[name].lr_multiple(scale)


@torch.no_grad()
@pytest.mark.parametrize("size", [(1, 1), (3, 7), (8, 5)])
def test_sr_is_scale_times_lr(case: tuple[torch.nn.Module, int, int], size: tuple[int, int]) -> None:
    model, scale, multiple = case
    height, width = (multiple * side for side in size)
    sr = model(torch.rand(2, 3, height, width))
    assert sr.shape == (2, 3, scale * height, scale * width)
    assert sr.dtype == torch.float32
    assert sr.isfinite().all()


@torch.no_grad()
def test_images_of_a_batch_do_not_mix(case: tuple[torch.nn.Module, int, int]) -> None:
    model, _, multiple = case
    lr = torch.rand(2, 3, 4 * multiple, 6 * multiple)
    alone = torch.cat([model(image[None]) for image in lr])
    assert torch.allclose(model(lr), alone, atol=1e-4 * alone.abs().max().item())


@pytest.mark.parametrize(("name", "scale"), TRAINABLE)
def test_a_gradient_reaches_every_parameter(name: str, scale: int) -> None:
    multiple = MODELS[name].lr_multiple(scale)
    model = create_model(name, scale=scale)
    model(torch.rand(1, 3, 4 * multiple, 4 * multiple)).square().mean().backward()
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert without == []


def test_bicubic_keeps_a_constant_and_a_pixel() -> None:
    for scale in SCALES:
        bicubic = create_model("bicubic", scale=scale)
        for size in ((1, 1), (5, 4)):
            constant = torch.full((1, 3, *size), 0.3)
            assert torch.allclose(bicubic(constant), torch.tensor(0.3), atol=1e-6)


def test_untrained_networks_start_near_the_images_range() -> None:
    """An initialisation whose output explodes makes the first steps destroy the weights."""
    for name, scale in TRAINABLE:
        sr = create_model(name, scale=scale)(torch.rand(1, 3, 16, 16))
        assert sr.abs().max() < 50, name


def test_lffn_starts_as_its_authors_do() -> None:
    """He's normal, a depthwise layer's fan-in counting all 16 channels."""
    network = create_model("lffn-s", scale=4)
    for name, fan_in in (("head", 27), ("body.0.fuse", 192), ("body.0.blocks.0.paths.1.0", 144)):
        weight = network.get_parameter(f"{name}.weight")
        spread = 0.88 * (2 / fan_in) ** 0.5  # a normal cut at two deviations
        assert weight.std().item() == pytest.approx(spread, rel=0.25)


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
