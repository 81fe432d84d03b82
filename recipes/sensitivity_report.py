"""What `recipes.sensitivity` found, as tables, JSON and a picture."""

from itertools import accumulate, groupby
from math import fsum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesr.errors import UserError
from edgesr.files import replacing
from edgesr.quantization.sensitivity import Effect, Probe, Row, Sensitivity
from recipes.plot import DPI, FAMILIES, POINTS, SUFFIXES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = [colour for colour, _ in FAMILIES.values()] + [
    "#12908e",
    "#d9679f",
    "#9ccc3c",
    "#4a4a4a",
    "#5bb8e8",
    "#f0b429",
    "#6b4226",
    "#a9a9a9",
]
NUMBERED = 10
CROWDED = 40  # names of modules at the most, side by side
LETTERS = (15, 12)  # pixels that a rank is wide and high
LEGEND = (
    f"Numbers: the {NUMBERED} noisiest, by rank. Below: uppermost modules, of crowded ones the largest."
)
MISSING = "matplotlib draws the plot. Type: pip install 'edgesr[plot]'"


def print_groups(found: Sensitivity) -> None:
    """A line per group, with the sum of its members' noises for comparison."""
    alone = {row.members[0]: row.alone.noise for row in found.singles}
    print(f"\n{'':32}{'quantizers':>10}{'noise':>11}{'sum':>11}{'lost dB':>9}")
    for row in found.groups:
        total = fsum(alone[member] for member in row.members)
        noises = f"{row.alone.noise:11.4f}{total:11.4f}"
        print(f"{row.name:32}{len(row.members):10}{noises}{row.alone.lost:9.3f}")


def print_singles(found: Sensitivity, probe: Probe, top: int) -> None:
    """The `top` quantizers by noise."""
    ranked, shares = by_noise(found), share_of(found)
    width = 2 + max(len(row.name) for row in ranked[:top])
    gains = f"{'gained':>10}{'dB':>8}" if ranked[0].rest else ""
    head = f"{'noise':>10}{'share':>8}{'to here':>8}{'lost dB':>9}{'step':>11}{'bits':>6}{'places':>8}"
    print(f"\n{'':4}{'quantizer':{width}}{'kind':20}{head}{gains}")
    so_far = accumulate(shares[row.name] for row in ranked)
    for rank, (row, reached) in enumerate(zip(ranked[:top], so_far, strict=False), start=1):
        own = row.members[0]
        parts = f"{row.alone.noise:10.4f}{shares[row.name]:8.1%}{reached:8.1%}{row.alone.lost:9.3f}"
        scale = f"{own.step:11.3g}{probe.bits[own]:6.1f}{len(own.places):8}"
        gain = "{:10.4f}{:8.3f}".format(*gained(found, row.rest)) if row.rest else ""
        print(f"{rank:<4}{row.name:{width}}{own.kind:20}{parts}{scale}{gain}")


def by_noise(found: Sensitivity) -> list[Row]:
    """The quantizers, noisiest first."""
    return sorted(found.singles, key=lambda row: -row.alone.noise)


def share_of(found: Sensitivity) -> dict[str, float]:
    """Name → its part of the sum of all noises."""
    total = fsum(row.alone.noise for row in found.singles) or 1.0
    return {row.name: row.alone.noise / total for row in found.singles}


def gained(found: Sensitivity, rest: Effect) -> Effect:
    """Noise and PSNR gained over all quantizers by leaving one out."""
    everything = found.groups[0].alone
    return Effect(everything.noise - rest.noise, everything.lost - rest.lost)


def to_json(found: Sensitivity, probe: Probe, origin: dict[str, Any]) -> dict[str, Any]:
    """Everything: noises in 8-bit levels squared, PSNR in dB; quantizers in network order."""
    return {
        "psnr_all_off": probe.psnr,
        "protocol": {"channel": "y", "shave": probe.scale},
        "groups": [
            {"name": row.name, "members": [m.name for m in row.members], **row.alone._asdict()}
            for row in found.groups
        ],
        "quantizers": [_single(found, probe, row) for row in found.singles],
        "origin": origin,
    }


