"""The benchmark in the demo app, with a folder for the phone and everything that the app may answer."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from edgesr.errors import UserError
from export import bench, phone, phone_app

FAKE = Path(__file__).with_name("fake_app.py")
DEMO = Path(__file__).resolve().parents[2] / "android_demo" / "app"


@pytest.fixture
def app(exported: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The app's models on the phone, `exported` one of them. Nobody waits long."""
    (models := folder / "app").mkdir()
    shutil.copy(exported, models)
    monkeypatch.setattr(phone_app, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(phone_app, "PATIENCE", 30.0)
    return models


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    words = ["export.bench", "--device", "adb", "--mode", "app", "--runs", "3", *map(str, arguments)]
    monkeypatch.setattr(sys, "argv", words)
    bench.main()


def test_all_the_way(
    exported: Path, app: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    second = exported.with_name("it's 2.pte")  # a name that a shell would take apart
    shutil.copy(exported, second)
    shutil.copy(second, app)
    (app.parent / "task").write_text("1")  # somebody started it before
    out = app.parent / "out.json"
    run(monkeypatch, exported, second, "--threads", "2", "--json", out)
    second.unlink()
    found = json.loads(out.read_text())
    assert (found["mode"], found["experimental"]) == ("app", True)
    assert found["device"]["model"] == "Folder 1"
    rows = found["networks"]
    assert [row["file"] for row in rows] == [exported.name, second.name]
    assert rows[0]["tile"] == [16, 20]
    assert rows[0]["parity"] is None
    assert rows[0]["times"] == {
        "load_ms": 12.5,
        "median_ms": 21.0,
        "p90_ms": 22.0,
        "resident_bytes": 100 << 20,
        "threads": 2,
        "warmup": phone.WARMUP,
        "runs_ms": [22.0, 21.0, 20.0],
    }
    assert (rows[0]["heat"]["celsius_before"], rows[0]["heat"]["throttling_after"]) == (30.0, 2)
    assert not (app.parent / "task").exists()  # the app keeps the screen on
    capsys.readouterr()
    found["mode"] = "runner"
    out.write_text(json.dumps(found))
    run(monkeypatch, exported, "--compare", out)
    _, heads, line, _ = capsys.readouterr().out.splitlines()
    assert heads.split() == ["file", "Folder", "1", "QEMU", "app", "Folder", "1", "QEMU"]
    assert line.split()[1:] == ["21.0", "(22.0)", "!"] * 2


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("app_release", r"not debuggable: edgesr.demo\). Only debug builds do. Uninstall it"),
        ("app_old", "did not start on folder1 .*does not exist.*Wake and unlock .*installDebug"),
        ("app_locked", "did not start on folder1 .*Status: timeout.*Wake and unlock"),
        ("app_dies", "The app ended while it timed .* logcat -d -b crash"),
        ("app_garbage", "answered: { half .*Is it of this checkout"),
        ("app_few", "answered: .*3 runs with 1 threads were asked for"),
        ("app_threads", "answered: .*3 runs with 1 threads were asked for"),
        ("app_text", "answered: .*could not convert string to float"),
        ("app_other_id", "is of run '1', not [0-9a-f]{32}. .*try again"),
        ("app_error", r"could not time .*pte: The model file is damaged\.$"),
        ("unauthorized", "allow USB debugging on its screen"),
    ],
)
def test_what_goes_wrong(
    exported: Path, app: Path, monkeypatch: pytest.MonkeyPatch, fault: str, message: str
) -> None:
    monkeypatch.setenv("FAKE_FAULT", fault)
    out = app.parent / "out.json"
    with pytest.raises(UserError, match=message):
        run(monkeypatch, exported, "--json", out)
    assert not out.exists()
    assert not (app.parent / "task").exists()


def test_no_answer(exported: Path, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAULT", "app_silent")
    monkeypatch.setattr(phone_app, "PATIENCE", 1.0)
    with pytest.raises(UserError, match=r"did not answer about .* within 1 s\. Keep the phone"):
        run(monkeypatch, exported)
    assert not (app.parent / "task").exists()


def test_no_app(exported: Path, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(app)
    with pytest.raises(
        UserError, match=r"edgesr.demo is not installed on folder1\. Install it: .*gradlew"
    ):
        run(monkeypatch, exported)


def test_a_file_that_the_app_lacks(exported: Path, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (app / exported.name).rename(app / "other.pte")
    message = r"No bundled model is .*there are \['other.pte'\].*export.android --artifact .*gradlew"
    with pytest.raises(UserError, match=message):
        run(monkeypatch, exported)


def test_another_file_of_that_name(exported: Path, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (app / exported.name).write_bytes(b"another")
    message = "timed another file: its .* has SHA-256 ae448ac86c4e…, .*export.android --artifact"
    with pytest.raises(UserError, match=message):
        run(monkeypatch, exported)


def test_an_android_that_does_not_tell_its_thermal_status(
    exported: Path, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAULT", "app_old_android")
    run(monkeypatch, exported, "--json", app.parent / "out.json")
    (row,) = json.loads((app.parent / "out.json").read_text())["networks"]
    assert row["heat"]["throttling_after"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--device", "adb", "--mode", "app", "--profile"], "times whole files and no operators"),
        (["--mode", "app"], "--mode, --serial and --compare are for phones: add --device adb"),
    ],
)
def test_mistakes(monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    monkeypatch.setattr(sys, "argv", ["export.bench", "file.pte", *arguments])
    with pytest.raises(UserError, match=message):
        bench.main()


def test_the_fake_app_is_the_app() -> None:
    """Names on both sides of adb: no phone is here to tell that they differ."""
    source = (DEMO / "src/main/kotlin/edgesr/demo/BenchActivity.kt").read_text(encoding="utf-8")
    fake = FAKE.read_text(encoding="utf-8")
    answered = set(re.findall(r'put\("(\w+)"', source))
    measured = fake[fake.index("def measured") : fake.index("def pidof")]
    assert answered == {"id", *re.findall(r'"(\w+)":', measured)}
    extras = {name: kind for kind, name in re.findall(r'get(String|Int)Extra\("(\w+)"', source)}
    assert extras == {
        "id": "String",
        "model": "String",
        "threads": "Int",
        "warmup": "Int",
        "runs": "Int",
    }
    assert f'TAG = "{phone_app.LOG_TAG}"' in source
    assert '"failed " else "done ")' in source
    assert 'File(filesDir, "bench.json")' in source
    manifest = (DEMO / "src/main/AndroidManifest.xml").read_text(encoding="utf-8")
    assert 'android:name=".BenchActivity"\n            android:exported="true"' in manifest
    build = (DEMO / "build.gradle.kts").read_text(encoding="utf-8")
    assert f'applicationId = "{phone_app.APP}"' in build
    assert f'namespace = "{phone_app.APP}"' in build
