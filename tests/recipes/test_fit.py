"""The loop: same numbers every time, whatever happens in between."""

import csv
import math
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgesr.data.drawn import drawn_images
from edgesr.data.patches import PairedImages
from edgesr.errors import UserError
from edgesr.models import create_model
from recipes import fit as fitting
from recipes import run as runs
from recipes.fit import Batches, fit, use_device
from recipes.images import random_patches
from recipes.papers import RECIPES
from recipes.run import Run, State
from recipes.settings import Settings

SETTINGS = Settings(
    steps=8, batch=2, patch=8, lr=1e-3, final_lr=1e-4, decay="cosine", clip=5.0, save_every=0
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images() -> PairedImages:
    return PairedImages(drawn_images(2, 48), 2)


@pytest.fixture(scope="module")
def batches(images: PairedImages) -> Batches:
    return random_patches(images, SETTINGS)


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[[str], Run]:
    return lambda name: runs.create(name, tmp_path / name, {"recipe": "train"})


class Tiny(nn.Module):
    """Enlarges by 2; knows whether it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, lr: Tensor) -> Tensor:
        return self.layers(lr)


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return Tiny()


def rows(run: Run) -> list[dict[str, str]]:
    with run.log_file.open(newline="") as file:
        return list(csv.DictReader(file))


def losses(run: Run) -> list[float]:
    return [float(row["loss"]) for row in rows(run)]


def equal(a: nn.Module, b: nn.Module) -> bool:
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_the_same_numbers_twice(batches: Batches, new_run: Callable[[str], Run]):
    networks, results = [], []
    for name in ("first", "second"):
        torch.manual_seed(0)
        networks.append(create_model("lffn-s", scale=2))
        run = new_run(name)
        fit(networks[-1], batches, SETTINGS, run, device=CPU)
        results.append(losses(run))
    assert results[0] == results[1]
    assert equal(*networks)
    assert len(results[0]) == SETTINGS.steps


def test_the_loss_falls(batches: Batches, new_run: Callable[[str], Run]):
    torch.manual_seed(0)
    run, patches = new_run("one"), batches(0)
    fit(create_model("lffn-s", scale=2), lambda _: patches, SETTINGS, run, device=CPU)
    assert losses(run)[-1] < 0.8 * losses(run)[0]


def test_batches_depend_on_seed_and_step_alone(images: PairedImages):
    one, other = (random_patches(images, replace(SETTINGS, seed=seed)) for seed in (0, 1))
    later = one(5)[0]
    assert torch.equal(one(5)[0], later)
    assert not torch.equal(one(6)[0], later)
    assert not torch.equal(other(5)[0], later)


def test_a_crash_changes_nothing(batches: Batches, new_run: Callable[[str], Run]):
    whole, broken = tiny(), tiny()
    fit(whole, batches, SETTINGS, new_run("whole"), device=CPU)

    def crash(step: int) -> None:
        if step == 5:
            raise MemoryError

    run = new_run("broken")
    with pytest.raises(MemoryError):
        fit(broken, batches, SETTINGS, run, device=CPU, before_step=crash)
    seen: list[int] = []
    resumed = tiny()
    state = fit(resumed, batches, SETTINGS, run, device=CPU, before_step=seen.append)
    assert equal(whole, resumed)
    assert seen == [5, 6, 7]
    assert state.step == SETTINGS.steps
    assert [int(row["step"]) for row in rows(run)] == list(range(1, SETTINGS.steps + 1))


def test_the_first_weights_are_kept_for_a_resume(batches: Batches, new_run: Callable[[str], Run]):
    run, network = new_run("early"), tiny()

    def crash(_: int) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        fit(network, batches, SETTINGS, run, device=CPU, before_step=crash)
    other = Tiny()
    assert run.load_state(other, torch.optim.Adam(other.parameters())) == State()
    assert equal(network, other)


def test_ctrl_c_finishes_the_step_and_saves(
    batches: Batches, new_run: Callable[[str], Run], capsys: pytest.CaptureFixture[str]
):
    run, finished = new_run("stopped"), []

    def press(step: int) -> None:
        finished.append(step)
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    lazy = replace(SETTINGS, save_every=1e9)
    with pytest.raises(KeyboardInterrupt):
        fit(tiny(), batches, lazy, run, device=CPU, before_step=press)
    assert finished == [0, 1, 2, 3]
    assert signal.getsignal(signal.SIGINT) is before
    assert f"--resume {run.folder}" in capsys.readouterr().out
    network, whole = tiny(), tiny()
    assert run.load_state(network, torch.optim.Adam(network.parameters())).step == 4
    fit(network, batches, lazy, run, device=CPU)
    fit(whole, batches, lazy, new_run("whole"), device=CPU)
    assert equal(network, whole)


def test_a_second_ctrl_c_does_not_wait(batches: Batches, new_run: Callable[[str], Run]):
    def press(_: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    run = new_run("stopped")
    with pytest.raises(KeyboardInterrupt):
        fit(tiny(), batches, SETTINGS, run, device=CPU, before_step=press)
    assert losses(run) == []


class BreaksDown(Tiny):
    """Its third step has a loss, or else only a gradient, that is not a number."""

    def __init__(self, forward_too: bool) -> None:
        super().__init__()
        self.calls, self.forward_too = 0, forward_too

    def forward(self, lr: Tensor) -> Tensor:
        self.calls += 1
        sr = super().forward(lr)
        if self.calls < 3:
            return sr
        return sr * math.nan if self.forward_too else sr + 0 * torch.sqrt(0 * sr)


@pytest.mark.parametrize("forward_too", [True, False])
def test_a_breakdown_keeps_the_state_before_it(
    batches: Batches, new_run: Callable[[str], Run], forward_too: bool
):
    run, network, sound = new_run("broken"), BreaksDown(forward_too), tiny()

    def stop(step: int) -> None:
        if step == 2:
            raise MemoryError

    network.load_state_dict(sound.state_dict())
    with pytest.raises(MemoryError):
        fit(sound, batches, SETTINGS, new_run("sound"), device=CPU, before_step=stop)
    with pytest.raises(UserError, match=r"step 3, learning rate 0\.000"):
        fit(network, batches, SETTINGS, run, device=CPU)
    saved = Tiny()
    assert run.load_state(saved, torch.optim.Adam(saved.parameters())).step == 2
    assert equal(sound, saved)
    assert all(tensor.isfinite().all() for tensor in saved.state_dict().values())


def test_validation_runs_when_due_and_in_eval_mode(batches: Batches, new_run: Callable[[str], Run]):
    modes = []

    def validate(network: nn.Module) -> float:
        modes.append(network.training)
        return 20.0 + len(modes)

    run, network = new_run("validated"), tiny()
    often = replace(SETTINGS, validate_every=3)
    state = fit(network, batches, often, run, device=CPU, validate=validate)
    measured = {int(row["step"]): row["validation_psnr"] for row in rows(run)}
    assert {step: text for step, text in measured.items() if text} == {
        3: "21.0",
        6: "22.0",
        8: "23.0",
    }
    assert modes == [False] * 3
    assert network.training
    assert state.psnr == 23.0
    again = fit(tiny(), batches, often, run, device=CPU, validate=validate)
    assert again == state  # of a finished run nothing is repeated
    assert len(modes) == 3


def test_a_long_log_is_thinned(
    batches: Batches, new_run: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fitting, "LOGGED_ROWS", 3)
    run = new_run("thin")
    fit(tiny(), batches, SETTINGS, run, device=CPU)
    assert [row["step"] for row in rows(run)] == ["3", "6", "8"]


def test_the_learning_rate_that_is_logged_is_used(
    batches: Batches, new_run: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch
):
    used: list[float] = []
    step = torch.optim.Adam.step

    def spy(self: torch.optim.Adam) -> None:
        used.append(self.param_groups[0]["lr"])
        step(self)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    run = new_run("rates")
    fit(tiny(), batches, SETTINGS, run, device=CPU)
    assert used == [float(row["lr"]) for row in rows(run)]
    assert used[0] == SETTINGS.lr
    assert used == sorted(used, reverse=True)


def test_the_gradient_is_clipped(batches: Batches, new_run: Callable[[str], Run]):
    moved = []
    for clip in (None, 1e-12):
        network, start = tiny(), tiny()
        # far below Adam's epsilon a gradient moves nothing: so much was cut off
        fit(network, batches, replace(SETTINGS, clip=clip), new_run(f"clip{clip}"), device=CPU)
        pairs = zip(network.parameters(), start.parameters(), strict=True)
        moved.append(max((a - b).abs().max().item() for a, b in pairs))
    assert moved[1] < 0.01 * moved[0]


@pytest.mark.slow
def test_a_fake_quantized_graph_trains_and_resumes(batches: Batches, new_run: Callable[[str], Run]):
    from edgesr.quantization import find_scheme
    from edgesr.quantization.pt2e import freeze_activations, prepare

    def graph() -> nn.Module:
        torch.manual_seed(0)
        return prepare(create_model("lffn-s", scale=2), find_scheme("w8a8"), (2, 3, 8, 8))

    whole, resumed, run = graph(), graph(), new_run("broken")

    def crash(step: int) -> None:
        freeze_late(broken, step)
        if step == 6:
            raise MemoryError

    def freeze_late(network: nn.Module, step: int) -> None:
        if step == 4:
            freeze_activations(network)  # pyright: ignore[reportArgumentType]

    fit(
        whole,
        batches,
        SETTINGS,
        new_run("whole"),
        device=CPU,
        before_step=lambda step: freeze_late(whole, step),
    )
    broken = graph()
    with pytest.raises(MemoryError):
        fit(broken, batches, SETTINGS, run, device=CPU, before_step=crash)
    fit(resumed, batches, SETTINGS, run, device=CPU)
    assert equal(whole, resumed)


def test_the_papers_rates():
    lffn, msfin = (RECIPES[name].settings(4) for name in ("lffn-s", "msfin-s"))
    ends = [lffn.lr_at(step) for step in (0, 37_499, 37_500, 75_000, 187_499)]
    assert ends == pytest.approx([8e-4, 8e-4, 4e-4, 2e-4, 5e-5])
    assert msfin.lr_at(0) == 1e-4
    assert msfin.lr_at(500_000) == pytest.approx((1e-4 + 6.25e-6) / 2)
    assert msfin.lr_at(1_000_000) == pytest.approx(6.25e-6)


def test_a_shorter_run_has_the_whole_decay():
    for paper in (recipe.settings(4) for recipe in RECIPES.values()):
        short = paper.changed(steps=100)
        scale = paper.steps // 100
        for step in (0, 19, 20, 50, 99):
            assert short.lr_at(step) == pytest.approx(paper.lr_at(step * scale))


def test_a_new_rate_keeps_the_shape_of_the_decay():
    halved = RECIPES["lffn-s"].settings(4).changed(lr=4e-4, steps=None)
    assert (halved.lr, halved.steps) == (4e-4, 187_500)
    assert halved.final_lr == pytest.approx(2.5e-5)
    assert halved.lr_at(37_500) == 2e-4


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 0},
        {"batch": 0},
        {"patch": 7},
        {"seed": -1},
        {"validate_every": -1},
        {"save_every": -1.0},
        {"save_every": math.nan},
        {"lr": 0.0},
        {"lr": math.nan},
        {"lr": math.inf},
        {"clip": 0.0},
        {"decay": "linear"},
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, object]):
    with pytest.raises(UserError, match=next(iter(change))):
        SETTINGS.changed(**change)


def test_devices(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert use_device("auto", 1) == CPU
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
    for name, threads in (("tpu", 1), ("cuda", 1), ("cpu", 0)):
        with pytest.raises(UserError, match=r"device|threads"):
            use_device(name, threads)
