"""The app's resources, and through them the framework's, as a phone of one configuration sees them."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from android_demo.tools.screens import framework

ANDROID = "{http://schemas.android.com/apk/res/android}"


class ScreenError(Exception):
    """The resources refer to something that is not there, or use what this tool cannot draw."""


@dataclass(frozen=True)
class Colour:
    """Levels of 0 to 255 and an opacity of 0 to 1."""

    red: int
    green: int
    blue: int
    opacity: float = 1.0

    @classmethod
    def read(cls, text: str) -> "Colour":
        """#RRGGBB or #AARRGGBB."""
        digits = text.removeprefix("#")
        if not re.fullmatch(r"[0-9A-Fa-f]{6}(?:[0-9A-Fa-f]{2})?", digits):
            raise ScreenError(f"{text!r} is no colour")
        alpha, *levels = bytes.fromhex(digits if len(digits) == 8 else "ff" + digits)
        return cls(*levels, opacity=alpha / 255)

    def faded(self, opacity: float) -> "Colour":
        """The same colour, less opaque."""
        return Colour(self.red, self.green, self.blue, self.opacity * opacity)

    def over(self, ground: "Colour") -> "Colour":
        """What is seen of it over an opaque ground."""
        pairs = zip(self.levels, ground.levels, strict=True)
        return Colour(*(round(self.opacity * top + (1 - self.opacity) * below) for top, below in pairs))

    @property
    def levels(self) -> tuple[int, int, int]:
        """Red, green, blue."""
        return self.red, self.green, self.blue

    @property
    def luminance(self) -> float:
        """Relative luminance (WCAG 2.2), 0 to 1."""
        shares = [level / 255 for level in self.levels]
        red, green, blue = (
            share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Colour, other: Colour) -> float:
    """Contrast ratio (WCAG 2.2) of two opaque colours, 1 to 21."""
    dark, light = sorted((one.luminance, other.luminance))
    return (light + 0.05) / (dark + 0.05)


