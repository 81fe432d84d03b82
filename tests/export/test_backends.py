"""Files for backends that nothing here can run: what is in them is known, and none has passed."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from edgesr import checkpoint as checkpoints
from edgesr.engines import find_artifact, open_artifact
from edgesr.errors import UserError
from edgesr.quantization import pt2e
from export import backends, command, executorch
from export.backends import BACKENDS

TILE = (16, 20)


@pytest.fixture
def lowered(
    monkeypatch: pytest.MonkeyPatch, qat_checkpoint: Path, tmp_path: Path
) -> Callable[[str], tuple[Path, dict[str, Any]]]:
    """Backend → the file that the command keeps, and its report."""

    def lower(backend: str) -> tuple[Path, dict[str, Any]]:
        monkeypatch.chdir(tmp_path)
        options = ["--checkpoint", qat_checkpoint, "--tile", "16x20", "--overlap", 4]
        monkeypatch.setattr(sys, "argv", ["export.executorch", "--backend", backend, *map(str, options)])
        command.main(executorch)
        path = tmp_path / "artifacts" / f"lffn-s_x2_w8a8-{backend}_16x20.pte.unrun"
        return path, json.loads(path.with_name(f"{path.name}.report.json").read_text())

    return lower


@pytest.mark.parametrize("backend", BACKENDS)
def test_lowered_is_not_passed(
    lowered: Callable[[str], tuple[Path, dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
    qat_checkpoint: Path,
    backend: str,
) -> None:
    path, report = lowered(backend)
    said = capsys.readouterr().out
    assert "lowered, not run" in said
    assert "passed" not in said
    assert report["verdict"]["failures"] == []
    assert report["verdict"]["passed"] is False
    assert report["verdict"]["not_run"] == BACKENDS[backend].not_run
    assert report["latency"] == {"absent": BACKENDS[backend].not_run}
    assert report["facts"]["backend"] == backend
    census = report["census"]
    assert (census["partitions"], census["ops_outside"]) == (1, 0)
    assert census["int8_ops"] >= 2 * (2 * 2 + 1)  # modules x (blocks' ends, fuse)
    assert (report["parity"]["images"] > 0) == (backend == "coreml")
    with pytest.raises(UserError, match="No exported executorch file"):
        find_artifact("executorch", "lffn-s", 2)
    with pytest.raises(UserError, match="suffix"):
        open_artifact(path)

    program = _program(qat_checkpoint)
    assert backends.faults(program, path) == []
    kernel = next(c for c in program.state_dict.values() if c.dtype == torch.int8 and c.ndim == 4)
    kernel.view(-1)[0] ^= 1
    assert "1 of the program's constants" in backends.faults(program, path)[0]


def test_a_file_for_xnnpack_is_not_for_others(exported: Path) -> None:
    assert not backends.is_elsewhere(exported)
    with pytest.raises(ValueError, match="XnnpackBackend"):
        backends.read(exported)


def _program(checkpoint: Path) -> torch.export.ExportedProgram:
    return pt2e.quantized_program(checkpoints.load(checkpoint), (1, 3, *TILE), fold_weights=True)
