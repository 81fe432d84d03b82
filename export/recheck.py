"""Is an artifact still the file that its report speaks of, and does it still run?"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from edgesr.data.drawn import drawn_pairs
from edgesr.data.images import to_tensor
from edgesr.engines import Artifact
from edgesr.errors import UserError
from edgesr.files import sha256
from export.target import find_target


def report_of(path: Path) -> dict[str, Any]:
    """The report beside an artifact. UserError if either is missing or it cannot be read."""
    if not path.exists():
        raise UserError(f"{path} does not exist. Check the path.")
    report = path.with_name(f"{path.name}.report.json")
    try:
        content = json.loads(report.read_text(encoding="utf-8"))
        _ = (
            content["artifact"]["sha256"],
            content["facts"],
            content["census"],
            content["verdict"]["passed"],
        )
    except FileNotFoundError:
        raise UserError(
            f"{path} has no {report.name} beside it: nothing says what it must be."
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{report} is no report of ours ({error!r}). Export the file anew.") from error
    return content


def same_file(path: Path, report: dict[str, Any]) -> None:
    """UserError unless the file is, to the byte, the one that the report was written about."""
    expected, found = report["artifact"]["sha256"], sha256(path)
    if found != expected:
        raise UserError(
            f"{path} is not the file of its report: its SHA-256 is {found[:16]}…, the report says "
            f"{expected[:16]}…. It was damaged or replaced; export it anew."
        )


def recheck(artifact: Artifact, report: dict[str, Any]) -> list[str]:
    """What is not as the report says, in words: verdict, facts, operators, or a run that fails."""
    facts, counted = report["facts"], asdict(find_target(artifact.path).census(artifact.path))
    inside = {
        name: getattr(artifact, name) for name in ("model", "scale", "scheme", "overlap", "multiple")
    }
    inside |= {"tile": list(artifact.tile), "checkpoint_sha256": artifact.checkpoint_sha256}
    failures = [] if report["verdict"]["passed"] else ["its report says that it failed its budget"]
    for name, value in inside.items():
        if facts.get(name) != value:
            failures.append(f"{name} is {value!r} in the file and {facts.get(name)!r} in the report")
    for name, value in report["census"].items():
        if counted.get(name) != value:
            failures.append(f"{name} is {counted.get(name)!r} in the file and {value!r} in the report")
    with torch.no_grad():
        sr = artifact.tiled()(to_tensor(next(drawn_pairs(artifact.scale, 1)).lr))
    if not torch.isfinite(sr).all():
        failures.append("its SR of a drawn image has values that are no numbers")
    return failures
