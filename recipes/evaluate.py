"""Score any upscaler on benchmarks.

python -m recipes.evaluate --model bicubic --scale 4 --benchmark Set5
"""

import argparse
import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from edgesr import Upscaler, checkpoint, cli, weights
from edgesr.checkpoint import Checkpoint
from edgesr.data.benchmarks import load_benchmark
from edgesr.engines import SUFFIXES, open_artifact
from edgesr.ensemble import self_ensemble
from edgesr.errors import UserError
from edgesr.files import write_text
from edgesr.metrics import Scores, evaluate
from edgesr.models import MODELS, chosen_scale, create_model, find_model
from edgesr.provenance import commit, versions
from edgesr.quantization import pt2e
from edgesr.tiling import plan, upscale_tiled


@dataclass(frozen=True)
class Subject:
    """What is scored."""

    upscale: Upscaler
    """For LR images of any size."""
    scale: int
    name: str
    facts: dict[str, Any]
    """Where it came from, for the JSON."""


def main() -> None:
    """Score, print a table, write JSON if asked."""
    args = parse()
    subject = open_subject(args)
    sets: dict[str, Scores] = {}
    for folder in args.benchmark:
        if folder.name in sets:
            raise UserError(
                f"Two benchmarks are called {folder.name!r}: results go by name, rename one."
            )
        sets[folder.name] = score_folder(subject, folder, images=not args.means)
    report(subject, sets)
    if args.json:
        write_text(args.json, json.dumps(to_json(subject, sets), indent=2) + "\n")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.evaluate",
        description="PSNR in dB and SSIM on Y (BT.601, studio swing) of 8-bit SR, `scale` pixels shaved "
        "off each border; one-channel images on their raw grey. LR comes from DIR/LR_bicubic/X<scale>, "
        "or is made as MATLAB's imresize makes it.",
    )
    subject = parser.add_mutually_exclusive_group(required=True)
    subject.add_argument("--checkpoint", type=Path, help="float: on whole images; QAT: through tiles")
    subject.add_argument(
        "--artifact", type=Path, help=f"an exported file ({', '.join(SUFFIXES.values())})"
    )
    subject.add_argument("--model", help=f"with its bundled weights: {', '.join(MODELS)}")
    parser.add_argument("--scale", type=int, help="2, 3 or 4 (default: the file's, else 4)")
    parser.add_argument("--benchmark", type=Path, nargs="+", required=True, metavar="DIR")
    parser.add_argument("--tile", type=int, default=64, help="LR side of QAT graphs' tiles (default 64)")
    parser.add_argument("--overlap", type=int, default=8, help="LR pixels they share (default 8)")
    parser.add_argument(
        "--ensemble", action="store_true", help="mean of eight flips and turns, eight times the work"
    )
    parser.add_argument("--means", action="store_true", help="print the means only, no row per image")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores there too")
    return parser.parse_args()


def open_subject(args: argparse.Namespace) -> Subject:
    """The upscaler that the options name. UserError if there is none or the scale contradicts it."""
    subject = _artifact(args.artifact) if args.artifact else _checkpoint(args)
    if args.scale not in (None, subject.scale):
        raise UserError(
            f"{subject.name} is for scale {subject.scale}, not {args.scale}. Leave --scale away."
        )
    return _ensemble(subject) if args.ensemble else subject


def _ensemble(subject: Subject) -> Subject:
    """The same with the "+" of the papers."""
    facts = {**subject.facts, "ensemble": True}
    return replace(subject, upscale=self_ensemble(subject.upscale), name=f"{subject.name}+", facts=facts)


def _artifact(path: Path) -> Subject:
    artifact = open_artifact(path)
    return Subject(artifact.tiled(), artifact.scale, path.name, {"artifact": str(path)})


def _checkpoint(args: argparse.Namespace) -> Subject:
    """A float network on whole images, or a fake-quantized graph through tiles."""
    scale = chosen_scale(args.scale)
    if args.model and not find_model(args.model).learns:
        return Subject(create_model(args.model, scale=scale), scale, args.model, {"model": args.model})
    path = args.checkpoint or weights.find(args.model, scale, None)
    if path is None:
        raise UserError(f"No weights of {args.model} x{scale} come with edgesr: give --checkpoint.")
    loaded = checkpoint.load(path)
    name = f"{loaded.model} x{loaded.scale} {loaded.scheme or 'float'}"
    facts = {"checkpoint": str(path), "checkpoint_sha256": loaded.sha256}
    if loaded.scheme:
        facts |= {"tile": [args.tile, args.tile], "overlap": args.overlap}
    return Subject(_network(loaded, args.tile, args.overlap), loaded.scale, name, facts)


def _network(loaded: Checkpoint, tile: int, overlap: int) -> Upscaler:
    if loaded.scheme is None:
        return loaded.build_float()
    multiple = MODELS[loaded.model].lr_multiple(loaded.scale)
    plan(tile, tile, overlap, multiple)  # refuses before the graph is built
    graph = pt2e.fake_quantized(loaded, (1, 3, tile, tile))
    return partial(
        upscale_tiled,
        graph,
        scale=loaded.scale,
        tile=(tile, tile),
        overlap=overlap,
        multiple=multiple,
    )


def score_folder(subject: Subject, folder: Path, *, images: bool) -> Scores:
    """Score one benchmark, with a bar, and a row per image."""
    pairs = list(load_benchmark(folder, subject.scale))
    with cli.Progress(len(pairs), folder.name, "image") as bar:
        scores = evaluate(
            subject.upscale, pairs, subject.scale, on_image=lambda name, _: bar.advance(image=name)
        )
    if images:
        for name, score in scores.images.items():
            print(f"{folder.name:12}{name:24}{score.psnr:8.3f}{score.ssim:9.4f}")
    return scores


def report(subject: Subject, sets: dict[str, Scores]) -> None:
    """A row per benchmark."""
    print(f"\n{subject.name}: PSNR in dB and SSIM on Y, shave {subject.scale}")
    for name, scores in sets.items():
        print(f"{name:12}{f'mean of {len(scores.images)}':24}{scores.psnr:8.3f}{scores.ssim:9.4f}")


def to_json(subject: Subject, sets: dict[str, Scores]) -> dict[str, Any]:
    """The scores with their protocol and origin."""
    return {
        "scale": subject.scale,
        "protocol": {"channel": "y", "shave": subject.scale},
        "sets": {name: scores.to_json() for name, scores in sets.items()},
        "origin": {
            "subject": subject.name,
            **subject.facts,
            "commit": commit(),
            "versions": versions(),
        },
    }


if __name__ == "__main__":
    cli.run(main)
