"""The operators of a file and what each hands to whom, as SVG: a line for each operator, as they run.

A result goes down in a column of its own from who made it to its last reader, whose column it then is;
so a chain is one straight line and what skips operators runs beside it. Columns are used again.
"""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement

from markupsafe import Markup

from export.census import IMAGE, Operator
from export.web.drawing import add, as_markup, label

ROW, COLUMN, LEFT, RADIUS, MARGIN = 18, 12, 14, 4, 6
NAME = 190
"""Units that a name may take."""


def flow(operators: Sequence[Operator], ends: tuple[str, str]) -> Markup:
    """A row for the image, for each operator and for SR; a line from who writes to who reads."""
    columns, readers = layout(operators)
    width = LEFT + COLUMN * (max(columns) + 1) + NAME
    height = ROW * len(columns) + 2 * MARGIN
    svg = Element("svg", {"viewBox": f"0 0 {width} {height}", "role": "img", "class": "flow"})
    svg.set("width", str(width))
    svg.set("height", str(height))
    svg.set("aria-label", f"{len(operators)} operators and what each hands to whom.")
    _bands(svg, operators, width)
    for row, reading in enumerate(readers):
        for reader in reading:
            add(svg, "path", d=_line(columns, row, reader, max(reading)), class_="edge")
    kinds = [("end", ends[0], ends[0]), *map(_said, operators, range(len(operators)))]
    for row, (kind, name, title) in enumerate([*kinds, ("end", ends[1], ends[1])]):
        group = add(svg, "g", class_="step")
        SubElement(group, "title").text = title
        top = MARGIN + ROW * row
        add(group, "rect", x=0, y=top, width=width, height=ROW, class_="hit")
        add(group, "circle", cx=_x(columns[row]), cy=top + ROW / 2, r=RADIUS, class_=f"cell {kind}")
        label(group, width - NAME + 8, top + ROW / 2 + 4, name)
    return as_markup(svg)


def layout(operators: Sequence[Operator]) -> tuple[list[int], list[list[int]]]:
    """Of each row, its column and the rows that read it. Row 0 is the image, the last one is SR."""
    count = len(operators) + 2
    sources = [[], *([source + 1 for source in o.sources] for o in operators)]
    readers: list[list[int]] = [[] for _ in range(count)]
    for row, found in enumerate(sources):
        for source in found:
            readers[source].append(row)
    if operators:
        sources.append(
            [row for row in range(1, count - 1) if not readers[row]]
        )  # nobody else wants them
    else:
        sources.append([IMAGE + 1])
    for source in sources[-1]:
        readers[source].append(count - 1)
    columns: list[int] = []
    taken: dict[int, int] = {}  # column → row until which it is
    for row in range(count):
        free = [columns[source] for source in sources[row] if readers[source][-1] == row]
        busy = {column for column, last in taken.items() if last >= row and column not in free}
        columns.append(min(free) if free else next(c for c in range(count) if c not in busy))
        taken[columns[row]] = readers[row][-1] if readers[row] else row
    return columns, readers


def _said(operator: Operator, number: int) -> tuple[str, str, str]:
    """Class, name and title of an operator."""
    outside = operator.partition is None
    where = "outside" if outside else f"delegate {operator.partition + 1}"  # pyright: ignore
    read = ", ".join("the image" if source == IMAGE else str(source + 1) for source in operator.sources)
    title = f"{number + 1}: {operator.kind}, {operator.computes}, {where}; reads {read or 'constants'}"
    return "outside" if outside else operator.computes, f"{number + 1} {operator.kind}", title


def _bands(svg: Element, operators: Sequence[Operator], width: float) -> None:
    """A ground below each run of one delegate's operators."""
    begin = 0
    for row in range(1, len(operators) + 1):
        if row < len(operators) and operators[row].partition == operators[begin].partition:
            continue
        if operators[begin].partition is not None:
            top, height = MARGIN + ROW * (begin + 1), ROW * (row - begin)
            add(svg, "rect", x=1, y=top, width=width - 2, height=height, rx=4, class_="box delegate")
        begin = row


def _line(columns: Sequence[int], writer: int, reader: int, last: int) -> str:
    """Down the writer's column for its last reader; across from there, in the row before it, for any."""
    x, y = _x(columns[writer]), MARGIN + ROW * (writer + 0.5)
    to_x, to_y = _x(columns[reader]), MARGIN + ROW * (reader + 0.5)
    if x == to_x:
        return f"M{x} {y}V{to_y}"
    turn, middle = to_y - ROW, to_y - ROW / 2
    down = f"M{x} {y if reader == last else turn}V{turn}"
    return f"{down}C{x} {middle} {to_x} {middle} {to_x} {to_y}"


def _x(column: int) -> float:
    return LEFT + COLUMN * column
