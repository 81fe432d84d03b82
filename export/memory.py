"""The memory that an artifact takes, measured in a process of its own: python -m export.memory FILE"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

import torch

from edgesr import cli
from edgesr.engines import open_artifact

STATUS = Path("/proc/self/status")


def peak_rss(path: Path) -> int | None:
    """Bytes by which a run of one tile raises resident memory above the idle runtime's.

    None where the system does not tell (it does on Linux).
    """
    command = [sys.executable, "-m", "export.memory", str(path)]
    folder = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return int(done.stdout) if done.stdout.strip().isdigit() else None


def main() -> None:
    """Open the file once for the runtime to load, then count what opening and running it adds."""
    parser = argparse.ArgumentParser(prog="python -m export.memory", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="an exported file")
    path = parser.parse_args().file
    open_artifact(path, trusted=True)
    idle = _resident("VmRSS")
    artifact = open_artifact(path, trusted=True)
    artifact.upscale(torch.rand(1, 3, *artifact.tile))
    peak = _resident("VmHWM")
    print("unknown" if idle is None or peak is None else peak - idle)


def _resident(field: str) -> int | None:
    """A memory figure of this process in bytes: VmRSS is now, VmHWM the peak.

    Not getrusage's: its peak begins with that of the process that started this one.
    """
    if not STATUS.exists():
        return None
    found = re.search(rf"{field}:\s+(\d+) kB", STATUS.read_text())
    return 1024 * int(found[1]) if found else None


if __name__ == "__main__":
    cli.run(main)
