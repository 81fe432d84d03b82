"""Each rewrite computes what the published form computes, on random weights and odd sizes."""

import copy

import pytest
import torch
from torch import nn

from edgesr.models import MODELS, create_model
from edgesr.models.lffn import LFFN
from edgesr.models.msfin import MSFIN
from edgesr.quantization.edge_form import edge_form, unfold_transposed

NETWORKS = [(n, s) for n, row in MODELS.items() if row.learns for s in (2, 3, 4)]


def assert_equal_relative(ours: torch.Tensor, theirs: torch.Tensor, bound: float = 1e-5) -> None:
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= bound * theirs.abs().max()


@pytest.mark.parametrize(("name", "scale"), NETWORKS)
def test_whole_network_is_unchanged(name: str, scale: int) -> None:
    multiple = MODELS[name].lr_multiple(scale)
    model = create_model(name, scale=scale).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # no weight may hide behind a special value
            parameter.add_(0.02 * torch.randn_like(parameter))
        lr = torch.rand(2, 3, 5 * multiple, 7 * multiple)
        assert_equal_relative(edge_form(model)(lr), model(lr))


@pytest.mark.parametrize("name", ["lffn-s", "msfin-s"])
def test_the_network_itself_is_left_as_it_is(name: str) -> None:
    model = create_model(name, scale=2)
    before = copy.deepcopy(model.state_dict())
    edge_form(model)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("bias", [True, False])
def test_transposed_convolution_as_shuffle(bias: bool) -> None:
    model = nn.Sequential(nn.ConvTranspose2d(6, 4, 2, stride=2, bias=bias))
    x = torch.randn(2, 6, 5, 3)
    with torch.no_grad():
        expected = model(x)
        unfold_transposed(model)
        assert not any(isinstance(m, nn.ConvTranspose2d) for m in model.modules())
        assert_equal_relative(model(x), expected)


def test_lffn_tail_is_two_convolutions() -> None:
    form = edge_form(LFFN(4, modules=1, blocks=1))
    names = {name for name, _ in form.named_children()}
    assert names == {"head", "body", "fusion", "tail_fused", "tail_head", "shuffle"}


def test_msfin_shifts_colours_once_per_lr_pixel() -> None:
    form = edge_form(MSFIN(4, features=8, groups=4, reduction=4, passes=1))
    seen: list[tuple[int, ...]] = []
    shift = next(m for m in form.modules() if isinstance(m, nn.Conv2d))
    shift.register_forward_hook(lambda _m, inputs, _o: seen.append(tuple(inputs[0].shape)))
    form(torch.rand(1, 3, 4, 8))
    assert shift.kernel_size == (1, 1)
    assert seen == [(1, 3, 4, 8)]
