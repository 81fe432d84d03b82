"""How each operator of a captured graph is written: one readable table at the end."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export.program import shape_of
from export.stored import Quantization
from export.tfl.layers import convolution, padded
from export.tfl.model import Op, schema
from export.tfl.parts import concatenation, slices
from export.tfl.writer import NHWC, Call, Rule, Value, Writer

aten = torch.ops.aten


def unary(op: int, make_options: Any = None) -> Rule:
    """An operator of one input that needs nothing else."""

    def rule(writer: Writer, call: Call) -> Value:
        value = _read(writer, call)
        options = make_options(call) if make_options else None
        return writer.emit(op, [value], shape_of(call.node), call.quantization, options)

    return rule


def binary(op: int, options_type: Any) -> Rule:
    """An operator of two inputs, either of which may be a constant."""

    def rule(writer: Writer, call: Call) -> Value:
        operands = [_operand(writer, call, call.argument(position)) for position in (0, 1)]
        options = options_type()
        options.fusedActivationFunction = call.activation
        return writer.emit(op, operands, shape_of(call.node), call.quantization, options)

    return rule


def prelu(writer: Writer, call: Call) -> Value:
    """Slopes per channel; in int8 they are rounded to steps of the largest of them."""
    value, node = _read(writer, call), call.node
    slopes = writer.graph.floats(call.argument(1))
    assert slopes is not None
    slopes = np.broadcast_to(slopes.reshape(-1), shape_of(node)[1]).copy()
    order = writer.channel_orders.get(node)
    slopes = (slopes if order is None else slopes[order]).reshape(1, 1, -1)
    if call.quantization is None:
        alpha = writer.constant(slopes)
    else:
        step = np.float32(max(np.abs(slopes).max(), 1e-8) / 127)
        integers = np.clip(np.rint(slopes / step), -127, 127).astype(np.int8)
        alpha = writer.constant(integers, Quantization.of_tensor(float(step), 0))
    return writer.emit(Op.PRELU, [value, alpha], shape_of(node), call.quantization)


def permutation(writer: Writer, call: Call) -> Value:
    """Other names for the dimensions. Data move only where a reader wants another order."""
    value = writer.value(call.argument(0), quantized=call.quantization is not None)
    axes = call.argument(1)
    order = tuple(axes.index(dimension) for dimension in value.order)
    writer.fix_size(value.shape)
    return Value(value.index, shape_of(call.node), order, value.quantization)


def reshape(writer: Writer, call: Call) -> Value:
    """Numbers in the graph's order under another shape."""
    value = writer.value(call.argument(0), quantized=call.quantization is not None)
    value = writer.arranged(value, tuple(range(len(value.shape))))
    shape = shape_of(call.node)
    return writer.reshaped(value, shape, tuple(range(len(shape))))


def pixel_shuffle(writer: Writer, call: Call) -> Value:
    """One DEPTH_TO_SPACE: the channels have come in its order (`export.tfl.channels`)."""
    options = schema.DepthToSpaceOptionsT()
    options.blockSize = call.argument(1)
    value = _read(writer, call)
    return writer.emit(Op.DEPTH_TO_SPACE, [value], shape_of(call.node), call.quantization, options)


def padding(writer: Writer, call: Call) -> Value:
    """A border of one value: zeros, or else constants beside the image, which XNNPACK takes."""
    value, sides = _read(writer, call), call.argument(1)
    level = call.argument(3, 0.0) or 0.0
    left, right, top, bottom = sides
    if call.argument(2, "constant") != "constant":
        raise NotImplementedError(f"{call.node.name}: padding by {call.argument(2)}")
    if level == 0:
        return padded(writer, value, ((top, bottom), (left, right)))
    writer.fix_size(value.shape)
    for axis, (before, after) in ((2, (top, bottom)), (3, (left, right))):
        borders = [_border(writer, value, axis, width, level) for width in (before, after)]
        inputs = [borders[0], value, borders[1]]
        shape = list(value.shape)
        shape[axis] += before + after
        options = schema.ConcatenationOptionsT()
        options.axis = NHWC.index(axis)
        value = writer.emit(Op.CONCATENATION, inputs, shape, value.quantization, options)
    return value


def mean(writer: Writer, call: Call) -> Value:
    """The mean over height and width."""
    if list(call.argument(1)) != [1, 1]:
        raise NotImplementedError(f"{call.node.name}: pooling to {call.argument(1)}")
    options = schema.ReducerOptionsT()
    options.keepDims = True
    inputs = [_read(writer, call), writer.model.integers([1, 2])]
    return writer.emit(Op.MEAN, inputs, shape_of(call.node), call.quantization, options)


def max_pool(writer: Writer, call: Call) -> Value:
    """The maximum of windows that lie inside the image."""
    kernel, stride = call.argument(1), call.argument(2) or call.argument(1)
    if any(call.argument(3, [0])) or call.argument(5, False):
        raise NotImplementedError(f"{call.node.name}: pooling beyond the edge")
    options = schema.Pool2DOptionsT()
    options.padding = schema.Padding.VALID
    options.filterHeight, options.filterWidth = kernel[0], kernel[-1]
    options.strideH, options.strideW = stride[0], stride[-1]
    value = _read(writer, call)
    return writer.emit(Op.MAX_POOL_2D, [value], shape_of(call.node), call.quantization, options)


