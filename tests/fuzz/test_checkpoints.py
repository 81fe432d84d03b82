"""Checkpoints and run folders that were damaged or edited: a UserError, or a network that runs."""

import io
import json
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save as to_bytes
from torch import nn

from edgesr import checkpoint
from edgesr.errors import UserError
from edgesr.files import sha256
from edgesr.models import MODELS
from recipes import import_weights
from recipes import run as runs
from recipes.papers import RECIPES
from recipes.plan import Plan, plan_of
from recipes.run import Run, State
from tests.mutations import examples, harmed, harmed_json

HEAD = 300


class Tiny(nn.Module):
    """A few tensors under the name of a network."""

    def __init__(self, scale: int = 2) -> None:
        super().__init__()
        self.one, self.other = nn.Conv2d(3, 2, 3), nn.Linear(2, 2)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "lffn-s", replace(MODELS["lffn-s"], build=Tiny))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def pickled(content: Any) -> bytes:
    held = io.BytesIO()
    torch.save(content, held)
    return held.getvalue()


FACTS = {"format": 1, "model": "lffn-s", "scale": 2, "scheme": None, "origin": {"a": [1]}, "sha256": ""}
TENSORS = to_bytes(Tiny().state_dict())


def opened(path: Path) -> None:
    checkpoint.load(path).build_float()


@examples(150)
@given(content=harmed(TENSORS, head=HEAD))
def test_tensors(folder: Path, content: bytes) -> None:
    """Whose JSON has been made to agree: accidents are found by their SHA-256 before."""
    tensors, facts = checkpoint.paths(folder / "a")
    tensors.write_bytes(content)
    facts.write_text(json.dumps(FACTS | {"sha256": sha256(tensors)}))
    with suppress(UserError):
        opened(tensors)
    with suppress(UserError):
        import_weights.read(tensors)


@examples(100)
@given(content=harmed(TENSORS))
def test_an_accident_never_opens(folder: Path, content: bytes) -> None:
    tensors, facts = checkpoint.paths(folder / "a")
    tensors.write_bytes(TENSORS)
    facts.write_text(json.dumps(FACTS | {"sha256": sha256(tensors)}))
    opened(tensors)
    tensors.write_bytes(content)
    if content != TENSORS:
        with pytest.raises(UserError):
            opened(tensors)


@examples(150)
@given(facts=harmed_json(FACTS), content=st.none() | harmed(json.dumps(FACTS).encode()))
def test_facts(folder: Path, facts: Any, content: bytes | None) -> None:
    tensors, file = checkpoint.paths(folder / "a")
    tensors.write_bytes(TENSORS)
    if isinstance(facts, dict) and facts.get("sha256") == "":
        facts["sha256"] = sha256(tensors)
    file.write_bytes(json.dumps(facts).encode() if content is None else content)
    with suppress(UserError):
        opened(tensors)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": ' + "1" * 5000 + "}", "\ud800", "NaN"])
def test_json_that_python_chokes_on(folder: Path, text: str) -> None:
    tensors, file = checkpoint.paths(folder / "a")
    tensors.write_bytes(TENSORS)
    file.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(UserError):
        opened(tensors)


@examples(60)
@given(content=harmed(pickled(Tiny().state_dict()), head=HEAD))
def test_weights_of_others(folder: Path, content: bytes) -> None:
    """PyTorch's own format: a zip that holds a pickle, of which no code is ever run."""
    path = folder / "theirs.pt"
    path.write_bytes(content)
    with suppress(UserError):
        import_weights.read(path)


def test_no_code_in_weights_of_others_is_run(folder: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (folder / "trapped",))

    torch.save({"a": Trap()}, folder / "trap.pt")
    with pytest.raises(UserError, match="code in a file is never run"):
        import_weights.read(folder / "trap.pt")
    assert not (folder / "trapped").exists()


PLAN = Plan(
    "train", "lffn-s", 2, None, ["photos"], 2, {"file": "a", "sha256": "b"}, "cpu", 1,
    RECIPES["lffn-s"].settings(2, None),
)  # fmt: skip


