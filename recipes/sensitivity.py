"""Which quantizer of a network costs how much.

python -m recipes.sensitivity --model msfin-s
python -m recipes.sensitivity --checkpoint CKPT --data DIR --plot sensitivity.svg
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgesr import checkpoint, cli, weights
from edgesr.checkpoint import Checkpoint
from edgesr.data.benchmarks import Pair
from edgesr.data.patches import PairedImages
from edgesr.errors import UserError
from edgesr.files import write_text
from edgesr.models import DEFAULT_SCALE, MODELS, chosen_scale, find_trainable
from edgesr.provenance import commit, versions
from edgesr.quantization import DEFAULT_SCHEME, SCHEMES, find_scheme, pt2e
from edgesr.quantization.sensitivity import Probe, grouped, measure
from recipes.fit import Batches, use_device
from recipes.images import load_images, random_patches
from recipes.papers import fine_tuning
from recipes.plan import HOLDOUT
from recipes.qat import EQUALIZATION_BATCHES, calibrate
from recipes.sensitivity_report import check_plot, draw, print_groups, print_singles, to_json
from recipes.settings import SMALLEST_PATCH

DESCRIPTION = """\
Turns the quantizers of a network on one by one, all others off, and prints what each does to SR.

  noise   mean square change of SR against all quantizers off, in 8-bit levels squared
  share   of the sum of all noises; then of that and those above it
  lost    PSNR to HR in dB (Y, `scale` shaved, over all patches together) against all off
  step    what one integer is worth, a median over the channels of weights
  bits    log2 of the steps that the values span here: below 8 range is wasted, above some are clipped
  places  values that share the quantizer; it counts once, named after their concatenation
  gained  with --without: noise and PSNR gained by turning it alone off, all others on

Above them the same for groups: everything, weights, activations, outputs by the operator that writes
them, and uppermost modules (one with more than half of all quantizers is taken apart). Independent
noises add up: where "sum" (of the quantizers one by one) is not near the noise of the group turned on
at once, they are not independent, as when several clip the same bright spot.

