"""Folders of training images → what to train on and what to measure with.

The images of a folder are decoded once, into a store that later runs map into memory; for each scale a
second store holds their LR. A folder whose files changed gets its stores anew.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgesr.data.benchmarks import Pair, make_pair
from edgesr.data.downscale import downscale
from edgesr.data.images import find_images, read_uint8
from edgesr.data.patches import Image8, PairedImages
from edgesr.data.store import Store, obtain
from edgesr.errors import UserError
from edgesr.files import cache_folder

# As the archives unpack, with and without a folder of the archive's name around it.
TRAINING_FOLDERS = (
    "DIV2K_train_HR",
    "DIV2K_train_HR/DIV2K_train_HR",
    "DIV2K/DIV2K_train_HR",
    "Flickr2K_HR",
    "Flickr2K/Flickr2K_HR",
    "HR",
)
SCORED_ONLY = ("set5", "set14", "b100", "bsd100", "bsds100", "urban100", "manga109")

OnImage = Callable[[str, int, int], None]
"""Called with what is done ("decoding" or "shrinking"), the images that are done, and their number."""


class TrainingSet(NamedTuple):
    """What `load_training` found. `left_out` counts the images smaller than one crop."""

    train: PairedImages
    validation: list[Pair]
    left_out: int


class _Place(NamedTuple):
    """An image among the stores."""

    store: int
    number: int


def load_training(
    folders: list[Path], scale: int, patch: int, *, holdout: int, progress: OnImage | None = None
) -> TrainingSet:
    """Open the stores of all images in `folders` and set `holdout` images apart for validation.

    DIV2K and Flickr2K are recognised by their own layout (`DIV2K_train_HR`, `Flickr2K_HR`, both where
    a folder has both); other folders hold images directly or in `HR`. `patch` is the side of an LR
    crop: smaller images are left out. Which images are held out depends on the file names alone, not
    on folder order; each is named by its path. Where stores are missing or out of date they are made,
    in `cache_folder()`; `progress` is called after each image then.

    UserError for a missing or empty folder, an unreadable image, a benchmark folder (those are for
    scoring only), when too few images are left, or where the stores do not fit the disk.
    """
    tell = progress or (lambda *_: None)
    found = [_training_images(folder) for folder in folders]
    listed = list({paths[0].parent: paths for inner in found for paths in inner}.values())
    stores = [_decoded(paths, tell) for paths in listed]
    places = {
        path: _Place(store, number)
        for store, paths in enumerate(listed)
        for number, path in enumerate(paths)
    }
    sides = {path: _sides(stores, place) for path, place in places.items()}
    fit = [path for path in _shuffled(list(places)) if min(sides[path]) >= scale * patch]
    if not fit:
        raise _all_too_small(sides, scale * patch)
    trained, held = _split(fit, holdout)
    images = {path: stores[places[path].store].image(places[path].number) for path in held}
    validation = [make_pair(str(path), image, scale) for path, image in images.items()]
    small = [
        _shrunk(paths[0].parent, store, scale, tell) for paths, store in zip(listed, stores, strict=True)
    ]
    chosen: list[tuple[int, int]] = [places[path] for path in trained]
    train = PairedImages.of_stores(stores, small, chosen, scale)
    return TrainingSet(train, validation, len(places) - len(fit))


def _training_images(folder: Path) -> list[list[Path]]:
    """The images of each folder inside `folder` that training reads."""
    places = (folder.absolute(), folder.resolve())
    names = {name.lower() for place in places for name in (place.name, place.parent.name)}
    if names & set(SCORED_ONLY):
        raise UserError(
            f"{folder} is a benchmark: its images are for scoring only, and training on them would "
            "make every score worthless. Give another folder, such as DIV2K or T91."
        )
    nested = [folder / name for name in TRAINING_FOLDERS if (folder / name).is_dir()]
    inside = [place for place in nested if not any(other.parent == place for other in nested)]
    return [find_images(place) for place in inside or [folder]]


def _decoded(paths: list[Path], tell: OnImage) -> Store:
    """The store of a folder's images, made anew if a file came, went or changed."""
    stamps = [(path.name, path.stat()) for path in paths]
    made_of = [[name, stamp.st_size, stamp.st_mtime_ns] for name, stamp in stamps]
    return obtain(
        _store_path(paths[0].parent, "hr"),
        made_of,
        len(paths),
        lambda index: read_uint8(paths[index]),
        lambda done, total: tell("decoding", done, total),
    )


def _shrunk(folder: Path, store: Store, scale: int, tell: OnImage) -> Store:
    """The store of the LR images of a store; one too small to be shrunk is empty in it."""

    def make(index: int) -> Image8:
        hr = store.image(index)
        fits = min(hr.shape[:2]) >= scale
        return downscale(hr, scale) if fits else np.empty((0, 0, 3), np.uint8)

    return obtain(
        _store_path(folder, f"x{scale}"),
        {"hr": store.identity, "scale": scale},
        len(store.entries),
        make,
        lambda done, total: tell("shrinking", done, total),
    )


def _store_path(folder: Path, kind: str) -> Path:
    """One for each folder and kind, so that a store out of date is replaced, not left behind."""
    place = str(folder.resolve())
    short = hashlib.sha256(place.encode()).hexdigest()[:12]
    return cache_folder() / "images" / f"{folder.resolve().name}-{short}.{kind}.store"


def _sides(stores: list[Store], place: _Place) -> tuple[int, int]:
    entry = stores[place.store].entries[place.number]
    return entry.height, entry.width


def _shuffled(paths: list[Path]) -> list[Path]:
    """An order that mixes the folders and depends on the names of the files only."""
    return sorted(paths, key=lambda path: (_digest(path.stem), str(path)))


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


def _all_too_small(sides: dict[Path, tuple[int, int]], side: int) -> UserError:
    path, (height, width) = next(iter(sides.items()))
    return UserError(
        f"No image is as large as one crop of {side}x{side} pixels: {path}, for one, is "
        f"{width}x{height}. Give larger images or a smaller patch."
    )
