"""`recipes.sensitivity` as a user calls it, and what stands behind its numbers."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchao.quantization.pt2e import FakeQuantize, enable_observer

from edgesr import checkpoint as checkpoints
from edgesr import weights
from edgesr.checkpoint import Checkpoint
from edgesr.data.benchmarks import Pair
from edgesr.data.drawn import drawn_images
from edgesr.errors import UserError
from edgesr.metrics import evaluate
from edgesr.models import MODELS, create_model
from edgesr.quantization import find_scheme, pt2e
from edgesr.quantization.edge_form import edge_form
from edgesr.quantization.fake_quantizers import fake_quantizers
from edgesr.quantization.sensitivity import Effect, Probe, Sensitivity, measure
from recipes import sensitivity
from recipes.sensitivity_report import by_noise, gained, share_of

PATCH = 12
SMALL = ["--images", "2", "--patch", PATCH, "--holdout", "2", "--device", "cpu", "--threads", "1"]


@pytest.fixture(scope="module")
def model(small_networks: dict[str, Callable[[int], nn.Module]]) -> Iterator[nn.Module]:
    """A small LFFN-S, which is what `lffn-s` stands for meanwhile, with its SR in range."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "lffn-s", replace(MODELS["lffn-s"], build=small_networks["lffn-s"]))
        torch.manual_seed(0)
        network = create_model("lffn-s", scale=2).eval()
        with torch.no_grad():
            network.get_parameter("last.weight").mul_(0.1)
        yield network


