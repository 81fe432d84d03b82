"""What a training run is asked to do: options in, one checked plan out."""

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from edgesr import checkpoint
from edgesr.data.pairs import TrainingSet
from edgesr.errors import UserError
from edgesr.models import DEFAULT_SCALE, chosen_scale, find_trainable
from recipes import processes
from recipes import run as runs
from recipes.fit import use_device
from recipes.processes import from_main
from recipes.run import Run, State
from recipes.settings import Settings

HOLDOUT = 8


@dataclass(frozen=True)
class Plan:
    """What a run was asked to do."""

    recipe: str
    """train or qat."""
    model: str
    scale: int
    scheme: str | None
    """Of quantization; None for a float network."""
    data: list[str]
    """Folders of training images; none for the images that the project draws itself."""
    holdout: int
    """Images of the folders set apart for validation."""
    init: dict[str, str] | None
    """File and SHA-256 of the checkpoint to start from."""
    device: str
    threads: int
    settings: Settings

    @property
    def name(self) -> str:
        """Of the run folder's parent."""
        return f"{self.model}_x{self.scale}" + (f"_{self.scheme}" if self.scheme else "")


KINDS = {"recipe": str, "model": str, "scale": int, "scheme": str | None, "data": list, "holdout": int}
KINDS |= {"init": dict | None, "device": str, "threads": int, "settings": dict}
"""What a plan is made of, read from a file that anybody may have edited."""


def options(recipe: str, description: str | None, *, init: str, steps: str) -> argparse.ArgumentParser:
    """The options that both recipes share; None where one is not given."""
    parser = argparse.ArgumentParser(prog=f"python -m recipes.{recipe}", description=description)
    add = parser.add_argument
    add("--model", metavar="NAME", help="network to train (python -m edgesr models lists them)")
    add("--scale", type=int, metavar="S", help=f"2, 3 or 4 (default {DEFAULT_SCALE})")
    add(
        "--data",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="folders of images (default: drawn ones)",
    )
    add("--holdout", type=int, metavar="N", help=f"images kept for validation (default {HOLDOUT})")
    add(
        "--init",
        type=Path,
        metavar="CKPT",
        help=f"float checkpoint to start from (default: {init})",
    )
    add("--out", type=Path, metavar="RUN", help="run folder (default: the next free one in ./runs)")
    add("--resume", type=Path, metavar="RUN", help="continue this run; takes no other option")
    add(
        "--steps",
        type=int,
        metavar="N",
        help=f"optimizer steps (default: {steps}); the learning rate's whole decay is compressed "
        "into them",
    )
    add("--batch", type=int, metavar="N", help="patches per step")
    add("--patch", type=int, metavar="N", help="side of an LR patch")
    add("--lr", type=float, metavar="X", help="first learning rate")
    add("--seed", type=int, metavar="N", help="of weights and batches (default 0)")
    add("--device", metavar="NAME", help="auto, cpu or cuda (default auto)")
    add("--threads", type=int, metavar="N", help="CPU threads (default: PyTorch's choice)")
    add("--validate-every", type=int, metavar="N", help="steps (default 0: at the end only)")
    add("--save-every", type=float, metavar="S", help="seconds between savings (default 60)")
    return parser


def resumed(args: argparse.Namespace, recipe: str) -> Run | None:
    """The run that --resume names; UserError if other options came with it."""
    if args.resume is None:
        return None
    given = [name for name, value in vars(args).items() if name != "resume" and value is not None]
    if given:
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(f"--resume takes everything from the run folder. Leave out {listed}.")
    return from_main(lambda: runs.resume(args.resume, recipe))


def plan_of(run: Run) -> Plan:
    """The plan that a run began with; UserError if its file was changed."""
    try:
        content: dict[str, Any] = {name: run.config[name] for name in Plan.__dataclass_fields__}
        for name, kind in KINDS.items():
            if not isinstance(content[name], kind) or isinstance(content[name], bool):
                raise TypeError(f"{name} is {content[name]!r:.60}")
        start = content["init"] or {"file": "", "sha256": ""}
        names = [*content["data"], start["file"], start["sha256"]]
        if not all(isinstance(name, str) and "\0" not in name for name in names):
            raise TypeError("a path is no text")
        content["settings"] = Settings(**content["settings"])
        return Plan(**content)
    except UserError as error:
        raise UserError(f"{run.folder / 'config.json'} cannot be gone on with: {error}") from error
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise UserError(
            f"{run.folder / 'config.json'} is damaged ({error}). Start a new run."
        ) from error


def planned(
    args: argparse.Namespace, recipe: str, settings: Settings, init: Path | None, scheme: str | None
) -> Plan:
    """The plan that the options ask for, over `settings`; UserError for one that cannot work."""
    model = find_trainable(args.model)
    scale = chosen_scale(args.scale)
    names = [name for name in vars(args) if name in Settings.__dataclass_fields__]
    settings = settings.changed(**{name: getattr(args, name) for name in names})
    multiple = model.lr_multiple(scale)
    if settings.patch < model.smallest:
        raise UserError(
            f"--patch {settings.patch}: {args.model} needs LR images of {model.smallest} pixels a side "
            "or more."
        )
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
    start = _start(init) if init else None
    return Plan(recipe, args.model, scale, scheme, data, holdout, start, device, threads, settings)


def _start(init: Path) -> dict[str, str]:
    return {"file": str(init.absolute()), "sha256": checkpoint.load(init).sha256 or ""}


def open_run(old: Run | None, plan: Plan, images: int, out: Path | None) -> Run:
    """The run to go on with, or a new one. UserError if the images are not those it began with."""
    if old and old.config.get("images") != images:
        raise UserError(
            f"{old.folder} was begun with {old.config.get('images')} training images and there are "
            f"{images} now: it cannot be continued as it was. Start a new run."
        )
    config = {"images": images, **asdict(plan)}
    return old or from_main(lambda: runs.create(plan.name, out, config))


def announce(plan: Plan, data: TrainingSet, run: Run) -> None:
    """Say what begins."""
    settings = plan.settings
    if not plan.data:
        print(
            "No --data: training on images that the project draws itself. That shows how it works; "
            "for quality give folders of photographs."
        )
    together = f", processes {processes.count()}" if processes.count() > 1 else ""
    small = f" ({data.left_out} more are smaller than a crop)" if data.left_out else ""
    print(
        f"{plan.model} x{plan.scale}, {len(data.train)} images{small}, {settings.steps} steps of "
        f"{settings.batch} patches {settings.patch}x{settings.patch}, {plan.device}, "
        f"CPU threads {plan.threads}{together}, run folder {run.folder}",
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
        "processes": processes.count(),
        "settings": asdict(plan.settings),
        "seconds": round(state.seconds, 1),
        "loss": state.loss,
        "validation": {"psnr": state.psnr, "channel": "y", "shave": plan.scale, "images": held_out},
    }
