"""`export.bench --device adb`: exported files on a phone, by our runner or in the demo app.

The ARM64 runner needs neither NDK nor app. It is pushed with all of its libraries, an ARM64 Linux's C
library among them, and started through that library's own loader. `export.phone_app` is the other way.
Both were tried with a folder in the phone's place, the runner with qemu too; until somebody has run
them on a phone, they are experimental.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from edgesr.data.drawn import drawn_pairs
from edgesr.data.images import to_tensor
from edgesr.engines import Artifact, open_artifact
from edgesr.errors import UserError
from edgesr.files import read_json, sha256, write_text
from edgesr.provenance import commit, versions
from export import arm64, phone_app, profile
from export.adb import FOLDER, Phone, connect
from export.native import build
from export.native.runner import read_bench
from export.pte import census

WARMUP, RUNS = 5, 50
COOL_CELSIUS, COOL_SECONDS, LOOK_SECONDS = 36.0, 300.0, 10.0
"""A run begins when Android reports no throttling and the battery is no warmer, or after so long."""
TILES = 2
RUN_PATIENCE = 900.0
"""Seconds for all runs of a file: a slow phone takes some seconds for each."""
NAME, CELL = 38, 26
"""Widths of the table."""

Facts = dict[str, str]
"""What a phone says that it is."""


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    files: list[Path]
    serial: str | None
    mode: str
    """One of `MODES`."""
    threads: int
    runs: int
    profile: bool
    json: Path | None
    compare: list[Path]


def bench(settings: Settings, say: Callable[[str], None]) -> None:
    """Check, time and print every file. UserError if a file's SR is not the host's."""
    artifacts = [open_artifact(path) for path in settings.files]
    others = [_saved(path) for path in settings.compare]
    phone = connect(settings.serial)
    facts = phone.facts()
    found = MODES[settings.mode](phone, facts, artifacts, settings, say)
    content = {"device": facts, "mode": settings.mode, "experimental": True, "networks": found}
    print_table([content, *others])
    if settings.json:
        content |= {"commit": commit(), "versions": versions()}
        write_text(settings.json, json.dumps(content, indent=2) + "\n")


def _by_runner(
    phone: Phone, facts: Facts, artifacts: list[Artifact], settings: Settings, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Each file in the runner, which is copied to the phone and removed again."""
    if facts["abi"] != "arm64-v8a":
        raise UserError(f"{phone.serial} runs {facts['abi'] or 'an unknown ABI'}; arm64-v8a is needed.")
    bundle = build.arm64()
    say(f"copying the runner to {facts['model'] or phone.serial} (17 MB); experimental, see --help")
    phone.shell(f"rm -rf {FOLDER} && mkdir -p {FOLDER}")
    phone.push(bundle.files)
    phone.run(f"chmod 755 {build.LOADER} {bundle.name}", RUN_PATIENCE)
    found = [_measure(phone, artifact, " ".join(bundle.start), settings, say) for artifact in artifacts]
    phone.shell(f"rm -rf {FOLDER}")
    return found


def _measure(
    phone: Phone, artifact: Artifact, start: str, settings: Settings, say: Callable[[str], None]
) -> dict[str, Any]:
    """One file: its SR against the host's, then its time on a phone that is cool."""
    path = artifact.path
    phone.push([path])
    parity = _parity(phone, artifact, start)
    say(f"{path.name}: {parity['differing_bytes']} of {parity['values']} bytes differ from this host's")
    cool = _cool_down(phone, say)
    options = f"--bench --warmup {WARMUP} --runs {settings.runs} --threads {settings.threads}"
    times = read_bench(phone.run(f"{start} {path.name} {options}", RUN_PATIENCE), path.name)
    heat = {"celsius_after": phone.battery_celsius(), "throttling_after": phone.throttling()}
    kinds = _profile(phone, artifact, start, settings.runs) if settings.profile else None
    return _described(artifact) | {
        "parity": parity,
        "times": times,
        "heat": cool | heat,
        "profile": kinds,
    }


