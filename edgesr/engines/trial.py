"""Is a file fit to be opened here? A native runtime that a damaged file leads astray ends the process.

ExecuTorch and LiteRT verify a file's tables, and their delegates read more than that. So either the
report beside a file says, by its SHA-256, that it is the one that was exported and run; or a process of
its own opens it first and runs one tile, where it may crash, hang or run out of memory.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from edgesr.errors import UserError
from edgesr.files import read_json, sha256

PATIENCE = 300.0
"""Seconds that opening a file and running one tile may take."""


def same_as_reported(path: Path) -> bool:
    """Whether a report vouches for a file; False where there is none. UserError if it is of another."""
    report = path.with_name(f"{path.name}.report.json")
    if not report.is_file():
        return False
    content = read_json(report)
    artifact = content.get("artifact") if isinstance(content, dict) else None
    expected = artifact.get("sha256") if isinstance(artifact, dict) else None
    if not isinstance(expected, str):
        raise UserError(f"{report} is no report of ours. Export the file anew, or delete its report.")
    found = sha256(path)
    if found != expected:
        raise UserError(
            f"{path} is not the file of its report: its SHA-256 is {found[:16]}…, the report says "
            f"{expected[:16]}…. It was damaged or replaced; export it anew."
        )
    return True


def try_out(path: Path) -> None:
    """Open a file in a process of its own and run one tile. UserError if that fails in any way."""
    places = os.pathsep.join(str(Path(place).absolute()) for place in sys.path)
    environment = os.environ | {"PYTHONPATH": places, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "edgesr.engines", str(path.absolute())]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise _damaged(path, f"did not finish a tile within {PATIENCE:.0f} s") from None
    if done.returncode == 0:
        return
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode == 1 and (own := re.search("^error: (.*)", said, re.MULTILINE | re.DOTALL)):
        raise UserError(own[1])
    last = said.splitlines()[-1] if said else "nothing"
    raise _damaged(path, f"ended with status {done.returncode} and said: {last}")


def _damaged(path: Path, how: str) -> UserError:
    return UserError(
        f"{path} is damaged or not a file of ours: a process that tried it out {how}. Export it anew."
    )
