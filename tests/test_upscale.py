import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import conv2d, pixel_shuffle

from edgesr import checkpoint, cli, weights
from edgesr import engines as engines_module
from edgesr import upscale as upscale_module
from edgesr.__main__ import main
from edgesr.data import Picture, read_picture
from edgesr.data.images import to_levels
from edgesr.engines import Artifact
from edgesr.ensemble import self_ensemble
from edgesr.models import MODELS, create_model
from edgesr.models.bicubic import Bicubic
from edgesr.runner import Runner
from edgesr.upscale import Request, open_runner

RNG = np.random.default_rng(7)
NOISE = RNG.integers(0, 256, (9, 7, 4), dtype=np.uint8)


def command(*arguments: object) -> int:
    """Run the command line in this process; return the exit status it would leave with."""
    try:
        cli.run(lambda: main([str(argument) for argument in arguments]))
    except SystemExit as end:
        return 1 if isinstance(end.code, str) else int(end.code or 0)
    return 0


def error_of(*arguments: object) -> str:
    """The message of a command that must fail with status 1."""
    with pytest.raises(SystemExit) as end:
        cli.run(lambda: main([str(argument) for argument in arguments]))
    assert isinstance(end.value.code, str), end.value.code
    return end.value.code


def bicubic(*inputs: Path, out: Path, scale: int = 2) -> int:
    return command("upscale", *inputs, "--model", "bicubic", "--scale", scale, "--out", out)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(NOISE[:, :, :3]).save(path)
    return path


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A float checkpoint of msfin-s x2, freshly initialised."""
    state = create_model("msfin-s", scale=2).state_dict()
    return checkpoint.save(checkpoint.Checkpoint("msfin-s", 2, None, state), tmp_path / "fresh")


def save_grey(path: Path) -> None:
    Image.fromarray(NOISE[:, :, 0]).save(path)


def save_palette(path: Path) -> None:
    Image.fromarray(NOISE[:, :, :3]).quantize(8).save(path)


def save_alpha(path: Path) -> None:
    Image.fromarray(NOISE).save(path)


def save_deep_grey(path: Path) -> None:
    Image.fromarray(NOISE[:, :, 0].astype(np.uint16) * 257).save(path)


def save_rotated(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a camera held upright: rows are stored as columns
    Image.fromarray(NOISE.swapaxes(0, 1)[:, :, :3].copy()).save(path, exif=exif)


@pytest.mark.parametrize(
    ("save", "mode"),
    [
        (save_grey, "L"),
        (save_palette, "RGB"),
        (save_alpha, "RGBA"),
        (save_deep_grey, "I;16"),
        (save_rotated, "RGB"),
    ],
)
def test_every_kind_of_image_keeps_its_kind(tmp_path: Path, save, mode: str) -> None:
    source, out = tmp_path / "in.png", tmp_path / "new" / "out.png"
    save(source)
    assert bicubic(source, out=out) == 0
    with Image.open(out) as large:
        assert (large.mode, large.size) == (mode, (14, 18))


def test_pixels_are_those_of_the_network(tmp_path: Path, photo: Path) -> None:
    out = tmp_path / "out.png"
    assert bicubic(photo, out=out, scale=3) == 0
    expected = Bicubic(3)(read_picture(photo).rgb.unsqueeze(0))[0]
    assert (read_picture(out).rgb - expected).abs().max() <= 0.5 / 255 + 1e-6


def test_alpha_is_enlarged_by_bicubic(tmp_path: Path) -> None:
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    save_alpha(source)
    assert bicubic(source, out=out) == 0
    before, after = read_picture(source).alpha, read_picture(out).alpha
    assert before is not None
    assert after is not None
    assert (after - Bicubic(2)(before.unsqueeze(0))[0]).abs().max() <= 0.5 / 255 + 1e-6


def test_grey_of_a_colouring_network_is_its_luma() -> None:
    def colouring(lr: torch.Tensor) -> torch.Tensor:
        return torch.tensor([1.0, 0.5, 0.0]).reshape(1, 3, 1, 1).expand(1, 3, *lr.shape[2:])

    runner = Runner(colouring, 1, (8, 8), 0, 1, whole=100)
    (large,) = runner.bands(Picture(np.zeros((4, 4, 1), np.uint16)), np.dtype(np.uint16))
    assert (large == round(65535 * (0.299 + 0.5 * 0.587))).all()
    assert large.shape == (4, 4, 1)


def test_one_pixel(tmp_path: Path) -> None:
    source, out = tmp_path / "dot.png", tmp_path / "out.png"
    Image.new("RGB", (1, 1), (10, 120, 250)).save(source)
    assert bicubic(source, out=out, scale=4) == 0
    with Image.open(out) as large:
        assert large.getcolors() == [(16, (10, 120, 250))]


def test_checkpoint_says_model_and_scale(tmp_path: Path, photo: Path, trained: Path, capsys) -> None:
    out = tmp_path / "out.png"
    assert command("upscale", photo, "--checkpoint", trained, "--out", out) == 0
    with Image.open(out) as large:
        assert large.size == (14, 18)
    line = capsys.readouterr().out
    assert "7x9 -> 14x18  1 tile  " in line
    assert line.rstrip().endswith(str(out))


@pytest.mark.parametrize("named", [["--model", "lffn-s"], ["--scale", "4"]])
def test_contradicting_checkpoint_is_refused(photo: Path, trained: Path, named: list[str]) -> None:
    out = photo.with_name("out.png")
    message = error_of("upscale", photo, "--checkpoint", trained, *named, "--out", out)
    assert "is msfin-s x2, not" in message
    assert not out.exists()


def test_quantized_checkpoint_is_refused_with_what_to_do(tmp_path: Path, photo: Path) -> None:
    path = checkpoint.save(checkpoint.Checkpoint("msfin-s", 4, "w8a8", {}), tmp_path / "qat")
    message = error_of("upscale", photo, "--checkpoint", path, "--out", tmp_path / "out.png")
    assert "'w8a8'" in message
    assert "python -m export.executorch" in message


def test_bundled_weights_are_taken_or_missed(photo: Path, trained: Path, monkeypatch) -> None:
    asked = []

    def find(*names: object) -> Path | None:
        asked.append(names)
        return trained if names == ("msfin-s", 2, None) else None

    monkeypatch.setattr("edgesr.weights.find", find)
    options = ["upscale", photo, "--model", "msfin-s", "--out", photo.with_name("out.png")]
    assert command(*options, "--scale", 2) == 0
    assert "python -m recipes.train --model msfin-s --scale 4" in error_of(*options, "--force")
    assert asked == [("msfin-s", 2, None), ("msfin-s", 4, None)]


def test_nothing_to_run_is_refused(photo: Path) -> None:
    assert "--model NAME" in error_of("upscale", photo, "--out", photo.with_name("out.png"))


@pytest.mark.parametrize("engine", ["torch", "executorch"])
def test_unknown_model_is_refused_with_the_nearest(photo: Path, engine: str) -> None:
    options = ["--model", "msfin_s", "--engine", engine, "--out", photo.with_name("out.png")]
    assert "Did you mean 'msfin-s'?" in error_of("upscale", photo, *options)


def test_large_image_goes_through_in_tiles(tmp_path: Path, monkeypatch, capsys) -> None:
    for name, value in {"WHOLE": 400, "TILE": 16, "OVERLAP": 3}.items():
        monkeypatch.setattr(upscale_module, name, value)
    pixels, out = RNG.integers(0, 256, (23, 41, 3), dtype=np.uint8), tmp_path / "out.png"
    Image.fromarray(pixels).save(tmp_path / "in.png")
    assert bicubic(tmp_path / "in.png", out=out) == 0
    spoken = capsys.readouterr()
    assert "41x23 -> 82x46  8 tiles" in spoken.out
    assert "8/8 tile" in spoken.err
    whole = Bicubic(2)(read_picture(tmp_path / "in.png").rgb.unsqueeze(0))[0]
    assert (read_picture(out).rgb - whole).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(("whole", "tile"), [(115, (8, 16)), (114, (8, 8)), (114, (8, 16))])
def test_ensemble_takes_each_tile_eight_times(whole: int, tile: tuple[int, int]) -> None:
    seen, calls, lr = [], [], torch.rand(1, 3, 23, 5)

    def upscale(window: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(window.shape[2:]))
        return window.repeat_interleave(2, 2).repeat_interleave(2, 3) * window.shape[2]

    runner = Runner(upscale, 2, tile, 1, 1, whole=whole, ensemble=True)
    picture = Picture(to_levels(lr, np.dtype(np.uint8)))
    list(runner.bands(picture, np.dtype(np.uint8), lambda *numbers: calls.append(numbers)))
    pieces = 1 if whole == 115 else 4
    assert calls == [(done, pieces) for done in range(1, pieces + 1)]
    assert set(seen) == ({(23, 5), (5, 23)} if whole == 115 else {tile})
    # a window of 8x16 is 16x8 when it is turned, which takes three tiles of 8x16
    assert len(seen) == pieces * (4 + 4 * (3 if tile == (8, 16) and whole == 114 else 1))


@pytest.mark.parametrize("tile", [(8, 8), (8, 16)])
def test_ensemble_in_tiles_is_that_of_the_whole(tile: tuple[int, int]) -> None:
    """Of an upscaler that reads two pixels around each, and that no two turns of an image agree on."""
    lr, crooked = torch.rand(1, 3, 23, 31), torch.rand(12, 3, 5, 5) / 75

    def upscale(window: torch.Tensor) -> torch.Tensor:
        return pixel_shuffle(conv2d(window, crooked, padding=2), 2)

    whole = self_ensemble(upscale)(lr)
    sr = Runner(upscale, 2, tile, 2, 1, ensemble=True)(lr)
    inner = np.s_[:, :, 4:-18, 4:-10]  # at the borders one sees zeros, the other a mirror image
    assert (sr[inner] - whole[inner]).abs().max() < 1e-6
    assert (sr[inner] - upscale(lr)[inner]).abs().max() > 0.01


def test_ensemble_by_name(tmp_path: Path, photo: Path, trained: Path, capsys) -> None:
    out = tmp_path / "out.png"
    assert command("upscale", photo, "--checkpoint", trained, "--ensemble", "--out", out) == 0
    assert "7x9 -> 14x18  1 tile  " in capsys.readouterr().out
    once, lr = open_runner(Request(checkpoint=trained)).upscale, read_picture(photo).rgb.unsqueeze(0)
    expected = self_ensemble(once)(lr)
    assert (read_picture(out).rgb - expected.clamp(0, 1)).abs().max() <= 0.5 / 255 + 1e-6
    assert (once(lr) - expected).abs().max() > 5 / 255


def artifact(path: Path) -> Artifact:
    return Artifact(path, "msfin-s", 2, "w8a8", (8, 8), 2, 2, "0" * 64, Bicubic(2))


@pytest.fixture
def exported(tmp_path: Path, monkeypatch) -> Path:
    """An exported file of msfin-s x2, in ./artifacts, opened as one that upscales by bicubic."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(upscale_module, "open_artifact", artifact)
    path = engines_module.ARTIFACTS / "msfin-s_x2_w8a8_8x8.pte"
    path.parent.mkdir()
    path.touch()
    return path


