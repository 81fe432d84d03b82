"""The README's first command at full size: bundled weights → QAT → .pte → an enlarged picture."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesr import weights
from edgesr.data.drawn import drawn_images

ROOT = Path(__file__).resolve().parents[1]


def run(*words: object) -> str:
    command = [sys.executable, "-m", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_from_bundled_weights_to_a_picture(tmp_path: Path) -> None:
    assert weights.find("msfin-s", 4, None), "the README promises bundled weights"
    short = ("--steps", 4, "--batch", 2, "--patch", 8)
    run("recipes.qat", "--model", "msfin-s", *short, "--out", tmp_path / "run")
    trained, out = tmp_path / "run" / "checkpoint", tmp_path / "artifacts"
    shown = run("export.executorch", "--checkpoint", trained, "--tile", "24x32", "--out", out)
    path = out / "msfin-s_x4_w8a8_24x32.pte"
    assert f"passed: {path}" in shown
    census = json.loads((out / f"{path.name}.report.json").read_text())["census"]
    assert (census["partitions"], census["ops_outside"]) == (1, 0)

    (tmp_path / "Drawn" / "HR").mkdir(parents=True)
    hr = Image.fromarray(drawn_images(1, 180)[0])
    hr.save(tmp_path / "Drawn" / "HR" / "page.png")
    lr = tmp_path / "lr.png"
    hr.resize((45, 45), Image.Resampling.BICUBIC).save(lr)
    run("edgesr", "upscale", lr, "--artifact", path, "--out", tmp_path / "big.png")
    assert Image.open(tmp_path / "big.png").size == (180, 180)
    enlarged = np.asarray(Image.open(tmp_path / "big.png").convert("RGB"), np.float64)
    assert np.abs(enlarged - np.asarray(hr, np.float64)).mean() < 30
    shown = run("recipes.evaluate", "--artifact", path, "--benchmark", tmp_path / "Drawn")
    assert "page" in shown


@pytest.mark.slow
def test_bundled_checkpoints_are_whole_and_private() -> None:
    """Each loads, fits its network, and its card names no folder of whoever trained it."""
    from edgesr import checkpoint
    from edgesr.quantization import pt2e

    cards = sorted(weights.FOLDER.glob("*.json"))
    assert len(cards) >= 2
    for card in cards:
        loaded = checkpoint.load(card)
        assert weights.path(loaded.model, loaded.scale, loaded.scheme).stem == card.stem
        assert loaded.origin["commit"] != "unknown"
        assert "/" not in "".join(loaded.origin["data"])
        if loaded.scheme is None:
            loaded.build_float()
        else:
            pt2e.fake_quantized(loaded, (1, 3, 16, 16))
