"""The app as Android's build would see it: resources linked, code compiled, both without an SDK."""

import hashlib
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from android_demo.tools.kotlin import CompilerError, compile_kotlin
from android_demo.tools.toolchain import AAPT2, CACHE, DEMO, FRAMEWORK, installed, java
from edgesr.files import locked

PACKAGE = "edgesr.demo"
ANDROID = "{http://schemas.android.com/apk/res/android}"
TOOLS = "{http://schemas.android.com/tools}"


class LinkError(Exception):
    """aapt2 refused a resource or the manifest; the message is its own."""


@dataclass(frozen=True)
class Sdk:
    """The levels that app/build.gradle.kts asks for."""

    minimum: int
    target: int
    compiled: int


def sdk(demo: Path = DEMO) -> Sdk:
    """The levels, read from the build script."""
    script = (demo / "app" / "build.gradle.kts").read_text(encoding="utf-8")
    levels = {
        key: int(value) for key, value in re.findall(r"\b(minSdk|targetSdk|compileSdk) = (\d+)", script)
    }
    return Sdk(levels["minSdk"], levels["targetSdk"], levels["compileSdk"])


def link(main: Path, out: Path, levels: Sdk) -> Path:
    """Compile and link manifest and resources of `main` (app/src/main). The folder of R.java; LinkError.

    The build tool's part is done here first: the manifest gets its package, and loses what is marked for
    removal from libraries' manifests.
    """
    out.mkdir(parents=True, exist_ok=True)
    manifest = out / "AndroidManifest.xml"
    _write_manifest(main / "AndroidManifest.xml", manifest)
    _aapt2("compile", "--dir", str(main / "res"), "-o", str(out / "res.zip"))
    _aapt2(
        "link",
        *("-I", str(installed(FRAMEWORK)), "--manifest", str(manifest), "--java", str(out / "java")),
        *("--min-sdk-version", str(levels.minimum), "--target-sdk-version", str(levels.target)),
        *("-o", str(out / "app.apk"), str(out / "res.zip")),
    )
    return out / "java"


def stubs(demo: Path = DEMO) -> tuple[Path, Path]:
    """Class files of what the app uses: of Android (from Java sources), of ExecuTorch (from Kotlin)."""
    android = _javac(sorted((demo / "stubs" / "java").rglob("*.java")))
    return android, compile_kotlin(sorted((demo / "stubs" / "kotlin").rglob("*.kt")))


def compile_core(demo: Path = DEMO) -> Path:
    """Class files of core/."""
    return compile_kotlin(sorted((demo / "core" / "src" / "main").rglob("*.kt")))


def compile_app(demo: Path, resources: Path) -> Path:
    """Class files of app/ against core/, the stubs and the R.java of `resources`. CompilerError."""
    sources = sorted((demo / "app" / "src" / "main").rglob("*.kt"))
    return compile_kotlin(
        [*sources, *sorted(resources.rglob("R.java"))], [compile_core(demo), *stubs(demo)]
    )


def _write_manifest(source: Path, target: Path) -> None:
    ElementTree.register_namespace("android", ANDROID.strip("{}"))
    tree = ElementTree.parse(source)
    root = tree.getroot()
    root.set("package", PACKAGE)
    for child in list(root):
        if child.get(f"{TOOLS}node") == "remove":
            root.remove(child)
    tree.write(target, encoding="utf-8", xml_declaration=True)


def _aapt2(*arguments: str) -> None:
    done = subprocess.run(
        [str(installed(AAPT2)), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise LinkError(done.stderr or done.stdout)


def _javac(sources: list[Path]) -> Path:
    """Class files of Java sources, compiled once for the same content."""
    content = b"".join(path.name.encode() + path.read_bytes() for path in sources)
    folder = CACHE / "classes" / f"java-{hashlib.sha256(content).hexdigest()[:24]}"
    with locked(folder):
        if not folder.exists():
            half = folder.with_name(f".{folder.name}")
            shutil.rmtree(half, ignore_errors=True)
            command = [
                str(Path(java()).with_name("javac")),
                "-nowarn",
                "-d",
                str(half),
                *map(str, sources),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise CompilerError(done.stderr)
            half.rename(folder)
    return folder
