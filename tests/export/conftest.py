"""A network small enough to be lowered in seconds, under the name of the one it is a size of."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from edgesr import checkpoint as checkpoints
from edgesr.checkpoint import Checkpoint
from edgesr.data.drawn import drawn_images
from edgesr.errors import UserError
from edgesr.models import MODELS, create_model
from edgesr.quantization import find_scheme, pt2e
from export import executorch, page, pipeline, tflite
from export.native import build, toolchain
from export.native.build import Bundle
from export.pipeline import Request, export
from export.target import HasOptions, Target
from recipes import sensitivity


@pytest.fixture
def tiny(
    monkeypatch: pytest.MonkeyPatch, small_networks: dict[str, Callable[[int], torch.nn.Module]]
) -> None:
    build = small_networks["lffn-s"]
    monkeypatch.setitem(MODELS, "lffn-s", replace(MODELS["lffn-s"], build=build))


def calmed() -> torch.nn.Module:
    """Fresh weights whose SR is in range: an exploding output says nothing of 8-bit levels."""
    torch.manual_seed(0)
    model = create_model("lffn-s", scale=2)
    with torch.no_grad():
        model.get_parameter("last.weight").mul_(0.05)
    return model


@pytest.fixture
def float_checkpoint(tiny: None, tmp_path: Path) -> Path:
    return checkpoints.save(Checkpoint("lffn-s", 2, None, calmed().state_dict()), tmp_path / "float")


@pytest.fixture
def qat_checkpoint(tiny: None, float_checkpoint: Path, tmp_path: Path) -> Path:
    """Calibrated on noise; its origin names the float checkpoint, as recipes.qat writes it."""
    origin = {"init": {"file": "float", "sha256": checkpoints.load(float_checkpoint).sha256}}
    return tiny_qat(origin, tmp_path / "qat")


def tiny_qat(origin: dict[str, Any], path: Path) -> Path:
    graph = pt2e.prepare(calmed(), find_scheme("w8a8"), (4, 3, 16, 16))
    graph.train()
    for _ in range(4):
        graph(torch.rand(4, 3, 16, 16))
    pt2e.freeze(graph, torch.rand(4, 3, 16, 16))
    return checkpoints.save(Checkpoint("lffn-s", 2, "w8a8", graph.state_dict(), origin), path)


@pytest.fixture(scope="session")
def exported(
    small_networks: dict[str, Callable[[int], torch.nn.Module]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A small int8 .pte with its report beside it, tile 16x20: made once, to be read and not changed."""
    return _export_tiny(executorch, small_networks["lffn-s"], tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="session")
