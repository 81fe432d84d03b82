"""Download training images: python -m recipes.fetch div2k --out data

Archives come from where the data sets' makers publish them, are checked, and are unpacked into folders
that `--data` understands. What was stopped goes on where it stood. DIV2K is for academic use only; the
pictures of Flickr2K belong to their photographers.
"""

import argparse
import errno
import http.client
import json
import lzma
import shutil
import struct
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO

from edgesr import cli
from edgesr.data.images import FORMATS
from edgesr.data.store import FULL
from edgesr.errors import UserError, unknown
from edgesr.files import read_json, sha256, write_text

BLOCK = 1 << 20
TRIES = 5
BROKEN_OFF = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)
# what zipfile and tarfile raise for damaged archives, depending on where
BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError)
BROKEN += (RuntimeError, ValueError, LookupError, TypeError, struct.error)
LARGEST = 2**28  # bytes of an image once it is unpacked
SECONDS = 60.0  # without a byte from the server


@dataclass(frozen=True)
class Archive:
    """A file to download."""

    url: str
    folder: str
    """What is in it, once it is unpacked."""
    images: int
    size: int | None = None
    """In bytes; None where nobody whom we trust says."""
    sha256: str | None = None


ETH = "https://data.vision.ee.ethz.ch/cvl/DIV2K"
SETS: dict[str, tuple[Archive, ...]] = {
    # Sizes and sums as TensorFlow Datasets records them (datasets/div2k/checksums.tsv); others who
    # downloaded the archives print the same.
    "div2k": (
        Archive(
            f"{ETH}/DIV2K_train_HR.zip",
            "DIV2K_train_HR",
            800,
            3_530_603_713,
            "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
        ),
    ),
    "div2k-valid": (
        Archive(
            f"{ETH}/DIV2K_valid_HR.zip",
            "DIV2K_valid_HR",
            100,
            448_993_893,
            "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
        ),
    ),
    # Its makers publish no sum. What the first download had is kept beside it, for the next to compare.
    "flickr2k": (
        Archive("https://cv.snu.ac.kr/research/EDSR/Flickr2K.tar", "Flickr2K/Flickr2K_HR", 2650),
    ),
}


def main() -> None:
    """Fetch, and say what to type next."""
    parser = argparse.ArgumentParser(
        prog="python -m recipes.fetch", description="Download training images, check and unpack them."
    )
    parser.add_argument("sets", nargs="+", metavar="SET", help=", ".join(SETS))
    parser.add_argument(
        "--out", type=Path, default=Path("data"), metavar="DIR", help="where to (default: ./data)"
    )
    parser.add_argument("--keep", action="store_true", help="keep the archives once they are unpacked")
    args = parser.parse_args()
    for name in args.sets:
        if name not in SETS:
            raise unknown("set of images", name, list(SETS))
    for name in args.sets:
        for archive in SETS[name]:
            fetch(archive, args.out, keep=args.keep)
    print(f"Next: python -m recipes.train --model lffn-s --scale 4 --data {args.out}")


def fetch(archive: Archive, out: Path, *, keep: bool = False) -> None:
    """Have the images of `archive` in `out`; nothing is done if they are there.

    UserError where the server cannot be reached, sends something else, or the disk is too full. What
    was downloaded by then stays, as `NAME.part`, and is gone on with the next time.
    """
    goal = out / archive.folder
    if goal.is_dir():
        print(f"{goal} is there already.")
        return
    out.mkdir(parents=True, exist_ok=True)
    file = out / PurePosixPath(archive.url).name
    try:
        if not file.exists():
            download(archive, file)
        check(archive, file)
        unpack(archive, file, out)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise UserError(
            f"{error.strerror}: {out} has no room for {archive.folder}. What was downloaded is kept; "
            "free some space and type the same again to go on, or give another --out."
        ) from error
    if not keep:
        file.unlink()
    print(f"{goal}: {len(list(goal.iterdir()))} images")


def download(archive: Archive, file: Path) -> None:
    """Download into `file`, by way of `file`.part. UserError if that does not work out."""
    part = file.with_name(file.name + ".part")
    for attempt in range(TRIES):
        try:
            _receive(archive, part)
            break
        except urllib.error.HTTPError as error:
            raise UserError(f"{archive.url}: the server says {error.code} {error.reason}.") from error
        except BROKEN_OFF as error:
            if attempt == TRIES - 1:
                raise UserError(
                    f"{archive.url} could not be read: {error}. What came so far is kept; type the "
                    "same again to go on."
                ) from error
            time.sleep(min(2**attempt, 30))
    part.replace(file)


