"""Downloads from a server of our own that misbehaves as servers do."""

import hashlib
import io
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesr.data import load_training
from edgesr.errors import UserError
from recipes import fetch as fetching
from recipes.fetch import Archive, fetch

REPOSITORY = Path(__file__).resolve().parents[2]


class Server(ThreadingHTTPServer):
    """Serves one file."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.asked: list[str | None] = []
        self.cut: list[int] = []
        """How many bytes each of the next answers breaks off after."""
        self.ranges, self.slow = True, False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        if "missing" in self.path:
            self.send_error(404)
            return
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges else 0
        rest = self.server.content[first:]
        self.send_response(206 if asked and self.server.ranges else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        rest = rest[: self.server.cut.pop(0)] if self.server.cut else rest
        for start in range(0, len(rest), 50_000):
            self.wfile.write(rest[start : start + 50_000])
            time.sleep(0.2 if self.server.slow else 0)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def png(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (200, 200, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for index in range(3):
            opened.writestr(f"DIV2K_train_HR/000{index}.png", png(index))
        opened.writestr("../outside.png", b"")
        opened.writestr("DIV2K_train_HR/readme.txt", b"no image")
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as opened:
        for index in range(2):
            for folder in ("Flickr2K/Flickr2K_HR", "Flickr2K/Flickr2K_LR_bicubic/X2"):
                info = tarfile.TarInfo(f"{folder}/00000{index}.png")
                info.size = len(png(index))
                opened.addfile(info, io.BytesIO(png(index)))
    return file.getvalue()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetching, "BLOCK", 10_000)
    serving = Server(zipped())
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    yield serving
    serving.shutdown()
    serving.server_close()
    thread.join()


def archive(server: Server, **changes: object) -> Archive:
    content = server.content
    facts: dict[str, object] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    given = {"url": f"{server.url}/DIV2K_train_HR.zip", "folder": "DIV2K_train_HR", "images": 3}
    return Archive(**(given | facts | changes))  # pyright: ignore[reportArgumentType]


def test_what_is_fetched_can_be_trained_on(server: Server, tmp_path: Path):
    fetch(archive(server), tmp_path)
    assert {path.name for path in tmp_path.rglob("*")} == {
        "DIV2K_train_HR",
        "0000.png",
        "0001.png",
        "0002.png",
    }
    assert (tmp_path / "DIV2K_train_HR/0001.png").read_bytes() == png(1)
    train, _, _ = load_training([tmp_path], 4, 8, holdout=1)
    assert len(train) == 2
    fetch(archive(server), tmp_path)
    assert len(server.asked) == 1, "nothing is fetched twice"


def test_a_broken_connection_goes_on_where_it_broke(server: Server, tmp_path: Path):
    server.cut = [100_000]
    fetch(archive(server), tmp_path)
    assert server.asked == [None, "bytes=100000-"]
    assert (tmp_path / "DIV2K_train_HR/0002.png").read_bytes() == png(2)


def test_a_server_that_cannot_go_on_begins_anew(server: Server, tmp_path: Path):
    server.cut, server.ranges = [100_000], False
    fetch(archive(server), tmp_path)
    assert (tmp_path / "DIV2K_train_HR/0002.png").read_bytes() == png(2)


def test_a_server_that_always_breaks_off_is_a_mistake(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fetching, "TRIES", 2)
    server.cut = [50_000, 20_000]
    with pytest.raises(UserError, match=r"could not be read: .*What came so far is kept"):
        fetch(archive(server), tmp_path)
    assert (tmp_path / "DIV2K_train_HR.zip.part").stat().st_size == 70_000
    fetch(archive(server), tmp_path)
    assert server.asked[-1] == "bytes=70000-"


def test_another_content_is_put_aside(server: Server, tmp_path: Path):
    wanted = archive(server)
    server.content = bytes(len(server.content))
    with pytest.raises(UserError, match=r"is not what it should be: .*\.bad"):
        fetch(wanted, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["DIV2K_train_HR.zip.bad"]
    server.content = zipped()
    fetch(wanted, tmp_path)
    assert (tmp_path / "DIV2K_train_HR").is_dir()


def test_a_truncated_file_is_put_aside(server: Server, tmp_path: Path):
    wanted = archive(server)
    (tmp_path / "DIV2K_train_HR.zip").write_bytes(server.content[:1000])
    with pytest.raises(UserError, match="1,000 bytes"):
        fetch(wanted, tmp_path)


def test_without_a_published_sum_the_first_one_is_kept(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    server.content = tarred()
    url = f"{server.url}/Flickr2K.tar"
    flickr = archive(server, url=url, folder="Flickr2K/Flickr2K_HR", images=2, size=None, sha256=None)
    fetch(flickr, tmp_path)
    assert hashlib.sha256(server.content).hexdigest() in capsys.readouterr().out
    assert len(list((tmp_path / "Flickr2K/Flickr2K_HR").iterdir())) == 2
    assert load_training([tmp_path], 4, 8, holdout=1).train
    shutil.rmtree(tmp_path / "Flickr2K")
    server.content += b"changed"
    with pytest.raises(UserError, match="is not what it should be"):
        fetch(flickr, tmp_path)


def test_an_archive_of_something_else_unpacks_to_nothing(server: Server, tmp_path: Path):
    with pytest.raises(UserError, match="3 images of DIV2K_train_HR, not 4"):
        fetch(archive(server, images=4), tmp_path)
    assert not (tmp_path / "DIV2K_train_HR").exists()
    server.content = b"no archive"
    (tmp_path / "DIV2K_train_HR.zip").unlink()
    with pytest.raises(UserError, match="cannot be unpacked"):
        fetch(archive(server), tmp_path)


def test_a_missing_file_is_a_mistake(server: Server, tmp_path: Path):
    with pytest.raises(UserError, match="the server says 404"):
        fetch(archive(server, url=f"{server.url}/missing.zip"), tmp_path)


def test_a_disk_that_is_too_small_is_seen_beforehand(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match=r"0\.0 GB free"):
        fetch(archive(server), tmp_path)


CHILD = """
import sys
from pathlib import Path
from edgesr import cli
from recipes import fetch
fetch.BLOCK = 10_000
cli.run(lambda: fetch.fetch(fetch.Archive(*eval(sys.argv[1])), Path(sys.argv[2])))
"""


def child(server: Server, out: Path) -> list[str]:
    wanted = archive(server)
    facts = (wanted.url, wanted.folder, wanted.images, wanted.size, wanted.sha256)
    return [sys.executable, "-c", CHILD, repr(facts), str(out)]


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_full_disk_keeps_what_came(server: Server, tmp_path: Path):
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (150_000, 150_000))
    done = subprocess.run(
        child(server, tmp_path),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )
    assert done.returncode == 1
    assert "error: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert 0 < (tmp_path / "DIV2K_train_HR.zip.part").stat().st_size <= 150_000
    fetch(archive(server), tmp_path)
    assert (tmp_path / "DIV2K_train_HR/0002.png").read_bytes() == png(2)


def test_ctrl_c_keeps_what_came(server: Server, tmp_path: Path):
    server.slow = True
    process = subprocess.Popen(
        child(server, tmp_path), cwd=REPOSITORY, stderr=subprocess.PIPE, text=True
    )
    part, deadline = tmp_path / "DIV2K_train_HR.zip.part", time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    kept = part.stat().st_size
    assert 0 < kept < len(server.content)
    server.slow = False
    fetch(archive(server), tmp_path)
    assert server.asked[-1] == f"bytes={kept}-"
