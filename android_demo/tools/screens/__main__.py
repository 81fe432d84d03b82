"""python -m android_demo.tools.screens: see the package's docstring."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import android_demo.tools.screens as package
from android_demo.tools.screens import drawing, states
from android_demo.tools.screens.checks import faults
from android_demo.tools.screens.drawing import Frame
from android_demo.tools.screens.layout import Layout, Room
from android_demo.tools.screens.resources import Resources
from android_demo.tools.screens.states import Screen
from android_demo.tools.screens.text import Font
from android_demo.tools.toolchain import ASSETS, DEMO
from edgesr.files import replacing, write_text

MAIN = DEMO / "app" / "src" / "main"
FOLDER = DEMO / "screens"
SHEET = FOLDER / "screens.svg"
THEMES = {"light": False, "dark": True}
CAPTION = [
    "Drawing, not a screenshot: no phone and no part of Android made it.",
    "Laid out from the app's own layouts, strings, colours, dimensions and themes by python -m"
    " android_demo.tools.screens, with Roboto's letter widths and the styles of Android 10.",
    "The picture is drawn by this project and enlarged by the bundled int8 model. Times, speed and"
    " memory are placeholders: nothing measured them. Grey: the system's bars.",
]


@dataclass(frozen=True)
class Phone:
    """A screen in dp, and how much larger than usual its letters are."""

    title: str
    width: float
    height: float
    font_scale: float

    def bars(self, land: bool) -> tuple[float, float, float, float]:
        """Status bar and three buttons: start, top, end, bottom."""
        return (0, 24, 48, 0) if land else (0, 24, 0, 48)


PHONES = [
    Phone("Phone", 412, 915, 1.0),
    Phone("Small phone, letters 1.3 times as large", 320, 640, 1.3),
    Phone("Phone, letters twice as large", 360, 800, 2.0),
]


def frame(resources: Resources, phone: Phone, screen: Screen) -> Frame:
    """A screen laid out."""
    width, height = (phone.height, phone.width) if resources.land else (phone.width, phone.height)
    start, top, end, bottom = bars = phone.bars(resources.land)
    layout = Layout(resources, phone.font_scale, screen.texts(resources))
    root = layout.place(resources.layout("main"), Room(width - start - end, height - top - bottom))
    root.move(start, top)
    word = Font("regular", layout.length("@dimen/slider_text"))
    return Frame(width, height, bars, root, screen, resources, word)


def check(main: Path = MAIN) -> list[str]:
    """Every fault of every screen on every phone, each once. A theme changes colours, not places."""
    found: dict[str, str] = {}
    for theme, night in THEMES.items():
        for land in (False, True):
            resources = Resources(main, night, land)
            screens = states.drawn(resources)
            if not night:
                screens += states.worst(resources)
            for phone in PHONES:
                for screen in screens:
                    laid = frame(resources, phone, screen)
                    turned = ", turned" if land else ""
                    where = f"{theme} theme, {phone.title}{turned}, {screen.name}"
                    for fault in faults(laid.root, screen, resources, laid.word):
                        found.setdefault(fault, f"{where}: {fault}")
    return list(found.values())


def draw(main: Path = MAIN, pictures: Path = FOLDER) -> str:
    """The sheet of all screens, as SVG."""
    gap, top = 40.0, 170.0
    images = [drawing.picture(name, pictures / f"{name}.jpg") for name in ("before", "after")]
    parts = ["<defs>", *images, "</defs>"]
    parts.append(drawing.label(gap, 52, 34, "edgesr on Android", bold=True))
    parts += [drawing.label(gap, 92 + 28 * n, 20, line) for n, line in enumerate(CAPTION)]
    y, width = top, 0.0
    for name, frames in _rows(main):
        parts.append(drawing.label(gap, y + 40, 24, name, bold=True))
        x = gap
        for index, one in enumerate(frames):
            parts.append(drawing.label(x, y + 74, 20, one.screen.title))
            parts.append(f'<g transform="translate({x:g} {y + 86:g})">')
            parts += [*drawing.screen_svg(one, f"s{y:g}-{index}"), "</g>"]
            x += one.width + gap
        width = max(width, x)
        y += 86 + max(one.height for one in frames) + gap
    return drawing.sheet(width, y, parts)


def _rows(main: Path) -> Iterator[tuple[str, list[Frame]]]:
    """Rows of screens, with what is written above each."""
    phone, small, _ = PHONES
    for theme, night in THEMES.items():
        upright, turned = Resources(main, night, False), Resources(main, night, True)
        screens = states.drawn(upright)
        for one in (phone, small):
            yield f"{one.title}, {theme} theme", [frame(upright, one, screen) for screen in screens]
        some = [screen for screen in screens if screen.name in ("working", "done")]
        yield f"{phone.title}, turned, {theme} theme", [frame(turned, phone, screen) for screen in some]


def enlarge_picture(folder: Path = FOLDER) -> None:
    """before.jpg and after.jpg: a picture of edgesr/data/drawn.py, by bicubic and by the int8 model."""
    from PIL import Image

    from edgesr.data.benchmarks import make_pair
    from edgesr.data.drawn import drawn_images
    from edgesr.data.images import to_tensor, to_uint8
    from edgesr.engines import open_artifact
    from edgesr.models import MODELS

    side = states.SCALE * states.LR_WIDTH
    hr = drawn_images(SUBJECT + 1, side)[SUBJECT][: states.SCALE * states.LR_HEIGHT]
    lr = to_tensor(make_pair("drawn", hr, states.SCALE).lr)
    model = open_artifact(ASSETS / "msfin-s_x4_w8a8_64x64.pte").tiled()
    folder.mkdir(exist_ok=True)
    for name, upscaler in (("before", MODELS["bicubic"].build(states.SCALE)), ("after", model)):
        with replacing(folder / f"{name}.jpg") as path:
            Image.fromarray(to_uint8(upscaler(lr))).save(path, "jpeg", quality=60)


SUBJECT = 6
"""Which of the drawn images: dead leaves."""


def main() -> None:
    """Check, and draw unless there is a fault; exit status 1 if there is one."""
    parser = argparse.ArgumentParser(
        prog="python -m android_demo.tools.screens",
        description=package.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="only check")
    parser.add_argument("--picture", action="store_true", help="first enlarge the picture anew")
    args = parser.parse_args()
    found = check()
    if found:
        sys.exit("\n".join(found))
    if args.check:
        return
    if args.picture:
        enlarge_picture()
    write_text(SHEET, draw())
    print(f"{SHEET}: {SHEET.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
