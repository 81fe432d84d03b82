"""The check on ARM64: real files pass it on four CPU models, planted faults do not."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from edgesr.engines import open_artifact
from edgesr.errors import UserError
from export import arm64, verify
from export.arm64 import APPROXIMATED, EXACT, FLOAT, ROUNDED, SPREAD, Difference, bound_of
from export.native import build, toolchain
from export.report import Census

REQUIRED = "EDGESR_REQUIRE_ARM64"

NEIGHBOUR = """\
import subprocess, sys
read, write = sys.stdin.buffer.read, sys.stdout.buffer.write
lr, sr, model = {lr}, {sr}, sys.argv[1]
tiles = []
while tile := read(lr):
    tiles.append(tile)
    shown = tiles[max(0, len(tiles) - 2)]
    write(subprocess.run([{runner!r}, model], input=shown, stdout=-1, check=True).stdout)
    sys.stdout.flush()
"""
"""A runner that is given LR tiles and returns, from the second on, the SR of the one before."""


@pytest.fixture(scope="session")
def qemu() -> Path:
    """The emulator, with everything fetched and built that running on ARM64 takes."""
    try:
        found = toolchain.emulator()
        build.arm64()
    except UserError as error:
        if REQUIRED in os.environ:
            raise
        pytest.skip(f"cannot run ARM64 programs: {error}")
    return found


def verified(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    """`python -m export.verify …` in this process."""
    monkeypatch.setattr(sys, "argv", ["export.verify", *map(str, arguments)])
    verify.main()


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    """The exported file and its report where they may be damaged."""
    for path in (exported, exported.with_name(f"{exported.name}.report.json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / exported.name


@pytest.mark.arm64
@pytest.mark.slow
def test_every_cpu_computes_what_the_host_computes(
    exported: Path, qemu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "verified.json"
    verified(monkeypatch, exported, "--arm64", "--tiles", "1", "--json", out, "--qemu", qemu)
    found = json.loads(out.read_text())
    assert found["arm64"]["passed"]
    assert list(found["arm64"]["cpus"]) == list(arm64.CPUS)
    for cpu in found["arm64"]["cpus"].values():
        assert cpu["values"] == 2 * 3 * 32 * 40  # a tile of each of two images
        assert cpu["differing_bytes"] == 0


@pytest.mark.arm64
@pytest.mark.slow
def test_integers_are_equal_to_the_bit_on_every_cpu(qemu: Path) -> None:
    arm64.check_emulator(arm64.commands(qemu))


@pytest.mark.arm64
@pytest.mark.slow
def test_an_emulator_that_computes_integers_wrongly_is_refused(
    qemu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: Path
) -> None:
    """As qemu 7.2 does on `max`: it says nothing, and its SR is another one."""
    wrong = tmp_path / "qemu-aarch64"
    wrong.write_text(
        f"#!{sys.executable}\n"
        "import subprocess, sys\n"
        "if '--version' in sys.argv: sys.exit(print('qemu-aarch64 version 10.0.2'))\n"
        f"ran = subprocess.run([{str(qemu)!r}, *sys.argv[1:]], stdin=sys.stdin, stdout=-1)\n"
        "sr = bytearray(ran.stdout); sr[1003] ^= 1\n"
        "sys.stdout.buffer.write(sr)\n"
    )
    wrong.chmod(0o755)
    with pytest.raises(UserError, match="max computes integers wrongly, so it proves nothing"):
        arm64.check_emulator({"max": [str(wrong), *arm64.commands(qemu)["max"][1:]]})
