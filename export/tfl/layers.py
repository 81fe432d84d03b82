"""Convolutions of a captured graph, with their padding and their integer weights and biases."""

from typing import Any

import numpy as np

from export.program import Weights, integer_bias, shape_of, weights_of
from export.stored import Quantization
from export.tfl.model import Op, schema
from export.tfl.writer import Call, Value, Writer

Sides = tuple[tuple[int, int], tuple[int, int]]
"""What is added: ((above, below), (left, right))."""


def convolution(writer: Writer, call: Call) -> Value:
    """CONV_2D, or DEPTHWISE_CONV_2D where every input channel is a group of its own."""
    node, graph = call.node, writer.graph
    weights = weights_of(graph, node, writer.channel_orders.get(node))
    value = writer.read(call.argument(0), quantized=call.quantization is not None)
    if (weights.scale is None) != (call.quantization is None):
        raise NotImplementedError(f"{node.name}: weights of one kind and values of another")
    strides, dilations = _pair(call.argument(3) or 1), _pair(call.argument(5) or 1)
    shape = shape_of(node)
    inside, sides = _sides(value.shape, shape, weights.kernel.shape, strides, dilations, call)
    if sides is not None:
        value = padded(writer, value, sides)
    depthwise = weights.groups > 1 and weights.groups == value.shape[1]
    options: Any = schema.DepthwiseConv2DOptionsT() if depthwise else schema.Conv2DOptionsT()
    options.padding = inside
    options.strideH, options.strideW = strides
    options.dilationHFactor, options.dilationWFactor = dilations
    options.fusedActivationFunction = call.activation
    if depthwise:
        options.depthMultiplier = shape[1] // weights.groups
    inputs = [value, *_parameters(writer, weights, value.quantization, depthwise=depthwise)]
    op = Op.DEPTHWISE_CONV_2D if depthwise else Op.CONV_2D
    return writer.emit(op, inputs, shape, call.quantization, options)


def padded(writer: Writer, value: Value, sides: Sides) -> Value:
    """An image in NHWC with zeros around it."""
    (above, below), (left, right) = sides
    batch, channels, height, width = value.shape
    shape = (batch, channels, above + height + below, left + width + right)
    amounts = writer.model.integers([[0, 0], [above, below], [left, right], [0, 0]])
    return writer.emit(Op.PAD, [value, amounts], shape, value.quantization, schema.PadOptionsT())


def _parameters(
    writer: Writer, weights: Weights, read: Quantization | None, *, depthwise: bool
) -> tuple[int, int]:
    """Kernel and bias as constants of the file: (O,h,w,I), or depthwise (1,h,w,O)."""
    kernel = weights.kernel.transpose((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
    if weights.scale is None:
        return writer.constant(kernel), writer.constant(weights.bias.astype(np.float32))
    assert read is not None
    own = Quantization.of_channels(weights.scale, 3 if depthwise else 0)
    return writer.constant(kernel, own), writer.constant(*integer_bias(weights, read))


def _sides(
    read: tuple[int, ...],
    written: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: tuple[int, int],
    dilations: tuple[int, int],
    call: Call,
) -> tuple[int, Sides | None]:
    """TFLite's kind of padding, and what a PAD has to add because neither kind does."""
    amounts = _pair(call.argument(4) or 0)
    if amounts == (0, 0):
        return schema.Padding.VALID, None
    reach = [(kernel[2 + axis] - 1) * dilations[axis] + 1 for axis in (0, 1)]
    # SAME adds what the windows of the output reach beyond the input, the odd pixel at the end
    added = [
        max((written[2 + axis] - 1) * strides[axis] + reach[axis] - read[2 + axis], 0) for axis in (0, 1)
    ]
    same_size = all(written[2 + axis] == -(-read[2 + axis] // strides[axis]) for axis in (0, 1))
    if same_size and added == [2 * amounts[0], 2 * amounts[1]]:
        return schema.Padding.SAME, None
    return schema.Padding.VALID, ((amounts[0], amounts[0]), (amounts[1], amounts[1]))


def _pair(value: Any) -> tuple[int, int]:
    """An argument for height and width, given once or twice."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    return int(values[0]), int(values[-1])
