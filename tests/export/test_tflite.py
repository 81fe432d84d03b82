"""From a checkpoint to a verified .tflite, for every family; faults that are planted and found."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgesr.checkpoint import Checkpoint
from edgesr.engines import open_artifact
from edgesr.engines.litert import open_interpreter
from edgesr.errors import UserError
from edgesr.models import MODELS, create_model
from edgesr.quantization import find_scheme, pt2e
from export import command, executorch, tflite
from export.tfl.census import census, float_weight_bytes
from export.tfl.file import read
from export.tfl.model import schema
from export.tfl.profiles import GPU_OPERATORS, PROFILES
from tests.export.programs import Chain, program_of

FACTS = {
    "model": "lffn-s",
    "scale": 2,
    "scheme": "int8",
    "tile": [24, 24],
    "overlap": 4,
    "multiple": 1,
    "checkpoint_sha256": "0" * 64,
    "profile": "xnnpack",
    "ends": "int8",
}
NETWORKS = [
    *((name, 4) for name in ("lffn-s", "msfin-s", "maffsrn", "osffnet", "mlrn")),
    *((name, scale) for name in ("lffn-s", "msfin-s") for scale in (2, 3)),
]
TURNED = {"maffsrn": 48}
"""TRANSPOSEs: nearest enlargement has each dimension in turn as its channels, 3 times in 16 blocks."""
SHUFFLES = {"lffn-s": 1, "maffsrn": 1, "osffnet": 1}


def calm(model: nn.Module, size: int) -> nn.Module:
    """Fresh weights whose SR is in range: an exploding output says nothing of 8-bit levels."""
    lr = torch.rand(1, 3, size, size)
    with torch.no_grad():
        sr = model.eval()(lr)
        last = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)][-1]
        for parameter in last.parameters():
            parameter.mul_(min(1.0, 0.3 / (sr - sr.mean()).abs().max().item()))
    return model


@pytest.fixture
def chain(tmp_path: Path) -> tuple[ExportedProgram, Path]:
    program = program_of(Chain(), "int8", (24, 24))
    tflite.lower(program, FACTS, tmp_path / "chain.tflite")
    return program, tmp_path / "chain.tflite"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", [None, "w8a8"])
@pytest.mark.parametrize(("name", "scale"), NETWORKS)
def test_every_network_is_one_partition(
    monkeypatch: pytest.MonkeyPatch,
    small_networks: dict[str, Callable[[int], nn.Module]],
    name: str,
    scale: int,
    scheme: str | None,
    tmp_path: Path,
) -> None:
    """At x4 the whole networks; the other scales differ in the tail alone, so small ones serve."""
    if scale != 4:
        build = small_networks["msfin" if name == "msfin-s" else name]
        monkeypatch.setitem(MODELS, name, replace(MODELS[name], build=build))
    model = calm(create_model(name, scale=scale), 24)
    if scheme is None:
        shape = (1, 3, 24, 24)
        program = pt2e.float_program(Checkpoint(name, scale, None, model.state_dict()), shape)
    else:
        program = program_of(model, scheme, (24, 24))
    path = tmp_path / "a.tflite"
    facts = FACTS | {"model": name, "scale": scale, "scheme": scheme or "fp32"}
    facts["profile"] = "xnnpack" if scheme else "gpu"  # the same file, held to what GPUs take as well
    tflite.lower(program, facts, path)
    assert tflite.prove(program, path, facts).failures == []
    counted = census(path)
    assert (counted.partitions, counted.outside) == (1, [])
    assert counted.transposes == TURNED.get(name, 0)
    names = [operator.name for operator in read(path.read_bytes()).operators]
    wanted = sum("pixel_shuffle" in str(node.target) for node in program.graph.nodes)
    assert names.count("DEPTH_TO_SPACE") == wanted >= 1
    lr = (torch.rand(1, 3, 24, 24) * 255).round() / 255
    with torch.no_grad():
        (expected,) = program.module()(lr)
        expected = expected.reshape(1, 3, 24 * scale, 24 * scale)
    difference = 255 * (open_artifact(path, trusted=True).upscale(lr) - expected).abs()
    if scheme is None:
        assert difference.max() < 0.1
        assert counted.int8_ops == 0
    else:
        assert counted.int8_ops > 0
        assert difference.square().mean() < 2.0, "in 8-bit levels squared: 45 dB"


def test_a_chain_in_int8_is_the_pte_byte_for_byte(
    chain: tuple[ExportedProgram, Path], tmp_path: Path
) -> None:
    program, path = chain
    executorch.lower(program, FACTS, tmp_path / "chain.pte")
    ours, theirs = open_artifact(path, trusted=True), open_artifact(tmp_path / "chain.pte", trusted=True)
    counted = census(path)
    assert (counted.partitions, counted.float_ops, counted.float_weight_bytes) == (1, [], 0)
    for _ in range(8):
        lr = torch.rand(1, 3, 24, 24)
        assert torch.equal(ours.upscale(lr), theirs.upscale(lr))


def test_facts_signature_and_ends(chain: tuple[ExportedProgram, Path], tmp_path: Path) -> None:
    program, path = chain
    artifact = open_artifact(path, trusted=True)
    assert (artifact.model, artifact.scale, artifact.tile) == ("lffn-s", 2, (24, 24))
    interpreter = open_interpreter(path.read_bytes())
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["image"], "outputs": ["upscaled"]}
    }
    (image,) = interpreter.get_input_details()
    assert image["dtype"] == np.int8
    assert image["shape"].tolist() == [1, 24, 24, 3]
    assert image["quantization"] == (np.float32(1 / 255), -128)
    tflite.lower(program, FACTS | {"ends": "uint8"}, tmp_path / "u.tflite")
    assert tflite.faults(program, (tmp_path / "u.tflite").read_bytes()) == []
    (image,) = open_interpreter((tmp_path / "u.tflite").read_bytes()).get_input_details()
    assert image["dtype"] == np.uint8
    lr = torch.rand(1, 3, 24, 24)
    assert torch.equal(
        open_artifact(tmp_path / "u.tflite", trusted=True).upscale(lr), artifact.upscale(lr)
    )


def test_any_size_where_nothing_pins_it(chain: tuple[ExportedProgram, Path], tmp_path: Path) -> None:
    _, path = chain
    interpreter = open_interpreter(path.read_bytes())
    assert interpreter.get_input_details()[0]["shape_signature"].tolist() == [1, -1, -1, 3]
    torch.manual_seed(0)
    large = pt2e_at_another_size((40, 32))
    tflite.lower(large, FACTS, tmp_path / "large.tflite")
    image = np.random.randint(-128, 128, (1, 40, 32, 3)).astype(np.int8)
    fixed = open_interpreter((tmp_path / "large.tflite").read_bytes())
    interpreter.resize_tensor_input(0, image.shape, strict=True)
    interpreter.allocate_tensors()
    for one in (interpreter, fixed):
        one.set_tensor(one.get_input_details()[0]["index"], image)
        one.invoke()
    (first, second) = (
        one.get_tensor(one.get_output_details()[0]["index"]) for one in (interpreter, fixed)
    )
    assert first.shape == (1, 80, 64, 3)
    assert np.array_equal(first, second)


def pt2e_at_another_size(size: tuple[int, int]) -> ExportedProgram:
    """`Chain` with the very numbers that the fixture's has, at another LR size."""
    torch.manual_seed(0)
    small = pt2e.prepare(Chain(), find_scheme("int8"), (1, 3, 24, 24))
    with torch.no_grad():
        small(torch.rand(1, 3, 24, 24))
    pt2e.freeze(small, torch.rand(1, 3, 24, 24))
    large = pt2e.prepare(Chain(), find_scheme("int8"), (1, 3, *size))
    pt2e.take_over(large, small)
    lr = torch.rand(1, 3, *size)
    return torch.export.export(pt2e.convert(large, fold_weights=True), (lr,))


