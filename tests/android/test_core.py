"""core/ by its own JUnit tests, on the golden files that Python's tests are held to."""

import re
from pathlib import Path

import pytest

from android_demo.tools import kotlin
from android_demo.tools.toolchain import ASSETS, DEMO, ROOT

pytestmark = [pytest.mark.android, pytest.mark.slow]

SOURCES = DEMO / "core" / "src" / "test"
CARD = ASSETS / "msfin-s_x4_w8a8_64x64.properties"


def test_junit(core: Path, core_tests: Path) -> None:
    texts = {path.stem: path.read_text(encoding="utf-8") for path in SOURCES.rglob("*Test.kt")}
    written = sum(len(re.findall(r"^\s*@Test$", text, re.MULTILINE)) for text in texts.values())
    assert written >= 30
    properties = {"edgesr.golden": str(ROOT / "tests" / "golden"), "edgesr.card": str(CARD)}
    names = [f"edgesr.core.{name}" for name in sorted(texts)]
    passed, output = kotlin.run_junit([core_tests, core], names, properties)
    assert passed == written, output
