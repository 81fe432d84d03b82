"""Each rewrite computes what the published form computes, on random weights and odd sizes."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.models import MODELS, create_model
from edgesr.models.blocks import BSConv, ChannelAttention, ChannelShuffle, Enlarge
from edgesr.models.lffn import LFFN, FusionModule, ResidualBlock, SpindleBlock
from edgesr.models.maffsrn import MAFFSRN, FusionGroup, Tail
from edgesr.models.mlrn import MLRN
from edgesr.models.msfin import MSFIN
from edgesr.models.osffnet import OSFFNet, Perceptron
from edgesr.quantization.edge_form import edge_form, folding, parts, portable
from edgesr.quantization.edge_form.equalize import channel_ranges
from edgesr.quantization.edge_form.lffn import EdgeLFFN, MergedPaths, MergedSpindle
from edgesr.quantization.edge_form.maffsrn import BicubicSkip, fold_group, fold_tail
from edgesr.quantization.edge_form.osffnet import EdgePerceptron, dense_head, folded_norm

LARGE = {"lffn", "lffn-nf", "lffn-ns", "msfin", "maffsrn-l"}
NETWORKS = [
    pytest.param(name, scale, marks=[pytest.mark.slow] if name in LARGE else [])
    for name, row in MODELS.items()
    if row.learns
    for scale in (2, 3, 4)
]


def shaken(model: nn.Module) -> nn.Module:
    """In eval mode, and no number may hide behind a special value."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
    return model.eval()


@torch.no_grad()
def assert_equal_relative(ours: Tensor, theirs: Tensor, bound: float = 1e-5) -> None:
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= bound * theirs.abs().max()


@pytest.mark.parametrize(("name", "scale"), NETWORKS)
@torch.no_grad()
def test_whole_network_is_unchanged(name: str, scale: int) -> None:
    multiple, smallest = MODELS[name].lr_multiple(scale), MODELS[name].smallest
    model = shaken(create_model(name, scale=scale))
    size = (max(smallest, 5 * multiple), max(smallest, 7 * multiple) + 2 * multiple)
    lr = torch.rand(2, 3, *size)
    assert_equal_relative(edge_form(model, size)(lr), model(lr))


@pytest.mark.parametrize(
    "model",
    [
        LFFN(2, modules=2, blocks=2, fusion=False),
        LFFN(3, modules=1, blocks=2, features=64, block="residual"),
        MSFIN(4, features=8, groups=4, reduction=4, passes=2, connections="shared+cross"),
        MAFFSRN(2, groups=2, fusion="hff"),
        MAFFSRN(2, groups=1, fusion="bff", shuffle=False, cea=False),
        OSFFNet(2, shallow=False, fields=False, esa=False, cca=False),
        OSFFNet(4, copies=1, features=32),
        MLRN(3, blocks=2, direct=True, refine=True, correct=True),
        MLRN(2, blocks=2, gff=False, rsc=False),
    ],
    ids=lambda model: type(model).__name__,
)
@torch.no_grad()
def test_ablations_are_unchanged(model: nn.Module) -> None:
    model, lr = shaken(model), torch.rand(1, 3, 16, 20)
    assert_equal_relative(edge_form(model, (16, 20))(lr), model(lr))


@pytest.mark.parametrize("name", ["lffn-s", "msfin-s", "maffsrn", "osffnet", "mlrn"])
def test_the_network_itself_is_left_as_it_is(name: str) -> None:
    model = create_model(name, scale=2).eval()
    before, lr = copy.deepcopy(model.state_dict()), torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        expected = model(lr)
        edge_form(model, (16, 16))
        assert torch.equal(model(lr), expected)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["lffn-s", "msfin-s", "maffsrn", "osffnet", "mlrn"])
def test_what_is_trained_does_not_depend_on_the_size(name: str) -> None:
    model = create_model(name, scale=4)
    small, large = (edge_form(model, size).state_dict() for size in ((16, 16), (40, 28)))
    assert {k: v.shape for k, v in small.items()} == {k: v.shape for k, v in large.items()}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("factor", [2, 4])
@torch.no_grad()
def test_transposed_convolution_as_shuffle(bias: bool, factor: int) -> None:
    model = nn.Sequential(nn.ConvTranspose2d(6, 4, factor, stride=factor, bias=bias))
    x = torch.randn(2, 6, 5, 3)
    expected = model(x)
    folding.unfold_transposed(model)
    assert not any(isinstance(m, nn.ConvTranspose2d) for m in model.modules())
    assert_equal_relative(model(x), expected)


