"""The fake quantizers of a prepared graph: their names, and switching them on and off."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e import FakeQuantize

from edgesr.quantization.quantizer import WEIGHTED


@dataclass(frozen=True, eq=False)
class FakeQuantizer:
    """One fake quantizer, and what it stands behind."""

    name: str
    """Path and part, with a number where several have the same."""
    path: str
    """The module, in the edge form, whose value it rounds; empty for the whole network."""
    part: str
    """`weight`, `constant`, `input` (the network's) or `output`."""
    kind: str
    """The operator that writes the value, such as conv2d; what is not computed is its own kind."""
    block: str
    """The uppermost module that `path` is in; one that holds more than half of all is taken apart."""
    places: tuple[str, ...]
    """Every value that it rounds: more than one where they share a scale."""
    module: FakeQuantize

    @property
    def is_weight(self) -> bool:
        """Whether it rounds weights, and not activations."""
        return self.part == "weight"

    @property
    def step(self) -> float:
        """The scale: what one integer is worth. The median over the channels of weights."""
        return float(self.module.scale.median())


def fake_quantizers(graph: GraphModule) -> list[FakeQuantizer]:
    """All of a prepared graph, each once, in the order in which the network runs.

    One that several values share is named after the image, or after their concatenation, which is why
    they do, or else after the first.
    """
    positions = {node: position for position, node in enumerate(graph.graph.nodes)}
    found: dict[FakeQuantize, list[_Place]] = defaultdict(list)
    for node in positions:
        if node.op == "call_module":
            module = graph.get_submodule(str(node.target))
            if isinstance(module, FakeQuantize):
                found[module].append(_place(node, positions))
    chosen = {module: min(places, key=_standing) for module, places in found.items()}
    modules = sorted(chosen, key=lambda module: chosen[module].position)
    names = _numbered([chosen[module].name for module in modules])
    blocks = _blocks([chosen[module].path for module in modules])
    return [
        FakeQuantizer(name, own.path, own.part, own.kind, block, tuple(p.name for p in places), module)
        for name, block, module in zip(names, blocks, modules, strict=True)
        for own, places in [(chosen[module], found[module])]
    ]


class _Place(NamedTuple):
    """A value that a fake quantizer rounds."""

    position: int
    """In the graph. Of a weight, where it is read: captured graphs name all of them first."""
    path: str
    part: str
    kind: str

    @property
    def name(self) -> str:
        return f"{self.path} {self.part}".strip()


def _place(node: Node, positions: dict[Node, int]) -> _Place:
    """What the call `node` of a fake quantizer rounds."""
    source, reader = node.args[0], min(node.users, key=lambda user: positions[user])
    assert isinstance(source, Node)
    is_weight = reader.target in WEIGHTED and reader.args[1] is node
    owner = str(source.target).rpartition(".")[0] if source.op == "get_attr" else ""
    if is_weight:
        return _Place(positions[reader], owner or _path(reader), "weight", "weight")
    if source.op == "get_attr":
        return _Place(positions[reader], owner or _path(reader), "constant", "constant")
    if source.op == "placeholder":
        return _Place(positions[node], "", "input", "input")
    operator = str(source.target).split(".")[1].rstrip("_")  # aten.add_.Tensor
    return _Place(positions[node], _path(source), "output", operator)


def _path(node: Node) -> str:
    """Of the innermost module that computes a node; empty for the whole network."""
    paths = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
    return paths[-1] if paths else ""


def _standing(place: _Place) -> tuple[int, int]:
    """Which of several places gives a quantizer its name: the least."""
    return {"input": 0, "cat": 1}.get(place.kind, 2), place.position


def _numbered(names: list[str]) -> list[str]:
    """With a number behind each name that comes more than once."""
    total, seen = Counter(names), Counter[str]()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(f"{name} {seen[name]}" if total[name] > 1 else name)
    return numbered


def _blocks(paths: list[str]) -> list[str]:
    """Of each path so much that no more than half of all have the same, if they are long enough."""
    blocks = [path.split(".")[0] for path in paths]
    while True:
        largest, count = Counter(blocks).most_common(1)[0]
        depth = largest.count(".") + 2
        deeper = [
            ".".join(path.split(".")[:depth]) if block == largest else block
            for path, block in zip(paths, blocks, strict=True)
        ]
        if 2 * count <= len(paths) or deeper == blocks:
            return [block or "(network)" for block in blocks]
        blocks = deeper


@contextmanager
def switched(quantizers: list[FakeQuantizer], on: Iterable[FakeQuantizer]) -> Iterator[None]:
    """Only `on` round inside the block; afterwards all are as before."""
    chosen = {quantizer.module for quantizer in on}
    before = [bool(quantizer.module.fake_quant_enabled) for quantizer in quantizers]
    for quantizer in quantizers:
        quantizer.module.enable_fake_quant(quantizer.module in chosen)
    try:
        yield
    finally:
        for quantizer, was in zip(quantizers, before, strict=True):
            quantizer.module.enable_fake_quant(was)


@contextmanager
def watched(quantizers: list[FakeQuantizer]) -> Iterator[dict[nn.Module, list[Tensor]]]:
    """Module → lowest and highest value, per channel for weights, that it is shown in the block."""
    spans: dict[nn.Module, list[Tensor]] = {}

    def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, FakeQuantize)
        kept = module.ch_axis if module.is_per_channel else None
        axes = [axis for axis in range(inputs[0].ndim) if axis != kept]
        low, high = inputs[0].amin(axes), inputs[0].amax(axes)
        lows, highs = spans.get(module, [low, high])
        spans[module] = [torch.minimum(lows, low), torch.maximum(highs, high)]

    hooks = [quantizer.module.register_forward_pre_hook(look) for quantizer in quantizers]
    try:
        yield spans
    finally:
        for hook in hooks:
            hook.remove()


def bits(quantizer: FakeQuantizer, spans: dict[nn.Module, list[Tensor]]) -> float:
    """log2 of the steps that the values it is shown span, of `watched`; a median for weights."""
    low, high = spans[quantizer.module]
    return math.log2(1 + float(((high - low) / quantizer.module.scale).median()))
