"""Merged groups compute the integers that they computed apart."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.fx import Graph, GraphModule

from edgesr.checkpoint import Checkpoint
from edgesr.models import MODELS
from edgesr.quantization import find_scheme, pt2e
from edgesr.quantization.groups import block_diagonal, conv2d, merge_groups, merged
from export import pipeline
from export.pipeline import Request


class Grouped(nn.Module):
    """Convolutions of 16 channels in 4 groups, passed twice, in 8, and a depthwise one."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.tail = nn.Conv2d(3, 16, 1), nn.Conv2d(16, 12, 1)
        self.twice = nn.Conv2d(16, 16, 3, stride=1, padding=1, groups=4)
        self.narrow = nn.Conv2d(16, 16, 3, padding=2, dilation=2, groups=8, bias=False)
        self.deep = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.twice(self.twice(self.head(lr).relu()).relu())
        return self.shuffle(self.tail(self.deep(self.narrow(x).relu()).relu()))


SHAPE = (1, 3, 9, 8)


def trained() -> GraphModule:
    graph = pt2e.prepare(Grouped(), find_scheme("int8"), SHAPE)
    with torch.no_grad():
        graph(torch.rand(SHAPE))
    pt2e.freeze(graph, torch.rand(SHAPE))
    return graph


def groups_of(graph: Graph) -> list[int]:
    return [node.args[6] for node in graph.nodes if node.target is conv2d and len(node.args) > 6]  # pyright: ignore


def test_a_graph_computes_what_it_computed() -> None:
    graph, lr = trained(), torch.rand(SHAPE)
    converted = pt2e.convert(graph, fold_weights=True)
    before = converted(lr)
    merge_groups(converted)
    assert groups_of(converted.graph) == [1, 1, 1, 16]
    assert (converted(lr) - before).abs().max() < 1e-6
    unfolded = pt2e.convert(graph, fold_weights=False)
    merge_groups(unfolded)
    assert torch.equal(unfolded(lr), before), "weights that are not folded stay as they are"


def test_what_is_lowered_has_merged_groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(MODELS, "mlrn", replace(MODELS["mlrn"], build=lambda scale: Grouped()))
    checkpoint = Checkpoint("mlrn", 2, "int8", trained().state_dict())
    _, program, inexact = pipeline.build(Request(checkpoint, SHAPE[2:], 0, tmp_path, [], None), True)
    assert groups_of(program.graph) == [16]  # one group is the default, which is not written
    assert inexact == 0


@pytest.mark.parametrize(
    ("groups", "inputs", "outputs", "many"),
    [
        (4, 4, 4, 4),  # MSFIN-S at full size: one convolution of 16
        (4, 8, 8, 2),  # at half: two of 16
        (4, 16, 16, 1),  # at a quarter nothing is idle
        (6, 4, 4, 3),  # MSFIN at full size: two of 12, which 24 in one piece would not equal
        (16, 1, 1, 1),  # depthwise
    ],
)
def test_groups_are_merged_while_nothing_is_multiplied_for_it(
    groups: int, inputs: int, outputs: int, many: int
) -> None:
    assert merged(groups, inputs, outputs) == many


@pytest.mark.parametrize("many", [1, 2, 3, 6])
def test_wide_weights_convolve_alike(many: int) -> None:
    weight, image = torch.randint(-127, 128, (24, 4, 3, 3)).double(), torch.rand(1, 24, 7, 5).double()
    wide = block_diagonal(weight, 6, many)
    expected = nn.functional.conv2d(image, weight, groups=6)
    torch.testing.assert_close(nn.functional.conv2d(image, wide, groups=6 // many), expected)