@torch.no_grad()
def test_shuffle_into_the_layer_that_reads_it() -> None:
    layer, x = nn.Conv2d(24, 5, 1), torch.randn(2, 24, 4, 3)
    for groups in (2, 3, 4):
        expected = layer(ChannelShuffle(groups)(x))
        assert_equal_relative(folding.unshuffled(layer, groups)(x), expected)


@torch.no_grad()
def test_factors_into_a_layer() -> None:
    layer, x = nn.Conv2d(6, 4, 3, 2, 1, dilation=2), torch.randn(2, 6, 9, 8)
    outputs, inputs = torch.randn(4), torch.randn(6)
    expected = outputs[:, None, None] * layer(inputs[:, None, None] * x)
    assert_equal_relative(folding.scaled(layer, outputs=outputs, inputs=inputs)(x), expected)
    grouped = nn.Conv2d(6, 4, 3, groups=2)
    assert_equal_relative(folding.scaled(grouped, outputs=-2.0)(x), -2 * grouped(x))


@torch.no_grad()
def test_affine_per_channel() -> None:
    scale, shift, x = torch.randn(5), torch.randn(5), torch.randn(2, 5, 3, 4)
    expected = scale[:, None, None] * x + shift[:, None, None]
    assert_equal_relative(folding.affine(scale, shift)(x), expected)


@torch.no_grad()
def test_maffsrn_tails_are_one_convolution() -> None:
    tail, x = shaken(Tail(8, 3)), torch.randn(1, 8, 6, 7)
    assert isinstance(tail, Tail)
    folded = nn.Sequential(fold_tail(tail, carried=1.7), nn.PixelShuffle(3))
    assert_equal_relative(folded(x), tail(1.7 * x))


@torch.no_grad()
def test_maffsrn_factors_travel_along_the_trunk() -> None:
    group, x = shaken(FusionGroup(8, "m-bff", True, True, ((3, 1), (3, 2)))), torch.randn(1, 8, 16, 17)
    assert isinstance(group, FusionGroup)
    for factor, value in ((group.of_result, 0.7), (group.of_input, -1.4)):
        factor.get_parameter("scale").fill_(value)
    expected = group(3 * x)
    folding.fold_weight_norm(group)
    fold_group(group, before=3.0, after=3.0 * -1.4, size=(16, 17))
    assert_equal_relative(-4.2 * group(x), expected)


@pytest.mark.parametrize("scale", [2, 3, 4])
@torch.no_grad()
def test_bicubic_skip_is_pytorchs(scale: int) -> None:
    lr = torch.rand(2, 3, 5, 8)
    expected = F.interpolate(lr, scale_factor=float(scale), mode="bicubic", align_corners=False)
    residual = torch.randn(2, 3 * scale**2, 5, 8)
    shuffle = nn.PixelShuffle(scale)
    assert_equal_relative(shuffle(BicubicSkip(scale)(lr, residual)), expected + shuffle(residual))


@pytest.mark.parametrize("size", [(5, 7), (1, 2), (16, 9)])
@pytest.mark.parametrize("scale", [2, 3, 4])
@torch.no_grad()
def test_portable_enlargement_is_pytorchs_bilinear(scale: int, size: tuple[int, int]) -> None:
    own, lr, large = Enlarge("bilinear"), torch.rand(2, 3, *size), [scale * side for side in size]
    assert (portable.Bilinear(own, scale)(lr, large) - own(lr, large)).abs().max() <= 1e-6


@torch.no_grad()
def test_portable_sigmoid() -> None:
    """Also where it is limited, and in fp16 as Core ML computes it."""
    x = torch.linspace(-40, 40, 20_001).view(1, -1, 1, 1)
    attention, expected = portable.Attention(ChannelAttention(4, 2)), torch.sigmoid(x)
    found = attention.sigmoid(x.repeat(1, 1, 4, 1))
    assert found.shape == x.shape
    assert (found - expected).abs().max() <= 3e-7
    assert 0 < found.min() < found.max() <= 1
    half = x.half()
    rough = attention.half().sigmoid(half.repeat(1, 1, 4, 1)).float()
    assert (rough - torch.sigmoid(half.float())).abs().max() <= 1e-3


@pytest.mark.parametrize(("features", "inner"), [(16, 4), (48, 9)])
@torch.no_grad()
def test_portable_attention(features: int, inner: int) -> None:
    own, x = shaken(ChannelAttention(features, inner)), torch.randn(2, features, 6, 5)
    assert isinstance(own, ChannelAttention)
    assert_equal_relative(portable.Attention(own)(x), own(x))


