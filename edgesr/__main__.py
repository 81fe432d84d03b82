"""The command line of the library: `python -m edgesr upscale …`, `compare …` and `models`."""

import argparse
import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from PIL import Image

from edgesr import cli
from edgesr.catalogue import Entry, catalogue, exported
from edgesr.compare import Options, compare_images
from edgesr.data import FORMATS
from edgesr.data.video import VIDEOS
from edgesr.data.video_writing import VIDEO_FORMATS
from edgesr.engines import SUFFIXES
from edgesr.errors import UserError
from edgesr.jobs import Done, Job, Policy, find_jobs, run_job
from edgesr.models import DEFAULT_SCALE, MODELS, SCALES, chosen_scale
from edgesr.runner import OnTile, Runner
from edgesr.upscale import Request, open_runner

EXAMPLES = """examples:
  python -m edgesr upscale photo.jpg --model msfin-s --out photo_large.png
  python -m edgesr upscale photos/ 'more/*.png' --model bicubic --scale 2 --out large/ --resume
  python -m edgesr upscale photo.jpg --checkpoint runs/mine/checkpoint --out photo_large.png
  python -m edgesr upscale photo.jpg --model msfin-s --engine executorch --out photo_large.png
  python -m edgesr upscale clip.mp4 --model msfin-s --out clip_large.mp4
"""
UPSCALE = f"""Enlarge images: any format that Pillow opens; animated GIF, APNG and WebP frame by frame.
And short videos: {", ".join(sorted(VIDEOS))}.

Written are {", ".join(FORMATS)}. Transparency, greyness and the colour profile
are kept, the EXIF orientation is applied, 16 bits per channel stay 16 in PNG and TIFF. PNG and TIFF are
written row by row, so what comes out may be larger than memory; other formats are written in one piece
and their limit is said before any work.

Videos are written as {", ".join(VIDEO_FORMATS)}: H.264, but VP9 in .webm, in 8 bits, with the frames'
times, turned upright, the first sound track copied and other tracks left out. Transparency is kept in
.webm and .mkv and refused in others; HDR is refused. H.264 wants even sides: it gets the last row or
column twice. A video is made in one go, never resumed half-way. Needs pip install 'edgesr[video]'."""
LONG = 60
"""Seconds from which on a clip's time is estimated in words."""
COMPARE = """From an HR image: its LR by MATLAB's bicubic, then bicubic enlargement, the network in float
and in int8, and HR, side by side with zoomed parts and PSNR and SSIM (on Y, as recipes.evaluate) under
each, and by how many 8-bit levels each is off. Int8 is the --artifact, or what the bundled or named
quantization-aware checkpoint computes, which needs torchao. Without an image, one that the project draws
is taken."""


def main(argv: list[str] | None = None) -> None:
    """Parse and run one command. UserError for what the caller can mend."""
    arguments = _parser().parse_args(argv)
    arguments.command(arguments)


def entry() -> None:
    """Run `main` and leave the process with its exit status."""
    cli.run(main)


def upscale(arguments: argparse.Namespace) -> None:
    """Upscale every image or video; a bad one among several is reported and passed over."""
    Image.MAX_IMAGE_PIXELS = None  # users chose their files; `run_job` has a limit
    policy = Policy(arguments.force, arguments.resume)
    runner = open_runner(_request(arguments))
    jobs = find_jobs(arguments.images, arguments.out, scale=runner.scale, policy=policy)
    if len(jobs) == 1:
        _upscale_one(jobs[0], runner, policy)
        return
    failed = sum(
        not _survived(job, runner, policy, f"{n}/{len(jobs)} ") for n, job in enumerate(jobs, 1)
    )
    if failed:
        raise UserError(f"{failed} of {len(jobs)} images failed; the rest is in {arguments.out}.")


def compare(arguments: argparse.Namespace) -> None:
    """Draw one comparison for each image."""
    options = Options(
        arguments.model, arguments.scale, arguments.checkpoint, arguments.artifact, arguments.quantized
    )
    for line in compare_images(arguments.images, arguments.out, options, force=arguments.force):
        print(line, flush=True)


def models(arguments: argparse.Namespace) -> None:
    """Print the table of networks, what is bundled and what is exported."""
    scale = chosen_scale(arguments.scale)
    entries = catalogue(scale)
    if arguments.json:
        print(json.dumps([entry.to_json() for entry in entries], indent=2))
        return
    head = ("model", "scales", "parameters", "G MACs", "float dB", "int8 dB", "weights", "summary")
    _print_table([head, *(_row(entry) for entry in entries)])
    print(f"\nMultiply-adds are for an SR image of 1280x720; parameters and they at x{scale}.")
    print("dB: on Y, of the images held out of training, by the cards of the bundled weights:")
    for entry in entries:
        for one in entry.bundled:
            name, kind = f"{entry.model} x{entry.scale}", one.scheme or "float"
            psnr = "-" if one.psnr is None else f"{one.psnr:.2f} dB on {one.images} images"
            print(f"  {name:16}{kind:8}{one.bytes / 1e3:8,.0f} kB  {psnr:24}{one.file}")
    for path in exported():
        print(f"  exported file   {path.stat().st_size / 1e3:16,.0f} kB  {path}")


def _survived(job: Job, runner: Runner, policy: Policy, count: str) -> bool:
    try:
        _upscale_one(job, runner, policy, count)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return False
    return True


