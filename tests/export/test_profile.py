"""Operators by kind: each counted once, inside of delegates and outside, and all of the run's time."""

from pathlib import Path

import matplotlib
import pytest
import torch
from torch import Tensor, nn

from edgesr.engines import executorch as engine
from export import executorch, flame
from export import profile as profiles
from export.profile import BETWEEN, Kind, kind_of, profile

SIZE = (16, 20)


def test_profile_adds_up(monkeypatch: pytest.MonkeyPatch) -> None:
    adds = [("Add (ND) #1", [1.0, 2.0]), ("Add (ND) #12", [3.0, 2.0])]
    events = [*adds, ("Mean (ND) #1", [5.0, 9.0]), ("Method::execute", [11.0, 15.0])]
    monkeypatch.setattr(engine, "trace", lambda *_: b"")
    monkeypatch.setattr(profiles, "_events", lambda dump: events)
    assert profile(Path("a.pte"), (8, 8), 2) == [
        Kind("Mean (ND)", 5.0, 0.5, 1, (5.0,)),
        Kind("Add (ND)", 3.0, 0.3, 2, (1.0, 2.0)),
        Kind(BETWEEN, 2.0, 0.2, 0),
    ]
    assert kind_of("Convolution (NHWC, F32) DWConv #10") == "Convolution (NHWC, F32) DWConv"
    assert kind_of("native_call_cumsum.out") == "cumsum.out"


def test_flame_graph(tmp_path: Path) -> None:
    kinds = [Kind("Mean", 5.0, 0.5, 1, (5.0,)), Kind("Add", 3.0, 0.3, 2, (1.0, 2.0))]
    kinds.append(Kind(BETWEEN, 2.0, 0.2, 0))
    assert list(flame.blocks(kinds)) == [
        (1, 0.0, 5.0, 0),
        (2, 0.0, 5.0, 0),
        (1, 5.0, 3.0, 1),
        (2, 5.0, 2.0, 1),
        (2, 7.0, 1.0, 1),
        (1, 8.0, 2.0, 2),
    ]
    plot = tmp_path / "flame.svg"
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        flame.draw([("a.pte", kinds), ("b.pte", kinds[:1])], plot)
    drawn = plot.read_text()
    assert all(label in drawn for label in ("a.pte: 10.0 ms", "b.pte: 5.0 ms", "Mean", "Add"))


class Partly(nn.Module):
    """Two convolutions, and between them an operator that XNNPACK does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cumsum(self.first(x), 2))


def test_profile_counts_inside_and_outside_of_delegates(tmp_path: Path) -> None:
    facts = {"scale": 2, "tile": SIZE, "overlap": 0, "multiple": 1}
    lowered = torch.export.export(Partly(), (torch.rand(1, 3, *SIZE),))
    executorch.lower(lowered, facts, tmp_path / "partly.pte")
    kinds = profile(tmp_path / "partly.pte", SIZE, 2)
    counts = {kind.name: kind.count for kind in kinds}
    assert counts["Convolution (NHWC, F32) IGEMM"] == 2
    assert counts["cumsum.out"] == 1
    assert not {"DELEGATE_CALL", "OPERATOR_CALL", "Method::execute", "Method::init"} & counts.keys()
    assert [kind.ms for kind in kinds[:-1]] == sorted((kind.ms for kind in kinds[:-1]), reverse=True)
    assert sum(kind.share for kind in kinds) == pytest.approx(1)
