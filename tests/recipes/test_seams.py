"""`recipes.seams`: planted differences are found, and bundled weights have those that tiles make."""

import json
import re
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from edgesr import checkpoint as checkpoints
from edgesr import weights
from edgesr.data.drawn import drawn_images
from edgesr.errors import UserError
from edgesr.tiling import Grid
from recipes import seams

BUNDLED = weights.path("lffn-s", 2, None)
GRID = Grid((10, 14), 2, (8, 8), 2)
"""Two windows of rows, three of columns; SR is 20x28."""


def test_a_step_along_one_border_of_one_tile_is_found() -> None:
    apart = torch.randint(-9, 10, (20, 28, 1)).expand(-1, -1, 3).clone()
    cut = 2 * GRID.columns[2].keep_from
    rows = GRID.in_sr(GRID.rows[1])
    apart[rows, cut - 1], apart[rows, cut] = -20, 21
    assert seams.largest_step(apart, GRID) == 41


def test_a_step_along_a_row_is_found_and_one_inside_a_tile_is_none() -> None:
    apart = torch.zeros(20, 28, 3, dtype=torch.int64)
    apart[:, 3:] = 7
    assert seams.largest_step(apart, GRID) == 0
    apart[2 * GRID.rows[1].keep_from :] -= 4
    assert seams.largest_step(apart, GRID) == 4


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "Drawn").mkdir()
    for name, image in zip(("large", "small"), drawn_images(2, 80), strict=True):
        side = 80 if name == "large" else 31  # LR 40x40 in four tiles, 15x15 in one
        Image.fromarray(image[:side, :side]).save(tmp_path / "Drawn" / f"{name}.png")
    return tmp_path / "Drawn"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path | int) -> None:
    monkeypatch.setattr(sys, "argv", ["seams", *map(str, arguments)])
    seams.main()


def test_table_and_json(
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "seams.json"
    run(
        monkeypatch,
        *("--model", "lffn-s", "--scale", 2, "--scheme", "float", "--benchmark", images),
        *("--tile", 24, 24, "--overlap", 0, 8, "--json", out),
    )
    tight, shared = json.loads(out.read_text())["rows"]
    assert (tight["image"], tight["tiles"], shared["tiles"]) == ("large", 4, 9)
    assert 0.5 < tight["within"] < shared["within"] <= 1
    assert tight["most"] > shared["most"]
    assert tight["step"] > shared["step"] > 0
    row = rf"large +24 +8 +9 +{shared['within']:.3%} +{shared['most']} "
    assert re.search(row, capsys.readouterr().out)


def test_int8_in_tiles_rounds_other_values_but_shows_no_seam(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "seams.json"
    where = ("--model", "lffn-s", "--scale", 2, "--benchmark", images, "--json", out)
    run(monkeypatch, *where, "--tile", 24, "--overlap", 8)
    (row,) = json.loads(out.read_text())["rows"]
    assert 0.5 < row["within"] < 0.999
    assert 0 < row["step"] < 0.5
    assert abs(row["whole_db"] - row["tiled_db"]) < 0.05


def test_one_piece_is_the_network_itself() -> None:
    loaded = checkpoints.load(BUNDLED)
    lr = torch.rand(1, 3, 30, 25)
    with torch.no_grad():
        sr = seams.in_one_piece(loaded, lr, 24, 1)
        assert torch.equal(sr, loaded.build_float()(lr))


def test_images_of_one_tile_have_no_seam(
    images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (images / "large.png").unlink()
    run(monkeypatch, "--checkpoint", BUNDLED, "--benchmark", images, "--tile", 24, "--overlap", 8)
    assert "every image is one tile" in capsys.readouterr().out


def test_what_cannot_be_measured(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = ("--checkpoint", BUNDLED, "--benchmark", images)
    with pytest.raises(UserError, match="--tile has 2 numbers and --overlap 1"):
        run(monkeypatch, *where, "--tile", 24, 32)
    with pytest.raises(UserError, match="too small for an overlap"):
        run(monkeypatch, *where, "--tile", 24, "--overlap", 12)
    with pytest.raises(UserError, match="No float weights of mlrn x2"):
        run(monkeypatch, "--model", "mlrn", "--scheme", "float", "--scale", 2, "--benchmark", images)