@torch.no_grad()
def test_wide_convolution() -> None:
    own, x = nn.Conv2d(5, 3, 1), torch.randn(2, 5, 4, 3)
    assert_equal_relative(portable.Wide(own)(x), own(x))


@pytest.mark.parametrize(("coarse", "fine"), [((2, 3), (13, 20)), ((9, 9), (64, 64)), ((4, 1), (4, 7))])
@torch.no_grad()
def test_repeat_is_nearest(coarse: tuple[int, int], fine: tuple[int, int]) -> None:
    x = torch.randn(2, 5, *coarse)
    assert torch.equal(parts.Repeat(coarse, fine)(x, fine), F.interpolate(x, fine, mode="nearest"))


@torch.no_grad()
def test_paddings() -> None:
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(parts.EdgePadding(2)(x), F.pad(x, (2, 2, 2, 2), mode="replicate"))
    padded = parts.ColourPadding((0.1, 0.2, 0.3))(x)
    assert torch.equal(padded[:, :, 1:-1, 1:-1], x)
    assert torch.equal(padded[:, :, 0].unique(dim=2).flatten(1)[0], torch.tensor([0.1, 0.2, 0.3]))


@torch.no_grad()
def test_osffnet_copies_are_one_dense_convolution() -> None:
    head, x = BSConv(12, 6, 3), torch.randn(2, 3, 5, 4)
    assert_equal_relative(dense_head(head, 4)(x), head(torch.cat([x] * 4, 1)))


@torch.no_grad()
def test_osffnet_batch_norm_is_an_affine_map() -> None:
    norm, x = shaken(nn.BatchNorm2d(6)), torch.randn(2, 6, 5, 4)
    assert_equal_relative(folding.affine(*folded_norm(norm))(x), norm(x))


@torch.no_grad()
def test_osffnet_perceptron_without_permutations() -> None:
    perceptron = shaken(Perceptron(8))
    assert isinstance(perceptron, Perceptron)
    x = 3 * torch.randn(2, 8, 5, 4) + 1
    assert_equal_relative(EdgePerceptron(perceptron)(x), perceptron(x))


@torch.no_grad()
def test_lffn_paths_side_by_side() -> None:
    block, x = shaken(SpindleBlock(12, 16, depthwise=True)), torch.randn(2, 12, 6, 5)
    assert isinstance(block, SpindleBlock)
    assert_equal_relative(MergedSpindle(block)(x), block(x))


def unlike(ranges: Tensor) -> float:
    """How many times the largest range is the smallest."""
    return (ranges.max() / ranges.min()).item()


@pytest.mark.parametrize("options", [{"depthwise": True}, {"block": "residual"}], ids=str)
@torch.no_grad()
def test_lffn_equalized(options: dict[str, Any]) -> None:
    """The same function; the trunk's channels half as unlike in decibels, the paths' alike."""
    model, lr = shaken(LFFN(2, modules=2, **options)), torch.rand(2, 3, 9, 8)
    form = edge_form(model, (9, 8))
    assert isinstance(form, EdgeLFFN)
    kinds = FusionModule | MergedSpindle | ResidualBlock
    trunk = [form.head.module, *(module for module in form.body.modules() if isinstance(module, kinds))]
    before, expected = channel_ranges(form, lr), form(lr)
    form.equalize(lr)
    after = channel_ranges(form, lr)
    assert_equal_relative(form(lr), expected)
    spreads = [unlike(torch.stack([ranges[m] for m in trunk]).amax(0)) for ranges in (before, after)]
    assert spreads[1] == pytest.approx(spreads[0] ** 0.5, rel=1e-3)
    for module in form.modules():
        if isinstance(module, MergedPaths):
            assert unlike(after[module]) < 1.001 < unlike(before[module])


def test_msfin_shifts_colours_once_per_lr_pixel() -> None:
    form = edge_form(MSFIN(4, features=8, groups=4, reduction=4, passes=1), (4, 8))
    seen: list[tuple[int, ...]] = []
    shift = next(m for m in form.modules() if isinstance(m, portable.Wide))
    shift.register_forward_hook(lambda _m, inputs, _o: seen.append(tuple(inputs[0].shape)))
    form(torch.rand(1, 3, 4, 8))
    assert shift.module.kernel_size == (1, 1)
    assert seen == [(1, 3, 4, 8)]
