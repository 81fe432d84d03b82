"""What tiles cost: SR in tiles against SR of the whole image at once.

python -m recipes.seams --model lffn-s --tile 64 256 --overlap 8 32 --benchmark Set14
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import mean, median

import torch
from torch import Tensor

from edgesr import Upscaler, checkpoint, cli, weights
from edgesr.checkpoint import Checkpoint
from edgesr.data.benchmarks import Pair, load_benchmark
from edgesr.data.images import to_tensor, to_uint8
from edgesr.errors import UserError
from edgesr.files import write_text
from edgesr.metrics.evaluate import score
from edgesr.models import DEFAULT_SCALE, MODELS, chosen_scale, find_trainable
from edgesr.provenance import commit, versions
from edgesr.quantization import DEFAULT_SCHEME, SCHEMES, pt2e
from edgesr.tiling import Grid, padded_length, upscale_tiled

DESCRIPTION = """\
Runs a checkpoint on each image twice, in tiles and in one piece, and prints how far SR is apart.

  tiles   how many there are; images that are one tile are left out
  within  share of pixels that differ by one 8-bit level at most, in all channels
  most    largest difference in levels
  step    what an eye would see as a seam: how much more the two sides of a border between tiles differ
          than in one piece, in levels, mean along a border and over channels; the largest of all borders
  whole, in tiles   PSNR to HR in dB on Y

