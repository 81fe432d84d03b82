"""Faults planted into saved packages: each is found, by where it is and not by its effect on images."""

import json
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from coremltools.proto import Model_pb2
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgesr.engines.mlpackage import RECORD, read_program, specification
from edgesr.errors import UserError
from edgesr.quantization import find_scheme, pt2e
from export import command, coreml, pipeline
from export.constants import decomposed
from export.mlpackage import census
from export.proof import altered_constants, compare

FACTS = {"model": "lffn-s", "scale": 2, "tile": [16, 16], "commit": "none"}
SHAPE = (1, 3, 16, 16)
FLOAT16 = 10
"""In MIL.proto's enumeration of types."""


@pytest.fixture(scope="module")
def program(small_networks: dict[str, Callable[[int], nn.Module]]) -> ExportedProgram:
    """A small int8 LFFN-S, as it is lowered."""
    return int8_program(small_networks["lffn-s"](2), "w8a8")


def int8_program(network: nn.Module, scheme: str) -> ExportedProgram:
    torch.manual_seed(0)
    graph = pt2e.prepare(network, find_scheme(scheme), SHAPE)
    lr = torch.rand(SHAPE)
    with torch.no_grad():
        graph(lr)
    pt2e.freeze(graph, lr)
    return torch.export.export(pt2e.convert(graph, fold_weights=True), (lr,))


