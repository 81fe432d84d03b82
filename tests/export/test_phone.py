"""The benchmark on a phone, with a folder for the phone and everything that can go wrong on the way."""

import json
import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgesr.errors import UserError
from export import bench, phone
from export.native import build
from export.native.build import Bundle


@pytest.fixture
def host_as_phone(folder: Path, host: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's runner in place of the ARM64 one: the phone's CPU is this one."""
    bundle = folder.parent / "bundle"
    bundle.mkdir()
    shutil.copy(host.folder / host.name, bundle)
    (bundle / build.LOADER).write_text('#!/bin/sh\nshift 2; exec "$@"\n')
    start = [f"./{build.LOADER}", "--library-path", ".", f"./{host.name}"]
    monkeypatch.setattr(build, "arm64", lambda: Bundle(bundle, start))
    qemu = folder.parent / "qemu"
    qemu.write_text('#!/bin/sh\nshift 2; exec "$@"\n')
    qemu.chmod(0o755)
    monkeypatch.setenv("FAKE_QEMU", str(qemu))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    words = ["export.bench", "--device", "adb", "--runs", "3", *map(str, arguments)]
    monkeypatch.setattr(sys, "argv", words)
    bench.main()


def test_all_the_way(
    exported: Path,
    folder: Path,
    host_as_phone: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = folder.parent / "first.json"
    run(monkeypatch, exported, "--profile", "--json", out)
    found = json.loads(out.read_text())
    assert found["experimental"]
    assert found["device"] == {
        "model": "Folder 1",
        "manufacturer": "tests",
        "soc": "QEMU",
        "board": "",
        "android": "16",
        "sdk": "36",
        "abi": "arm64-v8a",
        "governor": "performance schedutil",
    }
    (row,) = found["networks"]
    assert row["parity"]["differing_floats"] == 0
    assert row["parity"]["tiles"] == 2
    assert len(row["times"]["runs_ms"]) == 3
    assert row["times"]["warmup"] == phone.WARMUP
    assert row["times"]["threads"] == 1
    assert (row["heat"]["celsius_before"], row["heat"]["was_cool"]) == (30.0, True)
    assert any("Convolution" in kind["name"] for kind in row["profile"])
    assert list((folder / "data/local/tmp").iterdir()) == []
    other = json.loads(out.read_text())
    other["device"] |= {"model": "Folder 2"}
    other["networks"][0]["times"] |= {"median_ms": 123.4, "p90_ms": 150.0}
    other["networks"][0]["heat"]["was_cool"] = False
    (second := folder.parent / "second.json").write_text(json.dumps(other))
    capsys.readouterr()
    run(monkeypatch, exported, "--compare", second)
    title, heads, line = capsys.readouterr().out.splitlines()
    assert "experimental" in title
    assert heads.split() == ["file", "Folder", "1", "QEMU", "Folder", "2", "QEMU"]
    assert line.endswith("123.4 (150.0) !")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("none", "No phone is connected"),
        ("two", "2 devices are connected: folder1 .*Choose one with --serial"),
        ("unauthorized", "allow USB debugging on its screen"),
        ("offline", "folder1 is offline"),
        ("abi", "runs x86_64; arm64-v8a is needed"),
        ("push", "could not be copied on folder1 .*No space left on device"),
        ("crash", "failed on folder1 with status 139: Segmentation fault"),
        ("unplugged", "folder1 was unplugged or went to sleep"),
        ("garbage", "was to print its figures for .* and printed: .*all done"),
        ("other_sr", "computes something else on folder1"),
        ("short_sr", "returned 30716 bytes of SR, not 30720"),
    ],
)
def test_what_goes_wrong(
    exported: Path,
    folder: Path,
    host_as_phone: None,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    message: str,
) -> None:
    monkeypatch.setenv("FAKE_FAULT", fault)
    out = folder.parent / "out.json"
    with pytest.raises(UserError, match=message):
        run(monkeypatch, exported, "--json", out)
    assert not out.exists()


def test_a_warm_phone_is_left_to_cool(
    exported: Path, folder: Path, host_as_phone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAULT", "hot")
    slept: list[float] = []
    clock = SimpleNamespace(sleep=slept.append, monotonic=time.monotonic)
    monkeypatch.setattr(phone, "time", clock)
    out = folder.parent / "out.json"
    run(monkeypatch, exported, "--json", out)
    (row,) = json.loads(out.read_text())["networks"]
    assert slept == [phone.LOOK_SECONDS] * 2  # 38.0 and 36.5 °C are too warm
    assert row["heat"]["celsius_before"] == 35.0
    assert row["heat"]["was_cool"]


def test_two_phones_and_a_choice(
    exported: Path, folder: Path, host_as_phone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAULT", "two")
    run(monkeypatch, exported, "--serial", "folder1")
    with pytest.raises(UserError, match="No device folder3 is connected"):
        run(monkeypatch, exported, "--serial", "folder3")


def test_no_adb(exported: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ADB", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="adb is not on the PATH"):
        run(monkeypatch, exported)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "lffn-s"], "lowers nothing: name them"),
        (["file.tflite"], "only a .pte"),
        (["file.pte", "--threads", "0"], "at least 1 of each"),
        (["absent.pte"], "does not exist"),
    ],
)
def test_mistakes(monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(monkeypatch, *arguments)


def test_another_phones_figures_must_be_figures(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (wrong := tmp_path / "wrong.json").write_text('{"device": {}}')
    with pytest.raises(UserError, match="was not written by --device adb"):
        run(monkeypatch, exported, "--compare", wrong)


def test_options_of_phones_need_a_phone(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["export.bench", str(exported), "--serial", "folder1"])
    with pytest.raises(UserError, match="add --device adb"):
        bench.main()


@pytest.mark.arm64
@pytest.mark.slow
def test_on_an_emulated_arm64_cpu(
    exported: Path, qemu: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_QEMU", str(qemu))
    out = folder.parent / "out.json"
    run(monkeypatch, exported, "--json", out)
    (row,) = json.loads(out.read_text())["networks"]
    assert row["parity"]["differing_bytes"] == 0
    assert row["times"]["median_ms"] > 0
