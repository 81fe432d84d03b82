"""Folders that are fetched or built once and then used again, each checked before it is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from edgesr.files import cache_folder, locked, sha256

MANIFEST = "manifest.json"


def root() -> Path:
    """Where tools are kept."""
    return cache_folder() / "tools"


def kept(name: str, fill: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache, with exactly what `fill` put into it.

    `fill` is called with an empty folder if there is none, or if a file in it is not as it was made.
    The folder appears whole or not at all, and of several processes one makes it.
    """
    folder = root() / name
    with locked(folder):
        if not _is_intact(folder):
            with TemporaryDirectory(prefix=f".{name}.", dir=root()) as temporary:
                made = Path(temporary, "made")
                made.mkdir()
                fill(made)
                (made / MANIFEST).write_text(json.dumps(_digests(made), indent=1), encoding="utf-8")
                if folder.exists():
                    shutil.rmtree(folder)
                made.rename(folder)
    return folder


def _digests(folder: Path) -> dict[str, str]:
    """Relative path → SHA-256 of each file; links are followed, broken ones left out."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != MANIFEST)
    return {str(path.relative_to(folder)): sha256(path) for path in files}


def _is_intact(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return manifest == _digests(folder)