@pytest.fixture(scope="module")
def packages(program: ExportedProgram, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The one that is shipped and its twin, by precision."""
    folder = tmp_path_factory.mktemp("packages")
    for precision in ("fp16", "fp32"):
        path = folder / f"{precision}.mlpackage"
        coreml.lower(program, FACTS | {"precision": precision}, path)
    return {precision: folder / f"{precision}.mlpackage" for precision in ("fp16", "fp32")}


class Package:
    """A package that is going to be spoilt."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = specification(self.path)
        self.spec: Any = Model_pb2.Model()
        self.spec.ParseFromString(self.file.read_bytes())
        function = self.spec.mlProgram.functions["main"]
        self.operations = function.block_specializations[function.opset].operations
        self.made = {o.outputs[0].name: o for o in self.operations}

    def of(self, *kinds: str) -> list[Any]:
        return [operation for operation in self.operations if operation.type in kinds]

    def constant(self, operation: Any, parameter: str) -> Any:
        """The value that a parameter is fixed to."""
        return self.made[operation.inputs[parameter].arguments[0].name].attributes["val"]

    def blob(self, value: Any) -> tuple[Path, int, int]:
        """File, place and size of a large constant's bytes."""
        weights = self.file.parent / "weights" / "weight.bin"
        _, _, size, begin = RECORD.unpack_from(weights.read_bytes(), value.blobFileValue.offset)
        return weights, begin, size

    def save(self) -> Path:
        self.file.write_bytes(self.spec.SerializeToString())
        return self.path


def flip_a_weight_bit(package: Package) -> None:
    file, begin, size = package.blob(
        package.of("constexpr_affine_dequantize")[3].attributes["quantized_data"]
    )
    content = bytearray(file.read_bytes())
    content[begin + size // 2] ^= 1
    file.write_bytes(content)


def enlarge_a_scale(package: Package, kind: str = "quantize") -> None:
    tensor = package.constant(package.of(kind)[5], "scale").immediateValue.tensor
    if tensor.WhichOneof("value") == "bytes":
        (scale,) = struct.unpack("<e", tensor.bytes.values)
        tensor.bytes.values = struct.pack("<e", 1.01 * scale)
    else:
        tensor.floats.values[0] *= 1.01


def enlarge_a_weights_scale(package: Package) -> None:
    operation = package.of("constexpr_affine_dequantize")[3]
    file, begin, _ = package.blob(operation.attributes["scale"])
    half = operation.attributes["scale"].type.tensorType.dataType == FLOAT16
    layout = struct.Struct("<e" if half else "<f")
    content = bytearray(file.read_bytes())
    layout.pack_into(content, begin, 1.01 * layout.unpack_from(content, begin)[0])
    file.write_bytes(content)


def move_a_zero_point(package: Package) -> None:
    moved = next(o for o in package.of("quantize") if "zero_point" in o.inputs)
    tensor = package.constant(moved, "zero_point").immediateValue.tensor
    tensor.bytes.values = bytes([(tensor.bytes.values[0] + 1) % 256])


def swap_concatenated(package: Package) -> None:
    arguments = package.of("concat")[0].inputs["values"].arguments
    names = [argument.name for argument in arguments]
    arguments[0].name, arguments[1].name = names[1], names[0]


def plant_a_float_weight(package: Package) -> None:
    """The very same values, no longer in integers."""
    operation = package.of("constexpr_affine_dequantize")[3]
    name = operation.outputs[0].name
    program = read_program(package.path)
    (made,) = (o for o in program.operations if o.name == name)
    weight, zero, scale = (
        program.constant(made, parameter) for parameter in ("quantized_data", "zero_point", "scale")
    )
    assert isinstance(weight, Tensor)
    assert isinstance(zero, Tensor)
    assert isinstance(scale, Tensor)
    column = (-1, 1, 1, 1)
    dequantized = (weight.float() - zero.float().view(column)) * scale.float().view(column)
    declared = operation.outputs[0].type
    operation.type = "const"
    for attribute in list(operation.attributes):
        del operation.attributes[attribute]
    value = operation.attributes["val"]
    value.type.CopyFrom(declared)
    if declared.tensorType.dataType == FLOAT16:
        value.immediateValue.tensor.bytes.values = dequantized.half().numpy().tobytes()
    else:
        value.immediateValue.tensor.floats.values.extend(dequantized.flatten().tolist())


FAULTS = [
    flip_a_weight_bit,
    enlarge_a_scale,
    enlarge_a_weights_scale,
    move_a_zero_point,
    swap_concatenated,
    plant_a_float_weight,
]


def test_sound_packages(program: ExportedProgram, packages: dict[str, Path]) -> None:
    shipped = compare(program, packages["fp16"], copying(packages["fp32"]))
    assert shipped.failures == []
    assert shipped.figures["float32_twin_max_levels"] == 0.0
    assert compare(program, packages["fp32"], None).failures == []


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
@pytest.mark.parametrize("plant", FAULTS)
def test_planted_fault(
    program: ExportedProgram,
    packages: dict[str, Path],
    tmp_path: Path,
    precision: str,
    plant: Callable[[Package], None],
) -> None:
    package = Package(copied(packages[precision], tmp_path))
    assert compare(program, package.save(), twin_of(precision, packages)).failures == []
    plant(package)
    failures = compare(program, package.save(), twin_of(precision, packages)).failures
    assert failures != []
    if plant is plant_a_float_weight:
        assert census(package.path).float_weight_bytes > census(packages[precision]).float_weight_bytes


def copied(source: Path, folder: Path) -> Path:
    return Path(shutil.copytree(source, folder / "copy.mlpackage"))


def twin_of(precision: str, packages: dict[str, Path]) -> Callable[[Path], None] | None:
    return copying(packages["fp32"]) if precision == "fp16" else None


def copying(source: Path) -> Callable[[Path], None]:
    """Instead of converting the twin anew."""

    def write(path: Path) -> None:
        shutil.copytree(source, path)

    return write


def test_faults_of_the_twin_count(
    program: ExportedProgram, packages: dict[str, Path], tmp_path: Path
) -> None:
    """What is wrong in both, because a converter makes it so, is found in the twin."""
    twin = Package(copied(packages["fp32"], tmp_path))
    swap_concatenated(twin)
    failures = compare(program, packages["fp16"], copying(twin.save())).failures
    assert "levels from its graph" in failures[0]
    assert "differ at concat" in failures[1]


@pytest.mark.slow
def test_export_rejects_a_planted_float_weight(
    monkeypatch: pytest.MonkeyPatch, qat_checkpoint: Path, tmp_path: Path
) -> None:
    """In the package that is shipped, of the very values that the integers had: no image shows it."""
    out, save = tmp_path / "out", coreml.save
    monkeypatch.setattr(pipeline, "DRAWN_IMAGES", 1)
    arguments = ["--checkpoint", str(qat_checkpoint), "--tile", "24x24", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["export.coreml", *arguments])

    def faulty(model: Any, path: Path) -> None:
        save(model, path)
        if path.name != "twin.mlpackage":
            package = Package(path)
            plant_a_float_weight(package)
            package.save()

    monkeypatch.setattr(coreml, "save", faulty)
    with pytest.raises(UserError, match=r"outside its budget .*\n  the package is not its float32 twin"):
        command.main(coreml)
    name = "lffn-s_x2_w8a8_24x24.mlpackage"
    rejected = [f"{name}.rejected", f"{name}.rejected.report.json"]
    assert sorted(path.name for path in out.iterdir()) == rejected
    assert not json.loads((out / rejected[1]).read_text())["verdict"]["passed"]


@pytest.mark.slow
def test_scales_that_a_pass_changes(
    monkeypatch: pytest.MonkeyPatch,
    small_networks: dict[str, Callable[[int], nn.Module]],
    tmp_path: Path,
) -> None:
    """Without the removal of the pass that rescales sums, int8 sums have scales that nobody trained."""
    rescaled = int8_program(small_networks["lffn-s"](2), "int8")
    monkeypatch.setattr(coreml, "RESCALING", "common::remove_symbolic_reshape")
    coreml.lower(rescaled, FACTS | {"precision": "fp32"}, tmp_path / "a.mlpackage")
    graph = rescaled.module()
    found = altered_constants(graph, read_program(tmp_path / "a.mlpackage"))  # pyright: ignore
    assert any("not in the graph" in failure for failure in found)


def test_weights_are_unsigned(packages: dict[str, Path]) -> None:
    for path in packages.values():
        program = read_program(path)
        weights = [o for o in program.operations if o.kind == "constexpr_affine_dequantize"]
        stored = [program.constant(weight, "quantized_data") for weight in weights]
        assert len(stored) >= 10
        assert {tensor.dtype for tensor in stored if isinstance(tensor, Tensor)} == {torch.uint8}


class ScalarQuantized(nn.Module):
    """What coremltools 9.0 miscompiles: a factor without dimensions, quantized."""

    factor: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("factor", torch.tensor(127, dtype=torch.int8))

    def forward(self, x: Tensor) -> Tensor:
        return x * decomposed.dequantize_per_tensor(self.factor, 0.002, -128, -128, 127, torch.int8)


def test_a_quantized_scalar_is_refused() -> None:
    program = torch.export.export(ScalarQuantized(), (torch.rand(SHAPE),))
    with pytest.raises(NotImplementedError, match="dequantizes a scalar"):
        coreml.capture(program)
