"""Draw quality against cost from the papers' tables: python -m recipes.plot --out tradeoff.svg"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edgesr import cli
from edgesr.errors import UserError, unknown
from edgesr.files import replacing
from edgesr.models import DEFAULT_SCALE, chosen_scale
from edgesr.models.published import BENCHMARKS, OWN_ROWS, Published, rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".svg", ".png")
COSTS = {
    "macs": ("G multiply-adds for a 1280 × 720 image", 1_000_000_000),
    "params": ("thousand parameters", 1_000),
}
# Colour and marker of each family: either tells them apart without the other.
FAMILIES = {
    "lffn": ("#c0392b", "o"),
    "osffnet": ("#1f5fa8", "s"),
    "mlrn": ("#8e44ad", "P"),
    "maffsrn": ("#1e8449", "^"),
    "msfin": ("#a8650a", "D"),
}
PEER = ("#707070", "o")
LEGEND = (
    "Hollow: self-ensemble. Dotted: the paper prints no such cost. "
    "Grey triangle at the bottom: further down, at the value beside it."
)
DPI = 100
POINTS = 72 / DPI  # in a pixel: a place told in pixels would be another in an SVG
# Where a label may stand: pixels between it and its point, and directions in degrees.
DISTANCES = (2, 6, 12, 20, 30, 42, 56)
ANGLES = range(0, 360, 20)


class Label(NamedTuple):
    """A name to write beside a point."""

    text: str
    spot: tuple[float, float]
    """In the units of the axes."""
    ours: bool
    colour: str


def main() -> None:
    """Draw, and say where the picture is."""
    args = parse()
    tradeoff(args.out, dataset=args.dataset, scale=chosen_scale(args.scale))
    print(args.out)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.plot",
        description="Draw PSNR against multiply-adds and parameters, as the five papers print them.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="an .svg or .png file")
    known = ", ".join(datasets())
    parser.add_argument("--dataset", default="Set5", help=f"one of {known} (default: Set5)")
    parser.add_argument("--scale", type=int, help=f"2, 3 or 4 (default: {DEFAULT_SCALE})")
    return parser.parse_args()


def datasets() -> list[str]:
    """What the papers compare on."""
    return list(dict.fromkeys(row.dataset for row in rows() if row.table == BENCHMARKS[row.paper]))


def points(dataset: str, scale: int) -> list[Published]:
    """One row for each method: of our networks the one in their own paper, else the first with a cost.

    Rows with a misprint are left out. UserError for a dataset or scale that no paper compares on.
    """
    if dataset not in datasets():
        raise unknown("dataset", dataset, datasets())
    chosen: dict[str, Published] = {}
    for row in rows():
        wanted = row.table == BENCHMARKS[row.paper] and row.dataset == dataset
        if not wanted or row.scale != chosen_scale(scale) or row.psnr is None or row.misprint:
            continue
        if is_ours(row) or (row.method not in chosen and (row.params or row.macs)):
            chosen[row.method] = row
    return list(chosen.values())


def is_ours(row: Published) -> bool:
    """Whether this is a network of ours in its own paper, alone or as a self-ensemble (with a "+")."""
    return (row.paper, row.table, row.method.removesuffix("+")) in OWN_ROWS.values()


def score(row: Published) -> float:
    """Its PSNR, which every row of `points` has."""
    assert row.psnr is not None
    return row.psnr


def tradeoff(path: Path, *, dataset: str = "Set5", scale: int = DEFAULT_SCALE) -> None:
    """Write two panels to `path`. UserError for an unknown dataset, scale or suffix."""
    if path.suffix not in SUFFIXES:
        raise UserError(f"Cannot draw into {path}: its name must end in {' or '.join(SUFFIXES)}.")
    shown = points(dataset, scale)
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("matplotlib draws the plot. Type: pip install 'edgesr[plot]'") from None

    # A fixed salt and no date: the same numbers give the same file.
    with mpl.rc_context({"font.size": 9, "svg.hashsalt": "edgesr"}), replacing(path) as temporary:
        figure = Figure(figsize=(9, 11), dpi=DPI)
        FigureCanvasAgg(figure)
        figure.subplots_adjust(left=0.075, right=0.91, top=0.945, bottom=0.075, hspace=0.16)
        figure.suptitle(f"PSNR on {dataset} ×{scale} against cost, as the papers print them", y=0.98)
        figure.text(0.5, 0.015, LEGEND, ha="center", fontsize=8)
        for axes, cost in zip(figure.subplots(2, 1), COSTS, strict=True):
            draw_panel(axes, shown, cost)
        figure.savefig(temporary, dpi=DPI, metadata={"Date": None} if path.suffix == ".svg" else None)


def draw_panel(axes: "Axes", shown: list[Published], cost: str) -> None:
    """One cost: points and labels, and at the right edge our networks whose paper does not print it."""
    from matplotlib.ticker import LogLocator

    name, unit = COSTS[cost]
    scores = np.array([score(row) for row in shown])
    low, high = np.percentile(scores, (25, 75))
    bottom = max(scores.min(), low - 1.5 * (high - low))  # what lies further down would flatten the rest
    space = 0.06 * (scores.max() - bottom)
    axes.set(xscale="log", xlabel=f"{name}, logarithmic", ylabel="PSNR in dB")
    axes.set_ylim(bottom - space, scores.max() + space)
    axes.margins(x=0.06)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter("")
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)

    labels = []
    for row in (row for row in shown if getattr(row, cost)):
        spot = (getattr(row, cost) / unit, max(score(row), bottom))
        colour, marker = FAMILIES[row.paper] if is_ours(row) else PEER
        face = "white" if row.method.endswith("+") else colour
        size, text = 52 if is_ours(row) else 20, row.method
        if score(row) < bottom:
            marker, text = "v", f"{row.method} {score(row):.2f}"
        axes.scatter(*spot, size, face, marker=marker, edgecolors=colour, zorder=3)
        labels.append(Label(text, spot, is_ours(row), colour))
    costless = [row for row in shown if is_ours(row) and not getattr(row, cost)]
    lines = write_at_edge(axes, [row for row in costless if not row.method.endswith("+")])
    write_labels(axes, labels, lines)


def write_at_edge(axes: "Axes", costless: list[Published]) -> list[float]:
    """A dotted line at each PSNR and the name at its right end, names a line's height apart.

    Returns the heights of the lines, in pixels.
    """
    style: dict[str, Any] = {"textcoords": "offset points", "va": "center", "weight": "bold"}
    lowest, heights = np.inf, []
    for row in sorted(costless, key=score, reverse=True):
        colour, height = FAMILIES[row.paper][0], axes.transData.transform((1, score(row)))[1]
        heights.append(height)
        lowest = min(lowest - 14, height)
        lift = (0, (lowest - height) * POINTS)
        axes.axhline(score(row), color=colour, linestyle=":", linewidth=0.8, zorder=1)
        where = (1.01, score(row))
        frame = axes.get_yaxis_transform()
        axes.annotate(row.method, where, lift, xycoords=frame, color=colour, **style)
    return heights


def write_labels(axes: "Axes", labels: list[Label], lines: list[float]) -> None:
    """Write each label beside its spot, where it covers least, with a line to it if that is far."""
    style: dict[str, Any] = {
        "textcoords": "offset points",
        "ha": "center",
        "va": "center",
        "zorder": 2,  # below the points
        "arrowprops": {"arrowstyle": "-", "color": "#a0a0a0", "lw": 0.6, "shrinkA": 0, "shrinkB": 0},
    }
    texts = []
    for text, spot, ours, colour in labels:
        font = {"size": 9, "weight": "bold"} if ours else {"size": 8, "weight": "normal"}
        texts.append(axes.annotate(text, spot, (0, 0), color=colour, **font, **style))
    sizes = np.array([text.get_window_extent().size for text in texts])
    spots = axes.transData.transform([label.spot for label in labels])
    radii = np.array([7 if label.ours else 4 for label in labels])
    frame = np.array(axes.bbox.extents)
    bars = np.array([(frame[0], line - 1, frame[2], line + 1) for line in lines]).reshape(-1, 4)
    offsets = placed(spots, radii, sizes, bars, frame)
    gaps = np.linalg.norm(np.maximum(abs(offsets) - sizes / 2, 0), axis=1)
    for text, offset, far in zip(texts, offsets, gaps > 16, strict=True):
        text.set_position(offset * POINTS)
        assert text.arrow_patch is not None
        text.arrow_patch.set_visible(far)


def placed(
    spots: np.ndarray, radii: np.ndarray, sizes: np.ndarray, bars: np.ndarray, frame: np.ndarray
) -> np.ndarray:
    """Offsets of label centres from their points, so that labels cover little; all in pixels.

    `spots` and `sizes` are [n, 2], `radii` of the points [n], `bars` to keep off [m, 4]; a bar and
    `frame` are left, bottom, right, top. Each label in turn takes the cheapest place beside the others.
    """
    reach = np.repeat(DISTANCES, len(ANGLES))
    turns = np.radians(np.tile(ANGLES, len(DISTANCES)))
    directions = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    dots = box(spots, radii[:, None])
    offsets, boxes = np.zeros_like(spots), np.tile(spots, 2)
    for _ in range(3):
        for i, (spot, size, radius) in enumerate(zip(spots, sizes, radii, strict=True)):
            offers = directions * (radius + reach[:, None] + size / 2)
            places = box(spot + offers, size / 2)
            others = np.delete(boxes, i, axis=0)
            price = overlap(places, others) + 3 * overlap(places, dots) + overlap(places, bars)
            price += 2 * reach
            barred = np.concatenate([others, np.delete(dots, i, axis=0)])
            for share in (0.3, 0.6):  # nor should the line from the point run through anything
                price += overlap(box(spot + share * offers, 3), barred)
            outside = np.maximum(frame[:2] - places[:, :2], places[:, 2:] - frame[2:]).max(axis=1)
            best = np.argmin(price + 100 * np.maximum(outside, 0))
            offsets[i], boxes[i] = offers[best], places[best]
    return offsets


def box(centres: np.ndarray, half: np.ndarray | float) -> np.ndarray:
    """Left, bottom, right, top around each of `centres` [n, 2]."""
    return np.concatenate([centres - half, centres + half], axis=1)


def overlap(places: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The area that each of `places` [n, 4] shares with all `others` [m, 4] together."""
    left, bottom, right, top = (places[:, side, None] for side in range(4))
    width = np.minimum(right, others[:, 2]) - np.maximum(left, others[:, 0])
    height = np.minimum(top, others[:, 3]) - np.maximum(bottom, others[:, 1])
    return (np.maximum(width, 0) * np.maximum(height, 0)).sum(axis=1)


if __name__ == "__main__":
    cli.run(main)
