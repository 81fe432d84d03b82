"""What a page says, without a browser: figures, drawings, escaping, and what is refused."""

import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from torch import nn

from edgesr.data.benchmarks import make_pair
from edgesr.data.drawn import drawn_images
from edgesr.errors import UserError
from edgesr.models import MODELS
from export import compare, page
from export.census import IMAGE, Node, Operator, counted, linked
from export.target import find_target
from export.web import drawing, figures
from export.web.flow import flow, layout
from export.web.gallery import SIDE, Exhibit, Gallery, busiest


def paged(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["export.page", *map(str, arguments)])
    page.main()


def test_what_is_planted_is_escaped(planted: Path) -> None:
    text = planted.read_text(encoding="utf-8")
    assert text.count("<script") == 1
    assert "<img src=x" not in text
    assert text.count("&lt;script&gt;") >= 12, "model, file, device, versions, images, quantizer, …"
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    assert len(text) < 3_000_000


def test_the_page_has_the_figures_of_its_report(planted: Path, subject: Path) -> None:
    text = planted.read_text(encoding="utf-8")
    report = json.loads(subject.with_name(f"{subject.name}.report.json").read_text())
    assert f"<dd>{report['latency']['median_ms']:.1f} ms</dd>" in text
    assert f"<dd>{report['artifact']['sha256']}</dd>" in text
    cells = re.findall(r'<rect [^>]*class="cell (\w+)"', text)
    assert len(cells) == report["census"]["ops_delegated"]
    assert cells.count("int8") == report["census"]["int8_ops"]
    assert 'role="img" aria-label="Noise of' in text
    assert "Read back from its bytes" in text


def test_operators_in_order_are_those_of_the_census(exported: Path) -> None:
    target = find_target(exported)
    census, operators = target.census(exported), target.operators(exported)
    again = counted(
        operators,
        partitions=census.partitions,
        float_weight_bytes=census.float_weight_bytes,
        planned_bytes=census.planned_bytes,
    )
    assert again == census
    assert [operators[0].kind, operators[-1].kind] == ["StaticConstantPad", "StaticReshape"]


def test_differences_are_counted_and_the_worst_is_kept() -> None:
    flat = np.full((48, 48, 3), 100, np.uint8)
    gallery, pair = Gallery(2, {"pte": Exhibit()}), make_pair("flat", flat, 2)
    worse = flat.copy()
    worse[5, 7] = (97, 100, 101)
    for name, sr in (("same", flat), ("worse", worse), ("same again", flat)):
        gallery.add(name, pair, {"fake-quant": flat, "pte": sr})
    exhibit = gallery.exhibits["pte"]
    assert exhibit.levels == Counter({0: 3 * flat.size - 2, 1: 1, -3: 1})
    assert exhibit.worst is not None
    assert (exhibit.worst.name, exhibit.worst.max_levels) == ("worse: flat", 3)


def test_the_image_of_the_median_gain_is_shown() -> None:
    gallery = Gallery(2, {"pte": Exhibit()})
    pair = make_pair("one", drawn_images(1, 48)[0], 2)
    for levels in (9, 0, 4):
        sr = pair.hr.clip(levels, 255) - np.uint8(levels)
        gallery.add(str(levels), pair, {"fake-quant": sr, "pte": sr})
    exhibit = gallery.exhibits["pte"]
    assert exhibit.median.name == "4: one"
    assert exhibit.worst is None, "nothing differs"


def test_the_busiest_part_is_shown() -> None:
    one = np.zeros((SIDE + 100, 2 * SIDE, 3), np.uint8)
    other = one.copy()
    other[SIDE + 90, 2 * SIDE - 1] = 9
    part = busiest(one, other)
    assert other[part].any()
    assert other[part].shape == (SIDE, SIDE, 3)


def texts(svg: str) -> list[str]:
    tree = ElementTree.fromstring(svg)
    return [element.text or "" for element in tree.iter() if element.tag.endswith("text")]


def test_histogram() -> None:
    svg = drawing.histogram({0: 900, -1: 90, 2: 9, 40: 1})
    shown = texts(svg)
    assert shown[:4] == ["−1", "9 %", "0", "90 %"]
    assert shown[-2:] == ["≥ 7", "0.1 %"]
    widths = [float(width) for width in re.findall(r'width="([\d.]+)" height="14"', svg)]
    assert len(widths) == 4
    assert widths[1] == max(widths)
    assert widths[0] - widths[2] == pytest.approx(drawing.BAR / drawing.SPAN, rel=1e-3), "a decade"


