"""What must not be on a screen, in words: each fault says where it is and what is wrong."""

from collections.abc import Iterator
from itertools import combinations

from android_demo.tools.screens.layout import COMPARE, Box
from android_demo.tools.screens.resources import Colour, Resources, contrast
from android_demo.tools.screens.states import Screen
from android_demo.tools.screens.text import Font

TARGET = 48.0
"""dp that a finger needs (Android's guide to accessibility)."""
TEXT_CONTRAST, SHAPE_CONTRAST = 4.5, 3.0
"""WCAG 2.2, 1.4.3 and 1.4.11, level AA. Controls that cannot be used are exempt."""
PICTURE = 0.35
"""Of the screen between the bars, at least: what the app is for."""
SLACK = 0.01
LONGEST_WORD = 16
"""Letters of a word that may not be broken; file names and the like may."""


def faults(root: Box, screen: Screen, resources: Resources, word: Font) -> Iterator[str]:
    """Everything that is wrong with a screen that lies at `root`. `word`: the font on the picture."""
    yield from places(root)
    for box in root.all():
        yield from _words(box)
        if box.kind in ("Button", "Spinner"):
            if min(box.width, box.height) < TARGET - SLACK:
                yield f"{box.name} is {box.width:.0f} x {box.height:.0f} dp, {TARGET:.0f} are needed"
            if not (box.described or box.lines):
                yield f"{box.name} has nothing that TalkBack could say"
        if box.kind == "ProgressBar" and not box.described:
            yield f"{box.name} has nothing that TalkBack could say"
        if box.kind == COMPARE:
            yield from _picture(box, root, resources, word)
    yield from _contrasts(root, screen, resources)


def places(root: Box, scrolls: bool = False) -> Iterator[str]:
    """Children inside their parent, unless that scrolls, and clear of each other."""
    for child in root.children:
        right, bottom = root.x + root.width, root.y + root.height
        beyond = child.x + child.width > right + SLACK or child.x < root.x - SLACK
        if not scrolls:
            beyond |= child.y + child.height > bottom + SLACK or child.y < root.y - SLACK
        if beyond:
            yield f"{child.name} does not lie inside {root.name}"
        yield from places(child, child.kind == "ScrollView")
    for one, other in combinations(root.children, 2):
        wide = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
        high = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
        if wide > SLACK and high > SLACK:
            yield f"{one.name} and {other.name} overlap"


def _words(box: Box) -> Iterator[str]:
    if box.font is None:
        return
    start, top, end, bottom = box.padding
    room = box.width - start - end
    if box.kind == "Button" and len(box.lines) > 1:
        yield f"{box.name}: {''.join(box.lines)!r} does not fit in one line of {room:.0f} dp"
    for line in box.lines:
        if box.font.width(line) > room + SLACK:
            yield f"{box.name}: {line!r} takes {box.font.width(line):.0f} dp of {room:.0f}"
    for line, following in zip(box.lines, box.lines[1:], strict=False):
        word = line.split()[-1] + following.split()[0]
        whole = box.kind == "TextView" and word.isalpha() and len(word) <= LONGEST_WORD
        if whole and box.font.width(word) > room:
            yield f"{box.name}: {word!r} is broken"
    if box.font.height(len(box.lines)) > box.height - top - bottom + SLACK:
        yield f"{box.name}: {len(box.lines)} lines do not fit in its height"


def _picture(box: Box, root: Box, resources: Resources, word: Font) -> Iterator[str]:
    """The part of the screen that photo and slider have."""
    share = box.width * box.height / (root.width * root.height)
    if share < PICTURE:
        yield f"the picture has {share:.0%} of the screen, {PICTURE:.0%} are needed"
    reach, radius, space = (_dp(resources, name) for name in ("reach", "radius", "space"))
    if 2 * reach < TARGET:
        yield f"the slider is taken hold of within {2 * reach:.0f} dp, {TARGET:.0f} are needed"
    for name in ("before", "after"):
        needed = radius + 3 * space + word.width(resources.string(name))
        if needed > box.width / 2:
            yield f"{name} takes {needed:.0f} dp beside the slider and there are {box.width / 2:.0f}"


def _contrasts(root: Box, screen: Screen, resources: Resources) -> Iterator[str]:
    ground = resources.colour("?attr/colorBackground")

    def check(what: str, top: Colour, below: Colour, least: float) -> Iterator[str]:
        ratio = contrast(top.over(below), below)
        if ratio < least:
            yield f"{what}: contrast {ratio:.2f}, {least} is needed"

    for box in root.all():
        usable = box.name in screen.enabled or box.kind == "TextView"
        if box.lines and usable:
            yield from check(box.name, resources.colour(box.colour), ground, TEXT_CONTRAST)
        if box.kind == "Spinner" and usable:
            arrow = resources.colour("?attr/colorControlNormal")
            yield from check(f"{box.name}'s arrow", arrow, ground, SHAPE_CONTRAST)
        if box.kind == "ProgressBar" and screen.progress is not None:
            bar = resources.colour("?attr/colorControlActivated")
            yield from check(box.name, bar, ground, SHAPE_CONTRAST)
    for picture in (Colour(0, 0, 0), Colour(255, 255, 255)):
        below = resources.colour("@color/slider_ground").over(picture)
        yield from check("words on the picture", resources.colour("@color/slider"), below, TEXT_CONTRAST)


def _dp(resources: Resources, name: str) -> float:
    return float(resources.value(f"@dimen/slider_{name}").removesuffix("dp"))
