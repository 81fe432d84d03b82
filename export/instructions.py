"""Count the ARM64 instructions that a file executes for a pixel: a cost that no other load touches.

python -m export.instructions artifacts/msfin-s_x4_w8a8_16x16.pte artifacts/msfin-s_x4_w8a8_16x16.tflite
"""

import argparse
import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import torch

from edgesr import cli
from edgesr.engines import Artifact, open_artifact
from edgesr.files import sha256, write_text
from edgesr.provenance import commit, versions
from export.arm64 import CPUS, commands, folder_of
from export.native import build, toolchain
from export.native.runner import failure

DESCRIPTION = """\
Runs each file in a small C++ program on ARM64 CPUs that qemu emulates, and counts the instructions of
one tile: those between the SR of the first tile and that of the second, so neither loading nor packing
weights is among them; copying the tile in and out is. A file gives the same count on every machine,
however busy it is. Instructions are no milliseconds: one may take longer than another, and none waits
for memory.

Prints the count per pixel of SR, and writes it with the kinds of instructions to FILE.instructions.json.
A tile of 16x16 takes half a minute, one of 64x64 minutes, on each CPU:
"""
DEFAULT_CPUS = ("cortex-a53", "cortex-a76", "neoverse-v1")
TRACE = "in_asm,exec,nochain,strace"
"""What qemu writes down: each block of instructions when it is first met, each time that a block is
executed, and system calls."""
BLOCK, LISTED, EXECUTED, WRITE = b"IN:", b"\n0x", b"Trace ", b" write(1,"
WRITTEN = re.compile(rb" write\(1,.*\) = (\d+)$")
NEWER = [
    ("sdot", 0xBFC0F400, 0x0F80E000),  # by element
    ("sdot", 0xBFE0FC00, 0x0E809400),
    ("smmla", 0xFFE0FC00, 0x4E80A400),
]
"""Instructions for int8: name, mask, bits. Source: Arm's Architecture Reference Manual (DDI 0487)."""
KINDS = 12
"""So many kinds of instructions are told apart, the most frequent ones."""
CHUNK = 1 << 20


@dataclass(frozen=True)
class Count:
    """The instructions of one tile on one CPU."""

    kinds: Counter[str]
    """Mnemonic → how many."""
    pixels: int
    """Of the tile's SR."""

    @property
    def total(self) -> int:
        """Of all kinds."""
        return self.kinds.total()

    @property
    def per_pixel(self) -> float:
        """Of SR."""
        return self.total / self.pixels

    def to_json(self) -> dict[str, Any]:
        """The total, per pixel, and the most frequent kinds."""
        return {
            "instructions": self.total,
            "per_output_pixel": self.per_pixel,
            "kinds": dict(self.kinds.most_common(KINDS)),
        }


class Trace:
    """What qemu writes down, read: how often each block was executed for the second SR."""

    def __init__(self, sr_bytes: int) -> None:
        self._sr_bytes, self._written = sr_bytes, 0
        self._executed: Counter[bytes] = Counter()
        self._blocks: dict[bytes, Counter[str]] = {}
        """Address → kinds of the block that was met there last."""
        self._of: dict[bytes, Counter[str]] = {}
        """A line that says that a block is executed → that block's kinds."""
        self._block: Counter[str] | None = None
        """The one whose instructions are being listed."""

    def read(self, chunks: Iterable[bytes]) -> None:
        """Read until the second SR is written."""
        for text in _whole_lines(chunks):
            if any(mark in text for mark in (BLOCK, LISTED, WRITE)):
                for line in text.splitlines():
                    self._read_line(line)
            elif self._counts:
                self._execute(Counter(text[1:].splitlines()))  # most of a trace, and this is fast
            if self.tiles > 1:
                return

    @property
    def tiles(self) -> int:
        """So many SRs are written."""
        return self._written // self._sr_bytes

    @property
    def _counts(self) -> bool:
        """Whether the runner is between the first SR and the second."""
        return self.tiles == 1

    def _read_line(self, line: bytes) -> None:
        if line.startswith(EXECUTED):
            if self._counts:
                self._execute(Counter([line]))
        elif line.startswith(BLOCK):
            self._block = None
        elif line.startswith(LISTED.strip()):
            self._list(line)
        elif found := WRITTEN.search(line):
            self._written += int(found[1])

    def _list(self, line: bytes) -> None:
        """An instruction of a block: its address, its four bytes, its name if qemu knows it."""
        address, word, name, *_ = line.split()
        if self._block is None:
            self._block = self._blocks[address[2:-1].rjust(16, b"0")] = Counter()
        self._block[kind_of(int(word, 16), name.decode())] += 1

    def _execute(self, lines: Counter[bytes]) -> None:
        for line in lines.keys() - self._of.keys():
            is_block = line.startswith(EXECUTED)  # other lines are of system calls, or rulers
            self._of[line] = self._blocks[line.split(b"/", 2)[1]] if is_block else Counter()
        self._executed += lines

    @property
    def kinds(self) -> Counter[str]:
        """The instructions of the second tile, by kind."""
        found: Counter[str] = Counter()
        for line, times in self._executed.items():
            for kind, count in self._of[line].items():
                found[kind] += times * count
        return found


