"""Images of any size and kind through a runner: pixels, sizes and kinds of what comes out."""

import re
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

import edgesr
from edgesr.data.images import Picture, decode, to_floats, to_levels
from edgesr.models.bicubic import Bicubic
from edgesr.runner import Runner

REACH = 2
"""LR pixels that `convolutions` reads on each side."""
SIDE = st.integers(1, 70)
SEED = st.integers(0, 2**32 - 1)
EVERY = settings(max_examples=120, deadline=None, derandomize=True)
MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV", "I;16")


def convolutions(scale: int):
    """Whole-number weights and pixels keep every sum exact, so that "equal" means it."""
    generator = torch.Generator().manual_seed(scale)
    first = torch.randint(-2, 3, (4, 3, 3, 3), generator=generator).float()
    second = torch.randint(-2, 3, (3 * scale**2, 4, 3, 3), generator=generator).float()

    def upscale(lr: Tensor) -> Tensor:
        deep = F.conv2d(F.relu(F.conv2d(lr, first, padding=1)), second, padding=1)
        return F.pixel_shuffle(deep, scale) / 2**12 + 0.5

    return upscale


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@EVERY
@given(height=SIDE, width=SIDE, scale=st.sampled_from([2, 3, 4]), seed=SEED, data=st.data())
def test_tiles_equal_the_whole_to_the_bit(height: int, width: int, scale: int, seed: int, data) -> None:
    """For whatever reads no further than the overlap; the padding at the end stands for the image."""
    overlap = data.draw(st.integers(REACH, REACH + 3))
    tile = tuple(data.draw(st.integers(2 * overlap + 1, 2 * overlap + 24)) for _ in range(2))
    upscale = convolutions(scale)
    lr = torch.from_numpy(noise(seed, 1, 3, height, width)).float()
    tiled = Runner(upscale, scale, (tile[0], tile[1]), overlap, 1)
    # beyond its end an image smaller than a tile is mirrored, and so the whole has to be
    margins = [max(0, side - length) for side, length in zip(tile, (height, width), strict=True)]
    padded = np.pad(lr.numpy(), ((0, 0), (0, 0), (0, margins[0]), (0, margins[1])), mode="symmetric")
    whole = upscale(torch.from_numpy(padded))[:, :, : scale * height, : scale * width]
    assert torch.equal(tiled(lr), whole.clamp(0, 1))


@EVERY
@given(
    height=SIDE,
    width=SIDE,
    scale=st.sampled_from([2, 3, 4]),
    grey=st.booleans(),
    alpha=st.booleans(),
    bits=st.sampled_from([8, 16]),
    ensemble=st.booleans(),
    seed=SEED,
)
def test_bands_are_bicubic_in_every_channel(
    height: int, width: int, scale: int, grey: bool, alpha: bool, bits: int, ensemble: bool, seed: int
) -> None:
    """In tiles of 24x32 the pixels are those of the whole, but for half a level of rounding."""
    pixels = noise(seed, height, width, 4).astype(f"uint{bits}") * (257 if bits == 16 else 1)
    colour, opacity = pixels[:, :, : 1 if grey else 3], pixels[:, :, 3:] if alpha else None
    picture, kind = Picture(colour, opacity), np.dtype(f"uint{bits}")
    runner = Runner(Bicubic(scale), scale, (24, 32), 3, 1, ensemble=ensemble)
    bands = list(runner.bands(picture, kind))
    found = np.concatenate(bands)
    assert (found.shape, found.dtype) == ((scale * height, scale * width, picture.channels), kind)
    # an image smaller than a tile is mirrored until it is one, and bicubic sees two pixels of that
    margins = [max(0, side - length) for side, length in zip((24, 32), (height, width), strict=True)]
    mirrored = np.pad(colour, ((0, margins[0]), (0, margins[1]), (0, 0)), mode="symmetric")
    channels = [
        Bicubic(scale)(to_floats(mirrored).unsqueeze(0))[:, :, : scale * height, : scale * width]
    ]
    if opacity is not None:
        channels.append(Bicubic(scale)(to_floats(opacity).unsqueeze(0)))
    expected = to_levels(torch.cat(channels, 1), kind)
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert (found != expected).sum() <= max(2, 0.01 * found.size)


@EVERY
@given(height=SIDE, width=SIDE, mode=st.sampled_from(MODES), scale=st.sampled_from([2, 3, 4]), seed=SEED)
def test_every_mode_of_pillow_comes_out_as_its_kind(
    height: int, width: int, mode: str, scale: int, seed: int
) -> None:
    image = Image.fromarray(noise(seed, height, width, 4))
    if mode == "I;16":
        image = Image.fromarray(noise(seed, height, width).astype(np.uint16) * 257)
    elif mode in ("La", "RGBa", "PA"):
        image = image.convert({"La": "LA", "RGBa": "RGBA", "PA": "P"}[mode]).convert(mode)
    else:
        image = image.convert("RGB").convert(mode) if mode in ("HSV", "YCbCr") else image.convert(mode)
    large = Runner(Bicubic(scale), scale, (16, 16), 3, 1, whole=400).image(image)
    kinds = {"1": "L", "L": "L", "LA": "LA", "La": "LA", "I;16": "L"}
    kinds |= dict.fromkeys(("PA", "RGBA", "RGBa"), "RGBA")
    assert large.size == (scale * width, scale * height)
    assert large.mode == kinds.get(mode, "RGBA" if image.has_transparency_data else "RGB")


