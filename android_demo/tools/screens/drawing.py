"""Screens as SVG. Every text is set to the width that the layout counted on, whatever font shows it."""

import base64
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from android_demo.tools.screens.layout import COMPARE, Box
from android_demo.tools.screens.resources import Colour, Resources
from android_demo.tools.screens.states import LR_HEIGHT, LR_WIDTH, Screen
from android_demo.tools.screens.text import ASCENT, DESCENT, Font

FONT = "Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
BAR = Colour(128, 128, 128, 0.25)
INK, PAPER = "#202124", "#ffffff"
SPLIT = 0.5
CORNER = 12


@dataclass(frozen=True)
class Frame:
    """A screen with its bars (start, top, end, bottom; dp), and what is on it."""

    width: float
    height: float
    bars: tuple[float, float, float, float]
    root: Box
    screen: Screen
    resources: Resources
    word: Font
    """The font on the picture."""


def picture(name: str, path: Path) -> str:
    """An image that screens refer to by its name."""
    content = base64.b64encode(path.read_bytes()).decode()
    size = f'width="{4 * LR_WIDTH}" height="{4 * LR_HEIGHT}"'
    return f'<image id="{name}" {size} href="data:image/jpeg;base64,{content}"/>'


def screen_svg(frame: Frame, key: str) -> list[str]:
    """The elements of one screen, at (0, 0). `key` is its own among all of a file."""
    ground = frame.resources.colour("?attr/colorBackground")
    size = f'width="{_n(frame.width)}" height="{_n(frame.height)}"'
    parts = [f'<clipPath id="{key}"><rect {size} rx="{CORNER}"/></clipPath>']
    parts.append(f'<g clip-path="url(#{key})">')
    parts.append(_rect(0, 0, frame.width, frame.height, ground))
    for box in frame.root.all():
        parts += _view(box, frame, f"{key}-{box.name}")
    parts += _bars(frame)
    parts += ["</g>", f'<rect {size} rx="{CORNER}" fill="none" stroke="#9aa0a6" stroke-width="2"/>']
    return parts


def label(x: float, y: float, size: float, text: str, bold: bool = False) -> str:
    """A line of the sheet itself, beside the screens."""
    weight = ' font-weight="500"' if bold else ""
    place = f'x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}"'
    return f'<text {place} fill="{INK}"{weight}>{escape(text)}</text>'


def sheet(width: float, height: float, parts: list[str]) -> str:
    """A whole file, shown at half its size."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}"'
    head += f' width="{_n(width / 2)}" height="{_n(height / 2)}" font-family="{FONT}">'
    paper = f'<rect width="{_n(width)}" height="{_n(height)}" fill="{PAPER}"/>'
    return "\n".join([head, paper, *parts, "</svg>", ""])


def _view(box: Box, frame: Frame, key: str) -> list[str]:
    if box.kind == COMPARE:
        return _compare(box, frame, key)
    if box.kind == "ProgressBar":
        return _progress(box, frame)
    if box.font is None:
        return []
    enabled = box.name in frame.screen.enabled or box.kind == "TextView"
    colour = frame.resources.colour(box.colour, enabled)
    parts = _lines(box, box.font, colour)
    if box.kind == "Spinner":
        arrow = frame.resources.colour("?attr/colorControlNormal", enabled)
        x, y = box.x + box.width - 24, box.y + box.height / 2
        parts.append(f'<path d="M{_n(x - 5)} {_n(y - 2.5)}h10l-5 5z" {_fill(arrow)}/>')
    return parts


def _lines(box: Box, font: Font, colour: Colour) -> list[str]:
    """In the middle of a button, at the top of a TextView, at the start of a spinner."""
    start, top, end, bottom = box.padding
    y = box.y + top
    if box.kind != "TextView":
        y += (box.height - top - bottom - font.height(len(box.lines))) / 2
    parts = []
    for number, line in enumerate(box.lines):
        width = font.width(line)
        x = box.x + start
        if box.kind == "Button":
            x += (box.width - start - end - width) / 2
        parts.append(_text(x, y + font.baseline(number), line, font, colour))
    return parts


def _progress(box: Box, frame: Frame) -> list[str]:
    done = frame.screen.progress
    if done is None:
        return []
    colour = frame.resources.colour("?attr/colorControlActivated")
    height = _dp(frame, "@android:dimen/progress_bar_height_material")
    y = box.y + (box.height - height) / 2
    return [
        _rect(box.x, y, box.width, height, colour.faded(0.3)),
        _rect(box.x, y, done * box.width, height, colour),
    ]


def _compare(box: Box, frame: Frame, key: str) -> list[str]:
    """Before, and right of the slider after, as far as it is done: CompareView's drawing."""
    done = frame.screen.rows_done
    if done is None:
        return []
    zoom = min(box.width / (4 * LR_WIDTH), box.height / (4 * LR_HEIGHT))
    width, height = 4 * LR_WIDTH * zoom, 4 * LR_HEIGHT * zoom
    x, y = box.x + (box.width - width) / 2, box.y + (box.height - height) / 2
    shown = f'transform="translate({_n(x)} {_n(y)}) scale({zoom:.4f})"'
    parts = [f'<use href="#before" {shown}/>']
    if done == 0:
        return parts
    at = box.x + SPLIT * box.width
    seen = _area(at, box.y, box.x + box.width - at, y + done * height - box.y)
    parts.append(f'<clipPath id="{key}"><rect {seen}/></clipPath>')
    parts.append(f'<g clip-path="url(#{key})"><use href="#after" {shown}/></g>')
    return parts + _slider(box, frame, at)


