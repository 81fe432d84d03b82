"""Cards say what the JSON says, those in the repository too."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from torch import nn

from edgesr import weights
from edgesr.data.drawn import drawn_images
from edgesr.errors import UserError
from edgesr.models import MODELS
from export import compare, model_card
from export.model_card import card, card_path


def written(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["export.model_card", *map(str, arguments)])
    model_card.main()


def test_all_bundled_weights_are_found() -> None:
    assert ("msfin-s", 4) in model_card.bundled()


@pytest.mark.parametrize(("model", "scale"), model_card.bundled())
def test_the_card_in_the_repository_is_what_is_written_now(model: str, scale: int) -> None:
    path = card_path(model, scale)
    assert path.is_file(), (
        f"python -m export.model_card --model {model} --scale {scale} --benchmark DIR …"
    )
    assert path.read_text(encoding="utf-8") == card(model, scale), "python -m export.model_card"


def test_figures_of_the_bundled_card() -> None:
    """Against the files that it is made of, read another way."""
    text = card_path("msfin-s", 4).read_text(encoding="utf-8")
    facts = json.loads((weights.FOLDER / "msfin-s_x4.json").read_text())
    measured = json.loads((weights.FOLDER / "measured" / "msfin-s_x4.json").read_text())
    matrix = measured["forms"]["w8a8"]
    for name, forms in matrix["sets"].items():
        for score in forms.values():
            assert f"{score['psnr']:.3f} / {score['ssim']:.4f}" in text, name
    assert {"float", "fake-quant", "pte"} <= set(matrix["sets"]["Set5"])
    assert f"`{facts['sha256']}`" in text
    assert "4107 s (1 h 8 min)" in text
    assert "T91, General100_half50, DIV2K_crops128_rgb, BSD200, BSDS500_test200" in text
    assert f"steps {facts['origin']['settings']['steps']}" in text
    assert facts["origin"]["command"] in text
    assert "Set5: 0.90 dB below what its paper prints" in text
    assert "That of DIV2K_crops128_rgb is for academic use" in text


@pytest.fixture
def folder(
    exported: Path,
    small_networks: dict[str, Callable[[int], nn.Module]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The small network's QAT checkpoint as the only bundled weights, its .pte in ./artifacts."""
    bundled = tmp_path / "weights"
    bundled.mkdir()
    for suffix in (".json", ".safetensors"):
        shutil.copy(exported.with_name(f"qat{suffix}"), bundled / f"lffn-s_x2_w8a8{suffix}")
    (tmp_path / "artifacts").mkdir()
    for name in (exported.name, f"{exported.name}.report.json"):
        shutil.copy(exported.with_name(name), tmp_path / "artifacts")
    monkeypatch.setattr(weights, "FOLDER", bundled)
    monkeypatch.setattr(weights, "MEASURED", bundled / "measured")
    monkeypatch.setitem(MODELS, "lffn-s", replace(MODELS["lffn-s"], build=small_networks["lffn-s"]))
    monkeypatch.setattr(compare, "DRAWN_IMAGES", 1)
    monkeypatch.chdir(tmp_path)
    return bundled


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "Two").mkdir()
    for number, image in enumerate(drawn_images(2, 48)):
        Image.fromarray(image).save(tmp_path / "Two" / f"{number}.png")
    return tmp_path / "Two"


def test_weights_are_measured_and_described_by_one_command(
    folder: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(monkeypatch, "--model", "lffn-s", "--scale", 2, "--benchmark", images)
    text = (folder / "lffn-s_x2.md").read_text(encoding="utf-8")
    measured = json.loads((folder / "measured" / "lffn-s_x2.json").read_text())["forms"]["w8a8"]
    pte = measured["sets"]["Two"]["pte"]
    sha256 = measured["checkpoint"]["sha256"]
    assert weights.scores("lffn-s", 2, sha256)["Two"]["pte"] == pte["psnr"]
    assert weights.scores("lffn-s", 2, "of others") == {}
    row = f"w8a8, as the .pte computes it {pte['psnr']:.3f} / {pte['ssim']:.4f}"
    assert row in " ".join(text.replace("|", " ").split())
    assert measured["reports"][0]["artifact"]["file"] in text
    assert "## Training\n\n### lffn-s_x2_w8a8.safetensors" in text
    before = text
    written(monkeypatch)
    assert (folder / "lffn-s_x2.md").read_text(encoding="utf-8") == before
    facts = folder / "lffn-s_x2_w8a8.json"
    changed = json.loads(facts.read_text()) | {"sha256": "0" * 64}
    facts.write_text(json.dumps(changed))
    with pytest.raises(UserError, match="is of other w8a8 weights than those bundled"):
        written(monkeypatch)


def test_mistakes(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, message in (
        (["--model", "lffn-s"], "No weights of lffn-s x4 are bundled; there are: lffn-s x2"),
        (["--model", "bicubic"], "has no parameters"),
        (["--model", "lffn-s", "--scale", 2], "Nothing was measured of lffn-s x2"),
        (["--scale", 2], "give --model too"),
        (["--model", "lffn-s", "--artifact", "a.pte"], "give --benchmark too"),
    ):
        with pytest.raises(UserError, match=message):
            written(monkeypatch, *arguments)
    assert not list(folder.glob("*.md"))
