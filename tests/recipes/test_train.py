"""The command as a user meets it, Ctrl-C, power cuts and full disks included."""

import csv
import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from edgesr import checkpoint, cli
from edgesr.data.drawn import drawn_images
from edgesr.models import MODELS, SCALES, create_model
from recipes import evaluate, images, train
from recipes.papers import DRAWN_QAT, QAT, RECIPES

NETWORKS = [name for name, model in MODELS.items() if model.learns]
REPOSITORY = Path(__file__).resolve().parents[2]
STEPS = 20
SMALL = ["--model", "lffn-s", "--patch", "8", "--batch", "2", "--threads", "1", "--device", "cpu"]
SMALL += ["--holdout", "1", "--save-every", "0"]


def here(*options: object) -> None:
    """The recipe in this process."""
    before, sys.argv = sys.argv, ["train", *map(str, options)]
    try:
        train.main()
    finally:
        sys.argv = before


def mistake(*options: object) -> str:
    """What the command says when it refuses."""
    before, sys.argv = sys.argv, ["train", *map(str, options)]
    try:
        with pytest.raises(SystemExit) as stopped:
            cli.run(train.main)
    finally:
        sys.argv = before
    assert isinstance(stopped.value.code, str), "sys.exit() with a text is exit status 1"
    return stopped.value.code


def command(*options: object) -> list[str]:
    return [sys.executable, "-m", "recipes.train", *map(str, options)]


def rows(run: Path) -> list[dict[str, str]]:
    if not (run / "log.csv").exists():
        return []
    with (run / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    run = tmp_path_factory.mktemp("whole") / "run"
    here(*SMALL, "--data", photos, "--steps", STEPS, "--out", run)
    return run


def same_result(run: Path, other: Path) -> bool:
    a, b = (checkpoint.load(folder / "checkpoint").state for folder in (run, other))
    curves = [[(row["step"], row["loss"], row["lr"]) for row in rows(f)] for f in (run, other)]
    return curves[0] == curves[1] and all(torch.equal(a[name], b[name]) for name in a)


def disturbed(photos: Path, run: Path, number: signal.Signals) -> subprocess.CompletedProcess[str]:
    """A run in a process of its own that gets a signal after a few steps."""
    process = subprocess.Popen(
        command(*SMALL, "--data", photos, "--steps", STEPS, "--out", run),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while len(rows(run)) < 4 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess([], process.returncode, out, err)


def test_a_killed_run_continues_bit_for_bit(photos: Path, whole: Path, tmp_path: Path):
    run = tmp_path / "run"
    done = disturbed(photos, run, signal.SIGKILL)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert 4 <= len(rows(run)) < STEPS
    here("--resume", run)
    assert same_result(run, whole)
    assert len(json.loads((run / "origin.json").read_text())) == 2


def test_ctrl_c_saves_and_says_how_to_go_on(photos: Path, whole: Path, tmp_path: Path):
    run = tmp_path / "run"
    done = disturbed(photos, run, signal.SIGINT)
    assert done.returncode == 130, done.stderr
    assert f"--resume {run}" in done.stdout
    assert "Traceback" not in done.stderr
    assert 4 <= len(rows(run)) < STEPS
    here("--resume", run)
    assert same_result(run, whole)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_full_disk_is_an_error_and_leaves_nothing_half_written(photos: Path, tmp_path: Path):
    run = tmp_path / "run"
    done = subprocess.run(
        command(*SMALL, "--data", photos, "--steps", 2, "--out", run),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000)),
    )
    assert done.returncode == 1
    assert "error: File too large. Nothing was left half-written" in done.stderr
    assert "Traceback" not in done.stderr
    names = {path.name for path in run.iterdir() if not path.name.startswith(".")}
    assert names == {"config.json", "origin.json", "log.csv"}


def test_the_checkpoint_tells_how_it_came_to_be(whole: Path, photos: Path):
    result = checkpoint.load(whole / "checkpoint")
    assert (result.model, result.scale, result.scheme) == ("lffn-s", 4, None)
    result.build_float()
    origin = result.origin
    assert {"command", "commit", "versions", "seconds", "loss", "settings"} <= origin.keys()
    assert (origin["images"], origin["settings"]["steps"], origin["settings"]["seed"]) == (
        3,
        STEPS,
        0,
    )
    measured = origin["validation"]
    assert measured | {"psnr": 0} == {"psnr": 0, "channel": "y", "shave": 4, "images": 1}
    last = rows(whole)[-1]
    assert float(last["validation_psnr"]) == measured["psnr"]
    assert float(last["loss"]) == origin["loss"]
    assert origin["data"] == [photos.name], "where the folder lies is private"


