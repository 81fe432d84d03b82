"""`recipes.plot` as a user calls it, and what it chooses to draw."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

from edgesr.errors import UserError
from edgesr.models.published import BENCHMARKS, OWN_ROWS
from recipes import plot

OURS = {method for paper, table, method in OWN_ROWS.values() if table == BENCHMARKS[paper]}


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["plot", *map(str, arguments)])
    plot.main()


def test_svg_names_our_networks_and_their_peers(tmp_path: Path) -> None:
    out = tmp_path / "new" / "tradeoff.svg"
    plot.tradeoff(out)
    texts = re.findall(r"<!-- (.*?) -->", out.read_text(encoding="utf-8"))
    assert {"LFFN-S", "MAFFSRN-L", "OSFFNet", "MLRN", "MSFIN"} <= OURS <= set(texts)
    assert {"CARN", "IMDN", "DRRN", "MSFIN+", "SRCNN 30.48"} <= set(texts)
    assert texts.count("MSFIN-S") == 2  # at the edge of one panel, a point in the other
    assert list(out.parent.iterdir()) == [out]


def test_command_line_writes_a_png(monkeypatch, capsys, tmp_path: Path) -> None:
    out = tmp_path / "manga.png"
    run(monkeypatch, "--out", out, "--dataset", "Manga109", "--scale", "3")
    assert out.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"{out}\n"


def test_points_are_one_for_each_method() -> None:
    chosen = plot.points("Set5", 4)
    methods = [row.method for row in chosen]
    assert len(methods) == len(set(methods)) == 37
    assert set(methods) >= OURS
    assert "SRMDNF" not in methods  # scores without any cost


def test_misprints_are_not_drawn() -> None:
    srcnn = {row.method: row for row in plot.points("Set5", 4)}["SRCNN"]
    assert (srcnn.paper, srcnn.params) == ("maffsrn", 57_000)
    lapsrn = {row.method: row for row in plot.points("BSD100", 2)}["LapSRN"]
    assert lapsrn.psnr == 31.80
    assert "EDSR" not in [row.method for row in plot.points("Manga109", 4)]


def test_first_paper_speaks_for_a_peer() -> None:
    carn = {row.method: row for row in plot.points("Manga109", 3)}["CARN"]
    assert (carn.paper, carn.psnr) == ("lffn", 33.47)


def test_ablations_are_not_drawn() -> None:
    assert {row.method for row in plot.points("Urban100", 4)}.isdisjoint({"LFFN-NF", "OISI", "Net-ESA"})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--out", "a.svg", "--dataset", "set5"), "Unknown dataset 'set5'. Known: Set5, Manga109"),
        (("--out", "a.svg", "--scale", "5"), "Unknown scale 5. Known scales: 2, 3, 4."),
        (("--out", "a.svg", "--scale", "0"), "Unknown scale 0."),
        (("--out", "a.pdf"), "Cannot draw into a.pdf: its name must end in .svg or .png."),
    ],
)
def test_mistakes_are_explained(arguments, words: str, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=re.escape(words)):
        run(monkeypatch, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_function_refuses_an_unknown_scale(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Unknown scale 8"):
        plot.tradeoff(tmp_path / "a.svg", scale=8)


def test_without_matplotlib(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=re.escape("Type: pip install 'edgesr[plot]'")):
        plot.tradeoff(tmp_path / "a.svg")
    assert list(tmp_path.iterdir()) == []


def test_labels_keep_off_one_another_and_the_points() -> None:
    crowd = [(200.0 + 9 * i, 200.0 + 7 * (i % 3)) for i in range(8)]
    spots = np.array([*crowd, (390.0, 200.0)])
    sizes = np.tile((60.0, 12.0), (len(spots), 1))
    bars = np.array([(0.0, 222.0, 400.0, 224.0)])
    offsets = plot.placed(spots, np.full(len(spots), 3), sizes, bars, np.array((0, 0, 400, 400)))
    boxes = plot.box(spots + offsets, sizes / 2)
    for i in range(len(spots)):
        others = np.concatenate([np.delete(boxes, i, axis=0), plot.box(spots, 3), bars])
        assert plot.overlap(boxes[i : i + 1], others) < 8  # of 720 pixels
    assert boxes.min() >= 0
    assert boxes.max() <= 400


def test_overlap_is_the_shared_area() -> None:
    places = np.array([(0.0, 0.0, 4.0, 2.0), (9.0, 9.0, 10.0, 10.0)])
    others = np.array([(3.0, 1.0, 8.0, 8.0), (0.0, 0.0, 1.0, 1.0)])
    assert plot.overlap(places, others).tolist() == [2, 0]
