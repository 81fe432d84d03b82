"""A run folder: what was asked, where it stands, what came out.

config.json         what the run was asked to do; `--resume` reads everything from it
origin.json         command, commit, versions and machine of each start
log.csv             a row per logged step
curves.png          the log as a picture, where matplotlib is installed
tensorboard/        the log for TensorBoard, where that is installed
state.safetensors   network, averaged network if any, and optimizer after the last saved step
checkpoint.*        the result, once training is done
.run.lock           taken by the process that writes into the folder
"""

import csv
import json
import re
import shlex
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from edgesr.checkpoint import load_strict
from edgesr.errors import UserError
from edgesr.files import hold, parse_json, read_json, replacing, write_text
from edgesr.provenance import commit, processor, versions
from recipes.processes import from_main

LOG_COLUMNS = ("step", "loss", "lr", "images_per_second", "validation_psnr")


@dataclass(frozen=True)
class State:
    """Where a training stands, besides its tensors."""

    step: int = 0
    """Finished optimizer steps."""
    seconds: float = 0.0
    """Spent in all finished steps, over every start of the run."""
    loss: float | None = None
    """Of the last finished step."""
    psnr: float | None = None
    """Of the last validation, in dB."""


@dataclass(frozen=True)
class Run:
    """An open run folder."""

    folder: Path
    config: dict[str, Any]
    has_state: bool = False
    """Whether a state was saved before the run was opened. Some processes could not look."""

    @property
    def state_file(self) -> Path:
        """Network and optimizer as of the last saving."""
        return self.folder / "state.safetensors"

    @property
    def checkpoint(self) -> Path:
        """Where the result goes."""
        return self.folder / "checkpoint.safetensors"

    @property
    def log_file(self) -> Path:
        """One row per logged step."""
        return self.folder / "log.csv"

    def origin(self) -> dict[str, Any]:
        """The facts of the first start and, where there were more, of the others."""
        first, *others = _read_json(self.folder / "origin.json", list)
        return first | ({"resumed": others} if others else {})

    def log(self, *row: float | None) -> None:
        """Append one row of LOG_COLUMNS; None leaves a field empty."""
        with self.log_file.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(
                ["" if value is None else value for value in row]
            )

    def cut_log(self, step: int) -> None:
        """Drop the rows after `step`, and one that a crash left half-written."""
        there = step and self.log_file.exists()
        text = self.log_file.read_text(encoding="utf-8", errors="replace") if there else ""
        kept = [
            line
            for line in text.splitlines(True)[1:]
            if (found := re.match(r"(\d{1,18}),.*\n$", line)) and int(found[1]) <= step
        ]
        write_text(self.log_file, ",".join(LOG_COLUMNS) + "\n" + "".join(kept))

    def save_state(
        self,
        state: State,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: nn.Module | None = None,
    ) -> None:
        """Replace the state file as a whole."""
        tensors = {f"network/{name}": tensor for name, tensor in network.state_dict().items()}
        if average is not None:
            tensors |= {f"average/{name}": tensor for name, tensor in average.state_dict().items()}
        held = optimizer.state_dict()
        for index, slots in held["state"].items():
            tensors |= {f"optimizer/{index}/{name}": tensor for name, tensor in slots.items()}
        # copies, because safetensors refuses tensors that share memory, as shared observers' do
        copies = {
            name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()
        }
        # Adam counts its steps in a tensor for each parameter, AdamP once for all of them
        counted = [group.get("step") for group in held["param_groups"]]
        content = to_bytes(copies, {"state": json.dumps(asdict(state)), "counted": json.dumps(counted)})
        with replacing(self.state_file) as temporary:
            temporary.write_bytes(content)  # its OSError says when the disk is full

    def load_state(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        average: nn.Module | None = None,
    ) -> State:
        """Put all back as it was saved; a State of 0 steps where nothing was saved yet.

        Of several processes the first reads the file and tells the others. UserError if it is damaged
        or does not belong to this network.
        """
        found = from_main(lambda: _read_state(self.state_file) if self.state_file.exists() else None)
        if found is None:
            return State()
        tensors, counted, state = found
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, _, rest = name.partition("/")
            parts.setdefault(part, {})[rest] = tensor
        load_strict(network, parts["network"], f"the network of {self.folder}")
        if average is not None:
            load_strict(average, parts["average"], f"the averaged network of {self.folder}")
        try:
            _put_back(optimizer, parts["optimizer"], counted)
        except (LookupError, RuntimeError, TypeError, ValueError) as error:
            raise UserError(
                f"{self.state_file} does not hold this network's optimizer ({error!r}). Delete it to "
                "begin the run anew."
            ) from error
        return state


def create(name: str, out: Path | None, config: dict[str, Any]) -> Run:
    """Make the folder `out`, or the next free `runs/<name>/<number>`, and write what is asked.

    UserError if `out` holds a run already, or another process is writing into it.
    """
    if out is not None and out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file. Give a folder as --out.")
    folder = out or _claimed(Path("runs") / name)
    folder.mkdir(parents=True, exist_ok=True)
    _hold(folder)
    if (folder / "config.json").exists():
        raise UserError(
            f"{folder} holds a run already. Continue it with --resume {folder}, or give another --out."
        )
    write_text(folder / "origin.json", _json([facts()]))
    write_text(folder / "config.json", _json(config))
    return Run(folder, config)


