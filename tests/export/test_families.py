"""A small network of each family becomes one verified int8 delegate."""

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from edgesr import checkpoint as checkpoints
from edgesr.checkpoint import Checkpoint
from edgesr.models import create_model
from edgesr.quantization import SCHEMES, find_scheme, pt2e
from export import command, executorch

SCALE = 2
PATCH = (2, 3, 16, 16)


def calmed(name: str) -> nn.Module:
    """Fresh weights whose SR is in range: an exploding output says nothing of 8-bit levels."""
    torch.manual_seed(0)
    model = create_model(name, scale=SCALE).eval()
    lr = torch.rand(PATCH)
    with torch.no_grad():
        spread = (model(lr) - model(lr).mean()).abs().max()
        last = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)][-1]
        for parameter in last.parameters():
            parameter.mul_(min(1.0, 0.3 / spread.item()))
    return model


def saved(name: str, scheme: str, folder: Path) -> Path:
    """A checkpoint that is calibrated on noise."""
    graph = pt2e.prepare(calmed(name), find_scheme(scheme), PATCH)
    with torch.no_grad():
        graph(torch.rand(PATCH))
    pt2e.freeze(graph, torch.rand(PATCH))
    return checkpoints.save(Checkpoint(name, SCALE, scheme, graph.state_dict()), folder / "c")


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_verified_delegate(
    monkeypatch: pytest.MonkeyPatch, small: str, scheme: str, tmp_path: Path
) -> None:
    checkpoint = saved(small, scheme, tmp_path)
    arguments = ["--checkpoint", str(checkpoint), "--tile", "16x20", "--overlap", "4"]
    monkeypatch.setattr(sys, "argv", ["export.executorch", *arguments, "--out", str(tmp_path)])
    command.main(executorch)
    report = json.loads(next(tmp_path.glob("*.report.json")).read_text())
    assert report["verdict"]["failures"] == []
    assert report["census"]["partitions"] == 1
    assert report["census"]["outside"] == []