def _receive(archive: Archive, part: Path) -> None:
    """Go on with `part` from where it ends. An exception of urllib or http if the server leaves off."""
    there = part.stat().st_size if part.exists() else 0
    if archive.size is not None and there >= archive.size:
        return  # whether it is the right one is checked next
    request = urllib.request.Request(archive.url, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        answer = urllib.request.urlopen(request, timeout=SECONDS)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # there is nothing after what we have
        raise
    with answer, part.open("ab") as target:
        if answer.status != http.client.PARTIAL_CONTENT:  # a server that cannot go on begins anew
            target.truncate(0)
            there = 0
        length = int(answer.headers.get("Content-Length", 0))
        total = archive.size or there + length
        room(part.parent, total - there)
        _copy(answer, target, there, total, part.name)
    if length and part.stat().st_size < there + length:
        raise http.client.IncompleteRead(b"", there + length - part.stat().st_size)


def _copy(answer: http.client.HTTPResponse, target: BinaryIO, there: int, total: int, name: str) -> None:
    whole = max(total // BLOCK, 1)
    with cli.Progress(whole, f"fetching {name.removesuffix('.part')}", "MiB", there // BLOCK) as bar:
        while block := answer.read(BLOCK):
            target.write(block)
            bar.advance()


def room(folder: Path, size: int) -> None:
    """UserError where `folder` lacks the space for `size` bytes more."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise UserError(
            f"{folder} has {free / 1e9:.1f} GB free and {size / 1e9:.1f} GB are to come. Free some "
            "space, or give another --out."
        )


def check(archive: Archive, file: Path) -> None:
    """UserError, and the file put aside, where its size or SHA-256 is not as it should be."""
    size, record = file.stat().st_size, file.with_name(file.name + ".sha256.json")
    found = {"size": size, "sha256": sha256(file)}
    expected = {"size": archive.size, "sha256": archive.sha256}
    if archive.sha256 is None:
        expected = _recorded(record) if record.exists() else found
        print(f"{archive.url}: its makers publish no checksum; this file has {found['sha256']}.")
        write_text(record, json.dumps(expected) + "\n")
    if found != expected:
        bad = file.with_name(file.name + ".bad")
        file.replace(bad)
        raise UserError(
            f"{file.name} is not what it should be: {size:,} bytes with SHA-256 "
            f"{found['sha256'][:12]}…, expected {expected['size']:,} with "
            f"{str(expected['sha256'])[:12]}…. It is kept as {bad}; type the same again to download it "
            "anew."
        )


def _recorded(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of the first download. UserError where somebody changed the file."""
    content = read_json(path)
    kinds = {"size": int, "sha256": str}
    if not isinstance(content, dict) or any(not isinstance(content.get(k), v) for k, v in kinds.items()):
        raise UserError(
            f"{path} does not say what was downloaded first. Delete it and type the same again."
        )
    return {name: content[name] for name in kinds}


def unpack(archive: Archive, file: Path, out: Path) -> None:
    """The images of `archive.folder` into `out`, all of them or none.

    UserError for an archive that holds something else. Nothing is written outside the folder: of a
    path in the archive the last name alone counts.
    """
    goal = out / archive.folder
    unpacked = out / f".{goal.name}.part"
    shutil.rmtree(unpacked, ignore_errors=True)
    unpacked.mkdir(parents=True)
    try:
        with cli.Progress(archive.images, "unpacking", "image") as bar:
            count = sum(bar.advance() or 1 for _ in _members(archive, file, unpacked))
        if count != archive.images:
            raise UserError(f"{file} holds {count} images of {archive.folder}, not {archive.images}.")
        goal.parent.mkdir(parents=True, exist_ok=True)
        unpacked.replace(goal)
    except BROKEN as error:
        if isinstance(error, UserError) or getattr(error, "errno", None) not in (None, errno.EINVAL):
            raise  # the disk, not the archive, which can make zipfile look before a file's beginning
        raise UserError(
            f"{file} cannot be unpacked: {error}. Delete it and type the same again."
        ) from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _members(archive: Archive, file: Path, folder: Path) -> Iterator[Path]:
    """Write each image of the archive's folder into `folder`, one at a time."""
    if file.suffix == ".zip":
        with zipfile.ZipFile(file) as opened:
            for info in opened.infolist():
                if _wanted(info.filename, archive):
                    with opened.open(info) as source:
                        yield _written(source, folder / PurePosixPath(info.filename).name)
        return
    with tarfile.open(file) as opened:
        for info in opened:
            source = opened.extractfile(info) if info.isfile() and _wanted(info.name, archive) else None
            if source is not None:
                yield _written(source, folder / PurePosixPath(info.name).name)


def _wanted(name: str, archive: Archive) -> bool:
    path = PurePosixPath(name)
    inside = path.parent.name == PurePosixPath(archive.folder).name
    plain = not path.name.startswith(".") and "\\" not in path.name  # which parts names on Windows
    return inside and plain and path.suffix.lower() in FORMATS


def _written(source: IO[bytes], path: Path) -> Path:
    """UserError for a file that grows beyond any image."""
    with path.open("wb") as target:
        while block := source.read(BLOCK):
            target.write(block)
            if target.tell() > LARGEST:
                raise UserError(
                    f"{path.name} in the archive is larger than {LARGEST >> 20} MiB: no image."
                )
    return path


if __name__ == "__main__":
    cli.run(main)