def test_a_finished_run_writes_its_checkpoint_again(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    here(*SMALL, "--data", photos, "--steps", 1, "--out", run)
    before = (run / "checkpoint.safetensors").read_bytes()
    (run / "checkpoint.safetensors").unlink()
    here("--resume", run)
    assert (run / "checkpoint.safetensors").read_bytes() == before
    assert f"--init {run}/checkpoint.safetensors" in capsys.readouterr().out


def test_without_data_it_draws_its_own_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(train, "DRAWN_STEPS", 1)
    here(*SMALL[:-4], "--scale", 2, "--out", tmp_path / "run")
    out = capsys.readouterr().out
    assert "images that the project draws itself" in out
    assert "24 images, 1 steps" in out
    origin = checkpoint.load(tmp_path / "run" / "checkpoint").origin
    assert origin["data"] == "drawn by the project"


def saved(path: Path, model: str, scale: int, scheme: str | None = None) -> Path:
    state = create_model(model, scale=scale).state_dict()
    return checkpoint.save(checkpoint.Checkpoint(model, scale, scheme, state), path)


def test_msfin_starts_from_another_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    init = saved(tmp_path / "x4", "msfin-s", 4)
    monkeypatch.setattr(images, "DRAWN_SIDE", 64)
    options = ["--model", "msfin-s", "--scale", 2, "--patch", 8, "--batch", 1, "--steps", 1]
    here(*options, "--lr", 1e-30, "--threads", 1, "--init", init, "--out", tmp_path / "run")
    start, end = (checkpoint.load(path) for path in (init, tmp_path / "run" / "checkpoint"))
    torch.testing.assert_close(end.state, start.state)
    assert end.origin["init"] == {"file": "x4.safetensors", "sha256": start.sha256}


def test_another_scale_lends_all_but_its_last_layers(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    init = saved(tmp_path / "x2", "osffnet", 2)
    plan = ["--model", "osffnet", "--scale", 3, "--patch", 16, "--batch", 1, "--steps", 1, "--lr", 1e-30]
    here(
        *plan,
        "--threads",
        1,
        "--holdout",
        1,
        "--data",
        photos,
        "--init",
        init,
        "--out",
        tmp_path / "run",
    )
    start, end = (checkpoint.load(path).state for path in (init, tmp_path / "run" / "checkpoint"))
    assert "fresh are last.weight, last.bias." in capsys.readouterr().out
    torch.manual_seed(0)
    fresh = create_model("osffnet", scale=3).state_dict()
    weights = [name for name in end if name.endswith("weight")]
    assert len(weights) > 50
    for name in weights:
        origin = fresh if name.startswith("last") else start
        assert torch.equal(end[name], origin[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_trained_saved_and_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
):
    """On images that are no larger than the smallest patch, the held-out one included."""
    patch = max(8, MODELS[name].smallest)
    (tmp_path / "photos").mkdir()
    for index, image in enumerate(drawn_images(3, 2 * patch)):
        Image.fromarray(image).save(tmp_path / "photos" / f"{index}.png")
    run, photos = tmp_path / "run", tmp_path / "photos"
    options = [
        "--model",
        name,
        "--scale",
        2,
        "--patch",
        patch,
        "--batch",
        1,
        "--steps",
        2,
        "--threads",
        1,
    ]
    here(*options, "--device", "cpu", "--holdout", 1, "--data", photos, "--out", run)

    result = checkpoint.load(run / "checkpoint")
    torch.manual_seed(0)
    start = create_model(name, scale=2)
    still = [key for key, value in start.named_parameters() if torch.equal(value, result.state[key])]
    assert len(still) < 0.1 * len(result.state), "what a closed ReLU gates has no gradient"
    score = tmp_path / "score.json"
    given = ["--checkpoint", run / "checkpoint", "--benchmark", photos, "--json", score]
    monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, given)])
    evaluate.main()
    held_out = json.loads(score.read_text())["sets"]["photos"]["images"]
    assert result.origin["validation"]["psnr"] in [
        pytest.approx(one["psnr"]) for one in held_out.values()
    ]


