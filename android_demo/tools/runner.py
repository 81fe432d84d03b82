"""An exported file as a process: tiles on standard input, enlarged tiles on standard output.

python -m android_demo.tools.runner FILE.pte

Each tile is 3 planes (red, green, blue) of float32 in [0,1], little-endian, of the one size that the
file takes, without any header; the answer likewise, `scale` times as large. It ends when its input ends;
half a tile is an error. The native runner for a phone's kernels speaks the same.
"""

import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from edgesr import cli
from edgesr.engines import Artifact, executorch, open_artifact
from edgesr.errors import UserError


def serve(artifact: Artifact, questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the questions end. UserError for half a tile."""
    shape = (1, 3, *artifact.tile)
    size = 4 * 3 * artifact.tile[0] * artifact.tile[1]
    while content := questions.read(size):
        if len(content) < size:
            raise UserError(f"The input ended after {len(content)} of a tile's {size} bytes.")
        lr = torch.from_numpy(np.frombuffer(content, "<f4").reshape(shape).copy())
        answers.write(artifact.upscale(lr).contiguous().numpy().astype("<f4").tobytes())
        answers.flush()


def main() -> None:
    """Serve the file that is named, on one thread."""
    if len(sys.argv) != 2:
        raise UserError("usage: python -m android_demo.tools.runner FILE.pte")
    executorch.use_threads(1)
    serve(open_artifact(Path(sys.argv[1])), sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    cli.run(main)
