"""What lowering leaves out changes no byte of a .pte."""

from pathlib import Path

import pytest
import torch
from executorch.backends.xnnpack import _passes as passes
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.nn import functional as F

from export import executorch
from export.xnn import lowering
from tests.export.programs import FACTS, Chain, program_of


class Everything(nn.Module):
    """Each operator that a pass looks for, once."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.slope = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.PReLU(8)
        self.alone, self.dense = nn.BatchNorm2d(3), nn.Linear(8, 8)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.slope(self.norm(self.conv(F.pad(self.alone(lr), (1, 1, 1, 1)))))
        x = F.interpolate(F.max_pool2d(x, 2), scale_factor=2, mode="bilinear")
        x = torch.cat([x, x + 1, x + 2, x + 3, x + 4, x + 5], 1)
        rows = self.dense(x.reshape(1, -1, 8))
        return torch.bmm(rows, rows.permute(0, 2, 1).softmax(2))


def lowered(program: ExportedProgram, path: Path) -> bytes:
    executorch.lower(program, FACTS, path)
    return path.read_bytes()


@pytest.mark.parametrize("network", [Chain, Everything])
def test_the_same_bytes_as_executorch_alone(
    monkeypatch: pytest.MonkeyPatch, network: type[nn.Module], tmp_path: Path
) -> None:
    program = program_of(network(), "int8" if network is Chain else None, (8, 8))
    ours = lowered(program, tmp_path / "ours.pte")
    monkeypatch.setattr(passes.XNNPACKPassManager, "transform", lowering._transform)
    monkeypatch.setattr(executorch, "Partitioner", XnnpackPartitioner)
    assert ours == lowered(program, tmp_path / "theirs.pte")


def test_passes_that_have_nothing_to_do_are_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran: list[type] = []
    transform = lowering._transform
    monkeypatch.setattr(lowering, "_transform", lambda self: ran.extend(self.passes) or transform(self))
    lowered(program_of(Chain(), "int8", (8, 8)), tmp_path / "chain.pte")
    assert lowering.LOOKS_FOR.keys() & ran == {passes.DecomposeConcatenate}
    assert passes.ConstPropPass in ran
    ran.clear()
    lowered(program_of(Everything(), None, (8, 8)), tmp_path / "everything.pte")
    assert lowering.LOOKS_FOR.keys() - ran == {passes.PReLUReshapePass}, "a PReLU is not taken apart"


@pytest.mark.parametrize(("stride", "taken"), [(2, True), (3, False)])
def test_executorch_asks_of_each_node_where_one_must_be_taken_apart(stride: int, taken: bool) -> None:
    pools = nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(2, stride))  # XNNPACK leaves out no pixel
    program = torch.export.export(pools, (torch.rand(1, 3, 12, 12),)).run_decompositions({})
    kept, wanted = lowering.Partitioner().ops_to_not_decompose(program)
    assert torch.ops.aten.max_pool2d.default in kept
    assert (wanted is None) == taken
