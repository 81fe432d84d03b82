"""A step in all the ways that settings ask for, and that each of them resumes."""

import copy
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgesr.data import PairedImages, drawn_images
from edgesr.errors import UserError
from recipes import fit as fitting
from recipes import images as recipe_images
from recipes import run as runs
from recipes.fit import Batches, fit
from recipes.images import one_ahead, random_patches
from recipes.run import Run
from recipes.settings import Settings
from recipes.step import Step, make_optimizer

SETTINGS = Settings(
    steps=8, batch=4, patch=8, lr=1e-3, final_lr=1e-4, decay="cosine", clip=5.0, save_every=0
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def batches() -> Batches:
    return random_patches(PairedImages(drawn_images(2, 48), 2), SETTINGS)


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[[str], Run]:
    return lambda name: runs.create(name, tmp_path / name, {"recipe": "train"})


def tiny() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 3, padding=1)]
    return nn.Sequential(*layers, nn.PixelShuffle(2))


def trained(batches: Batches, run: Run, settings: Settings) -> nn.Module:
    network = tiny()
    fit(network, batches, settings, run, device=CPU)
    return network


def distance(a: nn.Module, b: nn.Module) -> float:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return max((one - other).abs().max().item() for one, other in pairs)


def crashing(step: int) -> None:
    if step == 5:
        raise MemoryError


WAYS: dict[str, dict[str, object]] = {
    "ema": {"ema": 0.9},
    "adamp": {"optimizer": "adamp"},
    "parts": {"accumulate": 2},
    "l2": {"loss": "l2"},
    "bfloat16": {"precision": "bfloat16"},
    "channels-last": {"channels_last": True},
    "all": {"ema": 0.9, "accumulate": 4, "channels_last": True, "precision": "bfloat16"},
    "adamp and more": {"ema": 0.9, "optimizer": "adamp", "accumulate": 2},
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_resumes_bit_for_bit(batches: Batches, new_run: Callable[[str], Run], way: str):
    if WAYS[way].get("optimizer"):
        pytest.importorskip("pytorch_optimizer")
    settings = SETTINGS.changed(**WAYS[way])
    whole, run = trained(batches, new_run("whole"), settings), new_run("broken")
    with pytest.raises(MemoryError):
        fit(tiny(), batches, settings, run, device=CPU, before_step=crashing)
    assert distance(trained(batches, run, settings), whole) == 0
    assert distance(trained(batches, run, settings), whole) == 0, "of a finished run too"
    assert distance(trained(batches, new_run("plain"), SETTINGS), whole) > 0 or way == "parts"


def test_parts_make_the_same_step(batches: Batches, new_run: Callable[[str], Run]):
    whole, parts = (
        trained(batches, new_run(str(count)), SETTINGS.changed(accumulate=count)) for count in (1, 4)
    )
    assert distance(whole, parts) < 1e-6


def test_the_average_is_measured_and_kept(batches: Batches, new_run: Callable[[str], Run]):
    seen: list[nn.Module] = []

    def validate(network: nn.Module) -> float:
        seen.append(copy.deepcopy(network))
        return 0.0

    network, steps = tiny(), SETTINGS.changed(ema=0.9, validate_every=1)
    fit(network, batches, steps, new_run("ema"), device=CPU, validate=validate)
    raw: list[nn.Module] = []

    def note(trained: nn.Module) -> float:
        raw.append(copy.deepcopy(trained))
        return 0.0

    plain = SETTINGS.changed(validate_every=1)
    fit(tiny(), batches, plain, new_run("raw"), device=CPU, validate=note)
    mean = raw[0].state_dict()["0.weight"]
    for later in raw[1:]:
        mean = 0.9 * mean + 0.1 * later.state_dict()["0.weight"]
    torch.testing.assert_close(seen[-1].state_dict()["0.weight"], mean)
    assert distance(network, seen[-1]) == 0


def test_losses_are_read_late_on_a_gpu(
    batches: Batches, new_run: Callable[[str], Run], monkeypatch: pytest.MonkeyPatch
):
    """What a GPU does, on a CPU that says it is one: nothing is read but where something is due."""

    class Pretended:
        type = "gpu"

    read: list[int] = []
    original = fitting._read
    monkeypatch.setattr(
        fitting, "_read", lambda unread, *rest: read.append(len(unread)) or original(unread, *rest)
    )
    monkeypatch.setattr(fitting, "LOGGED_ROWS", 1)
    monkeypatch.setattr(fitting, "READ_EVERY", 3)
    monkeypatch.setattr(Step, "_floats", lambda self, images: images.float().contiguous() / 255)
    monkeypatch.setattr(nn.Module, "to", lambda self, *_, **__: self)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    network, run = tiny(), new_run("late")
    state = fit(network, batches, SETTINGS, run, device=Pretended())  # pyright: ignore[reportArgumentType]
    assert read == [3, 3, 2]
    assert state.step == 8
    monkeypatch.undo()
    assert distance(network, trained(batches, new_run("whole"), SETTINGS)) == 0


def test_one_ahead_gives_the_same_batches(batches: Batches):
    asked: list[int] = []

    def noting(step: int) -> tuple[Tensor, Tensor]:
        asked.append(step)
        return batches(step)

    ahead = one_ahead(noting)
    for step in (0, 1, 2, 7, 8):
        for one, other in zip(ahead(step), batches(step), strict=True):
            assert torch.equal(one, other)
    assert {0, 1, 2, 7, 8} <= set(asked) <= {0, 1, 2, 3, 7, 8, 9}  # what is ahead may not have begun
    assert asked.count(1) == 1


def test_on_a_cpu_batches_are_left_alone(batches: Batches):
    images = PairedImages(drawn_images(1, 48), 2)
    assert recipe_images.keep_near(images, batches, CPU) is batches


def test_without_its_library_adamp_is_a_mistake(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    with pytest.raises(UserError, match=r"pip install 'edgesr\[train\]'.*--optimizer adam"):
        make_optimizer(tiny(), SETTINGS.changed(optimizer="adamp"))


def test_adamp_wants_the_usual_layout():
    pytest.importorskip("pytorch_optimizer")
    with pytest.raises(UserError, match="leave --channels-last out"):
        make_optimizer(tiny(), SETTINGS.changed(optimizer="adamp", channels_last=True))


def test_parts_that_do_not_fit_are_a_mistake():
    with pytest.raises(UserError, match="--accumulate 3 does not divide the 4 patches"):
        Step(tiny(), SETTINGS.changed(accumulate=3), CPU)


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "sgd"},
        {"loss": "huber"},
        {"precision": "float16"},
        {"compile": "yes"},
        {"ema": 1.0},
        {"ema": 0.0},
        {"accumulate": 0},
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, object]):
    with pytest.raises(UserError, match=next(iter(change))):
        replace(SETTINGS, **change)  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
def test_a_compiled_network_trains_alike(batches: Batches, new_run: Callable[[str], Run]):
    short = SETTINGS.changed(steps=3)
    plain = trained(batches, new_run("plain"), short)
    compiled = trained(batches, new_run("compiled"), short.changed(compile="default"))
    assert list(compiled.state_dict()) == list(plain.state_dict())
    assert distance(plain, compiled) < 1e-5