def kind_of(word: int, name: str) -> str:
    """The mnemonic of an instruction; qemu's disassembler does not know the newest ones."""
    return next((kind for kind, mask, bits in NEWER if word & mask == bits), name)


def _whole_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A stream in pieces that each begin and end with a line, a newline in front."""
    rest = b""
    for chunk in chunks:
        whole, newline, rest = (rest + chunk).rpartition(b"\n")
        if newline:
            yield b"\n" + whole


def count(artifact: Artifact, qemu: Path, cpu: str) -> Count:
    """Count the instructions of a tile. UserError if the runner fails there."""
    height, width = (side * artifact.scale for side in artifact.tile)
    trace = Trace(4 * 3 * height * width)
    start = commands(qemu, artifact.path, [cpu])[cpu]
    read_end, write_end = os.pipe()
    with TemporaryFile() as tiles, TemporaryFile() as log, os.fdopen(read_end, "rb", 0) as traced:
        tile = torch.linspace(0, 1, 3 * artifact.tile[0] * artifact.tile[1])
        tiles.write(2 * tile.numpy().tobytes())
        tiles.seek(0)
        process = subprocess.Popen(
            [start[0], "-d", TRACE, "-D", f"/dev/fd/{write_end}", *start[1:], artifact.path.absolute()],
            cwd=folder_of(artifact.path),
            stdin=tiles,
            stdout=subprocess.DEVNULL,
            stderr=log,
            pass_fds=[write_end],
        )
        os.close(write_end)
        try:
            trace.read(iter(lambda: traced.read(CHUNK), b""))
        except BaseException:
            process.kill()
            raise
        if trace.tiles > 1:  # there is nothing left that would count
            process.kill()
        status = process.wait()
        if trace.tiles < 2:
            log.seek(0)
            raise failure(artifact.path.name, status, log.read().decode(errors="replace"))
    return Count(trace.kinds, height * width)


def main() -> None:
    """Count, print a table, write a file beside each artifact. UserError if a file cannot be run."""
    args = _parser().parse_args()
    artifacts = [open_artifact(path) for path in args.files]
    for artifact in artifacts:
        build.runner_of(artifact.path)
    qemu = toolchain.emulator(args.qemu)
    print("".join([f"{'ARM64 instructions per pixel of SR':<44}", *(f"{cpu:>14}" for cpu in args.cpu)]))
    with cli.Progress(len(artifacts) * len(args.cpu), "counting", "file") as bar:
        for artifact in artifacts:
            counts = {}
            for cpu in args.cpu:
                counts[cpu] = count(artifact, qemu, cpu)
                bar.advance(file=artifact.path.name)
            record = artifact.path.with_name(f"{artifact.path.name}.instructions.json")
            write_text(record, json.dumps(to_json(artifact, counts), indent=2) + "\n")
            cells = [f"{counts[cpu].per_pixel:>14,.0f}" for cpu in args.cpu]
            print("".join([f"{artifact.path.name:<44}", *cells]), flush=True)


def to_json(artifact: Artifact, counts: Mapping[str, Count]) -> dict[str, Any]:
    """What was counted, and of which file."""
    path = artifact.path
    return {
        "artifact": {"file": path.name, "sha256": sha256(path), "tile": list(artifact.tile)},
        "cpus": {cpu: {"kernels": CPUS[cpu], **found.to_json()} for cpu, found in counts.items()},
        "commit": commit(),
        "versions": versions(),
    }


def _parser() -> argparse.ArgumentParser:
    listing = "".join(f"  {cpu:<14}{kernels}\n" for cpu, kernels in CPUS.items())
    parser = argparse.ArgumentParser(
        prog="python -m export.instructions",
        description=DESCRIPTION + listing,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", type=Path, nargs="+", metavar="ARTIFACT", help=".pte and .tflite files")
    add(
        "--cpu",
        nargs="+",
        choices=list(CPUS),
        default=list(DEFAULT_CPUS),
        help=f"which (default {' '.join(DEFAULT_CPUS)})",
    )
    add(
        "--qemu",
        type=Path,
        metavar="FILE",
        help="a qemu-aarch64 of version 10 or newer (default: found)",
    )
    return parser


if __name__ == "__main__":
    cli.run(main)
