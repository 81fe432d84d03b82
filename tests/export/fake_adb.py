#!/usr/bin/env python3
"""Stands in for adb: a folder is the phone, and what it is asked to run is run by qemu.

$FAKE_PHONE is the folder, $FAKE_QEMU the emulator, and $FAKE_FAULT what goes wrong, if anything.
`fake_app` is the app.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from fake_app import App

PHONE, FAULT = os.environ["FAKE_PHONE"], os.environ.get("FAKE_FAULT", "")
PROPERTIES = {
    "ro.product.model": "Folder 1",
    "ro.product.manufacturer": "tests",
    "ro.soc.model": "QEMU",
    "ro.build.version.release": "16",
    "ro.build.version.sdk": "36",
    "ro.product.cpu.abi": "x86_64" if FAULT == "abi" else "arm64-v8a",
}
DEVICES = {
    "none": "",
    "two": "folder1\tdevice\nfolder2\tdevice\n",
    "unauthorized": "folder1\tunauthorized\n",
    "offline": "folder1\toffline\n",
}


def main(words: list[str]) -> int:
    if words == ["devices"]:
        print("List of devices attached\n" + DEVICES.get(FAULT, "folder1\tdevice\n"))
        return 0
    assert words[:2] == ["-s", "folder1"], words
    verb, *rest = words[2:]
    if verb == "push":
        if FAULT == "push":
            print("adb: error: failed to copy: No space left on device", file=sys.stderr)
            return 1
        for source in rest[:-1]:
            shutil.copy(source, PHONE + rest[-1])
    elif verb == "pull":
        shutil.copy(PHONE + rest[0], rest[1])
    else:
        return shell(*rest)
    return 0


def shell(command: str) -> int:
    if asked := re.fullmatch(r"getprop (\S+)", command):
        print(PROPERTIES.get(asked[1], ""))
    elif command.startswith("cat /sys/devices/system/cpu"):
        print("schedutil\nperformance\nschedutil")
    elif command == "dumpsys battery":
        print(f"Current Battery Service state:\n  level: 80\n  temperature: {temperature()}")
    elif command.startswith("dumpsys thermalservice"):
        print("IsStatusOverride: false\nThermal Status: 0")
    elif (status := App(Path(PHONE), FAULT).shell(command)) is not None:
        return status
    elif FAULT and "pte_runner" in command and "chmod" not in command:
        return faulty(command)
    else:
        return run(command)
    return 0


def run(command: str) -> int:
    emulated = f"{os.environ['FAKE_QEMU']} -cpu cortex-a76 ./ld-linux"
    command = command.replace("./ld-linux", emulated).replace(
        "/data/local/tmp", PHONE + "/data/local/tmp"
    )
    return subprocess.run(["sh", "-c", command], check=False).returncode


def temperature() -> int:
    """Tenths of degrees: with the fault `hot`, cooler each time that it is asked."""
    if FAULT != "hot":
        return 300
    path = Path(PHONE, "temperature")
    now = int(path.read_text()) if path.exists() else 380
    path.write_text(str(now - 15))
    return now


def faulty(command: str) -> int:
    timing = "--bench" in command
    if FAULT == "crash":
        print("Segmentation fault", file=sys.stderr)
        return 139
    if FAULT == "unplugged" and timing:
        print("adb: device 'folder1' not found", file=sys.stderr)
        return 1
    if FAULT == "garbage" and timing:
        print("WARNING: linker: something else\nall done")
        return 0
    status = run(command)
    if FAULT == "other_sr" and not timing:
        path = Path(PHONE + "/data/local/tmp/edgesr/sr.f32")
        path.write_bytes(path.read_bytes()[::-1])
    if FAULT == "short_sr" and not timing:
        path = Path(PHONE + "/data/local/tmp/edgesr/sr.f32")
        path.write_bytes(path.read_bytes()[:-4])
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
