"""Medians, ratios and the benchmark's table, worked out by hand."""

from pathlib import Path

import pytest

from edgesr.engines import Artifact
from edgesr.quantization import SCHEMES
from export.contenders import (
    COMPILED,
    EAGER,
    EDGE,
    INT8,
    PUBLISHED,
    TFLITE_EDGE,
    TFLITE_INT8,
    Entry,
    of_artifact,
    together,
)
from export.profile import BETWEEN, Kind
from export.timings import Result, Timing, print_profile, print_table


def by_hand(kinds: list[Kind] | None = None, busy: float = 1.0) -> Result:
    """Medians 40, 20, 10 and 8 ms, of which the processor was ours for a part."""
    times = {EAGER: [44.0, 1.0, 40.0], PUBLISHED: [20.0], EDGE: [9.0, 11.0], INT8: [8.0, 8.0, 99.0]}
    files = {role: Path(f"{role}.pte") for role in (PUBLISHED, EDGE, INT8)}
    timings = {role: Timing(wall, [ms * busy for ms in wall]) for role, wall in times.items()}
    return Result(Entry("lffn-s", 4, (180, 320), files), timings, kinds)


def test_ratios_are_of_medians() -> None:
    assert by_hand().ratios == {EAGER: 5.0, PUBLISHED: 2.5, EDGE: 1.25}
    assert by_hand(busy=0.5).cpu_ratios == {EAGER: 5.0, PUBLISHED: 2.5, EDGE: 1.25}
    timing = Timing([5.0, 1.0, 2.0, 4.0, 3.0], [9.0, 7.0, 8.0, 1.0, 2.0])
    assert timing.to_json() == {
        "median_ms": 3.0,
        "q1_ms": 2.0,
        "q3_ms": 4.0,
        "cpu_median_ms": 7.0,
        "runs_ms": [5.0, 1.0, 2.0, 4.0, 3.0],
    }


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = [Kind("Add (ND)", 3.0, 0.75, 12), Kind(BETWEEN, 1.0, 0.25, 0)]
    print_table([by_hand()], "host: this one")
    print_profile(by_hand())
    print_profile(by_hand(kinds))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "host: this one, ms ± inter-quartile range"
    row = "lffn-s x4 180x320 40.0 ±21.5 20.0 ±0.0 10.0 ±1.0 8.0 ±45.5 5.00x 2.50x 1.25x"
    assert lines[3].split() == row.split()
    assert lines[5] == f"{INT8}.pte: 4.0 ms while operators are recorded"
    assert "busy" not in "".join(lines)
    assert lines[7].split() == ["3.00", "75.0", "%", "12", "Add", "(ND)"]
    assert lines[8].split() == ["1.00", "25.0", "%", "between", "operators"]


def test_table_of_a_busy_machine(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([by_hand(busy=0.95), by_hand(busy=0.5)], "host: this one")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[3:]] == ["lffn-s", "lffn-s", "busy"]
    assert lines[-1].split()[-7:] == ["20.0", "10.0", "5.0", "4.0", "5.00x", "2.50x", "1.25x"]


def test_files_without_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    files = {role: Path(f"{role}.tflite") for role in (TFLITE_EDGE, TFLITE_INT8)}
    times = {EAGER: [40.0], TFLITE_EDGE: [30.0], TFLITE_INT8: [10.0]}
    timings = {role: Timing(ms, ms) for role, ms in times.items()}
    print_table([Result(Entry("lffn-s", 4, (24, 24), files), timings)], "host: this one")
    lines = capsys.readouterr().out.splitlines()
    assert lines[4].split() == ["tflite_fp32_edge:", "30.0", "±0.0"]
    assert lines[5].strip() == "tflite_int8_edge: 10.0 ±0.0, 4.00x eager, 3.00x tflite_fp32_edge"


def test_files_of_one_network_in_one_row() -> None:
    size = (24, 24)
    entries = [
        Entry("lffn-s", 4, size, {TFLITE_EDGE: Path("a")}),
        Entry("lffn-s", 2, size, {TFLITE_EDGE: Path("b")}),
        Entry("lffn-s", 4, size, {TFLITE_INT8: Path("c")}),
    ]
    first, second = together(entries)
    assert list(first.files.values()) == [Path("a"), Path("c")]
    assert list(second.files.values()) == [Path("b")]


def test_files_of_every_scheme_in_one_row() -> None:
    """None takes the place of another: fp32, w8a8 and int8 take turns."""
    files = [
        Artifact(Path(f"{scheme}.tflite"), "lffn-s", 4, scheme, (24, 24), 4, 1, "", lambda lr: lr)
        for scheme in ("fp32", *SCHEMES)
    ]
    (row,) = together([of_artifact(file) for file in files])
    assert list(row.files.values()) == [file.path for file in files]
    assert list(row.files)[:2] == [TFLITE_EDGE, TFLITE_INT8]


def test_the_network_in_another_way_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    times = {COMPILED: [24.0], EAGER: [40.0], INT8: [8.0]}
    timings = {role: Timing(ms, ms) for role, ms in times.items()}
    print_table([Result(Entry("lffn-s", 4, (24, 24), {INT8: Path("a")}), timings)], "host: this one")
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split()[-3:] == ["5.00x", "-", "-"]
    assert lines[4].strip() == f"compiled: 24.0 ±0.0, {INT8} is 3.00x as fast"
