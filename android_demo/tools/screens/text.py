"""Lines of text as wide as Android's font makes them."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

UNITS = 2048
ASCENT, DESCENT = 1900 / UNITS, 500 / UNITS
TOP, BOTTOM = 2163 / UNITS, 555 / UNITS
"""Of an em. The first line of a view reaches up to TOP, its last down to BOTTOM."""


@dataclass(frozen=True)
class Font:
    """A weight of Roboto, regular or medium, of a size in dp."""

    weight: str
    size: float

    def width(self, text: str) -> float:
        """In dp, without kerning, which would only make it narrower."""
        widths = _widths()[self.weight]
        return sum(widths[letter] for letter in text) * self.size / UNITS

    def lines(self, text: str, room: float) -> list[str]:
        """The text broken at spaces, and a word that is wider than the room wherever the room ends."""
        lines = [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and self.width(longer) > room:
                lines.append(word)
            else:
                lines[-1] = longer
            while self.width(lines[-1]) > room and len(lines[-1]) > 1:
                cut = max(n for n in range(1, len(word) + 1) if n == 1 or self.width(word[:n]) <= room)
                lines[-1:] = [word[:cut], word[cut:]]
                word = word[cut:]
        return lines

    def height(self, lines: int) -> float:
        """Of a view of so many lines."""
        return self.size * (lines * (ASCENT + DESCENT) + TOP - ASCENT + BOTTOM - DESCENT)

    def baseline(self, line: int) -> float:
        """From the top of a view to the baseline of a line, the first being 0."""
        return self.size * (TOP + line * (ASCENT + DESCENT))


@cache
def _widths() -> dict[str, dict[str, int]]:
    """Advance widths in 1/2048 em, by weight and letter."""
    return json.loads(Path(__file__).with_name("roboto.json").read_text(encoding="utf-8"))["widths"]
