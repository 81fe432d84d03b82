"""Files are whole or absent; commands end with a status and without a traceback."""

import errno
import hashlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from edgesr.cli import Progress, run
from edgesr.errors import UserError
from edgesr.files import replacing, sha256, size, write_text


def failing(error: BaseException):
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UserError("give another scale"), "error: give another scale"),
        (OSError(errno.ENOSPC, "No space left on device", "a.bin"), "free some space"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "b.png"), "b.png"),
    ],
)
def test_mistakes_exit_with_words(error: BaseException, text: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        run(failing(error))
    assert text in str(stopped.value.code)


def test_ctrl_c_exits_with_130() -> None:
    with pytest.raises(SystemExit) as stopped:
        run(failing(KeyboardInterrupt()))
    assert stopped.value.code == 130


def test_our_own_defects_keep_their_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run(failing(ZeroDivisionError()))


def test_replacing_keeps_the_old_file_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "old")

    def interrupted() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.suffix == ".txt"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask()


@pytest.mark.parametrize("call", [(os, "open"), (Path, "touch"), (Path, "chmod")])
def test_ctrl_c_leaves_nothing_wherever_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: tuple[object, str]
) -> None:
    """As soon as the temporary file is there, before the block knows of it; and after the block."""
    owner, name = call
    working = getattr(owner, name)

    def interrupted(*args, **kwargs) -> None:
        working(*args, **kwargs)
        if list(tmp_path.iterdir()):
            raise KeyboardInterrupt

    monkeypatch.setattr(owner, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_text(tmp_path / "a.txt", "new")
    assert list(tmp_path.iterdir()) == []


def test_replacing_a_folder(tmp_path: Path) -> None:
    """A folder that is one artifact is swapped as a whole; nothing else is left beside it."""
    path = tmp_path / "a.mlpackage"

    def write(names: list[str], interrupted: bool = False) -> None:
        with replacing(path) as temporary:
            temporary.unlink()
            (temporary / "inner").mkdir(parents=True)
            for name in names:
                (temporary / "inner" / name).write_text(name)
                (temporary / "inner" / name).chmod(0o600)
            if interrupted:
                raise KeyboardInterrupt

    write(["a", "b"])
    with pytest.raises(KeyboardInterrupt):
        write(["d"], interrupted=True)
    assert sorted(part.name for part in path.rglob("*")) == ["a", "b", "inner"]
    write(["c"])
    assert sorted(part.name for part in path.rglob("*")) == ["c", "inner"]
    assert (path / "inner" / "c").stat().st_mode & 0o777 == 0o666 & ~umask()
    assert [part.name for part in tmp_path.iterdir()] == ["a.mlpackage"]
    write_text(path, "a file again")
    assert path.read_text() == "a file again"
    assert [part.name for part in tmp_path.iterdir()] == ["a.mlpackage"]


def test_a_folder_that_cannot_be_swapped_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, renaming = tmp_path / "a.mlpackage", Path.replace
    path.mkdir()
    (path / "old").touch()

    def replace(self: Path, target: Path) -> Path:
        if (self / "new").exists():
            raise OSError(errno.EIO, "Input/output error")
        return renaming(self, target)

    def write() -> None:
        with replacing(path) as temporary:
            temporary.unlink()
            temporary.mkdir()
            (temporary / "new").touch()
            monkeypatch.setattr(Path, "replace", replace)

    with pytest.raises(OSError, match="Input/output"):
        write()
    assert [part.name for part in path.iterdir()] == ["old"]
    assert [part.name for part in tmp_path.iterdir()] == ["a.mlpackage"]


def umask() -> int:
    code = "import os; print(os.umask(0))"
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """Of a checkpoint, in a process that may write no more than 100 kB to a file."""
    script = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from edgesr import checkpoint, cli
        from edgesr.models import create_model
        state = create_model("lffn-s", scale=4).state_dict()
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        result = checkpoint.Checkpoint("lffn-s", 4, None, state)
        cli.run(lambda: checkpoint.save(result, Path(sys.argv[1])))
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "c")], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "free some space" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256(tmp_path / "abc").startswith("ba7816bf8f01cfea414140de5dae2223")


def test_sha256_and_size_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "abc").write_bytes(b"abc")
    (tmp_path / "a").write_bytes(b"")
    listing = f"{sha256(tmp_path / 'a')}  a\n{sha256(tmp_path / 'b' / 'abc')}  b/abc\n"
    assert sha256(tmp_path) == hashlib.sha256(listing.encode()).hexdigest()
    assert size(tmp_path) == 3
    (tmp_path / "b" / "abc").rename(tmp_path / "b" / "abd")
    assert sha256(tmp_path) != hashlib.sha256(listing.encode()).hexdigest()


def test_progress_away_from_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(3, "scoring", "image", start=1) as bar:
        bar.advance(loss="0.5")
        bar.advance(loss="0.25")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("scoring  3/3 image  loss 0.25")
    assert line.endswith("ETA 0:00")
