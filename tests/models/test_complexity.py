"""Counts, exact to the digit."""

import pytest
import torch
from torch import nn

from edgesr.models import complexity as counting
from edgesr.models.complexity import complexity


@pytest.mark.parametrize(
    ("name", "scale", "params", "paper_rule", "giga"),
    [
        ("lffn-s", 2, 175_200, 173_664, "37.944"),
        ("lffn-s", 3, 186_960, 185_424, "18.117"),
        ("lffn-s", 4, 184_608, 183_072, "11.709"),
        ("msfin-s", 2, 351_851, 351_851, "45.905"),
        ("msfin-s", 3, 351_851, 351_851, "45.905"),
        ("msfin-s", 4, 351_851, 351_851, "45.905"),
        ("bicubic", 4, 0, 0, "0.000"),
    ],
)
def test_counts(name: str, scale: int, params: int, paper_rule: int, giga: str) -> None:
    count = complexity(name, scale)
    assert (count.params, count.params_paper_rule) == (params, paper_rule)
    assert f"{count.macs / 1e9:.3f}" == giga


def test_each_kind_of_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: 9·2·3 per HR pixel, 4·3·5 per LR pixel of a transposed layer, 7·2 once, pooled."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transposed = nn.ConvTranspose2d(3, 5, 2, stride=2)
            self.grouped = nn.Conv2d(5, 10, 3, padding=1, groups=5)
            self.pooled = nn.Conv2d(10, 7, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.pooled(self.grouped(self.transposed(x)).mean((2, 3), keepdim=True))

    monkeypatch.setattr(counting, "create_model", lambda name, scale: Net())
    hr_pixels = 1280 * 720
    expected = hr_pixels // 4 * (4 * 3 * 5) + hr_pixels * (9 * 10) + 7 * 10
    assert complexity("lffn-s", 2).macs == expected
