"""Train a float network: python -m recipes.train --model lffn-s --scale 4 --data DIV2K"""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgesr import checkpoint, cli
from edgesr.checkpoint import Checkpoint
from edgesr.data.pairs import TrainingSet
from edgesr.errors import UserError
from edgesr.models import create_model, find_trainable
from recipes import run as runs
from recipes.fit import fit, use_device
from recipes.images import held_out_psnr, load_images, random_patches
from recipes.run import Run, State
from recipes.settings import PAPER, Settings

SCALE = 4
HOLDOUT = 8
DRAWN_STEPS = 300  # of a run without --data and --steps: enough to see it work


@dataclass(frozen=True)
class Plan:
    """What a run was asked to do."""

    model: str
    scale: int
    data: list[str]
    """Folders of training images; none for the images that the project draws itself."""
    holdout: int
    """Images of the folders set apart for validation."""
    init: dict[str, str] | None
    """File and SHA-256 of the checkpoint to start from."""
    device: str
    threads: int
    settings: Settings


def main() -> None:
    """Train from the command line's options, or on from where a run stands."""
    args = parse()
    old = resumed(args)
    plan = plan_of(old) if old else planned(args)
    device = use_device(plan.device, plan.threads)
    torch.manual_seed(plan.settings.seed)
    network = create_model(plan.model, scale=plan.scale)
    if plan.init and not (old and old.state_file.exists()):
        load_init(network, plan.init["file"], plan)

    folders = [Path(folder) for folder in plan.data]
    data = load_images(folders, plan.scale, plan.settings.patch, plan.holdout)
    config = {"recipe": "train", "images": len(data.train), **asdict(plan)}
    if old and old.config != config:
        raise UserError(
            f"{old.folder} was begun with {old.config.get('images')} training images and there are "
            f"{len(data.train)} now: it cannot be continued as it was. Start a new run."
        )
    run = old or runs.create(f"{plan.model}_x{plan.scale}", args.out, config)
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


def parse() -> argparse.Namespace:
    """The command line's options; None where one is not given."""
    parser = argparse.ArgumentParser(prog="python -m recipes.train", description=__doc__)
    add = parser.add_argument
    add("--model", metavar="NAME", help="network to train (python -m edgesr models lists them)")
    add("--scale", type=int, metavar="S", help=f"2, 3 or 4 (default {SCALE})")
    add(
        "--data",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="folders of images (default: drawn ones)",
    )
    add("--holdout", type=int, metavar="N", help=f"images kept for validation (default {HOLDOUT})")
    add("--init", type=Path, metavar="CKPT", help="float checkpoint to start from (default: none)")
    add(
        "--out",
        type=Path,
        metavar="RUN",
        help="run folder (default: runs/<model>_x<scale>/<number>)",
    )
    add("--resume", type=Path, metavar="RUN", help="continue this run; takes no other option")
    add(
        "--steps",
        type=int,
        metavar="N",
        help="optimizer steps (default: the paper's); the learning rate's whole decay is "
        f"compressed into them. Without --data too: {DRAWN_STEPS}",
    )
    add("--batch", type=int, metavar="N", help="patches per step (default: the paper's)")
    add("--patch", type=int, metavar="N", help="side of an LR patch (default: the paper's)")
    add("--lr", type=float, metavar="X", help="first learning rate (default: the paper's)")
    add("--seed", type=int, metavar="N", help="of weights and batches (default 0)")
    add("--device", metavar="NAME", help="auto, cpu or cuda (default auto)")
    add("--threads", type=int, metavar="N", help="CPU threads (default: PyTorch's choice)")
    add("--validate-every", type=int, metavar="N", help="steps (default 0: at the end only)")
    add("--save-every", type=float, metavar="S", help="seconds between savings (default 60)")
    return parser.parse_args()


