"""A small network of each family becomes an .mlpackage that is proven to be its graph."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from coremltools.converters.mil.mil import Program
from PIL import Image

from edgesr import checkpoint as checkpoints
from edgesr.__main__ import main
from edgesr.data.drawn import drawn_images
from edgesr.engines import open_artifact
from edgesr.errors import UserError
from edgesr.files import contents, sha256, size
from edgesr.models import MODELS
from edgesr.models.msfin import MSFIN
from edgesr.quantization import SCHEMES
from export import command, coreml, executorch, pipeline
from export.contenders import of_artifact as bench_entry
from recipes import evaluate

CASES = [
    *((name, 4) for name in ("lffn-s", "msfin-s", "maffsrn", "osffnet", "mlrn")),
    *((name, scale) for name in ("lffn-s", "msfin-s") for scale in (2, 3)),
]
FAMILY = {"msfin-s": "msfin"}
"""The one of whose small networks stands for a size of it."""
SIMPLER = {("msfin-s", 2), ("msfin-s", 3)}
"""At these scales MSFIN is the same but for its enlargement: half as many operations will do."""


def without_attention(scale: int) -> torch.nn.Module:
    return MSFIN(scale, features=8, groups=4, reduction=4, passes=1, attention=False)


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
    build = without_attention if (name, scale) in SIMPLER else small_networks[FAMILY.get(name, name)]
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


def export(
    monkeypatch: pytest.MonkeyPatch, checkpoint: Path, out: Path, *options: str
) -> dict[str, Any]:
    """`python -m export.coreml` in this process; its report."""
    monkeypatch.setattr(pipeline, "DRAWN_IMAGES", 1)
    arguments = ["--checkpoint", str(checkpoint), "--tile", "24x24", "--overlap", "4", *options]
    monkeypatch.setattr(sys, "argv", ["export.coreml", *arguments, "--out", str(out)])
    command.main(coreml)
    return json.loads(next(out.glob("*.report.json")).read_text())


def test_a_program_is_checked_where_it_is_read_and_written(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(
        Program,
        "validate",
        lambda self, check_essential_scope=False: asked.append(check_essential_scope),
    )
    with coreml.checked_in_the_end():
        Program().validate()
        Program().validate(check_essential_scope=True)
    Program().validate()
    assert asked == [True, False]


def test_float_in_half_precision(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    float_checkpoint: Path,
    tmp_path: Path,
) -> None:
    """The file says what it is; evaluate and upscale run it; nothing claims to be a latency."""
    out = tmp_path / "out"
    path = out / "lffn-s_x2_fp16_24x24.mlpackage"
    rejected = path.with_name(f"{path.name}.rejected")
    rejected.mkdir(parents=True)
    (rejected / "Manifest.json").touch()
    report = export(monkeypatch, float_checkpoint, out, "--precision", "fp16")
    assert not rejected.exists(), "a rejected file must not outlive the one that replaces it"
    assert report["artifact"]["file"] == path.name
    assert (report["facts"]["scheme"], report["facts"]["precision"]) == ("fp32", "fp16")
    assert report["artifact"]["bytes"] == size(path)
    assert report["artifact"]["sha256"] == sha256(path)
    assert sorted(part.name for part in contents(path)) == [
        "Manifest.json",
        "model.mlmodel",
        "weight.bin",
    ]
    assert report["latency"].keys() == {"absent"}
    assert report["memory"]["planned_bytes"] > 2 * 3 * (24 * 24 + 48 * 48)
    assert report["memory"]["peak_rss_bytes"] is None
    assert "make mac" in capsys.readouterr().out
    weights = sum(w.numel() for w in checkpoints.load(float_checkpoint).state.values())
    assert 0 < report["census"]["float_weight_bytes"] < 3 * weights

    (tmp_path / "Drawn" / "HR").mkdir(parents=True)
    picture = tmp_path / "Drawn" / "HR" / "page.png"
    Image.fromarray(drawn_images(1, 60)[0]).save(picture)
    main(["upscale", str(picture), "--artifact", str(path), "--out", str(tmp_path / "big.png")])
    assert Image.open(tmp_path / "big.png").size == (120, 120)
    monkeypatch.setattr(
        sys, "argv", ["x", "--artifact", str(path), "--benchmark", str(tmp_path / "Drawn")]
    )
    evaluate.main()
    assert "page" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"lffn-s_x2_fp16_24x24\.mlpackage .*interpreter"):
        bench_entry(open_artifact(path))


@pytest.mark.parametrize(
    ("scheme", "precision", "label"),
    [
        ("fp32", "fp32", "fp32"),
        ("fp32", "fp16", "fp16"),
        ("w8a8", "fp16", "w8a8"),
        ("w8a8", "fp32", "w8a8-fp32"),
        ("int8", "fp32", "int8-fp32"),
    ],
)
def test_labels(scheme: str, precision: str, label: str) -> None:
    assert coreml.label(scheme, {"precision": precision}) == label


def test_every_scheme_has_a_budget() -> None:
    for scheme in ("fp32", *SCHEMES):
        for precision in coreml.PRECISIONS:
            assert coreml.budget(scheme, {"precision": precision}).max_ops_outside == 0
        assert coreml.chosen(scheme, {})["precision"] in coreml.PRECISIONS


def test_only_targets_with_precisions_take_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["export.executorch", "--precision", "fp16"])
    with pytest.raises(SystemExit):
        command.main(executorch)
