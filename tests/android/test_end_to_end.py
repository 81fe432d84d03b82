"""The app's tiler with the bundled model gives the pixels that Python gives, to the byte."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from android_demo.tools import kotlin
from android_demo.tools.toolchain import ASSETS
from edgesr.data.drawn import drawn_pairs
from edgesr.data.images import read_uint8, to_tensor, to_uint8
from edgesr.engines import open_artifact
from export import arm64
from export.native import build
from export.native.runner import running

pytestmark = [pytest.mark.android, pytest.mark.slow]

Upscaled = Callable[[NDArray[np.uint8], list[str]], NDArray[np.uint8]]

MODEL = ASSETS / "msfin-s_x4_w8a8_64x64.pte"
RUNNER = [sys.executable, "-m", "android_demo.tools.runner"]


@pytest.fixture
def drawn() -> NDArray[np.uint8]:
    """Narrower than a tile, and two tiles high."""
    return next(drawn_pairs(4, 1, size=320)).lr[:71, :53]


@pytest.fixture
def photo(shared: Path) -> NDArray[np.uint8]:
    """A part of a photograph: four tiles by three."""
    path = shared / "data" / "train" / "BSD200" / "100075.jpg"
    return read_uint8(path)[100:231, 40:201]


@pytest.fixture
def upscaled(core: Path, core_tests: Path, tmp_path: Path) -> Upscaled:
    """A picture enlarged by core/, with the process of a command as its engine."""

    def upscale(lr: NDArray[np.uint8], runner: list[str]) -> NDArray[np.uint8]:
        small, large = tmp_path / "lr.png", tmp_path / "sr.png"
        Image.fromarray(lr).save(small)
        arguments = [str(MODEL.with_suffix(".properties")), str(small), str(large), *runner, str(MODEL)]
        done = kotlin.run_class([core_tests, core], "edgesr.core.UpscaleFileKt", arguments)
        assert done.returncode == 0, done.stderr
        return read_uint8(large)

    return upscale


def test_the_runner_of_python(drawn: NDArray[np.uint8], upscaled: Upscaled) -> None:
    wanted = to_uint8(open_artifact(MODEL).tiled()(to_tensor(drawn)))
    assert np.array_equal(upscaled(drawn, RUNNER), wanted)


@pytest.mark.parametrize("name", ["drawn", "photo"])
def test_the_native_runner_on_this_host(
    name: str, upscaled: Upscaled, request: pytest.FixtureRequest
) -> None:
    lr = request.getfixturevalue(name)
    wanted = to_uint8(open_artifact(MODEL).tiled()(to_tensor(lr)))
    assert np.array_equal(upscaled(lr, build.host().start), wanted)


@pytest.mark.arm64
def test_the_native_runner_on_arm64(photo: NDArray[np.uint8], upscaled: Upscaled, qemu: Path) -> None:
    """Tiled by Kotlin or by Python, ARM64's kernels give one picture, and this host's nearly that."""
    lr, folder = photo[:50, :60], arm64.folder_of(MODEL)
    (command,) = arm64.commands(qemu, MODEL, ["cortex-a76"]).values()
    inside = ["sh", "-c", 'cd "$0" && exec "$@"', str(folder), *command]
    model = open_artifact(MODEL)
    with running(command, MODEL, model.scale, folder) as tile:
        wanted = to_uint8(model.tiled(tile)(to_tensor(lr)))
    assert np.array_equal(upscaled(lr, inside), wanted)
    apart = np.abs(wanted.astype(int) - to_uint8(model.tiled()(to_tensor(lr))))
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.001  # what export.verify --arm64 allows


def test_runner_that_fails_is_an_error(core: Path, core_tests: Path, tmp_path: Path) -> None:
    small = tmp_path / "lr.png"
    Image.new("RGB", (5, 5)).save(small)
    card = str(MODEL.with_suffix(".properties"))
    arguments = [
        card,
        str(small),
        str(tmp_path / "sr.png"),
        *build.host().start,
        str(tmp_path / "absent.pte"),
    ]
    done = kotlin.run_class([core_tests, core], "edgesr.core.UpscaleFileKt", arguments)
    assert done.returncode != 0
    assert "The runner ended before it answered" in done.stderr
    assert not (tmp_path / "sr.png").exists()
