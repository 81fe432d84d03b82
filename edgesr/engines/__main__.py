"""What `edgesr.engines.trial` starts: open an exported file and run one tile."""

import os
import sys
from pathlib import Path

import torch

from edgesr import cli
from edgesr.engines import open_artifact


def main() -> None:
    """UserError for a file that is refused; whatever else its runtime does to this process."""
    limit_memory()
    artifact = open_artifact(Path(sys.argv[1]), trusted=True)
    artifact.upscale(torch.full((1, 3, *artifact.tile), 0.5))


def limit_memory() -> None:
    """To what the machine has: a file may ask for any amount. Windows knows no such limit."""
    try:
        import resource
    except ImportError:
        return
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = there if hard == resource.RLIM_INFINITY else min(there, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    cli.run(main)
