"""Benchmark folders → pairs of LR and HR images.

A benchmark folder holds `HR/` and perhaps `LR_bicubic/X2`, `X3`, `X4`, where the LR of `baby.png`
is `babyx2.png` or `baby.png`, as in the official archives. DIV2K's own names (`DIV2K_valid_HR`,
`DIV2K_valid_LR_bicubic`) and a plain folder of images are taken too. Where there is no LR folder
for the scale, LR is made by `downscale`, which equals MATLAB's.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesr.data.downscale import crop_to_multiple, downscale
from edgesr.data.images import find_images, read_uint8
from edgesr.errors import UserError

SCORED_FOLDERS = ("HR", "DIV2K_valid_HR")


@dataclass(frozen=True)
class Pair:
    """An LR image (H,W,C) and its HR image (sH,sW,C), C being 1 (grey) or 3 (RGB)."""

    name: str
    lr: NDArray[np.uint8]
    hr: NDArray[np.uint8]


def load_benchmark(folder: Path | str, scale: int) -> Iterator[Pair]:
    """The pairs of a benchmark folder, in order of name, each read when it is asked for.

    HR is cropped at the bottom and right to a multiple of `scale`. UserError at once for a missing
    or empty folder and for images or LR files that do not match by name; on reading, for an
    unreadable file and for an LR of the wrong size.
    """
    hr_folder = inner_folder(Path(folder), SCORED_FOLDERS)
    hr_paths = find_images(hr_folder)
    _refuse_duplicates(hr_paths)
    lr_paths = _lr_paths(hr_folder, hr_paths, scale)
    return (_read_pair(hr, lr, scale) for hr, lr in zip(hr_paths, lr_paths, strict=True))


def make_pair(name: str, hr: NDArray[np.uint8], scale: int) -> Pair:
    """Crop `hr` (H,W,C) to a multiple of `scale` and make its LR by MATLAB's bicubic."""
    return Pair(name, downscale(hr, scale), crop_to_multiple(hr, scale))


def inner_folder(folder: Path, names: tuple[str, ...]) -> Path:
    """The first of the subfolders `names` that `folder` has, or else `folder` itself."""
    return next((folder / name for name in names if (folder / name).is_dir()), folder)


def _refuse_duplicates(paths: list[Path]) -> None:
    stem, count = Counter(path.stem for path in paths).most_common(1)[0]
    if count > 1:
        raise UserError(
            f"{paths[0].parent} holds {count} images called {stem!r}. "
            "Scores are listed by name, so keep one of them."
        )


def _lr_paths(hr_folder: Path, hr_paths: list[Path], scale: int) -> list[Path | None]:
    """The LR file of each HR file, or None for all of them where there is no folder of LR files."""
    lr_name = hr_folder.name.removesuffix("HR") + "LR_bicubic"
    lr_folder = hr_folder.parent / lr_name / f"X{scale}"
    if not hr_folder.name.endswith("HR") or not lr_folder.is_dir():
        return [None] * len(hr_paths)
    by_stem = {path.stem: path for path in find_images(lr_folder)}
    return [_lr_of(hr.stem, by_stem, lr_folder, scale) for hr in hr_paths]


def _lr_of(stem: str, by_stem: dict[str, Path], lr_folder: Path, scale: int) -> Path:
    path = by_stem.get(f"{stem}x{scale}") or by_stem.get(stem)
    if path is None:
        raise UserError(
            f"{lr_folder} has no LR image for {stem!r} (looked for {stem}x{scale} and {stem}). "
            "Add it, or remove the folder to have all LR images made here."
        )
    return path


def _read_pair(hr_path: Path, lr_path: Path | None, scale: int) -> Pair:
    hr = read_uint8(hr_path)
    if min(hr.shape[:2]) < scale:
        raise UserError(f"{hr_path} is {_size(hr)} pixels: too small to shrink {scale} times.")
    if lr_path is None:
        return make_pair(hr_path.stem, hr, scale)
    lr, hr = read_uint8(lr_path), crop_to_multiple(hr, scale)
    if (lr.shape[0] * scale, lr.shape[1] * scale) != hr.shape[:2]:
        raise UserError(
            f"{lr_path} is {_size(lr)} pixels. For scale {scale} and the {_size(hr)} HR image "
            f"{hr_path} it must be {hr.shape[1] // scale}x{hr.shape[0] // scale}."
        )
    return Pair(hr_path.stem, lr, hr)


def _size(image: NDArray[np.uint8]) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
