"""The command line of the library: `python -m edgesr upscale …` and `python -m edgesr models`."""

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from edgesr import cli, weights
from edgesr.data import FORMATS, Picture, read_picture, write_picture
from edgesr.engines import SUFFIXES
from edgesr.errors import UserError
from edgesr.models import MODELS, SCALES
from edgesr.upscale import Request, Runner, destinations, open_runner, upscale_picture

EXAMPLES = """examples:
  python -m edgesr upscale photo.jpg --model msfin-s --out photo_large.png
  python -m edgesr upscale photos/ more/cat.png --model bicubic --scale 2 --out large/
  python -m edgesr upscale photo.jpg --checkpoint runs/mine/checkpoint --out photo_large.png
  python -m edgesr upscale photo.jpg --model msfin-s --engine executorch --out photo_large.png
"""


def main(argv: list[str] | None = None) -> None:
    """Parse and run one command. UserError for what the caller can mend."""
    arguments = _parser().parse_args(argv)
    arguments.command(arguments)


def entry() -> None:
    """Run `main` and leave the process with its exit status."""
    cli.run(main)


def upscale(arguments: argparse.Namespace) -> None:
    """Upscale every image; a bad one among several is reported and passed over."""
    request = Request(
        arguments.model,
        arguments.scale,
        arguments.engine,
        arguments.checkpoint,
        arguments.artifact,
        arguments.ensemble,
    )
    runner = open_runner(request)
    pairs = destinations(arguments.images, arguments.out, scale=runner.scale, force=arguments.force)
    if len(pairs) == 1:
        _upscale_file(*next(iter(pairs.items())), runner)
        return
    failed = sum(not _survived(image, path, runner) for image, path in pairs.items())
    if failed:
        raise UserError(f"{failed} of {len(pairs)} images failed; the rest is in {arguments.out}.")


def models(_: argparse.Namespace) -> None:
    """Print the table of networks."""
    rows = [("model", "scales", "weights", "summary")]
    rows += [(name, _list(SCALES), _bundled(name), row.summary) for name, row in MODELS.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _survived(image: Path, path: Path, runner: Runner) -> bool:
    try:
        _upscale_file(image, path, runner)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return False
    return True


def _upscale_file(image: Path, path: Path, runner: Runner) -> None:
    """Read, upscale, write, and say so in one line."""
    began = time.monotonic()
    picture = read_picture(image)
    height, width = picture.rgb.shape[1:]
    tiles = runner.tiles(height, width)
    if tiles == 1:
        large = upscale_picture(picture, runner)
    else:
        with cli.Progress(tiles, image.name, "tile") as progress:
            large = upscale_picture(picture, runner, lambda *_: progress.advance())
    write_picture(large, path)
    seconds = time.monotonic() - began
    sizes = f"{_size(picture)} -> {_size(large)}"
    pieces = f"{tiles} tile{'s' * (tiles > 1)}"
    print(f"{image}  {sizes}  {pieces}  {seconds:.2f} s  {path}", flush=True)


def _size(picture: Picture) -> str:
    return f"{picture.rgb.shape[2]}x{picture.rgb.shape[1]}"


def _bundled(model: str) -> str:
    if not MODELS[model].learns:
        return "needs none"
    return _list(scale for scale in SCALES if weights.find(model, scale, None)) or "-"


def _list(scales: Iterable[int]) -> str:
    return " ".join(f"x{scale}" for scale in scales)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m edgesr",
        description="Image super-resolution with small networks.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_upscale(commands)
    table = commands.add_parser("models", help="list the networks and their bundled weights")
    table.set_defaults(command=models)
    return parser


def _add_upscale(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "upscale",
        help="enlarge images",
        description=f"Enlarge images. Written at 8 bits per channel: {', '.join(FORMATS)}.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("images", nargs="+", type=Path, metavar="IMAGE|FOLDER", help="what to enlarge")
    add("--out", type=Path, required=True, metavar="PATH", help="file for one image, else folder")
    add("--model", metavar="NAME", help="see `python -m edgesr models`")
    add("--scale", type=int, choices=SCALES, help="default 4, or what the file given is for")
    add("--checkpoint", type=Path, metavar="CKPT", help="weights other than the bundled ones")
    add("--engine", choices=["torch", *SUFFIXES], help="default torch, or what runs the --artifact")
    add("--artifact", type=Path, metavar="FILE", help="exported file; knows model and scale")
    add("--ensemble", action="store_true", help="mean of eight flips and turns, eight times the work")
    add("--force", action="store_true", help="replace files that exist")
    parser.set_defaults(command=upscale)


if __name__ == "__main__":
    entry()
