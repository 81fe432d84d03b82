"""A small network of each family becomes one verified int8 delegate."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgesr.quantization import DEFAULT_SCHEME, SCHEMES
from export import command, executorch


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_verified_delegate(
    monkeypatch: pytest.MonkeyPatch,
    small: str,
    scheme: str,
    calibrated: Callable[[str, int, str | None], Path],
    tmp_path: Path,
) -> None:
    if small == "msfin" and scheme != DEFAULT_SCHEME:
        pytest.skip("takes two minutes; the scheme's graph of it is tested in tests/quantization")
    checkpoint = calibrated(small, 2, scheme)
    arguments = ["--checkpoint", str(checkpoint), "--tile", "16x20", "--overlap", "4"]
    monkeypatch.setattr(sys, "argv", ["export.executorch", *arguments, "--out", str(tmp_path)])
    command.main(executorch)
    report = json.loads(next(tmp_path.glob("*.report.json")).read_text())
    assert report["verdict"]["failures"] == []
    assert report["census"]["partitions"] == 1
    assert report["census"]["outside"] == []