def _upscale_one(job: Job, runner: Runner, policy: Policy, count: str = "") -> None:
    """Read, upscale, write, and say so in one line; a bar where there is more than one tile."""
    began = time.monotonic()
    with ExitStack() as stack:

        def on_start(tiles: int, frames: int) -> OnTile | None:
            if tiles == 1:
                return None
            bar = stack.enter_context(cli.Progress(tiles, count + job.source.name, "tile"))
            started, of_one = time.monotonic(), tiles // frames

            def on_tile(done: int, _: int) -> None:
                seconds = time.monotonic() - started
                facts = {"frame": f"{-(-done // of_one)}/{frames}"} if frames > 1 else {}
                bar.advance(1, **facts, speed=f"{1000 * seconds / done:.0f} ms/tile")
                if done == of_one and frames * seconds > LONG:
                    print(_estimate(job, frames, seconds), file=sys.stderr, flush=True)

            return on_tile

        done = run_job(job, runner, policy, on_start)
    if done is None:
        print(f"{job.source}  is there already  {job.out}", flush=True)
        return
    print(_line(job, done, runner.scale, time.monotonic() - began), flush=True)
    if done.tracks_left_out:
        print(f"{job.source}: left out {', '.join(done.tracks_left_out)} tracks", file=sys.stderr)
    if done.left_out:
        print(
            f"{job.source} has {done.left_out} more frames or pages: the first was taken",
            file=sys.stderr,
        )


def _line(job: Job, done: Done, scale: int, seconds: float) -> str:
    height, width = done.before
    sizes = f"{width}x{height} -> {scale * width}x{scale * height}"
    frames = f"{done.frames} frames  " if done.frames > 1 else ""
    pieces = f"{done.tiles} tile{'s' * (done.tiles > 1)}"
    return f"{job.source}  {sizes}  {frames}{pieces}  {seconds:.2f} s  {job.out}"


def _estimate(job: Job, frames: int, seconds: float) -> str:
    """What a user may want to know before waiting, from the first frame."""
    minutes = round(frames * seconds / 60)
    about = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{max(minutes, 1)} min"
    return (
        f"{job.source}: {frames} frames, {seconds:.1f} s for the first, so about {about} for all. "
        "Ctrl-C stops and leaves no file."
    )


def _row(entry: Entry) -> tuple[str, ...]:
    best = max((one.psnr for one in entry.quantized if one.psnr is not None), default=None)
    plain = entry.of(None)
    return (
        entry.model,
        " ".join(f"x{scale}" for scale in SCALES),
        f"{entry.params:,}",
        f"{entry.macs / 1e9:.3f}",
        "-" if plain is None or plain.psnr is None else f"{plain.psnr:.2f}",
        "-" if best is None else f"{best:.2f}",
        " ".join(f"x{scale}" for scale in entry.scales_bundled)
        or ("-" if entry.learns else "needs none"),
        entry.summary,
    )


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if 2 <= index <= 5 else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def _request(arguments: argparse.Namespace) -> Request:
    return Request(
        arguments.model,
        arguments.scale,
        arguments.engine,
        arguments.checkpoint,
        arguments.artifact,
        arguments.ensemble,
        arguments.threads,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m edgesr",
        description="Image super-resolution with small networks.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_upscale(commands)
    _add_compare(commands)
    table = commands.add_parser("models", help="list the networks, their cost and their bundled weights")
    table.add_argument("--scale", type=int, choices=SCALES, help=f"default {DEFAULT_SCALE}")
    table.add_argument("--json", action="store_true", help="print it as JSON")
    table.set_defaults(command=models)
    return parser


def _add_upscale(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "upscale",
        help="enlarge images",
        description=UPSCALE,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("images", nargs="+", metavar="FILE|FOLDER|PATTERN", help="what to enlarge")
    add(
        "--out",
        type=Path,
        required=True,
        metavar="PATH",
        help="file for one image, else folder",
    )
    add("--model", metavar="NAME", help=f"one of {', '.join(MODELS)}")
    add("--scale", type=int, choices=SCALES, help="default 4, or what the file given is for")
    add("--checkpoint", type=Path, metavar="CKPT", help="weights other than the bundled ones")
    add("--engine", choices=["torch", *SUFFIXES], help="default torch, or what runs the --artifact")
    add("--artifact", type=Path, metavar="FILE", help="exported file; knows model and scale")
    add("--threads", type=_positive, metavar="N", help="default: what PyTorch or the engine chooses")
    add("--ensemble", action="store_true", help="mean of eight flips and turns, eight times the work")
    add("--resume", action="store_true", help="keep files that are there and whole, make the rest")
    add("--force", action="store_true", help="replace files that exist; with --resume only broken ones")
    parser.set_defaults(command=upscale)


def _add_compare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "compare",
        help="show bicubic, float, int8 and HR side by side",
        description=COMPARE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("images", nargs="*", type=Path, metavar="IMAGE", help="HR images")
    add("--model", metavar="NAME", help="float, by its bundled weights or the --checkpoint")
    add("--scale", type=int, choices=SCALES, help="default 4, or what the files given are for")
    add("--checkpoint", type=Path, metavar="CKPT", help="float weights other than the bundled ones")
    add("--artifact", type=Path, metavar="FILE", help="exported file that stands for int8")
    add(
        "--quantized",
        type=Path,
        metavar="CKPT",
        help="quantization-aware checkpoint that stands for int8",
    )
    add("--out", type=Path, metavar="PNG", help="default compare_NAME.png; a folder for several images")
    add("--force", action="store_true", help="replace files that exist")
    parser.set_defaults(command=compare)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


_positive.__name__ = "whole number from 1"  # what argparse calls it in its message


if __name__ == "__main__":
    entry()
