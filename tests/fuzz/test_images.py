"""Broken image files, in every format that is read often: pixels or a UserError, nothing else."""

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from imagecodecs import png_encode
from PIL import Image

from edgesr.data.frames import loop_of, read_frames, read_header
from edgesr.data.images import read_picture, read_uint8
from edgesr.errors import UserError
from edgesr.jobs import Job, Policy, _what_is_wrong, run_job
from edgesr.models.bicubic import Bicubic
from edgesr.runner import Runner
from tests.mutations import examples, harmed

LEVELS = np.random.default_rng(0).integers(0, 256, (9, 11, 4)).astype(np.uint8)
LEVELS[:, 4:] = LEVELS[:, 4:5]  # something to compress
DEEP = LEVELS.astype(np.uint16) * 257
HEAD = 120


def saved(levels: np.ndarray | Image.Image, form: str, **options: object) -> bytes:
    held = io.BytesIO()
    image = levels if isinstance(levels, Image.Image) else Image.fromarray(levels)
    image.save(held, form, **options)
    return held.getvalue()


def clip(form: str) -> bytes:
    frames = [Image.fromarray(np.roll(LEVELS, k, 0)) for k in range(3)]
    held = io.BytesIO()
    frames[0].save(held, form, save_all=True, append_images=frames[1:], duration=[10, 20, 30], loop=2)
    return held.getvalue()


def tiff(levels: np.ndarray, **options: object) -> bytes:
    held = io.BytesIO()
    tifffile.imwrite(held, levels, photometric="rgb", **options)  # pyright: ignore[reportArgumentType]
    return held.getvalue()


def exif() -> bytes:
    found = Image.Exif()
    found[274] = 6
    return found.tobytes()


PLAIN = LEVELS[:, :, :3].copy()
FILES: dict[str, bytes] = {
    "rgba.png": saved(LEVELS, "PNG", icc_profile=b"profile", exif=exif()),
    "palette.png": saved(Image.fromarray(PLAIN).quantize(16), "PNG", transparency=3),
    "deep.png": bytes(png_encode(DEEP[:, :, :3].copy())),
    "grey16.png": saved(DEEP[:, :, 0], "PNG"),
    "clip.png": clip("PNG"),
    "clip.gif": clip("GIF"),
    "clip.webp": clip("WEBP"),
    "a.jpg": saved(PLAIN, "JPEG", exif=exif(), icc_profile=b"profile"),
    "progressive.jpg": saved(PLAIN, "JPEG", progressive=True),
    "a.tif": saved(PLAIN, "TIFF", compression="tiff_lzw"),
    "deep.tif": tiff(DEEP[:, :, :3].copy(), compression="zlib", predictor=True),
    "planes.tif": tiff(np.moveaxis(DEEP[:, :, :3], 2, 0).copy(), planarconfig="separate"),
    "a.bmp": saved(PLAIN, "BMP"),
    "a.tga": saved(LEVELS, "TGA", compression="tga_rle"),
    "a.ppm": saved(PLAIN, "PPM"),
    "a.ico": saved(LEVELS, "ICO"),
    "a.jp2": saved(PLAIN, "JPEG2000"),
    "a.avif": saved(PLAIN, "AVIF"),
}  # fmt: skip
RUNNER = Runner(Bicubic(2), 2, (8, 8), 2, 1)


def upscaled(path: Path) -> None:
    run_job(Job(path, path.with_name("out.png")), RUNNER, Policy(force=True), lambda *_: None)


READERS: tuple[Callable[[Path], object], ...] = (
    read_picture,
    read_uint8,
    read_header,
    lambda path: list(read_frames(path)),
    loop_of,
    lambda path: _what_is_wrong(path, (9, 11)),
    upscaled,
)


@pytest.fixture(autouse=True)
def _small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a header may claim before it is refused: else each claim below it costs a second of zeros."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50_000)


@pytest.mark.parametrize("name", FILES)
@examples(20)
@given(data=st.data())
def test_broken_images_are_refused(tmp_path_factory: pytest.TempPathFactory, name: str, data) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data.draw(harmed(FILES[name], head=HEAD)))
    for read in READERS:
        with suppress(UserError):
            read(path)


def test_a_header_that_claims_too_much_is_refused_before_any_pixel(tmp_path: Path) -> None:
    """40,000 x 40,000 in 60 bytes."""
    content = bytearray(FILES["a.bmp"])
    content[18:26] = (40_000).to_bytes(4, "little") * 2
    (tmp_path / "a.bmp").write_bytes(content)
    for read in (read_picture, read_uint8, read_header, upscaled):
        with pytest.raises(UserError, match="too large"):
            read(tmp_path / "a.bmp")


@pytest.mark.parametrize("name", FILES)
def test_whole_images_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    for read in READERS:
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["load", "has_transparency_data"])
def test_what_pillow_asserts_is_the_files_fault(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a GIF whose frame was moved or has no palette, as long runs of fuzzing found."""

    def asserts(self: object) -> None:
        raise AssertionError

    (tmp_path / "a.gif").write_bytes(FILES["clip.gif"])
    found = property(asserts) if name == "has_transparency_data" else asserts
    monkeypatch.setattr(f"PIL.GifImagePlugin.GifImageFile.{name}", found)
    with pytest.raises(UserError, match="not where it may be"):
        list(read_frames(tmp_path / "a.gif"))


def test_a_volume_is_not_decoded_as_an_image(tmp_path: Path) -> None:
    """16-bit pixels in planes of a depth that Pillow does not see: of 2**40 layers, say."""
    path = tmp_path / "volume.tif"
    tifffile.imwrite(
        path, np.zeros((4, 16, 16, 3), np.uint16), photometric="rgb", volumetric=True, tile=(4, 16, 16)
    )
    with pytest.raises(UserError, match="not those of 256 pixels"):
        read_picture(path)
