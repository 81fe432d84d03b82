"""Files that are not ours, or no longer whole, are refused in words."""

from pathlib import Path

import pytest
import torch
from executorch.exir import to_edge_transform_and_lower

from edgesr.engines import describe, file_name, find_artifact, open_artifact
from edgesr.errors import UserError

FACTS = {
    "model": "lffn-s",
    "scale": 2,
    "scheme": "w8a8",
    "tile": [8, 12],
    "overlap": 2,
    "multiple": 1,
    "checkpoint_sha256": "0" * 64,
}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound .pte that some other project made."""
    program = torch.export.export(torch.nn.ReLU(), (torch.rand(1, 3, 8, 8),))
    path = tmp_path_factory.mktemp("foreign") / "relu.pte"
    path.write_bytes(to_edge_transform_and_lower(program).to_executorch().buffer)
    return path


def test_foreign_file(foreign: Path) -> None:
    with pytest.raises(UserError, match="not exported by edgesr"):
        open_artifact(foreign, trusted=True)


@pytest.mark.parametrize("keep", [0, 1, 40, 0.5])
def test_damaged_file(foreign: Path, tmp_path: Path, keep: float) -> None:
    content = foreign.read_bytes()
    count = int(keep if keep >= 1 else keep * len(content))
    damaged = tmp_path / "damaged.pte"
    damaged.write_bytes(content[:count])
    with pytest.raises(UserError, match="damaged"):
        open_artifact(damaged, trusted=True)


def test_absent_and_unknown_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"python -m export\.executorch"):
        open_artifact(tmp_path / "none.pte")
    with pytest.raises(UserError, match=r"Known: \.pte"):
        open_artifact(tmp_path / "model.onnx")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="--model lffn-s --scale 3"):
        find_artifact("executorch", "lffn-s", 3)
    with pytest.raises(UserError, match="executorch"):
        find_artifact("executorsh", "lffn-s", 3)


@pytest.mark.parametrize("name", FACTS)
def test_missing_fact(name: str) -> None:
    facts = {key: value for key, value in FACTS.items() if key != name}
    with pytest.raises(UserError, match="no facts of ours"):
        describe(Path("a.pte"), facts, lambda lr: lr)


def doubled(lr: torch.Tensor) -> torch.Tensor:
    return lr.repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_only_the_tile_is_taken() -> None:
    artifact = describe(Path("a.pte"), FACTS, doubled)
    assert artifact.upscale(torch.zeros(1, 3, 8, 12)).shape == (1, 3, 16, 24)
    for shape in ((1, 3, 12, 8), (2, 3, 8, 12), (3, 8, 12)):
        with pytest.raises(UserError, match="one LR tile"):
            artifact.upscale(torch.zeros(shape))


def test_what_comes_out_is_what_the_facts_say() -> None:
    artifact = describe(Path("a.pte"), FACTS, lambda lr: lr)
    with pytest.raises(UserError, match=r"enlarges 2 times, and makes \(1, 3, 8, 12\)"):
        artifact.upscale(torch.zeros(1, 3, 8, 12))


def test_file_name() -> None:
    name = file_name("msfin-s", 4, "w8a8", (64, 96), "executorch")
    assert name == "msfin-s_x4_w8a8_64x96.pte"
