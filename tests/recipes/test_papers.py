"""The recipes as the papers print them."""

import sys

import pytest

from edgesr.errors import UserError
from recipes import papers, train
from recipes.papers import RECIPES, opening, work_of


def test_stages_say_what_comes_before():
    lffn = RECIPES["lffn-s"]
    first, second = (lffn.settings(4, stage) for stage in ("291", "div2k"))
    assert (first.lr, second.lr, first.final_lr, second.final_lr) == (8e-4, 4e-4, 5e-5, 5e-5)
    rates = {second.lr_at(epoch * 1875) for epoch in range(80)}
    assert rates == {4e-4, 2e-4, 1e-4, 5e-5}
    assert "291" in lffn.stage("div2k").init


def test_scales_that_grow_from_x2():
    osffnet = RECIPES["osffnet"]
    assert [(stage.name, scale) for stage, scale in osffnet.chain(4)] == [("x2", 2), ("from-x2", 4)]
    assert [(stage.name, scale) for stage, scale in osffnet.chain(2)] == [("x2", 2)]
    settings = osffnet.settings(3, "from-x2")
    assert (settings.steps, settings.batch, settings.patch, settings.decay) == (
        500_000,
        64,
        64,
        "cosine",
    )


def test_a_patch_that_is_fixed_in_hr():
    assert [RECIPES["mlrn"].settings(scale).patch for scale in (2, 3, 4)] == [96, 64, 48]


def test_maffsrn_has_its_papers_optimizer():
    assert {name for name, recipe in RECIPES.items() if recipe.settings(4).optimizer == "adamp"} == {
        "maffsrn",
        "maffsrn-l",
    }


def test_an_opening_has_the_papers_scores():
    said = opening("lffn-s", 4)
    assert "Set5 31.79" in said
    assert "four days on a GTX 1080 Ti" in said
    assert "not printed" not in said


def test_work_grows_with_what_is_asked():
    small = RECIPES["lffn-s"].settings(4).changed(steps=10, batch=1)
    assert work_of("lffn-s", 4, small.changed(steps=20)) == 2 * work_of("lffn-s", 4, small)
    # 11.709 G multiply-adds at 720p are 203.3 k for an LR pixel
    assert work_of("lffn-s", 4, small) == pytest.approx(
        6 * 10 * 32**2 * 11.709e9 / (320 * 180), rel=1e-3
    )


def test_all_recipes_are_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", ["papers", "--scale", "3"])
    papers.main()
    said = capsys.readouterr().out
    assert all(f"{name} x3, as in" in said for name in RECIPES)
    assert "--model osffnet --scale 2 --stage x2" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stage", "div2"], "Did you mean 'div2k'"),
        (["--model", "osffnet", "--stage", "x2"], "--stage x2 is trained at --scale 2, not 4"),
    ],
)
def test_stages_that_are_not_there(monkeypatch: pytest.MonkeyPatch, options: list[str], message: str):
    monkeypatch.setattr(sys, "argv", ["train", "--model", "lffn-s", *options])
    with pytest.raises(UserError, match=message):
        train.main()