def _by_app(
    phone: Phone, facts: Facts, artifacts: list[Artifact], settings: Settings, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Each file in the app, which has the same bytes already. What SR it computes is not seen here."""
    phone_app.require(phone)
    rows = []
    for artifact in artifacts:
        cool = _cool_down(phone, say)
        say(f"timing {artifact.path.name} in the app on {facts['model']}; experimental, see --help")
        answer = phone_app.measure(
            phone, artifact.path, threads=settings.threads, warmup=WARMUP, runs=settings.runs
        )
        heat = {"celsius_after": phone.battery_celsius(), "throttling_after": answer.throttling_after}
        measured = {"parity": None, "times": answer.times, "heat": cool | heat, "profile": None}
        rows.append(_described(artifact) | measured)
    return rows


MODES = {"runner": _by_runner, "app": _by_app}
"""Who runs the files on the phone."""
DEFAULT_MODE = "runner"


def _described(artifact: Artifact) -> dict[str, Any]:
    """Which file a row is of."""
    path = artifact.path
    return {
        "file": path.name,
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
        "tile": list(artifact.tile),
    }


def _parity(phone: Phone, artifact: Artifact, start: str) -> dict[str, Any]:
    """The SR of drawn tiles. UserError if it is further from the host's than ARM64 may be."""
    images = [to_tensor(next(drawn_pairs(artifact.scale, 1)).lr)]
    tiles = arm64.tiles_of(artifact, images, TILES)
    with TemporaryDirectory() as temporary:
        lr, sr = Path(temporary, "lr.f32"), Path(temporary, "sr.f32")
        lr.write_bytes(b"".join(tile.numpy().tobytes() for tile, _ in tiles))
        phone.push([lr])
        phone.run(f"{start} {artifact.path.name} < {lr.name} > {sr.name}", RUN_PATIENCE)
        phone.pull(sr.name, sr)
        content = sr.read_bytes()
    expected = torch.stack([sr for _, sr in tiles])
    if len(content) != 4 * expected.numel():
        raise UserError(f"The phone returned {len(content)} bytes of SR, not {4 * expected.numel()}.")
    difference = arm64.Difference()
    computed = np.frombuffer(content, np.float32).reshape(expected.shape)
    for ours, theirs in zip(torch.from_numpy(computed.copy()), expected, strict=True):
        difference.add(ours, theirs)
    if failures := difference.failures(arm64.bound_of(artifact.scheme, census(artifact.path))):
        raise UserError(f"{artifact.path.name} computes something else on {phone.serial}: {failures[0]}")
    return asdict(difference) | {"tiles": len(tiles)}


def _cool_down(phone: Phone, say: Callable[[str], None]) -> dict[str, Any]:
    """Wait until the phone is cool enough to be timed, or give up waiting and say so."""
    began = time.monotonic()
    while True:
        celsius, throttling = phone.battery_celsius(), phone.throttling()
        waited = time.monotonic() - began
        is_cool = not throttling and (celsius is None or celsius <= COOL_CELSIUS)
        if is_cool or waited >= COOL_SECONDS:
            break
        if waited < LOOK_SECONDS:
            say(f"waiting for the phone to cool down from {celsius} °C, {COOL_SECONDS:.0f} s at most")
        time.sleep(LOOK_SECONDS)
    found = {"celsius_before": celsius, "throttling_before": throttling, "waited_s": round(waited)}
    return found | {"was_cool": is_cool}


def _profile(phone: Phone, artifact: Artifact, start: str, runs: int) -> list[dict[str, Any]]:
    """Where the time goes, from runs of their own."""
    options = f"--bench --warmup 1 --runs {runs} --etdump run.etdp"
    phone.run(f"{start} {artifact.path.name} {options}", RUN_PATIENCE)
    with TemporaryDirectory() as temporary:
        dump = Path(temporary, "run.etdp")
        phone.pull(dump.name, dump)
        return [asdict(kind) for kind in profile.kinds(dump.read_bytes())]


def _saved(path: Path) -> dict[str, Any]:
    """A file that --json wrote on another device. UserError if it is none."""
    try:
        content = read_json(path)
        rows = content["networks"]
        _ = _head(content), [_cell(rows, file) for file in dict.fromkeys(row["file"] for row in rows)]
    except UserError:
        raise
    except (LookupError, OverflowError, TypeError, ValueError) as error:
        raise UserError(f"{path} was not written by --device adb --json ({error!r}).") from error
    return content


def print_table(results: list[dict[str, Any]]) -> None:
    """Files in rows, devices in columns: median and 90th percentile in ms per tile; ! if it was hot."""
    files = dict.fromkeys(row["file"] for result in results for row in result["networks"])
    print("ms per tile, median (90th percentile); ! throttled or warm; experimental")
    heads = [_head(result) for result in results]
    print("".join([f"{'file':<{NAME}}", *(f"{head:>{CELL}}" for head in heads)]))
    for file in files:
        cells = [_cell(result["networks"], file) for result in results]
        print("".join([f"{file:<{NAME}}", *(f"{cell:>{CELL}}" for cell in cells)]))


def _head(result: dict[str, Any]) -> str:
    """Which phone, and that it was the app if it was."""
    name = f"{result['device']['model']} {result['device']['soc']}"
    return f"{name} app" if result["mode"] == "app" else name


def _cell(rows: list[dict[str, Any]], file: str) -> str:
    row = next((row for row in rows if row["file"] == file), None)
    if row is None:
        return "-"
    hot = not row["heat"]["was_cool"] or row["heat"]["throttling_after"]
    return f"{row['times']['median_ms']:.1f} ({row['times']['p90_ms']:.1f}){' !' if hot else ''}"
