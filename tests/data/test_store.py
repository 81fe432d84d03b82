"""A store is whole or not there, whatever happens to it."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgesr.data import load_training, pairs
from edgesr.data.store import TAIL, Store, obtain, open_store
from edgesr.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[2]
MADE_OF = ["three images"]


def image(index: int) -> np.ndarray:
    rng = np.random.default_rng(index)
    return rng.integers(0, 256, (20 + index, 30, 1 if index == 1 else 3)).astype(np.uint8)


def made(path: Path, made_of: object = MADE_OF) -> tuple[Store, list[int]]:
    """The store, and which images had to be made for it."""
    calls: list[int] = []

    def make(index: int) -> np.ndarray:
        calls.append(index)
        return image(index)

    return obtain(path, made_of, 3, make, lambda *_: None), sorted(calls)


def test_images_come_back_and_are_made_once(tmp_path: Path):
    for expected in ([0, 1, 2], []):
        store, calls = made(tmp_path / "a.store")
        assert calls == expected
        for index in range(3):
            np.testing.assert_array_equal(store.image(index), image(index))
    assert store.image(1).shape == (21, 30, 1)


def test_another_origin_makes_it_anew(tmp_path: Path):
    made(tmp_path / "a.store")
    store, calls = made(tmp_path / "a.store", ["other images"])
    assert calls == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".store"] == ["a.store"]
    np.testing.assert_array_equal(store.image(2), image(2))


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content[100:],
        lambda content: b"",
        lambda content: bytes([content[0] ^ 1]) + content[1:],
        lambda content: content[:3000] + bytes([content[3000] ^ 16]) + content[3001:],
        lambda content: content[:-TAIL] + b"\xff" * 8 + content[8 - TAIL :],
        lambda content: content + content,
    ],
)
def test_a_damaged_store_is_made_anew(tmp_path: Path, harm: Callable[[bytes], bytes]):
    path = tmp_path / "a.store"
    made(path)
    path.write_bytes(harm(path.read_bytes()))
    assert open_store(path, MADE_OF) is None
    store, calls = made(path)
    assert calls == [0, 1, 2]
    np.testing.assert_array_equal(store.image(0), image(0))


def test_writing_into_what_was_opened_leaves_the_file_alone(tmp_path: Path):
    path = tmp_path / "a.store"
    store, _ = made(path)
    before = path.read_bytes()
    store.flat[:100] = 7
    assert path.read_bytes() == before


def test_an_image_that_cannot_be_read_leaves_nothing(tmp_path: Path):
    def make(index: int) -> np.ndarray:
        if index == 2:
            raise UserError("broken")
        return image(index)

    with pytest.raises(UserError, match="broken"):
        obtain(tmp_path / "a.store", MADE_OF, 3, make, lambda *_: None)
    assert not [path for path in tmp_path.iterdir() if not path.name.endswith(".lock")]


CHILD = """
import sys, time
from pathlib import Path
import numpy as np
from edgesr import cli
from edgesr.data.store import obtain
def make(index):
    time.sleep(float(sys.argv[2]))
    print("made", index, flush=True)
    return np.full((100, 100, 3), index, np.uint8)
cli.run(lambda: obtain(Path(sys.argv[1]), ["slow"], 20, make, lambda *_: None))
"""


def child(path: Path, pause: float, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # pyright: ignore[reportCallIssue]
        [sys.executable, "-c", CHILD, str(path), str(pause)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # pyright: ignore[reportArgumentType]
    )


def test_two_processes_make_it_once(tmp_path: Path):
    path = tmp_path / "a.store"
    both = [child(path, 0.02) for _ in range(2)]
    outs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outs
    assert "".join(out for out, _ in outs).count("made") == 20
    assert open_store(path, ["slow"]) is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_making_leaves_no_store(tmp_path: Path, number: signal.Signals):
    path = tmp_path / "a.store"
    process = child(path, 0.1)
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    assert not path.exists()
    again = child(path, 0)
    assert "made 0" in again.communicate(timeout=60)[0]
    assert open_store(path, ["slow"]) is not None
    left = {one.name for one in tmp_path.iterdir()}
    assert left == {"a.store", ".a.store.lock"}, "the killed one's leftovers go"


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_full_disk_is_a_mistake(tmp_path: Path):
    limit = (200_000, 200_000)
    process = child(
        tmp_path / "a.store", 0, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    )
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "EDGESR_CACHE" in err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == [".a.store.lock"]


def photos(folder: Path, count: int = 4) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.fromarray(np.ascontiguousarray(image(2 + index))).save(folder / f"{index}.png")


def test_a_folder_is_decoded_again_only_if_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder, seen = tmp_path / "photos", []
    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path / "cache"))
    read = pairs.read_uint8
    monkeypatch.setattr(pairs, "read_uint8", lambda path: seen.append(path.name) or read(path))
    photos(folder)
    told: list[tuple[str, int, int]] = []

    def load(scale: int) -> pairs.TrainingSet:
        return load_training([folder], scale, 4, holdout=1, progress=lambda *step: told.append(step))

    load(4)
    load(4)
    assert len(seen) == 4
    told.clear()
    load(2)  # another scale needs other LR only
    assert {label for label, *_ in told} == {"shrinking"}
    for change in (
        lambda: os.utime(folder / "0.png", ns=(0, 0)),
        lambda: (folder / "0.png").rename(folder / "renamed.png"),
        lambda: (folder / "1.png").unlink(),
    ):
        seen.clear()
        change()
        load(4)
        assert len(seen) == len(list(folder.iterdir()))
    kinds = sorted(
        path.name.split(".", 1)[1] for path in (tmp_path / "cache" / "images").glob("photos*")
    )
    assert kinds == ["hr.store", "x2.store", "x4.store"], "nothing out of date is left behind"


def test_a_folder_holding_both_data_sets_gives_both(tmp_path: Path):
    photos(tmp_path / "DIV2K_train_HR", 3)
    photos(tmp_path / "Flickr2K/Flickr2K_HR", 2)
    train, _, _ = load_training([tmp_path], 2, 4, holdout=0)
    assert len(train) == 5
    photos(tmp_path / "twice/DIV2K_train_HR/DIV2K_train_HR", 2)
    assert len(load_training([tmp_path / "twice"], 2, 4, holdout=0).train) == 2


def test_the_index_is_readable_json(tmp_path: Path):
    made(tmp_path / "a.store")
    content = (tmp_path / "a.store").read_bytes()
    length = int.from_bytes(content[-TAIL:][:8], "little")
    assert json.loads(content[-TAIL - length : -TAIL])["made_of"] == MADE_OF
