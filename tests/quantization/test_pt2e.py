"""What training measured is what conversion writes, at any shape, from a file."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.nn import functional as F

from edgesr import checkpoint as checkpoints
from edgesr.checkpoint import Checkpoint
from edgesr.errors import UserError
from edgesr.models import create_model
from edgesr.models.blocks import ChannelAttention
from edgesr.models.msfin import MSFIN
from edgesr.quantization import SCHEMES, Scheme, find_scheme, pt2e
from edgesr.quantization.annotations import is_float, is_inside
from edgesr.quantization.edge_form.parts import FloatIsland, Precise, Repeat
from edgesr.quantization.quantizer import SUMS

PATCH = (2, 3, 16, 16)


def trained(name: str, scheme: str = "w8a8", steps: int = 2) -> tuple[GraphModule, Tensor]:
    """A graph after a few optimizer steps, its activations frozen before the last."""
    graph = pt2e.prepare(create_model(name, scale=2), find_scheme(scheme), PATCH)
    graph.train()
    optimizer = torch.optim.Adam(graph.parameters(), 1e-3)
    lr = torch.rand(PATCH)
    for step in range(steps):
        if step == steps - 1:
            pt2e.freeze_activations(graph)
        loss = (graph(lr) - torch.rand(2, 3, 32, 32)).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pt2e.freeze(graph, lr)
    return graph, lr


@pytest.fixture(scope="module", params=SCHEMES)
def case(request: pytest.FixtureRequest, small: str) -> tuple[str, str, GraphModule, Tensor]:
    return (small, request.param, *trained(small, request.param))


@torch.no_grad()
def test_converted_equals_fake_quantized(case: tuple[str, str, GraphModule, Tensor]) -> None:
    _, _, graph, lr = case
    for fold in (True, False):
        assert torch.equal(pt2e.convert(graph, fold_weights=fold)(lr), graph(lr))


@torch.no_grad()
def test_every_tensor_has_a_quantizer(case: tuple[str, str, GraphModule, Tensor]) -> None:
    """In the converted graph an operator's tensors all come out of a dequantize operator."""
    _, _, graph, _ = case
    fused = {"aten.relu.default"}
    for node in pt2e.convert(graph, fold_weights=True).graph.nodes:
        operator = str(node.target)
        if node.op != "call_function" or "quantized_decomposed" in operator or operator in fused:
            continue
        if is_float(node):
            continue
        bias = node.args[2:3] if operator == "aten.conv2d.default" else ()
        for source in set(node.all_input_nodes) - set(bias):
            slope = operator == "aten.prelu.default" and source is node.args[1]
            assert slope or "dequantize" in str(source.target), (operator, source)


def test_every_reader_dequantizes_for_itself(case: tuple[str, str, GraphModule, Tensor]) -> None:
    nodes = pt2e.convert(case[2], fold_weights=True).graph.nodes
    found = [n for n in nodes if str(n.target) == "quantized_decomposed.dequantize_per_tensor.default"]
    assert found
    assert all(len(node.users) == 1 for node in found)


def test_only_a_precise_scheme_keeps_sums_float(case: tuple[str, str, GraphModule, Tensor]) -> None:
    sums = [node for node in case[2].graph.nodes if node.target in SUMS]
    if not SCHEMES[case[1]].precise:
        sums = [node for node in sums if not is_inside(node, FloatIsland) or is_inside(node, Precise)]
    assert sums
    assert all(is_float(node) == SCHEMES[case[1]].precise for node in sums)


def test_biases_are_on_the_grid_of_integer_kernels(
    case: tuple[str, str, GraphModule, Tensor],
) -> None:
    """A bias of an int8 layer is an int32 in steps of input scale times weight scale."""
    converted = pt2e.convert(case[2], fold_weights=True)
    for node in converted.graph.nodes:
        if str(node.target) != "aten.conv2d.default" or is_float(node):
            continue
        read, weight, bias = (*node.args, None)[:3]
        if not isinstance(bias, Node):
            continue
        assert isinstance(read, Node)
        assert isinstance(weight, Node)
        assert isinstance(read.args[1], float)
        step = read.args[1] * converted.get_buffer(str(weight.args[1])).double()
        integers = converted.get_parameter(str(bias.target)).detach().double() / step
        assert torch.allclose(integers, integers.round(), rtol=1e-6, atol=1e-4)  # float32 holds them


