"""Build the runners for this host and for ARM64, once per source, flags and version of their runtime."""

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesr.engines import SUFFIXES
from edgesr.errors import UserError
from export.native import cache, toolchain
from export.native.toolchain import EXECUTORCH, LITERT, Sdk, Wheel

HERE = Path(__file__).parent
HEADER = HERE / "runner.h"
LOADER = "ld-linux-aarch64.so.1"
SYSTEM = [LOADER, "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1"]
SYSTEM += ["libstdc++.so.6", "libgcc_s.so.1"]
"""What the runners need of an ARM64 Linux. It travels with them: no phone has these."""
FLAGS = ["-std=c++17", "-O2", "-Wall", "-DC10_USING_CUSTOM_GENERATED_MACROS"]
LINKING = ["-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined"]
"""Kernels and backends register themselves: nothing refers to them, and none may be left out."""


@dataclass(frozen=True)
class Runner:
    """A program of ours that runs files of one kind."""

    name: str
    """Of the program, and of its source."""
    wheel: Wheel
    """Where its runtime comes from."""
    libraries: tuple[str, ...]
    """Of the runtime, without the lib at the front and the .so at the end."""

    @property
    def source(self) -> Path:
        """Its one file; `HEADER` is the other."""
        return HERE / f"{self.name}.cpp"


PTE = Runner(
    "pte_runner",
    EXECUTORCH,
    (
        "executorch",
        "executorch_kernels_optimized",
        "executorch_kernels_quantized",
        "executorch_backend_xnnpack",
        "executorch_threadpool",
        "executorch_etdump",
    ),
)
TFLITE = Runner("tflite_runner", LITERT, ("LiteRt",))
RUNNERS = {SUFFIXES["executorch"]: PTE, SUFFIXES["tflite"]: TFLITE}
"""The suffix of a file → what runs it without Python."""


@dataclass(frozen=True)
class Bundle:
    """A folder with a runner and, for ARM64, every library that it loads."""

    folder: Path
    start: list[str]
    """The command that runs it from inside the folder, for who adds the model and options."""

    @property
    def name(self) -> str:
        """Of the program."""
        return Path(self.start[-1]).name

    @property
    def files(self) -> list[Path]:
        """All that has to be on the machine that runs it."""
        return sorted(p for p in self.folder.iterdir() if p.name != cache.MANIFEST)


def runner_of(path: Path) -> Runner:
    """The runner for files like this one. UserError if there is none."""
    if path.suffix not in RUNNERS:
        raise UserError(
            f"{path.name}: only {' and '.join(RUNNERS)} files can be run on ARM64; Core ML is Apple's."
        )
    return RUNNERS[path.suffix]


def host(runner: Runner = PTE) -> Bundle:
    """For this machine, against the runtime that Python uses. UserError if it cannot be built."""
    found = shutil.which("g++") or shutil.which("c++")
    if found is None:
        raise UserError("Building the runner needs a C++ compiler: g++ is not on the PATH.")
    sdk = toolchain.host_sdk(runner.wheel)
    linking = [f"-Wl,-rpath,{sdk.lib}"]
    folder = cache.kept(
        f"{runner.name}-host-{_key(runner, str(sdk.lib))}",
        lambda made: _compile(runner, [found], sdk, made, linking),
    )
    return Bundle(folder, [str(folder / runner.name)])


def arm64(runner: Runner = PTE) -> Bundle:
    """For ARM64, with its libraries beside it: it runs wherever a Linux kernel does, Android's too."""
    folder = cache.kept(
        f"{runner.name}-arm64-{_key(runner, 'aarch64')}", lambda made: _build_arm64(runner, made)
    )
    return Bundle(folder, [f"./{LOADER}", "--library-path", ".", f"./{runner.name}"])


def _build_arm64(runner: Runner, folder: Path) -> None:
    compiler, sdk = toolchain.compiler(), toolchain.arm64_sdk(runner.wheel)
    _compile(runner, compiler, sdk, folder)
    for name in runner.libraries:
        shutil.copy(sdk.lib / f"lib{name}.so", folder)
    for name in SYSTEM:
        found = Path(_output([*compiler, f"-print-file-name={name}"]).strip())
        if not found.is_absolute():
            raise UserError(f"{compiler[-1]} has no {name}: install Debian's libc6-dev-arm64-cross.")
        shutil.copy(found, folder / name)


def _compile(
    runner: Runner, compiler: Sequence[str], sdk: Sdk, folder: Path, linking: Sequence[str] = ()
) -> None:
    command = [*compiler, *FLAGS, *(f"-isystem{place}" for place in sdk.include), str(runner.source)]
    libraries = [f"-L{sdk.lib}", *LINKING, *(f"-l{name}" for name in runner.libraries)]
    _output([*command, "-o", str(folder / runner.name), *libraries, *linking])


def _key(runner: Runner, target: str) -> str:
    """Twelve digits that change with everything a build depends on."""
    facts = [target, toolchain.installed(runner.wheel), *FLAGS, *LINKING, *runner.libraries, *SYSTEM]
    content = runner.source.read_bytes() + HEADER.read_bytes() + "\n".join(facts).encode()
    return hashlib.sha256(content).hexdigest()[:12]


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"The runner could not be built: {done.stderr.strip()[:2000]}")
    return done.stdout
