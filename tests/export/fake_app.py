"""The demo app as adb's shell sees it: installed files, a task, a log, and its answer.

Its models are the files in `app` of the phone's folder. As on a phone, an activity that is there
already is only brought to the front, unless -S stopped it first.
"""

import hashlib
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

APP = "edgesr.demo"
TEXTS = {"-n": str, "model": str, "id": str, "threads": int, "warmup": int, "runs": int}


class App:
    def __init__(self, phone: Path, fault: str) -> None:
        self.fault, self.models = fault, phone / "app"
        self.task, self.log = phone / "task", phone / "log"
        self.answer = phone / "data/data/edgesr.demo/files/bench.json"

    def shell(self, command: str) -> int | None:
        """The status of a command that concerns the app; None for any other."""
        commands: dict[str, Callable[[list[str]], int]] = {
            "pm": self.path,
            "am": self.manage,
            "run-as": self.run_as,
            "pidof": self.pidof,
            "logcat": self.logcat,
        }
        plain = command.removesuffix(" || true").removesuffix(" 2>&1")
        words = shlex.split(plain)
        if words[0] not in commands:
            return None
        if " 2>&1" in command:
            sys.stderr = sys.stdout
        status = commands[words[0]](words[1:])
        return 0 if command.endswith("|| true") else status

    def path(self, words: list[str]) -> int:
        assert words == ["path", APP]
        if not self.models.is_dir():
            return 1
        print(f"package:/data/app/{APP}/base.apk")
        return 0

    def run_as(self, words: list[str]) -> int:
        assert words[0] == APP
        if self.fault == "app_release":
            print(f"run-as: package not debuggable: {APP}", file=sys.stderr)
            return 1
        if words[1] == "echo":
            print(*words[2:])
        else:
            assert words[1:] == ["cat", "files/bench.json"]
            print(self.answer.read_text())
        return 0

    def manage(self, words: list[str]) -> int:
        if words == ["force-stop", APP]:
            self.task.unlink(missing_ok=True)
            return 0
        assert words[0] == "start"
        asked = options(words)
        assert asked["-n"] == f"{APP}/.BenchActivity"
        if self.fault == "app_old":
            print("Error type 3\nError: Activity class {edgesr.demo/…} does not exist.", file=sys.stderr)
            return 1
        if self.fault == "app_locked":
            print("Starting: Intent { … }\nStatus: timeout\nComplete")
            return 0
        if "-S" in words:
            self.task.unlink(missing_ok=True)
        if self.task.exists():
            print("Warning: Activity not started, its current task has been brought to the front")
        else:
            self.run(asked)
        print("Status: ok\nComplete")
        return 0

    def run(self, asked: dict[str, Any]) -> None:
        """What the activity does; the log tells it the second time that it is read."""
        self.task.write_text("4711")
        if self.fault in ("app_dies", "app_silent"):
            return
        answer = {"id": asked["id"]} | self.measured(asked)
        text = json.dumps(spoilt(answer, self.fault))
        self.answer.parent.mkdir(parents=True, exist_ok=True)
        self.answer.write_text("{ half" if self.fault == "app_garbage" else text)
        word = "failed" if "error" in answer else "done"
        self.log.write_text(f"--------- beginning of main\nI/edgesr-bench: {word} {asked['id']}\n")
        (self.log.with_name("unread")).touch()

    def measured(self, asked: dict[str, Any]) -> dict[str, Any]:
        model = self.models / asked["model"]
        if not model.is_file():
            there = sorted(path.name for path in self.models.iterdir())
            return {"error": f"No bundled model is {model.name}; there are {there}."}
        return {
            "device": "tests Folder 1",
            "sdk": 36,
            "abi": "arm64-v8a",
            "threads": asked["threads"],
            "file": model.name,
            "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
            "thermal_before": 0,
            "load_ms": 12.5,
            "ms": [20.0 + turn for turn in reversed(range(asked["runs"]))],
            "thermal_after": -1 if self.fault == "app_old_android" else 2,
            "resident_mb": 100,
        }

    def pidof(self, words: list[str]) -> int:
        assert words == [APP]
        if not self.task.exists() or self.fault == "app_dies":
            return 1
        print(self.task.read_text())
        return 0

    def logcat(self, words: list[str]) -> int:
        assert words == ["-d", "-s", "edgesr-bench"]
        if (unread := self.log.with_name("unread")).exists():
            unread.unlink()
        elif self.log.exists():
            print(self.log.read_text())
        return 0


def options(words: list[str]) -> dict[str, Any]:
    """The component and the extras of `am start`, of their types."""
    typed = {"--es": str, "--ei": int}
    asked: dict[str, Any] = {"-n": words[words.index("-n") + 1]}
    for place, word in enumerate(words):
        if word in typed:
            name, value = words[place + 1 : place + 3]
            assert typed[word] is TEXTS[name], f"{name} has another type in BenchActivity"
            asked[name] = typed[word](value)
    return asked


def spoilt(answer: dict[str, Any], fault: str) -> dict[str, Any]:
    changes: dict[str, dict[str, Any]] = {
        "app_other_id": {"id": "1"},
        "app_error": {"error": "The model file is damaged."},
        "app_few": {"ms": answer.get("ms", [])[1:]},
        "app_threads": {"threads": 7},
        "app_text": {"ms": ["fast"] * len(answer.get("ms", []))},
    }
    return answer | changes.get(fault, {})
