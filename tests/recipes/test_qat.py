"""Quantization-aware training as a user runs it: from float weights to what export reads."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torchao.quantization.pt2e import FakeQuantize, FixedQParamsFakeQuantize

from edgesr import checkpoint as checkpoints
from edgesr import weights
from edgesr.checkpoint import Checkpoint
from edgesr.errors import UserError
from edgesr.models import create_model
from edgesr.quantization import pt2e
from recipes import qat
from recipes.papers import fine_tuning

REPOSITORY = Path(__file__).resolve().parents[2]
STEPS = 4
SMALL = ["--patch", "8", "--batch", "2", "--threads", "1", "--device", "cpu", "--save-every", "0"]


@pytest.fixture
def init(tmp_path: Path) -> Path:
    """Float weights whose SR is in range, which a fresh network's is not."""
    torch.manual_seed(0)
    model = create_model("lffn-s", scale=2)
    with torch.no_grad():
        model.get_parameter("last.weight").mul_(0.1)
    return checkpoints.save(Checkpoint("lffn-s", 2, None, model.state_dict()), tmp_path / "float")


def command(*options: object) -> list[str]:
    return [sys.executable, "-m", "recipes.qat", *map(str, options)]


def here(monkeypatch: pytest.MonkeyPatch, *options: object) -> None:
    monkeypatch.setattr(sys, "argv", ["qat", *map(str, options)])
    qat.main()


@pytest.mark.slow
def test_from_float_weights_to_a_frozen_checkpoint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], init: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    small = ["--model", "lffn-s", "--scale", "2", "--init", init, "--steps", STEPS, *SMALL]
    here(monkeypatch, *small, "--lr", "1e-6", "--out", run)
    shown = capsys.readouterr().out
    assert "images that the project draws itself" in shown
    assert f"python -m export.executorch --checkpoint {run / 'checkpoint.safetensors'}" in shown

    result = checkpoints.load(run / "checkpoint")
    assert (result.model, result.scale, result.scheme) == ("lffn-s", 2, "w8a8")
    assert result.origin["init"]["sha256"] == checkpoints.load(init).sha256
    assert result.origin["settings"]["steps"] == STEPS
    assert result.origin["validation"]["psnr"] > 5
    observing = [v for k, v in result.state.items() if k.endswith("observer_enabled")]
    assert observing
    assert not any(value.any() for value in observing)

    start = checkpoints.load(init).state
    moved = [k for k, v in start.items() if k in result.state and not torch.equal(v, result.state[k])]
    assert len(moved) > 30, "the weights were to be trained"
    graph = pt2e.fake_quantized(result, (1, 3, 24, 24))
    lr = torch.rand(1, 3, 24, 24)
    with torch.no_grad():
        difference = graph(lr) - checkpoints.load(init).build_float()(lr).clamp(0, 1)
    assert difference.abs().mean() < 0.1  # of unrelated images: 0.3


def test_activations_freeze_half_way(init: Path, tmp_path: Path) -> None:
    settings = fine_tuning("lffn-s", drawn=False).changed(steps=4)
    plan = qat.Plan("qat", "lffn-s", 2, "w8a8", [], 1, None, "cpu", 1, settings)
    network = checkpoints.load(init).build_float()
    graph = pt2e.prepare(network, qat.find_scheme("w8a8"), (2, 3, 8, 8))
    before_step = qat.freezing(graph, plan)
    per_tensor = [
        module
        for module in graph.modules()
        if isinstance(module, FakeQuantize)
        and not isinstance(module, FixedQParamsFakeQuantize)
        and not module.is_per_channel
    ]
    for step, observing in ((0, True), (1, True), (2, False), (3, False)):
        before_step(step)
        assert all(bool(m.get_buffer("observer_enabled")) is observing for m in per_tensor)


@pytest.mark.slow
def test_a_killed_run_continues_bit_for_bit(init: Path, photos: Path, tmp_path: Path) -> None:
    small = ["--model", "lffn-s", "--scale", "2", "--init", init, "--steps", 12, *SMALL]
    small += ["--data", photos, "--holdout", 1]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(*small, "--out", whole), cwd=REPOSITORY, check=True, capture_output=True)
    process = subprocess.Popen(
        command(*small, "--out", killed), cwd=REPOSITORY, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 200
    while len(rows(killed)) < 8 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert 8 <= len(rows(killed)) < 12, "killed after the ranges froze, before the end"
    subprocess.run(command("--resume", killed), cwd=REPOSITORY, check=True, capture_output=True)
    one, other = (checkpoints.load(run / "checkpoint").state for run in (whole, killed))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert len(json.loads((killed / "origin.json").read_text())) == 2


def rows(run: Path) -> list[dict[str, str]]:
    log = run / "log.csv"
    return list(csv.DictReader(log.open())) if log.exists() else []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Give --model"),
        (["--model", "lffn-x"], "Did you mean 'lffn-s'"),
        (["--model", "bicubic"], "no parameters"),
        (["--model", "lffn-s", "--scale", "5"], "Known scales"),
        (["--model", "lffn-s", "--scale", "2", "--scheme", "w4a4"], "Known: w8a8"),
        (["--model", "lffn-s", "--scale", "2", "--init", "nowhere"], "two files"),
        (["--model", "lffn-s", "--scale", "3", "--init", "INIT"], "checkpoint of lffn-s x2, not of"),
        (["--model", "msfin-s", "--scale", "2", "--init", "INIT"], "checkpoint of lffn-s x2, not of"),
        (["--model", "msfin-s", "--scale", "3", "--init", "INIT", "--patch", "10"], "multiple of 4"),
        (["--model", "lffn-s", "--resume", "nowhere"], "Leave out --model"),
        (["--resume", "nowhere"], "holds no run"),
    ],
)
def test_mistakes(monkeypatch: pytest.MonkeyPatch, init: Path, options: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        here(monkeypatch, *(init if option == "INIT" else option for option in options))


def test_without_weights_it_says_how_to_get_some(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    with pytest.raises(UserError, match=r"recipes\.train --model msfin-s --scale 4"):
        here(monkeypatch, "--model", "msfin-s")
