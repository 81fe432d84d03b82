"""Exported files that were damaged: refused in words, whatever the runtimes' own code makes of them.

A process of its own forks for every file, so that a runtime may crash there; how many did is printed.
"""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgesr import engines
from edgesr.engines import open_artifact, trial
from edgesr.engines.mlpackage import specification
from edgesr.errors import UserError
from edgesr.files import sha256
from tests.engines.test_coreml import OURS, package
from tests.mutations import examples, harmed

REPOSITORY = Path(__file__).resolve().parents[2]
HEAD = 3000  # tables, before the weights

FORKS = """
import importlib, os, resource, sys
from pathlib import Path
import torch
from edgesr.engines import open_artifact
from edgesr.errors import UserError
importlib.import_module(sys.argv[1])
torch.set_num_threads(1)
for name in sys.stdin.read().splitlines():
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
        resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))
        said = "fine"
        try:
            artifact = open_artifact(Path(name), trusted=True)
            artifact.upscale(torch.full((1, 3, *artifact.tile), 0.5))
        except UserError:
            said = "refused"
        except BaseException as error:
            said = f"raw {type(error).__name__}: {error}"
        print(f"{said[:200]!r}", flush=True)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(f"'killed {-status}'" if status else "'ended'", flush=True)
"""


def outcomes(folder: Path, content: bytes, suffix: str, module: str, count: int) -> Counter[str]:
    """What became of so many damaged copies of a file."""
    names: list[str] = []

    @examples(count)
    @given(damaged=harmed(content, head=HEAD))
    def write(damaged: bytes) -> None:
        names.append(str(folder / f"{len(names)}{suffix}"))
        Path(names[-1]).write_bytes(damaged)

    write()
    done = subprocess.run(
        [sys.executable, "-c", FORKS, module],
        input="\n".join(names),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    found = Counter(line for line in done.stdout.splitlines() if line != "'ended'")
    assert found.total() == len(names)
    sys.stdout.write(f"{suffix} {dict(found)}\n")
    return found


def test_pte(exported: Path, tmp_path: Path) -> None:
    found = outcomes(tmp_path, exported.read_bytes(), ".pte", "executorch.extension.pybindings._C", 60)
    assert not [said for said in found if "raw" in said or "killed 9" in said or "killed 24" in said]
    assert found["'refused'"] > 20


def test_tflite(tiny_tflite: Path, tmp_path: Path) -> None:
    found = outcomes(tmp_path, tiny_tflite.read_bytes(), ".tflite", "ai_edge_litert.interpreter", 60)
    assert not [said for said in found if "raw" in said or "killed 9" in said or "killed 24" in said]
    assert found["'refused'"] > 10


@pytest.fixture(scope="module")
def tiny_tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One convolution and a pixel shuffle."""
    from export import tflite

    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 12, 3, padding=1), torch.nn.PixelShuffle(2)).eval()
    path, facts = (
        tmp_path_factory.mktemp("tflite") / "a.tflite",
        OURS | {"profile": "xnnpack", "ends": "int8"},
    )
    tflite.lower(torch.export.export(layers, (torch.rand(1, 3, 4, 4),)), facts, path)
    return path


def crashing(exported: Path, folder: Path) -> Path:
    """A .pte whose delegate is another's: ExecuTorch says so in a text that is none, and aborts."""
    content = exported.read_bytes()
    place = content.find(b"XN0")
    assert place > 0
    path = folder / "crash.pte"
    path.write_bytes(content[:place] + b"\xff\xff\xff\xff" + content[place + 4 :])
    return path


def test_a_file_that_ends_the_process_is_refused_in_words(exported: Path, tmp_path: Path) -> None:
    """This one would be pytest's end, were it opened here."""
    with pytest.raises(UserError, match=r"is damaged .* tried it out ended with status -6"):
        open_artifact(crashing(exported, tmp_path))


def test_whole_files_pass_their_trial_without_a_report(exported: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copyfile(exported, tmp_path / exported.name))
    assert open_artifact(moved).model == "lffn-s"


def test_a_file_that_is_not_that_of_its_report_is_not_tried(exported: Path, tmp_path: Path) -> None:
    path = crashing(exported, tmp_path)
    report = exported.with_name(f"{exported.name}.report.json")
    shutil.copyfile(report, path.with_name(f"{path.name}.report.json"))
    with pytest.raises(UserError, match="is not the file of its report"):
        open_artifact(path)


def test_a_file_that_hangs(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "PATIENCE", 0.05)
    with pytest.raises(UserError, match="did not finish a tile within 0 s"):
        trial.try_out(Path(shutil.copyfile(exported, tmp_path / "a.pte")))


@pytest.mark.parametrize(
    "facts", [{"scale": 3}, {"tile": [2**40, 2**40]}, {"tile": [1e400, 4]}, {"overlap": -1}]
)
def test_facts_that_are_none(facts: dict[str, Any]) -> None:
    def run() -> None:
        described = engines.describe(Path("a.pte"), OURS | facts, lambda lr: torch.zeros(1, 3, 8, 8))
        described.upscale(torch.zeros(1, 3, 4, 4))

    with pytest.raises(UserError):
        run()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package(tmp_path_factory.mktemp("whole") / "a.mlpackage", json.dumps(OURS))


@pytest.mark.parametrize("part", ["model.mlmodel", "Manifest.json", "weight.bin"])
@examples(60)
@given(data=st.data())
def test_mlpackage(whole: Path, part: str, data: Any) -> None:
    (file,) = whole.rglob(part)
    content = file.read_bytes()
    try:
        file.write_bytes(data.draw(harmed(content)))
        with suppress(UserError):
            artifact = open_artifact(whole)
            artifact.upscale(torch.full((1, 3, *artifact.tile), 0.5))
    finally:
        file.write_bytes(content)


@pytest.mark.parametrize(
    "lead",
    [
        lambda copy, secret: f"../../{secret.name}",
        lambda copy, secret: str(secret),
        lambda copy, secret: (copy / "Data/link").symlink_to(secret) or "link",
        lambda copy, secret: (copy / "Data/link").symlink_to("/dev/zero") or "link",
    ],
)
def test_a_manifest_that_leads_out_of_its_package(
    whole: Path, tmp_path: Path, lead: Callable[[Path, Path], str]
) -> None:
    copy = Path(shutil.copytree(whole, tmp_path / "a.mlpackage"))
    secret = Path(shutil.copyfile(specification(whole), tmp_path / "secret.mlmodel"))
    manifest = json.loads((copy / "Manifest.json").read_text())
    manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"] = lead(copy, secret)
    (copy / "Manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="outside of the package"):
        open_artifact(copy)


def test_a_program_too_large_for_any_memory_is_refused_by_its_shapes(
    whole: Path, tmp_path: Path
) -> None:
    """A pixel shuffle of 4 x 4 pixels that is declared 2**40 high is none; nor does it take memory."""
    import coremltools as ct
    from coremltools.proto import Model_pb2

    assert ct is not None
    copy = Path(shutil.copytree(whole, tmp_path / "a.mlpackage"))
    spec: Any = Model_pb2.Model()
    spec.ParseFromString(specification(copy).read_bytes())
    function = spec.mlProgram.functions["main"]
    for value in function.inputs:
        for dimension in value.type.tensorType.dimensions[2:]:
            dimension.constant.size = 2**20
    for operation in function.block_specializations[function.opset].operations:
        for value in operation.outputs if operation.type != "const" else ():
            for dimension in value.type.tensorType.dimensions[2:]:
                dimension.constant.size = 2 ** (21 if operation.type == "pixel_shuffle" else 20)
    specification(copy).write_bytes(spec.SerializeToString())
    with pytest.raises(UserError, match="values at once"):
        open_artifact(copy)
    assert len(sha256(copy)) == 64
