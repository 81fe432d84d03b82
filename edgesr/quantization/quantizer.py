"""Which tensors of a captured super-resolution graph are quantized, and which share a scale.

The rules are those that the integer kernels of XNNPACK, TFLite and Core ML have in common:

- operators that only move values share the scale of their input;
- concatenated tensors share one scale;
- a clamp or ReLU that alone reads a convolution is fused into it;
- sigmoid and softmax outputs have a fixed scale;
- an edge is quantized once: a reader uses what the writer wrote;
- inside a `FloatIsland` nothing is quantized but what leaves it;
- in a precise scheme sums are float: a trunk of them is rounded for its readers, never for itself;
- a `OneHot` convolution copies integers: its weights are 0 and 1, its output has its input's scale.

An operator without a rule is an error, never a silent float island.
"""

from collections.abc import Callable

import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e.quantizer import (
    QuantizationSpecBase,
    Quantizer,
    SharedQuantizationSpec,
)

from edgesr.quantization.annotations import (
    FLOAT,
    annotate,
    annotation,
    as_read,
    chosen_at,
    is_float,
    is_inside,
    order,
    place_of,
    respecify,
    spec_at,
)
from edgesr.quantization.edge_form.parts import FloatIsland, OneHot, Precise
from edgesr.quantization.scheme import Scheme

aten = torch.ops.aten
WEIGHTED = {aten.conv2d.default: 0, aten.linear.default: 0, aten.conv_transpose2d.input: 1}
"""Operator → its weight's output-channel axis."""
SUMS = {aten.add.Tensor, aten.add_.Tensor, aten.sub.Tensor}
BINARY = {*SUMS, aten.mul.Tensor}
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
            node.meta[FLOAT] = self._stays_float(node)
        for node in model.graph.nodes:
            if node.op == "placeholder":
                annotate(node, {}, self.scheme.pixel)
            elif is_float(node):
                annotate(node, {}, None)
            elif node.op == "call_function":
                if node.target not in self.rules:
                    raise NotImplementedError(f"no quantization rule for {node.target} ({node.name})")
                self.rules[node.target](node)
        self._pin_output(model)
        return model

    def validate(self, model: GraphModule) -> None:
        """Nothing further: `annotate` leaves no node without an annotation."""

    def _stays_float(self, node: Node) -> bool:
        if node.op != "call_function":
            return False
        if is_inside(node, Precise) or (node.target in SUMS and not is_inside(node, FloatIsland)):
            return self.scheme.precise
        return is_inside(node, FloatIsland)

    def _weighted(self, node: Node) -> None:
        image, weight = _node(node.args[0]), _node(node.args[1])
        if is_inside(node, OneHot):
            annotate(
                node, {image: self._read(image, node), weight: self.scheme.one}, as_read(image, node)
            )
            return
        axis = WEIGHTED[node.target]  # pyright: ignore[reportArgumentType]
        output = None if _is_fused(node) else self.scheme.activation
        annotate(node, {image: self._read(image, node), weight: self.scheme.weight(axis)}, output)

    def _binary(self, node: Node) -> None:
        operands = [_node(argument) for argument in node.args[:2]]
        output = None if _is_fused(node) else self.scheme.activation
        annotate(node, {operand: self._read(operand, node) for operand in operands}, output)

    def _clamp(self, node: Node) -> None:
        source = _node(node.args[0])
        annotate(
            node, {} if _is_fused(source) else {source: self._read(source, node)}, self.scheme.activation
        )

    def _same_scale(self, node: Node) -> None:
        source = _node(node.args[0])
        annotate(node, {source: self._read(source, node)}, as_read(source, node))

    def _own_scale(self, node: Node) -> None:
        source = _node(node.args[0])
        annotate(node, {source: self._read(source, node)}, self.scheme.activation)

    def _unit(self, node: Node) -> None:
        source = _node(node.args[0])
        annotate(node, {source: self._read(source, node)}, self.scheme.unit)

    def _cat(self, node: Node) -> None:
        """All read one scale, and whoever chose a scale of its own for one of them takes it, too."""
        sources = list(dict.fromkeys(_node(source) for source in node.args[0]))  # pyright: ignore
        annotate(node, {source: self._read(source, node) for source in sources}, None)
        chosen = dict.fromkeys(chosen_at(place_of(source)) for source in sources)
        free = [place for place in chosen if spec_at(place) is self.scheme.activation]
        first = min(free or chosen, key=order)  # torchao wants it to be there before those who share it
        shared = SharedQuantizationSpec(first)
        for place in free:
            if place != first:
                respecify(place, shared)
        readings = annotation(node).input_qspec_map
        for source in sources:
            if (source, node) != first:
                readings[source] = shared
        annotation(node).output_qspec = shared

    def _read(self, source: Node, reader: Node) -> QuantizationSpecBase:
        """How `reader` sees `source`: as its writer wrote it.

        Constants have no writer, and a float value is quantized by who reads it: so it stays float for
        the next float island. All its readers share one scale.
        """
        if source.op == "get_attr":
            return self.scheme.activation
        place = place_of(source)
        return self.scheme.activation if place == (source, reader) else SharedQuantizationSpec(place)

    def _pin_output(self, model: GraphModule) -> None:
        """The image leaves on the pixel grid: found behind the operators that only move values."""
        reader, node = None, _node(model.graph.output_node().args[0][0])  # pyright: ignore
        while node.target in SAME_SCALE:
            reader, node = node, _node(node.args[0])
        if reader is not None and is_float(node):
            annotation(reader).input_qspec_map[node] = self.scheme.pixel
        else:
            annotation(node).output_qspec = self.scheme.pixel


def _is_fused(node: Node) -> bool:
    """Whether a clamp is this operator's only reader, so that a kernel computes both at once."""
    readers = list(node.users)
    writes = node.target in WEIGHTED or node.target in BINARY
    return writes and len(readers) == 1 and readers[0].target in CLAMPS


def _node(argument: object) -> Node:
    if not isinstance(argument, Node):
        raise NotImplementedError(f"a Python scalar operand ({argument}) has no quantization rule")
    return argument
