"""No network answers otherwise than it did, with weights that depend on nothing but their names."""

import json
from pathlib import Path

import pytest
import torch

from edgesr.models import MODELS, SCALES, maffsrn
from tests.golden.make_golden import answer

TOLERANCE = 0.02
"""In levels. Another number of threads moved no SR by more than 0.0004, other instructions by 0.0008."""
STEPS = (TOLERANCE, 0.1, 1.0, 10.0, 100.0)
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "networks.json").read_text())["networks"]
DEEP = ("lffn", "lffn-nf", "lffn-ns", "msfin")


def differences(found: dict, golden: dict) -> torch.Tensor:
    """Of all pixels' values, the mean and the deviation, in levels."""
    flat = [
        torch.tensor([*sum(row["pixels"], []), row["mean"], row["std"]], dtype=torch.float64)
        for row in (found, golden)
    ]
    return (flat[0] - flat[1]).abs()


def histogram(values: torch.Tensor) -> str:
    edges = [0.0, *STEPS, float("inf")]
    counts = [int(((low <= values) & (values < high)).sum()) for low, high in zip(edges, edges[1:])]
    return ", ".join(f"from {low:g}: {count}" for low, count in zip(edges, counts, strict=False))


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
def test_sr_equals_golden(golden: dict) -> None:
    off = differences(answer(golden["model"], golden["scale"]), golden)
    message = f"levels off: mean {off.mean():.3f}, max {off.max():.3f}; {histogram(off)}"
    assert off.max() < TOLERANCE, message


def test_every_network_has_a_golden() -> None:
    names = [(row["model"], row["scale"]) for row in GOLDEN]
    assert names == [(name, scale) for name in MODELS for scale in SCALES]


def test_golden_notices_a_slope(monkeypatch: pytest.MonkeyPatch) -> None:
    golden = next(row for row in GOLDEN if (row["model"], row["scale"]) == ("maffsrn", 2))
    monkeypatch.setattr(maffsrn, "SLOPE", 0.06)
    assert differences(answer("maffsrn", 2), golden).max() > 10 * TOLERANCE
