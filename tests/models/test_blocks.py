"""What several networks are built from, by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgesr.models.blocks import (
    BSConv,
    ChannelAttention,
    ChannelShuffle,
    Contrast,
    Scalar,
    SpatialAttention,
    upsampler,
)


@pytest.mark.parametrize(
    ("groups", "order"), [(1, [0, 1, 2, 3, 4, 5]), (2, [0, 3, 1, 4, 2, 5]), (3, [0, 2, 4, 1, 3, 5])]
)
def test_channel_shuffle_interleaves(groups: int, order: list[int]) -> None:
    x = torch.rand(2, 6, 3, 4)
    assert torch.equal(ChannelShuffle(groups)(x), x[:, order])


def test_contrast_is_deviation_plus_mean() -> None:
    x = torch.rand(2, 3, 5, 7)
    expected = x.std((2, 3), unbiased=False, keepdim=True) + x.mean((2, 3), keepdim=True)
    torch.testing.assert_close(Contrast()(x), expected, atol=1e-5, rtol=0)


def test_contrast_has_a_slope_where_nothing_varies() -> None:
    x = torch.full((1, 2, 3, 4), 0.5, requires_grad=True)
    Contrast()(x).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.full_like(x, 1 / 12))  # that of the mean


def test_channel_attention_by_hand() -> None:
    attention, x = ChannelAttention(6, 3), torch.rand(2, 6, 4, 5)
    squeeze, excite = attention.squeeze, attention.excite
    hidden = F.linear(x.mean((2, 3)), squeeze.weight[:, :, 0, 0], squeeze.bias).clamp(min=0)
    weights = F.linear(hidden, excite.weight[:, :, 0, 0], excite.bias).sigmoid()
    torch.testing.assert_close(attention(x), torch.einsum("nchw,nc->nchw", x, weights))


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("stride", [1, 2])
def test_bsconv_is_one_convolution_of_products(padding: int, stride: int) -> None:
    """Its kernel is a depthwise one times a number for each input channel: a blueprint."""
    layer, x = BSConv(3, 4, 3, stride, padding), torch.rand(2, 3, 8, 9)
    mixing, blueprint = layer[0].get_parameter("weight"), layer[1].get_parameter("weight")
    bias = layer[1].get_parameter("bias")
    assert layer[0].bias is None
    torch.testing.assert_close(layer(x), F.conv2d(x, blueprint * mixing, bias, stride, padding))


@pytest.mark.parametrize(
    ("padding", "size", "coarse"),
    [
        (1, (13, 13), (1, 1)),
        (1, (18, 19), (1, 2)),
        (1, (180, 320), (28, 52)),  # of a 1280x720 SR image, x4
        (0, (15, 15), (1, 1)),
        (0, (20, 21), (1, 2)),
        (0, (180, 320), (28, 51)),
    ],
)
@pytest.mark.parametrize("enlarge", ["nearest", "bilinear"])
def test_sizes_of_spatial_attention(
    padding: int, size: tuple[int, int], coarse: tuple[int, int], enlarge: str
) -> None:
    seen = []
    body = nn.Identity()
    body.register_forward_hook(lambda module, inputs, output: seen.append(tuple(output.shape)))
    gate = SpatialAttention(
        4,
        2,
        shrink=nn.Conv2d(2, 2, 3, 2, padding),
        body=body,
        skip=nn.Identity(),
        squash=nn.Sigmoid(),
        enlarge=enlarge,
    )
    assert gate(torch.rand(1, 4, *size)).shape == (1, 4, *size)
    assert seen == [(1, 2, *coarse)]


@pytest.mark.parametrize(("scale", "widths"), [(2, [20]), (3, [45]), (4, [20, 20])])
def test_upsampler_doubles_twice_for_four(scale: int, widths: list[int]) -> None:
    layers = upsampler(5, scale, kernel=3)
    assert [layer.out_channels for layer in layers if isinstance(layer, nn.Conv2d)] == widths
    assert layers(torch.rand(1, 5, 3, 4)).shape == (1, 5, 3 * scale, 4 * scale)


def test_scalar_is_a_factor() -> None:
    x = torch.rand(2, 3, 4, 5)
    assert torch.equal(Scalar(0.5)(x), 0.5 * x)
