"""A .tflite in both runtimes, and files that are not sound."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgesr.engines import litert as interpreters
from edgesr.engines import open_artifact, tflite
from edgesr.engines.litert import FACTS, facts_text, open_interpreter
from edgesr.errors import UserError
from edgesr.quantization import find_scheme, pt2e
from export import tflite as target

OLD = ("tflite-runtime==2.14.0", "numpy<2")
"""What older boards have; it wants numpy 1, hence an environment of its own."""
SIZE = (24, 20)
KNOWN = {
    "model": "lffn-s",
    "scale": 2,
    "scheme": "w8a8",
    "tile": list(SIZE),
    "overlap": 4,
    "multiple": 1,
    "checkpoint_sha256": "0" * 64,
    "profile": "xnnpack",
    "ends": "int8",
}
RUN = """
import hashlib, importlib.util, sys
import numpy as np
spec = importlib.util.spec_from_file_location("litert", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
content, image = open(sys.argv[2], "rb").read(), np.load(sys.argv[3])
for reference in (True, False):
    sr = module.run(module.open_interpreter(content, reference=reference), image)
    np.save(f"{sys.argv[4]}{reference}.npy", sr)
print(module.runtime().__name__, len(module.facts_text(content)))
"""


class Small(nn.Module):
    """A few of each kind: int8, a float sum, a PReLU, a gate, a pixel shuffle."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.act = nn.Conv2d(3, 8, 3, padding=1), nn.PReLU(8)
        self.body, self.gate = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.tail, self.shuffle = nn.Conv2d(8, 12, 3, padding=1), nn.PixelShuffle(2)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        x = self.act(self.head(lr))
        y = self.body(x).relu()
        return self.shuffle(self.tail(y * self.gate(self.pool(y)).sigmoid() + x))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    shape = (1, 3, *SIZE)
    graph = pt2e.prepare(Small(), find_scheme("w8a8"), shape)
    with torch.no_grad():
        graph(torch.rand(shape))
    pt2e.freeze(graph, torch.rand(shape))
    program = torch.export.export(pt2e.convert(graph, fold_weights=True), (torch.rand(shape),))
    path = tmp_path_factory.mktemp("tflite") / "small.tflite"
    target.lower(program, KNOWN, path)
    return path


@pytest.fixture(scope="module")
def old_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has tflite-runtime and nothing of ours."""
    if sys.version_info >= (3, 12):
        pytest.skip("tflite-runtime 2.14 has no wheel for Python 3.12 and later")
    folder = tmp_path_factory.mktemp("old")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *OLD]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{OLD[0]} cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return python


@pytest.mark.slow
def test_both_runtimes_agree(file: Path, old_python: Path, tmp_path: Path) -> None:
    """To the byte with reference kernels; the optimized ones round a tie now and then another way."""
    lr = (torch.rand(1, 3, *SIZE) * 255).round() / 255
    image = lr.permute(0, 2, 3, 1).contiguous().numpy()
    np.save(tmp_path / "image.npy", image)
    script = [str(interpreters.__file__), str(file), str(tmp_path / "image.npy"), str(tmp_path / "old")]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(old_python), "-c", RUN, *script], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["tflite_runtime.interpreter", str(len(json.dumps(KNOWN)))]
    content = file.read_bytes()
    ours = {
        reference: interpreters.run(open_interpreter(content, reference=reference), image)
        for reference in (True, False)
    }
    old = {reference: np.load(tmp_path / f"old{reference}.npy") for reference in (True, False)}
    digests = [hashlib.sha256(sr.tobytes()).hexdigest() for sr in (ours[True], old[True])]
    assert digests[0] == digests[1]
    difference = 255 * np.abs(ours[False] - old[False])
    # measured: 0.07 % of the values, by one level; the old runtime has other int8 kernels
    assert (difference > 0.5).mean() < 0.01
    assert difference.max() < 3


def test_neither_runtime(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", None)
    with pytest.raises(UserError, match=r"pip install 'edgesr\[tflite\]'"):
        open_artifact(file, trusted=True)


def test_the_old_runtime_is_refused_beside_numpy_2(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime", type(sys)("tflite_runtime"))
    monkeypatch.setitem(
        sys.modules, "tflite_runtime.interpreter", type(sys)("tflite_runtime.interpreter")
    )
    sys.modules["tflite_runtime"].interpreter = None  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(UserError, match="numpy 1"):
        open_artifact(file, trusted=True)


def test_facts_are_read_without_a_schema(file: Path) -> None:
    content = file.read_bytes()
    assert json.loads(facts_text(content) or "") == KNOWN
    assert facts_text(content.replace(FACTS.encode(), b"someone_else")) is None


@pytest.mark.parametrize("keep", [0, 1, 40, 0.5, 0.99])
def test_damaged_file(file: Path, tmp_path: Path, keep: float) -> None:
    content = file.read_bytes()
    path = tmp_path / "damaged.tflite"
    path.write_bytes(content[: int(keep if keep >= 1 else keep * len(content))])
    with pytest.raises(UserError, match=r"damaged|not exported by edgesr"):
        open_artifact(path, trusted=True)


def test_foreign_file(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "foreign.tflite"
    path.write_bytes(file.read_bytes().replace(FACTS.encode(), b"someone_else"))
    with pytest.raises(UserError, match="not exported by edgesr"):
        open_artifact(path, trusted=True)


def test_threads_do_not_change_the_result(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lr, results = torch.rand(1, 3, *SIZE), []
    for count in (1, 2):
        monkeypatch.setattr(tflite, "_threads", None)
        tflite.use_threads(count)
        results.append(open_artifact(file, trusted=True).upscale(lr))
    assert torch.equal(*results)
    assert results[0].shape == (1, 3, 48, 40)
    assert results[0].dtype == torch.float32
