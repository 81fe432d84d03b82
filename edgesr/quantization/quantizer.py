"""Which tensors of a captured super-resolution graph are quantized, and which share a scale.

The rules are those that the integer kernels of XNNPACK, TFLite and Core ML have in common:

- operators that only move values share the scale of their input;
- concatenated tensors share one scale;
- a clamp or ReLU that alone reads a convolution is fused into it;
- sigmoid and softmax outputs have a fixed scale;
- an edge is quantized once: a reader uses what the writer wrote;
- inside a `FloatIsland` nothing is quantized but what leaves it;
- a `OneHot` convolution copies integers: its weights are 0 and 1, its output has its input's scale.

An operator without a rule is an error, never a silent float island.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpecBase,
    Quantizer,
    SharedQuantizationSpec,
)

from edgesr.quantization.edge_form.parts import FloatIsland, OneHot
from edgesr.quantization.scheme import Scheme

aten = torch.ops.aten
KEY = "quantization_annotation"

WEIGHTED = {aten.conv2d.default: 0, aten.linear.default: 0, aten.conv_transpose2d.input: 1}
"""Operator → its weight's output-channel axis."""
BINARY = {aten.add.Tensor, aten.add_.Tensor, aten.sub.Tensor, aten.mul.Tensor}
CLAMPS = {aten.relu.default, aten.relu_.default, aten.clamp.default, aten.hardtanh.default}
SAME_SCALE = {
    aten.slice.Tensor,
    aten.pixel_shuffle.default,
    aten.pad.default,
    aten.permute.default,
    aten.reshape.default,
    aten.view.default,
    aten.squeeze.dim,
    aten.unsqueeze.default,
    aten.max_pool2d.default,
    # 0.2 of a value on the input's own scale is what both runtimes compute bit for bit
    aten.leaky_relu.default,
    aten.leaky_relu_.default,
}
OWN_SCALE = {
    aten.prelu.default,
    aten.gelu.default,
    aten.adaptive_avg_pool2d.default,
    aten.mean.dim,
    aten.upsample_bilinear2d.vec,  # on its input's scale, simple ratios make it full of rounding ties
}
UNIT = {aten.sigmoid.default, aten.softmax.int}


