"""Which files the app takes, and what it is told of them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgesr.errors import UserError
from edgesr.files import sha256
from export import android
from export.android import ASSETS, CATALOG, DEMO, card, runtime_version

RUNTIME = "1.5.1"


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """A file with a report that passed; what is in it does not matter here."""
    path = tmp_path / "net_x4_w8a8_24x32.pte"
    path.write_bytes(b"program")
    report = {
        "artifact": {"file": path.name, "bytes": 7, "sha256": sha256(path)},
        "facts": {
            "model": "net",
            "scale": 4,
            "scheme": "w8a8",
            "tile": [24, 32],
            "overlap": 3,
            "multiple": 2,
            "checkpoint_sha256": "ab",
            "commit": "cd",
            "versions": {"executorch": "1.5.1"},
        },
        "verdict": {"passed": True, "failures": []},
    }
    report_of(path).write_text(json.dumps(report))
    return path


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """As much of the app's project as is needed."""
    catalog = tmp_path / "demo" / CATALOG
    catalog.parent.mkdir(parents=True)
    catalog.write_text(f'[versions]\nexecutorch = "{RUNTIME}"\n')
    return tmp_path / "demo"


def report_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.report.json")


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(report_of(path).read_text())
    edit(content)
    report_of(path).write_text(json.dumps(content))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["export.android", *map(str, arguments)])
    android.main()


def test_file_and_card_are_copied(artifact: Path, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "--artifact", artifact, "--demo", demo)
    assets = demo / ASSETS
    assert sorted(path.suffix for path in assets.iterdir()) == [".properties", ".pte"]
    assert (assets / artifact.name).read_bytes() == b"program"
    facts = (assets / artifact.name).with_suffix(".properties").read_text().splitlines()
    assert facts == [
        *("file=net_x4_w8a8_24x32.pte", f"sha256={sha256(artifact)}", "model=net", "scale=4"),
        *("scheme=w8a8", "tile_height=24", "tile_width=32", "overlap=3", "multiple=2"),
        *("executorch=1.5.1", "checkpoint_sha256=ab", "commit=cd"),
    ]


def test_nothing_is_copied_if_one_is_refused(
    artifact: Path, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="does not exist"):
        run(monkeypatch, "--artifact", artifact, artifact.with_name("absent.pte"), "--demo", demo)
    assert not (demo / ASSETS).exists()


def test_missing_report(artifact: Path) -> None:
    report_of(artifact).unlink()
    with pytest.raises(UserError, match="has no report"):
        card(artifact, RUNTIME)


@pytest.mark.parametrize("content", ["{", "[]", "null"])
def test_broken_report(artifact: Path, content: str) -> None:
    report_of(artifact).write_text(content)
    with pytest.raises(UserError, match=r"Export the file anew|is not JSON"):
        card(artifact, RUNTIME)


def test_failed_report(artifact: Path) -> None:
    change(artifact, lambda report: report["verdict"].update(passed=False, failures=["parity 12 dB"]))
    with pytest.raises(UserError, match="did not pass its verification: parity 12 dB"):
        card(artifact, RUNTIME)


def test_verdict_must_be_a_plain_yes(artifact: Path) -> None:
    change(artifact, lambda report: report["verdict"].update(passed="no"))
    with pytest.raises(UserError, match="did not pass"):
        card(artifact, RUNTIME)


def test_report_of_another_file(artifact: Path) -> None:
    artifact.write_bytes(b"tampered")
    with pytest.raises(UserError, match="SHA-256 differs"):
        card(artifact, RUNTIME)


@pytest.mark.parametrize(
    ("exporter", "welcome"),
    [("1.5.1", True), ("1.4.9", True), ("1.5.1a0+cpu", True), ("1.5.2", False), ("1.10.0", False)],
)
def test_newer_exporter(artifact: Path, exporter: str, welcome: bool) -> None:
    change(artifact, lambda report: report["facts"]["versions"].update(executorch=exporter))
    if welcome:
        assert f"executorch={exporter}\n" in card(artifact, RUNTIME)
    else:
        with pytest.raises(UserError, match="need not read it"):
            card(artifact, RUNTIME)


@pytest.mark.parametrize("fact", ["scale", "tile", "overlap", "versions", "commit"])
def test_fact_that_is_missing(artifact: Path, fact: str) -> None:
    change(artifact, lambda report: report["facts"].pop(fact))
    with pytest.raises(UserError, match=f"lacks '{fact}'"):
        card(artifact, RUNTIME)


def test_other_suffix(artifact: Path) -> None:
    with pytest.raises(UserError, match=r"is no \.pte"):
        card(artifact.rename(artifact.with_name(f"{artifact.name}.rejected")), RUNTIME)


def test_folder_without_the_app(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no copy of android_demo"):
        runtime_version(tmp_path)


def test_this_checkout_has_the_app() -> None:
    assert runtime_version(DEMO) == RUNTIME
