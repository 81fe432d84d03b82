"""Training patches from images held in memory: nothing is decoded while training runs."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgesr.data.benchmarks import Pair, inner_folder, make_pair
from edgesr.data.downscale import crop_to_multiple, downscale
from edgesr.data.images import find_images, read_uint8
from edgesr.errors import UserError

TRAINING_FOLDERS = ("DIV2K_train_HR", "Flickr2K_HR", "HR")
SCORED_ONLY = ("set5", "set14", "b100", "bsd100", "bsds100", "urban100", "manga109")

Image8 = NDArray[np.uint8]
OnImage = Callable[[int, int], None]


class PairedImages:
    """HR images and the LR of each, made once; `batch` cuts random patches from them."""

    def __init__(self, hrs: list[Image8], scale: int) -> None:
        """Take HR images (H,W,1|3); they are cropped to a multiple of `scale`."""
        self.scale = scale
        self.hrs = [crop_to_multiple(hr, scale) for hr in hrs]
        with ThreadPoolExecutor() as pool:
            self.lrs = list(pool.map(partial(downscale, scale=scale), self.hrs))
        areas = np.array([lr.shape[0] * lr.shape[1] for lr in self.lrs], dtype=np.float64)
        self._edges = np.cumsum(areas) / areas.sum()

    def __len__(self) -> int:
        """The number of images."""
        return len(self.hrs)

    def batch(self, rng: np.random.Generator, batch: int, patch_lr: int) -> tuple[Tensor, Tensor]:
        """Random patches: LR (N,3,p,p) and HR (N,3,sp,sp), uint8, p being `patch_lr`.

        An image is drawn in proportion to its area, then a place in it and one of the eight
        symmetries of the square, all from `rng`. UserError where an image is smaller than a patch.
        """
        chosen = np.searchsorted(self._edges, rng.random(batch), side="right")
        pairs = [self._patch(rng, int(index), patch_lr) for index in chosen]
        lrs, hrs = zip(*pairs, strict=True)
        return _stack(lrs), _stack(hrs)

    def _patch(self, rng: np.random.Generator, index: int, side: int) -> tuple[Image8, Image8]:
        lr, hr = self.lrs[index], self.hrs[index]
        height, width = lr.shape[:2]
        if min(height, width) < side:
            raise UserError(f"A {side} pixel patch does not fit an LR image of {width}x{height}.")
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        symmetry = int(rng.integers(8))
        wide = self.scale * side
        hr = hr[self.scale * top :, self.scale * left :][:wide, :wide]
        return _turned(lr[top:, left:][:side, :side], symmetry), _turned(hr, symmetry)


class TrainingSet(NamedTuple):
    """What `load_training` found. `left_out` counts the images smaller than one crop."""

    train: PairedImages
    validation: list[Pair]
    left_out: int


def load_training(
    folders: list[Path], scale: int, patch: int, *, holdout: int, progress: OnImage | None = None
) -> TrainingSet:
    """Read all images of `folders` into memory and set `holdout` of them apart for validation.

    DIV2K and Flickr2K are recognised by their own layout (`DIV2K_train_HR`, `Flickr2K_HR`); other
    folders hold images directly or in `HR`. `patch` is the side of an LR crop: smaller images are
    left out. Which images are held out depends on the file names alone, not on folder order; each
    is named by its path. `progress(done, total)` is called after each file.

    UserError for a missing or empty folder, an unreadable image, a benchmark folder (those are for
    scoring only), or when too few images are left.
    """
    paths = [path for folder in folders for path in _training_images(folder)]
    images = _read_all(_shuffled(paths), progress)
    fit = {path: hr for path, hr in images.items() if min(hr.shape[:2]) >= scale * patch}
    if not fit:
        raise _all_too_small(images, scale * patch)
    trained, held = _split(list(fit), holdout)
    validation = [make_pair(str(path), fit[path], scale) for path in held]
    train = PairedImages([fit[path] for path in trained], scale)
    return TrainingSet(train, validation, len(images) - len(fit))


def _training_images(folder: Path) -> list[Path]:
    places = (folder.absolute(), folder.resolve())
    names = {name.lower() for place in places for name in (place.name, place.parent.name)}
    if names & set(SCORED_ONLY):
        raise UserError(
            f"{folder} is a benchmark: its images are for scoring only, and training on them would "
            "make every score worthless. Give another folder, such as DIV2K or T91."
        )
    return find_images(inner_folder(folder, TRAINING_FOLDERS))


def _shuffled(paths: list[Path]) -> list[Path]:
    """An order that mixes the folders and depends on the names of the files only."""
    unique = dict.fromkeys(paths)
    return sorted(unique, key=lambda path: (_digest(path.stem), str(path)))


def _digest(stem: str) -> str:
    return hashlib.sha256(stem.encode()).hexdigest()


def _split(paths: list[Path], holdout: int) -> tuple[list[Path], list[Path]]:
    """Part `paths` into those to train on and the last `holdout`, held out.

    Files of one name in two folders are often pieces of one picture (DIV2K's 0001, say): those that
    share a name with a held-out one are not trained on either.
    """
    held = paths[max(len(paths) - holdout, 0) :]
    stems = {path.stem for path in held}
    trained = [path for path in paths if path.stem not in stems]
    if not trained:
        raise UserError(
            f"{holdout} images are to be held out for validation, which leaves none of the "
            f"{len(paths)} usable images to train on. Give more images or hold out fewer."
        )
    return trained, held


def _read_all(paths: list[Path], progress: OnImage | None) -> dict[Path, Image8]:
    images = {}
    with ThreadPoolExecutor() as pool:
        for path, image in zip(paths, pool.map(read_uint8, paths), strict=True):
            images[path] = image
            if progress is not None:
                progress(len(images), len(paths))
    return images


def _all_too_small(images: dict[Path, Image8], side: int) -> UserError:
    path, first = next(iter(images.items()))
    return UserError(
        f"No image is as large as one crop of {side}x{side} pixels: {path}, for one, is "
        f"{first.shape[1]}x{first.shape[0]}. Give larger images or a smaller patch."
    )


def _turned(patch: Image8, symmetry: int) -> Image8:
    """One of the eight symmetries of the square: transposed (4), upside down (2), mirrored (1)."""
    patch = patch.swapaxes(0, 1) if symmetry & 4 else patch
    patch = patch[::-1] if symmetry & 2 else patch
    return patch[:, ::-1] if symmetry & 1 else patch


def _stack(patches: tuple[Image8, ...]) -> Tensor:
    """(p,p,1|3) each → (N,3,p,p), grey repeated."""
    rgb = [np.broadcast_to(patch, (*patch.shape[:2], 3)).transpose(2, 0, 1) for patch in patches]
    return torch.from_numpy(np.stack(rgb))