def corrupted(content: bytes, change: Callable[[Any], None]) -> bytes:
    """A file after `change` of its model, as the schema's own classes pack it."""
    import flatbuffers

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def weight_bit(model: Any) -> None:
    tensor = _weights(model)[1]
    data = np.array(model.buffers[tensor.buffer].data)
    data[7] ^= 1
    model.buffers[tensor.buffer].data = data


def weight_scale(model: Any) -> None:
    own = _weights(model)[1].quantization
    own.scale = np.array(own.scale, np.float32)
    own.scale[3] *= np.float32(1.01)


def bias_step(model: Any) -> None:
    tensor = next(
        t for t in model.subgraphs[0].tensors if t.type == schema.TensorType.INT32 and t.quantization
    )
    data = np.array(model.buffers[tensor.buffer].data).view(np.int32).copy()
    data[0] += 1
    model.buffers[tensor.buffer].data = data.view(np.uint8)


def activation_scale(model: Any) -> None:
    own = _activations(model)[2].quantization
    own.scale = np.array(own.scale, np.float32) * np.float32(1.01)


def zero_point(model: Any) -> None:
    own = _activations(model)[2].quantization
    own.zeroPoint = np.array(own.zeroPoint, np.int64) + 1


def joined_the_other_way(model: Any) -> None:
    join = next(o for o in model.subgraphs[0].operators if len(o.inputs) == 3 and _is_join(model, o))
    join.inputs = np.array(join.inputs)[[1, 0, 2]]


