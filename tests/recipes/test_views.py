"""What a run shows of itself."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from recipes import run as runs
from recipes.run import Run
from recipes.views import Views, smoothed


@pytest.fixture
def run(tmp_path: Path) -> Run:
    opened = runs.create("lffn-s_x4", tmp_path / "run", {"recipe": "train"})
    opened.cut_log(0)
    return opened


def filled(run: Run, steps: range) -> Views:
    views = Views(run, steps.start - 1)
    for step in steps:
        views.add(step, 1 / step, 1e-4, 10.0, 30.0 + step if step % 5 == 0 else None)
    return views


def test_a_picture_is_drawn_now_and_then_and_in_the_end(run: Run):
    pytest.importorskip("matplotlib")
    views = filled(run, range(1, 4))
    views.draw(False)
    picture = run.folder / "curves.png"
    assert Image.open(picture).size == (800, 600)
    picture.unlink()
    views.draw(False)
    assert not picture.exists(), "no one looks so often"
    views.draw(True)
    assert picture.exists()


def test_the_picture_shows_the_validation(run: Run):
    pytest.importorskip("matplotlib")
    filled(run, range(1, 11)).draw(True)
    picture = Image.open(run.folder / "curves.png").convert("RGB")
    colours = {colour for _, colour in picture.getcolors(1 << 20) or []}
    assert (0xC0, 0x39, 0x2B) in colours


def test_without_the_libraries_it_says_so_once_and_goes_on(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name in ("matplotlib", "torch.utils.tensorboard.writer", "tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    views = filled(run, range(1, 11))
    views.draw(True)
    said = capsys.readouterr().out
    assert said.count("pip install 'edgesr[plot]'") == 1
    assert said.count("pip install tensorboard") == 1
    assert len(run.log_file.read_text().splitlines()) == 11
    names = {path.name for path in run.folder.iterdir() if not path.name.startswith(".")}
    assert names == {"config.json", "origin.json", "log.csv"}


def test_tensorboard_gets_every_value(run: Run):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import (  # pyright: ignore[reportMissingImports]
        EventAccumulator,
    )

    filled(run, range(1, 8)).draw(True)
    filled(run, range(6, 11)).draw(True)  # resumed after step 5
    events = EventAccumulator(str(run.folder / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 11))
    assert [event.value for event in events.Scalars("validation_psnr")] == [35.0, 40.0]


def test_the_running_mean():
    assert smoothed([3.0, 3.0, 3.0]) == pytest.approx([3.0, 3.0, 3.0])
    assert smoothed([0.0, 1.0])[1] == pytest.approx(0.05 / (0.05 + 0.95 * 0.05))
