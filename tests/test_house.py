"""The rules of the house that no linter knows."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.commands import help_of

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
GUARD = 'if __name__ == "__main__":'

# Put together here so that this file does not hold what it forbids.
MACHINE_FOLDERS = ("home", "Users", "root", "work", "workspace")
MACHINE_PATH = re.compile(r"(?<![\w.:~/$}-])/(" + "|".join(MACHINE_FOLDERS) + r")/\w")
INDEX_HOST = re.compile(
    "|".join(("pypi" + r"\.org", "pythonhosted" + r"\.org", "download" + r"\.pytorch"))
)


def modules(*packages: str) -> list[str]:
    """All modules of our packages, found in the files: edgesr.data, edgesr.data.images, …."""
    paths = sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))
    names = (path.relative_to(ROOT).with_suffix("").parts for path in paths)
    return [".".join(parts).removesuffix(".__init__") for parts in names]


def source(module: str) -> str:
    path = ROOT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return file.read_text(encoding="utf-8")


COMMANDS = [name for name in modules("recipes", "export") if GUARD in source(name)] + ["edgesr"]


def text_files() -> list[Path]:
    """Every file that git tracks or would track, and that is text."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / name for name in listing.stdout.split("\0") if name)
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8192]]


def test_library_imports_without_the_optional_packages() -> None:
    names = [name for name in modules("edgesr") if not name.startswith("edgesr.quantization")]
    assert len(names) >= 30
    program = (
        "import importlib, sys\n"
        f"for name in {names}: importlib.import_module(name)\n"
        "heavy = ('torchao', 'executorch', 'coremltools', 'tensorflow')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_no_file_names_a_developers_machine_or_a_package_index() -> None:
    files = text_files()
    assert len(files) >= 60
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if MACHINE_PATH.search(line) or INDEX_HOST.search(line)
    ]
    assert found == []


def test_commands_are_found() -> None:
    promised = {
        "recipes.train",
        "recipes.qat",
        "recipes.evaluate",
        "export.executorch",
        "export.coreml",
        "edgesr",
    }
    assert promised <= set(COMMANDS)
    assert len(COMMANDS) >= 7


@pytest.mark.parametrize("command", COMMANDS)
def test_command_explains_itself(command: str) -> None:
    usage = help_of(command).splitlines()[0]
    assert usage.startswith(f"usage: python -m {command} ")


def test_only_the_engine_imports_the_executorch_runtime() -> None:
    names = modules("edgesr", "recipes", "export")
    runtime = {"executorch.runtime", "executorch.extension.pybindings"}
    importers = [name for name in names if runtime & imported(source(name))]
    assert importers == ["edgesr.engines.executorch"]


def test_only_one_file_runs_other_makers_runtimes() -> None:
    """Three of them are imported by name, because they are no part of `dev`; no linter sees that."""
    makers = {"ncnn", "nncf", "onnx", "onnxruntime", "onnxscript", "openvino", "pnnx"}
    by_name = re.compile(r'import_module\("(\w+)"\)')
    found = {
        name: makers & {root.split(".")[0] for root in imported(text) | set(by_name.findall(text))}
        for name in modules("edgesr", "recipes", "export")
        if (text := source(name))
    }
    assert [name for name, runtimes in found.items() if runtimes] == ["export.makers"]
    assert found["export.makers"] >= makers - {"onnx", "onnxscript"}


def imported(text: str) -> set[str]:
    """The modules that a source file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(text)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def test_exact_versions_are_those_installed() -> None:
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    pins = {requirement for group in groups for requirement in group if "==" in requirement}
    assert len(pins) >= 5
    for pin in pins:
        name, wanted = re.sub(r"\[.*\]", "", pin).split("==")
        assert version(name).split("+")[0] == wanted, name


def test_version_is_written_twice_and_equal() -> None:
    from edgesr import __version__

    assert PROJECT["version"] == __version__