def float_weight(model: Any) -> None:
    tensor = _weights(model)[1]
    integers = np.array(model.buffers[tensor.buffer].data).view(np.int8)
    model.buffers[tensor.buffer].data = integers.astype(np.float32).view(np.uint8)
    tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None


def _is_join(model: Any, operator: Any) -> bool:
    code = model.operatorCodes[operator.opcodeIndex].builtinCode
    return code == schema.BuiltinOperator.CONCATENATION


def _weights(model: Any) -> list[Any]:
    """Constants of int8 with a scale per channel: not the borders beside an image."""
    constants = [t for t in model.subgraphs[0].tensors if t.buffer]
    constants = [t for t in constants if t.type == schema.TensorType.INT8]
    return [t for t in constants if len(t.quantization.scale) > 1]


def _activations(model: Any) -> list[Any]:
    tensors = model.subgraphs[0].tensors
    return [t for t in tensors if not t.buffer and t.type == schema.TensorType.INT8]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (weight_bit, "weights differ"),
        (weight_scale, "scales differ"),
        (bias_step, "biases differ"),
        (activation_scale, "is none of the program's"),
        (zero_point, "is none of the program's"),
        (joined_the_other_way, "SR differs"),
        (float_weight, "float32 weights, int8 in the program"),
    ],
)
def test_planted_faults_are_found(
    chain: tuple[ExportedProgram, Path], change: Callable[[Any], None], words: str
) -> None:
    program, path = chain
    content = path.read_bytes()
    assert tflite.faults(program, corrupted(content, lambda model: None)) == []
    assert any(words in fault for fault in tflite.faults(program, corrupted(content, change)))


def test_a_planted_float_weight_is_counted(chain: tuple[ExportedProgram, Path]) -> None:
    content = chain[1].read_bytes()
    planted = _weights(schema.ModelT.InitFromPackedBuf(content, 0))[1]
    assert float_weight_bytes(read(content)) == 0
    found = float_weight_bytes(read(corrupted(content, float_weight)))
    assert found == 4 * np.prod(planted.shape) > 0


