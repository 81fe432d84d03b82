"""Programs as targets are given them."""

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgesr.quantization import find_scheme, pt2e

FACTS = {"scale": 2, "tile": [8, 8], "overlap": 0, "multiple": 1}
"""What a target is told of a tile of 8x8."""


class Chain(nn.Module):
    """Convolutions, ReLUs, a join and a pixel shuffle: nothing that int8 has no kernel for."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.body = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.wide, self.deep = nn.Conv2d(8, 8, 5, padding=2), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.tail, self.shuffle = nn.Conv2d(24, 12, 1), nn.PixelShuffle(2)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.head(lr).relu()
        y = self.body(x).relu()
        return self.shuffle(self.tail(torch.cat([self.wide(y), self.deep(y), x], 1)))


def program_of(model: nn.Module, scheme: str | None, size: tuple[int, int]) -> ExportedProgram:
    """A network calibrated on noise, as targets are given it."""
    shape = (1, 3, *size)
    if scheme is None:
        return torch.export.export(model.eval(), (torch.rand(shape),))
    graph = pt2e.prepare(model, find_scheme(scheme), shape)
    with torch.no_grad():
        graph(torch.rand(shape))
    pt2e.freeze(graph, torch.rand(shape))
    return torch.export.export(pt2e.convert(graph, fold_weights=True), (torch.rand(shape),))