def resumed(args: argparse.Namespace) -> Run | None:
    """The run that --resume names; UserError if other options came with it."""
    if args.resume is None:
        return None
    given = [name for name, value in vars(args).items() if name != "resume" and value is not None]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(f"--resume takes everything from the run folder. Leave out {options}.")
    return runs.resume(args.resume, "train")


def plan_of(run: Run) -> Plan:
    """The plan that a run began with; UserError if its file was changed."""
    try:
        names = Plan.__dataclass_fields__
        content: dict[str, Any] = {name: run.config[name] for name in names}
        content["settings"] = Settings(**content["settings"])
        return Plan(**content)
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{run.folder / 'config.json'} is damaged ({error}). Start a new run."
        ) from error


def planned(args: argparse.Namespace) -> Plan:
    """The plan that the options ask for; UserError for one that cannot work."""
    if args.model is None:
        raise UserError("Give --model NAME, or --resume RUN to continue a run.")
    model = find_trainable(args.model)
    scale = SCALE if args.scale is None else args.scale
    create_model(args.model, scale=scale)
    steps = args.steps if args.steps is not None or args.data else DRAWN_STEPS
    settings = PAPER[args.model].changed(
        steps=steps,
        batch=args.batch,
        patch=args.patch,
        lr=args.lr,
        seed=args.seed,
        validate_every=args.validate_every,
        save_every=args.save_every,
    )
    multiple = model.lr_multiple(scale)
    if settings.patch % multiple:
        raise UserError(
            f"--patch {settings.patch}: {args.model} x{scale} needs a multiple of {multiple}."
        )
    holdout = HOLDOUT if args.holdout is None else args.holdout
    if holdout < 1:
        raise UserError(f"--holdout is {holdout}; it must be 1 or more.")
    threads = torch.get_num_threads() if args.threads is None else args.threads
    device = use_device(args.device or "auto", threads).type
    data = [str(folder.absolute()) for folder in args.data or []]
    init = args.init and {
        "file": str(args.init.absolute()),
        "sha256": checkpoint.load(args.init).sha256,
    }
    return Plan(args.model, scale, data, holdout, init, device, threads, settings)


def load_init(network: nn.Module, file: str, plan: Plan) -> None:
    """Start `network` from a float checkpoint of the same model; one of another scale may fit."""
    start = checkpoint.load(Path(file))
    if start.model != plan.model or start.scheme is not None:
        came = f"{start.model} x{start.scale}, scheme {start.scheme or 'none'}"
        raise UserError(
            f"--init {file} is a checkpoint of {came}; a float one of {plan.model} is needed."
        )
    checkpoint.load_strict(network, start.state, f"{plan.model} x{plan.scale}")


def announce(plan: Plan, data: TrainingSet, run: Run) -> None:
    """Say what begins."""
    settings = plan.settings
    if not plan.data:
        print(
            "No --data: training on images that the project draws itself. That shows how it works; "
            "for quality give folders of photographs."
        )
    small = f" ({data.left_out} more are smaller than a crop)" if data.left_out else ""
    print(
        f"{plan.model} x{plan.scale}, {len(data.train)} images{small}, {settings.steps} steps of "
        f"{settings.batch} patches {settings.patch}x{settings.patch}, {plan.device}, "
        f"CPU threads {plan.threads}, run folder {run.folder}",
        flush=True,
    )


def origin(run: Run, plan: Plan, state: State, held_out: int) -> dict[str, Any]:
    """How the checkpoint came to be. Folders by their last name: where they lie is private."""
    init = plan.init and {"file": Path(plan.init["file"]).name, "sha256": plan.init["sha256"]}
    return run.origin() | {
        "data": [Path(folder).name for folder in plan.data] or "drawn by the project",
        "images": run.config["images"],
        "init": init,
        "device": plan.device,
        "threads": plan.threads,
        "settings": asdict(plan.settings),
        "seconds": round(state.seconds, 1),
        "loss": state.loss,
        "validation": {"psnr": state.psnr, "channel": "y", "shave": plan.scale, "images": held_out},
    }


if __name__ == "__main__":
    cli.run(main)
