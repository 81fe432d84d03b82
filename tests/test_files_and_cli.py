"""Files are whole or absent; commands end with a status and without a traceback."""

import errno
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from edgesr.cli import Progress, run
from edgesr.errors import UserError
from edgesr.files import replacing, sha256, write_text


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


def test_progress_away_from_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(3, "scoring", "image", start=1) as bar:
        bar.advance(loss="0.5")
        bar.advance(loss="0.25")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("scoring  3/3 image  loss 0.25")
    assert line.endswith("ETA 0:00")
