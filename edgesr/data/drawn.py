"""Small images the project draws itself, so that everything runs without a download.

Most are dead leaves: shapes of all sizes that cover one another, whose radii follow a power law.
They share the statistics of edges and scales of photographs (A. B. Lee, D. Mumford, J. Huang,
"Occlusion models for natural images", IJCV 41, 2001) and are good enough to train restoration
networks on (R. Achddou, Y. Gousseau, S. Ladjal, "Synthetic images as a regularity prior for image
restoration neural networks", SSVM 2021). Lettering, line patterns and facades stand in for what
people make. Everything is drawn at twice the size and shrunk, so edges are anti-aliased.
"""

import string
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from edgesr.data.benchmarks import Pair, make_pair
from edgesr.data.images import to_tensor

Plane = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Image.Image]

OVERSIZE = 2
LARGE_LEAVES = 12
LEAVES = 500
SMALLEST_LEAF = 4.5


def drawn_images(count: int = 24, size: int = 192, seed: int = 0) -> list[NDArray[np.uint8]]:
    """`count` images (size,size,3), the same ones for the same arguments and library versions."""
    return [_drawn(index, size, seed) for index in range(count)]


def drawn_pairs(scale: int, count: int = 24, size: int = 192, seed: int = 0) -> Iterator[Pair]:
    """The same images with the LR of each, named drawn00, drawn01 and so on."""
    for index in range(count):
        yield make_pair(f"drawn{index:02}", _drawn(index, size, seed), scale)


def drawn_lr(size: tuple[int, int]) -> Tensor:
    """An LR image (1,3,*size) in [0,1] to try a network on, the same one each time."""
    height, width = size
    drawn = next(drawn_pairs(2, 1, size=2 * max(size)))
    return to_tensor(drawn.lr)[:, :, :height, :width].contiguous()


