"""A run folder survives what happens to folders."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgesr import provenance
from edgesr.errors import UserError
from recipes import run as runs
from recipes.run import Run, State

CONFIG = {"recipe": "train", "model": "lffn-s"}


class Shared(nn.Module):
    """One layer under two names, as observers are in a fake-quantized graph."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = self.first
        self.register_buffer("empty", torch.tensor([]))


def trained(steps: int = 2) -> tuple[nn.Module, torch.optim.Optimizer]:
    network = Shared()
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(steps):
        network.first(torch.rand(4, 3)).sum().backward()
        optimizer.step()
    return network, optimizer


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return runs.create("lffn-s_x4", tmp_path / "run", CONFIG)


def test_runs_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    folders = [runs.create("lffn-s_x4", None, CONFIG).folder for _ in range(2)]
    assert folders == [Path("runs/lffn-s_x4/001"), Path("runs/lffn-s_x4/002")]


def test_a_run_is_never_overwritten(run: Run):
    with pytest.raises(UserError, match=r"holds a run already.*--resume"):
        runs.create("lffn-s_x4", run.folder, CONFIG)


def test_out_must_not_be_a_file(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        runs.create("lffn-s_x4", tmp_path / "file", CONFIG)


def test_each_start_is_recorded(run: Run):
    again = runs.resume(run.folder, "train")
    assert again.config == CONFIG
    origin = again.origin()
    assert {"command", "commit", "versions", "host", "gpu", "began"} <= origin.keys()
    assert len(origin["resumed"]) == 1
    assert "resumed" not in run.origin() or len(run.origin()["resumed"]) == 1


def test_the_state_comes_back_bit_for_bit(run: Run):
    network, optimizer = trained()
    state = State(step=2, seconds=1.5, loss=0.1 + 0.2, psnr=None)
    run.save_state(state, network, optimizer)
    other, its_optimizer = trained(1)
    assert run.load_state(other, its_optimizer) == state
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    slots, others = (o.state_dict()["state"] for o in (optimizer, its_optimizer))
    assert slots.keys() == others.keys()
    for index, values in slots.items():
        assert values.keys() == {"step", "exp_avg", "exp_avg_sq"}
        for name, value in values.items():
            assert torch.equal(value, others[index][name]), name


def test_no_state_is_the_beginning(run: Run):
    assert run.load_state(*trained()) == State()


def test_a_cut_state_is_refused(run: Run):
    run.save_state(State(step=2), *trained())
    content = run.state_file.read_bytes()
    for size in (0, 5, 100, len(content) - 1):
        run.state_file.write_bytes(content[:size])
        with pytest.raises(UserError, match="damaged"):
            run.load_state(*trained())


def test_a_foreign_state_is_refused(run: Run):
    save_file({"weight": torch.zeros(3)}, run.state_file)
    with pytest.raises(UserError, match="not the state of a run"):
        run.load_state(*trained())


def test_the_state_of_another_network_is_refused(run: Run):
    run.save_state(State(step=2), *trained())
    network = nn.Linear(3, 3)
    with pytest.raises(UserError, match="not those of"):
        run.load_state(network, torch.optim.Adam(network.parameters()))


def test_the_log_is_cut_where_the_state_stands(run: Run):
    run.cut_log(0)
    for step in range(1, 6):
        run.log(step, 0.5, 1e-4, 10.0, None)
    with run.log_file.open("a") as file:
        file.write("1")  # the power failed while row 12 was written
    run.cut_log(3)
    run.log(4, 0.5, 1e-4, 10.0, 30.5)
    lines = run.log_file.read_text().splitlines()
    assert lines[0] == "step,loss,lr,images_per_second,validation_psnr"
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3", "4"]
    assert lines[3:] == ["3,0.5,0.0001,10.0,", "4,0.5,0.0001,10.0,30.5"]


def test_leftovers_of_a_killed_process_go(run: Run):
    leftover = run.folder / ".state.safetensors.abc123.safetensors"
    leftover.touch()
    runs.resume(run.folder, "train")
    assert not leftover.exists()


def test_only_its_own_recipe_continues_a_run(run: Run):
    with pytest.raises(UserError, match=r"recipes\.train, not of recipes\.qat"):
        runs.resume(run.folder, "qat")


@pytest.mark.parametrize("name", ["config.json", "origin.json"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe", b"3", b"[]", b"{}"])
def test_a_damaged_folder_is_refused(run: Run, name: str, content: bytes | None):
    path = run.folder / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=re.escape(name)):
        runs.resume(run.folder, "train")


def test_outside_of_a_checkout_the_commit_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "provenance.py"))
    assert runs.facts()["commit"] == "unknown"


def test_facts_are_json(run: Run):
    assert json.loads(json.dumps(runs.facts()))["versions"]["torch"] == torch.__version__


HOLDER = """
import sys, time
from pathlib import Path
from recipes import run
run.create("x", Path(sys.argv[1]), {"recipe": "train"})
print("held", flush=True)
time.sleep(120)
"""


def test_two_processes_do_not_write_one_run(tmp_path: Path):
    """The second is refused, whatever it wants; once the first is killed the run can go on."""
    folder, root = tmp_path / "run", Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", HOLDER, str(folder)]
    holder = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for attempt in (
            lambda: runs.resume(folder, "train"),
            lambda: runs.create("x", folder, {"recipe": "train"}),
        ):
            with pytest.raises(UserError, match="Another process is writing into"):
                attempt()
        assert len(json.loads((folder / "origin.json").read_text())) == 1
    finally:
        holder.kill()
        holder.communicate()
    assert runs.resume(folder, "train").folder == folder


def test_two_runs_that_begin_at_once_get_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: runs.create("a", None, CONFIG).folder.name, range(8)))
    assert sorted(made) == [f"{number:03}" for number in range(1, 9)]