def clamp(writer: Writer, call: Call) -> Value:
    """Values limited on both sides, in float."""
    assert call.quantization is None  # no profile has an integer kernel for it
    value = _read(writer, call)
    for op, limit in ((Op.MAXIMUM, call.argument(1)), (Op.MINIMUM, call.argument(2))):
        inputs = [value, writer.constant(np.full((1, 1, 1, 1), limit, np.float32))]
        options = schema.MaximumMinimumOptionsT()
        value = writer.emit(op, inputs, shape_of(call.node), None, options)
    return value


def bilinear(writer: Writer, call: Call) -> Value:
    """Bilinear enlargement to a fixed size."""
    shape = shape_of(call.node)
    options = schema.ResizeBilinearOptionsT()
    options.alignCorners = bool(call.argument(2))
    options.halfPixelCenters = not options.alignCorners
    value = _read(writer, call)
    writer.fix_size(shape)
    inputs = [value, writer.model.integers(shape[2:])]
    return writer.emit(Op.RESIZE_BILINEAR, inputs, shape, call.quantization, options)


def _read(writer: Writer, call: Call) -> Value:
    """The first argument, as the operator computes: in float or in int8."""
    return writer.read(call.argument(0), quantized=call.quantization is not None)


def _operand(writer: Writer, call: Call, argument: Any) -> Value | int:
    """A value or a constant, of four dimensions in NHWC."""
    graph, quantized = writer.graph, call.quantization is not None
    if isinstance(argument, float | int):
        assert not quantized  # it has no quantization, so nothing that reads it is an integer kernel
        return writer.constant(np.full((1, 1, 1, 1), argument, np.float32))
    if not graph.is_constant(argument):
        return writer.read(argument, quantized=quantized)
    codes = graph.codes(argument)
    if codes is None:
        stored = graph.floats(argument)
        assert stored is not None
        assert not quantized
        return writer.constant(_nhwc(stored))
    own = Quantization.of_tensor(float(codes.scale[0]), codes.zero_point)
    if quantized:
        return writer.constant(_nhwc(codes.integers), own)
    return writer.constant(_nhwc((codes.integers - np.float32(codes.zero_point)) * codes.scale[0]))


def _nhwc(values: NDArray[Any]) -> NDArray[Any]:
    return values.transpose(NHWC) if values.ndim == 4 else values


def _border(writer: Writer, value: Value, axis: int, width: int, level: float) -> int:
    """A constant beside an image, as wide as the padding."""
    shape = list(value.shape)
    shape[axis] = width
    physical = [shape[dimension] for dimension in NHWC]
    own = value.quantization
    if own is None:
        return writer.constant(np.full(physical, level, np.float32))
    integer = np.rint(np.float32(level) / own.scale[0]) + own.zero_point[0]
    return writer.constant(np.full(physical, np.clip(integer, -128, 127), np.int8), own)


def _gelu(call: Call) -> Any:
    options = schema.GeluOptionsT()
    options.approximate = call.node.kwargs.get("approximate", "none") == "tanh"
    return options


def _leaky_relu(call: Call) -> Any:
    options = schema.LeakyReluOptionsT()
    options.alpha = call.argument(1, 0.01)
    return options


def _softmax(call: Call) -> Any:
    shape = shape_of(call.node)
    if len(shape) == 4 or call.argument(1) % len(shape) != len(shape) - 1:
        raise NotImplementedError(f"{call.node.name}: softmax but over the last of three dimensions")
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    return options


RULES: dict[Any, Rule] = {
    aten.adaptive_avg_pool2d.default: mean,
    aten.add.Tensor: binary(Op.ADD, schema.AddOptionsT),
    aten.cat.default: concatenation,
    aten.clamp.default: clamp,
    aten.conv2d.default: convolution,
    aten.div.Tensor: binary(Op.DIV, schema.DivOptionsT),
    aten.gelu.default: unary(Op.GELU, _gelu),
    aten.leaky_relu.default: unary(Op.LEAKY_RELU, _leaky_relu),
    aten.max_pool2d.default: max_pool,
    aten.mul.Tensor: binary(Op.MUL, schema.MulOptionsT),
    aten.pad.default: padding,
    aten.permute.default: permutation,
    aten.pixel_shuffle.default: pixel_shuffle,
    aten.prelu.default: prelu,
    aten.relu.default: unary(Op.RELU),
    aten.reshape.default: reshape,
    aten.sigmoid.default: unary(Op.LOGISTIC),
    aten.slice.Tensor: slices,
    aten.softmax.int: unary(Op.SOFTMAX, _softmax),
    aten.sqrt.default: unary(Op.SQRT),
    aten.square.default: unary(Op.SQUARE),
    aten.sub.Tensor: binary(Op.SUB, schema.SubOptionsT),
    aten.upsample_bilinear2d.vec: bilinear,
    aten.view.default: reshape,
}
"""Operator of the graph → how it is written."""
