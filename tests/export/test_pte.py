"""What is read from a .pte: its census, and faults that are planted into it and found."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgesr.quantization.edge_form.parts import Island
from export import executorch
from export.pte import census
from export.stored import File, Operator
from export.xnn.file import delegated, read
from tests.export.programs import FACTS, Chain, program_of


class Partly(nn.Module):
    """Two float convolutions, and between them an operator that XNNPACK does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 5, 3, padding=1)
        self.last = nn.Conv2d(5, 3, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cumsum(self.first(x), 2))


def test_a_program_that_is_not_all_delegated(tmp_path: Path) -> None:
    program = torch.export.export(Partly(), (torch.rand(1, 3, 8, 8),))
    executorch.lower(program, FACTS, tmp_path / "partly.pte")
    counted = census(tmp_path / "partly.pte")
    assert counted.partitions == 2
    assert (counted.ops_outside, counted.outside) == (1, ["aten::cumsum"])
    assert counted.float_ops == ["Conv2d", "StaticTranspose"]
    assert counted.int8_ops == 0
    assert counted.float_weight_bytes == 4 * (3 * 5 * 9 + 5 + 5 * 3)
    assert counted.planned_bytes > 0


class Fixed(nn.Module):
    """A depthwise convolution whose weights no checkpoint holds."""

    kernels: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernels", torch.rand(12, 1, 3, 3), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.conv2d(x, self.kernels, groups=3)


def test_lowering_leaves_the_program_whole(tmp_path: Path) -> None:
    program = torch.export.export(Fixed(), (torch.rand(1, 3, 8, 8),))
    executorch.lower(program, FACTS, tmp_path / "fixed.pte")
    assert list(program.constants) == ["kernels"]
    assert executorch.faults(program, (tmp_path / "fixed.pte").read_bytes()) == []


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[ExportedProgram, bytes]:
    torch.manual_seed(0)
    program, path = program_of(Chain(), "int8", (24, 24)), tmp_path_factory.mktemp("pte") / "chain.pte"
    executorch.lower(program, FACTS | {"tile": [24, 24]}, path)
    return program, path.read_bytes()


def convolution(content: bytes) -> tuple[File, Operator]:
    """The second one: what it reads and writes is inside the network."""
    file = read(content)
    return file, [operator for operator in file.operators if operator.name == "Conv2d"][1]


def replaced(content: bytes, old: bytes, new: bytes) -> bytes:
    assert content.count(old) >= 1
    return content.replace(old, new)


def weight_bit(content: bytes) -> bytes:
    file, operator = convolution(content)
    values = file.tensors[operator.inputs[1]].values
    assert values is not None
    other = bytearray(values.tobytes())
    other[7] ^= 1
    return replaced(content, values.tobytes(), bytes(other))


def bias_step(content: bytes) -> bytes:
    file, operator = convolution(content)
    values = file.tensors[operator.inputs[2]].values
    assert values is not None
    return replaced(content, values.tobytes(), (values + 1).tobytes())


def weight_scale(content: bytes) -> bytes:
    file, operator = convolution(content)
    own = file.tensors[operator.inputs[1]].quantization
    assert own is not None
    return replaced(content, own.scale.tobytes(), (own.scale * 1.01).astype("float32").tobytes())


def _grid(content: bytes, scale: float, moved: int) -> bytes:
    """The grid of what the convolution writes, its scale this many times as large."""
    file, operator = convolution(content)
    own = file.tensors[operator.outputs[0]].quantization
    assert own is not None
    bits, zero = struct.pack("<f", own.scale[0]), int(own.zero_point[0])
    other = struct.pack("<f", scale * own.scale[0])
    orders = [(struct.pack("<i", zero), bits), (bits, struct.pack("<i", zero))]
    (old,) = (b"".join(pair) for pair in orders if b"".join(pair) in content)
    new = old.replace(struct.pack("<i", zero), struct.pack("<i", zero + moved)).replace(bits, other)
    return replaced(content, old, new)


def activation_scale(content: bytes) -> bytes:
    return _grid(content, 1.01, 0)


def zero_point(content: bytes) -> bytes:
    return _grid(content, 1.0, 1)


