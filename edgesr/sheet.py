"""The picture that `python -m edgesr compare` draws."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from edgesr.metrics import Score

CELL = 320  # pixels across
GAP = 8
LINE = 20
CROPS = 2
CROP = 64
"""HR pixels a side of a zoomed part."""
INK, PAPER, MARKS = (20, 20, 20), (255, 255, 255), ((230, 40, 40), (30, 110, 230))

Image8 = NDArray[np.uint8]
Box = tuple[int, int, int]
"""Left, top, side."""


@dataclass(frozen=True)
class Panel:
    """What one upscaler made: SR (H,W,3) and its scores against HR."""

    name: str
    sr: Image8
    score: Score


@dataclass(frozen=True)
class Comparison:
    """HR (H,W,1|3), cropped to a multiple of the scale, and a panel for each upscaler."""

    name: str
    scale: int
    hr: Image8
    panels: list[Panel]


def draw(comparison: Comparison) -> Image.Image:
    """A column for each upscaler and one for HR: the image, its scores, zoomed parts, what it is off by.

    Under HR, where there are several networks, stands how far the last is off from the one before it.
    """
    hr = _coloured(comparison.hr)
    boxes = interesting(comparison)
    columns = [_column(panel.sr, hr, boxes, _captions(panel)) for panel in comparison.panels]
    gain = gain_of([difference(panel.sr, hr) for panel in comparison.panels])
    for column, panel in zip(columns, comparison.panels, strict=True):
        _add_difference(column, difference(panel.sr, hr), "off HR", gain)
    columns.append(_column(hr, hr, boxes, [f"HR  {hr.shape[1]}x{hr.shape[0]}", comparison.name]))
    networks = comparison.panels[1:]
    if len(networks) > 1:
        apart = difference(networks[-1].sr, networks[-2].sr)
        _add_difference(columns[-1], apart, "int8 off float", gain_of([apart]))
    return _joined(columns)


def difference(a: Image8, b: Image8) -> Image8:
    """(H,W,3) twice → (H,W) of 8-bit levels: by how many the worst of a pixel's channels is off."""
    return np.abs(a.astype(np.int16) - b).max(axis=2).astype(np.uint8)


def interesting(comparison: Comparison) -> list[Box]:
    """The parts where the last upscaler and the first differ most, none touching another."""
    first, last = comparison.panels[0].sr, comparison.panels[-1].sr
    other = last if len(comparison.panels) > 1 else _coloured(comparison.hr)
    height, width = first.shape[:2]
    side = min(CROP, height, width)
    energy = ((first.astype(np.float32) - other) ** 2).sum(axis=2)
    worth = window_sums(energy, side, side)
    boxes: list[Box] = []
    for _ in range(CROPS):
        top, left = (int(index) for index in np.unravel_index(worth.argmax(), worth.shape))
        if worth[top, left] < 0:
            break
        boxes.append((left, top, side))
        worth[max(0, top - side + 1) : top + side, max(0, left - side + 1) : left + side] = -1
    return boxes


def window_sums(plane: NDArray[np.float32], height: int, width: int) -> NDArray[np.float64]:
    """(H,W) → the sum over each window of this size, by where its upper left corner is."""
    sums = np.pad(plane.cumsum(0, dtype=np.float64).cumsum(1), ((1, 0), (1, 0)))
    rows = sums[height:] - sums[:-height]
    return rows[:, width:] - rows[:, :-width]


def _column(image: Image8, hr: Image8, boxes: list[Box], captions: list[str]) -> list[Image.Image]:
    whole = Image.fromarray(image)
    fitted = _fit(whole)
    pen, ratio = ImageDraw.Draw(fitted), fitted.width / whole.width
    zoomed: list[Image.Image] = []
    for (left, top, side), mark in zip(boxes, MARKS, strict=False):
        pen.rectangle([x * ratio for x in (left, top, left + side, top + side)], outline=mark, width=2)
        part = whole.crop((left, top, left + side, top + side))
        part = part.resize((CELL, CELL), Image.Resampling.NEAREST)
        ImageDraw.Draw(part).rectangle((0, 0, CELL - 1, CELL - 1), outline=mark, width=2)
        zoomed.append(part)
    return [fitted, *map(_text, captions), *zoomed]


def _captions(panel: Panel) -> list[str]:
    return [panel.name, f"{panel.score.psnr:.2f} dB   SSIM {panel.score.ssim:.4f}"]


def _add_difference(column: list[Image.Image], off: Image8, what: str, gain: int) -> None:
    shown = np.minimum(off.astype(np.int32) * gain, 255).astype(np.uint8)
    column.append(_fit(Image.fromarray(shown).convert("RGB")))
    column.append(_text(f"{what}: mean {off.mean():.2f}, at most {off.max()} levels"))
    column.append(_text(f"shown {gain} times as bright"))


def gain_of(differences: list[Image8]) -> int:
    """A power of two that brings all but a hundredth of the pixels below white."""
    worst = max(float(np.percentile(off, 99)) for off in differences)
    return 2 ** int(np.log2(255 / max(worst, 1)))


def _fit(image: Image.Image) -> Image.Image:
    """As wide as a cell: averaged where it shrinks, its own pixels where it grows."""
    size = (CELL, max(1, round(image.height * CELL / image.width)))
    return image.resize(size, Image.Resampling.BOX if image.width > CELL else Image.Resampling.NEAREST)


def _text(text: str) -> Image.Image:
    line = Image.new("RGB", (CELL, LINE), PAPER)
    ImageDraw.Draw(line).text((0, 2), text, INK, font=ImageFont.load_default(14))
    return line


def _joined(columns: list[list[Image.Image]]) -> Image.Image:
    """Columns side by side; all have the same rows, so what belongs together stands in line."""
    heights = [sum(cell.height + GAP for cell in column) for column in columns]
    sheet = Image.new("RGB", (len(columns) * (CELL + GAP) + GAP, max(heights) + GAP), PAPER)
    for index, column in enumerate(columns):
        top = GAP
        for cell in column:
            sheet.paste(cell, (GAP + index * (CELL + GAP), top))
            top += cell.height + GAP
    return sheet


def _coloured(image: Image8) -> Image8:
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
