"""What each network costs, beside what its paper prints.

python -m recipes.complexity
python -m recipes.complexity --model lffn-s --scale 4
"""

import argparse
import json
from pathlib import Path
from typing import Any

from edgesr import cli
from edgesr.files import write_text
from edgesr.models import DEFAULT_SCALE, MODELS, SCALES, chosen_scale
from edgesr.models.ablations import ABLATIONS, READING, Ablation
from edgesr.models.complexity import (
    NOT_MET,
    Complexity,
    Counts,
    Figure,
    complexity,
    count,
    family,
    lr_size,
    on_meta,
    rule_of,
)
from recipes.plot import tradeoff

DESCRIPTION = """\
Counts every network at every scale, for an SR image of 1280x720, and prints two tables.

The first, of the networks:
  parameters, G MACs (multiply-adds)
      all      parameters, weight-norm's magnitudes and PReLU slopes among them
      true     weight products of convolutions, transposed convolutions and linear layers
      by rule  as the network's own paper counts: LFFN leaves PReLU slopes out; OSFFNet's MACs are
               torchinfo's, which counts a linear layer once, not at each pixel; MAFFSRN's are
               torchsummaryX's, which does the same to weight-normed convolutions
      printed  in that paper; LFFN and MAFFSRN cut parameters to thousands, OSFFNet and MSFIN round
      diff     ours by that rule, cut or rounded likewise, less the printed figure; = where it is met
  peak MB      float32 tensors alive at the worst moment of a forward pass, in 10^6 bytes: the LR image
               and all features, no weights
  field        side of the square of LR pixels that one SR pixel depends on; with +, it also depends on
               every pixel through a mean, which is held constant for this
  LR side      the least that is allowed, and the step: multiples of it are not padded inside

The second: the papers' ablations, and other readings of a paper, counted in the same way.
"""
Columns = tuple[tuple[str, str, int], ...]
"""Two lines of title, and a width: below 0 for what is flush left."""
COUNTS: Columns = (
    ("", "printed", 9),
    ("", "diff", 5),
    ("G MACs", "true", 10),
    ("", "by rule", 9),
    ("", "printed", 8),
    ("", "diff", 6),
)
NETWORKS: Columns = (
    ("", "model", -11),
    ("", "", 2),
    ("parameters", "all", 11),
    ("", "by rule", 10),
    *COUNTS,
    ("peak", "MB", 8),
    ("", "field", 10),
    ("LR side", "least", 9),
    ("", "step", 5),
)
SETTINGS: Columns = (
    ("", "family", -8),
    ("", "source", -8),
    ("", "setting", -37),
    ("", "", 3),
    ("parameters", "all", 11),
    *COUNTS,
)
UNCHECKED = """\
MLRN cannot be checked: its authors released neither code nor weights, and the paper prints neither
parameters nor multiply-adds. Nothing in its numbers prefers one of the readings above to another."""


def main() -> None:
    """Draw if asked, count, print two tables, write JSON if asked."""
    args = parse()
    names = [args.model] if args.model else list(MODELS)
    families = {family(name) for name in names}
    scales = SCALES if args.scale is None else (chosen_scale(args.scale),)
    settings = [row for row in ABLATIONS if row.family in families and row.scale in scales]
    if args.plot:
        tradeoff(args.plot, scale=chosen_scale(args.scale))
    networks: list[Complexity] = []
    counted: list[Counts] = []
    with cli.Progress(len(names) * len(scales) + len(settings), "complexity", "network") as bar:
        for name, scale in ((name, scale) for name in names for scale in scales):
            networks.append(complexity(name, scale, field=not args.fast))
            bar.advance(model=f"{name} x{scale}")
        for row in settings:
            counted.append(count(on_meta(row.build), row.family, row.scale, row.printed()))
            bar.advance(model=f"{row.family} {row.setting}")
    print_networks(networks)
    if settings:
        print_settings(settings, counted)
    if args.json:
        write_text(args.json, json.dumps([to_json(network) for network in networks], indent=2) + "\n")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.complexity",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", help=f"one of {', '.join(MODELS)} (default: all)")
    parser.add_argument("--scale", type=int, help="2, 3 or 4 (default: all)")
    parser.add_argument("--fast", action="store_true", help="leave out the receptive fields")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the first table there, too")
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help=f"draw published PSNR against cost there, at --scale (default: {DEFAULT_SCALE})",
    )
    return parser.parse_args()


