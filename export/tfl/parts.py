"""Values put together and taken apart: CONCATENATION, SLICE and SPLIT."""

from collections.abc import Sequence

import torch
from torch.fx import Node

from export.program import is_dequantize, readers, shape_of
from export.stored import Quantization
from export.tfl.model import Op, schema
from export.tfl.writer import NHWC, Call, Value, Writer

aten = torch.ops.aten
PLAIN = (0, 1, 2, 3)
MOST_JOINED = 5
"""Inputs of a CONCATENATION that XNNPACK takes."""
MOST_SPLIT = 4
"""Outputs of a SPLIT that XNNPACK takes."""


def concatenation(writer: Writer, call: Call) -> Value:
    """Values of one scale, side by side; more than XNNPACK takes at once in groups."""
    sources, shape = call.argument(0), shape_of(call.node)
    axis = call.argument(1, 0) % len(shape)
    quantized = call.quantization is not None
    values = [writer.value(source, quantized=quantized) for source in sources]
    order = _order_of_joined(values, axis)
    values = [writer.arranged(value, order) for value in values]
    while len(values) > 1:
        groups = [values[i : i + MOST_JOINED] for i in range(0, len(values), MOST_JOINED)]
        values = [_joined(writer, group, axis, call.quantization) for group in groups]
    return values[0]


def slices(writer: Writer, call: Call) -> Value:
    """A part of a value; equal parts that make up the whole are one SPLIT, which any size suits."""
    node, shape = call.node, shape_of(call.node)
    value = writer.value(call.argument(0), quantized=call.quantization is not None)
    dimension, begin = call.argument(1, 0) % len(shape), call.argument(2) or 0
    if call.argument(4, 1) != 1:
        raise NotImplementedError(f"{node.name}: slices with a step")
    if shape == value.shape:
        return value
    parts = _parts(call.argument(0), dimension, value.shape[dimension])
    if node in parts:
        return _split(writer, value, parts, dimension)[node]
    begins = [begin % value.shape[d] if d == dimension else 0 for d in value.order]
    sizes = [shape[d] for d in value.order]
    writer.fix_size(value.shape)
    inputs = [value, writer.model.integers(begins), writer.model.integers(sizes)]
    options = schema.SliceOptionsT()
    return writer.emit(Op.SLICE, inputs, shape, value.quantization, options, order=value.order)


def _order_of_joined(values: Sequence[Value], axis: int) -> tuple[int, ...]:
    """NHWC; but images of one pixel that are joined over height or width stay as the graph has them.

    It costs nothing, and who reads the row of them as a matrix need not turn it round.
    """
    shape = values[0].shape
    if len(shape) != 4:
        return tuple(range(len(shape)))
    single = all(value.shape[2:] == (1, 1) for value in values)
    return PLAIN if single and axis in (2, 3) else NHWC


def _joined(
    writer: Writer, values: Sequence[Value], axis: int, quantization: Quantization | None
) -> Value:
    if len(values) == 1:
        return values[0]
    shape, order = list(values[0].shape), values[0].order
    shape[axis] = sum(value.shape[axis] for value in values)
    options = schema.ConcatenationOptionsT()
    options.axis = order.index(axis)
    return writer.emit(Op.CONCATENATION, values, shape, quantization, options, order=order)


def _parts(source: Node, dimension: int, length: int) -> list[Node]:
    """All slices of a value along a dimension, if they are equal and make up the whole; else none."""
    value = source.args[0] if is_dequantize(source) else source
    assert isinstance(value, Node)
    found = [reader for reader in readers(value) if reader.target is aten.slice.Tensor]
    found = [node for node in found if _dimension(node) == dimension]
    found.sort(key=_begin)
    each = length // len(found) if found else 0
    equal = all(
        (_begin(node), shape_of(node)[dimension]) == (i * each, each) for i, node in enumerate(found)
    )
    return found if equal and each * len(found) == length and 2 <= len(found) <= MOST_SPLIT else []


def _dimension(node: Node) -> int:
    dimension = node.args[1] if len(node.args) > 1 else 0
    assert isinstance(dimension, int)
    return dimension % len(shape_of(node))


def _begin(node: Node) -> int:
    begin = node.args[2] if len(node.args) > 2 else 0
    assert isinstance(begin, int | None)
    return begin or 0


def _split(writer: Writer, value: Value, parts: list[Node], dimension: int) -> dict[Node, Value]:
    """One operator for all parts, which then are there for the graph's other slices."""
    outputs = {
        part: writer.tensor(shape_of(part), value.quantization, order=value.order) for part in parts
    }
    options = schema.SplitOptionsT()
    options.numSplits = len(parts)
    axis = writer.model.integers(value.order.index(dimension))
    writer.operator(Op.SPLIT, [axis, value], list(outputs.values()), options)
    writer.values.update(outputs)
    return outputs
