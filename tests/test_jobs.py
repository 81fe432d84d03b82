"""Folders, patterns, what is there already, other processes, disks: what happens to files."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from edgesr import cli
from edgesr.__main__ import main
from edgesr.engines import SUFFIXES, trial
from edgesr.errors import UserError
from edgesr.upscale import load
from tests.clips import pictures, save_clip

ROOT = Path(__file__).resolve().parents[1]
RNG = np.random.default_rng(3)


def upscale(*arguments: object, scale: int = 2) -> str:
    """The message of the command, or nothing where it succeeds."""
    line = ["upscale", *map(str, arguments), "--model", "bicubic", "--scale", str(scale)]
    try:
        cli.run(lambda: main(line))
    except SystemExit as end:
        return str(end.code)
    return ""


def start(*arguments: object, **options: object) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", "edgesr", "upscale", *map(str, arguments), "--model", "bicubic"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*line, "--scale", "2"], cwd=ROOT, **pipes, **options)  # pyright: ignore


def save(path: Path, height: int = 9, width: int = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("a.png", "b.jpg", "c.ppm"):
        save(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    return tmp_path / "photos"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_of_any_format(photos: Path, tmp_path: Path) -> None:
    assert upscale(photos, "--out", tmp_path / "out") == ""
    assert names(tmp_path / "out") == ["a_x2.png", "b_x2.png", "c_x2.png"]


def test_patterns_that_the_shell_left(photos: Path, tmp_path: Path, monkeypatch) -> None:
    assert upscale(photos / "[ab].*", photos / "a.png", "--out", tmp_path / "out") == ""
    assert names(tmp_path / "out") == ["a_x2.png", "b_x2.png"]
    monkeypatch.chdir(tmp_path)
    save(photos / "deeper" / "d.ppm")
    assert upscale("**/*.ppm", "--out", tmp_path / "deep") == ""
    assert names(tmp_path / "deep") == ["c_x2.png", "d_x2.png"]
    assert "No file matches" in upscale(photos / "*.tga", "--out", tmp_path / "none")
    odd = save(tmp_path / "[1].png")
    assert upscale(odd, "--out", tmp_path / "odd.png") == ""


def test_a_pattern_of_one_file_makes_a_folder(photos: Path, tmp_path: Path) -> None:
    assert upscale(photos / "*.ppm", "--out", tmp_path / "out") == ""
    assert names(tmp_path / "out") == ["c_x2.png"]


def test_resume_keeps_what_is_whole(photos: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert upscale(photos, "--out", out) == ""
    (out / "b_x2.png").unlink()
    before = {name: (out / name).stat().st_mtime_ns for name in names(out)}
    assert "--resume" in upscale(photos, "--out", out)
    capsys.readouterr()
    assert upscale(photos, "--out", out, "--resume") == ""
    assert capsys.readouterr().out.count("is there already") == 2
    assert names(out) == ["a_x2.png", "b_x2.png", "c_x2.png"]
    assert {name: (out / name).stat().st_mtime_ns for name in before} == before


@pytest.mark.parametrize(("suffix", "spoil"), [(".png", -30), (".jpg", -30), (".tif", -30), (".png", 0)])
def test_resume_neither_keeps_nor_replaces_what_is_broken(
    photos: Path, tmp_path: Path, suffix: str, spoil: int
) -> None:
    out = tmp_path / f"out{suffix}"
    assert upscale(photos / "a.png", "--out", out) == ""
    whole = out.read_bytes()
    out.write_bytes(whole[:spoil] if spoil else b"my notes")
    broken = out.read_bytes()
    assert "--force with --resume" in upscale(photos / "a.png", "--out", out, "--resume")
    assert out.read_bytes() == broken
    assert upscale(photos / "a.png", "--out", out, "--resume", "--force") == ""
    assert out.read_bytes() == whole


def test_resume_does_not_take_another_scale_for_done(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    assert upscale(photos / "a.png", "--out", out) == ""
    message = upscale(photos / "a.png", "--out", out, "--resume", scale=3)
    assert "is 14x18 pixels and not 21x27" in message


def test_a_file_that_comes_meanwhile_is_kept(photos: Path, tmp_path: Path, monkeypatch) -> None:
    """It was not there when the work began."""
    out, real = tmp_path / "out.png", os.fsync

    def meanwhile(handle: int) -> None:
        real(handle)
        out.write_text("theirs")

    monkeypatch.setattr(os, "fsync", meanwhile)
    assert "was made by someone else meanwhile" in upscale(photos / "a.png", "--out", out)
    assert out.read_text() == "theirs"
    assert names(tmp_path) == ["out.png", "photos"]


def test_resume_takes_a_file_that_comes_meanwhile_for_done(
    photos: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    assert upscale(photos / "a.png", "--out", tmp_path / "theirs.png") == ""
    out, real = tmp_path / "out.png", os.fsync

    def meanwhile(handle: int) -> None:
        real(handle)
        shutil.copy(tmp_path / "theirs.png", out)

    monkeypatch.setattr(os, "fsync", meanwhile)
    assert upscale(photos / "a.png", "--out", out, "--resume") == ""
    assert "is there already" in capsys.readouterr().out


def test_two_processes_fill_one_folder(tmp_path: Path) -> None:
    for index in range(12):
        save(tmp_path / "photos" / f"{index:02}.png", 60, 60)
    arguments = (tmp_path / "photos", "--out", tmp_path / "out", "--resume")
    both = [start(*arguments), start(*arguments)]
    said = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert names(tmp_path / "out") == [f"{index:02}_x2.png" for index in range(12)]
    assert all(Image.open(path).size == (120, 120) for path in (tmp_path / "out").iterdir())
    lines = "".join(out for out, _ in said).splitlines()
    assert len(lines) == 24
    made = [line for line in lines if "is there already" not in line]
    assert len(made) == 12  # each by one of the two, whoever came first


def test_a_killed_run_leaves_no_half_file_and_goes_on(tmp_path: Path) -> None:
    for index in range(3):
        save(tmp_path / "photos" / f"{index}.png", 700, 700)
    arguments = (tmp_path / "photos", "--out", tmp_path / "out", "--resume")
    process, began = start(*arguments), time.monotonic()
    while time.monotonic() - began < 60 and not list((tmp_path / "out").glob("0_x2.png")):
        time.sleep(0.01)
    process.kill()
    process.communicate()
    for path in (tmp_path / "out").glob("[0-9]*"):
        with Image.open(path) as image:
            image.verify()
    assert upscale(*arguments) == ""
    whole = [name for name in names(tmp_path / "out") if not name.startswith(".")]
    assert whole == ["0_x2.png", "1_x2.png", "2_x2.png"]


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a file system that nobody may write")
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_a_place_that_may_not_be_written_is_named(tmp_path: Path, suffix: str) -> None:
    """Not even root may, here; of a read-only disk the system says the same in other words."""
    said = upscale(save(tmp_path / "in.png"), "--out", f"/sys/kernel/large{suffix}")
    assert said.startswith("error: ")
    assert "/sys/kernel/" in said


def test_a_full_disk_ends_in_words_and_leaves_nothing(tmp_path: Path) -> None:
    """Of files larger than what the process may write, whether they are streamed or not."""
    source, suffixes = save(tmp_path / "in.bmp", 100, 100), [".png", ".tif", ".jpg", ".webp", ".gif"]
    script = textwrap.dedent("""
        import resource, sys
        from edgesr import cli
        from edgesr.__main__ import main
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        source, *outs = sys.argv[1:]
        for out in outs:
            try:
                cli.run(lambda: main(["upscale", source, "--model", "bicubic", "--out", out]))
                print("no error")
            except SystemExit as end:
                print(end.code)
    """)
    (tmp_path / "out").mkdir()
    outs = [str(tmp_path / "out" / f"large{suffix}") for suffix in suffixes]
    line = [sys.executable, "-c", script, str(source), *outs]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert ["free some space" in message for message in said] == [True] * len(suffixes), said
    assert names(tmp_path / "out") == []


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a folder that nobody may write to")
def test_a_folder_that_may_not_be_written_to(photos: Path) -> None:
    for out in ("/sys/kernel/large.png", "/sys/kernel/deep/large.png"):
        message = upscale(photos / "a.png", "--out", out)
        assert message.startswith("error: ")
        assert "/sys/kernel" in message


def test_too_large_for_its_format_is_said_before_any_pixel_is_read(tmp_path: Path) -> None:
    """The pixels of this file are missing, so reading them would be another error."""
    save(tmp_path / "in.bmp", 1, 1)
    header = bytearray((tmp_path / "in.bmp").read_bytes())
    header[18:26] = (9000).to_bytes(4, "little") * 2
    (tmp_path / "in.bmp").write_bytes(header)
    message = upscale(tmp_path / "in.bmp", "--out", tmp_path / "out.jpg")
    assert "at most 268 megapixels" in message
    assert "18000x18000 = 324 megapixels" in message
    assert "could not be read" in upscale(tmp_path / "in.bmp", "--out", tmp_path / "out.png")
    header[18:26] = (20_000).to_bytes(4, "little") * 2
    (tmp_path / "in.bmp").write_bytes(header)
    assert "decoded in one piece" in upscale(tmp_path / "in.bmp", "--out", tmp_path / "out.png")
    assert names(tmp_path) == ["in.bmp"]


def test_animations_stay_what_they_are(tmp_path: Path, capsys) -> None:
    frames = [Image.fromarray(RNG.integers(0, 256, (8, 9, 4), dtype=np.uint8)) for _ in range(3)]
    for suffix in (".gif", ".png", ".webp"):
        path = tmp_path / "in" / f"clip{suffix[1:]}{suffix}"
        path.parent.mkdir(exist_ok=True)
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=[40, 90, 200], loop=0)
    assert upscale(tmp_path / "in", "--out", tmp_path / "out") == ""
    assert names(tmp_path / "out") == ["clipgif_x2.gif", "clippng_x2.png", "clipwebp_x2.webp"]
    assert capsys.readouterr().out.count("9x8 -> 18x16  3 frames  3 tiles") == 3
    for path in (tmp_path / "out").iterdir():
        with Image.open(path) as image:
            assert (image.n_frames, image.size) == (3, (18, 16))  # pyright: ignore
    assert upscale(tmp_path / "in" / "clipgif.gif", "--out", tmp_path / "still.jpg") == ""
    assert "2 more frames or pages: the first was taken" in capsys.readouterr().err


def test_a_video_beside_images(tmp_path: Path, capsys) -> None:
    """By name or pattern; of a folder, the images are taken."""
    (tmp_path / "in").mkdir()
    clip = save_clip(tmp_path / "in" / "a.mp4", pictures(3, 8, 10), sound="aac")
    still = save(tmp_path / "in" / "b.png")
    save_clip(tmp_path / "in" / "c.avi", pictures(3, 8, 16), codec="mpeg4", tick=Fraction(1, 25))
    assert upscale(tmp_path / "in", "--out", tmp_path / "folder") == ""
    assert names(tmp_path / "folder") == ["b_x2.png"]
    capsys.readouterr()
    assert upscale(tmp_path / "in" / "*", "--out", tmp_path / "out") == ""
    assert names(tmp_path / "out") == ["a_x2.mp4", "b_x2.png", "c_x2.mkv"]
    said = capsys.readouterr()
    assert "10x8 -> 20x16  3 frames  3 tiles" in said.out
    assert "a.mp4  3/3 tile  frame 3/3  speed " in said.err
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert upscale(tmp_path / "in" / "*", "--out", tmp_path / "out", "--resume") == ""
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before
    assert "exists already" in upscale(clip, "--out", tmp_path / "out" / "a_x2.mp4")
    message = upscale(clip, "--out", tmp_path / "out" / "a_x2.mp4", "--resume", scale=3)
    assert "is 20x16 pixels, not 30x24" in message
    assert "videos are written as" in upscale(clip, "--out", tmp_path / "out.png")
    assert "Images are written as" in upscale(still, "--out", tmp_path / "out.mp4")


def test_what_a_long_video_takes_is_said_after_its_first_frame(
    tmp_path: Path, capsys, monkeypatch
) -> None:
    clip = save_clip(tmp_path / "a.mp4", pictures(3, 8, 10))
    monkeypatch.setattr("edgesr.__main__.LONG", 0)
    assert upscale(clip, "--out", tmp_path / "out.mp4") == ""
    first = capsys.readouterr().err.splitlines()[0]
    assert "3 frames" in first
    assert "for the first, so about 1 min for all. Ctrl-C" in first


def test_a_video_on_a_full_disk_and_one_that_is_stopped(tmp_path: Path) -> None:
    noise = [RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(30)]
    clip = save_clip(tmp_path / "a.mp4", noise, times=range(0, 1200, 40))
    (tmp_path / "out").mkdir()
    limit = (20_000, 20_000)
    for suffix in (".mp4", ".webm"):
        process = start(
            clip, "--out", tmp_path / "out" / f"big{suffix}",
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
        )  # fmt: skip
        _, err = process.communicate(timeout=120)
        assert process.returncode == 1, err
        assert "free some space" in err
        assert names(tmp_path / "out") == []
    process, began = start(clip, "--out", tmp_path / "out" / "big.mp4", bufsize=1), time.monotonic()
    while time.monotonic() - began < 60 and not list((tmp_path / "out").iterdir()):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, "interrupted" in err) == (130, True), err
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_threads_are_a_number(photos: Path, tmp_path: Path, count: str, capsys) -> None:
    assert upscale(photos, "--out", tmp_path / "out", "--threads", count) == "2"
    assert "whole number from 1" in capsys.readouterr().err


def test_threads_are_set(photos: Path, tmp_path: Path, monkeypatch) -> None:
    import torch

    told: list[object] = []
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    assert upscale(photos, "--out", tmp_path / "out", "--threads", 3) == ""
    assert told == [3]


def test_threads_of_an_engine_are_set_before_its_file_is_opened(tmp_path: Path, monkeypatch) -> None:
    told: list[object] = []
    engine = SimpleNamespace(use_threads=told.append, open_file=lambda _: told.append("opened"))
    monkeypatch.setitem(sys.modules, "edgesr.engines.newest", engine)
    monkeypatch.setitem(SUFFIXES, "newest", ".new")
    monkeypatch.setattr(trial, "try_out", lambda _: None)  # no other process knows this engine
    (tmp_path / "model.new").touch()
    with pytest.raises(TypeError):  # there are no facts to unpack
        load(artifact=tmp_path / "model.new", threads=2)
    assert told == [2, "opened"]
    del engine.use_threads
    with pytest.raises(UserError, match="newest engine chooses its threads itself"):
        load(artifact=tmp_path / "model.new", threads=2)


def test_progress_tells_tiles_their_time_and_the_end(tmp_path: Path, capsys) -> None:
    save(tmp_path / "large.png", 520, 600)
    assert upscale(tmp_path / "large.png", "--out", tmp_path / "out.png") == ""
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("large.png  16/16 tile  speed ")
    assert "ms/tile" in line
    assert line.endswith("ETA 0:00")
