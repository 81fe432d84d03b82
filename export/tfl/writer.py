"""A captured graph (NCHW, quantize and dequantize nodes) as a .tflite (NHWC, quantized tensors)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.fx import Node

from export.program import Graph, is_dequantize, is_quantize, quantization, shape_of
from export.stored import Quantization
from export.tfl.channels import orders
from export.tfl.model import Model, Op, schema
from export.tfl.profiles import MOVES, Profile

aten = torch.ops.aten
Order = tuple[int, ...]
NHWC: Order = (0, 2, 3, 1)
FUSES = {aten.conv2d.default, aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor}
"""Operators whose kernel can apply a ReLU to what it writes."""
RELU = schema.ActivationFunctionType.RELU
UINT8_SHIFT = 128
"""From a uint8 image to the same one in int8."""


@dataclass(frozen=True)
class Value:
    """A tensor of the file, and how it holds a tensor of the graph."""

    index: int
    shape: tuple[int, ...]
    """As in the graph."""
    order: Order
    """The graph's dimensions, as they follow one another in memory."""
    quantization: Quantization | None
    """None: float."""

    @property
    def physical(self) -> list[int]:
        """The shape as in the file."""
        return [self.shape[dimension] for dimension in self.order]


@dataclass(frozen=True)
class Call:
    """An operator of the graph that is being written."""

    node: Node
    end: Node
    """Whose value the operator of the file computes: `node`, or the ReLU that is fused into it."""
    quantization: Quantization | None
    """Of what it writes; None: it computes in float."""

    @property
    def activation(self) -> int:
        """What is fused into it."""
        return RELU if self.end is not self.node else schema.ActivationFunctionType.NONE

    def argument(self, position: int, default: Any = None) -> Any:
        """A positional argument, or its default."""
        return self.node.args[position] if position < len(self.node.args) else default


