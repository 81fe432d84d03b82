"""The census counts what is in the file: inside the delegate, outside, in float."""

from pathlib import Path

import torch
from torch import Tensor, nn

from export import executorch
from export.pte import census

FACTS = {"scale": 2, "tile": [8, 8], "overlap": 0, "multiple": 1}


class Partly(nn.Module):
    """Two float convolutions, and between them an operator that XNNPACK does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 5, 3, padding=1)
        self.last = nn.Conv2d(5, 3, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cumsum(self.first(x), 2))


def test_a_program_that_is_not_all_delegated(tmp_path: Path) -> None:
    program = torch.export.export(Partly(), (torch.rand(1, 3, 8, 8),))
    executorch.lower(program, FACTS, tmp_path / "partly.pte")
    counted = census(tmp_path / "partly.pte")
    assert counted.partitions == 2
    assert (counted.ops_outside, counted.outside) == (1, ["aten::cumsum"])
    assert counted.float_ops == ["Conv2d", "StaticTranspose"]
    assert counted.int8_ops == 0
    assert counted.float_weight_bytes == 4 * (3 * 5 * 9 + 5 + 5 * 3)
    assert counted.planned_bytes > 0