@pytest.fixture(scope="module")
def qat(model: nn.Module) -> Checkpoint:
    """Its fake-quantized graph, with the ranges of one batch."""
    graph = pt2e.prepare(model, find_scheme("w8a8"), (2, 3, PATCH, PATCH))
    lr = batch()[0].float() / 255
    with torch.no_grad():
        graph(lr)
    pt2e.freeze(graph, lr)
    return Checkpoint("lffn-s", 2, "w8a8", graph.state_dict())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images, just large enough for a patch of recipes.qat."""
    images = tmp_path / "images"
    images.mkdir()
    for number, image in enumerate(drawn_images(6, 64)):
        Image.fromarray(image).save(images / f"{number}.png")
    return images


def batch() -> tuple[Tensor, Tensor]:
    """Two patches: LR (2,3,12,12) and HR (2,3,24,24), uint8."""
    pairs = [Pair("", image[::2, ::2], image) for image in drawn_images(2, 2 * PATCH)]
    return sensitivity.patches(pairs, 2, 2, PATCH)


def probed(qat: Checkpoint) -> Probe:
    lr, hr = batch()
    return Probe(pt2e.fake_quantized(qat, (1, 3, PATCH, PATCH)), lr.float() / 255, hr, 2)


def measured(probe: Probe, *, leave_out: bool = False) -> Sensitivity:
    return measure(probe, leave_out=leave_out, on_row=lambda name: None)


def here(monkeypatch: pytest.MonkeyPatch, *options: object) -> None:
    monkeypatch.setattr(sys, "argv", ["sensitivity", *map(str, options)])
    sensitivity.main()


def test_each_fake_quantizer_once_by_a_name_of_its_own(small: str) -> None:
    side = max(16, MODELS[small].smallest)
    graph = pt2e.prepare(create_model(small, scale=2), find_scheme("w8a8"), (1, 3, side, side))
    found = fake_quantizers(graph)
    instances = {module for module in graph.modules() if isinstance(module, FakeQuantize)}
    assert len(found) == len(instances) > 20
    assert {quantizer.module for quantizer in found} == instances
    assert len({quantizer.name for quantizer in found}) == len(found)
    calls = [node for node in graph.graph.nodes if str(node.target).startswith("activation_post")]
    assert sum(len(quantizer.places) for quantizer in found) == len(calls)
    assert found[0].name == "input"
    convolutions = [m for m in graph.graph.nodes if str(m.target).startswith("aten.conv")]
    assert 0 < sum(quantizer.is_weight for quantizer in found) <= len(convolutions)


def test_names_are_of_the_edge_form_in_network_order(qat: Checkpoint) -> None:
    found = {quantizer.name: quantizer for quantizer in probed(qat).quantizers}
    block = "body.0.blocks.0"
    first = [f"{block}.expand weight", f"{block}.expand output", f"{block}.shrink weight"]
    assert [name for name in found if name in first] == first
    concatenated = found["body.0 output 1"]
    assert concatenated.kind == "cat"
    assert f"{block} output" in concatenated.places
    assert f"{block} output" not in found


def test_a_module_with_more_than_half_of_all_is_taken_apart(qat: Checkpoint) -> None:
    blocks = [quantizer.block for quantizer in probed(qat).quantizers]
    assert {"(network)", "head", "body.0", "body.1"} <= set(blocks)
    assert max(map(blocks.count, blocks)) <= len(blocks) / 2


@torch.no_grad()
def test_all_off_is_the_float_edge_form(model: nn.Module, qat: Checkpoint) -> None:
    probe = probed(qat)
    edge = edge_form(model, (PATCH, PATCH))
    expected = torch.cat([edge(image) for image in probe.lr.split(1)]).clamp(0, 1)
    assert (probe.reference - expected).abs().max() == 0.0
    assert probe.effect([]) == Effect(0.0, 0.0)


@torch.no_grad()
def test_all_on_is_the_graph_as_deployed(qat: Checkpoint) -> None:
    probe = probed(qat)
    effect = probe.effect(probe.quantizers)
    deployed = torch.cat([probe.graph(image) for image in probe.lr.split(1)]).clamp(0, 1)
    expected = ((deployed - probe.reference) * 255).square().mean().item()
    assert effect.noise == pytest.approx(expected, rel=1e-4)
    assert effect.noise > 0.01


def test_lost_is_psnr_as_evaluate_scores_it(qat: Checkpoint) -> None:
    graph = pt2e.fake_quantized(qat, (1, 3, 24, 24))
    (image,) = drawn_images(1, 48)
    lr, hr = sensitivity.patches([Pair("", image[::2, ::2], image)], 2, 1, 24)
    probe = Probe(graph, lr.float() / 255, hr, 2)
    effect = probe.effect(probe.quantizers)
    pair = Pair("one", lr[0].permute(1, 2, 0).numpy(), hr[0].permute(1, 2, 0).numpy())
    scored = evaluate(graph, [pair], 2).psnr
    assert probe.psnr - effect.lost == pytest.approx(scored, abs=1e-9)
    assert effect.lost != 0


def test_a_coarse_scale_comes_out_first(qat: Checkpoint) -> None:
    probe = probed(qat)
    name = "body.1.blocks.0.shrink output"
    assert by_noise(measured(probe))[0].name != name
    own = next(quantizer for quantizer in probe.quantizers if quantizer.name == name)
    own.module.scale.mul_(100)
    found = measured(probe, leave_out=True)
    assert by_noise(found)[0].name == name
    assert share_of(found)[name] > 0.5
    rests = {row.name: gained(found, row.rest).noise for row in found.singles if row.rest}
    assert max(rests, key=lambda key: rests[key]) == name
    assert len(rests) == len(found.singles)


def test_bits_are_those_that_the_values_fill(qat: Checkpoint) -> None:
    probe = probed(qat)
    bits = {quantizer.name: value for quantizer, value in probe.bits.items()}
    # the graph's ranges were learned from these very patches
    assert 7.9 < bits["body.0.blocks.0.expand output"] < 8.1
    assert 6.5 < bits["body.0.blocks.0.expand weight"] < 8.0  # symmetric: one side may be empty


def test_nothing_moves_though_observers_were_on(qat: Checkpoint) -> None:
    graph = pt2e.fake_quantized(qat, (1, 3, PATCH, PATCH))
    before = {name: tensor.clone() for name, tensor in graph.state_dict().items()}
    graph.apply(enable_observer)
    lr, hr = batch()
    measured(Probe(graph, (lr.float() / 255) ** 2, hr, 2))  # other ranges than it has learned
    after = graph.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_groups_cover_everything(qat: Checkpoint) -> None:
    probe = probed(qat)
    members = {row.name: row.members for row in measured(probe).groups}
    everything = set(probe.quantizers)
    assert set(members["all"]) == everything
    assert set(members["weights"]) | set(members["activations"]) == everything
    for prefix, whole in (("from ", "activations"), ("in ", "all")):
        parts = [quantizer for name in members if name.startswith(prefix) for quantizer in members[name]]
        assert len(parts) == len(members[whole])
        assert set(parts) == set(members[whole])
    assert {"from conv2d", "from cat", "from input", "in body.0", "in body.1"} <= members.keys()


def test_a_float_checkpoint_with_json_and_plot(
    monkeypatch, capsys, model: nn.Module, folder: Path, tmp_path: Path
) -> None:
    path = checkpoints.save(Checkpoint("lffn-s", 2, None, model.state_dict()), tmp_path / "float")
    before = [file.read_bytes() for file in checkpoints.paths(path)]
    out, picture = tmp_path / "out.json", tmp_path / "new" / "out.svg"
    options = ["--checkpoint", path, "--data", folder, "--json", out, "--plot", picture, "--without"]
    here(monkeypatch, *options, "--top", 3, *SMALL)
    assert [file.read_bytes() for file in checkpoints.paths(path)] == before

    content = json.loads(out.read_text())
    rows = content["quantizers"]
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert all({"noise", "lost", "step", "bits", "places", "gained"} <= row.keys() for row in rows)
    assert content["groups"][0]["name"] == "all"
    assert len(content["groups"][0]["members"]) == len(rows)
    assert content["origin"]["data"] == ["images"]
    assert str(tmp_path) not in json.dumps(content)

    shown = capsys.readouterr().out
    assert f"lffn-s x2 w8a8: {len(rows)} quantizers, 2 patches of 12x12 LR pixels" in shown
    ranked = sorted(rows, key=lambda row: -row["noise"])
    lines = zip(ranked[:3], shown.splitlines()[-3:], strict=True)
    assert all(line.startswith(f"{rank:<4}{row['name']} ") for rank, (row, line) in enumerate(lines, 1))
    svg = picture.read_text(encoding="utf-8")
    assert all(f"<!-- {text} -->" in svg for text in ("conv2d", "weight", "body.0", "10"))


def test_a_qat_checkpoint_is_taken_as_it_is(
    monkeypatch, capsys, qat: Checkpoint, folder: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    checkpoints.save(qat, weights.path("lffn-s", 2, "w8a8"))
    out = tmp_path / "out.json"
    here(monkeypatch, "--model", "lffn-s", "--scale", 2, "--data", folder, "--json", out, *SMALL)
    assert "calibrating" not in capsys.readouterr().err
    steps = {row["name"]: row["step"] for row in json.loads(out.read_text())["quantizers"]}
    assert steps == {quantizer.name: quantizer.step for quantizer in probed(qat).quantizers}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "neither came"),
        (["--checkpoint", "CKPT", "--model", "lffn-s"], "both came"),
        (["--checkpoint", "CKPT", "--images", "0"], "--images is 0; it must be 1 or more"),
        (["--checkpoint", "CKPT", "--top", "0"], "--top is 0"),
        (["--checkpoint", "CKPT", "--patch", "7"], "--patch is 7; it must be 8 or more"),
        (["--checkpoint", "CKPT", "--plot", "a.pdf"], "must end in .svg or .png"),
        (["--checkpoint", "CKPT", "--scale", "4"], "is of scale 2"),
        (["--checkpoint", "CKPT", "--scheme", "w4a4"], "is of scheme w8a8"),
        (
            ["--checkpoint", "CKPT", "--data", "IMAGES", "--patch", "40", "--holdout", "2"],
            "None of the 2 images held out is as large as a patch of 40x40 LR pixels",
        ),
        (["--checkpoint", "CKPT", "--data", "IMAGES", "--holdout", "9"], "leaves none of the 6"),
        (["--checkpoint", "nowhere"], "two files"),
        (["--model", "mlrn", "--scale", "3"], "No w8a8 weights of mlrn x3 come with edgesr"),
        (["--model", "bicubic"], "no parameters"),
        (["--model", "msfin-x"], "Did you mean"),
    ],
)
def test_mistakes(
    monkeypatch, qat: Checkpoint, folder: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    path = checkpoints.save(qat, tmp_path / "qat")
    given = {"CKPT": path, "IMAGES": folder}
    with pytest.raises(UserError, match=message):
        here(monkeypatch, *(given.get(option, option) for option in options))


def test_a_benchmark_is_refused(monkeypatch, qat: Checkpoint, folder: Path, tmp_path: Path) -> None:
    path = checkpoints.save(qat, tmp_path / "qat")
    with pytest.raises(UserError, match="for scoring only"):
        here(monkeypatch, "--checkpoint", path, "--data", folder.rename(tmp_path / "Set5"), *SMALL)


def test_without_matplotlib_it_says_so_before_it_measures(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match="pip install"):
        here(monkeypatch, "--checkpoint", "nowhere", "--plot", tmp_path / "a.svg")


def test_patches_come_from_each_image_in_turn() -> None:
    grey = np.full((32, 32, 1), 7, np.uint8)
    pairs = [Pair("", grey[::2, ::2], grey), Pair("", grey[::2, ::2], grey + 50)]
    lr, hr = sensitivity.patches(pairs, 2, 3, 8)
    assert (lr.shape, hr.shape) == ((3, 3, 8, 8), (3, 3, 16, 16))
    assert [int(image.float().mean()) for image in hr] == [7, 57, 7]
