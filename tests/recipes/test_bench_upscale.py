"""The benchmark measures a process of its own, on an image that it drew."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgesr import cli
from edgesr.data import read_uint8
from recipes import bench_upscale


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr("sys.argv", ["bench", *map(str, arguments)])
    cli.run(bench_upscale.main)


def test_a_run_is_measured(tmp_path: Path) -> None:
    """In a process of its own: a peak begins with that of the process that starts another."""
    out = tmp_path / "cost.json"
    options = ["--model", "bicubic", "--size", "30x50", "--scale", "2", "--json", out]
    command = [sys.executable, "-m", "recipes.bench_upscale", *options, "--folder", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    content = json.loads(out.read_text())
    (cost,) = content["runs"]
    assert (cost["lr"], cost["sr_pixels"], cost["threads"]) == ([30, 50], 6000, 1)
    assert 1e8 < cost["peak_bytes"] < 2e9
    assert cost["cpu_seconds"] > 0
    assert "bicubic x2, torch" in done.stdout
    assert list(tmp_path.iterdir()) == [out]


def test_nothing_to_run_and_what_fails_end_in_words(tmp_path: Path, monkeypatch) -> None:
    for options, words in (([], "Give --model"), (["--model", "lfn"], "failed with status 1")):
        with pytest.raises(SystemExit) as end:
            run(monkeypatch, *options, "--size", "20x20", "--folder", tmp_path)
        assert words in str(end.value.code)
    assert list(tmp_path.iterdir()) == []


def test_the_image_is_a_mosaic_of_its_size(tmp_path: Path) -> None:
    bench_upscale.draw_large(tmp_path / "large.png", (300, 520))
    image = read_uint8(tmp_path / "large.png")
    assert image.shape == (300, 520, 3)
    assert np.array_equal(image[256:300, :256], image[:44, 256:512])
    assert not np.array_equal(image[:44, :256], image[:44, 256:512])
