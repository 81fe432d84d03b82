"""XNNPACK's operators by their definition, in NHWC and in double precision: what a .pte says."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from export.readback import compute
from export.stored import File, Operator
from export.xnn.file import number

Kernel = Callable[[dict[str, Any], list[Tensor]], Tensor]
ALIGN_CORNERS = 8
"""Flag of an enlargement."""


def upscale(file: File, lr: Tensor) -> Tensor:
    """LR (1,3,h,w) → SR (1,3,sh,sw), float64, as `compute`."""
    return compute(file, lr, {name: _limited(kernel) for name, kernel in KERNELS.items()})


def _limited(kernel: Kernel) -> Callable[[Operator, list[Tensor]], list[Tensor]]:
    """Any operator can end in a clamp."""

    def limited(operator: Operator, inputs: list[Tensor]) -> list[Tensor]:
        output = kernel(operator.options, inputs)
        return [output.clamp(*operator.options["limits"]) if "limits" in operator.options else output]

    return limited


def _channels_first(function: Callable[..., Tensor]) -> Kernel:
    """What PyTorch computes of an image that lies as (1,C,h,w)."""

    def kernel(own: dict[str, Any], inputs: list[Tensor]) -> Tensor:
        image, *others = inputs
        y = function(own, image.permute(0, 3, 1, 2).contiguous(), *others)
        return y.permute(0, 2, 3, 1)

    return kernel


def _convolution(own: dict[str, Any], x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    return _convolved(own, x, kernel.permute(0, 3, 1, 2), bias)


def _depthwise(own: dict[str, Any], x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    return _convolved(own, x, kernel.permute(3, 0, 1, 2), bias)


def _convolved(own: dict[str, Any], x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    strides = (own["subsampling_height"], own["subsampling_width"])
    dilations = (own["dilation_height"], own["dilation_width"])
    return F.conv2d(
        F.pad(x, _around(own)), weight.contiguous(), bias, strides, 0, dilations, own["groups"]
    )


def _around(own: dict[str, Any]) -> list[int]:
    """What is added to an image, as F.pad wants it."""
    return [own[f"padding_{side}"] for side in ("left", "right", "top", "bottom")]


def _max_pool(own: dict[str, Any], x: Tensor) -> Tensor:
    kernel = (own["pooling_height"], own["pooling_width"])
    x = F.pad(x, _around(own), value=-torch.inf)
    return F.max_pool2d(x, kernel, (own["stride_height"], own["stride_width"]))


def _bilinear(own: dict[str, Any], x: Tensor) -> Tensor:
    size = (own["new_height"], own["new_width"])
    return F.interpolate(x, size, mode="bilinear", align_corners=bool(own["flags"] & ALIGN_CORNERS))


def _pad(own: dict[str, Any], inputs: list[Tensor]) -> Tensor:
    sides = zip(reversed(own["pre_paddings"]), reversed(own["post_paddings"]), strict=True)
    return F.pad(
        inputs[0], [side for pair in sides for side in pair], value=number(own["padding_value"])
    )


def _slices(own: dict[str, Any], inputs: list[Tensor]) -> Tensor:
    part = inputs[0]
    for axis, (begin, size) in enumerate(zip(own["offsets"], own["sizes"], strict=True)):
        part = part.narrow(axis, begin, size)
    return part


def _of(function: Callable[..., Tensor]) -> Kernel:
    """An operator without options."""
    return lambda own, inputs: function(*inputs)


KERNELS: dict[str, Kernel] = {
    "Add": _of(torch.add),
    "Clamp": _of(lambda x: x),
    **{f"Concatenate{n}": lambda own, inputs: torch.cat(inputs, own["axis"]) for n in (2, 3, 4, 5)},
    "Conv2d": _channels_first(_convolution),
    "Convert": _of(lambda x: x),
    "DepthwiseConv2d": _channels_first(_depthwise),
    "Div": _of(torch.div),
    "Exp": _of(torch.exp),
    "Gelu": _of(F.gelu),
    "GlobalAvgPooling2d": _of(lambda x: x.mean((1, 2), keepdim=True)),
    "LeakyReLU": lambda own, inputs: F.leaky_relu(inputs[0], number(own["negative_slope"])),
    "MaxPooling2d": _channels_first(_max_pool),
    "Multiply": _of(torch.mul),
    "PReLU": _of(lambda x, slope: torch.where(x < 0, x * slope, x)),
    "ReciprocalSquareRoot": _of(torch.rsqrt),
    "Sigmoid": _of(torch.sigmoid),
    "Softmax": _of(lambda x: x.softmax(-1)),
    "Square": _of(torch.square),
    "SquareRoot": _of(torch.sqrt),
    "StaticConstantPad": _pad,
    "StaticReshape": lambda own, inputs: inputs[0].reshape(own["new_shape"]),
    "StaticResizeBilinear2D": _channels_first(_bilinear),
    "StaticSlice": _slices,
    "StaticTranspose": lambda own, inputs: inputs[0].permute(own["perm"]).contiguous(),
    "Subtract": _of(torch.sub),
}
"""Operator of XNNPACK → what PyTorch computes for it."""
