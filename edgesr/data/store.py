"""Decoded images in one file: training maps it into memory and never decodes an image again.

    pixels     images end to end, each (H,W,3) uint8; a grey one has its levels three times
    index      JSON: what the store was made of, and of each image its place, sides and CRC-32
    tail       the index's length as 8 bytes, little end first, then `MAGIC`

A file that was cut, or that another program wrote, lacks the tail; a flipped bit shows in a CRC.
"""

import errno
import json
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgesr.errors import UserError
from edgesr.files import locked, parse_json, remove_leftovers, replacing

MAGIC = b"edgesr-images-1\n"
TAIL = 8 + len(MAGIC)
MOST = 2**48
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Image8 = NDArray[np.uint8]
Told = Callable[[int, int], None]
"""Called with the images that are done and their number in all."""


@dataclass(frozen=True)
class Entry:
    """Where an image lies in a store."""

    offset: int
    """Of its first byte."""
    height: int
    width: int
    grey: bool
    crc: int
    """CRC-32 of its bytes."""

    @property
    def size(self) -> int:
        """In bytes."""
        return 3 * self.height * self.width


@dataclass(frozen=True)
class Store:
    """An open store."""

    flat: Tensor
    """All pixels, one after the other: uint8, mapped from the file."""
    entries: tuple[Entry, ...]
    identity: int
    """CRC-32 of the index, and so of everything."""

    def image(self, index: int) -> Image8:
        """Image `index`, (H,W,3), or (H,W,1) if it is grey; a view."""
        entry = self.entries[index]
        flat = self.flat[entry.offset :][: entry.size].numpy()
        whole = flat.reshape(entry.height, entry.width, 3)
        return whole[:, :, :1] if entry.grey else whole


def obtain(path: Path, made_of: Any, count: int, make: Callable[[int], Image8], told: Told) -> Store:
    """The store at `path` if it is whole and was made of `made_of` (JSON), else a new one there.

    `make(index)` gives image `index` of `count`, uint8 (H,W,1|3); several are made at once. A second
    process that wants the same store waits for the first. UserError where the disk is full; whatever
    stops the making (that, Ctrl-C, kill -9), no part of a store is left under `path`.
    """
    found = open_store(path, made_of)
    if found is not None:
        return found
    try:
        with locked(path):
            found = open_store(path, made_of)  # another process may have been faster
            if found is not None:
                return found
            remove_leftovers(path)
            with replacing(path) as temporary, temporary.open("wb") as file:
                _write(file, made_of, count, make, told)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise UserError(
            f"{error.strerror}: the decoded images of this training do not fit into {path.parent}. "
            "Nothing was left half-written. Free some space, or name a folder on another disk in the "
            "environment variable EDGESR_CACHE."
        ) from error
    made = open_store(path, made_of)
    if made is None:
        raise UserError(f"{path} reads back otherwise than it was written: the disk may be failing.")
    return made


def open_store(path: Path, made_of: Any) -> Store | None:
    """The store at `path`, every byte of it checked; None if absent, damaged or of something else."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            index = _read_index(file, size)
    except FileNotFoundError:
        return None
    if index is None:
        return None
    try:
        content = parse_json(index.decode())
        if content["made_of"] != json.loads(json.dumps(made_of)):
            return None
        entries = tuple(Entry(**entry) for entry in content["images"])
    except (LookupError, TypeError, ValueError):
        return None
    # Copy on write: torch wants memory that may be written, and the file must stay as it is.
    pixels = np.memmap(path, np.uint8, "c", shape=(size - TAIL - len(index),))
    if not _intact(pixels, entries):
        return None
    return Store(torch.from_numpy(pixels), entries, zlib.crc32(index))


def _write(file: BinaryIO, made_of: Any, count: int, make: Callable[[int], Image8], told: Told) -> None:
    entries, offset = [], 0
    for number, image in enumerate(_made_ahead(make, count)):
        height, width, channels = image.shape
        content = np.ascontiguousarray(np.broadcast_to(image, (height, width, 3))).tobytes()
        file.write(content)
        entries.append(Entry(offset, height, width, channels == 1, zlib.crc32(content)))
        offset += len(content)
        told(number + 1, count)
    listed = {"made_of": made_of, "images": [asdict(entry) for entry in entries]}
    index = json.dumps(listed).encode()
    file.write(index + len(index).to_bytes(8, "little") + MAGIC)


def _made_ahead(make: Callable[[int], Image8], count: int) -> Iterator[Image8]:
    """Images in order, a few made ahead in threads, so that memory never holds all of them."""
    workers = os.cpu_count() or 1
    waiting: deque[Future[Image8]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for number in range(count):
                waiting.append(pool.submit(make, number))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _read_index(file: BinaryIO, size: int) -> bytes | None:
    """The index of a file that ends as a store does."""
    if size < TAIL:
        return None
    file.seek(size - TAIL)
    tail = file.read(TAIL)
    length = int.from_bytes(tail[:8], "little")
    if tail[8:] != MAGIC or length >= size - TAIL:
        return None
    file.seek(size - TAIL - length)
    return file.read(length)


def _intact(pixels: Image8, entries: tuple[Entry, ...]) -> bool:
    """Whether images lie end to end, each with its sum; others would be read as another's pixels."""
    end = 0
    for entry in entries:
        numbers = (entry.offset, entry.height, entry.width, entry.crc)
        if not all(type(number) is int and 0 <= number <= MOST for number in numbers):
            return False
        if type(entry.grey) is not bool or entry.offset != end:
            return False
        end += entry.size
    if end != len(pixels):
        return False

    def same(entry: Entry) -> bool:
        return zlib.crc32(pixels[entry.offset :][: entry.size].data) == entry.crc

    with ThreadPoolExecutor() as pool:
        return all(pool.map(same, entries))
