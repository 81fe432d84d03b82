"""Where the time of files goes, as a flame graph: a run, above it the kinds of operators, above each of
those its operators one by one, all as wide as they take long.
"""

from collections.abc import Iterator
from pathlib import Path

from edgesr.errors import UserError
from edgesr.files import replacing
from export.profile import Kind

DRAWN = (".png", ".svg")
"""What can be drawn."""
LEAST = 0.08
"""The share of a run from which there is room for a kind's name."""

Block = tuple[int, float, float, int]
"""Its layer from below, where it begins and how long it is in ms, the number of its kind."""


def blocks(kinds: list[Kind]) -> Iterator[Block]:
    """The blocks of one file, the longest kind and in it the longest operator first."""
    begin = 0.0
    for number, kind in enumerate(kinds):
        yield 1, begin, kind.ms, number
        left = begin
        for ms in sorted(kind.each, reverse=True):
            yield 2, left, ms, number
            left += ms
        begin += kind.ms


def draw(profiles: list[tuple[str, list[Kind]]], path: Path) -> None:
    """A graph for each (file name, its kinds of operators). UserError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("matplotlib draws the plot. Type: pip install 'edgesr[plot]'") from None

    figure = Figure(figsize=(11, 2.4 * len(profiles)), layout="constrained")
    for index, (name, kinds) in enumerate(profiles):
        total = sum(kind.ms for kind in kinds)
        axes = figure.add_subplot(len(profiles), 1, index + 1, xlabel="ms", yticks=[], xlim=(0, total))
        axes.barh(0, total, height=1, color="lightgrey", edgecolor="white")
        axes.text(total / 2, 0, f"{name}: {total:.1f} ms", ha="center", va="center", fontsize=8)
        for layer, begin, ms, number in blocks(kinds):
            axes.barh(
                layer, ms, left=begin, height=1, color=f"C{number % 10}", edgecolor="white", lw=0.3
            )
            if layer == 1 and ms > LEAST * total:
                label = f"{kinds[number].name}\n{100 * kinds[number].share:.0f} %"
                axes.text(begin + ms / 2, 1, label, ha="center", va="center", fontsize=6, wrap=True)
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix.removeprefix("."))