@torch.no_grad()
def test_image_leaves_on_the_pixel_grid(case: tuple[str, str, GraphModule, Tensor]) -> None:
    _, _, graph, lr = case
    levels = 255 * graph(lr)
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    assert levels.min() >= 0
    assert levels.max() <= 255.001


def scales_around(graph: GraphModule, operator: str) -> list[tuple[set[object], set[object]]]:
    """(scale, zero point) of the tensors read and written by each call of an operator."""
    found = []
    for node in pt2e.convert(graph, fold_weights=True).graph.nodes:
        if node.op == "call_function" and str(node.target) == operator and not is_float(node):
            read = {tuple(source.args[1:3]) for source in node.all_input_nodes}
            found.append((read, {tuple(reader.args[1:3]) for reader in node.users}))
    return found


def test_shared_own_and_fixed_scales(case: tuple[str, str, GraphModule, Tensor]) -> None:
    """Concatenated tensors share a scale, as do moved ones; an enlarged one must not."""
    graph, checked = case[2], 0
    for operator in ("aten.cat.default", "aten.slice.Tensor", "aten.leaky_relu.default"):
        for read, written in scales_around(graph, operator):
            assert len(read) == 1
            assert read == written
            checked += 1
    for operator in ("aten.sigmoid.default", "aten.softmax.int"):
        for _, written in scales_around(graph, operator):
            assert written == {(1 / 256, -128)}
            checked += 1
    for read, written in scales_around(graph, "aten.upsample_bilinear2d.vec"):
        assert read != written or case[0] == "osffnet"  # which here enlarges a single value
        checked += 1
    assert checked > 1


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_scheme_with_integer_kernels_has_the_operators_themselves(scheme: str) -> None:
    """Else gates and enlargement are composed of what every CPU computes alike."""
    model = MSFIN(2, features=8, groups=4, reduction=4, passes=1)
    graph = pt2e.prepare(model, find_scheme(scheme), PATCH)
    targets = [str(node.target) for node in graph.graph.nodes]
    gates = sum(isinstance(module, ChannelAttention) for module in model.modules())
    integer = not find_scheme(scheme).precise
    assert targets.count("aten.sigmoid.default") == integer * gates
    assert targets.count("aten.upsample_bilinear2d.vec") == integer
    assert targets.count("aten.div.Tensor") == (not integer) * gates