def test_artifact_says_model_and_scale_and_runs_in_tiles(photo: Path, exported: Path, capsys) -> None:
    out = photo.with_name("out.png")
    assert command("upscale", photo, "--artifact", exported, "--out", out) == 0
    assert "7x9 -> 14x18  2 tiles" in capsys.readouterr().out
    with Image.open(out) as large:
        assert large.size == (14, 18)


def test_ensemble_of_an_artifact(photo: Path, exported: Path, capsys) -> None:
    options = ["--artifact", exported, "--ensemble", "--out", photo.with_name("out.png")]
    assert command("upscale", photo, *options) == 0
    assert "7x9 -> 14x18  2 tiles" in capsys.readouterr().out


def test_engine_finds_its_newest_artifact(photo: Path, exported: Path) -> None:
    runner = open_runner(Request("msfin-s", 2, "executorch"))
    assert (runner.scale, runner.tile, runner.overlap, runner.multiple) == (2, (8, 8), 2, 2)
    options = ["upscale", photo, "--engine", "executorch", "--out", photo.with_name("out.png")]
    assert "python -m export.executorch --model msfin-s --scale 4" in error_of(
        *options, "--model", "msfin-s"
    )
    assert "Give --model NAME" in error_of(*options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "lffn-s"], "is msfin-s x2, not lffn-s x2"),
        (["--scale", "3"], "is msfin-s x2, not msfin-s x3"),
        (["--engine", "torch"], "--engine torch does not run"),
        (["--checkpoint", "some"], "either --checkpoint or --artifact"),
    ],
)
def test_contradicting_artifact_is_refused(
    photo: Path, exported: Path, options: list[str], words: str
) -> None:
    out = photo.with_name("out.png")
    assert words in error_of("upscale", photo, "--artifact", exported, *options, "--out", out)
    assert not out.exists()


