"""TFLite's operators by their definition, in NHWC and in double precision: what a .tflite says."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from export.readback import compute
from export.stored import File, Operator
from export.tfl.model import schema

SAME = schema.Padding.SAME
RELU = schema.ActivationFunctionType.RELU


def upscale(file: File, lr: Tensor) -> Tensor:
    """LR (1,3,h,w) → SR (1,3,sh,sw), float64, as `compute`."""
    return compute(file, lr.permute(0, 2, 3, 1), KERNELS).permute(0, 3, 1, 2)


def _convolution(file_operator: Operator, inputs: list[Tensor]) -> list[Tensor]:
    options = file_operator.options
    image, kernel, bias = inputs
    depthwise = file_operator.name == "DEPTHWISE_CONV_2D"
    weight = kernel.permute((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
    groups = image.shape[3] // weight.shape[1]
    strides = (options.strideH, options.strideW)
    dilations = (options.dilationHFactor, options.dilationWFactor)
    x = image.permute(0, 3, 1, 2).contiguous()
    if options.padding == SAME:
        x = F.pad(x, _same(x, weight, strides, dilations))
    y = F.conv2d(x, weight.contiguous(), bias, strides, 0, dilations, groups)
    y = y.relu() if options.fusedActivationFunction == RELU else y
    return [y.permute(0, 2, 3, 1)]


def _same(x: Tensor, weight: Tensor, strides: Any, dilations: Any) -> list[int]:
    """What SAME adds, as F.pad wants it: left, right, above, below."""
    sides = []
    for axis in (1, 0):
        size, reach = x.shape[2 + axis], (weight.shape[2 + axis] - 1) * dilations[axis] + 1
        total = max((-(-size // strides[axis]) - 1) * strides[axis] + reach - size, 0)
        sides += [total // 2, total - total // 2]
    return sides


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Any:
    def kernel(operator: Operator, inputs: list[Tensor]) -> list[Tensor]:
        result = function(*inputs)
        fused = operator.options.fusedActivationFunction == RELU
        return [result.relu() if fused else result]

    return kernel


def _unary(function: Callable[[Tensor], Tensor]) -> Any:
    return lambda operator, inputs: [function(inputs[0])]


def _pixel_shuffle(operator: Operator, inputs: list[Tensor]) -> list[Tensor]:
    """DEPTH_TO_SPACE by its definition: channel (dy·r + dx)·C + c is colour c at (dy,dx)."""
    factor, (batch, height, width, depth) = operator.options.blockSize, inputs[0].shape
    colours = depth // factor**2
    blocks = inputs[0].reshape(batch, height, width, factor, factor, colours)
    return [blocks.permute(0, 1, 3, 2, 4, 5).reshape(batch, height * factor, width * factor, colours)]


def _padding(operator: Operator, inputs: list[Tensor]) -> list[Tensor]:
    sides = [int(side) for row in inputs[1].flip(0) for side in row]
    return [F.pad(inputs[0], sides)]


def _slices(operator: Operator, inputs: list[Tensor]) -> list[Tensor]:
    part = inputs[0]
    for axis, (begin, size) in enumerate(zip(inputs[1].tolist(), inputs[2].tolist(), strict=True)):
        part = part.narrow(axis, begin, size)
    return [part]


def _bilinear(operator: Operator, inputs: list[Tensor]) -> list[Tensor]:
    x = inputs[0].permute(0, 3, 1, 2).contiguous()
    corners = operator.options.alignCorners
    if not corners and not operator.options.halfPixelCenters:
        raise ValueError("RESIZE_BILINEAR by corners of pixels: not what PyTorch computes")
    size = inputs[1].tolist()
    y = F.interpolate(x, size, mode="bilinear", align_corners=corners)
    return [y.permute(0, 2, 3, 1)]


def _max_pool(operator: Operator, inputs: list[Tensor]) -> list[Tensor]:
    options = operator.options
    x = inputs[0].permute(0, 3, 1, 2).contiguous()
    kernel = (options.filterHeight, options.filterWidth)
    y = F.max_pool2d(x, kernel, (options.strideH, options.strideW))
    return [y.permute(0, 2, 3, 1)]


def _mean(operator: Operator, inputs: list[Tensor]) -> list[Tensor]:
    assert inputs[1].tolist() == [1, 2]
    x = inputs[0].permute(0, 3, 1, 2).contiguous()
    return [F.adaptive_avg_pool2d(x, 1).permute(0, 2, 3, 1)]


def _prelu(operator: Operator, inputs: list[Tensor]) -> list[Tensor]:
    x = inputs[0].permute(0, 3, 1, 2).contiguous()
    return [F.prelu(x, inputs[1].flatten()).permute(0, 2, 3, 1)]


KERNELS: dict[str, Callable[[Operator, list[Tensor]], list[Tensor]]] = {
    "ADD": _binary(torch.add),
    "CONCATENATION": lambda operator, inputs: [torch.cat(inputs, operator.options.axis)],
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "DEPTH_TO_SPACE": _pixel_shuffle,
    "DEQUANTIZE": _unary(lambda x: x),
    "DIV": _binary(torch.div),
    "GELU": lambda operator, inputs: [
        F.gelu(inputs[0], approximate="tanh" if operator.options.approximate else "none")
    ],
    "LEAKY_RELU": lambda operator, inputs: [F.leaky_relu(inputs[0], operator.options.alpha)],
    "LOGISTIC": _unary(torch.sigmoid),
    "MAX_POOL_2D": _max_pool,
    "MAXIMUM": lambda operator, inputs: [torch.maximum(*inputs)],
    "MEAN": _mean,
    "MINIMUM": lambda operator, inputs: [torch.minimum(*inputs)],
    "MUL": _binary(torch.mul),
    "PAD": _padding,
    "PRELU": _prelu,
    "QUANTIZE": _unary(lambda x: x),
    "RELU": _unary(torch.relu),
    "RESHAPE": lambda operator, inputs: [inputs[0].reshape(inputs[1].tolist())],
    "RESIZE_BILINEAR": _bilinear,
    "SLICE": _slices,
    "SOFTMAX": _unary(lambda x: x.softmax(-1)),
    "SPLIT": lambda operator, inputs: list(inputs[1].chunk(operator.options.numSplits, int(inputs[0]))),
    "SQRT": _unary(torch.sqrt),
    "SQUARE": _unary(torch.square),
    "SUB": _binary(torch.sub),
    "TRANSPOSE": lambda operator, inputs: [inputs[0].permute(inputs[1].tolist()).contiguous()],
}
"""Operator of TFLite → what PyTorch computes for it."""
