"""The guides in docs, typed line by line, with smaller networks and tiles and fewer steps."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from edgesr.data.drawn import drawn_images
from edgesr.models import MODELS
from export import pipeline
from tests import commands

ROOT = Path(__file__).resolve().parents[1]
TRAINING = "--steps 2 --batch 2 --patch 16 --threads 1"
SMALL = {
    "recipes.train": TRAINING,
    "recipes.qat": TRAINING,
    "export.executorch": "--tile 16x16 --overlap 4",
}
"""What is added to a command, so that it takes seconds."""


def lines(page: str) -> list[list[str]]:
    """The words of each command of a page, after `python -m`, in order."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = [
        shlex.split(line, comments=True) for line in re.findall(r"^    python -m (.+)$", text, re.M)
    ]
    return [[*words, *_added(words)] for words in found]


def _added(words: list[str]) -> list[str]:
    added = shlex.split(SMALL.get(words[0], ""))
    if "--resume" in words:
        return []
    return [*added, "--holdout", "1"] if "--data" in words else added


def python_of(page: str) -> list[str]:
    """The pieces of Python in a page."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)


def typed(words: list[str]) -> None:
    commands.typed([word.replace("64x64", "16x16") for word in words])


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def place(
    patch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder with photographs, and everything that "train on my photos" makes of them.

    The network is the little one of another page, lowered in a second, under the name of LFFN-S.
    """
    place = tmp_path_factory.mktemp("guide")
    (place / "photos").mkdir()
    for index, image in enumerate(drawn_images(4, 96)):
        Image.fromarray(image).save(place / "photos" / f"{index}.jpg")
    for name in ("holiday.jpg", "other.jpg", "photo.png"):
        Image.fromarray(drawn_images(1, 64, seed=3)[0]).save(place / name)
    patch.chdir(place)
    names: dict[str, Any] = {}
    exec(python_of("add_a_network.md")[0], names)
    patch.setitem(MODELS, "lffn-s", replace(MODELS["lffn-s"], build=names["Little"]))
    patch.setattr(pipeline, "peak_rss", lambda path: None)  # takes a process of its own
    commands = lines("train_on_photos.md")
    assert [words[0] for words in commands].count("recipes.train") == 2
    assert len(commands) == 7
    for words in commands:
        typed(words)
    return place


def test_train_on_my_photos(place: Path) -> None:
    sizes = {name: Image.open(place / name).size for name in ("large.png", "large8.png")}
    assert sizes == {"large.png": (256, 256), "large8.png": (256, 256)}
    report = json.loads((place / "artifacts/lffn-s_x4_w8a8_16x16.pte.report.json").read_text())
    assert report["verdict"]["passed"]
    assert Image.open(place / "sheet.png").width > 600
    rows = (place / "runs/mine/log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "1", "2"]


def test_put_it_in_my_app_android(place: Path) -> None:
    catalog = place / "app/gradle/libs.versions.toml"
    catalog.parent.mkdir(parents=True)
    shutil.copyfile(ROOT / "android_demo/gradle/libs.versions.toml", catalog)
    commands = lines("android.md")
    assert [words[0] for words in commands] == ["export.executorch", "export.android", "edgesr"]
    (place / "large.png").unlink(missing_ok=True)
    for words in commands:
        typed([word.replace("msfin-s", "lffn-s") for word in words])
    card = (place / "app/app/src/main/assets/models/lffn-s_x4_w8a8_16x16.properties").read_text()
    page = (ROOT / "docs/android.md").read_text(encoding="utf-8")
    for name in ("tile_height", "tile_width", "overlap", "multiple", "sha256"):
        assert f"{name}=" in card
    assert all(f"`{name}`" in page for name in ("tile_height", "tile_width", "overlap", "multiple"))
    assert Image.open(place / "large.png").size == (256, 256)


def test_the_android_page_names_what_the_demo_uses() -> None:
    """Kotlin is not compiled here, so the page's names and version are held to the demo's."""
    page = (ROOT / "docs/android.md").read_text(encoding="utf-8")
    (used,) = re.findall(r'executorch-android:([\d.]+)"', page)
    catalog = (ROOT / "android_demo/gradle/libs.versions.toml").read_text(encoding="utf-8")
    assert f'executorch = "{used}"' in catalog
    stub = (ROOT / "android_demo/stubs/kotlin/org/pytorch/executorch/ExecuTorch.kt").read_text(
        encoding="utf-8"
    )
    for name in re.findall(r"import org\.pytorch\.executorch\.(\w+)", page):
        assert f"class {name}" in stub
    for name in (
        "load",
        "forward",
        "from",
        "fromBlob",
        "toTensor",
        "allocateFloatBuffer",
        "copyDataInto",
    ):
        assert f"fun {name}(" in stub
        assert f"{name}(" in page


IMPORT = "from edgesr.models.little import Little\n"
TYPE_ALL = """
import json, runpy, sys
from export import pipeline
pipeline.peak_rss = lambda path: None
for words in json.load(sys.stdin):
    print("$", *words, flush=True)
    sys.argv = words
    sys.modules.pop(words[0], None)
    runpy.run_module(words[0], run_name="__main__", alter_sys=True)
"""


def test_add_a_network(tmp_path: Path) -> None:
    """To a copy of the project: the page's file and its line, and nothing else is changed."""
    for package in ("edgesr", "recipes", "export"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    file, line = python_of("add_a_network.md")
    (tmp_path / "edgesr/models/little.py").write_text(file)
    table = tmp_path / "edgesr/models/__init__.py"
    text = table.read_text()
    for head, added in (
        ("\nMODELS: dict[str, Model] = {\n", line),
        ("\nfrom torch import nn\n", IMPORT),
    ):
        assert text.count(head) == 1
        text = text.replace(head, head + added)
    table.write_text(text)
    Image.fromarray(drawn_images(1, 48)[0]).save(tmp_path / "photo.png")
    commands = [
        [word.replace("64x64", "16x16") for word in words] for words in lines("add_a_network.md")
    ]
    assert len(commands) == 7
    done = subprocess.run(
        [sys.executable, "-c", TYPE_ALL],
        input=json.dumps(commands),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^little .* Little: three convolutions$", done.stdout, re.M)
    for scheme in ("fp32", "w8a8"):
        report = json.loads(
            (tmp_path / f"artifacts/little_x2_{scheme}_16x16.pte.report.json").read_text()
        )
        assert report["verdict"]["passed"]
        assert report["census"]["ops_outside"] == 0
    assert Image.open(tmp_path / "large.png").size == (96, 96)