Checkpoints of a scheme run as the fake-quantized graph. The piece is at least as large as a tile: both
see the same mirror image beyond the edges.
"""
FLOAT = "float"


@dataclass(frozen=True)
class Row:
    """One image in tiles of one size."""

    image: str
    tile: int
    overlap: int
    tiles: int
    within: float
    """Share of pixels, in [0,1]."""
    most: int
    step: float
    whole_db: float
    tiled_db: float


def main() -> None:
    """Measure, print, write JSON if asked."""
    args = parse()
    if len(args.tile) != len(args.overlap):
        raise UserError(
            f"--tile has {len(args.tile)} numbers and --overlap {len(args.overlap)}: they go in pairs."
        )
    loaded = open_checkpoint(args)
    pairs = [pair for folder in args.benchmark for pair in load_benchmark(folder, loaded.scale)]
    torch.set_num_threads(args.threads or torch.get_num_threads())
    rows: list[Row] = []
    print(f"{loaded.model} x{loaded.scale} {loaded.scheme or FLOAT}, SR in tiles against one piece")
    for tile, overlap in zip(args.tile, args.overlap, strict=True):
        with cli.Progress(len(pairs), f"{tile}/{overlap}", "image") as bar:
            found = measure(loaded, pairs, tile, overlap, lambda name, bar=bar: bar.advance(image=name))
        print_rows(found)
        rows += found
    if args.json:
        facts = {"model": loaded.model, "scale": loaded.scale, "scheme": loaded.scheme}
        facts |= {"checkpoint_sha256": loaded.sha256, "commit": commit(), "versions": versions()}
        write_text(
            args.json, json.dumps(facts | {"rows": [asdict(row) for row in rows]}, indent=2) + "\n"
        )


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.seams",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subject = parser.add_mutually_exclusive_group(required=True)
    subject.add_argument("--checkpoint", type=Path, metavar="CKPT", help="QAT or float")
    subject.add_argument("--model", metavar="NAME", help="its bundled weights")
    add = parser.add_argument
    add("--scale", type=int, help=f"of --model: 2, 3 or 4 (default {DEFAULT_SCALE})")
    add(
        "--scheme",
        choices=[*SCHEMES, FLOAT],
        default=DEFAULT_SCHEME,
        help="of --model (default %(default)s)",
    )
    add("--benchmark", type=Path, nargs="+", required=True, metavar="DIR", help="images with HR")
    add("--tile", type=int, nargs="+", default=[64], metavar="N", help="LR sides (default 64)")
    add("--overlap", type=int, nargs="+", default=[8], metavar="N", help="of each (default 8)")
    add("--threads", type=int, help="CPU threads (default: PyTorch's choice)")
    add("--json", type=Path, metavar="FILE", help="write everything there, too")
    return parser.parse_args()


def open_checkpoint(args: argparse.Namespace) -> Checkpoint:
    """The checkpoint that the options name. UserError if there is none."""
    if args.checkpoint:
        return checkpoint.load(args.checkpoint)
    find_trainable(args.model)
    scale, scheme = chosen_scale(args.scale), None if args.scheme == FLOAT else args.scheme
    path = weights.find(args.model, scale, scheme)
    if path is None:
        raise UserError(
            f"No {args.scheme} weights of {args.model} x{scale} come with edgesr: give --checkpoint."
        )
    return checkpoint.load(path)


@torch.no_grad()
def measure(
    loaded: Checkpoint, pairs: list[Pair], tile: int, overlap: int, on_image: Callable[[str], None]
) -> list[Row]:
    """A row for each image that is more than one tile. UserError for a tile that cannot be used."""
    multiple = MODELS[loaded.model].lr_multiple(loaded.scale)
    in_tiles = partial(
        upscale_tiled,
        network(loaded, (tile, tile)),
        scale=loaded.scale,
        tile=(tile, tile),
        overlap=overlap,
        multiple=multiple,
    )
    rows = []
    for pair in pairs:
        lr = to_tensor(pair.lr)
        grid = Grid((lr.shape[2], lr.shape[3]), loaded.scale, (tile, tile), overlap, multiple)
        if grid.count > 1:
            whole = in_one_piece(loaded, lr, tile, multiple)
            rows.append(compared(pair, whole, in_tiles(lr), grid))
        on_image(pair.name)
    return rows


def network(loaded: Checkpoint, size: tuple[int, int]) -> Upscaler:
    """The checkpoint at one LR size (height, width), as it is deployed."""
    return pt2e.fake_quantized(loaded, (1, 3, *size)) if loaded.scheme else loaded.build_float()


def in_one_piece(loaded: Checkpoint, lr: Tensor, least: int, multiple: int) -> Tensor:
    """SR (1,3,sH,sW) of LR (1,3,H,W) by a network made for all of it, and no smaller than `least`."""
    height, width = (padded_length(side, least, multiple) for side in lr.shape[2:])
    size = (height, width)
    return upscale_tiled(
        network(loaded, size), lr, scale=loaded.scale, tile=size, overlap=0, multiple=multiple
    )


def compared(pair: Pair, whole: Tensor, tiled: Tensor, grid: Grid) -> Row:
    """How far the two SR (1,3,sH,sW) of an image are apart."""
    ours, theirs = to_uint8(tiled), to_uint8(whole)
    apart = torch.from_numpy(ours.astype(int) - theirs.astype(int))
    worst = apart.abs().amax(2)
    scores = [score(sr, pair.hr, grid.scale).psnr for sr in (theirs, ours)]
    within = (worst <= 1).double().mean().item()
    count, side = grid.count, grid.tile[0]
    return Row(
        pair.name,
        side,
        grid.overlap,
        count,
        within,
        int(worst.max()),
        largest_step(apart, grid),
        *scores,
    )


def largest_step(apart: Tensor, grid: Grid) -> float:
    """Over all borders between two tiles, the largest step of a difference (sH,sW,3), in its unit.

    A step is the mean along a border of what is after it minus what is before it.
    """
    flat = apart.double().mean(2)
    steps = [0.0]
    for plane, along, across in ((flat, grid.rows, grid.columns), (flat.T, grid.columns, grid.rows)):
        for span in along:
            part = plane[grid.in_sr(span)]
            cuts = [grid.scale * neighbour.keep_from for neighbour in across[1:]]
            steps += [(part[:, cut] - part[:, cut - 1]).mean().abs().item() for cut in cuts]
    return max(steps)


def print_rows(rows: list[Row]) -> None:
    """A line for each image, the worst and the median last."""
    if not rows:
        print("every image is one tile: there is no seam")
        return
    print(
        f"\n{'image':20}{'tile':>6}{'shared':>8}{'tiles':>7}{'within':>10}{'most':>6}{'step':>8}", end=""
    )
    print(f"{'whole':>10}{'in tiles':>10}")
    for row in rows:
        print(
            f"{row.image:20}{row.tile:6}{row.overlap:8}{row.tiles:7}{row.within:10.3%}{row.most:6}",
            end="",
        )
        print(f"{row.step:8.2f}{row.whole_db:10.3f}{row.tiled_db:10.3f}")
    within = [row.within for row in rows]
    step, lost = max(row.step for row in rows), mean(row.whole_db - row.tiled_db for row in rows)
    print(
        f"within one level: {median(within):.3%} (median), {min(within):.3%} (worst image); "
        f"largest step {step:.2f} levels; {lost:+.4f} dB lost by tiles (mean)"
    )


if __name__ == "__main__":
    cli.run(main)
