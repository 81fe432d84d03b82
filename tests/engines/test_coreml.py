"""Packages that are not ours, or no longer whole, or hold what the interpreter does not know."""

import json
import shutil
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import torch
from coremltools.converters import mil

from edgesr.engines import open_artifact
from edgesr.engines.coreml import FACTS
from edgesr.engines.interpreter import Interpreter
from edgesr.engines.mlpackage import read_program, specification
from edgesr.errors import UserError

BUILDER: Any = mil.Builder  # its operations are added as it is imported
TILE = (1, 3, 4, 4)
OURS = {
    "model": "lffn-s",
    "scale": 2,
    "scheme": "fp32",
    "tile": [4, 4],
    "overlap": 1,
    "multiple": 1,
    "checkpoint_sha256": "0" * 64,
}
WEIGHT = np.random.default_rng(0).normal(size=(12, 3, 3, 3)).astype(np.float32)


def package(
    path: Path, facts: str | None, precision: Any = ct.precision.FLOAT32, odd: bool = False
) -> Path:
    """A convolution and a pixel shuffle, written by coremltools; `odd` adds what we do not know."""

    @BUILDER.program(input_specs=[BUILDER.TensorSpec(TILE)], opset_version=ct.target.iOS17)
    def program(image: Any) -> Any:
        x = BUILDER.conv(x=image, weight=WEIGHT, pad_type="same")
        return BUILDER.pixel_shuffle(x=BUILDER.sin(x=x) if odd else x, upscale_factor=2)

    model: Any = ct.convert(
        program,
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=precision,
        skip_model_load=True,
    )
    if facts is not None:
        model.user_defined_metadata[FACTS] = facts
    model.save(str(path))
    return path


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package(tmp_path_factory.mktemp("ours") / "a.mlpackage", json.dumps(OURS))


@pytest.fixture
def copy(ours: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ours, tmp_path / "a.mlpackage"))


def test_images_are_of_eight_bits(ours: Path) -> None:
    lr = torch.rand(TILE)
    convolved = torch.nn.functional.conv2d((lr * 255).round(), torch.from_numpy(WEIGHT), padding=1)
    expected = torch.pixel_shuffle(convolved, 2) / 255
    torch.testing.assert_close(open_artifact(ours).upscale(lr), expected)


def test_half_precision_is_rounded_where_it_is_stored(tmp_path: Path) -> None:
    path = package(tmp_path / "h.mlpackage", json.dumps(OURS), ct.precision.FLOAT16)
    image = (255 * torch.rand(TILE)).round()
    half = torch.from_numpy(WEIGHT).half().float()
    convolved = torch.nn.functional.conv2d(image, half, padding=1).half().float()
    assert torch.equal(Interpreter(read_program(path))(image), torch.pixel_shuffle(convolved, 2))


def test_unknown_operation_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not know: sin\. Add it to OPERATIONS"):
        open_artifact(package(tmp_path / "odd.mlpackage", json.dumps(OURS), odd=True))


def test_unknown_parameter_is_named(copy: Path) -> None:
    edit(copy, b"pad_type", b"pad_tope")
    with pytest.raises(UserError, match=r"does not know: conv\(pad_tope=…\)"):
        open_artifact(copy)


def test_foreign_package(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not exported by edgesr"):
        open_artifact(package(tmp_path / "foreign.mlpackage", None))
    with pytest.raises(UserError, match="damaged"):
        open_artifact(package(tmp_path / "facts.mlpackage", "{"))


@pytest.mark.parametrize("missing", ["Manifest.json", "Data", "Data/com.apple.CoreML/weights"])
def test_missing_part(copy: Path, missing: str) -> None:
    part = copy / missing
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    with pytest.raises(UserError, match="damaged"):
        open_artifact(copy)


@pytest.mark.parametrize("file", ["Manifest.json", "model.mlmodel", "weight.bin"])
@pytest.mark.parametrize("keep", [0, 0.5])
def test_truncated_part(copy: Path, file: str, keep: float) -> None:
    (part,) = copy.rglob(file)
    content = part.read_bytes()
    part.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(UserError, match="damaged"):
        open_artifact(copy)


def test_a_file_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "a.mlpackage").write_bytes(b"")
    with pytest.raises(UserError, match="damaged"):
        open_artifact(tmp_path / "a.mlpackage")


def edit(path: Path, old: bytes, new: bytes) -> None:
    file = specification(path)
    content = file.read_bytes()
    assert old in content
    file.write_bytes(content.replace(old, new))