def test_graph_of_delegates_and_operators_between_them() -> None:
    inside = [Operator("Conv2d", "int8", 0), Operator("<b>", "float", 0)]
    between = [Operator("aten::cumsum", "other", None)] * 2
    svg = drawing.graph([*inside, *between, Operator("Conv2d", "int8", 1)], ("LR", "SR"))
    boxes = ["LR", "delegate 1: 2 operators", "aten::cumsum × 2", "delegate 2: 1 operator", "SR"]
    assert texts(svg) == boxes
    assert svg.count('class="arrow"') == 4
    assert "&lt;b&gt;, float" in svg


def test_operators_know_whose_results_they_read(exported: Path, exported_tflite: Path) -> None:
    """Both files are of one network: LFFN adds up, multiplies and joins what lies far apart."""
    joins = {}
    for file in (exported, exported_tflite):
        found = find_target(file).operators(file)
        assert found[0].sources == (IMAGE,)
        assert all(IMAGE <= source < row for row, o in enumerate(found) for source in o.sources)
        read = {source for o in found for source in o.sources}
        assert read == set(range(-1, len(found) - 1)), "only the last one is read by nobody"
        joins[file.suffix] = sum(len(o.sources) > 1 for o in found)
    assert joins[".pte"] == joins[".tflite"] > 3


def test_what_only_changes_a_type_is_passed_through() -> None:
    def node(kind: str, reads: str, writes: str, moves: bool = False) -> Node:
        return Node(Operator(kind, "int8", 0), reads, writes, moves)

    nodes = [node("q", "i", "a", True), node("one", "aw", "b"), node("q", "b", "c", True)]
    found = linked([*nodes, node("two", "cb", "d"), node("three", "dia", "e"), node("k", "w", "f")], "i")
    assert [o.sources for o in found] == [(IMAGE,), (0,), (IMAGE, 1), ()]


def test_graph_of_who_reads_what() -> None:
    """A residual block: what skips it keeps its column, the chain has the next one."""
    sources = [(IMAGE,), (0,), (1,), (0, 2), (3,)]
    operators = [Operator("<b>", "int8", 0, sources[0]), Operator("Conv2d", "float", 0, sources[1])]
    operators += [Operator("aten::x", "other", None, sources[2])]
    operators += [Operator("Add", "int8", 1, one) for one in sources[3:]]
    columns, readers = layout(operators)
    assert columns == [0, 0, 1, 1, 0, 0, 0]
    assert readers == [[1], [2, 4], [3], [4], [5], [6], []]
    svg = flow(operators, ("LR", "SR"))
    assert texts(svg) == ["LR", "1 <b>", "2 Conv2d", "3 aten::x", "4 Add", "5 Add", "SR"]
    assert svg.count('class="edge"') == 7
    assert svg.count('class="box delegate"') == 2
    assert "4: Add, int8, delegate 2; reads 1, 3" in svg
    assert "3: aten::x, other, outside; reads 2" in svg
    assert "<b>" not in svg
    kinds = ["end", "int8", "float", "outside", "int8", "int8", "end"]
    assert re.findall(r'<circle [^>]*class="cell (\w+)"', svg) == kinds


def test_no_line_runs_through_an_operator_that_has_no_part_in_it() -> None:
    """Of a random network: the column of a result is nobody else's until its last reader."""
    rng = np.random.default_rng(0)
    operators = [
        Operator(
            "x", "int8", 0, tuple({*rng.integers(-1, row, rng.integers(1, 4)).tolist()}) or (IMAGE,)
        )
        for row in range(150)
    ]
    operators = [replace(operators[0], sources=(IMAGE,)), *operators[1:]]
    columns, readers = layout(operators)
    for row, reading in enumerate(readers):
        assert row == len(readers) - 1 or reading, "everything goes somewhere, to SR in the end"
        for other in range(row + 1, max(reading, default=row)):
            assert columns[other] != columns[row]


def test_bars_are_logarithmic() -> None:
    svg = drawing.bars([1.0, 0.1, 0.0, 1e-9], [False, True, False, False])
    heights = [float(h) for h in re.findall(r'height="([\d.]+)" class="bar', svg)]
    assert heights == pytest.approx([180, 144, 0])
    assert svg.count('class="bar weight"') == 1


