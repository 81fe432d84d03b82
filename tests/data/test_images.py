"""Every kind of image file that users have, and every kind of file that is none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from imagecodecs import png_decode, png_encode
from PIL import Image, ImageOps

from edgesr.data import (
    FORMATS,
    Picture,
    find_images,
    read_picture,
    read_uint8,
    to_tensor,
    to_uint8,
    write_picture,
)
from edgesr.data.images import to_levels
from edgesr.errors import UserError

RGB = np.arange(4 * 6 * 3).reshape(4, 6, 3).astype(np.uint8) * 3
GREY = np.arange(4 * 6).reshape(4, 6).astype(np.uint8) * 10


def picture_of(rgb: torch.Tensor, alpha: torch.Tensor | None = None, grey: bool = False) -> Picture:
    """8-bit, of channels (3,H,W) and alpha (1,H,W) in [0,1]."""
    colour = to_levels(rgb[:1] if grey else rgb, np.dtype(np.uint8))
    return Picture(colour, None if alpha is None else to_levels(alpha, np.dtype(np.uint8)))


EVERY_LEVEL = np.arange(256).astype(np.uint8).reshape(16, 16, 1)


def saved(folder: Path, image: Image.Image, name: str = "image.png", **options: Any) -> Path:
    path = folder / name
    image.save(path, **options)
    return path


def levels(plane: torch.Tensor) -> np.ndarray:
    """(C,H,W) in [0,1] → whole levels (H,W,C)."""
    return (plane * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()


def test_rgb(tmp_path: Path):
    path = saved(tmp_path, Image.fromarray(RGB))
    picture = read_picture(path)
    np.testing.assert_array_equal(levels(picture.rgb), RGB)
    assert picture.rgb.dtype == torch.float32
    assert (picture.alpha, picture.grey, picture.bits) == (None, False, 8)
    np.testing.assert_array_equal(read_uint8(path), RGB)


def test_grey_is_one_channel_of_bytes_and_three_of_a_picture(tmp_path: Path):
    path = saved(tmp_path, Image.fromarray(GREY))
    picture = read_picture(path)
    assert picture.grey
    np.testing.assert_array_equal(levels(picture.rgb), np.repeat(GREY[:, :, None], 3, axis=2))
    np.testing.assert_array_equal(read_uint8(path), GREY[:, :, None])


def test_black_and_white(tmp_path: Path):
    path = saved(tmp_path, Image.fromarray(GREY > 100))
    expected = np.where(GREY > 100, 255, 0)[:, :, None]
    np.testing.assert_array_equal(read_uint8(path), expected)
    assert read_picture(path).grey


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_kept_by_pictures_and_dropped_from_bytes(tmp_path: Path, mode: str):
    image = Image.fromarray(GREY if mode == "LA" else RGB)
    image.putalpha(Image.fromarray(255 - GREY))
    path = saved(tmp_path, image)
    picture = read_picture(path)
    assert picture.alpha is not None
    np.testing.assert_array_equal(levels(picture.alpha)[:, :, 0], 255 - GREY)
    assert picture.grey == (mode == "LA")
    assert read_uint8(path).shape == (4, 6, 1 if mode == "LA" else 3)
    np.testing.assert_array_equal(read_uint8(path), GREY[:, :, None] if mode == "LA" else RGB)


def test_palette(tmp_path: Path):
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    path = saved(tmp_path, image)
    expected = np.array([[[10, 20, 30], [200, 100, 50]], [[200, 100, 50], [10, 20, 30]]])
    np.testing.assert_array_equal(read_uint8(path), expected)
    assert read_picture(path).alpha is None


def test_palette_with_a_transparent_entry(tmp_path: Path):
    image = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    path = saved(tmp_path, image, transparency=1)
    alpha = read_picture(path).alpha
    assert alpha is not None
    assert alpha[0].tolist() == [[1, 0], [0, 1]]
    assert read_uint8(path).shape == (2, 2, 3)


def test_grey_with_a_transparent_level(tmp_path: Path):
    path = saved(tmp_path, Image.fromarray(GREY), transparency=10)
    picture = read_picture(path)
    assert picture.grey
    assert picture.alpha is not None
    np.testing.assert_array_equal(levels(picture.alpha)[:, :, 0], np.where(GREY == 10, 0, 255))


def test_cmyk(tmp_path: Path):
    path = saved(tmp_path, Image.new("CMYK", (3, 2), (0, 255, 255, 0)), "ink.tif")
    np.testing.assert_array_equal(read_uint8(path), np.full((2, 3, 3), (255, 0, 0)))


def test_sixteen_bit_grey(tmp_path: Path):
    deep = np.array([[0, 128, 129, 257], [32768, 65535, 65406, 65407]], np.uint16)
    path = saved(tmp_path, Image.fromarray(deep))
    picture = read_picture(path)
    assert (picture.grey, picture.bits) == (True, 16)
    np.testing.assert_allclose(picture.rgb[2].numpy(), deep / 65535, rtol=1e-6)
    # Divided by 257 and rounded: 128 / 257 < 0.5 < 129 / 257.
    assert read_uint8(path)[:, :, 0].tolist() == [[0, 0, 1, 1], [128, 255, 254, 255]]


def test_every_byte_survives_sixteen_bits(tmp_path: Path):
    path = saved(tmp_path, Image.fromarray(EVERY_LEVEL[:, :, 0].astype(np.uint16) * 257))
    np.testing.assert_array_equal(read_uint8(path), EVERY_LEVEL)


@pytest.mark.parametrize(
    ("suffix", "channels"), [(".png", 2), (".png", 3), (".png", 4), (".tif", 3), (".tif", 4)]
)
def test_sixteen_bit_colour_is_read_and_written_in_full(tmp_path: Path, suffix: str, channels: int):
    deep = np.random.default_rng(channels).integers(0, 65_536, (70, 9, channels)).astype(np.uint16)
    path, copy = tmp_path / f"deep{suffix}", tmp_path / f"copy{suffix}"
    if suffix == ".png":
        path.write_bytes(png_encode(deep))
    else:
        extra = ["unassalpha"] if channels == 4 else None
        tifffile.imwrite(path, deep, photometric="rgb", extrasamples=extra, planarconfig="contig")
    picture = read_picture(path)
    write_picture(picture, copy)
    for found in (picture, read_picture(copy)):
        assert (found.bits, found.channels, found.grey) == (16, channels, channels == 2)
        np.testing.assert_array_equal(found.colour, deep[:, :, : 1 if channels == 2 else 3])
        if found.opacity is not None:
            np.testing.assert_array_equal(found.opacity, deep[:, :, -1:])
    np.testing.assert_array_equal(decoded_by_others(copy), deep)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="could not be read as an image"):
        read_picture(path)


def decoded_by_others(path: Path) -> np.ndarray:
    """All channels at full depth, by libpng or tifffile."""
    return png_decode(path.read_bytes()) if path.suffix == ".png" else tifffile.imread(path)


def test_deep_grey_with_alpha_is_written_as_a_tiff_that_can_be_read_again(tmp_path: Path):
    deep = np.random.default_rng(0).integers(0, 65_536, (70, 9, 2)).astype(np.uint16)
    write_picture(Picture(deep[:, :, :1], deep[:, :, 1:]), tmp_path / "deep.tif")
    found = read_picture(tmp_path / "deep.tif")
    np.testing.assert_array_equal(found.colour, np.repeat(deep[:, :, :1], 3, axis=2))
    assert found.opacity is not None
    np.testing.assert_array_equal(found.opacity, deep[:, :, 1:])


def test_sixteen_bits_become_eight_where_the_format_has_no_more(tmp_path: Path):
    deep = np.full((8, 8, 3), 128 * 257 + 128, np.uint16)
    write_picture(Picture(deep), tmp_path / "small.bmp")
    assert (read_uint8(tmp_path / "small.bmp") == 128).all()


def test_whole_numbers_beyond_sixteen_bits_are_refused(tmp_path: Path):
    image = Image.fromarray(np.array([[0, 70_000]], np.int32))
    path = saved(tmp_path, image, "deep.tif")
    with pytest.raises(
        UserError, match=r"deep\.tif: its levels run from 0 to 70000 and only 0 to 65535"
    ):
        read_uint8(path)


def test_floats_up_to_one_are_read(tmp_path: Path):
    path = saved(tmp_path, Image.fromarray(np.array([[0, 0.5, 1]], np.float32)), "float.tif")
    assert read_picture(path).rgb[0].tolist() == [[0, 0.5, 1]]
    assert read_uint8(path)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("level", [-0.1, 1.1, 255.0, float("nan"), float("inf")])
def test_other_floats_are_refused(tmp_path: Path, level: float):
    path = saved(tmp_path, Image.fromarray(np.array([[0.5, level]], np.float32)), "float.tif")
    with pytest.raises(UserError, match="only 0 to 1 is understood"):
        read_picture(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["photo.jpg", "photo.png", "photo.tif", "deep.png", "deep.tif"])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, name: str):
    """As Pillow does it, also where the pixels are not decoded by Pillow."""
    exif, path = Image.Exif(), tmp_path / name
    exif[0x0112] = orientation
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 3)).astype(np.uint8)
    reference = saved(tmp_path, Image.fromarray(noise), "reference.png", exif=exif)
    if name == "deep.png":
        deep = saved(tmp_path, Image.fromarray(noise), name, exif=exif).read_bytes()
        start = deep.index(b"eXIf") - 4
        chunk = deep[start : start + 12 + int.from_bytes(deep[start : start + 4])]
        content = png_encode(noise.astype(np.uint16) * 257)
        path.write_bytes(content[:33] + chunk + content[33:])
    elif name == "deep.tif":
        tag = (274, 3, 1, orientation, True)
        tifffile.imwrite(path, noise.astype(np.uint16) * 257, photometric="rgb", extratags=[tag])
    else:
        saved(tmp_path, Image.fromarray(noise), name, exif=exif, quality=100, subsampling=0)
    with Image.open(reference) as image:
        expected = np.asarray(ImageOps.exif_transpose(image)).astype(np.int16)
    found = read_picture(path)
    assert found.bits == (16 if name.startswith("deep") else 8)
    assert found.colour.shape == expected.shape
    tolerance = 40 if name == "photo.jpg" else 0
    assert np.abs((found.rgb * 255).round().permute(1, 2, 0).numpy() - expected).mean() <= tolerance


def test_a_single_pixel(tmp_path: Path):
    path = saved(tmp_path, Image.new("RGB", (1, 1), (1, 2, 3)))
    assert read_uint8(path).tolist() == [[[1, 2, 3]]]
    assert read_picture(path).rgb.shape == (3, 1, 1)


@pytest.mark.parametrize("suffix", FORMATS)
def test_truncated_files_are_refused(tmp_path: Path, suffix: str):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), f"cut{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"cut.* could not be read as an image.*truncated"):
        read_picture(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_files_that_hold_no_image_are_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "none.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"none\.png could not be read as an image"):
        read_uint8(path)


def test_missing_files_and_folders_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match=r"gone\.png does not exist"):
        read_uint8(tmp_path / "gone.png")
    with pytest.raises(UserError, match=r"is a folder\. Give an image file"):
        read_picture(tmp_path)


def test_decompression_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = saved(tmp_path, Image.fromarray(RGB))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(UserError, match=r"image\.png is too large to read"):
        read_uint8(path)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF", ".webp", ".bmp"])
def test_lossless_formats_give_back_what_was_written(tmp_path: Path, suffix: str):
    path = tmp_path / f"new/folder/image{suffix}"
    write_picture(picture_of(to_tensor(RGB)[0]), path)
    np.testing.assert_array_equal(read_uint8(path), RGB)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("grey", [False, True])
def test_alpha_is_written_where_it_can_be(tmp_path: Path, suffix: str, grey: bool):
    alpha = torch.tensor([0.2, 1.0, 0.8, 0.4]).view(1, 2, 2)
    path = tmp_path / f"image{suffix}"
    write_picture(picture_of(torch.full((3, 2, 2), 0.4), alpha, grey), path)
    picture = read_picture(path)
    assert picture.alpha is not None
    torch.testing.assert_close(picture.alpha, alpha)
    torch.testing.assert_close(picture.rgb, torch.full((3, 2, 2), 0.4))


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".bmp"])
def test_other_formats_show_it_over_white(tmp_path: Path, suffix: str):
    path = tmp_path / f"image{suffix}"
    write_picture(picture_of(torch.zeros(3, 8, 8), torch.full((1, 8, 8), 0.2)), path)
    assert read_picture(path).alpha is None
    assert (read_uint8(path) == 204).all()  # black at 20 % over white


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
def test_grey_is_written_as_grey(tmp_path: Path, suffix: str):
    path = tmp_path / f"image{suffix}"
    write_picture(picture_of(torch.full((3, 8, 8), 0.4), grey=True), path)
    assert read_uint8(path).shape == (8, 8, 1)


def test_the_colour_profile_is_carried_along(tmp_path: Path):
    source = saved(tmp_path, Image.fromarray(RGB), icc_profile=b"a colour profile")
    write_picture(read_picture(source), tmp_path / "copy.png")
    assert read_picture(tmp_path / "copy.png").profile == b"a colour profile"


def test_a_profile_for_ink_is_not_kept_for_light(tmp_path: Path):
    path = saved(tmp_path, Image.new("CMYK", (2, 2)), "ink.tif", icc_profile=b"ink")
    assert read_picture(path).profile is None


@pytest.mark.parametrize("name", ["image.xyz", "image"])
def test_unknown_suffixes_are_refused_before_anything_is_written(tmp_path: Path, name: str):
    with pytest.raises(UserError, match=r"suffix.*written as \.bmp, \.gif, \.jpeg, \.jpg, \.png"):
        write_picture(picture_of(torch.zeros(3, 2, 2)), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_sides_too_long_for_the_format_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match=r"WEBP holds at most 16383 pixels a side .* 16384x1"):
        write_picture(picture_of(torch.zeros(3, 1, 16_384)), tmp_path / "long.webp")


def test_tensors_and_bytes_are_each_others_inverse():
    np.testing.assert_array_equal(to_uint8(to_tensor(EVERY_LEVEL))[:, :, :1], EVERY_LEVEL)
    np.testing.assert_array_equal(to_uint8(to_tensor(RGB)), RGB)
    assert to_tensor(EVERY_LEVEL).shape == (1, 3, 16, 16)


def test_rounding_is_half_up_after_clamping():
    values = torch.tensor([-0.5, 0.49 / 255, 0.5 / 255, 254.49 / 255, 254.5 / 255, 1.5])
    image = to_uint8(values.expand(3, 1, 6))
    assert image[0, :, 0].tolist() == [0, 0, 1, 254, 255, 255]


def test_images_are_found_by_suffix_in_order(tmp_path: Path):
    for name in ("b.PNG", "a.jpg", "notes.txt", "._a.jpg", "c.webp"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in find_images(tmp_path)] == ["a.jpg", "b.PNG", "c.webp"]


def test_folders_without_images_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match=r"holds no image \(looked for \.bmp, .*\.webp\)"):
        find_images(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        find_images(tmp_path / "gone")
    file = saved(tmp_path, Image.fromarray(RGB))
    with pytest.raises(UserError, match=r"is a file\. Give a folder"):
        find_images(file)
