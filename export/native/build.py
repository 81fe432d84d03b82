"""Build the runner for this host and for ARM64, once per source, flags and ExecuTorch version."""

import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from edgesr.errors import UserError
from export.native import cache, toolchain

SOURCE = Path(__file__).with_name("pte_runner.cpp")
NAME = SOURCE.stem
LIBRARIES = [
    "executorch",
    "executorch_kernels_optimized",
    "executorch_kernels_quantized",
    "executorch_backend_xnnpack",
    "executorch_threadpool",
    "executorch_etdump",
]
LOADER = "ld-linux-aarch64.so.1"
SYSTEM = [LOADER, "libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1"]
SYSTEM += ["libstdc++.so.6", "libgcc_s.so.1"]
"""What the runner needs of an ARM64 Linux. It travels with it: no phone has these."""
FLAGS = ["-std=c++17", "-O2", "-Wall", "-DC10_USING_CUSTOM_GENERATED_MACROS"]
LINKING = ["-Wl,--no-as-needed", "-Wl,--allow-shlib-undefined", *(f"-l{name}" for name in LIBRARIES)]
"""Kernels and backends register themselves: nothing refers to them, and none may be left out."""


@dataclass(frozen=True)
class Bundle:
    """A folder with the runner and, for ARM64, every library that it loads."""

    folder: Path
    start: list[str]
    """The command that runs it from inside the folder, for who adds the model and options."""

    @property
    def files(self) -> list[Path]:
        """All that has to be on the machine that runs it."""
        return sorted(p for p in self.folder.iterdir() if p.name != cache.MANIFEST)


def host() -> Bundle:
    """For this machine, against the ExecuTorch that Python uses. UserError if it cannot be built."""
    found = shutil.which("g++") or shutil.which("c++")
    if found is None:
        raise UserError("Building the runner needs a C++ compiler: g++ is not on the PATH.")
    sdk = toolchain.host_sdk()
    linking = [f"-Wl,-rpath,{sdk / 'lib'}"]
    folder = cache.kept(
        f"runner-host-{_key(str(sdk))}", lambda made: _compile([found], sdk, made / NAME, linking)
    )
    return Bundle(folder, [str(folder / NAME)])


def arm64() -> Bundle:
    """For ARM64, with its libraries beside it: it runs wherever a Linux kernel does, Android's too."""
    folder = cache.kept(f"runner-arm64-{_key('aarch64')}", _build_arm64)
    start = [f"./{LOADER}", "--library-path", ".", f"./{NAME}"]
    return Bundle(folder, start)


def _build_arm64(folder: Path) -> None:
    compiler, sdk = toolchain.compiler(), toolchain.arm64_sdk()
    _compile(compiler, sdk, folder / NAME)
    for name in LIBRARIES:
        shutil.copy(sdk / "lib" / f"lib{name}.so", folder)
    for name in SYSTEM:
        found = Path(_output([*compiler, f"-print-file-name={name}"]).strip())
        if not found.is_absolute():
            raise UserError(f"{compiler[-1]} has no {name}: install Debian's libc6-dev-arm64-cross.")
        shutil.copy(found, folder / name)


def _compile(compiler: Sequence[str], sdk: Path, out: Path, linking: Sequence[str] = ()) -> None:
    include = sdk / "include"
    places = [include, include / "executorch/runtime/core/portable_type/c10"]
    command = [*compiler, *FLAGS, *(f"-isystem{place}" for place in places), str(SOURCE)]
    _output([*command, "-o", str(out), f"-L{sdk / 'lib'}", *LINKING, *linking])


def _key(target: str) -> str:
    """Twelve digits that change with everything a build depends on."""
    facts = [target, version("executorch"), *FLAGS, *LINKING, *SYSTEM]
    return hashlib.sha256(SOURCE.read_bytes() + "\n".join(facts).encode()).hexdigest()[:12]


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"The runner could not be built: {done.stderr.strip()[:2000]}")
    return done.stdout