class Writer:
    """Writes one graph. `export.tfl.rules` says how each operator is written."""

    def __init__(self, graph: Graph, profile: Profile, rules: Mapping[Any, "Rule"]) -> None:
        self.graph, self.profile, self.rules = graph, profile, rules
        self.model = Model()
        self.values: dict[Node, Value] = {}
        self.channel_orders = orders(graph)
        self.size_is_fixed = False
        """Whether something in the file holds only for this height and width."""
        self._name = "image"
        self._known: dict[tuple[int, object], Value] = {}

    def write(self, metadata: Mapping[str, str], *, unsigned: bool) -> bytes:
        """The file; `unsigned`: its images are uint8 rather than int8."""
        image = None
        for node in self.graph.nodes:
            self._name = node.name
            if node is self.graph.image:
                image, self.values[node] = self._image(node, unsigned)
            elif is_quantize(node):
                self.values[node] = self._quantized(node)
            elif self._is_written(node):
                self._call(node)
        upscaled = self.read(self.graph.upscaled, quantized=True)
        if unsigned:
            upscaled = self.emit(
                Op.QUANTIZE, [upscaled], upscaled.shape, _unsigned(upscaled), dtype=np.uint8
            )
        assert image is not None
        return self.model.finish(image, upscaled.index, metadata, free=not self.size_is_fixed)

    def read(self, node: Node, *, quantized: bool, order: Order | None = None) -> Value:
        """What a node of the graph computes, in float or as it is, in NHWC or in this order."""
        value = self.value(node, quantized=quantized)
        return self.arranged(value, order or nhwc(value.shape))

    def value(self, node: Node, *, quantized: bool) -> Value:
        """The same, in whatever order it lies there."""
        source = node.args[0] if is_dequantize(node) else node
        assert isinstance(source, Node)
        value = self.values[source]
        if quantized or value.quantization is None:
            return value
        return self._once(
            value,
            "float",
            lambda: self.emit(Op.DEQUANTIZE, [value], value.shape, None, order=value.order),
        )

    def emit(
        self,
        op: int,
        inputs: Sequence[Value | int],
        shape: Sequence[int],
        quantization: Quantization | None,
        options: Any = None,
        *,
        order: Order | None = None,
        dtype: type = np.int8,
    ) -> Value:
        """Add an operator with one output of this shape, as in the graph; in float if not quantized."""
        value = self.tensor(shape, quantization, order=order, dtype=dtype)
        self.operator(op, inputs, [value], options)
        return value

    def operator(
        self, op: int, inputs: Sequence[Value | int], outputs: Sequence[Value], options: Any = None
    ) -> None:
        """Add an operator; an input is a value or the index of a constant."""
        given = [source.index if isinstance(source, Value) else source for source in inputs]
        self.model.operator(op, given, [value.index for value in outputs], options)

    def tensor(
        self,
        shape: Sequence[int],
        quantization: Quantization | None,
        *,
        order: Order | None = None,
        dtype: type = np.int8,
    ) -> Value:
        """Add a tensor that is computed, named after the node that is being written."""
        order = order or nhwc(shape)
        physical = [shape[dimension] for dimension in order]
        kind = np.float32 if quantization is None else dtype
        return Value(
            self.model.tensor(self._name, physical, kind, quantization),
            tuple(shape),
            order,
            quantization,
        )

    def constant(self, values: Any, quantization: Quantization | None = None) -> int:
        """Add a constant, named in the same way."""
        return self.model.constant(self._name, values, quantization)

    def arranged(self, value: Value, order: Order) -> Value:
        """A value in another order: as it is, by a RESHAPE, or where data move by a TRANSPOSE."""
        if value.order == order:
            return value
        return self._once(value, order, lambda: self._rearranged(value, order))

    def reshaped(self, value: Value, shape: Sequence[int], order: Order) -> Value:
        """The same numbers in memory under another shape, as in the graph, and order."""
        physical = [shape[dimension] for dimension in order]
        options: Any = schema.ReshapeOptionsT()
        options.newShape = np.array(physical, np.int32)
        self.fix_size(value.shape)
        inputs = [value, self.model.integers(physical)]
        return self.emit(Op.RESHAPE, inputs, shape, value.quantization, options, order=order)

    def fix_size(self, shape: Sequence[int]) -> None:
        """Something was written that holds for this size only, unless the image's does not change it."""
        if len(shape) != 4 or max(shape[2:]) > 1:
            self.size_is_fixed = True

    def _image(self, node: Node, unsigned: bool) -> tuple[int, Value]:
        """The input of the file, and what the graph calls so."""
        shapes = {is_quantize(user) for user in node.users}
        if shapes != {True}:
            value = self.tensor(shape_of(node), None)
            return value.index, value
        value = self.tensor(shape_of(node), quantization(next(iter(node.users))))
        if not unsigned:
            return value.index, value
        given = self.tensor(shape_of(node), _unsigned(value), dtype=np.uint8)
        self.operator(Op.QUANTIZE, [given], [value])
        return given.index, value

    def _quantized(self, node: Node) -> Value:
        """A quantize node: what computed the value has done so already, or it is an operator."""
        wanted, source = quantization(node), node.args[0]
        assert isinstance(source, Node)
        if wanted.equals(self.value(source, quantized=True).quantization):
            return self.value(source, quantized=True)
        direct = self.profile.requantizes
        value = self.value(source, quantized=direct)
        return self.emit(Op.QUANTIZE, [value], value.shape, wanted, order=value.order)

    def _is_written(self, node: Node) -> bool:
        """Whether a node is an operator of the file, and no other has computed it with its own."""
        read_through = is_dequantize(node) or self.graph.is_constant(node)
        return node.op == "call_function" and not read_through and node not in self.values

    def _call(self, node: Node) -> None:
        if node.target not in self.rules:
            raise NotImplementedError(f"no TFLite operator for {node.target} ({node.name})")
        end = _fused(node)
        call = Call(node, end, self._integers(node, end))
        self.values[end] = self.rules[node.target](self, call)

    def _integers(self, node: Node, end: Node) -> Quantization | None:
        """How a node's result is quantized, if an integer kernel can compute it."""
        reads = self.graph.activations(node)
        if node.target not in self.profile.integer or not all(map(is_dequantize, reads)):
            return None
        if node.target in FUSES and not all(isinstance(value, Node) for value in node.args[:2]):
            return None  # a number that nobody has quantized
        if not all(map(is_quantize, end.users)):
            return None
        own, *others = (quantization(user) for user in end.users)
        if not all(own.equals(other) for other in others):
            return None
        moved = node.target in MOVES
        if moved and not all(own.equals(self.value(r, quantized=True).quantization) for r in reads):
            return None
        return own

    def _rearranged(self, value: Value, order: Order) -> Value:
        if _moving(value.shape, value.order) == _moving(value.shape, order):
            return self.reshaped(value, value.shape, order)
        axes = self.model.integers([value.order.index(dimension) for dimension in order])
        options = schema.TransposeOptionsT()
        return self.emit(
            Op.TRANSPOSE, [value, axes], value.shape, value.quantization, options, order=order
        )

    def _once(self, value: Value, form: object, make: Callable[[], Value]) -> Value:
        """Another form of a value, made when it is first asked for."""
        key = (value.index, form)
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


Rule = Callable[[Writer, Call], Value]
"""Writes one operator of the graph; returns what it computes."""


def nhwc(shape: Sequence[int]) -> Order:
    """The order that TFLite's operators want: images with the channels last, all else as it is."""
    return NHWC if len(shape) == 4 else tuple(range(len(shape)))


def _moving(shape: Sequence[int], order: Order) -> list[int]:
    """The dimensions that matter to how numbers follow one another: those of more than one."""
    return [dimension for dimension in order if shape[dimension] > 1]


def _fused(node: Node) -> Node:
    """The ReLU that alone reads an operator which can compute it, too; else the node itself."""
    users = list(node.users)
    fuses = node.target in FUSES and len(users) == 1 and users[0].target is aten.relu.default
    return users[0] if fuses else node


def _unsigned(value: Value) -> Quantization:
    assert value.quantization is not None
    own = value.quantization
    return Quantization(own.scale, own.zero_point + UINT8_SHIFT)
