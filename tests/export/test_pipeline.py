"""From a checkpoint to a verified .pte, and the refusals on the way."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from edgesr import checkpoint as checkpoints
from edgesr import cli
from edgesr.engines import find_artifact, open_artifact
from edgesr.errors import UserError
from edgesr.quantization import pt2e
from export import command, executorch, pipeline
from export.choose import choose_checkpoint, find_by_sha256
from export.report import BUDGETS

BENCHMARK_SIZES = ((48, 40), (33, 51))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    """`python -m export.executorch …` in this process, so that the tiny network is known."""
    monkeypatch.setattr(sys, "argv", ["export.executorch", *map(str, arguments)])
    command.main(executorch)


def read(report: Path) -> dict[str, Any]:
    return json.loads(report.read_text())


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    """Two odd-sized pictures in a benchmark's layout."""
    folder = tmp_path / "Tiny2" / "HR"
    folder.mkdir(parents=True)
    for index, (height, width) in enumerate(BENCHMARK_SIZES):
        levels = np.random.randint(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(levels).save(folder / f"{index}.png")
    return folder.parent


@pytest.mark.slow
def test_w8a8(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    qat_checkpoint: Path,
    benchmark: Path,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    float_run = tmp_path / "runs" / "float" / "checkpoint"
    checkpoints.save(checkpoints.load(tmp_path / "float"), float_run)
    run(monkeypatch, "--checkpoint", qat_checkpoint, "--tile", "24x32", "--benchmark", benchmark)

    assert "Tiny2  2/2 image" in capsys.readouterr().err, "a large benchmark takes long"
    path = tmp_path / "artifacts" / "lffn-s_x2_w8a8_24x32.pte"
    report = read(path.with_name(path.name + ".report.json"))
    assert report["verdict"] == {"passed": True, "budget": report["verdict"]["budget"], "failures": []}
    assert report["artifact"]["file"] == path.name
    assert report["artifact"]["bytes"] == path.stat().st_size
    assert report["facts"]["tile"] == [24, 32]
    assert report["facts"]["checkpoint_sha256"] == checkpoints.load(qat_checkpoint).sha256
    assert report["parity"]["images"] == len(BENCHMARK_SIZES)
    assert report["parity"]["converted_max_difference"] == 0.0
    assert report["latency"]["device"].startswith("host")
    assert 0 < report["memory"]["peak_rss_bytes"] < 100_000_000
    scores = report["quality"]["Tiny2"]
    assert abs(scores["fake_quant_db"] - scores["artifact_db"]) < 0.05
    assert scores["drop_db"] == pytest.approx(scores["float_db"] - scores["artifact_db"])

    census = report["census"]
    assert (census["partitions"], census["ops_outside"], census["outside"]) == (1, 0, [])
    assert census["int8_ops"] >= 2 * (2 * 2 + 2)  # modules x (blocks' ends, cat, fuse)
    paths = 4 * 3 * 16 * (9 + 1)  # blocks x stages x channels x (kernel and slope)
    ends = (12 + 12) * (27 + 1)  # head and skip: outputs x (kernel and bias)
    fusion = 2 * 12 * 12  # modules x dense layer
    tail = 12 * 12  # 3 colours x 2 x 2 of features
    assert census["float_weight_bytes"] == 4 * (paths + ends + fusion + tail)

    artifact = open_artifact(path)
    assert (artifact.model, artifact.scale, artifact.scheme) == ("lffn-s", 2, "w8a8")
    assert (artifact.tile, artifact.overlap, artifact.multiple) == ((24, 32), 8, 1)
    assert artifact.checkpoint_sha256 == checkpoints.load(qat_checkpoint).sha256
    lr = torch.rand(1, 3, 24, 32)
    first = artifact.upscale(lr)
    artifact.upscale(1 - lr)  # must not write over what was returned before
    again = artifact.upscale(lr.contiguous(memory_format=torch.channels_last))
    assert torch.equal(first, again), "memory order must not matter, nor a second call"
    assert find_artifact("executorch", "lffn-s", 2) == Path("artifacts") / path.name


def test_fp32(monkeypatch: pytest.MonkeyPatch, float_checkpoint: Path, tmp_path: Path) -> None:
    run(monkeypatch, "--checkpoint", float_checkpoint, "--tile", "24x24", "--out", tmp_path / "out")
    path = tmp_path / "out" / "lffn-s_x2_fp32_24x24.pte"
    report = read(path.with_name(path.name + ".report.json"))
    assert report["parity"]["max_levels"] <= 1
    assert report["census"]["int8_ops"] == 0
    lr, network = torch.rand(1, 3, 24, 24), checkpoints.load(float_checkpoint).build_float()
    with torch.no_grad():
        assert torch.allclose(open_artifact(path).upscale(lr), network(lr), atol=1e-5)


@pytest.mark.slow
def test_outside_its_budget_is_rejected(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    qat_checkpoint: Path,
    tmp_path: Path,
) -> None:
    """The program that is lowered has one weight changed: what a faulty converter would do."""

    def faulty(graph: torch.fx.GraphModule, *, fold_weights: bool) -> torch.fx.GraphModule:
        converted = convert(graph, fold_weights=fold_weights)
        weights = [b for name, b in converted.named_buffers() if "_frozen_param" in name]
        weights[0].view(-1)[0] ^= 0x40
        return converted

    convert = pt2e.convert
    monkeypatch.setattr(pt2e, "convert", faulty)
    out = tmp_path / "out"
    arguments = ("--checkpoint", qat_checkpoint, "--tile", "24x24", "--out", out)
    with pytest.raises(SystemExit) as stopped:
        cli.run(lambda: run(monkeypatch, *arguments))
    assert "outside its budget" in str(stopped.value.code)
    name = "lffn-s_x2_w8a8_24x24.pte.rejected"
    assert sorted(path.name for path in out.iterdir()) == [name, f"{name}.report.json"]
    verdict = read(out / f"{name}.report.json")["verdict"]
    assert not verdict["passed"]
    assert "fake-quant and converted graph differ" in verdict["failures"][0]

    monkeypatch.setattr(pt2e, "convert", convert)
    run(monkeypatch, "--checkpoint", qat_checkpoint, "--tile", "24x24", "--out", out)
    assert not (out / name).exists(), "a rejected file must not outlive the one that replaces it"


@pytest.mark.slow
def test_a_budget_holds_every_figure(qat_checkpoint: Path, tmp_path: Path) -> None:
    request = pipeline.Request(checkpoints.load(qat_checkpoint), (24, 24), 8, tmp_path, [], None)
    impossible = replace(
        BUDGETS["w8a8"], min_parity_db=999.0, max_levels=-1, max_partitions=0, max_ops_outside=-1,
        max_float_weight_bytes=0,
    )  # fmt: skip
    reference, program, inexact = pipeline.build(request, True)
    executorch.lower(program, request.facts, tmp_path / "a.pte")
    report = pipeline.examine(executorch, request, tmp_path / "a.pte", reference, inexact)
    assert report.failures == []
    report.budget, report.converted_difference = impossible, 0.5
    assert len(report.failures) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tile", "64"], "HEIGHTxWIDTH"),
        (["--tile", "0x64"], "HEIGHTxWIDTH"),
        (["--tile", "16x64"], "too small for an overlap"),
        (["--overlap", "-1"], "overlap"),
        (["--model", "msfin-s"], "model is lffn-s, not msfin-s"),
        (["--scale", "4"], "scale is 2, not 4"),
        (["--scheme", "fp32"], "scheme is w8a8, not fp32"),
        (["--benchmark", "nowhere"], "nowhere"),
    ],
)
def test_mistakes(
    monkeypatch: pytest.MonkeyPatch,
    qat_checkpoint: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match=message):
        run(monkeypatch, "--checkpoint", qat_checkpoint, "--out", out, *arguments)
    assert not out.exists() or list(out.iterdir()) == []


