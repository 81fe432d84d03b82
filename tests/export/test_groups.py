"""Merged groups compute the integers that they computed apart."""

import pytest
import torch
from torch import Tensor, nn

from edgesr.quantization import find_scheme, pt2e
from export.groups import block_diagonal, conv2d, merge_groups, merged


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


def test_a_graph_computes_what_it_computed() -> None:
    shape = (1, 3, 9, 8)
    lr = torch.rand(shape)
    graph = pt2e.prepare(Grouped(), find_scheme("int8"), shape)
    with torch.no_grad():
        graph(lr)
    pt2e.freeze(graph, lr)
    converted = pt2e.convert(graph, fold_weights=True)
    before = converted(lr)
    merge_groups(converted)
    convolutions = [node for node in converted.graph.nodes if node.target is conv2d]
    assert [node.args[6] for node in convolutions if len(node.args) > 6] == [1, 1, 1, 16]
    assert (converted(lr) - before).abs().max() < 1e-6
    unfolded = pt2e.convert(graph, fold_weights=False)
    merge_groups(unfolded)
    assert torch.equal(unfolded(lr), before), "weights that are not folded stay as they are"


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
