"""The papers' recipes as data: python -m recipes.papers [--model lffn-s] [--scale 4]

Loss, patch, batch, schedule, optimizer, first weights and stages of training, as each paper prints them;
where a paper is silent, the table says what we take and from where. `recipes.train` reads its settings
here, and both commands open with what the whole recipe costs and which scores the paper got by it.
"""

import argparse
from dataclasses import dataclass

from edgesr import cli
from edgesr.errors import unknown
from edgesr.models import chosen_scale, create_model, find_trainable
from edgesr.models.complexity import every_weight, multiply_adds, on_meta
from edgesr.models.published import OWN_ROWS, printed_score, rows
from recipes.settings import Settings

PASSES = 3  # a backward pass has twice the products of a forward one


@dataclass(frozen=True)
class Stage:
    """One training of the chain that leads to a paper's weights."""

    name: str
    data: str
    """What `--data` should name."""
    settings: Settings
    init: str = ""
    """What `--init` should name; nothing for fresh weights."""
    scale: int | None = None
    """The only scale that this stage is trained at; None for the scale that is wanted."""


@dataclass(frozen=True)
class Recipe:
    """How a paper trains."""

    source: str
    stages: tuple[Stage, ...]
    first_weights: str
    cost: str
    """As the paper prints it."""
    silent: str
    """What the paper does not say, and what we take."""
    hr_patch: int | None = None
    """Side of an HR patch, where the paper fixes that: LR patches depend on the scale then."""

    def chain(self, scale: int) -> list[tuple[Stage, int]]:
        """The stages that lead to weights at `scale`, each with the scale that it is trained at."""
        if any(stage.scale == scale for stage in self.stages):
            return [(stage, scale) for stage in self.stages if stage.scale == scale]
        return [(stage, stage.scale or scale) for stage in self.stages]

    def stage(self, name: str | None) -> Stage:
        """The stage called `name`, or the first. UserError names the known ones."""
        named = {stage.name: stage for stage in self.stages}
        if name is not None and name not in named:
            raise unknown("stage", name, list(named))
        return named[name] if name else self.stages[0]

    def settings(self, scale: int, stage: str | None = None) -> Settings:
        """Of a stage at a scale."""
        patch = self.hr_patch // scale if self.hr_patch else None
        return self.stage(stage).settings.changed(patch=patch)


# An epoch of LFFN's code is 30,000 patches, 1,875 steps of 16. It halves until below 4e-5.
LFFN = Recipe(
    source="LFFN Sec. III-A",
    stages=(
        Stage("291", "T91 BSD200", Settings(187_500, 16, 32, 8e-4, 5e-5, "halving", clip=5.0)),
        Stage(
            "div2k",
            "DIV2K",
            Settings(150_000, 16, 32, 4e-4, 5e-5, "halving", clip=5.0),
            init="the result of stage 291",
        ),
    ),
    first_weights="He's normal, truncated, as in the authors' code; dense layers PyTorch's "
    "(theirs: Glorot's)",
    cost="four days on a GTX 1080 Ti for the larger LFFN at x2",
    silent="the length: the authors' code has epochs of 1,875 steps and stops below a rate of 4e-5, "
    "which is five plateaus of 20 epochs, and four in the second stage; the norm of the gradient is cut "
    "at 5",
)
MSFIN = Recipe(
    source="MSFIN Sec. 3.2",
    stages=(Stage("div2k", "DIV2K", Settings(1_000_000, 16, 48, 1e-4, 6.25e-6, "cosine")),),
    first_weights="silent; PyTorch's",
    cost="silent; everything is computed at HR size, which makes a step dear",
    silent="the length: 1000 epochs of 1,000 steps are the authors' code's; the loss is the paper's L1",
)
# Their Table 4 at x2: Adam instead of AdamP costs 0.10 dB on Set5, 0.21 dB on Urban100.
MAFFSRN = Recipe(
    source='MAFFSRN, "Training Settings"',
    stages=(
        Stage(
            "div2k",
            "DIV2K",
            Settings(1_000_000, 16, 48, 2e-4, 1.25e-5, "halving", optimizer="adamp"),
        ),
    ),
    first_weights="PyTorch's; the factors of a group start at 1 as in the code, where the paper "
    "says 0.5",
    cost="silent; an RTX 2080 Ti was used",
    silent="steps of an epoch (1,000 in the authors' code) and the loss (L1 there). The paper keeps its "
    "best epoch; ours is the last",
)
# "64x64 patches" are taken for LR: at x4 HR patches would be 16 LR pixels, where the coarse grid of the
# network's attention is a single cell.
OSFFNET = Recipe(
    source='OSFFNet, "Implementation Details"',
    stages=(
        Stage("x2", "DIV2K Flickr2K", Settings(500_000, 64, 64, 1e-4, 1e-7, "cosine"), scale=2),
        Stage(
            "from-x2",
            "DIV2K Flickr2K",
            Settings(500_000, 64, 64, 1e-4, 1e-7, "cosine"),
            init="the result of stage x2",
        ),
    ),
    first_weights="silent; PyTorch's",
    cost="silent; an RTX 3090 was used",
    silent="whether 64x64 is LR or HR (we take LR) and how long x3 and x4 are fine-tuned from x2 (we "
    "take the same 500,000 steps)",
)
MLRN = Recipe(
    source="MLRN Sec. IV-B",
    stages=(Stage("div2k", "DIV2K", Settings(1_000_000, 16, 48, 1e-4, 6.25e-6, "halving")),),
    first_weights="silent; PyTorch's. Each scale from scratch",
    cost="about five days on a GTX 1080 Ti",
    silent="nothing that a run needs",
    hr_patch=192,
)

