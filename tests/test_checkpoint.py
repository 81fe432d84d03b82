"""A checkpoint comes back as it was saved, or is refused in words."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from edgesr import checkpoint as checkpoints
from edgesr.checkpoint import Checkpoint
from edgesr.errors import UserError
from edgesr.models import create_model
from edgesr.quantization import find_scheme, pt2e

FACTS = {"format": 1, "model": "m", "scale": 2, "scheme": None, "origin": {}, "sha256": ""}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    state = create_model("lffn-s", scale=2).state_dict()
    return checkpoints.save(Checkpoint("lffn-s", 2, None, state, {"steps": 3}), tmp_path / "a.b")


def test_round_trip_by_any_of_its_names(saved: Path) -> None:
    assert saved.name == "a.b.safetensors"
    for name in ("a.b.safetensors", "a.b.json", "a.b"):
        loaded = checkpoints.load(saved.with_name(name))
        assert (loaded.model, loaded.scale, loaded.scheme) == ("lffn-s", 2, None)
        assert loaded.origin == {"steps": 3}
        assert loaded.sha256 is not None
    network = create_model("lffn-s", scale=2)
    network.load_state_dict(loaded.state)
    assert not loaded.build_float().training


@pytest.mark.parametrize("init", [None, "float", {}, {"sha256": 3}, {"file": "float"}])
def test_a_parent_that_nobody_named(init: object) -> None:
    assert Checkpoint("lffn-s", 2, None, {}, {"init": init}).parent is None
    assert Checkpoint("lffn-s", 2, None, {}, {"init": {"sha256": "ab"}}).parent == "ab"


def test_observers_keep_their_eps(tmp_path: Path) -> None:
    """torch resets it when a state dict carries no version, as tensors from a file do not."""
    graph = pt2e.prepare(create_model("lffn-s", scale=2), find_scheme("w8a8"), (1, 3, 8, 8))
    path = checkpoints.save(Checkpoint("lffn-s", 2, "w8a8", graph.state_dict()), tmp_path / "q")
    again = pt2e.prepare(create_model("lffn-s", scale=2), find_scheme("w8a8"), (1, 3, 8, 8))
    checkpoints.load_strict(again, checkpoints.load(path).state, "it")
    eps = {value.item() for name, value in again.state_dict().items() if name.endswith("eps")}
    assert eps == {2.0**-16}


def test_cut_tensors(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-7])
    with pytest.raises(UserError, match="do not belong together"):
        checkpoints.load(saved)


def test_tensors_of_another_checkpoint(saved: Path, tmp_path: Path) -> None:
    state = create_model("lffn-s", scale=2).state_dict()
    other = checkpoints.save(Checkpoint("lffn-s", 2, None, state), tmp_path / "other")
    saved.write_bytes(other.read_bytes())
    with pytest.raises(UserError, match="do not belong together"):
        checkpoints.load(saved)


@pytest.mark.parametrize("file", ["a.b.safetensors", "a.b.json"])
def test_absent_half(saved: Path, file: str) -> None:
    saved.with_name(file).unlink()
    with pytest.raises(UserError, match="two files"):
        checkpoints.load(saved)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "'format' is missing"),
        ('{"format": 1}', "'model' is missing"),
        (json.dumps(FACTS | {"format": 2}), "format 2"),
        (json.dumps(FACTS | {"scale": "2"}), "'scale' is missing or of the wrong type"),
    ],
)
def test_facts_that_are_none(saved: Path, content: str, message: str) -> None:
    saved.with_suffix(".json").write_text(content)
    with pytest.raises(UserError, match=message):
        checkpoints.load(saved)


def test_hash_matches_but_content_is_no_safetensors(saved: Path) -> None:
    saved.write_bytes(b"not tensors")
    facts = json.loads(saved.with_suffix(".json").read_text())
    facts["sha256"] = hashlib.sha256(b"not tensors").hexdigest()
    saved.with_suffix(".json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match="not a safetensors file"):
        checkpoints.load(saved)


def test_another_network(saved: Path) -> None:
    loaded = checkpoints.load(saved)
    for wrong in (replace(loaded, scale=3), replace(loaded, model="msfin-s")):
        with pytest.raises(UserError, match="not those of"):
            wrong.build_float()
    with pytest.raises(UserError, match="float checkpoint is needed"):
        replace(loaded, scheme="w8a8").build_float()


def test_shapes_that_differ() -> None:
    with pytest.raises(UserError, match="size mismatch"):
        checkpoints.load_strict(nn.Linear(2, 2), nn.Linear(3, 2).state_dict(), "it")


def test_tensors_that_share_memory(tmp_path: Path) -> None:
    shared = torch.arange(4.0)
    state = {"a": shared, "b": shared[:2]}
    path = checkpoints.save(Checkpoint("lffn-s", 2, None, state), tmp_path / "shared")
    assert torch.equal(checkpoints.load(path).state["b"], shared[:2])
