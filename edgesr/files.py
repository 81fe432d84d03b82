"""Files, and folders that count as one, that are either whole or absent."""

import errno
import glob
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from edgesr.errors import UserError


@contextmanager
def replacing(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block succeeds.

    Whatever interrupts the block (an error, a full disk, Ctrl-C), `path` keeps its old content and what
    is temporary is removed. Missing parent folders are made. The block finds an empty file, which it may
    replace by a folder (an .mlpackage is one). Without `overwrite`, FileExistsError if `path` is there
    in the end: another process may have made it meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # the name is known before the file is there: Ctrl-C between making and knowing it would leave it
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{path.suffix}")
    try:
        temporary.touch(exist_ok=False)
        yield temporary
        for part in contents(temporary):
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.chmod(0o666 & ~_umask())  # a library may have put a private one in its place
        if overwrite:
            move(temporary, path)
        else:
            _rename_to_new(temporary, path)
    finally:
        remove(temporary)


def move(source: Path, target: Path) -> None:
    """Rename a file or folder to `target`, in place of what is there.

    No folder can be renamed onto one that holds something, so an old one steps aside first: for that
    moment `target` is absent, and it comes back if the second step fails.
    """
    if not (source.is_dir() or target.is_dir()):
        source.replace(target)
        return
    aside = source.with_name(f"{source.name}.old")
    if target.exists():
        target.replace(aside)
    try:
        source.replace(target)
    except BaseException:
        if aside.exists():
            aside.replace(target)
        raise
    remove(aside)


def remove(path: Path) -> None:
    """Delete a file, or a folder with all that it holds; nothing if it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def contents(path: Path) -> list[Path]:
    """The files of a folder, sorted; of a file, itself; none if it is not there."""
    if path.is_dir():
        return sorted(part for part in path.rglob("*") if part.is_file())
    return [path] if path.exists() else []


def size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    return sum(part.stat().st_size for part in contents(path))


def cache_folder() -> Path:
    """Where what can be made again is kept: $EDGESR_CACHE, else edgesr in the user's cache folder."""
    named = os.environ.get("EDGESR_CACHE")
    shared = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return (Path(named) if named else Path(shared) / "edgesr").absolute()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process at a time into the block, those who ask for the same `path`; others wait.

    The lock is a file beside `path`. It falls with the process that holds it, however that ends. Where
    the system has no such locks (Windows) nobody waits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = hold(path, wait=True)
    assert file is not None
    with file:
        yield


def hold(path: Path, *, wait: bool = False) -> IO[str] | None:
    """The same lock for as long as the file returned is open; None if another has it and none waits."""
    file = path.with_name(f".{path.name}.lock").open("a")
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except ImportError:
        pass
    except BlockingIOError:
        file.close()
        return None
    return file


def remove_leftovers(path: Path) -> None:
    """Remove what processes that were killed inside `replacing(path)` left; none may be inside now."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*{glob.escape(path.suffix)}"):
        leftover.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as a whole."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """What a JSON file holds. UserError where it is missing, unreadable or no JSON."""
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist. Check the path.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}).") from error


def parse_json(text: str) -> Any:
    """What a text holds. ValueError for no JSON, and for one nested deeper than Python's stack."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal.

    Of a folder, that of the list of its files which `sha256sum` prints in it, sorted by their names.
    """
    if path.is_dir():
        names = sorted((part.relative_to(path).as_posix(), part) for part in contents(path))
        listing = "".join(f"{sha256(part)}  {name}\n" for name, part in names)
        return hashlib.sha256(listing.encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rename_to_new(temporary: Path, path: Path) -> None:
    """Rename unless `path` exists, as one step where the file system knows hard links."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # FAT and some network drives have none
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        temporary.replace(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
