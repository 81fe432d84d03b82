"""Histogram, graph and bars as SVG. Text goes in through ElementTree, which escapes it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from math import ceil, log10
from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

from export.census import Operator

WIDTH = 400
"""Units across. A phone shows one as 0.8 pixels, a wide window as 1.2."""
ROW, LABEL, BAR = 22, 62, 250
SPAN = 6
"""Decades from the shortest bar of a histogram to the longest."""
FURTHEST = 6
"""Levels that have a bar of their own; what is further is one bar at each end."""
CELL, CELLS, PAD, ARROW, LINE = 15, 24, 8, 26, 18


def histogram(levels: Mapping[int, int]) -> Markup:
    """Differences in levels → a bar for each, its length logarithmic, its share beside it."""
    total, binned = sum(levels.values()), Counter[int]()
    for level, count in levels.items():
        binned[max(-FURTHEST - 1, min(FURTHEST + 1, level))] += count
    low, high = min(0, *binned), max(0, *binned)
    said = f"Differences of {total} values: {100 * binned[0] / total:.4g} % are 0."
    svg = _svg(ROW * (high - low + 1), said)
    for place, level in enumerate(range(low, high + 1)):
        middle = ROW * place + ROW / 2
        label(svg, LABEL - 8, middle + 4, _name(level), "end")
        if share := binned[level] / total:
            length = max(2, BAR * (1 + log10(share) / SPAN))
            add(svg, "rect", x=LABEL, y=middle - 7, width=length, height=14, class_="bar")
        else:
            length = 0
        label(svg, LABEL + length + 6, middle + 4, f"{100 * share:.3g} %")
    return as_markup(svg)


def graph(operators: Sequence[Operator], ends: tuple[str, str]) -> Markup:
    """Image in, delegates and the operators between them in the order in which they run, image out.

    A delegate is a box with a cell for each of its operators, any other operator a box with its name.
    """
    said = f"{len(operators)} operators in the order in which they run."
    svg = _svg(0, said)
    top = _box(svg, 0, ends[0], "end")
    for partition, kind, members in _stretches(operators):
        top = _arrow(svg, top)
        if partition is None:
            times = f" × {len(members)}" if len(members) > 1 else ""
            top = _box(svg, top, f"{kind}{times}", "outside")
        else:
            top = _delegate(svg, top, partition, members)
    top = _box(svg, _arrow(svg, top), ends[1], "end")
    svg.set("viewBox", f"0 0 {WIDTH} {top + 1}")
    svg.set("height", str(top + 1))
    return as_markup(svg)


def bars(noises: Sequence[float], weights: Sequence[bool], decades: int = 5) -> Markup:
    """A bar for each quantizer in network order, logarithmic from a power of ten downward."""
    height, left = 180, 46
    step, top = (WIDTH - left) / max(len(noises), 1), 10 ** ceil(log10(max(*noises, 1e-12)))
    svg = _svg(height + 8, f"Noise of {len(noises)} quantizers in network order.")
    for decade in range(decades + 1):
        level = 4 + height * decade / decades
        add(svg, "line", x1=left, y1=level, x2=WIDTH, y2=level, class_="rule")
        label(svg, left - 5, level + 4, f"{top * 10**-decade:.1g}", "end", "small")
    for place, (noise, weight) in enumerate(zip(noises, weights, strict=True)):
        if noise <= 0:
            continue
        length = height * max(0.0, 1 + log10(noise / top) / decades)
        x, y = left + place * step, 4 + height - length
        colour = "bar weight" if weight else "bar"
        add(svg, "rect", x=x, y=y, width=max(0.6, 0.85 * step), height=length, class_=colour)
    return as_markup(svg)


def add(parent: Element, tag: str, **attributes: float | str) -> Element:
    """A new element in `parent`; `class_` is class, `text_anchor` text-anchor, numbers are short."""
    words = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    texts = {key: v if isinstance(v, str) else f"{v:.6g}" for key, v in words.items()}
    return SubElement(parent, tag, texts)


def _svg(height: float, said: str) -> Element:
    svg = Element("svg", {"viewBox": f"0 0 {WIDTH} {height:g}", "role": "img", "aria-label": said})
    svg.set("width", str(WIDTH))
    svg.set("height", f"{height:g}")
    return svg


def as_markup(svg: Element) -> Markup:
    """For a page."""
    return Markup(tostring(svg, encoding="unicode"))  # ElementTree has escaped it


def label(
    svg: Element, x: float, y: float, content: str, anchor: str = "start", class_: str = ""
) -> Element:
    """Words that begin, end or have their middle at x."""
    element = add(svg, "text", x=x, y=y, text_anchor=anchor, class_=class_)
    element.text = content
    return element


def _name(level: int) -> str:
    if abs(level) > FURTHEST:
        return f"{'≤ −' if level < 0 else '≥ '}{FURTHEST + 1}"
    return f"{level:+}".replace("-", "−") if level else "0"


def _stretches(operators: Sequence[Operator]) -> Iterator[tuple[int | None, str, list[Operator]]]:
    """Partition, kind and operators of each box: a delegate's are one box, others by their kind."""

    def key(operator: Operator) -> tuple[int | None, str]:
        return operator.partition, operator.kind if operator.partition is None else ""

    for (partition, kind), members in groupby(operators, key):
        yield partition, kind, list(members)


def _box(svg: Element, top: float, text: str, class_: str) -> float:
    """A box with a name; its lower edge."""
    width, height = min(WIDTH - 2, 24 + 8 * len(text)), 30
    left = (WIDTH - width) / 2
    add(svg, "rect", x=left, y=top + 1, width=width, height=height, rx=4, class_=f"box {class_}")
    label(svg, WIDTH / 2, top + 21, text, "middle")
    return top + 1 + height


def _arrow(svg: Element, top: float) -> float:
    middle, end = WIDTH / 2, top + ARROW - 2
    add(svg, "line", x1=middle, y1=top + 2, x2=middle, y2=end - 4, class_="arrow")
    add(
        svg,
        "path",
        d=f"M{middle - 4} {end - 6} L{middle} {end} L{middle + 4} {end - 6} Z",
        class_="head",
    )
    return top + ARROW


def _delegate(svg: Element, top: float, partition: int, members: list[Operator]) -> float:
    rows = ceil(len(members) / CELLS)
    height = 2 * PAD + LINE + rows * CELL
    left = (WIDTH - CELLS * CELL) / 2
    add(svg, "rect", x=1, y=top + 1, width=WIDTH - 2, height=height, rx=4, class_="box delegate")
    ones = "operator" if len(members) == 1 else "operators"
    label(svg, left, top + PAD + 12, f"delegate {partition + 1}: {len(members)} {ones}")
    for place, member in enumerate(members):
        x, y = left + CELL * (place % CELLS), top + 1 + PAD + LINE + CELL * (place // CELLS)
        cell = add(svg, "rect", x=x + 1.5, y=y + 1.5, width=CELL - 3, height=CELL - 3)
        cell.set("class", f"cell {member.computes}")
        SubElement(cell, "title").text = f"{place + 1}: {member.kind}, {member.computes}"
    return top + 1 + height
