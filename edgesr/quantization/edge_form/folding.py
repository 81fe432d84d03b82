"""Linear layers into one another, exactly."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


def convolution(
    weight: Tensor, bias: Tensor | None, *, like: nn.Conv2d | None = None, padding: int = 0
) -> nn.Conv2d:
    """A convolution with these weights in float32; strides, padding and groups as `like`."""
    out, inputs, height, width = weight.shape
    if like is None:
        layer = nn.Conv2d(inputs, out, (height, width), padding=padding, bias=bias is not None)
    else:
        layer = nn.Conv2d(
            inputs * like.groups,
            out,
            (height, width),
            like.stride,  # pyright: ignore[reportArgumentType]
            like.padding,  # pyright: ignore[reportArgumentType]
            like.dilation,  # pyright: ignore[reportArgumentType]
            like.groups,
            bias is not None,
        )
    state = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    layer.load_state_dict({name: tensor.detach().float() for name, tensor in state.items()})
    return layer


def bias_of(layer: nn.Module) -> Tensor:
    """A convolution's bias in double precision, zeros where there is none."""
    assert isinstance(layer, nn.Conv2d)
    if layer.bias is None:
        return torch.zeros(layer.out_channels, dtype=torch.double)
    return layer.bias.detach().double()


def weight_of(layer: nn.Module) -> Tensor:
    """A convolution's weight in double precision."""
    assert isinstance(layer, nn.Conv2d)
    return layer.weight.detach().double()


def scaled(
    layer: nn.Module, *, outputs: Tensor | float = 1.0, inputs: Tensor | float = 1.0
) -> nn.Conv2d:
    """outputs * layer(inputs * x), factors per channel or one for all. Not for grouped `inputs`."""
    assert isinstance(layer, nn.Conv2d)
    factor_out = torch.as_tensor(outputs, dtype=torch.double).reshape(-1)
    factor_in = torch.as_tensor(inputs, dtype=torch.double).reshape(-1)
    weight = weight_of(layer) * factor_out[:, None, None, None] * factor_in[None, :, None, None]
    bias = None if layer.bias is None else bias_of(layer) * factor_out
    return convolution(weight, bias, like=layer)


def affine(scale: Tensor, shift: Tensor | None) -> nn.Conv2d:
    """scale * x + shift per channel, as a depthwise 1x1 convolution."""
    channels = scale.numel()
    layer = nn.Conv2d(channels, channels, 1, groups=channels)
    return convolution(scale.reshape(-1, 1, 1, 1), shift, like=layer)


def fold_weight_norm(model: nn.Module) -> None:
    """Every weight-normed layer as the plain layer that it computes.

    A layer of its own: torch's removal works on a class that the layer shares with its copies.
    """
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d) and parametrize.is_parametrized(child, "weight"):
                setattr(module, name, convolution(child.weight, child.bias, like=child))


def unshuffled(layer: nn.Module, groups: int) -> nn.Conv2d:
    """A channel shuffle into the 1x1 convolution that reads it: its inputs in the order before."""
    assert isinstance(layer, nn.Conv2d)
    weight = weight_of(layer)  # input c of the layer is channel c % groups * (C/groups) + c // groups
    order = torch.arange(weight.shape[1]).view(groups, -1).T.flatten()
    folded = torch.empty_like(weight)
    folded[:, order] = weight
    return convolution(folded, layer.bias, like=layer)


def widened(weight: Tensor, kernel: int) -> Tensor:
    """A smaller odd kernel in the middle of a larger one of zeros."""
    margin = (kernel - weight.shape[2]) // 2
    return nn.functional.pad(weight, (margin, margin, margin, margin))


def unfold_transposed(model: nn.Module) -> None:
    """Every transposed convolution whose stride is its kernel as a 1x1 convolution and a shuffle."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ConvTranspose2d):
                setattr(module, name, _as_shuffle(child))


def _as_shuffle(layer: nn.ConvTranspose2d) -> nn.Sequential:
    factor = layer.stride[0]
    assert layer.kernel_size == layer.stride == (factor, factor)
    assert layer.padding == layer.output_padding == (0, 0)
    assert layer.groups == 1
    weight = layer.weight.permute(1, 2, 3, 0).flatten(0, 2)  # (out·f·f, in), PixelShuffle's order
    bias = None if layer.bias is None else layer.bias.repeat_interleave(factor**2)
    return nn.Sequential(convolution(weight[:, :, None, None], bias), nn.PixelShuffle(factor))