def test_checkpoint_does_not_go_with_an_engine(photo: Path, trained: Path) -> None:
    options = ["--checkpoint", trained, "--engine", "executorch", "--out", "out.png"]
    assert "--checkpoint runs with --engine torch" in error_of("upscale", photo, *options)


def test_folder_and_files_become_a_folder(tmp_path: Path, photo: Path, capsys) -> None:
    folder, out = tmp_path / "folder", tmp_path / "deep" / "out"
    folder.mkdir()
    for name in ("a.jpg", "b.png"):
        Image.fromarray(NOISE[:, :, :3]).save(folder / name)
    assert bicubic(folder, photo, out=out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["a_x2.png", "b_x2.png", "photo_x2.png"]
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_one_image_goes_into_a_folder_that_is_there(tmp_path: Path, photo: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert bicubic(photo, out=out) == 0
    assert [path.name for path in out.iterdir()] == ["photo_x2.png"]


def test_bad_images_among_good_are_reported_and_passed_over(tmp_path: Path, photo: Path, capsys) -> None:
    truncated, text, out = tmp_path / "cut.png", tmp_path / "text.jpg", tmp_path / "out"
    truncated.write_bytes(photo.read_bytes()[:-40])
    text.write_text("not an image")
    last = tmp_path / "z.png"
    last.write_bytes(photo.read_bytes())
    inputs = [truncated, text, tmp_path / "absent.png", photo, last]
    message = error_of("upscale", *inputs, "--model", "bicubic", "--out", out)
    assert message == f"error: 3 of 5 images failed; the rest is in {out}."
    assert sorted(path.name for path in out.iterdir()) == ["photo_x4.png", "z_x4.png"]
    errors = capsys.readouterr().err.splitlines()
    assert [str(path) in line for path, line in zip(inputs, errors, strict=False)] == [True] * 3


@pytest.mark.parametrize("content", [b"", b"not an image", None])
def test_bad_image_alone_fails_and_leaves_nothing(tmp_path: Path, content: bytes | None) -> None:
    source, out = tmp_path / "in.png", tmp_path / "out.png"
    if content is not None:
        source.write_bytes(content)
    assert str(source) in error_of("upscale", source, "--model", "bicubic", "--out", out)
    assert [path.name for path in tmp_path.iterdir() if path != source] == []


def test_missing_folder_is_named_before_the_suffix_of_out(tmp_path: Path) -> None:
    message = error_of("upscale", tmp_path / "photos", "--model", "bicubic", "--out", "large")
    assert "photos does not exist" in message


def test_existing_output_is_kept_unless_forced(tmp_path: Path, photo: Path) -> None:
    out = tmp_path / "out.png"
    out.write_text("precious")
    options = ["upscale", photo, "--model", "bicubic", "--out", out]
    assert "--force" in error_of(*options)
    assert out.read_text() == "precious"
    assert command(*options, "--force") == 0
    with Image.open(out) as large:
        assert large.size == (28, 36)


def test_existing_output_among_many_stops_before_any_work(tmp_path: Path, photo: Path) -> None:
    other, out = tmp_path / "other.png", tmp_path / "out"
    other.write_bytes(photo.read_bytes())
    out.mkdir()
    (out / "photo_x2.png").write_text("precious")
    assert bicubic(other, photo, out=out) == 1
    assert [path.name for path in out.iterdir()] == ["photo_x2.png"]


def test_out_that_cannot_be_is_refused(tmp_path: Path, photo: Path) -> None:
    options = ["upscale", photo, "--model", "bicubic", "--out"]
    assert "'.xyz'" in error_of(*options, tmp_path / "out.xyz")
    assert "no suffix" in error_of(*options, tmp_path / "out")
    assert "Give a folder" in error_of("upscale", photo, photo.parent, *options[2:], photo)
    (tmp_path / "file").touch()
    message = error_of(*options, tmp_path / "file" / "out.png")
    assert "exists" in message
    assert "meanwhile" not in message


def test_suffix_of_out_is_checked_before_any_work(tmp_path: Path) -> None:
    source = tmp_path / "text.png"
    source.write_text("not an image")
    message = error_of("upscale", source, "--model", "bicubic", "--out", tmp_path / "out.xyz")
    assert "'.xyz'" in message


def test_two_images_of_one_name_are_refused(tmp_path: Path, photo: Path) -> None:
    twin = tmp_path / "photo.jpg"
    Image.fromarray(NOISE[:, :, :3]).save(twin)
    message = error_of("upscale", photo, twin, "--model", "bicubic", "--out", tmp_path / "out")
    assert "would both become" in message


def test_models_lists_every_network_and_what_its_cards_say(capsys) -> None:
    assert command("models") == 0
    shown = capsys.readouterr().out
    head, *rows = shown.splitlines()[: 1 + len(MODELS)]
    assert head.split()[:3] == ["model", "scales", "parameters"]
    assert [row.split()[0] for row in rows] == list(MODELS)
    for path in weights.bundled("msfin-s", 4):
        card = json.loads(path.with_suffix(".json").read_text())
        psnr = card["origin"]["validation"]["psnr"]
        assert f"{psnr:.2f} dB on {card['origin']['validation']['images']} images" in shown
        assert f"{path.stat().st_size / 1e3:,.0f} kB" in shown
        (row,) = (row for row in rows if row.startswith("msfin-s "))
        assert f"{psnr:.2f}" in row.split()


def test_models_as_json(capsys) -> None:
    assert command("models", "--json", "--scale", 3) == 0
    entries = json.loads(capsys.readouterr().out)
    (lffn,) = (entry for entry in entries if entry["model"] == "lffn")
    golden = json.loads((Path(__file__).parent / "golden" / "complexity.json").read_text())["networks"]
    (counted,) = (row for row in golden if (row["model"], row["scale"]) == ("lffn", 3))
    assert (lffn["params"], lffn["macs"]) == (counted["params"], counted["macs"])
    assert (lffn["scale"], lffn["bundled"]) == (3, [])


@pytest.mark.parametrize("line", ["", "upscale", "upscale a", "upscale a --out b --scale 5"])
def test_wrong_usage_is_status_2(line: str) -> None:
    assert command(*line.split()) == 2


def test_process_ends_with_the_status_and_no_traceback(tmp_path: Path, photo: Path) -> None:
    def process(*arguments: object) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "edgesr", *map(str, arguments)]
        root = Path(__file__).parents[1]
        return subprocess.run(line, capture_output=True, text=True, check=False, cwd=root)

    good = process("upscale", photo, "--model", "bicubic", "--out", tmp_path / "out.png")
    bad = process("upscale", tmp_path / "no.png", "--model", "bicubic", "--out", tmp_path / "o.png")
    assert (good.returncode, good.stderr) == (0, "")
    assert bad.returncode == 1
    assert bad.stderr.startswith(f"error: {tmp_path / 'no.png'} does not exist.")
    assert len(bad.stderr.splitlines()) == 1