def test_a_faulty_file_is_rejected(
    monkeypatch: pytest.MonkeyPatch, qat_checkpoint: Path, tmp_path: Path
) -> None:
    """The whole export, with a writer that flips one bit of one weight."""
    lower = tflite.lower

    def faulty(program: ExportedProgram, facts: dict[str, Any], path: Path) -> None:
        lower(program, facts, path)
        path.write_bytes(corrupted(path.read_bytes(), weight_bit))

    arguments = ["--checkpoint", str(qat_checkpoint), "--tile", "24x24", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["export.tflite", *arguments])
    monkeypatch.setattr(tflite, "lower", faulty)
    with pytest.raises(UserError, match="weights differ"):
        command.main(tflite)
    assert [path.suffix for path in tmp_path.glob("*24x24*") if path.suffix != ".json"] == [".rejected"]
    monkeypatch.setattr(tflite, "lower", lower)
    command.main(tflite)
    report = json.loads((tmp_path / "lffn-s_x2_w8a8_24x24.tflite.report.json").read_text())
    assert report["verdict"]["failures"] == []
    assert report["facts"]["profile"] == "xnnpack"
    assert report["census"]["transposes"] == 0
    assert not list(tmp_path.glob("*.rejected*"))


def test_profiles_want_their_scheme(
    monkeypatch: pytest.MonkeyPatch, qat_checkpoint: Path, tmp_path: Path
) -> None:
    for profile, wanted in (("npu", "int8"), ("gpu", "fp32")):
        arguments = [
            "--checkpoint",
            str(qat_checkpoint),
            "--profile",
            profile,
            "--out",
            str(tmp_path / "o"),
        ]
        monkeypatch.setattr(sys, "argv", ["export.tflite", *arguments])
        with pytest.raises(UserError, match=f"of scheme {wanted}, and this one is w8a8"):
            command.main(tflite)
    assert not (tmp_path / "o").exists()


def test_npu_keeps_little_in_float(tiny: None, tmp_path: Path) -> None:
    """LFFN-S in scheme int8: with the xnnpack profile its PReLUs and its softmax are float."""
    program = program_of(calm(create_model("lffn-s", scale=2), 24), "int8", (24, 24))
    operators = {}
    for profile in ("xnnpack", "npu"):
        path = tmp_path / f"{profile}.tflite"
        tflite.lower(program, FACTS | {"profile": profile}, path)
        file = read(path.read_bytes())
        operators[profile] = {o.name for o, tensor in file.written() if tensor.dtype == np.float32}
        found = PROFILES["npu"].faults(file)
        assert (found == []) == (profile == "npu")
    assert operators["xnnpack"] == {"DEQUANTIZE", "PRELU", "SOFTMAX"}
    assert operators["npu"] == set()
    assert "PRELU computes in float, which is not for integer hardware" in "\n".join(
        PROFILES["npu"].faults(read((tmp_path / "xnnpack.tflite").read_bytes()))
    )


def test_a_gpu_file_is_held_to_what_gpus_take(tmp_path: Path) -> None:
    facts, path = FACTS | {"scheme": "fp32", "profile": "gpu"}, tmp_path / "chain.tflite"
    program = program_of(Chain(), None, (24, 24))
    tflite.lower(program, facts, path)
    assert tflite.prove(program, path, facts).failures == []
    narrow = replace(PROFILES["gpu"], operators=GPU_OPERATORS - {"DEPTH_TO_SPACE"}, rank=3)
    found = "\n".join(narrow.faults(read(path.read_bytes())))
    assert "DEPTH_TO_SPACE is no operator for GPUs" in found
    assert "CONV_2D writes 4 dimensions > 3" in found


def test_an_operator_without_a_rule(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cumsum(x, 2)

    with pytest.raises(NotImplementedError, match=r"aten\.cumsum"):
        tflite.lower(
            program_of(Odd(), None, (8, 8)), FACTS | {"scheme": "fp32"}, tmp_path / "odd.tflite"
        )
