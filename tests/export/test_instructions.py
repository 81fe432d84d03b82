"""Instruction counts: qemu's trace is read rightly, and what a pixel costs does not creep up."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from edgesr.engines import open_artifact
from edgesr.errors import UserError
from export import instructions
from export.instructions import Count, Trace, count, kind_of

SNAPSHOT = Path(__file__).parents[1] / "golden" / "instructions.json"
"""What the small network cost per pixel of SR when this was last looked at. Who changes it takes the new
figure from the test's failure and says in the commit why."""
TOLERANCE = 0.03
CPU = "cortex-a76"

START = b"""----------------
IN: start
0x7f0000000010:  d503201f  nop
0x7f0000000014:  97ffeeac  bl       #0x7f0000000100

Trace 0: 0x1 [00001001/00007f0000000010/00000001/00000200] start
----------------
IN:
0x7f0000000100:  4f8fe230  .byte    0x30, 0xe2, 0x8f, 0x4f
0x7f0000000104:  4e80a400  .byte    0x00, 0xa4, 0x80, 0x4e
0x7f0000000108:  4e80a400  .byte    0x00, 0xa4, 0x80, 0x4e
0x7f000000010c:  d65f03c0  ret

Trace 0: 0x2 [00001001/00007f0000000100/00000001/00000200]
767 read(0,0xddbe5960,4096) = 4096
"""
LOOP = b"Trace 0: 0x2 [00001001/00007f0000000100/00000001/00000200]\n"
AGAIN = b"Trace 0: 0x1 [00001001/00007f0000000010/00000001/00000200] start\n"


@pytest.mark.parametrize("size", [1, 7, 64, 1 << 20])
def test_blocks_between_two_srs_are_counted_whole(size: int) -> None:
    """However the trace is cut into chunks, an SR into writes, and wherever a block was first met."""
    text = START + LOOP * 5 + b"767 write(1,0xdd,24576) = 24\n" + LOOP + b"767 write(1,0xdd,3072) = 6\n"
    text += LOOP * 3 + AGAIN + b"767 write(1,0xdd,24) = 24\n" + LOOP * 2
    text += b"767 write(2,0xdd,99) = 99\n" + b"767 write(1,0xdd,6) = 6\n" + LOOP * 100
    trace = Trace(30)
    trace.read(text[at : at + size] for at in range(0, len(text), size))
    assert trace.tiles == 2
    found = Count(trace.kinds, 10)
    assert found.kinds == Counter(sdot=5, smmla=10, ret=5, nop=1, bl=1)
    assert (found.total, found.per_pixel) == (22, 2.2)


def test_a_trace_that_ends_early_has_one_tile() -> None:
    trace = Trace(30)
    trace.read([START + b"767 write(1,0xdd,24576) = 30\n" + LOOP])
    assert trace.tiles == 1


def test_kinds_that_the_disassembler_does_not_know() -> None:
    assert kind_of(0x4F8FE230, ".byte") == "sdot"  # sdot v16.4s, v17.16b, v15.4b[0]
    assert kind_of(0x4E829420, ".byte") == "sdot"  # sdot v0.4s, v1.16b, v2.16b
    assert kind_of(0x6F8FE230, ".byte") == ".byte"  # udot
    assert kind_of(0xD503201F, "nop") == "nop"


@pytest.mark.arm64
@pytest.mark.slow
def test_a_pixel_costs_what_it_cost(
    exported: Path, qemu: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The small network as a .pte, through the command; int8 runs as dot products on this CPU."""
    path = tmp_path / exported.name
    path.write_bytes(exported.read_bytes())
    words = ["export.instructions", str(path), "--cpu", CPU, "--qemu", str(qemu)]
    monkeypatch.setattr(sys, "argv", words)
    instructions.main()
    record = json.loads(path.with_name(f"{path.name}.instructions.json").read_text())
    found = record["cpus"][CPU]
    assert found["kinds"]["sdot"] > 0
    expected = json.loads(SNAPSHOT.read_text())["lffn-s small x2 w8a8 16x20 .pte"][CPU]
    assert found["per_output_pixel"] == pytest.approx(expected, rel=TOLERANCE)


@pytest.mark.arm64
@pytest.mark.slow
def test_a_file_that_cannot_be_run(exported: Path, qemu: Path, tmp_path: Path) -> None:
    artifact, path = open_artifact(exported), tmp_path / exported.name
    path.write_bytes(exported.read_bytes())
    artifact = open_artifact(path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="ended with status 1: loading"):
        count(artifact, qemu, CPU)
