"""What the documents tell to type can be typed."""

import re
import shlex
from pathlib import Path

import pytest

from tests.commands import help_of

ROOT = Path(__file__).resolve().parents[1]
PAGES = tuple(sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "DECISIONS.md", "CHANGELOG.md", *PAGES)
TEXT = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS)
COMMANDS = sorted({line.strip(" `.,)") for line in re.findall(r"python -m [^\n#`]+", TEXT)})
COMMANDS = [command for command in COMMANDS if "<" not in command and not command.endswith("-m")]


def test_commands_are_found() -> None:
    assert len(COMMANDS) >= 7


@pytest.mark.parametrize("command", COMMANDS)
def test_command_exists_with_its_options(command: str) -> None:
    words = shlex.split(command)[2:]
    subcommand = words[1:2] if words[0] == "edgesr" else []
    shown = help_of(words[0], *subcommand)
    for option in (word for word in words if word.startswith("--")):
        assert option in shown


def test_make_verbs_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    verbs = set(re.findall(r"(?<=make )[a-z]+(?=[ \n`])", TEXT)) - {"alone"}
    assert len(verbs) >= 5
    assert [verb for verb in verbs if not re.search(rf"^{verb}:", makefile, re.MULTILINE)] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_named_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = re.findall(r"`((?:edgesr|recipes|export|tests|scripts)/[\w./-]+)`", text)
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_pages_are_found_and_named_in_the_readme() -> None:
    assert {"docs/ios.md", "docs/raspberry_pi.md"} <= set(PAGES)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\]\((docs/[\w./]+)\)", readme)) == list(PAGES)


def test_the_ios_page_names_what_packages_are_made_with() -> None:
    """Swift cannot be compiled here, so at least the names in it are held to those of the exporter."""
    page = (ROOT / "docs/ios.md").read_text(encoding="utf-8")
    exporter = (ROOT / "export/coreml.py").read_text(encoding="utf-8")
    (image,) = re.findall(r'inputs=\[ct\.ImageType\(name="(\w+)"', exporter)
    (sr,) = re.findall(r'outputs=\[ct\.ImageType\(name="(\w+)"', exporter)
    (system,) = re.findall(r"ct\.target\.iOS(\d+)", exporter)
    assert f'inputDescriptionsByName["{image}"]' in page
    assert f'dictionary: ["{image}": ' in page
    assert f'featureValue(for: "{sr}")' in page
    assert f"iOS {system}" in page