RECIPES: dict[str, Recipe] = {
    "lffn": LFFN,
    "lffn-s": LFFN,
    "lffn-nf": LFFN,
    "lffn-ns": LFFN,
    "msfin": MSFIN,
    "msfin-s": MSFIN,
    "maffsrn": MAFFSRN,
    "maffsrn-l": MAFFSRN,
    "osffnet": OSFFNET,
    "mlrn": MLRN,
}

PLAIN = Recipe(
    source="no paper: settings that suit small networks",
    stages=(Stage("plain", "DIR", Settings(300_000, 16, 32, 4e-4, 1e-6, "cosine")),),
    first_weights="PyTorch's",
    cost="unknown",
    silent="everything",
)
"""For a network of `MODELS` that has no row above."""

FINE = Settings(200, 8, 24, 5e-6, 5e-8, "cosine", clip=5.0)

QAT: dict[str, Settings] = dict.fromkeys(RECIPES, FINE)
"""Fine-tuning: calibration alone loses little, and large steps on few images lose more than they win."""


def recipe_of(model: str) -> Recipe:
    """How a network is trained."""
    return RECIPES.get(model, PLAIN)


def fine_tuning(model: str, *, drawn: bool) -> Settings:
    """How a network is trained quantization-aware, on photographs or on drawn images."""
    settings = QAT.get(model, FINE)
    return settings.changed(**DRAWN_QAT) if drawn else settings


DRAWN_QAT = {"steps": 150, "batch": 4, "patch": 16}
"""Over QAT, for a run without --data: a few minutes on two cores, to see it work."""


def main() -> None:
    """Print recipes."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.papers",
        description="Print how the papers trained: what it costs, what it reached, stage by stage.",
    )
    parser.add_argument("--model", metavar="NAME", help="one network (default: all)")
    parser.add_argument("--scale", type=int, metavar="S", help="2, 3 or 4 (default: 4)")
    args = parser.parse_args()
    scale = chosen_scale(args.scale)
    if args.model:
        find_trainable(args.model)
    names = [args.model] if args.model else list(RECIPES)
    print("\n\n".join(described(name, scale) for name in names))


def described(model: str, scale: int) -> str:
    """A recipe in words, stage by stage."""
    recipe = recipe_of(model)
    lines = [
        opening(model, scale),
        f"  first weights  {recipe.first_weights}",
        f"  not printed    {recipe.silent}",
    ]
    for stage, at in recipe.chain(scale):
        settings = recipe.settings(at, stage.name)
        init = f" --init RUN/checkpoint  # {stage.init}" if stage.init else ""
        lines += [
            f"  stage {stage.name:<8} {settings.optimizer}, {settings.loss}, {settings.lr:g} to "
            f"{settings.final_lr:g} by {settings.decay}, {settings.steps:,} steps of {settings.batch} "
            f"patches {settings.patch}x{settings.patch}, flips and turns",
            f"    python -m recipes.train --model {model} --scale {at} --stage {stage.name} "
            f"--data {stage.data}{init}",
        ]
    return "\n".join(lines)


def opening(model: str, scale: int) -> str:
    """What the whole recipe costs and what the paper reached by it."""
    recipe = recipe_of(model)
    work = sum(work_of(model, at, recipe.settings(at, s.name)) for s, at in recipe.chain(scale))
    return (
        f"{model} x{scale}, as in {recipe.source}\n"
        f"  costs          {work / 1e15:,.0f} PFLOP in all stages; the paper: {recipe.cost}\n"
        f"  should reach   {reached(model, scale)}"
    )


def work_of(model: str, scale: int, settings: Settings) -> float:
    """Floating point operations of a training: two for each multiply-add, forward and backward."""
    network = on_meta(lambda: create_model(model, scale=scale))
    (products,) = multiply_adds(network, (settings.patch, settings.patch), every_weight)
    return 2.0 * PASSES * products * settings.batch * settings.steps


def reached(model: str, scale: int) -> str:
    """The paper's own scores: PSNR in dB on Y."""
    if model not in OWN_ROWS:
        return "unknown: no paper printed it"
    paper = OWN_ROWS[model][0]
    sets = dict.fromkeys(row.dataset for row in rows() if row.paper == paper)
    scores = {name: printed_score(model, scale, name) for name in sets}
    told = [f"{name} {score[0]:.2f}" for name, score in scores.items() if score]
    table = OWN_ROWS[model][1]
    where = f"(dB on Y, the paper's Table {table})" if told else ""
    return f"{', '.join(told)} {where}" if told else "not printed at this scale"


if __name__ == "__main__":
    cli.run(main)