def print_networks(networks: list[Complexity]) -> None:
    """The first table, and why some of its printed figures are not met."""
    print_head(NETWORKS)
    for network in networks:
        counts, row = network.counts, MODELS[network.model]
        everything = (f"{counts.params:,}", f"{counts.params_paper.count:,}", *params(counts))
        size = (f"{network.memory / 1e6:.1f}", side(network))
        limits = (str(row.smallest), str(row.lr_multiple(network.scale)))
        cells = (*everything, *macs(counts, network.model), *size, *limits)
        print_row(NETWORKS, network.model, f"x{network.scale}", *cells)
    named = {f"{row.model} x{row.scale}": (row.model, row.scale) for row in networks}
    print_notes({name: NOT_MET[key] for name, key in named.items() if key in NOT_MET})


def print_settings(settings: list[Ablation], counted: list[Counts]) -> None:
    """The second table, why some of its printed figures are not met, and what cannot be checked."""
    print_head(SETTINGS)
    for row, counts in zip(settings, counted, strict=True):
        cells = (f"{counts.params:,}", *params(counts), *macs(counts, row.family))
        print_row(SETTINGS, row.family, source(row), row.setting, f"x{row.scale}", *cells)
    print_notes(
        {f"{row.family}, {source(row)}, {row.setting}": row.note for row in settings if row.note}
    )
    if any(row.family == "mlrn" for row in settings):
        print(UNCHECKED)


def print_head(columns: Columns) -> None:
    """The titles of a table."""
    print_row(columns, *(first for first, _, _ in columns))
    print_row(columns, *(second for _, second, _ in columns))


def print_row(columns: Columns, *cells: str) -> None:
    """One line of a table."""
    widths = [width for _, _, width in columns]
    padded = [
        f"{cell:<{-width}}" if width < 0 else f"{cell:>{width}}"
        for cell, width in zip(cells, widths, strict=True)
    ]
    print("".join(padded).rstrip())


def print_notes(notes: dict[str, str]) -> None:
    """What the stars in a table stand for, and an empty line."""
    for name, note in notes.items():
        print(f"* {name}: {note}")
    print()


def source(row: Ablation) -> str:
    """Where the paper prints it."""
    return row.table if row.table == READING else f"Table {row.table}"


def params(counts: Counts) -> tuple[str, str]:
    """Parameters as printed, in thousands unless to the last digit, and by how much we differ."""
    figure = counts.params_paper
    unit, sign = (1000, "K") if figure.unit == 1000 else (1, "")
    return ("-" if figure.printed is None else f"{figure.printed // unit:,}{sign}"), verdict(
        figure, unit, 0
    )


def macs(counts: Counts, model: str) -> tuple[str, str, str, str]:
    """G multiply-adds: true, by the paper's rule if it is known, printed, and by how much we differ."""
    figure = counts.macs_paper
    by_rule = "-" if rule_of(family(model)).products is None else f"{figure.count / 1e9:.3f}"
    printed = "-" if figure.printed is None else f"{figure.printed / 1e9:.1f}"
    return f"{counts.macs / 1e9:.3f}", by_rule, printed, verdict(figure, 10**9, 1)


def verdict(figure: Figure, unit: int, digits: int) -> str:
    """`=` where the paper's figure is met, else the difference and a star; empty if none is printed."""
    if figure.difference is None:
        return ""
    return f"{figure.difference / unit:+.{digits}f}*" if figure.difference else "="


def side(network: Complexity) -> str:
    """The receptive field: its side, or height and width if they differ."""
    if network.field is None:
        return "-"
    height, width = network.field
    shown = f"{height}" if height == width else f"{height}x{width}"
    return shown + ("+" if network.everywhere else " ")


def to_json(network: Complexity) -> dict[str, Any]:
    """One network's numbers: whole counts, memory in bytes, sizes in LR pixels as height and width."""
    counts, row = network.counts, MODELS[network.model]
    return {
        "model": network.model,
        "scale": network.scale,
        "params": counts.params,
        "params_paper_rule": counts.params_paper.count,
        "macs": counts.macs,
        "macs_paper_rule": counts.macs_paper.count,
        "paper": {"params": counts.params_paper.printed, "macs": counts.macs_paper.printed},
        "difference": {"params": counts.params_paper.difference, "macs": counts.macs_paper.difference},
        "lr_size": lr_size(family(network.model), network.scale),
        "peak_memory": network.memory,
        "receptive_field": network.field,
        "global": network.everywhere,
        "smallest": row.smallest,
        "lr_multiple": row.lr_multiple(network.scale),
    }


if __name__ == "__main__":
    cli.run(main)