def joined_the_other_way(content: bytes) -> bytes:
    graph = delegated(content)
    assert graph is not None
    (own,) = (n["xnode_union"] for n in graph["xnodes"] if "Concatenate" in n["xnode_union_type"])
    numbers = [own[f"input{index}_id"] for index in (1, 2, 3)]
    orders = [(0, 1, 2), (2, 1, 0)]
    (old,) = (
        o for order in orders if (o := struct.pack("<3I", *(numbers[i] for i in order))) in content
    )
    first, second, third = struct.unpack("<3I", old)
    return replaced(content, old, struct.pack("<3I", second, first, third))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (weight_bit, "weights differ"),
        (weight_scale, "scales differ"),
        (bias_step, "biases differ"),
        (activation_scale, "is none of the program's"),
        (zero_point, "is none of the program's"),
        (joined_the_other_way, "SR differs"),
    ],
)
def test_planted_faults_are_found(
    chain: tuple[ExportedProgram, bytes], change: Callable[[bytes], bytes], words: str
) -> None:
    program, content = chain
    assert executorch.faults(program, content) == []
    assert any(words in fault for fault in executorch.faults(program, change(content)))


def test_a_planted_float_weight_is_counted_and_found(
    chain: tuple[ExportedProgram, bytes], tmp_path: Path
) -> None:
    """A convolution that should be in int8 is computed in float, as an island."""
    torch.manual_seed(0)
    network = Chain()
    planted = sum(4 * parameter.numel() for parameter in network.body.parameters())
    network.body = Island(network.body)  # pyright: ignore[reportAttributeAccessIssue]
    path = tmp_path / "planted.pte"
    executorch.lower(program_of(network, "int8", (24, 24)), FACTS | {"tile": [24, 24]}, path)
    assert census(path).float_weight_bytes == planted > 0
    (tmp_path / "sound.pte").write_bytes(chain[1])
    assert census(tmp_path / "sound.pte").float_weight_bytes == 0
    found = executorch.faults(chain[0], path.read_bytes())
    assert any("float32 weights, int8 in the program" in fault for fault in found)


class Twice(nn.Module):
    """One convolution that is passed through again, as MSFIN's recurrent blocks are."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.body = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.tail, self.shuffle = nn.Conv2d(8, 12, 1), nn.PixelShuffle(2)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.head(lr).relu()
        for _ in range(2):
            x = self.body(x).relu()
        return self.shuffle(self.tail(x))


def test_each_pass_has_a_bias_in_its_own_steps(tmp_path: Path) -> None:
    """ExecuTorch writes a bias that two passes share once, in steps of what the first one reads."""
    torch.manual_seed(0)
    program = program_of(Twice(), "int8", (16, 16))
    executorch.lower(program, FACTS | {"tile": [16, 16]}, tmp_path / "twice.pte")
    assert executorch.faults(program, (tmp_path / "twice.pte").read_bytes()) == []


class Dead(nn.Module):
    """A layer that reads nothing but zeros, so that its bias is millions of the smallest steps."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.body = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 300, 1)
        self.tail, self.shuffle = nn.Conv2d(300, 12, 1), nn.PixelShuffle(2)
        with torch.no_grad():
            self.head.get_parameter("bias").fill_(-9)

    def forward(self, lr: Tensor) -> Tensor:
        return self.shuffle(self.tail(self.body(self.head(lr).relu())))


def test_biases_of_millions_of_steps(tmp_path: Path) -> None:
    torch.manual_seed(0)
    program = program_of(Dead(), "int8", (8, 8))
    executorch.lower(program, FACTS, tmp_path / "dead.pte")
    assert executorch.faults(program, (tmp_path / "dead.pte").read_bytes()) == []


def test_a_program_in_parts_is_not_proven(tmp_path: Path) -> None:
    program = torch.export.export(Partly(), (torch.rand(1, 3, 8, 8),))
    executorch.lower(program, FACTS, tmp_path / "partly.pte")
    assert executorch.faults(program, (tmp_path / "partly.pte").read_bytes()) == [
        "the file cannot be read back: not one XNNPACK graph"
    ]
