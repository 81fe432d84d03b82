"""Makes the golden files beside it: `make golden`, then look at `git diff --stat tests/golden`.

tiles.json holds the tile plans that Python and Kotlin must both produce, pixels.json how both turn
pixels into floats and back, mirror an image and put tiles together. networks.json holds what each
network answers to one image, with weights that depend on the names of its tensors alone.
complexity.json holds what each network costs, and the parameters and multiply-adds of the papers'
ablations.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgesr.data.images import to_tensor, to_uint8
from edgesr.errors import UserError
from edgesr.models import MODELS, SCALES, create_model
from edgesr.models.ablations import ABLATIONS, Ablation
from edgesr.models.bicubic import Bicubic
from edgesr.models.complexity import Counts, complexity, count, on_meta
from edgesr.tiling import padded_length, plan, upscale_tiled

FOLDER = Path(__file__).parent
PRIMES = (2, 61, 127)
IMAGE = (48, 64)  # LR height and width
SAMPLED = (6, 8)  # rows and columns of SR pixels that are kept, borders and corners among them
SALT = "o"  # the letter for which no channel attention has all its ReLUs closed
GRIDS = [  # tile, overlap, multiple
    (1, 0, 1),
    (16, 0, 1),
    (16, 4, 4),
    (17, 8, 1),
    (64, 8, 1),
    (64, 8, 4),
    (64, 30, 4),
    (96, 16, 2),
    (256, 16, 1),
]
REFUSED = [  # length, tile, overlap, multiple
    (0, 16, 0, 1),
    (10, 0, 0, 1),
    (10, 16, 8, 1),
    (10, 16, 7, 4),
    (10, 18, 0, 4),
    (10, 16, -1, 1),
    (10, 16, 0, 0),
]
MIRRORED = [(1, 4), (2, 9), (5, 5), (5, 12), (61, 64)]  # length, padded
ENLARGED = [(2, 7, 5), (3, 4, 9), (4, 6, 6)]  # scale, LR height, LR width
TILED = [  # scale, LR height and width, tile height and width, overlap, multiple
    (2, 13, 25, 12, 16, 2, 1),
    (3, 5, 3, 8, 10, 3, 1),
    (4, 9, 18, 16, 16, 4, 4),
    (2, 17, 17, 16, 16, 0, 16),
]


def tile_plans() -> dict[str, Any]:
    """Plans by length, tile, overlap and multiple; spans are [start, keep_from, keep_to]."""
    return {
        "plans": [_planned(length, *grid) for grid in GRIDS for length in sorted(_lengths(grid[0]))],
        "refused": [_refused(*arguments) for arguments in REFUSED],
    }


def pixels() -> dict[str, Any]:
    """Levels of 0..255 ↔ floats by their bits, mirror images, bicubic, and tiles put together."""
    return {
        "units": [_unit(level) for level in range(256)],
        "levels": [_level(value) for value in _hard_values()],
        "mirrored": [_mirrored(*lengths) for lengths in MIRRORED],
        "bicubic": [_enlarged(*sizes) for sizes in ENLARGED],
        "tiled": [_tiled(*sizes) for sizes in TILED],
    }


def networks() -> dict[str, Any]:
    """What every network answers at every scale."""
    return {"networks": [answer(name, scale) for name in MODELS for scale in SCALES]}


@torch.no_grad()
def answer(name: str, scale: int) -> dict[str, Any]:
    """The SR of one network: mean, standard deviation and some pixels of it."""
    height, width = IMAGE
    ramp, grain = torch.linspace(0, 1, width), (1 + noise("image", 3 * height * width)) / 2
    lr = (ramp + grain.view(1, 3, height, width)) / 2
    sr = fixed(create_model(name, scale=scale)).eval()(lr)[0]
    rows, columns = (
        torch.linspace(0, side - 1, number).round().long()
        for side, number in zip(sr.shape[1:], SAMPLED, strict=True)
    )
    pixels = sr[:, rows][:, :, columns].flatten(1).T  # (pixels,3)
    return {
        "model": name,
        "scale": scale,
        "mean": _short(sr.double().mean()),
        "std": _short(sr.double().std()),
        "pixels": [[_short(value) for value in pixel] for pixel in pixels],
    }


def _short(value: Tensor) -> float:
    """Six digits, which are a fifth of the tolerance or finer."""
    return float(f"{value.item():.6g}")


def fixed(network: nn.Module) -> nn.Module:
    """`network` with weights that depend on no generator, nor on the order it was built in.

    Every layer keeps the variance of its input, so that each block of a long chain has its share in
    the SR, which therefore is not in [0,1]. Biases above 0 keep ReLUs open that gate a whole channel.
    """
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            values = noise(name, tensor.numel()).view(tensor.shape)
            if tensor.ndim > 1:
                tensor.copy_(values * (3 / tensor[0].numel()) ** 0.5)
            else:  # biases, slopes, variances, factors
                tensor.copy_((2 + values) / 4)
    return network


def noise(name: str, count: int) -> Tensor:
    """Numbers in [-1,1) out of the digest of a name: the same on every machine, for ever."""
    digest = hashlib.shake_256(f"{SALT}:{name}".encode()).digest(4 * count)
    return torch.from_numpy(np.frombuffer(digest, "<u4") / 2**31 - 1).float()


def costs() -> dict[str, Any]:
    """What every network costs at every scale, and every setting of an ablation."""
    return {
        "networks": [cost(name, scale) for name in MODELS for scale in SCALES],
        "settings": [cost_of_setting(row) for row in ABLATIONS],
    }


def cost(name: str, scale: int) -> dict[str, Any]:
    """Counts, bytes of activations at their peak, and the receptive field in LR pixels."""
    network = complexity(name, scale)
    assert network.field is not None
    sizes = {"peak_memory": network.memory, "receptive_field": list(network.field)}
    return {
        "model": name,
        "scale": scale,
        **_counts(network.counts),
        **sizes,
        "global": network.everywhere,
    }


def cost_of_setting(row: Ablation) -> dict[str, Any]:
    """Counts of one setting."""
    counts = count(on_meta(row.build), row.family, row.scale, row.printed())
    place = {"family": row.family, "table": row.table, "scale": row.scale, "setting": row.setting}
    return place | _counts(counts)


def _counts(counts: Counts) -> dict[str, int]:
    return {
        "params": counts.params,
        "params_paper_rule": counts.params_paper.count,
        "macs": counts.macs,
        "macs_paper_rule": counts.macs_paper.count,
    }


def text(content: dict[str, Any]) -> str:
    """JSON with one plan to a line, so that a change is one line of a diff."""
    parts = []
    for name, rows in content.items():
        lines = ",\n    ".join(json.dumps(row) for row in rows)
        parts.append(f'  "{name}": [\n    {lines}\n  ]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lengths(tile: int) -> set[int]:
    near = {1, tile - 1, tile, tile + 1, 2 * tile - 1, 2 * tile, 2 * tile + 1, 5 * tile + 3}
    return {length for length in (*near, *PRIMES) if length > 0}


def _planned(length: int, tile: int, overlap: int, multiple: int) -> dict[str, Any]:
    spans = plan(length, tile, overlap, multiple)
    return {
        "length": length,
        "tile": tile,
        "overlap": overlap,
        "multiple": multiple,
        "padded": padded_length(length, tile, multiple),
        "spans": [[span.start, span.keep_from, span.keep_to] for span in spans],
    }


def _refused(length: int, tile: int, overlap: int, multiple: int) -> dict[str, int]:
    try:
        plan(length, tile, overlap, multiple)
    except UserError:
        return {"length": length, "tile": tile, "overlap": overlap, "multiple": multiple}
    raise AssertionError(f"plan accepted {(length, tile, overlap, multiple)}")


def _unit(level: int) -> dict[str, int]:
    value = to_tensor(np.full((1, 1, 1), level, np.uint8)).numpy()[0, 0, 0, 0]
    return {"level": level, "bits": _bits(value)}


def _level(value: np.float32) -> dict[str, int]:
    level = to_uint8(torch.full((3, 1, 1), float(value)))[0, 0, 0]
    return {"bits": _bits(value), "level": int(level)}


def _hard_values() -> list[np.float32]:
    """Where rounding turns, as near to it as float32 can be, and what is out of range."""
    turns = ((np.arange(255) + 0.5) / 255).astype(np.float32)
    near = [np.nextafter(turns, np.float32(0)), turns, np.nextafter(turns, np.float32(1))]
    outside = np.array([-1e9, -1, -1e-9, 0, 1, 1 + 1e-6, 7, 1e9], np.float32)
    return [*np.stack(near, 1).ravel(), *outside]


def _bits(value: np.float32) -> int:
    return int(np.float32(value).view(np.int32))


def _mirrored(length: int, padded: int) -> dict[str, Any]:
    indices = np.pad(np.arange(length), (0, padded - length), mode="symmetric")
    return {"length": length, "indices": indices.tolist()}


def _picture(height: int, width: int) -> np.ndarray:
    """Pixels (H,W,3) of noise."""
    values = noise(f"picture {height}x{width}", 3 * height * width).numpy()
    return ((values + 1) * 128).astype(np.uint8).reshape(height, width, 3)


def _packed(picture: np.ndarray) -> list[int]:
    red, green, blue = picture.reshape(-1, 3).astype(int).T
    return (red << 16 | green << 8 | blue).tolist()


def _enlarged(scale: int, height: int, width: int) -> dict[str, Any]:
    lr = _picture(height, width)
    sr = to_uint8(Bicubic(scale)(to_tensor(lr)))
    return {"scale": scale, "height": height, "width": width, "lr": _packed(lr), "sr": _packed(sr)}


def _tiled(
    scale: int, height: int, width: int, tile_height: int, tile_width: int, overlap: int, multiple: int
) -> dict[str, Any]:
    """Tiles by a network that repeats pixels, each after its mean with the one opposite in the tile."""

    def upscale(lr: Tensor) -> Tensor:
        folded = (lr + lr.flip(2, 3)) / 2
        return folded.repeat_interleave(scale, 2).repeat_interleave(scale, 3)

    lr, tile = _picture(height, width), (tile_height, tile_width)
    grid = {"scale": scale, "overlap": overlap, "multiple": multiple}
    tiled = upscale_tiled(
        upscale, to_tensor(lr), scale=scale, tile=tile, overlap=overlap, multiple=multiple
    )
    sr = to_uint8(tiled)
    sizes = {"height": height, "width": width, "tile_height": tile_height, "tile_width": tile_width}
    return {**grid, **sizes, "lr": _packed(lr), "sr": _packed(sr)}


if __name__ == "__main__":
    torch.set_num_threads(1)  # how many there are moves the last digits
    (FOLDER / "tiles.json").write_text(text(tile_plans()), encoding="utf-8")
    (FOLDER / "pixels.json").write_text(text(pixels()), encoding="utf-8")
    (FOLDER / "networks.json").write_text(text(networks()), encoding="utf-8")
    (FOLDER / "complexity.json").write_text(text(costs()), encoding="utf-8")