@torch.no_grad()
def test_copying_convolutions_keep_every_integer() -> None:
    """A coarse map, enlarged by 0 and 1 weights: each value of it, and no other, on its own scale."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.repeat = nn.Conv2d(3, 4, 5, stride=3), Repeat((4, 4), (16, 16))

        def forward(self, x: Tensor) -> Tensor:
            coarse = self.first(x)
            return torch.cat([self.repeat(coarse, (16, 16))[:, :3], x], 2)

    graph = pt2e.prepare(Net(), find_scheme("w8a8"), PATCH)
    lr = torch.rand(PATCH)
    graph(lr)
    pt2e.freeze(graph, lr)
    for read, written in scales_around(graph, "aten.permute.default"):
        assert read == written
    large = graph(lr)[:, :, :16]
    assert torch.equal(large, F.interpolate(large[:, :, ::4, ::4], (16, 16), mode="nearest"))
    assert torch.equal(pt2e.convert(graph, fold_weights=True)(lr), graph(lr))


@torch.no_grad()
def test_inside_an_island_nothing_is_quantized() -> None:
    class Island(FloatIsland):
        def forward(self, x: Tensor) -> Tensor:
            return torch.erf(x) * torch.exp(-x)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.island, self.last = nn.Conv2d(3, 4, 1), Island(), nn.Conv2d(4, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.island(self.first(x)))

    graph, lr = pt2e.prepare(Net(), find_scheme("w8a8"), PATCH), torch.rand(PATCH)
    graph(lr)
    pt2e.freeze(graph, lr)
    converted = pt2e.convert(graph, fold_weights=True)
    operators = [str(n.target) for n in converted.graph.nodes if n.op == "call_function"]
    island = operators.index("aten.erf.default")
    end = operators.index("aten.mul.Tensor")
    assert not any("quantized_decomposed" in name for name in operators[island:end])
    assert "quantize_per_tensor" in operators[end + 1]
    assert torch.equal(converted(lr), graph(lr))


def test_no_edge_is_quantized_twice(case: tuple[str, str, GraphModule, Tensor]) -> None:
    """What a reader needs is what the writer wrote: nothing is converted from int8 to int8."""
    nodes = pt2e.convert(case[2], fold_weights=True).graph.nodes
    quantizing = [node for node in nodes if "quantize_per_tensor" in str(node.target)]
    again = [
        node
        for node in quantizing
        if ".quantize" in str(node.target) and "dequantize" in str(node.args[0].target)
    ]
    assert len(quantizing) > 30
    assert again == []


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=lambda scheme: scheme.name)
def test_fixed_scales_are_float32(scheme: Scheme) -> None:
    """Fake quantizers hold a scale so; a double would be converted to other rounding ties."""
    for fixed in (scheme.pixel, scheme.unit, scheme.one):
        assert fixed.scale == torch.tensor(fixed.scale, dtype=torch.float32).item()
    assert scheme.pixel.zero_point == scheme.unit.zero_point == -128


@pytest.mark.slow
@torch.no_grad()
def test_checkpoint_at_another_shape(case: tuple[str, str, GraphModule, Tensor], tmp_path: Path) -> None:
    name, scheme, graph, _ = case
    saved = checkpoints.save(Checkpoint(name, 2, scheme, graph.state_dict()), tmp_path / "checkpoint")
    loaded = checkpoints.load(saved)
    lr = torch.rand(2, 3, 24, 32)
    captured_anew = pt2e.fake_quantized(loaded, (2, 3, 24, 32))
    program = pt2e.quantized_program(loaded, (2, 3, 24, 32), fold_weights=True)
    assert torch.equal(captured_anew(lr), program.module()(lr))
    patch = torch.rand(PATCH)
    assert torch.equal(pt2e.fake_quantized(loaded, PATCH)(patch), graph(patch))


def test_weight_scales_are_those_of_the_final_weights() -> None:
    """Observers see weights before a step; `freeze` must look once more after the last."""
    graph, _ = trained("lffn-s")
    checked = 0
    for node in graph.graph.nodes:
        quantizer = graph.get_submodule(node.target) if node.op == "call_module" else None
        if isinstance(quantizer, pt2e.FakeQuantizeBase) and quantizer.is_per_channel:
            weight = graph.get_parameter(node.args[0].target)
            expected = weight.detach().abs().flatten(1).amax(1) / 127
            scale = quantizer.get_buffer("scale")
            assert torch.allclose(scale, expected, rtol=1e-6), node
            checked += 1
    assert checked > 30


def test_operator_without_a_rule_is_refused() -> None:
    class Erf(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.erf(x)

    with pytest.raises(NotImplementedError, match="erf"):
        pt2e.prepare(Erf(), find_scheme("w8a8"), PATCH)


def test_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(UserError, match="w8a8"):
        find_scheme("w4a8")


def test_tensors_of_another_network_are_refused() -> None:
    graph, _ = trained("lffn-s", steps=1)
    mixed_up = Checkpoint("msfin-s", 2, "w8a8", graph.state_dict())
    with pytest.raises(UserError, match=r"not those of msfin-s x2 .* recipes\.qat --init"):
        pt2e.fake_quantized(mixed_up, PATCH)