def test_choice_of_checkpoint(
    monkeypatch: pytest.MonkeyPatch, qat_checkpoint: Path, float_checkpoint: Path, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"recipes\.qat --model lffn --scale 2"):
        choose_checkpoint(None, "lffn", 2, None)
    with pytest.raises(UserError, match="Known scales"):
        choose_checkpoint(None, "lffn-s", 0, None)
    with pytest.raises(UserError, match="give --model too"):
        choose_checkpoint(None, None, 2, None)
    with pytest.raises(UserError, match="Did you mean 'lffn-s'"):
        choose_checkpoint(None, "lffn_s", 2, None)
    for name, source in (("a/1", float_checkpoint), ("a/2", qat_checkpoint), ("b/1", float_checkpoint)):
        checkpoints.save(checkpoints.load(source), tmp_path / "runs" / name / "checkpoint")
    assert choose_checkpoint(None, None, None, None).scheme == "w8a8"
    older = replace(checkpoints.load(qat_checkpoint), origin={"run": "older"})
    card = checkpoints.paths(checkpoints.save(older, tmp_path / "runs" / "z" / "checkpoint"))[1]
    os.utime(card, (1, 1))
    assert choose_checkpoint(None, None, None, None).origin != {"run": "older"}
    assert choose_checkpoint(None, "lffn-s", 2, None).scheme == "w8a8"
    digest = checkpoints.load(float_checkpoint).sha256
    found = find_by_sha256(digest)
    assert found is not None
    assert checkpoints.load(found).sha256 == digest
    assert find_by_sha256(None) is None