def exported_tflite(
    small_networks: dict[str, Callable[[int], torch.nn.Module]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same network as a .tflite."""
    return _export_tiny(tflite, small_networks["lffn-s"], tmp_path_factory.mktemp("exported_tflite"))


def _export_tiny(target: Target, build: Callable[[int], torch.nn.Module], folder: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "lffn-s", replace(MODELS["lffn-s"], build=build))
        patch.setattr(pipeline, "peak_rss", lambda path: None)  # takes a process of its own
        checkpoint = checkpoints.load(tiny_qat({}, folder / "qat"))
        options = target.chosen("w8a8", {}) if isinstance(target, HasOptions) else {}
        return export(target, Request(checkpoint, (16, 20), 4, folder, [], None, options), say=print)


@pytest.fixture(scope="session")
def host() -> Bundle:
    """The C++ runner of .pte files for this machine."""
    return _at_hand(build.host)


@pytest.fixture(scope="session")
def hosts(host: Bundle) -> dict[str, Bundle]:
    """All C++ runners for this machine, by the suffix of what they run."""
    tflite = _at_hand(lambda: build.host(build.TFLITE))
    return {".pte": host, ".tflite": tflite}


@pytest.fixture(scope="session")
def qemu() -> Path:
    """The emulator, with everything fetched and built that running on ARM64 takes."""
    for runner in build.RUNNERS.values():
        _at_hand(partial(build.arm64, runner))
    return _at_hand(toolchain.emulator)


def _at_hand(get: Callable[[], Any]) -> Any:
    """What `get` returns; the test is skipped where a tool is missing, unless none may be."""
    try:
        return get()
    except UserError as error:
        if "EDGESR_REQUIRE_ARM64" in os.environ:
            raise
        pytest.skip(f"cannot build or run it here: {error}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The phone's files. $ADB is the fake."""
    adb, fake = tmp_path / "adb", Path(__file__).with_name("fake_adb.py")
    adb.write_text(f'#!/bin/sh\nexec {sys.executable} {fake} "$@"\n')
    adb.chmod(0o755)
    root = tmp_path / "phone"
    (root / "data/local/tmp").mkdir(parents=True)
    monkeypatch.setenv("ADB", str(adb))
    monkeypatch.setenv("FAKE_PHONE", str(root))
    monkeypatch.delenv("FAKE_FAULT", raising=False)
    return root


@pytest.fixture
def calibrated(tmp_path: Path) -> Callable[[str, int, str | None], Path]:
    """(network, scale, scheme or None for float) → a checkpoint with fresh weights, calibrated on noise.

    The SR is in range: an exploding output says nothing of 8-bit levels.
    """

    def save(name: str, scale: int, scheme: str | None) -> Path:
        torch.manual_seed(0)
        model, lr = create_model(name, scale=scale).eval(), torch.rand(2, 3, 16, 16)
        with torch.no_grad():
            spread = (model(lr) - model(lr).mean()).abs().max()
            last = [layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d)][-1]
            for parameter in last.parameters():
                parameter.mul_(min(1.0, 0.3 / spread.item()))
        path = tmp_path / f"{name}_{scheme}"
        if scheme is None:
            return checkpoints.save(Checkpoint(name, scale, None, model.state_dict()), path)
        graph = pt2e.prepare(model, find_scheme(scheme), (2, 3, 16, 16))
        with torch.no_grad():
            graph(lr)
        pt2e.freeze(graph, lr)
        return checkpoints.save(Checkpoint(name, scale, scheme, graph.state_dict()), path)

    return save


EVIL = "<script>document.title='planted'</script><img src=x onerror=alert(1)>\"'&"
"""What every string that a page takes from a file ends with."""


@pytest.fixture(scope="session")
def subject(
    exported: Path,
    small_networks: dict[str, Callable[[int], torch.nn.Module]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A copy of the small .pte with a report, a sensitivity and three images that are all planted with
    `EVIL`: `sensitivity.json` and `images` beside it.
    """
    folder = tmp_path_factory.mktemp("subject")
    file = Path(shutil.copy(exported, folder))
    report = json.loads(exported.with_name(f"{exported.name}.report.json").read_text())
    report["facts"]["model"] += EVIL
    report["facts"]["versions"][EVIL] = EVIL
    report["artifact"]["file"] += EVIL
    report["latency"]["device"] += EVIL
    report["parity"]["against"] += EVIL
    report["verdict"]["failures"] = [EVIL]
    file.with_name(f"{file.name}.report.json").write_text(json.dumps(report))
    (folder / "images").mkdir()
    for number, image in enumerate(drawn_images(3, 48)):
        name = f"{number}{EVIL.replace('/', '')}.png"
        Image.fromarray(image).save(folder / "images" / name)
    options = ["--images", 1, "--patch", 12, "--holdout", 1, "--device", "cpu", "--threads", 1, "--json"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "lffn-s", replace(MODELS["lffn-s"], build=small_networks["lffn-s"]))
        found = [*options, folder / "sensitivity.json", "--checkpoint", exported.with_name("qat")]
        patch.setattr(sys, "argv", ["recipes.sensitivity", *map(str, found)])
        sensitivity.main()
    content = json.loads((folder / "sensitivity.json").read_text())
    content["quantizers"][0] |= {"name": EVIL, "kind": EVIL, "noise": 1e3}
    content["origin"]["data"] = [EVIL]
    (folder / "sensitivity.json").write_text(json.dumps(content))
    return file


@pytest.fixture(scope="session")
def planted(
    subject: Path, exported: Path, small_networks: dict[str, Callable[[int], torch.nn.Module]]
) -> Path:
    """Its page, with everything that a page can have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "lffn-s", replace(MODELS["lffn-s"], build=small_networks["lffn-s"]))
        images, found = subject.with_name("images"), subject.with_name("sensitivity.json")
        options = ["--benchmark", images, "--sensitivity", found]
        options += ["--checkpoint", exported.with_name("qat")]
        patch.setattr(sys, "argv", ["export.page", str(subject), *map(str, options)])
        page.main()
    return subject.with_name(f"{subject.name}.html")