A QAT checkpoint is taken as it is. A float one is equalized and calibrated first, as recipes.qat does
before it trains. Images are patches of those that recipes.qat holds out of --data; never benchmarks.
"""


def main() -> None:
    """Measure, print groups and quantizers, write JSON and a plot if asked."""
    args = parse()
    check(args)
    loaded = open_checkpoint(args)
    scheme = loaded.scheme or find_scheme(args.scheme or DEFAULT_SCHEME).name
    threads = torch.get_num_threads() if args.threads is None else args.threads
    probe = prepared(loaded, scheme, args, use_device(args.device, threads))
    title = f"{loaded.model} x{loaded.scale} {scheme}"
    with cli.Progress(len(grouped(probe.quantizers)) + len(probe.quantizers), title, "try") as bar:
        found = measure(probe, leave_out=args.without, on_row=lambda name: bar.advance(tried=name))
    print(
        f"\n{title}: {len(found.singles)} quantizers, {args.images} patches of "
        f"{args.patch}x{args.patch} LR pixels; all off: {probe.psnr:.3f} dB (Y, shave {probe.scale})"
    )
    print_groups(found)
    print_singles(found, probe, args.top)
    if args.json:
        content = to_json(found, probe, facts(loaded, title, args))
        write_text(args.json, json.dumps(content, indent=2) + "\n")
    if args.plot:
        draw(args.plot, found, title)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.sensitivity",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--checkpoint", type=Path, metavar="CKPT", help="QAT or float")
    add("--model", metavar="NAME", help="instead: its bundled QAT weights")
    add("--scale", type=int, help=f"of --model: 2, 3 or 4 (default {DEFAULT_SCALE})")
    add("--data", type=Path, nargs="+", default=[], metavar="DIR", help="images (default: drawn ones)")
    add("--holdout", type=int, default=HOLDOUT, help=f"as given to recipes.qat (default {HOLDOUT})")
    add(
        "--scheme",
        metavar="NAME",
        help=f"of a float checkpoint: {', '.join(SCHEMES)} (default {DEFAULT_SCHEME})",
    )
    add("--images", type=int, default=8, metavar="N", help="patches to measure on (default 8)")
    add("--patch", type=int, default=48, metavar="N", help="their side in LR pixels (default 48)")
    add("--without", action="store_true", help="also turn off each alone: twice the time")
    add("--top", type=int, default=20, metavar="N", help="quantizers to print (default 20)")
    add("--json", type=Path, metavar="FILE", help="write everything there")
    add("--plot", type=Path, metavar="FILE", help="draw the noises in network order: .svg or .png")
    add("--device", default="auto", help="auto, cpu or cuda (default auto)")
    add("--threads", type=int, help="CPU threads (default: PyTorch's choice)")
    return parser.parse_args()


def check(args: argparse.Namespace) -> None:
    """UserError for options that are wrong whatever the checkpoint holds."""
    if (args.checkpoint is None) == (args.model is None):
        came = "neither came" if args.model is None else "both came"
        raise UserError(f"Give either --checkpoint CKPT or --model NAME: {came}.")
    for name, least in {"images": 1, "top": 1, "holdout": 1, "patch": SMALLEST_PATCH}.items():
        if getattr(args, name) < least:
            raise UserError(f"--{name} is {getattr(args, name)}; it must be {least} or more.")
    if args.plot:
        check_plot(args.plot)


def open_checkpoint(args: argparse.Namespace) -> Checkpoint:
    """The checkpoint that the options name. UserError if they contradict it or its network."""
    path = args.checkpoint
    if args.model:
        find_trainable(args.model)
        scheme, scale = args.scheme or DEFAULT_SCHEME, chosen_scale(args.scale)
        path = weights.find(args.model, scale, find_scheme(scheme).name)
        if path is None:
            raise UserError(
                f"No {scheme} weights of {args.model} x{scale} come with edgesr: give --checkpoint."
            )
    loaded = checkpoint.load(path)
    find_trainable(loaded.model)
    for name in ("scale", "scheme"):
        came, has = getattr(args, name), getattr(loaded, name)
        if came is not None and has not in (None, came):
            raise UserError(f"--{name} {came}: {path} is of {name} {has}. Leave --{name} away.")
    model, multiple = MODELS[loaded.model], MODELS[loaded.model].lr_multiple(loaded.scale)
    if args.patch < model.smallest or args.patch % multiple:
        raise UserError(
            f"--patch {args.patch}: {loaded.model} x{loaded.scale} needs a multiple of {multiple} "
            f"that is {model.smallest} or more."
        )
    return loaded


def prepared(loaded: Checkpoint, scheme: str, args: argparse.Namespace, device: torch.device) -> Probe:
    """The fake-quantized graph, calibrated where the checkpoint is float, on its patches."""
    settings = fine_tuning(loaded.model, drawn=not args.data)
    # held out of what recipes.qat would use; only drawn images can be made as large as is asked
    side = settings.patch if args.data else max(settings.patch, args.patch)
    data = load_images(args.data, loaded.scale, side, args.holdout)
    lr, hr = patches(data.validation, loaded.scale, args.images, args.patch)
    if loaded.scheme is None:
        loaded = calibrated(loaded, scheme, random_patches(data.train, settings), device)
    graph = pt2e.fake_quantized(loaded, (1, 3, args.patch, args.patch)).to(device)
    return Probe(graph, (lr.float() / 255).to(device), hr, loaded.scale)


def calibrated(loaded: Checkpoint, scheme: str, batches: Batches, device: torch.device) -> Checkpoint:
    """A float checkpoint as a QAT one that has seen some batches and was not trained."""
    images = torch.cat([batches(number)[0] for number in range(EQUALIZATION_BATCHES)]).float() / 255
    batch, _, height, width = batches(0)[0].shape
    graph = pt2e.prepare(loaded.build_float(), find_scheme(scheme), (batch, 3, height, width), images)
    calibrate(graph.to(device), batches, device)
    return Checkpoint(loaded.model, loaded.scale, scheme, graph.cpu().state_dict())


def patches(pairs: list[Pair], scale: int, count: int, side: int) -> tuple[Tensor, Tensor]:
    """LR (N,3,side,side) and HR, uint8, from each image in turn. UserError if all are too small."""
    large = [pair.hr for pair in pairs if min(pair.lr.shape[:2]) >= side]
    if not large:
        raise UserError(
            f"None of the {len(pairs)} images held out is as large as a patch of {side}x{side} LR "
            "pixels. Give a smaller --patch or larger images."
        )
    rng = np.random.default_rng(0)
    images = [PairedImages([hr], scale) for hr in large[:count]]
    cut = [images[number % len(images)].batch(rng, 1, side) for number in range(count)]
    lrs, hrs = zip(*cut, strict=True)
    return torch.cat(lrs), torch.cat(hrs)


def facts(loaded: Checkpoint, title: str, args: argparse.Namespace) -> dict[str, Any]:
    """What the numbers depend on. Folders by their last name: where they lie is private."""
    return {
        "subject": title,
        "checkpoint_sha256": loaded.sha256,
        "data": [folder.name for folder in args.data] or "drawn by the project",
        "holdout": args.holdout,
        "images": args.images,
        "patch": args.patch,
        "commit": commit(),
        "versions": versions(),
    }


if __name__ == "__main__":
    cli.run(main)