def trained() -> tuple[nn.Module, torch.optim.Optimizer]:
    network = Tiny()
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return network, optimizer


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = runs.create("x", tmp_path_factory.mktemp("run"), {"images": 3, **asdict(PLAN)})
    run.save_state(State(3, 1.0, 0.5, 30.0), *trained())
    run.cut_log(0)
    run.log(1, 0.5, 1e-4, 10.0, None)
    return run


@examples(120)
@given(content=harmed_json({"images": 3, **asdict(PLAN)}))
def test_what_a_run_was_asked(run: Run, content: Any) -> None:
    (run.folder / "config.json").write_text(json.dumps(content))
    with suppress(UserError):
        plan = plan_of(runs.resume(run.folder, "train"))
        assert plan.settings.lr_at(0) > 0


WORDS = {"decay", "optimizer", "loss", "precision", "compile"}
OPTIONAL = {"scheme", "init", "clip", "ema"}


@pytest.mark.parametrize("name", [*asdict(PLAN.settings), *(n for n in asdict(PLAN) if n != "settings")])
def test_every_part_of_a_plan_has_its_type(run: Run, name: str) -> None:
    """One of another type would be an error somewhere in a training, or train otherwise than asked."""
    for value in (None, True, 1.5, "1", [1], {"a": 1}):
        content = {"images": 3, **asdict(PLAN)}
        holder = content if name in content else content["settings"]
        kind = type(holder[name])
        allowed = (
            value is None if name in OPTIONAL else
            type(value) is kind and kind not in (list, dict) and name not in ("recipe", *WORDS)
        )  # fmt: skip
        allowed |= name in ("clip", "lr", "final_lr", "save_every") and type(value) is float
        allowed |= name == "scheme" and type(value) is str
        if allowed:
            continue
        holder[name] = value
        (run.folder / "config.json").write_text(json.dumps(content))
        with pytest.raises(UserError):
            plan_of(runs.resume(run.folder, "train"))


@examples(100)
@given(data=st.data())
def test_where_a_run_stands(run: Run, data: Any) -> None:
    whole = run.state_file.read_bytes()
    network, optimizer = trained()
    try:
        run.state_file.write_bytes(data.draw(harmed(whole, head=len(whole) // 2)))
        with suppress(UserError):
            state = run.load_state(network, optimizer)
            optimizer.step()  # in a fused kernel, which believes every shape
            assert state.step >= 0
    finally:
        run.state_file.write_bytes(whole)


def test_an_optimizer_of_other_shapes_never_reaches_its_kernel(run: Run) -> None:
    """Fused, it would read as many numbers as the weights have, from a tensor that holds one."""
    whole = run.state_file.read_bytes()
    network, optimizer = trained()
    for held in optimizer.state_dict()["state"].values():
        held["exp_avg"] = torch.zeros(1)
    try:
        run.save_state(State(3), network, optimizer)
        with pytest.raises(UserError, match="does not hold this network's optimizer"):
            run.load_state(*trained())
    finally:
        run.state_file.write_bytes(whole)


@examples(60)
@given(state=harmed_json(asdict(State(3, 1.0, 0.5, 30.0))), counted=harmed_json([None]))
def test_what_a_state_says(run: Run, state: Any, counted: Any) -> None:
    tensors = to_bytes(
        {"a/b": torch.zeros(1)}, {"state": json.dumps(state), "counted": json.dumps(counted)}
    )
    path = run.folder / "other.safetensors"
    path.write_bytes(tensors)
    with suppress(UserError):
        _, counts, found = runs._read_state(path)
        assert isinstance(found.step, int)
        assert isinstance(counts, list)


@examples(60)
@given(
    log=harmed(b"step,loss,lr,images_per_second,validation_psnr\n1,0.5,1e-4,10,\n2,0.4,1e-4,10,30.1\n")
)
def test_the_log_and_the_starts(run: Run, log: bytes) -> None:
    run.log_file.write_bytes(log)
    run.cut_log(2)
    (run.folder / "origin.json").write_bytes(log)
    with pytest.raises(UserError, match=r"origin\.json"):
        run.origin()
