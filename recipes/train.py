"""Train a float network: python -m recipes.train --model lffn-s --scale 4 --data DIV2K"""

import argparse
from pathlib import Path

import torch
from torch import nn

from edgesr import checkpoint, cli
from edgesr.checkpoint import Checkpoint
from edgesr.errors import UserError
from edgesr.models import chosen_scale, create_model, find_trainable
from recipes import processes
from recipes.fit import fit, use_device
from recipes.images import held_out_psnr, keep_near, load_images, random_patches
from recipes.papers import opening, recipe_of
from recipes.plan import Plan, announce, open_run, options, origin, plan_of, planned, resumed

DRAWN_STEPS = 300  # of a run without --data and --steps: enough to see it work


def main() -> None:
    """Train from the command line's options, or on from where a run stands."""
    args = parse()
    with processes.together():
        train(args)


def train(args: argparse.Namespace) -> None:
    """The whole recipe, in this process or together with others."""
    old = resumed(args, "train")
    plan = plan_of(old) if old else planned_train(args)
    device = use_device(plan.device, plan.threads)
    torch.manual_seed(plan.settings.seed)
    network = create_model(plan.model, scale=plan.scale)
    if plan.init and not (old and old.has_state):
        load_init(network, plan.init["file"], plan)

    folders = [Path(folder) for folder in plan.data]
    data = load_images(folders, plan.scale, plan.settings.patch, plan.holdout)
    batches = random_patches(data.train, plan.settings)
    run = open_run(old, plan, len(data.train), args.out)
    announce(plan, data, run)
    state = fit(
        network,
        keep_near(data.train, batches, device),
        plan.settings,
        run,
        device=device,
        validate=held_out_psnr(data.validation, plan.model, plan.scale, device),
    )
    if not processes.is_main():
        return
    facts = origin(run, plan, state, len(data.validation))
    result = Checkpoint(plan.model, plan.scale, None, network.state_dict(), facts)
    checkpoint.save(result, run.checkpoint)
    print(
        f"Held out: {state.psnr:.2f} dB (Y, shave {plan.scale}, {len(data.validation)} images)\n"
        f"Saved {run.checkpoint}\n"
        f"Next: python -m recipes.qat --model {plan.model} --scale {plan.scale} "
        f"--init {run.checkpoint}"
    )


def parse() -> argparse.Namespace:
    """The command line's options; None where one is not given."""
    steps = f"the paper's, or {DRAWN_STEPS} without --data"
    parser = options("train", __doc__, init="none", steps=steps)
    add = parser.add_argument
    add("--stage", metavar="NAME", help="of the paper's recipe (python -m recipes.papers lists them)")
    add("--optimizer", metavar="NAME", help="adam or adamp (default: the paper's)")
    add("--decay", metavar="NAME", help="of the learning rate: cosine or halving (default: the paper's)")
    add(
        "--final-lr",
        type=float,
        metavar="X",
        help="last learning rate (default: the paper's share of --lr)",
    )
    add("--ema", type=float, metavar="X", help="keep averaged weights, such as 0.999 (default: none)")
    add(
        "--accumulate",
        type=int,
        metavar="N",
        help="pass a step's patches in N parts, for want of memory",
    )
    add("--precision", metavar="NAME", help="float32, tf32 or bfloat16 (default float32)")
    add("--channels-last", action="store_true", default=None, help="channels side by side in memory")
    add("--compile", metavar="NAME", help="no, default or cuda-graphs: torch.compile (default no)")
    return parser.parse_args()


def planned_train(args: argparse.Namespace) -> Plan:
    """The plan that the options ask for; says what the paper's recipe costs and reaches."""
    if args.model is None:
        raise UserError("Give --model NAME, or --resume RUN to continue a run.")
    find_trainable(args.model)
    scale, recipe = chosen_scale(args.scale), recipe_of(args.model)
    stage = recipe.stage(args.stage)
    if args.stage and stage.scale not in (None, scale):
        raise UserError(f"--stage {args.stage} is trained at --scale {stage.scale}, not {scale}.")
    settings = recipe.settings(scale, args.stage)
    if not args.data:
        return planned(args, "train", settings.changed(steps=DRAWN_STEPS), args.init, None)
    plan = planned(args, "train", settings, args.init, None)
    print(f"The paper's recipe for {opening(args.model, scale)}")
    return plan


def load_init(network: nn.Module, file: str, plan: Plan) -> None:
    """Start `network` from a float checkpoint of the same model.

    From another scale it takes all tensors that have the same name and shape: all but the last layers'.
    """
    start = checkpoint.load(Path(file))
    if start.model != plan.model or start.scheme is not None:
        came = f"{start.model} x{start.scale}, scheme {start.scheme or 'none'}"
        raise UserError(
            f"--init {file} is a checkpoint of {came}; a float one of {plan.model} is needed."
        )
    state = start.state
    if start.scale != plan.scale:
        fresh = network.state_dict()
        state = {
            name: state[name] if name in state and state[name].shape == tensor.shape else tensor
            for name, tensor in fresh.items()
        }
        left = [name for name, tensor in fresh.items() if state[name] is tensor]
        listed = f"; fresh are {', '.join(left)}" if left else ""
        print(f"From x{start.scale}: {len(fresh) - len(left)} of {len(fresh)} tensors{listed}.")
    checkpoint.load_strict(network, state, f"{plan.model} x{plan.scale}")


if __name__ == "__main__":
    cli.run(main)
