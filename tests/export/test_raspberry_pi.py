"""The program of docs/raspberry_pi.md gives edgesr's own pixels, for every kind of .tflite."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesr import checkpoint as checkpoints
from edgesr.data.drawn import drawn_pairs
from edgesr.data.images import to_tensor, to_uint8
from edgesr.engines import open_artifact
from edgesr.models import MODELS
from export import pipeline, tflite

PAGE = Path(__file__).resolve().parents[2] / "docs" / "raspberry_pi.md"
(CODE,) = re.findall(
    r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
SIZES = {"several tiles": (53, 71), "within one tile": (11, 7), "one tile": (24, 32)}
CONSTANTS = "OVERLAP, MULTIPLE = 8, 1 "


def test_it_needs_no_more_than_it_says() -> None:
    nodes = list(ast.walk(ast.parse(CODE)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    runtimes = {"ai_edge_litert.interpreter", "tflite_runtime.interpreter"}
    assert names == {"sys", "numpy", "PIL", *runtimes}


@pytest.mark.parametrize(
    ("name", "scale", "scheme", "ends", "overlap"),
    [
        ("lffn-s", 2, None, "int8", 8),
        ("lffn-s", 4, "int8", "int8", 8),
        ("lffn-s", 2, "int8", "uint8", 8),
        ("msfin", 3, "w8a8", "int8", 5),  # whose tiles start at multiples of 4
    ],
)
def test_it_gives_our_pixels(
    name: str,
    scale: int,
    scheme: str | None,
    ends: str,
    overlap: int,
    small_networks: dict[str, Callable[[int], object]],
    calibrated: Callable[[str, int, str | None], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(MODELS, name, replace(MODELS[name], build=small_networks[name]))
    checkpoint = checkpoints.load(calibrated(name, scale, scheme))
    options = {"profile": "xnnpack", "ends": ends}
    request = pipeline.Request(checkpoint, (24, 32), overlap, tmp_path, [], None, options)
    _, program, _ = pipeline.build(request, tflite.FOLD_WEIGHTS)
    tflite.lower(program, request.facts, file := tmp_path / "model.tflite")
    artifact = open_artifact(file)
    assert CONSTANTS in CODE
    code = CODE.replace(CONSTANTS, f"OVERLAP, MULTIPLE = {artifact.overlap}, {artifact.multiple} ")
    (program_file := tmp_path / "upscale.py").write_text(code, encoding="utf-8")
    drawn = next(drawn_pairs(2, 1, size=160)).lr
    for size in SIZES.values():
        lr = np.ascontiguousarray(drawn[: size[0], : size[1]])
        Image.fromarray(lr).save(photo := tmp_path / "photo.png")
        words = [program_file, file, photo, out := tmp_path / "large.png"]
        subprocess.run([sys.executable, *map(str, words)], check=True, cwd=tmp_path, timeout=120)
        expected = to_uint8(artifact.tiled()(to_tensor(lr)))
        assert expected.std() > 1
        np.testing.assert_array_equal(np.asarray(Image.open(out)), expected)
