"""Two processes under torchrun, as users start them, against one."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from edgesr import checkpoint
from edgesr.errors import UserError
from recipes import processes

REPOSITORY = Path(__file__).resolve().parents[2]
STEPS = 20
SMALL = ["--model", "mlrn", "--patch", "8", "--batch", "4", "--threads", "1", "--device", "cpu"]
SMALL += ["--holdout", "1", "--save-every", "0"]


def command(count: int, *options: object, recipe: str = "train") -> list[str]:
    several = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m"]
    launcher = several if count > 1 else []
    return [sys.executable, "-m", *launcher, f"recipes.{recipe}", *map(str, options)]


def run(count: int, *options: object, recipe: str = "train") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(count, *options, recipe=recipe),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def weights(folder: Path) -> torch.Tensor:
    state = checkpoint.load(folder / "checkpoint").state
    return torch.cat([tensor.double().flatten() for tensor in state.values()])


def apart(folder: Path, other: Path) -> float:
    """The distance of two results, relative to how far all weights are from zero."""
    a, b = weights(folder), weights(other)
    return ((a - b).norm() / a.norm()).item()


def rows(folder: Path) -> list[dict[str, str]]:
    log = folder / "log.csv"
    return list(csv.DictReader(log.open())) if log.exists() else []


@pytest.fixture(scope="module")
def alone(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One process that passes its batch in two parts, and so adds up in the order that two do."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    options = ["--accumulate", 2, "--data", photos, "--steps", STEPS, "--out", folder]
    done = run(1, *SMALL, *options)
    assert done.returncode == 0, done.stderr
    return folder


def test_two_processes_train_as_one(photos: Path, alone: Path, tmp_path: Path):
    folder = tmp_path / "run"
    done = run(2, *SMALL, "--data", photos, "--steps", STEPS, "--out", folder)
    assert done.returncode == 0, done.stderr
    assert apart(alone, folder) == 0
    losses = [[float(row["loss"]) for row in rows(one)] for one in (alone, folder)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    assert done.stdout.count("Saved ") == 1, "one process speaks"
    assert "processes 2" in done.stdout
    assert checkpoint.load(folder / "checkpoint").origin["processes"] == 2


@pytest.mark.slow
def test_parts_train_as_one(photos: Path, alone: Path, tmp_path: Path):
    folder = tmp_path / "run"
    two = ["--accumulate", 2, "--data", photos, "--steps", STEPS, "--out", folder]
    done = run(2, *SMALL, *two)
    assert done.returncode == 0, done.stderr
    assert apart(alone, folder) < 1e-6


@pytest.mark.slow
def test_a_killed_pair_continues_alone(photos: Path, alone: Path, tmp_path: Path):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        command(2, *SMALL, "--data", photos, "--steps", STEPS, "--out", folder),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 180
    while len(rows(folder)) < 4 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGTERM)  # as torchrun's Ctrl-C reaches its processes
    out, _ = process.communicate(timeout=120)
    assert f"--resume {folder}" in out
    assert 4 <= len(rows(folder)) < STEPS
    done = run(1, "--resume", folder)
    assert done.returncode == 0, done.stderr
    assert apart(alone, folder) < 1e-6
    assert len(json.loads((folder / "origin.json").read_text())) == 2


def test_a_batch_that_cannot_be_shared_is_a_mistake(photos: Path, tmp_path: Path):
    folder = tmp_path / "run"
    options = [*SMALL, "--data", photos, "--out", folder]
    options[options.index("--batch") + 1] = "3"
    done = run(2, *options)
    assert done.returncode != 0
    assert "3 patches cannot be shared equally by 2 processes" in done.stderr
    assert not folder.exists()


@pytest.mark.slow
def test_batch_normalisation_on_cpus_is_a_mistake(photos: Path, tmp_path: Path):
    options = ["--model", "osffnet", "--scale", 2, "--patch", 16, *SMALL[4:]]
    done = run(2, *options, "--data", photos, "--steps", 1, "--out", tmp_path / "run")
    assert done.returncode != 0
    assert "batch normalisation" in done.stderr


def test_quantization_aware_training_refuses_company(monkeypatch: pytest.MonkeyPatch):
    from recipes import qat

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(sys, "argv", ["qat", "--model", "msfin-s"])
    with pytest.raises(UserError, match=r"recipes\.qat runs in one process"):
        qat.main()


def test_alone_everything_is_the_whole():
    assert "WORLD_SIZE" not in os.environ
    assert (processes.count(), processes.is_main()) == (1, True)
    assert processes.share(7) == slice(0, 7)
    assert processes.from_main(lambda: 3) == 3
