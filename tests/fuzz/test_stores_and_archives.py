"""Decoded images, downloaded archives and reports: what is damaged is made anew or refused in words."""

import io
import json
import shutil
import stat
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesr.data.store import MAGIC, TAIL, obtain, open_store
from edgesr.engines.trial import same_as_reported
from edgesr.errors import UserError
from edgesr.files import sha256
from export import android, phone
from export.recheck import report_of
from recipes import fetch
from recipes.fetch import Archive
from tests.mutations import examples, harmed, harmed_json

IMAGES = [
    np.random.default_rng(k).integers(0, 256, (4 + k, 6, 1 + 2 * k)).astype(np.uint8) for k in range(2)
]
MADE_OF = [["a.png", 1, 2]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def store(folder: Path) -> bytes:
    obtain(folder / "a.store", MADE_OF, 2, lambda index: IMAGES[index], lambda *_: None)
    return (folder / "a.store").read_bytes()


@examples(120)
@given(data=st.data())
def test_a_store_is_opened_whole_or_not_at_all(folder: Path, store: bytes, data: Any) -> None:
    path = folder / "b.store"
    path.write_bytes(data.draw(harmed(store)))
    found = open_store(path, MADE_OF)
    if found is not None:
        for index, image in enumerate(IMAGES):
            np.testing.assert_array_equal(found.image(index), image)


@examples(120)
@given(data=st.data())
def test_an_index_that_lies(folder: Path, store: bytes, data: Any) -> None:
    """Well-formed JSON with a true tail: offsets, sides and sums of anybody's choice."""
    length = int.from_bytes(store[-TAIL:][:8], "little")
    pixels, index = store[: -TAIL - length], json.loads(store[-TAIL - length : -TAIL])
    index["images"] = data.draw(harmed_json(index["images"]))
    text = json.dumps(index).encode()
    path = folder / "c.store"
    path.write_bytes(pixels + text + len(text).to_bytes(8, "little") + MAGIC)
    found = open_store(path, MADE_OF)
    if found is not None:
        assert sum(found.image(index).size for index in range(len(found.entries))) <= len(pixels)


def test_an_index_may_not_give_one_image_for_another(folder: Path) -> None:
    """Sums, sides and sizes of this one are all right; only its place is that of the image before."""
    alike = [IMAGES[0], IMAGES[0][::-1].copy()]
    path = folder / "d.store"
    obtain(path, MADE_OF, 2, lambda index: alike[index], lambda *_: None)
    content = path.read_bytes()
    length = int.from_bytes(content[-TAIL:][:8], "little")
    pixels, index = content[: -TAIL - length], json.loads(content[-TAIL - length : -TAIL])
    for lie in ([0, 0], [1, 1], [1, 0]):
        changed = index | {"images": [index["images"][number] for number in lie]}
        text = json.dumps(changed).encode()
        path.write_bytes(pixels + text + len(text).to_bytes(8, "little") + MAGIC)
        assert open_store(path, MADE_OF) is None


ARCHIVE = Archive("https://example.com/set.zip", "pictures", 2)


def zipped(names: list[str], content: bytes = b"pixels", kind: int = stat.S_IFREG) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.external_attr = (kind | 0o644) << 16
            file.writestr(info, content, zipfile.ZIP_DEFLATED)
    return held.getvalue()


def tarred(names: list[str], **fields: Any) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as file:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 0 if fields else 6
            for field, value in fields.items():
                setattr(info, field, value)
            file.addfile(info, None if fields else io.BytesIO(b"pixels"))
    return held.getvalue()


def unpacked(folder: Path, content: bytes, suffix: str) -> None:
    file = folder / f"set{suffix}"
    file.write_bytes(content)
    shutil.rmtree(folder / "out/pictures", ignore_errors=True)
    with suppress(UserError):
        fetch.unpack(ARCHIVE, file, folder / "out")


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@examples(80)
@given(data=st.data())
def test_broken_archives(folder: Path, suffix: str, data: Any) -> None:
    names = ["pictures/a.png", "pictures/b.png"]
    content = zipped(names) if suffix == ".zip" else tarred(names)
    unpacked(folder, data.draw(harmed(content)), suffix)


EVIL = ["../pictures/x.png", "/tmp/pictures/x.png", "pictures/../../x.png", "pictures/..\\..\\x.png"]
EVIL += ["pictures/../pictures/.png", "a/../../pictures/x.png", "pictures/x.png/../../y.png"]


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("make", [zipped, tarred])
def test_no_member_leaves_its_folder(tmp_path: Path, name: str, make: Any) -> None:
    content = make([name, "pictures/b.png"])
    (tmp_path / "inner").mkdir()
    unpacked(tmp_path / "inner", content, ".zip" if make is zipped else ".tar")
    found = {path for path in tmp_path.rglob("*") if path.is_file()}
    allowed = {tmp_path / "inner" / name for name in ("set.zip", "set.tar")}
    assert all((tmp_path / "inner/out/pictures") in path.parents for path in found - allowed)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_no_images(tmp_path: Path, kind: bytes) -> None:
    unpacked(tmp_path, tarred(["pictures/a.png"], type=kind, linkname="/etc/hostname"), ".tar")
    unpacked(tmp_path, zipped(["pictures/a.png"], b"/etc/hostname", stat.S_IFLNK), ".zip")
    assert not [path for path in tmp_path.rglob("*") if path.is_symlink() or path.name == "a.png"]


def test_an_image_that_grows_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "LARGEST", 2**20)
    (tmp_path / "set.zip").write_bytes(zipped(["pictures/a.png"], bytes(2**23)))
    assert (tmp_path / "set.zip").stat().st_size < 2**14
    with pytest.raises(UserError, match="larger than 1 MiB"):
        fetch.unpack(ARCHIVE, tmp_path / "set.zip", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@examples(40)
@given(record=harmed_json({"size": 6, "sha256": "0" * 64}))
def test_the_record_of_the_first_download(folder: Path, record: Any) -> None:
    file = folder / "Flickr2K.tar"
    file.write_bytes(b"pixels")
    file.with_name("Flickr2K.tar.sha256.json").write_text(json.dumps(record))
    with suppress(UserError):
        fetch.check(Archive("https://example.com/Flickr2K.tar", "x", 1), file)


VERSIONS = {"executorch": "1.5.1"}
REPORT = {
    "artifact": {"file": "a.pte", "bytes": 6, "sha256": ""},
    "facts": {
        "model": "lffn-s", "scale": 2, "scheme": "w8a8", "tile": [16, 20], "overlap": 4, "multiple": 1,
        "checkpoint_sha256": "0" * 64, "commit": "abc", "versions": VERSIONS,
    },
    "census": {"partitions": 1},
    "verdict": {"passed": True, "budget": {}, "failures": []},
}  # fmt: skip


@examples(150)
@given(data=st.data())
def test_reports(folder: Path, data: Any) -> None:
    artifact = folder / "a.pte"
    artifact.write_bytes(b"pixels")
    REPORT["artifact"]["sha256"] = sha256(artifact)
    content = data.draw(harmed_json(REPORT) | harmed(json.dumps(REPORT).encode()))
    report = folder / "a.pte.report.json"
    report.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    for read in (report_of, same_as_reported):
        with suppress(UserError):
            read(artifact)
    with suppress(UserError):
        card = android.card(artifact, "1.5.1")
        assert card.count("\n") == 12  # a property a line: none was smuggled in
        assert f"sha256={sha256(artifact)}\n" in card


def test_a_report_cannot_add_properties_to_its_card(folder: Path) -> None:
    artifact = folder / "b.pte"
    artifact.write_bytes(b"pixels")
    content = json.loads(json.dumps(REPORT))
    content["artifact"]["sha256"] = sha256(artifact)
    assert "model=lffn-s\n" in _card_of(artifact, content)
    content["facts"]["model"] = "lffn-s\nsha256=0"
    with pytest.raises(UserError, match="has model"):
        _card_of(artifact, content)


def _card_of(artifact: Path, report: Any) -> str:
    artifact.with_name(f"{artifact.name}.report.json").write_text(json.dumps(report))
    return android.card(artifact, "1.5.1")


TIMED = {
    "device": {"model": "Phone", "soc": "Chip"},
    "mode": "command",
    "networks": [
        {
            "file": "a.pte",
            "times": {"median_ms": 1.0, "p90_ms": 2.0},
            "heat": {"was_cool": True, "throttling_after": False},
        }
    ],
}


@examples(80)
@given(content=harmed_json(TIMED))
def test_figures_of_another_phone(folder: Path, content: Any) -> None:
    path = folder / "phone.json"
    path.write_text(json.dumps(content))
    with suppress(UserError):
        phone.print_table([phone._saved(path), TIMED])
