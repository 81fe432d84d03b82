"""Pixels become floats and tiles become images as they did: what the Android app is held to."""

import json
from pathlib import Path

import pytest

from tests.golden.make_golden import pixels

GOLDEN = json.loads((Path(__file__).parent / "golden" / "pixels.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["units", "levels", "mirrored", "bicubic", "tiled"])
def test_equals_golden(name: str) -> None:
    assert pixels()[name] == GOLDEN[name]


def test_nothing_else_is_golden() -> None:
    assert set(GOLDEN) == {"units", "levels", "mirrored", "bicubic", "tiled"}
    assert [row["level"] for row in GOLDEN["units"]] == list(range(256))
    assert {row["level"] for row in GOLDEN["levels"]} == set(range(256))