def report() -> dict[str, object]:
    budget = {"min_parity_db": 42.0, "max_levels": 40, "max_artifact_drop_db": 0.05}
    budget |= {"max_partitions": 1, "max_ops_outside": 0, "max_float_weight_bytes": None}
    parity = {"against": "graph", "psnr_db": 41.5, "max_levels": 3, "converted_max_difference": 0.0}
    census = {"partitions": 1, "ops_outside": 2, "float_weight_bytes": 1234}
    quality = {"Set5": {"float_db": 31.0, "fake_quant_db": 30.9, "artifact_db": 30.96}}
    verdict = {"passed": False, "budget": budget, "failures": []}
    return {"verdict": verdict, "parity": parity, "census": census, "quality": quality}


def test_verdict_says_what_was_kept() -> None:
    rows = {row[0]: row[1:] for row in figures.verdict(report())}
    assert rows["parity with the graph"] == ["41.5 dB", "at least 42 dB", "no"]
    assert rows["Set5: PSNR moved, dB"] == ["0.06", "at most 0.05", "no"]
    assert rows["operators outside"] == ["2", "at most 0", "no"]
    assert rows["largest difference, levels"] == ["3", "at most 40", "yes"]
    assert rows["bytes of float weights"] == ["1,234", "any", "yes"]
    assert rows["converted graph off the trained one"][-1] == "yes"


def test_equal_images_and_no_latency() -> None:
    found = report()
    found["parity"] |= {"psnr_db": None}  # pyright: ignore[reportOperatorIssue]
    assert figures.verdict(found)[0][1:] == ["equal", "at least 42 dB", "yes"]
    assert figures.latency({"latency": {"absent": "no Mac"}}) == "no Mac"


@pytest.mark.parametrize(
    ("option", "change", "message"),
    [
        ("sensitivity", lambda c: c["origin"].pop("checkpoint_sha256"), "is no sensitivity of ours"),
        ("sensitivity", lambda c: c["origin"].update(checkpoint_sha256="0" * 64), "was measured of"),
        ("sensitivity", lambda c: c["quantizers"][0].update(noise="loud"), "is no sensitivity of ours"),
        ("matrix", lambda c: c, "is no parity matrix of ours"),
    ],
)
def test_json_that_is_something_else(
    option: str,
    change: Callable[[dict[str, Any]], object],
    message: str,
    subject: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Refused before anything is run."""
    content = json.loads(subject.with_name("sensitivity.json").read_text())
    change(content)
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        paged(monkeypatch, subject, f"--{option}", changed)


def test_files_that_are_something_else(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path(shutil.copy(exported, tmp_path))
    with pytest.raises(UserError, match="nothing says what it must be"):
        paged(monkeypatch, file)
    report = f"{exported.name}.report.json"
    shutil.copy(exported.with_name(report), tmp_path)
    (tmp_path / "text.json").write_text("{")
    for arguments, message in (
        ([file, "--sensitivity", tmp_path / "none.json"], "none.json does not exist"),
        ([file, "--sensitivity", tmp_path / "text.json"], "text.json is no sensitivity of ours"),
        ([file, exported, "--out", tmp_path / "one.html"], "2 pages need a folder"),
        ([file, exported, "--out", tmp_path], "Two files of one name"),
        ([file], "neither bundled nor under ./runs"),
    ):
        with pytest.raises(UserError, match=message):
            paged(monkeypatch, *arguments)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UserError, match="is not the file of its report"):
        paged(monkeypatch, file)


def test_a_rejected_file_has_a_page_too(
    exported: Path,
    small_networks: dict[str, Callable[[int], nn.Module]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(MODELS, "lffn-s", replace(MODELS["lffn-s"], build=small_networks["lffn-s"]))
    monkeypatch.setattr(compare, "DRAWN_IMAGES", 1)
    file = Path(shutil.copy(exported, tmp_path / f"{exported.name}.rejected"))
    content = json.loads(exported.with_name(f"{exported.name}.report.json").read_text())
    content["verdict"] |= {"passed": False, "failures": ["3 partitions > 1"]}
    file.with_name(f"{file.name}.report.json").write_text(json.dumps(content))
    paged(monkeypatch, file, "--checkpoint", exported.with_name("qat"), "--out", tmp_path / "pages")
    text = (tmp_path / "pages" / f"{file.name}.html").read_text(encoding="utf-8")
    assert "✗ Failed" in text
    assert "<li>3 partitions &gt; 1</li>" in text
    assert "Read back from its bytes" not in text
    assert "python -m recipes.sensitivity --checkpoint CKPT" in text, "what makes the missing part"