def _single(found: Sensitivity, probe: Probe, row: Row) -> dict[str, Any]:
    own = row.members[0]
    facts = {"name": row.name, "kind": own.kind, "part": own.part, "path": own.path}
    facts |= {"places": list(own.places), "step": own.step, "bits": probe.bits[own]}
    facts |= row.alone._asdict() | {"share": share_of(found)[row.name]}
    return facts | ({"gained": gained(found, row.rest)._asdict()} if row.rest else {})


def check_plot(path: Path) -> None:
    """UserError if nothing could be drawn there: better said before than after the measuring."""
    if path.suffix not in SUFFIXES:
        raise UserError(f"Cannot draw into {path}: its name must end in {' or '.join(SUFFIXES)}.")
    try:
        import matplotlib as mpl
    except ImportError:
        raise UserError(MISSING) from None
    assert mpl


def draw(path: Path, found: Sensitivity, title: str) -> None:
    """Write a bar per quantizer, in network order, to `path`."""
    check_plot(path)
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A fixed salt and no date: the same numbers give the same file.
    with mpl.rc_context({"font.size": 9, "svg.hashsalt": "edgesr"}), replacing(path) as temporary:
        figure = Figure(figsize=(13, 6), dpi=DPI)
        FigureCanvasAgg(figure)
        figure.subplots_adjust(left=0.06, right=0.985, top=0.89, bottom=0.17)
        figure.suptitle(f"{title}: what each quantizer alone does to SR, in network order", y=0.97)
        draw_bars(figure.subplots(), found)
        figure.text(0.5, 0.015, LEGEND, ha="center", fontsize=8)
        figure.savefig(temporary, dpi=DPI, metadata={"Date": None} if path.suffix == ".svg" else None)


def draw_bars(axes: "Axes", found: Sensitivity) -> None:
    """Bars by kind, ranks over the noisiest, uppermost modules below."""
    rows = found.singles
    noises = [row.alone.noise for row in rows]
    kinds = list(dict.fromkeys(row.members[0].kind for row in rows))
    for number, kind in enumerate(kinds):
        places = [place for place, row in enumerate(rows) if row.members[0].kind == kind]
        heights, colour = [noises[place] for place in places], COLOURS[number % len(COLOURS)]
        axes.bar(places, heights, 0.9, color=colour, label=kind, zorder=2)
    axes.set(xlim=(-1, len(rows)), ylabel="noise in 8-bit levels², logarithmic", yscale="log")
    top = max(max(noises), 1e-12)  # a log axis has no place for a network without noise
    axes.set_ylim(top * 1e-5, top * 2)
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(ncols=len(kinds), frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1))
    name_blocks(axes, rows)
    write_ranks(axes, [(rows.index(row), row.alone.noise) for row in by_noise(found)[:NUMBERED]])


def name_blocks(axes: "Axes", rows: list[Row]) -> None:
    """A line where each uppermost module begins, and its name below; of crowded ones the largest."""
    blocks = groupby(range(len(rows)), key=lambda place: rows[place].members[0].block)
    spans = [(name, list(places)) for name, places in blocks]
    axes.set_xticks([places[0] - 0.5 for _, places in spans], ["" for _ in spans])
    named: dict[float, str] = {}
    for name, places in sorted(spans, key=lambda span: -len(span[1])):
        centre = (places[0] + places[-1]) / 2
        if all(abs(centre - other) > len(rows) / CROWDED for other in named):
            named[centre] = name
    axes.set_xticks(list(named), list(named.values()), rotation=60, ha="right", minor=True)
    axes.tick_params("x", which="minor", length=0, labelsize=8)


def write_ranks(axes: "Axes", spots: list[tuple[float, float]]) -> None:
    """1, 2, … over these spots, each lifted until it is clear of the others."""
    taken: list[tuple[float, float]] = []
    for rank, spot in enumerate(spots, start=1):
        across, up = axes.transData.transform(spot)
        height = up + 2
        while any(abs(across - x) < LETTERS[0] and abs(height - y) < LETTERS[1] for x, y in taken):
            height += 1
        taken.append((across, height))
        lift = (0, (height - up) * POINTS)
        axes.annotate(str(rank), spot, lift, textcoords="offset points", ha="center", fontsize=8)
