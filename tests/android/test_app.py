"""app/ as a phone of minSdk would find it: resources, code, and every reference to Android."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from android_demo.tools import api, app
from android_demo.tools.api import Api
from android_demo.tools.classfile import read_classes
from android_demo.tools.toolchain import DEMO, KTLINT, java

pytestmark = [pytest.mark.android, pytest.mark.slow]

MAIN = DEMO / "app" / "src" / "main"


@pytest.fixture
def copy(tools: None, tmp_path: Path) -> Path:
    """app/src/main, to spoil."""
    return shutil.copytree(MAIN, tmp_path / "main", ignore=shutil.ignore_patterns("assets"))


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_resources_and_manifest_link(linked: Path) -> None:
    assert "class R" in next(linked.rglob("R.java")).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("res/layout/controls.xml", "@string/upscale", "@string/upscael"),
        ("res/layout/main.xml", "layout_weight", "layout_wieght"),
        ("res/values/themes.xml", "Theme.Material.Light.NoActionBar", "Theme.Material.Lihgt"),
        ("AndroidManifest.xml", "@style/Theme.Edgesr", "@style/Theme.Edegsr"),
        ("AndroidManifest.xml", "android:exported", "android:exprted"),
    ],
)
def test_misspelt_resource_is_refused(copy: Path, tmp_path: Path, file: str, old: str, new: str) -> None:
    replace(copy / file, old, new)
    with pytest.raises(app.LinkError, match=re.escape(new.rsplit("/", 1)[-1])):
        app.link(copy, tmp_path / "out", app.sdk())


def test_stubs_are_androids(android: Api) -> None:
    stubs = read_classes(app.stubs()[0])
    assert len(stubs) >= 80
    assert api.wrong_stubs(stubs.values(), android) == []


def test_every_reference_exists_on_the_oldest_phone(android: Api, core: Path, linked: Path) -> None:
    classes = [*read_classes(core).values(), *read_classes(app.compile_app(DEMO, linked)).values()]
    used = [
        member for one in classes for member in one.references if member.owner.startswith("android.")
    ]
    assert len(used) >= 200
    assert api.unknown_references(classes, android, app.sdk().minimum) == []


def test_newer_android_is_found_without_its_guard(android: Api, linked: Path) -> None:
    classes = read_classes(app.compile_app(DEMO, linked))
    unguarded = classes["edgesr.demo.Api33"]
    unguarded.name = "edgesr.demo.Anywhere"
    faults = api.unknown_references([unguarded], android, app.sdk().minimum)
    assert any("ACTION_PICK_IMAGES came with API 33, 28 is allowed" in fault for fault in faults)


def test_newer_android_is_used_behind_a_check() -> None:
    uses = 0
    for path in sorted(MAIN.rglob("*.kt")):
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            for level in re.findall(r"\bApi(\d+)\.", line):
                uses += 1
                near = "\n".join(lines[max(0, number - 2) : number + 1])
                assert f"SDK_INT >= {level}" in near, f"{path.name}:{number + 1}: {line.strip()}"
    assert uses >= 6


def test_ktlint(tools: None) -> None:
    command = [java(), "-jar", str(KTLINT.folder() / KTLINT.part), "android_demo/**/*.kt"]
    command.append("android_demo/**/*.kts")
    done = subprocess.run(command, cwd=DEMO.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