@dataclass(frozen=True)
class Resources:
    """The resources below `main` (app/src/main), of a dark theme or not, of a turned phone or not."""

    main: Path
    night: bool
    land: bool
    layouts: dict[str, ElementTree.Element] = field(default_factory=dict, compare=False)
    """Those that were read."""

    @cached_property
    def values(self) -> dict[str, str]:
        """type/name → what is written for it; quantities of plurals as plurals/name/quantity."""
        found: dict[str, str] = {}
        for folder in ["values", *(["values-night"] if self.night else [])]:
            for path in sorted((self.main / "res" / folder).glob("*.xml")):
                for one in ElementTree.parse(path).getroot():
                    if one.tag == "plurals":
                        for item in one:
                            found[f"plurals/{one.get('name')}/{item.get('quantity')}"] = _text(item)
                    elif one.tag != "style":
                        found[f"{one.tag}/{one.get('name')}"] = _text(one)
        return found

    @cached_property
    def styles(self) -> dict[str, tuple[str, dict[str, str]]]:
        """Style → parent and attributes. The later, more particular folder replaces the other's."""
        found: dict[str, tuple[str, dict[str, str]]] = {}
        for folder in ["values", *(["values-night"] if self.night else [])]:
            for path in sorted((self.main / "res" / folder).glob("*.xml")):
                for one in ElementTree.parse(path).getroot().iter("style"):
                    items = {_bare(item.get("name", "")): _text(item) for item in one}
                    found[one.get("name", "")] = (one.get("parent", ""), items)
        return found

    @cached_property
    def theme(self) -> dict[str, str]:
        """The attributes of the application's theme."""
        application = ElementTree.parse(self.main / "AndroidManifest.xml").getroot().find("application")
        if application is None:
            raise ScreenError("the manifest has no application")
        return self.style(application.get(f"{ANDROID}theme", ""))

    def style(self, reference: str) -> dict[str, str]:
        """A style's attributes and its parents'."""
        framework_s, name = _reference(reference, "style")
        framework_s |= name not in self.styles  # a reference inside the framework
        table = framework.STYLES if framework_s else self.styles
        if name not in table:
            raise ScreenError(f"there is no style {reference}, or android_demo/tools/screens lacks it")
        parent, items = table[name]
        above = f"@android:style/{parent}" if framework_s and parent else parent
        return ({**self.style(above)} if above else {}) | items

    def layout(self, name: str) -> ElementTree.Element:
        """A layout, with what it includes in its place."""
        if name in self.layouts:
            return self.layouts[name]
        path = self.main / "res" / "layout-land" / f"{name}.xml"
        if not (self.land and path.is_file()):
            path = self.main / "res" / "layout" / f"{name}.xml"
        root = self.layouts[name] = ElementTree.parse(path).getroot()
        for parent in list(root.iter()):
            for index, child in enumerate(list(parent)):
                if child.tag == "include":
                    parent[index] = self.layout(child.get("layout", "").removeprefix("@layout/"))
        return root

    def value(self, written: str) -> str:
        """What an attribute comes down to: references and attributes of the theme are followed."""
        if written.startswith("?"):
            name = _bare(written.removeprefix("?")).removeprefix("attr/")
            if name not in self.theme:
                raise ScreenError(f"the theme has no {written}, or android_demo/tools/screens lacks it")
            return self.value(self.theme[name])
        if not written.startswith("@"):
            return written
        found = re.fullmatch(r"@(android:)?(\w+/\w+)", written)
        if found is None:
            return written  # an id, a style: for who asked
        kind_and_name = found[2]
        if kind_and_name.removeprefix("color/") in framework.STATES:
            return written
        table = self.values if not found[1] and kind_and_name in self.values else framework.VALUES
        if kind_and_name not in table:
            raise ScreenError(f"there is no {written}, or android_demo/tools/screens lacks it")
        return self.value(table[kind_and_name])

    def colour(self, written: str, enabled: bool = True) -> Colour:
        """A colour in one of its two states."""
        value = self.value(written)
        states = framework.STATES.get(value.rpartition("/")[2])
        if states is None:
            return Colour.read(value)
        name, opacity = states[0 if enabled else 1]
        colour = self.colour(f"?attr/{name}")
        return colour.faded(float(self.value(f"?attr/{opacity}"))) if opacity else colour

    def string(self, name: str, *arguments: object) -> str:
        """A string with its arguments in their places, as Java's Formatter puts them."""
        return formatted(self.value(f"@string/{name}"), arguments)

    def quantity(self, name: str, count: int) -> str:
        """A plural of English."""
        key = f"plurals/{name}/{'one' if count == 1 else 'other'}"
        return formatted(self.values[key], (count,))


_PLACE = re.compile(r"%(?:(\d+)\$)?(\.\d+)?([dsf%])")


def places(pattern: str) -> list[str]:
    """The kinds of a pattern's arguments in their order: d, s or f."""
    found = [place for place in _PLACE.finditer(pattern) if place[3] != "%"]
    kinds = {int(place[1] or index): place[3] for index, place in enumerate(found, start=1)}
    return [kinds[index] for index in sorted(kinds)]


def formatted(pattern: str, arguments: tuple[object, ...]) -> str:
    """%d, %s, %.2f, %2$s and %%. ScreenError for arguments too few or too many."""
    if len(places(pattern)) != len(arguments):
        raise ScreenError(f"{pattern!r} takes {len(places(pattern))} arguments, not {len(arguments)}")
    rest = iter(arguments)

    def put(place: re.Match[str]) -> str:
        if place[3] == "%":
            return "%"
        argument = arguments[int(place[1]) - 1] if place[1] else next(rest)
        return format(argument, f"{place[2] or ''}{place[3]}")

    return _PLACE.sub(put, pattern)


def _reference(reference: str, kind: str) -> tuple[bool, str]:
    """Whether it is the framework's, and its name. @style/ may be left out where a parent is named."""
    found = re.fullmatch(rf"@?(android:)?(?:{kind}/)?([\w.]+)", reference)
    if found is None:
        raise ScreenError(f"{reference!r} names no {kind}")
    return found[1] is not None, found[2]


def _bare(name: str) -> str:
    return name.removeprefix("android:")


def _text(element: ElementTree.Element) -> str:
    """A value as aapt2 reads it: white space as one space, \\' as '."""
    return re.sub(r"\\(.)", r"\1", " ".join("".join(element.itertext()).split()))