def test_every_network_has_settings_that_it_can_train_with():
    assert list(RECIPES) == list(QAT) == NETWORKS
    for name in NETWORKS:
        for scale in SCALES:
            papers = [RECIPES[name].settings(scale, stage.name).patch for stage in RECIPES[name].stages]
            for patch in (*papers, QAT[name].patch, DRAWN_QAT["patch"]):
                assert patch >= MODELS[name].smallest
                assert patch % MODELS[name].lr_multiple(scale) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "lffn_s"], "Did you mean 'lffn-s'"),
        (["--model", "bicubic"], "no parameters to train"),
        ([], "Give --model"),
        (["--scale", 5], "Unknown scale 5"),
        (["--scale", 0], "Unknown scale 0"),
        (["--steps", 0], "steps is 0"),
        (["--batch", 0], "batch is 0"),
        (["--lr", "nan"], "lr is nan"),
        (["--seed", -1], "seed is -1"),
        (["--holdout", 0], "holdout is 0"),
        (["--threads", 0], "threads is 0"),
        (["--device", "tpu"], "Unknown device 'tpu'"),
        (["--patch", 4], "patch is 4"),
        (["--model", "msfin-s", "--scale", 3, "--patch", 18], "needs a multiple of 4"),
        (["--model", "osffnet", "--patch", 14], "needs LR images of 15 pixels"),
        (["--model", "maffsrn-l", "--patch", 12], "needs LR images of 13 pixels"),
        (["--data", "no/such/folder"], "does not exist"),
        (["--init", "no/such/checkpoint"], "does not exist"),
        (["--resume", "no/such/run"], "takes everything from the run folder"),
    ],
)
def test_mistakes_are_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[object], message: str
):
    monkeypatch.chdir(tmp_path)
    model = ["--model", "lffn-s"] if options and "--model" not in options else []
    assert message in mistake(*model, *options)
    assert list(tmp_path.iterdir()) == [], "a mistake leaves no run folder"


def test_images_that_are_too_small_are_a_mistake(photos: Path, tmp_path: Path):
    said = mistake("--model", "lffn-s", "--data", photos, "--out", tmp_path / "run")
    assert "128x128" in said
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_something_else_is_a_mistake(tmp_path: Path):
    other = saved(tmp_path / "msfin", "msfin-s", 4)
    assert "checkpoint of msfin-s" in mistake("--model", "lffn-s", "--init", other)
    quantized = saved(tmp_path / "w8a8", "lffn-s", 4, "w8a8")
    assert "scheme w8a8" in mistake("--model", "lffn-s", "--init", quantized)


def test_a_run_is_not_overwritten(photos: Path, whole: Path):
    assert "holds a run already" in mistake(*SMALL, "--data", photos, "--out", whole)


def test_a_resume_takes_no_other_option(whole: Path):
    assert "Leave out --steps, --save-every" in mistake(
        "--resume", whole, "--steps", 40, "--save-every", 1
    )


def test_a_resume_on_other_images_is_a_mistake(tmp_path: Path):
    photos, run = tmp_path / "photos", tmp_path / "run"
    photos.mkdir()
    for index, image in enumerate(drawn_images(3, 48)):
        Image.fromarray(image).save(photos / f"{index}.png")
    here(*SMALL, "--data", photos, "--steps", 1, "--out", run)
    (photos / "0.png").unlink()
    assert "begun with 2 training images and there are 1 now" in mistake("--resume", run)


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.pop("scale"),
        lambda config: config["settings"].pop("steps"),
        lambda config: config["settings"].update(extra=1),
        lambda config: config.update(settings=3),
    ],
)
def test_an_edited_config_is_a_mistake(
    whole: Path, tmp_path: Path, change: Callable[[dict[str, object]], object]
):
    config = json.loads((whole / "config.json").read_text())
    change(config)
    for name, content in (("config.json", config), ("origin.json", [{}])):
        (tmp_path / name).write_text(json.dumps(content))
    assert "config.json is damaged" in mistake("--resume", tmp_path)


def test_a_breakdown_keeps_the_last_good_state(photos: Path, tmp_path: Path):
    run = tmp_path / "run"
    said = mistake(*SMALL, "--data", photos, "--steps", 9, "--lr", 1e30, "--out", run)
    assert "Training broke down at step" in said
    assert (run / "state.safetensors").exists()
    assert not (run / "checkpoint.safetensors").exists()
