"""Is an artifact still the file that its report speaks of, and does it still run?"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from edgesr.data.drawn import drawn_pairs
from edgesr.data.images import to_tensor
from edgesr.engines import Artifact
from edgesr.errors import UserError
from edgesr.files import read_json
from export.target import find_target


def report_of(path: Path) -> dict[str, Any]:
    """The report beside an artifact. UserError if either is missing or it cannot be read."""
    if not path.exists():
        raise UserError(f"{path} does not exist. Check the path.")
    report = path.with_name(f"{path.name}.report.json")
    if not report.is_file():
        raise UserError(f"{path} has no {report.name} beside it: nothing says what it must be.")
    content = read_json(report)
    try:
        kinds = {
            "sha256": (content["artifact"]["sha256"], str),
            "facts": (content["facts"], dict),
            "census": (content["census"], dict),
            "passed": (content["verdict"]["passed"], bool),
        }
    except (KeyError, TypeError, IndexError) as error:
        raise _no_report(report, f"{error!r}") from error
    for name, (value, kind) in kinds.items():
        if not isinstance(value, kind):
            raise _no_report(report, f"its {name} is {value!r:.60}")
    return content


def _no_report(report: Path, why: str) -> UserError:
    return UserError(f"{report} is no report of ours ({why}). Export the file anew.")


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
