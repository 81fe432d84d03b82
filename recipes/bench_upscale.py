"""What upscaling a large file costs: peak memory, time and throughput of `python -m edgesr upscale`.

python -m recipes.bench_upscale --model bicubic --size 10000x10000
python -m recipes.bench_upscale --artifact artifacts/msfin-s_x4_w8a8_64x64.pte --size 1000x1000
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from edgesr import cli
from edgesr.data import drawn_images
from edgesr.data.images import Levels
from edgesr.data.writing import Head, write_bands
from edgesr.errors import UserError
from edgesr.files import write_text
from edgesr.provenance import commit, versions

PIECE = 256  # pixels a side of the drawn images that the large one is made of


@dataclass(frozen=True)
class Cost:
    """One run, from the start of the process to its end."""

    what: str
    lr: tuple[int, int]
    """Height and width."""
    sr_pixels: int
    threads: int
    seconds: float
    cpu_seconds: float
    """What the process had of the processor: the time it takes where nothing else runs."""
    peak_bytes: int
    """Of the memory that the process held."""
    file_bytes: int


def main() -> None:
    """Draw a large image, enlarge it with each contender, print a row for each."""
    args = parse()
    costs: list[Cost] = []
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        source = Path(folder, "large.png")
        draw_large(source, args.size)
        for what, options in contenders(args):
            costs.append(measure(what, source, Path(folder, f"sr{args.suffix}"), options, args))
    head = ("LR", "SR Mpx", "seconds", "CPU s", "Mpx/s", "/CPU s", "peak MB", "file MB")
    print(" " * 36 + "".join(f"{title:>12}" for title in head))
    for cost in costs:
        pixels, times = cost.sr_pixels / 1e6, (cost.seconds, cost.cpu_seconds)
        rates = [pixels / spent for spent in times]
        numbers = (pixels, *times, *rates, cost.peak_bytes / 1e6, cost.file_bytes / 1e6)
        size = f"{cost.lr[1]}x{cost.lr[0]}"
        print(f"{cost.what:36}{size:>12}" + "".join(f"{number:12.2f}" for number in numbers))
    print(f"host figures, {args.threads} thread{'s' * (args.threads > 1)}, {args.suffix} written")
    if args.json:
        origin = {"commit": commit(), "versions": versions()}
        content = {"runs": [asdict(cost) for cost in costs], "origin": origin}
        write_text(args.json, json.dumps(content, indent=2) + "\n")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.bench_upscale",
        description="Draws a large image, runs `python -m edgesr upscale` on it in a process of its own "
        "for each contender, and prints the process's time and its peak of memory.",
    )
    parser.add_argument("--model", nargs="*", default=[], help="networks in PyTorch, or bicubic")
    parser.add_argument("--artifact", nargs="*", default=[], metavar="FILE", help="exported files")
    parser.add_argument("--scale", type=int, default=4, help="of --model (default 4)")
    parser.add_argument("--size", type=size, default=(10000, 10000), help="LR, default 10000x10000")
    parser.add_argument("--suffix", default=".png", help="of what is written, default .png")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="for the two large files; default: the system's")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    return parser.parse_args()


def size(text: str) -> tuple[int, int]:
    """`HEIGHTxWIDTH` in pixels."""
    height, width = map(int, text.split("x"))
    if min(height, width) < 1:
        raise ValueError
    return height, width


def contenders(args: argparse.Namespace) -> list[tuple[str, list[str]]]:
    """Name and options of each. UserError if there is none."""
    scale = ["--scale", str(args.scale)]
    models = [(f"{name} x{args.scale}, torch", ["--model", name, *scale]) for name in args.model]
    files = [(Path(name).name, ["--artifact", name]) for name in args.artifact]
    if not models + files:
        raise UserError("Give --model NAME or --artifact FILE, or several.")
    return models + files


def draw_large(path: Path, size: tuple[int, int]) -> None:
    """A mosaic of drawn images, written row by row."""
    write_bands(path, Head(*size, channels=3, bits=8), mosaic(size))


def mosaic(size: tuple[int, int]) -> Iterator[Levels]:
    """Its bands: every one begins with another piece."""
    height, width = size
    pieces = drawn_images(8, PIECE)
    for index, top in enumerate(range(0, height, PIECE)):
        row = itertools.islice(itertools.cycle(pieces), index, index + -(-width // PIECE))
        yield np.concatenate(list(row), axis=1)[: height - top, :width]


def measure(what: str, source: Path, out: Path, options: list[str], args: argparse.Namespace) -> Cost:
    """Run one process to its end. UserError if it fails; what it said has been seen."""
    line = [
        sys.executable,
        "-m",
        "edgesr",
        "upscale",
        str(source),
        "--out",
        str(out),
        "--force",
        *options,
    ]
    environment = os.environ | {"OMP_NUM_THREADS": str(args.threads)}
    print(what, file=sys.stderr, flush=True)
    began = time.monotonic()
    process = subprocess.Popen([*line, "--threads", str(args.threads)], env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    if process.returncode != 0:
        raise UserError(f"{what} failed with status {process.returncode}: see above.")
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss
    pixels = sr_pixels(out)
    peak = usage.ru_maxrss * unit
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(what, args.size, pixels, args.threads, seconds, cpu, peak, out.stat().st_size)


def sr_pixels(path: Path) -> int:
    """How many pixels an image has, however many these are."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    with Image.open(path) as image:
        return image.width * image.height


if __name__ == "__main__":
    cli.run(main)