class SuperResolutionQuantizer(Quantizer):
    """Annotates a captured graph for a scheme: image in, image out, everything between."""

    def __init__(self, scheme: Scheme) -> None:
        super().__init__()
        self.scheme = scheme
        self.rules: dict[Callable[..., object], Callable[[Node], None]] = {
            aten.cat.default: self._cat,
            **dict.fromkeys(WEIGHTED, self._weighted),
            **dict.fromkeys(BINARY, self._binary),
            **dict.fromkeys(CLAMPS, self._clamp),
            **dict.fromkeys(SAME_SCALE, self._same_scale),
            **dict.fromkeys(OWN_SCALE, self._own_scale),
            **dict.fromkeys(UNIT, self._unit),
        }

    def annotate(self, model: GraphModule) -> GraphModule:
        """Annotate every node. NotImplementedError for an operator without a rule."""
        for node in model.graph.nodes:
            if node.op == "placeholder":
                _set(node, {}, self.scheme.pixel)
            elif node.op == "call_function" and is_inside(node, FloatIsland):
                _set(node, {}, None)
            elif node.op == "call_function":
                if node.target not in self.rules:
                    raise NotImplementedError(f"no quantization rule for {node.target} ({node.name})")
                self.rules[node.target](node)
        self._pin_output(model)
        return model

    def validate(self, model: GraphModule) -> None:
        """Nothing further: `annotate` leaves no node without an annotation."""

    def _weighted(self, node: Node) -> None:
        image, weight = _node(node.args[0]), _node(node.args[1])
        if is_inside(node, OneHot):
            _set(node, {image: self._read(image, node), weight: self.scheme.one}, _as_read(image, node))
            return
        axis = WEIGHTED[node.target]  # pyright: ignore[reportArgumentType]
        output = None if _is_fused(node) else self.scheme.activation
        _set(node, {image: self._read(image, node), weight: self.scheme.weight(axis)}, output)

    def _binary(self, node: Node) -> None:
        operands = [_node(argument) for argument in node.args[:2]]
        output = None if _is_fused(node) else self.scheme.activation
        _set(node, {operand: self._read(operand, node) for operand in operands}, output)

    def _clamp(self, node: Node) -> None:
        source = _node(node.args[0])
        _set(
            node, {} if _is_fused(source) else {source: self._read(source, node)}, self.scheme.activation
        )

    def _same_scale(self, node: Node) -> None:
        source = _node(node.args[0])
        _set(node, {source: self._read(source, node)}, _as_read(source, node))

    def _own_scale(self, node: Node) -> None:
        source = _node(node.args[0])
        _set(node, {source: self._read(source, node)}, self.scheme.activation)

    def _unit(self, node: Node) -> None:
        source = _node(node.args[0])
        _set(node, {source: self._read(source, node)}, self.scheme.unit)

    def _cat(self, node: Node) -> None:
        """All read one scale. torchao then gives it to every writer that chooses its own, too."""
        sources = list(dict.fromkeys(_node(source) for source in node.args[0]))  # pyright: ignore
        free = (s for s in sources if _annotation(s).output_qspec is self.scheme.activation)
        first = next(free, sources[0])
        shared = _as_read(first, node)
        readings: dict[Node, QuantizationSpecBase] = dict.fromkeys(sources, shared)
        readings[first] = self.scheme.activation if _is_float(first) else SharedQuantizationSpec(first)
        _set(node, readings, shared)

    def _read(self, source: Node, reader: Node) -> QuantizationSpecBase:
        """How `reader` sees `source`: as its writer wrote it.

        Constants have no writer, and a float value is quantized by who reads it: so it stays float for
        the next float island. All its readers share one scale.
        """
        if source.op == "get_attr":
            return self.scheme.activation
        if _is_float(source):
            first = _first_reader(source)
            shared = SharedQuantizationSpec((source, first))
            return self.scheme.activation if first is reader else shared
        return SharedQuantizationSpec(source)

    def _pin_output(self, model: GraphModule) -> None:
        """The image leaves on the pixel grid: found behind the operators that only move values."""
        reader, node = None, _node(model.graph.output_node().args[0][0])  # pyright: ignore
        while node.target in SAME_SCALE:
            reader, node = node, _node(node.args[0])
        if reader is not None and _is_float(node):
            _annotation(reader).input_qspec_map[node] = self.scheme.pixel
        else:
            _annotation(node).output_qspec = self.scheme.pixel


def is_inside(node: Node, kind: type[nn.Module]) -> bool:
    """Whether a module of this class, or of one derived from it, computes this node."""
    modules = (name for _, name in node.meta.get("nn_module_stack", {}).values())
    return any(name in _names(kind) for name in modules)


def _names(kind: type[nn.Module]) -> frozenset[str]:
    """Qualified names of a class and all that are derived from it, as captured graphs hold them."""
    names = {f"{kind.__module__}.{kind.__qualname__}"}
    return frozenset(names.union(*map(_names, kind.__subclasses__())))


def _is_float(node: Node) -> bool:
    return node.op == "call_function" and is_inside(node, FloatIsland)


def _first_reader(source: Node) -> Node:
    """The first of a float value's readers that is outside the islands, as the graph runs."""
    return min(reader for reader in source.users if not _is_float(reader))


def _as_read(source: Node, reader: Node) -> SharedQuantizationSpec:
    """The scale with which `reader` reads `source`."""
    return SharedQuantizationSpec((source, reader) if _is_float(source) else source)


def _is_fused(node: Node) -> bool:
    """Whether a clamp is this operator's only reader, so that a kernel computes both at once."""
    readers = list(node.users)
    writes = node.target in WEIGHTED or node.target in BINARY
    return writes and len(readers) == 1 and readers[0].target in CLAMPS


def _node(argument: object) -> Node:
    if not isinstance(argument, Node):
        raise NotImplementedError(f"a Python scalar operand ({argument}) has no quantization rule")
    return argument


def _annotation(node: Node) -> QuantizationAnnotation:
    return node.meta[KEY]


def _set(
    node: Node, inputs: dict[Node, QuantizationSpecBase], output: QuantizationSpecBase | None
) -> None:
    node.meta[KEY] = QuantizationAnnotation(
        input_qspec_map=dict(inputs), output_qspec=output, _annotated=True
    )
