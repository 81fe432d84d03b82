"""Kotlin → class files → JUnit, with the compiler of the npm package. Results are kept by content."""

import hashlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from android_demo.tools.toolchain import CACHE, JUNIT, KOTLIN, installed, java
from edgesr.files import locked

JVM_TARGET = "11"  # what app/build.gradle.kts asks for


class CompilerError(Exception):
    """Kotlin refused the sources; the message is the compiler's."""


def compile_kotlin(
    sources: Sequence[Path], classpath: Sequence[Path] = (), friends: Sequence[Path] = ()
) -> Path:
    """The folder of class files of `sources`: .kt, and .java files that are only looked up.

    Compiled once for the same content. Warnings are errors. Raises CompilerError. `friends` are on the
    class path and let their internals be seen.
    """
    folder = CACHE / "classes" / _digest(sources, [*classpath, *friends])
    with locked(folder):
        if not folder.exists():
            half = folder.with_name(f".{folder.name}")
            shutil.rmtree(half, ignore_errors=True)
            _run(sources, [*classpath, *friends], friends, half)
            half.rename(folder)
    return folder


def runtime() -> list[Path]:
    """What Kotlin's class files need to run."""
    return [KOTLIN.folder() / "lib" / "kotlin-stdlib.jar"]


def junit() -> list[Path]:
    """JUnit 4 and what it needs."""
    return [installed(path) for path in JUNIT]


def run_junit(
    classes: Sequence[Path], tests: Sequence[str], properties: dict[str, str]
) -> tuple[int, str]:
    """Run test classes; how many tests passed, and what was printed. 0 if any failed."""
    done = run_class(classes, "org.junit.runner.JUnitCore", tests, properties)
    passed = re.search(r"^OK \((\d+) tests?\)$", done.stdout, re.MULTILINE)
    return (int(passed[1]) if passed and done.returncode == 0 else 0), done.stdout + done.stderr


def run_class(
    classes: Sequence[Path],
    name: str,
    arguments: Sequence[str],
    properties: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a class's main."""
    given = [f"-D{key}={value}" for key, value in (properties or {}).items()]
    command = [
        java(),
        "-XX:+UseSerialGC",
        *given,
        "-cp",
        _joined([*classes, *runtime(), *junit()]),
        name,
    ]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


def _run(sources: Sequence[Path], classpath: Sequence[Path], friends: Sequence[Path], out: Path) -> None:
    lib = KOTLIN.folder() / "lib"
    command = [
        *(java(), "-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        *("-cp", str(lib / "kotlin-compiler.jar"), "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"),
        *("-no-stdlib", "-no-reflect", "-Werror", "-jvm-target", JVM_TARGET, "-d", str(out)),
        *("-classpath", _joined([*classpath, lib / "kotlin-stdlib.jar"])),
    ]
    if friends:
        command.append(f"-Xfriend-paths={','.join(map(str, friends))}")
    done = subprocess.run([*command, *map(str, sources)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CompilerError(done.stderr or done.stdout)


def _joined(paths: Sequence[Path]) -> str:
    return ":".join(map(str, paths))


def _digest(sources: Sequence[Path], classpath: Sequence[Path]) -> str:
    """Of everything that decides the result. Folders of classes bear their own digest as name."""
    digest = hashlib.sha256(f"{KOTLIN.sha256} {JVM_TARGET} {_joined(classpath)}".encode())
    for path in sources:
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:24]
