"""All forms of one checkpoint against each other: `python -m export.verify RUN`."""

import json
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from torch import Tensor

from edgesr import checkpoint as checkpoints
from edgesr.data.drawn import drawn_pairs
from edgesr.errors import UserError
from export import coreml, executorch, matrix, tflite, verify
from export.card import card
from export.matrix import Form, Matrix
from export.pipeline import Request, export
from export.report import BUDGETS


def verified(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["export.verify", *map(str, arguments)])
    verify.main()


@pytest.mark.slow
def test_three_files_of_one_run(
    monkeypatch: pytest.MonkeyPatch, qat_checkpoint: Path, tmp_path: Path
) -> None:
    """The float parent, the trained graph, .pte, .tflite and .mlpackage; the first two files equal."""
    monkeypatch.chdir(tmp_path)
    checkpoint = checkpoints.load(qat_checkpoint)
    request = Request(checkpoint, (24, 24), 4, Path("artifacts"), [], None)
    export(executorch, request, say=print)
    export(tflite, request, say=print)
    export(coreml, request, say=print)
    options = ["--float-checkpoint", tmp_path / "float", "--json", "m.json", "--card", "m.md"]
    verified(monkeypatch, qat_checkpoint, *options)
    found = json.loads(Path("m.json").read_text())
    assert set(found["files"]) == {"pte", "tflite", "mlpackage"}
    assert set(found["sets"]["drawn"]) == {"float", "fake-quant", "pte", "tflite", "mlpackage"}
    apart = {(pair["against"], pair["form"]): pair for pair in found["pairs"]}
    assert len(apart) == 10
    assert apart["pte", "tflite"]["max_levels"] <= 1
    assert all(files["zipped_bytes"] < 2 * files["bytes"] for files in found["files"].values())
    assert Path("m.md").read_text().endswith("Passed.\n")
    verified(monkeypatch, *Path("artifacts").glob("*.*te"), "--checkpoint", qat_checkpoint)


def brighter(levels: int) -> Callable[[Tensor], Tensor]:
    def upscale(lr: Tensor) -> Tensor:
        return (lr.repeat_interleave(2, 2).repeat_interleave(2, 3) + levels / 255).clamp(0, 1)

    return upscale


def matrix_of(checkpoint: Path, **files: int) -> Matrix:
    """Files that are so many levels brighter than their graph, measured on two drawn images."""
    forms = [Form("fake-quant", brighter(0))]
    forms += [Form(name, brighter(levels), Path(name)) for name, levels in files.items()]
    found = Matrix(checkpoints.load(checkpoint), forms)
    found.add("drawn", list(drawn_pairs(2, 2)), lambda *_: None)
    return found


def test_what_fails(qat_checkpoint: Path) -> None:
    assert matrix_of(qat_checkpoint, one=0, other=0).failures == []
    failures = "\n".join(matrix_of(qat_checkpoint, one=0, other=60).failures)
    assert "other is" in failures
    assert "dB from the graph > 0.02 dB" in failures
    assert "the files are" in failures
    assert "levels from the graph > 40" in failures
    assert "one is" not in failures


def test_a_file_is_held_to_its_own_budget(qat_checkpoint: Path) -> None:
    found = matrix_of(qat_checkpoint, one=2)
    found.forms[1] = replace(found.forms[1], budget=BUDGETS["fp32"])
    assert "one: a value is 2 levels from the graph > 1" in found.failures


def test_every_two_are_compared(qat_checkpoint: Path) -> None:
    found = matrix_of(qat_checkpoint, one=2, other=5)
    levels = {pair: parity.max_levels for pair, parity in found.parities.items()}
    assert levels == {("fake-quant", "one"): 2, ("fake-quant", "other"): 5, ("one", "other"): 3}
    scores = found.scores["drawn"]
    assert scores["fake-quant"].psnr > scores["one"].psnr > scores["other"].psnr


def test_the_card_says_what_failed(qat_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts: dict[str, object] = {
        "file": "a.pte",
        "bytes": 2048,
        "zipped_bytes": 1024,
        "int8_ops": 3,
        "ops": 4,
    }
    facts |= {"float_weight_bytes": 0, "float_ops": ["PReLU", "Sigmoid"]}
    monkeypatch.setattr("export.matrix.facts_of", lambda form: facts)
    text = card(matrix_of(qat_checkpoint, one=60))
    assert "| a.pte | 2   | 1      | 3 of 4" in text
    assert "- in float in one: PReLU, Sigmoid\n" in text
    assert "Failed:\n\n- drawn: one is" in text
    assert "| fake-quant | one   |" in text


def test_weights_are_counted_as_they_are_held(float_checkpoint: Path, qat_checkpoint: Path) -> None:
    """Not their float originals, too, which an exported program keeps and nobody reads."""
    quantized, original = (
        matrix.weight_bytes(checkpoints.load(path)) for path in (qat_checkpoint, float_checkpoint)
    )
    assert 0 < quantized < original


def test_a_folder_is_zipped_with_all_that_it_holds(tmp_path: Path) -> None:
    (tmp_path / "a.mlpackage" / "Data").mkdir(parents=True)
    (tmp_path / "a.mlpackage" / "Data" / "w").write_bytes(random.randbytes(5000))
    assert matrix.zipped_bytes(tmp_path / "a.mlpackage") > 5000


def test_mistakes(
    float_checkpoint: Path,
    qat_checkpoint: Path,
    exported: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, message in (
        ([qat_checkpoint], "No file in ./artifacts was made from this checkpoint"),
        ([qat_checkpoint, exported], "files, or one run; not both"),
        ([tmp_path, qat_checkpoint], "Name one run"),
        ([tmp_path], "checkpoint.safetensors does not exist"),
        ([exported, exported], "neither bundled nor under ./runs"),
        ([exported, exported, "--checkpoint", float_checkpoint], "export it anew"),
        ([exported, exported, "--arm64"], "name it alone"),
        ([exported, "--arm64", "--card", "x"], "--card is for comparing files"),
    ):
        with pytest.raises(UserError, match=message):
            verified(monkeypatch, *arguments)
