"""The drawn screens are those of the resources, have no fault, and a planted fault is found."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from android_demo.tools.screens import framework
from android_demo.tools.screens import resources as reading
from android_demo.tools.screens.__main__ import FOLDER, MAIN, SHEET, check, draw
from android_demo.tools.screens.checks import places
from android_demo.tools.screens.layout import Box
from android_demo.tools.screens.resources import Colour, Resources, ScreenError, contrast
from android_demo.tools.screens.states import drawn, worst
from android_demo.tools.screens.text import Font
from android_demo.tools.toolchain import AAPT2, FRAMEWORK

KOTLIN = MAIN / "kotlin" / "edgesr" / "demo"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """app/src/main without code and models, to spoil."""
    unwanted = shutil.ignore_patterns("assets", "kotlin")
    return shutil.copytree(MAIN, tmp_path / "main", ignore=unwanted)


def spoil(main: Path, file: str, old: str, new: str) -> None:
    path = main / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_no_screen_has_a_fault() -> None:
    assert check() == []


def test_drawings_are_those_of_the_resources() -> None:
    made = SHEET.read_text(encoding="utf-8")
    assert made == draw(), "run python -m android_demo.tools.screens and look at the drawings"
    assert "Drawing, not a screenshot" in made
    assert "placeholders: nothing measured them" in made
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 150_000


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        (
            "res/values/strings.xml",
            ">Enlarge<",
            ">Enlarge the photo<",
            "main: .* does not fit in one line",
        ),
        (
            "res/values/strings.xml",
            ">bicubic<",
            ">the photo by bicubic<",
            "before takes .* beside the slider",
        ),
        ("res/values/colors.xml", "#00695C", "#26A69A", "main: contrast 2.* 4.5 is needed"),
        ("res/values-night/colors.xml", "#4DB6AC", "#00695C", "progress: contrast 2.* 3.0 is needed"),
        ("res/values/colors.xml", "#B3000000", "#33000000", "words on the picture: contrast 1"),
        ("res/values/dimens.xml", '"touch">48dp', '"touch">40dp', "model is .* x 40 dp, 48 are needed"),
        ("res/values/dimens.xml", '"slider_reach">28dp', '"slider_reach">20dp', "within 40 dp"),
        ("res/layout/controls.xml", 'Top="4dp"', 'Top="240dp"', "the picture has .* of the screen"),
        (
            "res/layout/controls.xml",
            'contentDescription="@string/progress"',
            'minWidth="9dp"',
            "TalkBack",
        ),
        ("res/layout/controls.xml", '"@dimen/touch"', '"400dp"', "threads does not lie inside"),
        ("res/layout-land/main.xml", 'layout_weight="1">', 'layout_weight="0.3">', "takes .* dp of"),
    ],
)
def test_planted_fault_is_found(copy: Path, file: str, old: str, new: str, fault: str) -> None:
    spoil(copy, file, old, new)
    found = check(copy)
    assert any(re.search(fault, one) for one in found), found


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("res/values/strings.xml", ">Photo<", ">Image<"),
        ("res/values/colors.xml", "#00695C", "#00695B"),
        ("res/values/dimens.xml", '"touch">48dp', '"touch">49dp'),
        ("res/layout-land/main.xml", "match_parent", "300dp"),
    ],
)
def test_any_change_changes_the_drawings(copy: Path, file: str, old: str, new: str) -> None:
    spoil(copy, file, old, new)
    assert draw(copy) != SHEET.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("@string/pick", "@string/pikc", "there is no @string/pikc"),
        ("<TextView", "<CheckBox", "CheckBox is no view"),
        ("android:max=", "android:rotation=", r"ProgressBar has \['rotation'\]"),
        ("Material.Button.Borderless.Colored", "Material.Button.Small", "there is no style"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(copy: Path, old: str, new: str, message: str) -> None:
    spoil(copy, "res/layout/controls.xml", old, new)
    with pytest.raises(ScreenError, match=message):
        check(copy)


def test_screens_say_what_the_activity_says() -> None:
    """Each sentence and each name of the button that the code shows is among those that are checked."""
    code = "".join(path.read_text(encoding="utf-8") for path in sorted(KOTLIN.glob("*.kt")))
    resources = Resources(MAIN, night=False, land=False)
    screens = [*drawn(resources), *worst(resources)]
    told = set(re.findall(r"R\.string\.((?:told|error)_\w+)", code))
    assert len(told) >= 14
    assert told <= {screen.name for screen in screens}
    names = re.search(r"main\.setText\((.*?)\n        \)", code, re.DOTALL)
    assert names is not None
    assert set(re.findall(r"R\.string\.(\w+)", names[1])) == {screen.main for screen in screens}


def test_overlap_is_found() -> None:
    below, above = Box("View", "below", 50, 50, x=10), Box("View", "above", 50, 50, x=59, y=49)
    root = Box("FrameLayout", "root", 200, 200, children=[below, above])
    assert list(places(root)) == ["below and above overlap"]
    above.move(1, 0)
    assert list(places(root)) == []


def test_contrast_is_that_of_wcag() -> None:
    white, black = Colour.read("#FFFFFF"), Colour.read("#000000")
    assert contrast(white, black) == pytest.approx(21)
    assert contrast(Colour.read("#767676"), white) == pytest.approx(4.54, abs=0.01)
    assert Colour.read("#80000000").over(white).levels == (127, 127, 127)


def test_java_formats() -> None:
    assert reading.formatted("%2$.1f of %1$s, %3$d %%", ("a", 2.25, 7)) == "2.2 of a, 7 %"
    assert reading.places("%2$.1f of %1$s, %3$d %%") == ["s", "f", "d"]
    with pytest.raises(ScreenError, match="takes 1 arguments, not 2"):
        reading.formatted("%d", (1, 2))


def test_lines_break_at_spaces_and_long_words_anywhere() -> None:
    font = Font("regular", 10)
    assert font.lines("one two three", font.width("one two")) == ["one two", "three"]
    broken = font.lines("a ENOSPCENOSPC", font.width("ENOSP"))
    assert "".join(broken) == "aENOSPCENOSPC"
    assert all(font.width(line) <= font.width("ENOSP") for line in broken)


@pytest.mark.android
@pytest.mark.slow
def test_framework_is_androids(tools: None) -> None:
    """Values, styles and states against the framework's compiled resources."""
    command = [str(AAPT2), "dump", "resources", str(FRAMEWORK)]
    dump = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    entries = {}
    for block in dump.split("\n    resource ")[1:]:
        identifier, name = block.split("\n", 1)[0].split()[:2]
        entries[name] = (identifier, block)
    for name, value in framework.VALUES.items():
        plain = re.search(r"\n      \(\) (.*)", entries[name][1])
        assert plain is not None
        assert shortened(plain[1].strip('"')) == value, name
    for name, (parent, items) in framework.STYLES.items():
        block = entries[f"style/{name}"][1]
        assert not parent or f"parent=style/{parent} " in block.split("\n")[1], name
        found = dict(re.findall(r"\n        (\w+)\(0x\w+\)=(.*)", block))
        for item, value in items.items():
            assert shortened(found[item]) == value, f"{name}: {item}"
    identifiers = {name: identifier for name, (identifier, _) in entries.items()}
    for name, states in framework.STATES.items():
        attributes = [identifiers[f"attr/{one}"] for state in reversed(states) for one in state if one]
        file = re.search(r"\(file\) (\S+)", entries[f"color/{name}"][1])
        assert file is not None
        tree = subprocess.run(
            [str(AAPT2), "dump", "xmltree", str(FRAMEWORK), "--file", file[1]],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert re.findall(r"=\?(0x\w+)", tree) == attributes, name


def shortened(value: str) -> str:
    """14.000000sp as 14sp."""
    return re.sub(r"^(\d+)\.0+(dp|sp)$", r"\1\2", value)
