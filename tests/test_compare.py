"""The comparison picture and what stands in it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgesr import cli
from edgesr.__main__ import main
from edgesr.compare import Contenders, Options, compare, find_contenders
from edgesr.data import Picture, drawn_images, make_pair, write_picture
from edgesr.engines import Artifact
from edgesr.errors import UserError
from edgesr.metrics import evaluate
from edgesr.models.bicubic import Bicubic
from edgesr.sheet import CELL, CROPS, GAP, difference, draw, interesting

HR = drawn_images(1, 96)[0]


def command(*arguments: object) -> str:
    """The message of the command, or nothing where it succeeds."""
    try:
        cli.run(lambda: main(["compare", *map(str, arguments)]))
    except SystemExit as end:
        return str(end.code)
    return ""


def nearest(lr: torch.Tensor) -> torch.Tensor:
    return lr.repeat_interleave(4, 2).repeat_interleave(4, 3)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    write_picture(Picture(HR), tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_scores_are_those_of_evaluate() -> None:
    upscalers = {"bicubic": Bicubic(4), "nearest": nearest}
    comparison = compare("photo", HR, Contenders(4, upscalers))
    for panel in comparison.panels:
        scores = evaluate(upscalers[panel.name], [make_pair("photo", HR, 4)], 4)
        assert panel.score == scores.images["photo"]


def test_network_and_int8_are_shown_with_their_scores(photo: Path, tmp_path: Path, capsys) -> None:
    pytest.importorskip("torchao")
    out = tmp_path / "sheet.png"
    assert command(photo, "--model", "msfin-s", "--out", out) == ""
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("photo: LR 24x24")
    names = [" ".join(line.split()[:-2]) for line in lines[1:-1]]
    assert names == ["bicubic", "msfin-s float", "msfin-s int8 (w8a8, graph)"]
    bicubic, network, int8 = (float(line.split()[-2]) for line in lines[1:-1])
    assert network > bicubic + 0.5
    assert abs(int8 - network) < 0.2
    assert int8 != network
    with Image.open(out) as sheet:
        assert sheet.width == 4 * (CELL + GAP) + GAP
    assert "--force" in command(photo, "--model", "msfin-s", "--out", out)


def test_without_an_image_one_is_drawn(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("--model", "bicubic", "--scale", 2) == ""
    assert [path.name for path in tmp_path.iterdir()] == ["compare_drawn.png"]
    assert "drawn: LR 192x192" in capsys.readouterr().out


def test_several_images_make_a_folder(photo: Path, tmp_path: Path) -> None:
    other = tmp_path / "grey.png"
    write_picture(Picture(HR[:, :, :1]), other)
    assert command(photo, other, "--model", "bicubic", "--out", tmp_path / "sheets") == ""
    names = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert names == ["compare_grey.png", "compare_photo.png"]


def test_an_artifact_stands_for_int8(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "msfin-s_x4_w8a8_8x8.pte"
    opened = Artifact(path, "msfin-s", 4, "w8a8", (8, 8), 2, 1, "0" * 64, nearest)
    monkeypatch.setattr("edgesr.compare.open_artifact", lambda _: opened)
    contenders = find_contenders(Options(artifact=path))
    assert list(contenders.upscalers) == ["bicubic", "msfin-s float", path.name]
    lr = torch.rand(1, 3, 9, 11)
    assert torch.equal(contenders.upscalers[path.name](lr), nearest(lr))
    with pytest.raises(UserError, match="msfin-s x4, --model lffn-s x4"):
        find_contenders(Options(model="lffn-s", artifact=path))
    with pytest.raises(UserError, match="either --artifact or --quantized"):
        find_contenders(Options(artifact=path, quantized=path))


def test_what_is_missing_is_said(monkeypatch) -> None:
    monkeypatch.setattr("edgesr.weights.bundled", lambda *_: [])
    contenders = find_contenders(Options(model="msfin-s"))
    assert list(contenders.upscalers) == ["bicubic", "msfin-s float"]
    assert "int8 is left out: none of msfin-s x4 is bundled" in contenders.notes[0]
    with pytest.raises(UserError, match="No weights of lffn x4 come with edgesr"):
        find_contenders(Options(model="lffn"))
    with pytest.raises(UserError, match="what to show"):
        find_contenders(Options())


def test_without_torchao_int8_is_left_out(monkeypatch) -> None:
    def absent(_: Path) -> None:
        raise ImportError("torchao")

    monkeypatch.setattr("edgesr.compare._fake_quantized", absent)
    contenders = find_contenders(Options(model="msfin-s"))
    assert list(contenders.upscalers) == ["bicubic", "msfin-s float"]
    assert "edgesr[qat]" in contenders.notes[0]


@pytest.mark.parametrize(("height", "width"), [(22, 96), (5000, 7000)])
def test_images_that_cannot_be_compared_are_refused(height: int, width: int) -> None:
    hr = np.zeros((height, width, 1), np.uint8)
    with pytest.raises(UserError, match=r"too small|megapixels are compared"):
        compare("photo", hr, Contenders(4, {"bicubic": Bicubic(4)}))


@pytest.mark.parametrize("size", [(23, 24), (30, 200), (400, 36)])
def test_every_size_is_drawn(size: tuple[int, int]) -> None:
    hr = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    upscalers = {"bicubic": Bicubic(4), "a": nearest, "b": lambda lr: 1 - nearest(lr)}
    assert draw(compare("photo", hr, Contenders(4, upscalers))).width == 4 * (CELL + GAP) + GAP


def test_zoomed_parts_are_where_upscalers_differ() -> None:
    """The second differs from the first in two corners only, in one more than in the other."""

    def spoiled(lr: torch.Tensor) -> torch.Tensor:
        sr = Bicubic(4)(lr).clone()
        sr[:, :, :64, :64], sr[:, :, -64:, -64:] = 0, 1
        return sr

    hr = np.full((256, 320, 3), 200, np.uint8)
    upscalers = {"bicubic": Bicubic(4), "spoiled": spoiled}
    comparison = compare("photo", hr, Contenders(4, upscalers))
    assert interesting(comparison) == [(0, 0, 64), (320 - 64, 256 - 64, 64)]
    assert len(interesting(comparison)) == CROPS


def test_difference_is_in_levels_of_the_worst_channel() -> None:
    a, b = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)
    a[0, 0], b[0, 0] = (10, 0, 255), (0, 3, 0)
    b[1, 1] = (7, 0, 0)
    assert difference(a, b).tolist() == [[255, 0], [0, 7]]
    assert difference(b, a).tolist() == [[255, 0], [0, 7]]