def resume(folder: Path, recipe: str) -> Run:
    """Open a run that `recipe` began. UserError if there is none, or another process goes on with it."""
    config, starts = (
        _read_json(folder / "config.json", dict),
        _read_json(folder / "origin.json", list),
    )
    if config.get("recipe") != recipe:
        raise UserError(f"{folder} is a run of recipes.{config.get('recipe')}, not of recipes.{recipe}.")
    _hold(folder)
    for leftover in folder.glob(".state.safetensors.*"):  # of a process that was killed while saving
        leftover.unlink()
    write_text(folder / "origin.json", _json([*starts, facts()]))
    return Run(folder, config, (folder / "state.safetensors").exists())


def facts() -> dict[str, Any]:
    """What a number depends on besides its inputs: command, commit, versions, machine, time."""
    return {
        "command": shlex.join(["python", *sys.orig_argv[1:]]),
        "commit": commit(),
        "versions": versions(),
        "host": processor(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _claimed(parent: Path) -> Path:
    """The next number, as a folder that this process has made: another one beside it gets another."""
    parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        folder = parent / f"{number:03}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError


def _hold(folder: Path) -> None:
    """Keep other processes out of a run for as long as this one lives. UserError if one is in there."""
    place = folder.resolve()
    if place in _held:
        return
    lock = hold(place / "run")
    if lock is None:
        raise UserError(
            f"Another process is writing into {folder}. Wait until it has ended, or stop it (Ctrl-C "
            "saves where it stands); two would mix up what they save."
        )
    _held[place] = lock


_held: dict[Path, IO[str]] = {}
"""Folders that are this process's, with the locks that say so."""


def _json(content: Any) -> str:
    return json.dumps(content, indent=2) + "\n"


def _read_json(path: Path, kind: type) -> Any:
    if not path.is_file():
        raise UserError(f"{path.parent} holds no run: {path.name} is missing.")
    content = read_json(path)
    if not isinstance(content, kind) or not content:
        raise UserError(f"{path} is not a run's {path.name}. Start a new run.")
    if isinstance(content, list) and not all(isinstance(start, dict) for start in content):
        raise UserError(f"{path} does not list the starts of a run. Start a new run.")
    return content


def _put_back(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], counted: list[int | None]
) -> None:
    """The optimizer's state as it was saved, "<parameter>/<slot>". Some error if it is not its own."""
    slots: dict[int, dict[str, Tensor]] = {}
    parameters = [one for group in optimizer.param_groups for one in group["params"]]
    for name, tensor in tensors.items():
        index, _, slot = name.partition("/")
        parameter = parameters[int(index)]
        shape = () if slot == "step" else parameter.shape
        if tensor.shape != shape or not tensor.is_floating_point():  # a kernel reads what it expects
            raise ValueError(f"{name} is {tensor.dtype} of shape {list(tensor.shape)}")
        slots.setdefault(int(index), {})[slot] = _laid_out(tensor, parameter)
    needed = {"exp_avg", "exp_avg_sq"} | ({"step"} if None in counted else set())
    if lacking := [index for index, held in slots.items() if not held.keys() >= needed]:
        raise ValueError(f"parameter {lacking[0]} lacks a part")
    groups = optimizer.state_dict()["param_groups"]
    for group, steps in zip(groups, counted, strict=True):
        group |= {} if steps is None else {"step": steps}
    optimizer.load_state_dict({"state": slots, "param_groups": groups})


def _laid_out(tensor: Tensor, parameter: Tensor) -> Tensor:
    """`tensor`, in memory as its parameter lies: channels-last, say, which no file keeps.

    Fused optimizers walk through both at once.
    """
    same = tensor.shape == parameter.shape
    return torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor).detach() if same else tensor


def _read_state(path: Path) -> tuple[dict[str, Tensor], list[int | None], State]:
    """All tensors, the optimizer's own counts of steps, and where the training stands."""
    try:
        with safe_open(path, "pt") as file:
            told = file.metadata() or {}
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise UserError(f"{path} is damaged ({error}). Delete it to begin the run anew.") from error
    if "state" not in told:
        raise UserError(f"{path} is not the state of a run. Delete it to begin the run anew.")
    try:
        counted = parse_json(told.get("counted", "[null]"))
        state = State(**parse_json(told["state"]))
        whole = all(steps is None or (type(steps) is int and steps >= 0) for steps in counted)
        if type(state.step) is not int or state.step < 0 or not whole:
            raise ValueError("steps are whole numbers")
        numbers = (state.seconds, state.loss or 0.0, state.psnr or 0.0)
        if not all(isinstance(number, float | int) for number in numbers):
            raise ValueError("seconds, loss and psnr are numbers")
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{path} does not say where the run stands ({error}). Delete it to begin the run anew."
        ) from error
    return tensors, counted, state