def _drawn(index: int, size: int, seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng([seed, index])
    large = _SUBJECTS[index % len(_SUBJECTS)](rng, OVERSIZE * size)
    return np.array(large.resize((size, size), Image.Resampling.BICUBIC))


def _leaves(rng: np.random.Generator, side: int) -> Image.Image:
    """Shapes over shapes, each of one colour with a texture."""
    colours = _palette(rng)
    canvas = _filled(_texture(rng, side), rng.choice(colours))
    large = [int(radius) for radius in rng.uniform(side / 8, side / 3, LARGE_LEAVES)]
    for radius in large + _radii(rng, side, LEAVES):
        mask = _shape(rng, 2 * radius)
        leaf = _filled(_texture(rng, 2 * radius), rng.choice(colours))
        canvas.paste(leaf, _place(rng, side, radius), mask)
    return canvas


def _page(rng: np.random.Generator, side: int) -> Image.Image:
    """Lines of letters of several sizes on a quiet ground."""
    paper, ink = sorted(_palette(rng), key=lambda colour: -colour.sum())[::4]
    canvas = _filled(0.3 * _gradient(rng, side), paper)
    pen, top = ImageDraw.Draw(canvas), 0
    while top < side:
        height = int(rng.integers(12, 64))
        letters = "".join(rng.choice(list(string.ascii_letters + string.digits + "   .,-&"), 60))
        font = ImageFont.load_default(height)
        pen.text((int(rng.integers(-9, 20)), top), letters, fill=_rgb(ink), font=font)
        top += int(1.25 * height)
    return canvas


def _lines(rng: np.random.Generator, side: int) -> Image.Image:
    """A few large fields of gratings, parted by thin crossing lines."""
    colours = _palette(rng)
    canvas = _filled(_grating(rng, side), rng.choice(colours))
    for radius in rng.integers(side // 8, side // 3, 9):
        leaf = _filled(_grating(rng, 2 * int(radius)), rng.choice(colours))
        canvas.paste(leaf, _place(rng, side, int(radius)), _shape(rng, 2 * int(radius)))
    pen = ImageDraw.Draw(canvas)
    for _ in range(14):
        ends = [int(end) for end in rng.integers(0, side, 4)]
        pen.line(ends, fill=_rgb(rng.choice(colours)), width=int(rng.integers(1, 7)))
    return canvas


def _facade(rng: np.random.Generator, side: int) -> Image.Image:
    """Rows of equal windows in a wall, turned a little, with leaves before it."""
    colours = _palette(rng)
    canvas = _filled(_texture(rng, side), colours[0])
    pen = ImageDraw.Draw(canvas)
    wide, high = (int(pitch) for pitch in rng.integers(12, 56, 2))
    for left in range(-side, 2 * side, wide):
        for top in range(-side, 2 * side, high):
            corner = (left + 0.75 * wide, top + 0.7 * high)
            pen.rectangle(((left, top), corner), fill=_rgb(colours[1]), outline=_rgb(colours[2]))
    larger = canvas.resize((2 * side, 2 * side))
    tilted = larger.rotate(rng.uniform(-20, 20), Image.Resampling.BICUBIC)
    canvas = tilted.crop((side // 2, side // 2, side // 2 + side, side // 2 + side))
    for radius in _radii(rng, side, LEAVES // 12):
        leaf = _filled(_texture(rng, 2 * radius), rng.choice(colours))
        canvas.paste(leaf, _place(rng, side, radius), _shape(rng, 2 * radius))
    return canvas


_SUBJECTS: tuple[Draw, ...] = (_leaves, _page, _leaves, _lines, _leaves, _facade)


def _palette(rng: np.random.Generator) -> Plane:
    """Five colours (5,3): well spread in brightness, little saturated, of related hues."""
    brightness = rng.permutation(np.linspace(30, 225, 5)) + rng.normal(0, 12, 5)
    tint = rng.normal(0, 8, 3) + rng.normal(0, 14, (5, 3))
    return (brightness[:, None] + tint).clip(0, 255)


def _radii(rng: np.random.Generator, side: int, count: int) -> list[int]:
    """Radii with density r⁻³, as in photographs, from the smallest leaf to a third of the image."""
    smallest, largest = SMALLEST_LEAF**-2, (side / 3) ** -2
    drawn = rng.uniform(largest, smallest, count) ** -0.5
    return [int(radius) for radius in drawn]


def _place(rng: np.random.Generator, side: int, radius: int) -> tuple[int, int]:
    left, top = rng.integers(0, side, 2) - radius
    return int(left), int(top)


def _shape(rng: np.random.Generator, side: int) -> Image.Image:
    """A mask (side,side): an ellipse or a polygon of three to seven corners."""
    mask = Image.new("L", (side, side))
    pen = ImageDraw.Draw(mask)
    corners = int(rng.integers(2, 8))
    if corners == 2:
        inset = int(rng.integers(0, side // 3 + 1))
        pen.ellipse((0, inset, side - 1, side - 1 - inset), fill=255)
        return mask
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    points = side / 2 * (1 + np.stack([np.cos(angles), np.sin(angles)], axis=1))
    pen.polygon([(float(x), float(y)) for x, y in points], fill=255)
    return mask


def _filled(texture: Plane, colour: Plane) -> Image.Image:
    """A texture (H,W) around zero, added to a colour."""
    levels = texture[:, :, None] + colour
    return Image.fromarray(levels.clip(0, 255).astype(np.uint8))


def _texture(rng: np.random.Generator, side: int) -> Plane:
    """One of five kinds of texture (side,side), in levels around zero."""
    kinds = (_gradient, _cloud, _grain, _grating, _flat)
    return kinds[rng.choice(len(kinds), p=(0.3, 0.3, 0.1, 0.15, 0.15))](rng, side)


def _flat(rng: np.random.Generator, side: int) -> Plane:
    return np.full((side, side), rng.normal(0, 10))


def _gradient(rng: np.random.Generator, side: int) -> Plane:
    return _ramp(rng, side) * rng.uniform(0, 140)


def _grain(rng: np.random.Generator, side: int) -> Plane:
    return rng.normal(0, rng.uniform(2, 22), (side, side))


def _grating(rng: np.random.Generator, side: int) -> Plane:
    """Stripes of one period, soft or hard."""
    period = rng.uniform(5, 40)
    wave = np.sin(2 * np.pi * side / period * _ramp(rng, side) + rng.uniform(0, 6))
    return rng.uniform(15, 75) * np.clip(wave * rng.choice([1, 4]), -1, 1)


def _cloud(rng: np.random.Generator, side: int) -> Plane:
    """Noise with equal power in each octave: grain of every size up to the whole."""
    levels = np.zeros((side, side))
    for octave in (2, 4, 8, 16, 32, 64):
        if octave <= side:
            coarse = Image.fromarray(rng.normal(0, 1, (octave, octave)).astype(np.float32))
            levels += np.array(coarse.resize((side, side), Image.Resampling.BICUBIC))
    return levels * rng.uniform(4, 22)


def _ramp(rng: np.random.Generator, side: int) -> Plane:
    """A plane (side,side) that rises by 1 from side to side in some direction, 0 in the middle."""
    angle = rng.uniform(0, 2 * np.pi)
    along = np.linspace(-0.5, 0.5, side)
    return np.cos(angle) * along[:, None] + np.sin(angle) * along


def _rgb(colour: Plane) -> tuple[int, int, int]:
    red, green, blue = (int(level) for level in colour)
    return red, green, blue
