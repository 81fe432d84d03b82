"""`recipes.evaluate` and `recipes.complexity` as a user calls them."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgesr import checkpoint as checkpoints
from edgesr import metrics
from edgesr.checkpoint import Checkpoint
from edgesr.data.benchmarks import load_benchmark
from edgesr.engines import Artifact
from edgesr.ensemble import self_ensemble
from edgesr.errors import UserError
from edgesr.models import create_model
from recipes import complexity, evaluate


@pytest.fixture
def benchmark(tmp_path: Path) -> Path:
    folder = tmp_path / "Mine" / "HR"
    folder.mkdir(parents=True)
    levels = np.random.randint(0, 256, (2, 55, 64, 3), np.uint8)
    Image.fromarray(levels[0]).save(folder / "one.png")
    Image.fromarray(levels[1, :, :, 0]).save(folder / "two.png")
    return folder.parent


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments)])
    evaluate.main()


def test_table_and_json(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    benchmark: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "scores.json"
    run(monkeypatch, "--model", "bicubic", "--scale", "3", "--benchmark", benchmark, "--json", out)
    shown = capsys.readouterr().out
    scores = json.loads(out.read_text())
    assert scores["scale"] == 3
    assert scores["protocol"] == {"channel": "y", "shave": 3}
    assert set(scores["origin"]) == {"subject", "model", "commit", "versions"}
    rows = {name: float(psnr) for name, psnr in re.findall(r"Mine +(\S+).*? (\d+\.\d+) +0\.", shown)}
    assert set(rows) == {"one", "two", "mean"}
    for name, score in scores["sets"]["Mine"]["images"].items():
        assert rows[name] == pytest.approx(score["psnr"], abs=5e-4)
    assert rows["mean"] == pytest.approx((rows["one"] + rows["two"]) / 2, abs=1e-3)


def test_a_float_checkpoint_of_unaligned_sizes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], benchmark: Path, tmp_path: Path
) -> None:
    """MSFIN x3 takes LR in multiples of 4; these are 18 x 21: padded, then cropped."""
    state = create_model("msfin-s", scale=3).state_dict()
    path = checkpoints.save(Checkpoint("msfin-s", 3, None, state), tmp_path / "c")
    run(monkeypatch, "--checkpoint", path, "--benchmark", benchmark, "--means")
    shown = capsys.readouterr().out
    assert "msfin-s x3 float: PSNR" in shown
    assert "two" not in shown
    run(monkeypatch, "--checkpoint", path, "--benchmark", benchmark, "--ensemble")
    assert "msfin-s x3 float+: PSNR" in capsys.readouterr().out


def darker_left(lr: torch.Tensor) -> torch.Tensor:
    """x2 by repetition, darker towards the left, so that a mirror image comes out different."""
    large = lr.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return large * torch.linspace(0.5, 1, large.shape[3])


def test_ensemble_of_a_tiled_artifact(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], benchmark: Path, tmp_path: Path
) -> None:
    file, out = tmp_path / "file.pte", tmp_path / "scores.json"
    opened = Artifact(file, "msfin-s", 2, "w8a8", (8, 16), 2, 2, "0" * 64, darker_left)
    monkeypatch.setattr(evaluate, "open_artifact", lambda _: opened)
    run(monkeypatch, "--artifact", file, "--ensemble", "--benchmark", benchmark, "--json", out)
    assert "file.pte+: PSNR" in capsys.readouterr().out
    written = json.loads(out.read_text())
    assert written["origin"]["subject"] == "file.pte+"
    assert written["origin"]["ensemble"] is True
    pairs = list(load_benchmark(benchmark, 2))
    expected = metrics.evaluate(self_ensemble(opened.tiled()), pairs, 2).to_json()
    assert written["sets"]["Mine"] == expected
    assert metrics.evaluate(opened.tiled(), pairs, 2).to_json() != expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "bicubik"], "Did you mean 'bicubic'"),
        (["--model", "bicubic", "--scale", "5"], "Known scales"),
        (["--model", "lffn-s", "--scale", "0"], "Known scales"),
        (["--model", "mlrn", "--scale", "3"], "give --checkpoint"),
        (["--checkpoint", "nowhere"], "two files"),
        (["--artifact", "nowhere.pte"], "does not exist"),
    ],
)
def test_mistakes(
    monkeypatch: pytest.MonkeyPatch, benchmark: Path, arguments: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run(monkeypatch, *arguments, "--benchmark", benchmark)


def test_two_benchmarks_of_one_name(monkeypatch: pytest.MonkeyPatch, benchmark: Path) -> None:
    with pytest.raises(UserError, match="rename one"):
        run(monkeypatch, "--model", "bicubic", "--benchmark", benchmark, benchmark)


def test_scale_that_contradicts_the_file(
    monkeypatch: pytest.MonkeyPatch, benchmark: Path, tmp_path: Path
) -> None:
    state = create_model("lffn-s", scale=2).state_dict()
    path = checkpoints.save(Checkpoint("lffn-s", 2, None, state), tmp_path / "c")
    with pytest.raises(UserError, match="for scale 2, not 4"):
        run(monkeypatch, "--checkpoint", path, "--scale", "4", "--benchmark", benchmark)


def test_complexity(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "counts.json"
    monkeypatch.setattr(sys, "argv", ["complexity", "--model", "lffn-s", "--json", str(out)])
    complexity.main()
    assert "184,608" in capsys.readouterr().out
    counts = json.loads(out.read_text())
    assert [(c["scale"], c["params"], c["params_paper_rule"]) for c in counts] == [
        (2, 175_200, 173_664),
        (3, 186_960, 185_424),
        (4, 184_608, 183_072),
    ]
    assert counts[2]["paper"] == {"params": 183_000, "macs": 11_700_000_000}
