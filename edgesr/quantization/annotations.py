"""A captured graph's quantization annotations: what is float, and which places share a scale."""

from torch import nn
from torch.fx import Node
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpecBase,
    SharedQuantizationSpec,
)

KEY = "quantization_annotation"
FLOAT = "edgesr_float"
"""Of a node's meta: whether its result stays float."""

Place = Node | tuple[Node, Node]
"""What a scale belongs to: a node's output, or a float value as its first reader sees it."""


def is_inside(node: Node, kind: type[nn.Module]) -> bool:
    """Whether a module of this class, or of one derived from it, computes this node."""
    modules = (name for _, name in node.meta.get("nn_module_stack", {}).values())
    return any(name in _names(kind) for name in modules)


def _names(kind: type[nn.Module]) -> frozenset[str]:
    """Qualified names of a class and all that are derived from it, as captured graphs hold them."""
    names = {f"{kind.__module__}.{kind.__qualname__}"}
    return frozenset(names.union(*map(_names, kind.__subclasses__())))


def is_float(node: Node) -> bool:
    """Whether the result of a node of an annotated graph stays float."""
    return node.meta.get(FLOAT, False)


def as_read(source: Node, reader: Node) -> SharedQuantizationSpec:
    """The scale with which `reader` reads `source`."""
    return SharedQuantizationSpec((source, reader) if is_float(source) else source)


def place_of(value: Node) -> Place:
    """Where a value gets its scale: float ones at their first reader outside the islands."""
    if not is_float(value):
        return value
    return value, min(reader for reader in value.users if not is_float(reader))


def chosen_at(place: Place) -> Place:
    """Where the scale that is shared here was chosen."""
    while isinstance(spec := spec_at(place), SharedQuantizationSpec):
        place = spec.edge_or_node
    return place


def order(place: Place) -> Node:
    """The node at which torchao comes to a place."""
    return place if isinstance(place, Node) else place[1]


def spec_at(place: Place) -> QuantizationSpecBase | None:
    """What the annotations say of a place."""
    if isinstance(place, Node):
        return annotation(place).output_qspec
    value, reader = place
    return annotation(reader).input_qspec_map[value]


def respecify(place: Place, spec: QuantizationSpecBase) -> None:
    """Say something else of a place."""
    if isinstance(place, Node):
        annotation(place).output_qspec = spec
    else:
        value, reader = place
        annotation(reader).input_qspec_map[value] = spec


def annotation(node: Node) -> QuantizationAnnotation:
    """What `annotate` wrote."""
    return node.meta[KEY]


def annotate(
    node: Node, inputs: dict[Node, QuantizationSpecBase], output: QuantizationSpecBase | None
) -> None:
    """Say how a node reads its inputs and how it writes; None for an output that stays float."""
    node.meta[KEY] = QuantizationAnnotation(
        input_qspec_map=dict(inputs),
        output_qspec=output,
        allow_implicit_sharing=False,  # what shares a scale is said here, all of it
        _annotated=True,
    )
