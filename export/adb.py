"""A phone at the other end of adb: files to it, commands on it, and what it is."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesr.errors import UserError

FOLDER = "/data/local/tmp/edgesr"
"""Where programs may be started from a shell on any phone, without root and without an app."""
PATIENCE = 120.0
"""Seconds that a command may take if nothing else is said: a push over a slow cable."""
GONE = re.compile(r"device .*not found|no devices|device offline|error: closed", re.IGNORECASE)
PROPERTIES = {
    "model": "ro.product.model",
    "manufacturer": "ro.product.manufacturer",
    "soc": "ro.soc.model",
    "board": "ro.board.platform",
    "android": "ro.build.version.release",
    "sdk": "ro.build.version.sdk",
    "abi": "ro.product.cpu.abi",
}


@dataclass(frozen=True)
class Phone:
    """A connected device. Every method raises UserError where adb or the phone fails."""

    adb: str
    serial: str

    def push(self, files: Sequence[Path]) -> None:
        """Copy files into `FOLDER`."""
        self._adb(["push", *map(str, files), f"{FOLDER}/"], f"{len(files)} files could not be copied")

    def pull(self, name: str, to: Path) -> None:
        """Copy a file out of `FOLDER`."""
        self._adb(["pull", f"{FOLDER}/{name}", str(to)], f"{name} could not be copied back")

    def shell(self, command: str, patience: float = PATIENCE) -> str:
        """What a shell command prints."""
        return self._adb(["shell", command], f"`{command[:60]}` failed", patience)

    def run(self, command: str, patience: float) -> str:
        """The same, in `FOLDER`."""
        return self.shell(f"cd {FOLDER} && {command}", patience)

    def facts(self) -> dict[str, str]:
        """What the phone says that it is; an empty text where it does not say."""
        told = {name: self.shell(f"getprop {key}").strip() for name, key in PROPERTIES.items()}
        governors = "cat /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor 2>/dev/null || true"
        return told | {"governor": " ".join(sorted(set(self.shell(governors).split())))}

    def battery_celsius(self) -> float | None:
        """The battery's temperature, which every phone tells; None if this one does not."""
        found = re.search(r"temperature: (-?\d+)", self.shell("dumpsys battery"))
        return int(found[1]) / 10 if found else None

    def throttling(self) -> int | None:
        """Android's thermal status: 0 none, 1 light … 6 shutdown; None before Android 10."""
        found = re.search(r"Thermal Status: (\d)", self.shell("dumpsys thermalservice || true"))
        return int(found[1]) if found else None

    def _adb(self, words: list[str], complaint: str, patience: float = PATIENCE) -> str:
        command = [self.adb, "-s", self.serial, *words]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", check=False, timeout=patience
            )
        except subprocess.TimeoutExpired:
            raise UserError(
                f"{self.serial} did not answer within {patience:.0f} s: {complaint}."
            ) from None
        said = (done.stderr.strip() or done.stdout.strip())[-500:] or "it said nothing"
        if done.returncode and GONE.search(done.stderr):
            raise UserError(f"{self.serial} was unplugged or went to sleep: {complaint} ({said}).")
        if done.returncode:
            raise UserError(f"{complaint} on {self.serial} with status {done.returncode}: {said}")
        return done.stdout


def connect(serial: str | None) -> Phone:
    """The phone of that serial number, or the only one. UserError says what to do if there is none."""
    adb = os.environ.get("ADB") or shutil.which("adb")
    if adb is None or shutil.which(adb) is None:
        raise UserError(
            f"{adb or 'adb'} is not on the PATH. It is in Android's platform-tools and in Debian's "
            "package adb; $ADB may name it."
        )
    done = subprocess.run([adb, "devices"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"adb devices failed: {(done.stderr or done.stdout).strip()[-300:]}")
    states = dict(re.findall(r"^(\S+)\t(.+)$", done.stdout, re.MULTILINE))
    return Phone(adb, _chosen(serial, states))


def _chosen(serial: str | None, states: dict[str, str]) -> str:
    """The serial number to talk to, of those that adb lists with their states."""
    listing = ", ".join(f"{name} ({state})" for name, state in states.items()) or "none"
    if not states:
        raise UserError(
            "No phone is connected. Plug one in, turn on USB debugging in its developer options, and "
            "look at `adb devices`."
        )
    if serial is None and len(states) > 1:
        raise UserError(f"{len(states)} devices are connected: {listing}. Choose one with --serial.")
    chosen = serial or next(iter(states))
    if chosen not in states:
        raise UserError(f"No device {chosen} is connected. Connected: {listing}.")
    if states[chosen] == "unauthorized":
        raise UserError(f"{chosen} does not trust this computer yet: allow USB debugging on its screen.")
    if states[chosen] != "device":
        raise UserError(f"{chosen} is {states[chosen]}: unlock it, or plug it in again.")
    return chosen
