"""A small network of each family becomes an .mlpackage that is proven to be its graph."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edgesr.engines import open_artifact
from edgesr.models import MODELS
from export import command, coreml

CASES = [
    *((name, 4) for name in ("lffn-s", "msfin-s", "maffsrn", "osffnet", "mlrn")),
    *((name, scale) for name in ("lffn-s", "msfin-s") for scale in (2, 3)),
]
FAMILY = {"msfin-s": "msfin"}
"""The one of whose small networks stands for a size of it."""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "scale"), CASES)
@pytest.mark.parametrize("scheme", ["fp32", "w8a8"])
def test_proven_package(
    monkeypatch: pytest.MonkeyPatch,
    small_networks: dict[str, Callable[[int], torch.nn.Module]],
    calibrated: Callable[[str, int, str | None], Path],
    tmp_path: Path,
    name: str,
    scale: int,
    scheme: str,
) -> None:
    build = small_networks[FAMILY.get(name, name)]
    monkeypatch.setitem(MODELS, name, replace(MODELS[name], build=build))
    checkpoint = calibrated(name, scale, None if scheme == "fp32" else scheme)
    report = export(monkeypatch, checkpoint, tmp_path)
    assert report["verdict"]["failures"] == []
    assert report["proof"]["float32_twin_max_levels"] <= (0.001 if scheme == "fp32" else 0.0)
    assert report["facts"]["precision"] == ("fp32" if scheme == "fp32" else "fp16")
    census = report["census"]
    assert (census["int8_ops"] == 0) == (scheme == "fp32")
    assert (census["partitions"], census["outside"]) == (1, [])

    artifact = open_artifact(tmp_path / f"{name}_x{scale}_{scheme}_24x24.mlpackage")
    sr = artifact.upscale(torch.rand(1, 3, 24, 24))
    assert sr.shape == (1, 3, 24 * scale, 24 * scale)
    assert torch.equal(sr * 255, (sr * 255).round()), "images are of whole levels"


def export(monkeypatch: pytest.MonkeyPatch, checkpoint: Path, out: Path) -> dict[str, Any]:
    """`python -m export.coreml` in this process; its report."""
    arguments = ["--checkpoint", str(checkpoint), "--tile", "24x24", "--overlap", "4"]
    monkeypatch.setattr(sys, "argv", ["export.coreml", *arguments, "--out", str(out)])
    command.main(coreml)
    return json.loads(next(out.glob("*.report.json")).read_text())
