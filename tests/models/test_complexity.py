"""Counts, memory and receptive fields: exact, by hand where they can be, else as found once."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from edgesr.errors import UserError
from edgesr.models import MODELS, SCALES, create_model, footprint
from edgesr.models.ablations import ABLATIONS, Ablation
from edgesr.models.blocks import ChannelAttention, ChannelShuffle, Contrast, GlobalStatistic
from edgesr.models.complexity import (
    NOT_MET,
    RULES,
    Complexity,
    Counts,
    Figure,
    count,
    every_weight,
    family,
    lr_size,
    multiply_adds,
    on_meta,
    torchinfo,
    torchsummaryx,
)
from edgesr.models.footprint import Reach, is_global, peak_memory, receptive_field
from edgesr.models.mlrn import READINGS
from edgesr.models.published import printed_counts
from recipes import complexity as recipe
from tests.golden.make_golden import cost, cost_of_setting

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "complexity.json").read_text())
QUICK = {"bicubic", "lffn-s", "msfin-s", "mlrn"}
"""Counted in less than half a second each."""

# Parameters, in the paper's counting, true G multiply-adds, in the paper's counting.
SCOREBOARD = {
    ("lffn", 2): (1_528_032, 1_522_272, "342.824", "342.824"),
    ("lffn", 3): (1_539_792, 1_534_032, "153.620", "153.620"),
    ("lffn", 4): (1_537_440, 1_531_680, "87.929", "87.929"),
    ("lffn-s", 2): (175_200, 173_664, "37.944", "37.944"),
    ("lffn-s", 3): (186_960, 185_424, "18.117", "18.117"),
    ("lffn-s", 4): (184_608, 183_072, "11.709", "11.709"),
    ("lffn-nf", 4): (1_502_880, 1_497_120, "87.929", "87.929"),
    ("lffn-ns", 4): (4_770_176, 4_770_176, "274.191", "274.191"),
    ("osffnet", 2): (515_731, 515_731, "112.338", "83.199"),
    ("osffnet", 3): (524_386, 524_386, "50.733", "37.803"),
    ("osffnet", 4): (536_503, 536_503, "29.278", "21.995"),
    ("maffsrn", 2): (402_394, 402_394, "86.072", "77.202"),
    ("maffsrn", 3): (418_774, 418_774, "39.861", "34.257"),
    ("maffsrn", 4): (441_706, 441_706, "23.773", "19.299"),
    ("maffsrn-l", 2): (790_754, 790_754, "168.936", "154.405"),
    ("maffsrn-l", 3): (807_134, 807_134, "76.631", "68.514"),
    ("maffsrn-l", 4): (830_066, 830_066, "44.488", "38.599"),
    **{("msfin", scale): (682_159, 682_159, "129.542", "129.542") for scale in SCALES},
    **{("msfin-s", scale): (351_851, 351_851, "45.905", "45.905") for scale in SCALES},
    ("mlrn", 2): (936_131, 936_131, "215.691", "215.691"),
    ("mlrn", 3): (982_371, 982_371, "100.866", "100.866"),
    ("mlrn", 4): (973_123, 973_123, "63.013", "63.013"),
    ("bicubic", 4): (0, 0, "0.000", "0.000"),
}
MANY_OPERATORS = {"lffn", "lffn-nf", "msfin", "maffsrn-l"}

SETTINGS = {
    ("msfin", "1"): (490_516, 507_416, 534_656, 530_756),
    ("msfin", "2"): (477_987, 497_283, 497_283, 543_763),
    ("msfin", "reading"): (648_583,),
    ("maffsrn", "1"): (363_482, 372_186, 372_186, 393_690, 402_394),
    ("maffsrn", "3"): (402_394, 402_394, 411_738, 418_778, 418_778),
    ("osffnet", "2"): (486_480, 487_824, 486_487, 535_152, 487_831, 536_496, 535_159, 536_503),
    ("osffnet", "4"): (499_351, 531_863, 503_991, 536_503),
    ("mlrn", "reading"): (
        *(936_131, 903_363, 1_460_419, 673_987),
        *(901_740, 945_379, 938_243, 1_530_755),
    ),
}


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        pytest.param(*key, marks=pytest.mark.slow if key[0] in MANY_OPERATORS else ())
        for key in SCOREBOARD
    ],
)
def test_scoreboard(name: str, scale: int) -> None:
    network = on_meta(lambda: create_model(name, scale=scale))
    counts = count(network, family(name), scale, printed_counts(name, scale))
    figures = (counts.params, counts.params_paper.count)
    giga = (f"{counts.macs / 1e9:.3f}", f"{counts.macs_paper.count / 1e9:.3f}")
    assert (*figures, *giga) == SCOREBOARD[name, scale]
    met = {counts.params_paper.difference, counts.macs_paper.difference} <= {0, None}
    assert met == ((name, scale) not in NOT_MET)


@pytest.mark.parametrize(
    ("of", "table"),
    [pytest.param(*key, marks=pytest.mark.slow if key[0] == "osffnet" else ()) for key in SETTINGS],
)
def test_parameters_of_settings(of: str, table: str) -> None:
    settings = [row for row in ABLATIONS if (row.family, row.table) == (of, table)]
    found = [sum(p.numel() for p in on_meta(row.build).parameters()) for row in settings]
    assert tuple(found) == SETTINGS[of, table]
    for row, counted in zip(settings, found, strict=True):
        printed, _ = row.printed()
        unit = 1 if (of, table) == ("maffsrn", "3") else 1000
        difference = Figure(counted, printed, unit, RULES[of].cut).difference
        assert (difference in (0, None)) == (not row.note), row.setting


def test_every_setting_is_counted_by_hand() -> None:
    assert sum(map(len, SETTINGS.values())) == len(ABLATIONS) >= 39


@pytest.mark.parametrize(
    ("reading", "scale", "params", "giga"),
    [
        ("rectangular 3x5 kernels", 2, 903_363, "208.14"),
        ("kernels 3, 5, 7", 2, 1_460_419, "336.49"),
        ("kernels 1, 3, 5", 2, 673_987, "155.29"),
        ("one sub-pixel convolution", 4, 912_144, "52.40"),
    ],
)
def test_readings_of_mlrn(reading: str, scale: int, params: int, giga: str) -> None:
    counts = count(on_meta(lambda: READINGS[reading](scale)), "mlrn", scale, (None, None))
    assert (counts.params, f"{counts.macs / 1e9:.2f}") == (params, giga)


def test_a_setting_that_no_table_has() -> None:
    with pytest.raises(AssertionError, match=r"published\.csv has no row"):
        Ablation("osffnet", "2", 4, "OISI+", lambda: nn.Identity()).printed()


@pytest.mark.parametrize(
    ("printed", "unit", "cut", "differences"),
    [  # of 1499, 1500, 1999, 2000
        (1000, 1000, True, (0, 0, 0, 1000)),
        (1000, 1000, False, (0, 1000, 1000, 1000)),
        (1500, 1, True, (-1, 0, 499, 500)),
        (None, 1000, True, (None,) * 4),
    ],
)
def test_difference(printed: int | None, unit: int, cut: bool, differences: tuple) -> None:
    counted = (1499, 1500, 1999, 2000)
    assert tuple(Figure(n, printed, unit, cut).difference for n in counted) == differences


def test_each_kind_of_layer_and_rule() -> None:
    """By hand, on 6 x 8 LR pixels, 12 x 16 after the transposed convolution."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transposed = nn.ConvTranspose2d(3, 4, 2, stride=2)
            self.grouped = nn.Conv2d(4, 8, 3, padding=1, groups=4)
            self.norm = nn.BatchNorm2d(8)
            self.slopes = nn.PReLU(8)
            self.strided = weight_norm(nn.Conv2d(8, 8, 1, stride=2, bias=False))
            self.token = nn.LayerNorm(8)
            self.dense = nn.Linear(8, 5)
            self.pooled = nn.Conv2d(5, 7, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.strided(self.slopes(self.norm(self.grouped(self.transposed(x)))))
            x = self.dense(self.token(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
            return self.pooled(self.pooled(x.mean((2, 3), keepdim=True))[:, :5])

    net = on_meta(Net)
    true = 48 * (3 * 4 * 4) + 192 * (8 * 9) + 48 * (8 * 8) + 48 * (8 * 5) + 2 * (5 * 7)
    once = (3 * 4 * 4 + 4) + (8 + 8) + (8 + 8) + (8 * 5 + 5)
    info = once + 192 * (8 * 9 + 8) + 48 * (8 + 8 * 8) + 2 * (5 * 7 + 7)
    summary = true - 48 * (8 * 8) + (8 + 8 * 8)
    rules = (every_weight, torchinfo, torchsummaryx)
    assert multiply_adds(net, (6, 8), *rules) == [true, info, summary]
    assert not any(module._forward_hooks for module in net.modules())


def test_lr_sizes() -> None:
    assert set(RULES) == {family(name) for name in MODELS}
    assert {lr_size(of, 2) for of in RULES} == {(360, 640)}
    assert {lr_size(of, 4) for of in RULES} == {(180, 320)}
    area_exact = {of for of in RULES if 9 * lr_size(of, 3)[0] * lr_size(of, 3)[1] == 1280 * 720}
    assert area_exact == {"lffn", "msfin"}


# ------------------------------------------------------------------------------ golden snapshot


@pytest.mark.parametrize(
    "golden",
    [
        pytest.param(
            row,
            id=f"{row['model']}_x{row['scale']}",
            marks=() if row["model"] in QUICK and row["scale"] == 4 else pytest.mark.slow,
        )
        for row in GOLDEN["networks"]
    ],
)
def test_network_equals_golden(golden: dict) -> None:
    assert cost(golden["model"], golden["scale"]) == golden


@pytest.mark.slow
@pytest.mark.parametrize("row", ABLATIONS, ids=lambda row: f"{row.family}-{row.table}-{row.setting}")
def test_setting_equals_golden(row: Ablation) -> None:
    assert cost_of_setting(row) in GOLDEN["settings"]
    counts = count(on_meta(row.build), row.family, row.scale, row.printed())
    differences = (counts.params_paper.difference, counts.macs_paper.difference)
    assert bool(set(differences) - {0, None}) == bool(row.note)


def test_golden_holds_every_network_and_setting() -> None:
    networks = [(row["model"], row["scale"]) for row in GOLDEN["networks"]]
    assert networks == [(name, scale) for name in MODELS for scale in SCALES]
    settings = [(row["family"], row["table"], row["setting"]) for row in GOLDEN["settings"]]
    assert settings == [(row.family, row.table, row.setting) for row in ABLATIONS]


# ---------------------------------------------------------------------------------- peak memory


class Calls(nn.Module):
    """A network out of one function."""

    def __init__(self, function: Callable[[Tensor], Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


LR = 3 * 4 * 6 * 4  # bytes of an LR image of 4 x 6 pixels


def chain(x: Tensor) -> Tensor:
    """Two are alive beside the input: each result and what it is made of."""
    for _ in range(5):
        x = x + 1
    return x


def held(x: Tensor) -> Tensor:
    """The first result is needed again at the end."""
    first = x + 1
    return first + chain(first)


def views(x: Tensor) -> Tensor:
    """Only the sum takes memory."""
    return x.flatten(2).transpose(1, 2)[None] + 1


def kept_by_a_view(x: Tensor) -> Tensor:
    """A corner keeps all ten images that it is cut out of: 1 + 10, then + 1 + 3."""
    images = torch.cat([x + 1] * 10)
    corner = images.data[:1, :, :1, :1]
    del images
    return torch.cat([x + corner] * 3)


def dropped(x: Tensor) -> Tensor:
    """The same, gone before: at the worst moment there are 1 + 1 + 10."""
    corner = torch.cat([x + 1] * 10)[:1, :, :1, :1]
    del corner
    return torch.cat([x + 1] * 3)


def in_place(x: Tensor) -> Tensor:
    """What is overwritten needs no second tensor."""
    return (x + 1).mul_(2).relu_()


@pytest.mark.parametrize(
    ("function", "images"),
    [
        (chain, 3),
        (held, 4),
        (views, 2),
        (kept_by_a_view, 15),
        (dropped, 12),
        (in_place, 2),
        (lambda x: x, 1),
    ],
)
def test_memory_by_hand(function: Callable[[Tensor], Tensor], images: int) -> None:
    """In LR images of float32: the input, which counts, and what is alive at the worst moment."""
    assert peak_memory(Calls(function), (4, 6)) == images * LR


def test_weights_do_not_count() -> None:
    layer = on_meta(lambda: nn.Conv2d(3, 5, 3, padding=1))
    assert peak_memory(layer, (4, 6)) == LR + 5 * LR // 3
    bias = layer.get_parameter("bias")
    viewed = on_meta(lambda: Calls(lambda x: x * bias[:3].view(1, 3, 1, 1), layer))
    assert peak_memory(viewed, (4, 6)) == 2 * LR


@pytest.mark.parametrize("name", ["lffn-s", "maffsrn"])
def test_meta_device_frees_as_the_cpu_does(name: str) -> None:
    computed = create_model(name, scale=2).eval()
    shapes = on_meta(lambda: create_model(name, scale=2))
    assert peak_memory(computed, (20, 24)) == peak_memory(shapes, (20, 24))


# ------------------------------------------------------------------------------ receptive field


def of_layers(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers).eval()


def convolution(
    height: int,
    width: int = 0,
    *,
    features: int = 3,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Conv2d:
    """Of that kernel, square unless there is a width, over 3 features; padded to keep the size."""
    sides = (height, width or height)
    padding = (sides[0] // 2 * dilation, sides[1] // 2 * dilation)
    return nn.Conv2d(3, features, sides, stride, padding, dilation, groups)


def enlarge(scale: int, mode: str = "nearest") -> nn.Module:
    return nn.Upsample(scale_factor=scale, mode=mode)


def layer_norm(x: Tensor) -> Tensor:
    return F.layer_norm(x.permute(0, 2, 3, 1), (3,)).permute(0, 3, 1, 2)


class Eights(nn.Module):
    """A linear layer over eight columns at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(x.unflatten(3, (-1, 8))).flatten(3)


class OneChannel(nn.Module):
    """The first channel looks further than the others and is dropped, which only a shuffle of the right
    channels after a convolution of the right groups shows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.far, self.near = convolution(9, groups=3), convolution(3, groups=3)
        self.alone = nn.Conv2d(6, 6, 1, groups=6)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.far(x)[:, :1], self.near(x)[:, 1:], x], 1)
        return ChannelShuffle(2)(self.alone(x))[:, 1:4]


@pytest.mark.parametrize(
    ("network", "side"),
    [
        (of_layers(nn.Conv2d(3, 3, 1)), 1),
        (of_layers(convolution(3), nn.PReLU(3), convolution(5)), 7),
        (of_layers(convolution(3, dilation=2), nn.GELU(), nn.BatchNorm2d(3)), 5),
        (of_layers(convolution(3, features=12), nn.PixelShuffle(2), convolution(3)), 4),
        (of_layers(nn.ConvTranspose2d(3, 3, 2, stride=2), convolution(3)), 2),
        (of_layers(convolution(3, stride=2), nn.ConvTranspose2d(3, 3, 2, stride=2)), 3),
        (of_layers(enlarge(2, "bilinear")), 2),
        (of_layers(enlarge(3, "bilinear"), convolution(5)), 3),  # 4, if a weight of 0 counted
        (of_layers(enlarge(2, "bicubic")), 4),
        (of_layers(nn.MaxPool2d(4, 4), enlarge(4)), 4),
        (of_layers(nn.ReplicationPad2d(2), nn.Conv2d(3, 3, 5)), 5),
        (of_layers(convolution(3), Calls(layer_norm)), 3),
        (of_layers(Eights()), 8),
        (of_layers(OneChannel()), 3),
        (of_layers(convolution(3, dilation=500)), 1001),  # the first strip is too short for it
        (create_model("bicubic", scale=3), 4),
    ],
)
def test_field_by_hand(network: nn.Module, side: int) -> None:
    assert receptive_field(network, smallest=8) == (side, side)


def test_field_that_is_no_square() -> None:
    assert receptive_field(of_layers(convolution(3, 5), convolution(5, 9))) == (7, 13)


def test_field_that_changes_over_the_image() -> None:
    """383 cells of 3 columns, one every 2, are shown at 764 columns. A column and the next but one,
    which the convolution joins, are 1.003 cells apart: nearly everywhere one, at few places two.
    """
    shown = Calls(lambda x: F.interpolate(x, (8, 764)))
    network = of_layers(nn.MaxPool2d(3, 2), shown, convolution(3))
    assert receptive_field(network, smallest=8) == (2 * 2 + 3, 2 * 2 + 3)


def test_fields_of_networks_by_hand() -> None:
    """The convolutions one after the other: their radii, twice, and the pixel itself."""
    fields = {(row["model"], row["scale"]): row["receptive_field"][0] for row in GOLDEN["networks"]}
    for scale in SCALES:
        assert fields["lffn", scale] == fields["lffn-nf", scale] == 2 * (1 + 15 * 4 * 3) + 1
        assert fields["lffn-s", scale] == 2 * (1 + 4 * 4 * 3) + 1
        assert fields["lffn-ns", scale] == 2 * (1 + 15 * 4 * 2) + 1
    # Head, eight blocks, upsampler; the last convolutions see 2 or 3 LR pixels through their shuffles.
    trunk = 2 * (1 + 8 * (2 + 2) + 1)
    assert [fields["mlrn", scale] for scale in SCALES] == [trunk + 2, trunk + 2, trunk + 3]


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "scale"),
    [
        *(("lffn-s", 2), ("msfin-s", 2), ("mlrn", 4)),
        *(
            pytest.param(name, scale, marks=pytest.mark.slow)
            for name, scale in (("msfin-s", 4), ("mlrn", 2), ("maffsrn", 2), ("osffnet", 2))
        ),
    ],
)
def test_nan_arrives_from_the_ends_of_a_field_and_never_from_outside(name: str, scale: int) -> None:
    """The same by arithmetic: columns of LR become NaN, and NaN spreads wherever values are used."""
    network = create_model(name, scale=scale).eval()
    side = MODELS[name].smallest + 3
    side, length = side - side % 4, 1536 if name in ("maffsrn", "osffnet") else 768
    places = torch.arange(float(length)).expand(1, 3, side, -1)
    with footprint._statistics_held(network):
        last, minus_first = network(Reach(torch.cat([places, -places]))).reach.amax(1)[:, side]
    for module in network.modules():
        if isinstance(module, GlobalStatistic):
            module.register_forward_hook(lambda module, inputs, output: output.nan_to_num())
    for place in (scale * length // 2, scale * length // 2 + 5):
        first, end = -int(minus_first[place]), int(last[place])
        lr = torch.rand(3, 3, side, length)
        lr[0, :, :, first] = lr[1, :, :, end] = torch.nan
        lr[2, :, :, :first] = lr[2, :, :, end + 1 :] = torch.nan
        found = network(lr)[:, :, side, place].isnan().any(1)
        assert found.tolist() == [True, True, False]


def test_statistics_are_held_and_released() -> None:
    near = convolution(3)
    network = of_layers(near, ChannelAttention(3, 2, Contrast))
    before = network(torch.ones(1, 3, 4, 4))
    assert receptive_field(network) == (3, 3)
    assert torch.equal(network(torch.ones(1, 3, 4, 4)), before)
    assert [is_global(net) for net in (network, near)] == [True, False]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x - x.mean((2, 3), keepdim=True), "make it a GlobalStatistic"),
        (lambda x: (x + 1).relu_(), "relu_"),  # would have to change what views hold
        (lambda x: F.pad(x, (1, 1)), "constant_pad_nd"),  # its 0 is no column
        (lambda x: torch.softmax(x, 1), "_softmax"),
    ],
)
def test_operators_without_a_rule(function: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(NotImplementedError, match=message):
        receptive_field(Calls(function))


def test_a_field_beyond_all_strips() -> None:
    with pytest.raises(NotImplementedError, match="longer than 3072"):
        receptive_field(of_layers(convolution(3, dilation=2000)))


# --------------------------------------------------------------------------------- command line


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["complexity", *map(str, arguments)])
    recipe.main()


def test_a_figure_that_is_not_met_has_a_star(capsys: pytest.CaptureFixture[str]) -> None:
    figures = (
        Figure(418_774, 418_000, 1000, cut=True),
        Figure(34_257_000_000, 34_200_000_000, 100_000_000),
    )
    counts = Counts(418_774, 39_861_000_000, *figures)
    recipe.print_networks([Complexity("maffsrn", 3, counts, 156_222_720, (681, 683), True)])
    shown = capsys.readouterr().out.splitlines()
    assert shown[2].split() == [
        *("maffsrn", "x3", "418,774", "418,774", "418K", "=", "39.861", "34.257", "34.2", "+0.1*"),
        *("156.2", "681x683+", "13", "1"),
    ]
    assert shown[3].startswith("* maffsrn x3: ")

    counts = Counts(363_482, 77_460_000_000, Figure(363_482, 364_000, 1000, cut=True), figures[1])
    recipe.print_settings([row for row in ABLATIONS if row.setting == "CEA"], [counts])
    shown = capsys.readouterr().out.splitlines()
    assert shown[2].split()[:8] == ["maffsrn", "Table", "1", "CEA", "x2", "363,482", "364K", "-1*"]
    assert shown[3].startswith("* maffsrn, Table 1, CEA: ")


def test_readings_and_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(monkeypatch, "--model", "mlrn", "--scale", "2", "--json", tmp_path / "counts.json")
    shown = capsys.readouterr().out
    assert all(f"{name} " in shown for name in READINGS)
    assert "MLRN cannot be checked" in shown
    assert json.loads((tmp_path / "counts.json").read_text()) == [
        {
            "model": "mlrn",
            "scale": 2,
            "params": 936_131,
            "params_paper_rule": 936_131,
            "macs": 215_691_264_000,
            "macs_paper_rule": 215_691_264_000,
            "paper": {"params": None, "macs": None},
            "difference": {"params": None, "macs": None},
            "lr_size": [360, 640],
            "peak_memory": 563_097_600,
            "receptive_field": [70, 70],
            "global": False,
            "smallest": 1,
            "lr_multiple": 1,
        }
    ]


def test_plot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn: list[tuple[Path, int]] = []
    monkeypatch.setattr(recipe, "tradeoff", lambda path, *, scale: drawn.append((path, scale)))
    run(monkeypatch, "--model", "bicubic", "--plot", tmp_path / "a.svg")
    run(monkeypatch, "--model", "bicubic", "--scale", "2", "--plot", tmp_path / "b.svg")
    assert drawn == [(tmp_path / "a.svg", 4), (tmp_path / "b.svg", 2)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "lffn_s"], "Did you mean 'lffn-s'"),
        (["--scale", "0"], "Known scales"),
        (["--scale", "5"], "Known scales"),
    ],
)
def test_mistakes(monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(monkeypatch, *arguments)
