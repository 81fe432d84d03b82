"""No network answers otherwise than it did, with weights that depend on nothing but their names."""

import importlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from edgesr.models import MODELS, SCALES
from tests.golden.make_golden import answer

LEVELS = 64
"""What a standard deviation of the SR is taken for; a photograph's is about as many 8-bit levels."""
TOLERANCE = 0.01
"""Other instructions (SSE4.1, AVX2, no oneDNN) and two threads moved no value by more than 0.002."""
EDGES = (0.0, TOLERANCE, 0.1, 1.0, 10.0, torch.inf)
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "networks.json").read_text())["networks"]
DEEP = ("lffn", "lffn-nf", "lffn-ns", "msfin", "maffsrn-l")


def levels_off(found: dict[str, Any], golden: dict[str, Any]) -> Tensor:
    """How far all values of all pixels, the mean and the deviation are from the golden ones."""
    rows = [[value for pixel in row["pixels"] for value in pixel] for row in (found, golden)]
    for values, row in zip(rows, (found, golden), strict=True):
        values += [row["mean"], row["std"]]
    mine, theirs = torch.tensor(rows, dtype=torch.float64)
    return (mine - theirs).abs() * LEVELS / golden["std"]


def distribution(off: Tensor) -> str:
    """How many values are how far off."""
    counts = [
        f"{int(((low <= off) & (off < high)).sum())} from {low:g}" for low, high in pairwise(EDGES)
    ]
    return f"mean {off.mean():.3f}, max {off.max():.3f}; {', '.join(counts)}"


@pytest.mark.parametrize(
    "golden",
    [
        pytest.param(
            row,
            id=f"{row['model']}_x{row['scale']}",
            marks=pytest.mark.slow if row["model"] in DEEP and row["scale"] != 2 else (),
        )
        for row in GOLDEN
    ],
)
def test_sr_equals_golden(golden: dict[str, Any]) -> None:
    off = levels_off(answer(golden["model"], golden["scale"]), golden)
    assert off.max() < TOLERANCE, f"levels off: {distribution(off)}"


def test_every_network_has_a_golden() -> None:
    names = [(row["model"], row["scale"]) for row in GOLDEN]
    assert names == [(name, scale) for name in MODELS for scale in SCALES]


def test_golden_notices_a_slope(monkeypatch: pytest.MonkeyPatch) -> None:
    golden = next(row for row in GOLDEN if (row["model"], row["scale"]) == ("maffsrn", 2))
    monkeypatch.setattr(importlib.import_module("edgesr.models.maffsrn"), "SLOPE", 0.051)
    assert levels_off(answer("maffsrn", 2), golden).max() > TOLERANCE
