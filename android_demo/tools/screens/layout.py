"""Where a layout's views lie: Android's rules for the few kinds of view that the app has. Sizes in dp.

A view or an attribute that is not known here is an error, not a blank.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

from android_demo.tools.screens import framework
from android_demo.tools.screens.resources import ANDROID, Resources, ScreenError
from android_demo.tools.screens.text import Font

COMPARE = "edgesr.demo.CompareView"
KNOWN = {
    *("id", "layout_width", "layout_height", "layout_weight", "orientation", "text", "textAppearance"),
    *("paddingStart", "paddingTop", "paddingEnd", "paddingBottom", "minHeight", "minWidth", "minLines"),
    *("maxHeight", "contentDescription", "accessibilityLiveRegion", "max", "baselineAligned"),
}
SIDES = ("paddingStart", "paddingTop", "paddingEnd", "paddingBottom")


@dataclass
class Box:
    """A view at its place on the screen."""

    kind: str
    name: str
    """Its id, or its kind."""
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0
    padding: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    font: Font | None = None
    lines: list[str] = field(default_factory=list)
    colour: str = ""
    """Of its text, as the resources write it."""
    described: bool = False
    children: list["Box"] = field(default_factory=list)

    def all(self) -> Iterator["Box"]:
        """It and every view in it."""
        yield self
        for child in self.children:
            yield from child.all()

    def move(self, x: float, y: float) -> None:
        """Shift it and what is in it."""
        for box in self.all():
            box.x += x
            box.y += y


@dataclass(frozen=True)
class Room:
    """What a view may take. A side that is not exact may be smaller."""

    width: float
    height: float
    exact_width: bool = True
    exact_height: bool = True

    def side(self, exact: bool, given: float, wanted: float) -> float:
        """The side that a view of a wanted size gets."""
        return given if exact else min(wanted, given)


@dataclass(frozen=True)
class Layout:
    """Places views. `texts`: what is written into them, by id; letters are so many times as large."""

    resources: Resources
    font_scale: float
    texts: dict[str, str]

    def place(self, element: ElementTree.Element, room: Room) -> Box:
        """The view of an element and all in it, at (0, 0)."""
        if not room.exact_width:
            raise ScreenError(f"{element.tag} is as wide as its content: not known here")
        facts = self._facts(element)
        name = facts.get("id", "").removeprefix("@+id/") or element.tag
        described = "contentDescription" in facts or "text" in facts or name in self.texts
        box = Box(element.tag, name, 0, 0, padding=self._padding(facts), described=described)
        if element.tag == "LinearLayout":
            self._linear(box, element, facts, room)
        elif element.tag == "ScrollView":
            child = self.place(element[0], Room(room.width, inf, exact_height=False))
            box.children, box.width, box.height = [child], room.width, room.height
        elif element.tag in ("TextView", "Button", "Spinner"):
            self._words(box, facts, room)
        elif element.tag == "ProgressBar":
            box.width = room.width
            box.height = room.side(room.exact_height, room.height, self.length(facts["minHeight"]))
        elif element.tag == COMPARE:
            box.width, box.height = room.width, room.height
        else:
            raise ScreenError(f"{element.tag} is no view that android_demo/tools/screens knows")
        return box

    def length(self, written: str) -> float:
        """A dimension in dp. Letters grow with the font scale, as on phones before Android 14."""
        value = self.resources.value(written)
        if value.endswith("dp"):
            return float(value.removesuffix("dp"))
        if value.endswith("sp"):
            return float(value.removesuffix("sp")) * self.font_scale
        raise ScreenError(f"{written} is {value!r}, which is no dimension in dp or sp")

    def font(self, appearance: dict[str, str]) -> Font:
        """The font of a text appearance."""
        family = self.resources.value(appearance["fontFamily"])
        weights = {"sans-serif": "regular", "sans-serif-medium": "medium"}
        return Font(weights[family], self.length(appearance["textSize"]))

    def _facts(self, element: ElementTree.Element) -> dict[str, str]:
        """An element's attributes and its style's."""
        facts = self.resources.style(element.get("style", "")) if element.get("style") else {}
        for name, value in element.attrib.items():
            if name.startswith(ANDROID):
                facts[name.removeprefix(ANDROID)] = value
        if unknown := sorted(set(facts) - KNOWN):
            raise ScreenError(f"{element.tag} has {unknown}, unknown to android_demo/tools/screens")
        for name in ("text", "contentDescription"):
            if name in facts:
                facts[name] = self.resources.value(facts[name])
        return facts

    def _linear(self, box: Box, element: ElementTree.Element, facts: dict[str, str], room: Room) -> None:
        """Views in a row or below one another; what is left is shared out by weight."""
        across = facts.get("orientation") != "vertical"
        start, top, end, bottom = box.padding
        width, height = room.width - start - end, room.height - top - bottom
        weights = [float(child.get(f"{ANDROID}layout_weight", "0")) for child in element]
        left = width if across else height
        placed: dict[int, Box] = {}
        for index, child in enumerate(element):
            if not weights[index]:
                placed[index] = self.place(child, self._child_room(child, width, height))
                left -= placed[index].width if across else placed[index].height
        for index, child in enumerate(element):
            if weights[index]:
                share = max(0.0, left) * weights[index] / sum(weights)
                given = self._child_room(child, width, height)
                if across:
                    given = Room(share, given.height, True, given.exact_height)
                else:
                    given = Room(given.width, share, given.exact_width, True)
                placed[index] = self.place(child, given)
        box.children = [placed[index] for index in sorted(placed)]
        x, y = start, top
        for child in box.children:
            child.move(x, y)
            x, y = (x + child.width, y) if across else (x, y + child.height)
        sizes = [(child.width, child.height) for child in box.children]
        tall = max(size[1] for size in sizes) if across else sum(size[1] for size in sizes)
        box.width = room.width
        box.height = room.side(room.exact_height, room.height, tall + top + bottom)

    def _child_room(self, child: ElementTree.Element, width: float, height: float) -> Room:
        sides = []
        for name, given in (("layout_width", width), ("layout_height", height)):
            written = child.get(f"{ANDROID}{name}", "")
            if written in ("match_parent", "wrap_content"):
                sides.append((given, written == "match_parent"))
            else:
                sides.append((self.length(written), True))
        return Room(sides[0][0], sides[1][0], sides[0][1], sides[1][1])

    def _words(self, box: Box, facts: dict[str, str], room: Room) -> None:
        """A TextView, a button, or a closed spinner with what is chosen in it."""
        text = self.texts.get(box.name, facts.get("text", ""))
        if box.kind == "Spinner":
            item = self.resources.style("@android:style/Widget.Material.TextView.SpinnerItem")
            appearance = self.resources.style(item["textAppearance"])
            end = self.length(item["paddingEnd"]) + framework.SPINNER_PADDING_END
            box.padding = (self.length(item["paddingStart"]), 0.0, end, 0.0)
        else:
            appearance = self.resources.style(self._style_of(facts["textAppearance"]))
        if box.kind == "Button":
            wide, high = self._button_padding("horizontal"), self._button_padding("vertical")
            box.padding = (wide, high, wide, high)
        if appearance.get("textAllCaps") == "true":
            text = text.upper()
        start, top, end, bottom = box.padding
        box.font, box.colour = self.font(appearance), appearance["textColor"]
        one_line = box.kind == "Spinner"
        box.lines = [text] if one_line else box.font.lines(text, room.width - start - end)
        shown = max(len(box.lines), int(facts.get("minLines", "1")))
        least = self.length(facts.get("minHeight", "0dp"))
        box.width = room.width
        wanted = max(least, box.font.height(shown) + top + bottom)
        box.height = room.side(room.exact_height, room.height, wanted)

    def _padding(self, facts: dict[str, str]) -> tuple[float, float, float, float]:
        start, top, end, bottom = (self.length(facts.get(side, "0dp")) for side in SIDES)
        return start, top, end, bottom

    def _style_of(self, written: str) -> str:
        name = written.removeprefix("?attr/")
        return written if name == written else self.resources.theme[name]

    def _button_padding(self, direction: str) -> float:
        """Of drawable/btn_default_mtrl_shape, which a borderless button is pressed in."""
        kinds = ("inset", "padding")
        return sum(self.length(f"@android:dimen/button_{kind}_{direction}_material") for kind in kinds)
