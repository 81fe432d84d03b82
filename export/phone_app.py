"""`export.bench --device adb --mode app`: a file timed in the demo app, in the library that it ships.

The app's BenchActivity is started over adb, says in the log when it is done, and leaves its answer as
JSON in its own folder, which a debug build lets a shell read. It was written against the app's source
and tried with a script in its place: nobody has run it on a phone.
"""

import json
import re
import time
import uuid
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from shlex import quote
from typing import Any

from edgesr.errors import UserError
from edgesr.files import sha256
from export.adb import Phone

APP = "edgesr.demo"
ACTIVITY = f"{APP}/.BenchActivity"
LOG_TAG = "edgesr-bench"
INSTALL = "cd android_demo && ./gradlew :app:installDebug (its README says how to get gradlew)"
PATIENCE, LOOK_SECONDS = 900.0, 3.0
"""For all runs of a file; and how often the log is read, which takes the phone a moment each time."""
UNKNOWN = -1
"""A thermal status that the phone does not tell."""


@dataclass(frozen=True)
class Answer:
    """What the app measured."""

    times: dict[str, Any]
    """As the runner's: load_ms, median_ms, p90_ms, runs_ms, threads, warmup; and resident_bytes."""
    throttling_after: int | None
    """Android's thermal status after the last run; None if the phone does not tell."""


def require(phone: Phone) -> None:
    """UserError unless the app is there and lets a shell read its answers."""
    # `|| true` throughout: what Android's commands print says more than their status, and older
    # releases end with 0 whatever happened.
    if not phone.shell(f"pm path {APP} 2>&1 || true").startswith("package:"):
        raise UserError(f"The app {APP} is not installed on {phone.serial}. Install it: {INSTALL}")
    said = phone.shell(f"run-as {APP} echo ready 2>&1 || true").strip()
    if said != "ready":
        raise UserError(
            f"{phone.serial} does not let a shell read what {APP} answers ({said[-300:]}). Only debug "
            f"builds do. Uninstall it (adb uninstall {APP}), then install a debug build: {INSTALL}"
        )


def measure(phone: Phone, path: Path, *, threads: int, warmup: int, runs: int) -> Answer:
    """Have the app time its copy of a .pte.

    UserError if it has none, or another under that name, and whatever else keeps it from answering.
    """
    asked = uuid.uuid4().hex
    try:
        _start(phone, f"--es model {quote(path.name)}", threads, warmup, runs, asked)
        _wait(phone, path.name, asked)
    finally:
        phone.shell(f"am force-stop {APP}")  # it keeps the screen on, and that warms the next run
    text = phone.shell(f"run-as {APP} cat files/bench.json")
    return _read(text, path, asked, threads, warmup, runs)


def _start(phone: Phone, model: str, threads: int, warmup: int, runs: int, asked: str) -> None:
    """-S stops the app first: else Android only brings a task to the front that is there already."""
    numbers = f"--ei threads {threads} --ei warmup {warmup} --ei runs {runs}"
    said = phone.shell(f"am start -S -W -n {ACTIVITY} {model} {numbers} --es id {asked} 2>&1 || true")
    if not re.search(r"^Status: ok", said, re.MULTILINE):
        raise UserError(
            f"{ACTIVITY} did not start on {phone.serial} ({_shown(said)}). Wake and unlock the phone. "
            f"If that is not it, the app is older than this checkout: {INSTALL}"
        )


def _wait(phone: Phone, file: str, asked: str) -> None:
    """Until the log says that the answer is written, whichever it is."""
    end = time.monotonic() + PATIENCE
    while True:
        alive = phone.shell(f"pidof {APP} || true").strip()  # before the log: its last word may be there
        if re.search(rf"\b(done|failed) {asked}\b", phone.shell(f"logcat -d -s {LOG_TAG}")):
            return
        if not alive:
            raise UserError(
                f"The app ended while it timed {file}: it crashed, or Android stopped it. "
                f"`adb -s {phone.serial} logcat -d -b crash` says which; fewer --threads may help."
            )
        if time.monotonic() >= end:
            raise UserError(
                f"The app did not answer about {file} within {PATIENCE:.0f} s. Keep the phone unlocked "
                "and the app in front, or ask for fewer --runs."
            )
        time.sleep(LOOK_SECONDS)


def _read(text: str, path: Path, asked: str, threads: int, warmup: int, runs: int) -> Answer:
    """The answer in `text`. UserError if it is none, another's, or says that something failed."""
    try:
        answer = json.loads(text)
        given = answer["id"]
    except (KeyError, TypeError, ValueError) as error:
        raise _garbled(text, path.name, error) from error
    if given != asked:
        raise UserError(
            f"The app's answer is of run {given!r}, not {asked}. Something else started it meanwhile, "
            "or the phone's storage is full: try again."
        )
    if "error" in answer:
        advice = (
            "" if "file" in answer else f" {_bring(path)}"
        )  # it had the file, and something else failed
        raise UserError(f"The app could not time {path.name}: {answer['error']}{advice}")
    try:
        file, digest = str(answer["file"]), str(answer["sha256"])
        milliseconds = sorted(float(ms) for ms in answer["ms"])
        if len(milliseconds) != runs or answer["threads"] != threads or not milliseconds[0] > 0:
            raise ValueError(f"{runs} runs with {threads} threads were asked for")
        status = int(answer["thermal_after"])
        times = {
            "load_ms": float(answer["load_ms"]),
            "median_ms": _percentile(milliseconds, 0.5),
            "p90_ms": _percentile(milliseconds, 0.9),
            "resident_bytes": int(answer["resident_mb"]) << 20,
            "threads": threads,
            "warmup": warmup,
            "runs_ms": [float(ms) for ms in answer["ms"]],
        }
    except (KeyError, TypeError, ValueError) as error:
        raise _garbled(text, path.name, error) from error
    if (file, digest) != (path.name, sha256(path)):
        raise UserError(
            f"The app timed another file: its {file} has SHA-256 {digest[:12]}…, {path} has "
            f"{sha256(path)[:12]}…. {_bring(path)}"
        )
    return Answer(times, None if status == UNKNOWN else status)


def _bring(path: Path) -> str:
    return f"To put yours into the app: python -m export.android --artifact {path}, then {INSTALL}"


def _garbled(text: str, file: str, error: Exception) -> UserError:
    return UserError(
        f"The app was to answer with its figures for {file} and answered: {_shown(text)} ({error!r}). "
        f"Is it of this checkout? {INSTALL}"
    )


def _shown(text: str) -> str:
    return " ".join(text.split())[-300:] or "nothing"


def _percentile(ordered: list[float], share: float) -> float:
    """By nearest rank, as the runner does it."""
    return ordered[ceil(share * len(ordered)) - 1]
