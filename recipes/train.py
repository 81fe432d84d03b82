"""Train a float network: python -m recipes.train --model lffn-s --scale 4 --data DIV2K"""

from pathlib import Path

import torch
from torch import nn

from edgesr import checkpoint, cli
from edgesr.checkpoint import Checkpoint
from edgesr.errors import UserError
from edgesr.models import create_model, find_trainable
from recipes.fit import fit, use_device
from recipes.images import held_out_psnr, load_images, random_patches
from recipes.plan import Plan, announce, open_run, options, origin, plan_of, planned, resumed
from recipes.settings import PAPER

DRAWN_STEPS = 300  # of a run without --data and --steps: enough to see it work


def main() -> None:
    """Train from the command line's options, or on from where a run stands."""
    steps = f"the paper's, or {DRAWN_STEPS} without --data"
    args = options("train", __doc__, init="none", steps=steps).parse_args()
    old = resumed(args, "train")
    if old is None:
        if args.model is None:
            raise UserError("Give --model NAME, or --resume RUN to continue a run.")
        find_trainable(args.model)
        settings = PAPER[args.model].changed(steps=None if args.data else DRAWN_STEPS)
        plan = planned(args, "train", settings, args.init, None)
    else:
        plan = plan_of(old)
    device = use_device(plan.device, plan.threads)
    torch.manual_seed(plan.settings.seed)
    network = create_model(plan.model, scale=plan.scale)
    if plan.init and not (old and old.state_file.exists()):
        load_init(network, plan.init["file"], plan)

    folders = [Path(folder) for folder in plan.data]
    data = load_images(folders, plan.scale, plan.settings.patch, plan.holdout)
    run = open_run(old, plan, len(data.train), args.out)
    announce(plan, data, run)
    state = fit(
        network,
        random_patches(data.train, plan.settings),
        plan.settings,
        run,
        device=device,
        validate=held_out_psnr(data.validation, plan.model, plan.scale, device),
    )
    facts = origin(run, plan, state, len(data.validation))
    result = Checkpoint(plan.model, plan.scale, None, network.state_dict(), facts)
    checkpoint.save(result, run.checkpoint)
    print(
        f"Held out: {state.psnr:.2f} dB (Y, shave {plan.scale}, {len(data.validation)} images)\n"
        f"Saved {run.checkpoint}\n"
        f"Next: python -m recipes.qat --model {plan.model} --scale {plan.scale} "
        f"--init {run.checkpoint}"
    )


def load_init(network: nn.Module, file: str, plan: Plan) -> None:
    """Start `network` from a float checkpoint of the same model; one of another scale may fit."""
    start = checkpoint.load(Path(file))
    if start.model != plan.model or start.scheme is not None:
        came = f"{start.model} x{start.scale}, scheme {start.scheme or 'none'}"
        raise UserError(
            f"--init {file} is a checkpoint of {came}; a float one of {plan.model} is needed."
        )
    checkpoint.load_strict(network, start.state, f"{plan.model} x{plan.scale}")


if __name__ == "__main__":
    cli.run(main)
