"""A .tflite computed by PyTorch, from nothing but the file, in double precision.

TFLite's operators by their definition, in NHWC, with the file's own scales and weights: what the file
says, without what any runtime makes of it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from export.tfl import file as files
from export.tfl.file import File, Operator
from export.tfl.model import schema

SAME = schema.Padding.SAME
RELU = schema.ActivationFunctionType.RELU
LIMITS = {np.dtype(np.int8): (-128, 127), np.dtype(np.uint8): (0, 255)}


def compute(file: File, lr: Tensor) -> Tensor:
    """LR (1,3,h,w) → SR (1,3,sh,sw), float64. ValueError if the file contradicts itself."""
    image = lr.double().permute(0, 2, 3, 1)
    values: dict[int, Tensor] = {file.image: _rounded(file, file.image, image)}

    def value(index: int) -> Tensor:
        """What a tensor holds, in float and as the file lays it out."""
        if index not in values:
            values[index] = _constant(file.tensors[index])
        return values[index]

    for operator in file.operators:
        inputs = [value(index) for index in operator.inputs]
        if "CONV" in operator.name:
            inputs[2] = _bias(file, operator)
        outputs = KERNELS[operator.name](operator, inputs)
        for index, output in zip(operator.outputs, outputs, strict=True):
            if tuple(output.shape) != file.tensors[index].shape:
                raise ValueError(
                    f"{operator.name} writes {tuple(output.shape)}, the file says otherwise"
                )
            values[index] = _rounded(file, index, output)
    return values[file.upscaled].permute(0, 3, 1, 2)


def _constant(tensor: files.Tensor) -> Tensor:
    assert tensor.values is not None
    stored = torch.from_numpy(tensor.values.copy())
    if tensor.dtype == np.int32:
        return stored
    if tensor.quantization is None:
        return stored.double()
    own, along = tensor.quantization, [1] * stored.ndim
    if stored.ndim:
        along[own.axis] = -1
    scale = torch.from_numpy(own.scale.astype(np.float64)).reshape(along)
    zero = torch.from_numpy(own.zero_point.copy()).reshape(along)
    return (stored.double() - zero) * scale


def _bias(file: File, operator: Operator) -> Tensor:
    """In steps of input scale times weight scale, as integer kernels add it, in a checkpoint's float32.

    Without that last rounding to float32, one value in a million would be rounded to another integer.
    """
    read, weight, bias = (file.tensors[index] for index in operator.inputs)
    assert bias.values is not None
    if bias.dtype == np.float32:
        return torch.from_numpy(bias.values.astype(np.float64))
    if read.quantization is None or weight.quantization is None:
        raise ValueError(f"{operator.name} has an integer bias, but not all that it reads is integer")
    steps = read.quantization.scale.astype(np.float64) * weight.quantization.scale
    return torch.from_numpy(bias.values * steps).float().double()


def _rounded(file: File, index: int, value: Tensor) -> Tensor:
    """A value as its tensor holds it: on the grid of its scale, if it has one."""
    tensor = file.tensors[index]
    if tensor.quantization is None:
        return value
    scale, zero = float(tensor.quantization.scale[0]), int(tensor.quantization.zero_point[0])
    low, high = LIMITS[tensor.dtype]
    levels = (torch.round(value * (1.0 / scale)) + zero).clamp(low, high)
    return (levels - zero) * scale


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
    "MEAN": _mean,
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
