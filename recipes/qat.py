"""Train a network quantization-aware: capture, prepare with the scheme, fine-tune, freeze, save.

Without --init the bundled weights are the start, without --data the images that the project draws.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from edgesr import checkpoint, cli, weights
from edgesr.checkpoint import Checkpoint
from edgesr.errors import UserError
from edgesr.models import chosen_scale, create_model, find_model, find_trainable
from edgesr.quantization import DEFAULT_SCHEME, SCHEMES, find_scheme, pt2e
from edgesr.tiling import upscale_tiled
from recipes.fit import Batches, fit, use_device
from recipes.images import held_out_psnr, keep_near, load_images, random_patches
from recipes.papers import DRAWN_QAT, fine_tuning
from recipes.plan import Plan, announce, open_run, options, origin, plan_of, planned, resumed

CALIBRATION_BATCHES = 64
EQUALIZATION_BATCHES = 16
TILE, OVERLAP = 64, 8  # as `python -m export.executorch` has them


def main() -> None:
    """Fine-tune from the command line's options, or on from where a run stands."""
    args = parse()
    refuse_several()
    old = resumed(args, "qat")
    plan = plan_of(old) if old else planned_qat(args)
    device = use_device(plan.device, plan.threads)
    scheme, patch = find_scheme(plan.scheme or ""), plan.settings.patch
    begun = old is not None and old.has_state
    network = create_model(plan.model, scale=plan.scale) if begun else load_float(plan)

    data = load_images([Path(d) for d in plan.data], plan.scale, patch, plan.holdout)
    run = open_run(old, plan, len(data.train), args.out)
    announce(plan, data, run)
    batches = random_patches(data.train, plan.settings)
    measure = held_out_psnr(data.validation, plan.model, plan.scale, device)

    images = None if begun else torch.cat([_floats(batches, i) for i in range(EQUALIZATION_BATCHES)])
    graph = pt2e.prepare(network, scheme, (plan.settings.batch, 3, patch, patch), images)
    if not begun:
        print(f"Held out, float: {measure(network.to(device)):.2f} dB", flush=True)
        calibrate(graph.to(device), batches, device)
    tile = pt2e.prepare(network.cpu(), scheme, (1, 3, TILE, TILE)).to(device)
    state = fit(
        graph,
        keep_near(data.train, batches, device),
        plan.settings,
        run,
        device=device,
        before_step=freezing(graph, plan),
        validate=lambda trained: measure(through_tiles(trained, tile, plan)),
    )
    pt2e.freeze(graph, _floats(batches, 0).to(device))
    facts = origin(run, plan, state, len(data.validation))
    result = Checkpoint(plan.model, plan.scale, plan.scheme, graph.state_dict(), facts)
    checkpoint.save(result, run.checkpoint)
    print(
        f"Held out, fake-quantized, through tiles of {TILE}x{TILE}: {state.psnr:.2f} dB "
        f"(Y, shave {plan.scale}, {len(data.validation)} images)\n"
        f"Saved {run.checkpoint}\n"
        f"Next: python -m export.executorch --checkpoint {run.checkpoint}"
    )


def parse() -> argparse.Namespace:
    """The command line's options; None where one is not given."""
    steps = f"{DRAWN_QAT['steps']} without --data, else the table's in recipes/settings.py"
    parser = options("qat", __doc__, init="the bundled weights", steps=steps)
    parser.add_argument(
        "--scheme", metavar="NAME", help=f"{', '.join(SCHEMES)} (default {DEFAULT_SCHEME})"
    )
    return parser.parse_args()


def refuse_several() -> None:
    """UserError under `torchrun` with several processes.

    Observers follow the smallest and largest value of each batch inside the forward pass. Each process
    would see another part of the batch: with ranges of its own it would round otherwise than the others,
    with those of one process the others' values would be clamped by ranges that never saw them, and
    neither is what one process with the whole batch trains. A QAT run takes minutes, so one will do.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError(
            "recipes.qat runs in one process: the ranges of int8 follow each batch as a whole, which "
            "no process of several sees. Start it without torchrun."
        )


def planned_qat(args: argparse.Namespace) -> Plan:
    """The plan that the options ask for. UserError where there are no float weights to start from."""
    if args.model is None:
        raise UserError("Give --model NAME, or --resume RUN to continue a run.")
    find_trainable(args.model)
    scheme = find_scheme(args.scheme or DEFAULT_SCHEME).name
    scale = chosen_scale(args.scale)
    init = args.init or weights.find(args.model, scale, None)
    if init is None:
        raise UserError(
            f"No weights of {args.model} x{scale} come with edgesr. Train some first: "
            f"python -m recipes.train --model {args.model} --scale {scale} --data DIR, "
            "then name them with --init."
        )
    settings = fine_tuning(args.model, drawn=not args.data)
    return planned(args, "qat", settings, init, scheme)


def load_float(plan: Plan) -> nn.Module:
    """The network that training starts from. UserError for a checkpoint of another one."""
    assert plan.init is not None
    start = checkpoint.load(Path(plan.init["file"]))
    if (start.model, start.scale) != (plan.model, plan.scale):
        raise UserError(
            f"{plan.init['file']} is a checkpoint of {start.model} x{start.scale}, "
            f"not of {plan.model} x{plan.scale}. Name another with --init."
        )
    return start.build_float()


@torch.no_grad()
def calibrate(graph: GraphModule, batches: Batches, device: torch.device) -> None:
    """Show the float weights' activations to the observers, so that training starts with ranges."""
    graph.train()
    with cli.Progress(CALIBRATION_BATCHES, "calibrating", "batch") as bar:
        for number in range(CALIBRATION_BATCHES):
            graph(_floats(batches, number).to(device))
            bar.advance()


def freezing(graph: GraphModule, plan: Plan) -> Callable[[int], None]:
    """A `before_step` that stops the activations' ranges half-way, for the weights to settle in."""

    def before_step(step: int) -> None:
        if step >= plan.settings.steps // 2:
            pt2e.freeze_activations(graph)

    return before_step


def through_tiles(trained: nn.Module, tile: GraphModule, plan: Plan) -> Callable[[Tensor], Tensor]:
    """What will be deployed: the trained tensors in a graph of one tile's shape, over any image."""
    pt2e.take_over(tile, trained)
    multiple = find_model(plan.model).lr_multiple(plan.scale)

    def upscale(lr: Tensor) -> Tensor:
        return upscale_tiled(
            tile, lr, scale=plan.scale, tile=(TILE, TILE), overlap=OVERLAP, multiple=multiple
        )

    return upscale


def _floats(batches: Batches, step: int) -> Tensor:
    """The LR half of a batch, in [0,1]."""
    return batches(step)[0].float() / 255


if __name__ == "__main__":
    cli.run(main)
