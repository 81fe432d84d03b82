"""Where the time of a .pte goes: its operators by kind, as the runtime itself times them.

XNNPACK names what it runs, inside the delegate, and times it in whole microseconds.
"""

import re
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from edgesr.engines import executorch as engine

WHOLE = "Method::execute"
DELEGATE = "DELEGATE_CALL"
WRAPPER = "OPERATOR_CALL"
"""The runtime's own events: a whole run, a delegate's part of it, a call around an operator's."""
BETWEEN = "between operators"


@dataclass(frozen=True)
class Kind:
    """All operators of one kind in one run of a file."""

    name: str
    ms: float
    """Their total."""
    share: float
    """Of the whole run."""
    count: int
    each: tuple[float, ...] = ()
    """Milliseconds of each operator, in the order in which they run."""


def profile(path: Path, tile: tuple[int, int], runs: int) -> list[Kind]:
    """The kinds of operators of a .pte on this host, from `runs` runs after one that warms up."""
    return kinds(engine.trace(path, torch.rand(1, 3, *tile), runs + 1))


def kinds(dump: bytes) -> list[Kind]:
    """The kinds of operators in an ETDump, the longest first; its first run is left out.

    The last row is what a run takes besides them. Each operator counts with the least that it took,
    because whatever else the machine does can only add to that.
    """
    events = _events(dump)
    wholes = next(ms for name, ms in events if name == WHOLE)
    inner = [(name, ms) for name, ms in events if name != WHOLE]
    least: dict[str, list[float]] = defaultdict(list)
    for name, ms in inner:
        least[kind_of(name)].append(min(ms))
    inside = [sum(times) for times in zip(*(ms for _, ms in inner), strict=True)]
    rest = min(whole - ms for whole, ms in zip(wholes, inside, strict=True))
    total = rest + sum(map(sum, least.values()))
    found = [Kind(name, sum(ms), sum(ms) / total, len(ms), tuple(ms)) for name, ms in least.items()]
    return [*sorted(found, key=lambda kind: -kind.ms), Kind(BETWEEN, rest, rest / total, 0)]


def kind_of(name: str) -> str:
    """An operator's name without the number that tells it from others of its kind."""
    return re.sub(r" #\d+$", "", name).removeprefix("native_call_")


def _events(dump: bytes) -> list[tuple[str, list[float]]]:
    """(name, ms in each run but the first) of each operator and of the whole run."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "run.etdp")
        file.write_bytes(dump)
        blocks = _inspect(file)
    return [
        (event.name, event.perf_data.raw[1:])
        for block in blocks
        for event in block.events
        if event.perf_data is not None
        and len(event.perf_data.raw) > 1  # loading the file happens once
        and event.name not in (DELEGATE, WRAPPER)  # what is inside them is there, too
    ]


def _inspect(file: Path) -> Any:
    # imported here: it brings pandas along, which nothing else needs
    from executorch.devtools import Inspector

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Output Buffer not found")
        return Inspector(etdump_path=str(file)).event_blocks