@pytest.mark.parametrize("ensemble", [False, True])
def test_memory_is_that_of_a_row_of_tiles(ensemble: bool) -> None:
    """A band comes as soon as its tiles are done, and nothing as large as the SR is ever held."""
    calls = 0

    def upscale(lr: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return lr.repeat_interleave(4, 2).repeat_interleave(4, 3)

    picture = Picture(noise(0, 600, 400, 3))
    runner = Runner(upscale, 4, (64, 64), 8, 1, ensemble=ensemble)
    in_a_row, seen = 8 * (8 if ensemble else 1), []
    tracemalloc.start()
    for band in runner.bands(picture, np.dtype(np.uint8)):
        seen.append((calls, band.nbytes))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [done for done, _ in seen] == [in_a_row * row for row in range(1, len(seen) + 1)]
    largest = max(size for _, size in seen)
    assert largest < 600 * 400 * 16 * 3 / 9
    assert peak < 4 * largest


def test_tensors_in_batches_and_out_of_range() -> None:
    runner = Runner(lambda lr: 2 * lr - 0.5, 1, (8, 8), 0, 1)
    lr = torch.rand(3, 3, 9, 5)
    assert torch.equal(runner(lr), (2 * lr - 0.5).clamp(0, 1))


def test_five_lines_of_a_notebook(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(noise(0, 9, 7, 4)).save(photo, icc_profile=b"profile")
    upscaler = edgesr.load("bicubic", scale=3)
    large = upscaler.image(photo)
    assert (large.size, large.mode, large.info["icc_profile"]) == ((21, 27), "RGBA", b"profile")
    assert upscaler.image(str(photo)).tobytes() == upscaler.image(Image.open(photo)).tobytes()
    upscaler.file(photo, tmp_path / "large.png")
    with Image.open(tmp_path / "large.png") as written:
        assert written.tobytes() == large.tobytes()
    with pytest.raises(FileExistsError):
        upscaler.file(photo, tmp_path / "large.png")
    assert decode(large).size == (27, 21)
    assert upscaler(torch.rand(2, 3, 5, 6)).shape == (2, 3, 15, 18)
    with pytest.raises(edgesr.UserError, match="Unknown scale 5"):
        edgesr.load("bicubic", scale=5)


def test_the_readme_in_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines as they stand, one after another; the images that they name are small."""
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    lines = re.findall(
        r"^    (.+)$", readme.partition("In Python, with types")[2].partition("`export`")[0], re.M
    )
    assert len(lines) == 6
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Set5/HR").mkdir(parents=True)
    for name in ("photo.jpg", "huge.png", "Set5/HR/baby.png"):
        Image.fromarray(noise(0, 24, 28, 3)).save(tmp_path / name)
    names: dict[str, Any] = {"lr": torch.rand(2, 3, 5, 6)}
    exec("\n".join(lines[:-1]), names)
    assert Image.open("large.png").size == Image.open("huge_x4.png").size == (112, 96)
    assert names["sr"].shape == (2, 3, 20, 24)
    assert 5 < eval(lines[-1], names) < 60


@pytest.mark.parametrize("ensemble", [False, True])
def test_images_too_small_for_a_network_are_mirrored(ensemble: bool) -> None:
    def upscale(lr: Tensor) -> Tensor:
        assert min(lr.shape[2:]) >= 15
        return Bicubic(2)(lr)

    runner = Runner(upscale, 2, (16, 16), 3, 1, whole=400, smallest=15, ensemble=ensemble)
    for height, width in ((1, 1), (14, 20), (20, 14), (15, 15)):
        lr = torch.rand(1, 3, height, width)
        torch.testing.assert_close(runner(lr), Bicubic(2)(lr), rtol=0, atol=1e-6)


def test_importing_the_package_costs_next_to_nothing() -> None:
    program = "import edgesr, sys; print(sorted({'numpy', 'PIL', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_public_name_is_there_and_typed() -> None:
    """The stub is what editors and type checkers see instead of the lazy imports."""
    stub = (Path(edgesr.__file__).parent / "__init__.pyi").read_text()
    typed = set(re.findall(r"import \w+ as (\w+)", stub)) | {"__version__"}
    assert typed == set(edgesr.__all__) == set(dir(edgesr))
    assert all(getattr(edgesr, name) is not None for name in typed)
    with pytest.raises(AttributeError, match="nothing"):
        edgesr.nothing  # pyright: ignore[reportAttributeAccessIssue]  # noqa: B018
    assert (Path(edgesr.__file__).parent / "py.typed").is_file()


def test_a_network_by_name_is_scored() -> None:
    from edgesr.data import drawn_pairs

    pairs = list(drawn_pairs(4, count=1, size=96))
    network = edgesr.evaluate(edgesr.load("msfin-s", scale=4), pairs, 4)
    assert network.psnr > edgesr.evaluate(edgesr.load("bicubic", scale=4), pairs, 4).psnr + 0.5