def _slider(box: Box, frame: Frame, at: float) -> list[str]:
    ink, ground = (frame.resources.colour(f"@color/{name}") for name in ("slider", "slider_ground"))
    radius, thick, space = (_dp(frame, f"@dimen/slider_{name}") for name in ("radius", "line", "space"))
    middle = box.y + box.height / 2
    parts = [
        _rect(at - thick, box.y, 2 * thick, box.height, ground),
        _circle(at, middle, radius + thick / 2, ground),
        _rect(at - thick / 2, box.y, thick, box.height, ink),
        _circle(at, middle, radius, ink),
    ]
    before, after = frame.resources.string("before"), frame.resources.string("after")
    parts += _word(before, at - radius - 2 * space - frame.word.width(before), middle, frame, space)
    return parts + _word(after, at + radius + 2 * space, middle, frame, space)


def _word(word: str, x: float, middle: float, frame: Frame, space: float) -> list[str]:
    font = frame.word
    ink, ground = (frame.resources.colour(f"@color/{name}") for name in ("slider", "slider_ground"))
    height = font.size * (ASCENT + DESCENT)
    top = middle - height / 2
    return [
        _rect(x - space, top - space / 2, font.width(word) + 2 * space, height + space, ground),
        _text(x, top + font.size * ASCENT, word, font, ink),
    ]


def _bars(frame: Frame) -> list[str]:
    start, top, end, bottom = frame.bars
    width, height = frame.width, frame.height
    bars = [
        _rect(0, 0, width, top, BAR) if top else "",
        _rect(0, height - bottom, width, bottom, BAR) if bottom else "",
        _rect(0, top, start, height - top, BAR) if start else "",
        _rect(width - end, top, end, height - top, BAR) if end else "",
    ]
    return [bar for bar in bars if bar]


def _text(x: float, y: float, text: str, font: Font, colour: Colour) -> str:
    weight = ' font-weight="500"' if font.weight == "medium" else ""
    width = f'textLength="{_n(font.width(text))}"'
    place = f'x="{_n(x)}" y="{_n(y)}" font-size="{_n(font.size)}"'
    return f"<text {place}{weight} {width} {_fill(colour)}>{escape(text)}</text>" if text else ""


def _rect(x: float, y: float, width: float, height: float, colour: Colour) -> str:
    return f"<rect {_area(x, y, width, height)} {_fill(colour)}/>"


def _area(x: float, y: float, width: float, height: float) -> str:
    return f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'


def _circle(x: float, y: float, radius: float, colour: Colour) -> str:
    return f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" {_fill(colour)}/>'


def _dp(frame: Frame, dimension: str) -> float:
    return float(frame.resources.value(dimension).removesuffix("dp"))


def _fill(colour: Colour) -> str:
    text = 'fill="#{:02x}{:02x}{:02x}"'.format(*colour.levels)
    return text if colour.opacity == 1 else f'{text} fill-opacity="{colour.opacity:.2f}"'


def _n(value: float) -> str:
    """A tenth of a dp is enough, and is the same on every machine."""
    return f"{round(value, 1) + 0.0:g}"
