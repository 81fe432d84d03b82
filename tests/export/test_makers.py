"""Our networks in other makers' runtimes: they compute the network, int8 is int8, failures are said."""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from edgesr import checkpoint as checkpoints
from edgesr.data.drawn import drawn_pairs
from edgesr.engines import describe
from export import bench, executorch, makers, mobile, peers, pipeline
from export.makers import MAKERS, Maker, Order
from export.pipeline import Request, export

TILE = (16, 20)
FIRST = {"ONNX Runtime fp32": 1e-5, "ONNX Runtime int8": 0.3}
"""What is tested everywhere, and how far it may be from the float network."""
OTHERS = {"ncnn fp32": 1e-4, "ncnn fp16": 5e-3, "OpenVINO fp32": 1e-5, "OpenVINO fp16": 5e-3}
OTHERS |= {"OpenVINO int8": 0.3}
REASON = "NNCF 3.4.0: cannot reshape array of size 3 into shape (1,1,1,1)"
STUCK = {"OpenVINO int8": pytest.mark.xfail(raises=ValueError, strict=True, reason=REASON)}


@pytest.fixture
def network(small_networks: dict[str, Callable[[int], nn.Module]]) -> nn.Module:
    """Its SR is in range: an exploding output says nothing of int8."""
    built = small_networks["lffn-s"](2).eval()
    with torch.no_grad():
        built.get_parameter("last.weight").mul_(0.05)
    return built


@pytest.fixture
def order(network: nn.Module, tmp_path: Path) -> Order:
    return Order(network, makers.calibration(2, TILE)[:6], 1, tmp_path)


@pytest.mark.slow
def test_onnx_runtime_computes_the_network_and_int8_is_int8(order: Order) -> None:
    import onnx

    off = {name: check(name, order, near) for name, near in FIRST.items()}
    assert off["ONNX Runtime int8"] > 100 * off["ONNX Runtime fp32"]
    graph = onnx.load(order.folder / "int8.onnx").graph
    held = {each.name: each for each in graph.initializer}
    kernel, scales = held["head.weight_quantized"], held["head.weight_scale"]
    assert kernel.data_type == onnx.TensorProto.INT8
    assert list(scales.dims) == list(kernel.dims)[:1] == [12], "one scale for each channel"
    kinds = Counter(node.op_type for node in graph.node)
    int8 = sum(each.data_type == onnx.TensorProto.INT8 and len(each.dims) == 4 for each in held.values())
    assert int8 >= kinds["Conv"] > 10
    assert kinds["QuantizeLinear"] >= kinds["Conv"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=STUCK.get(name, ())) for name in OTHERS])
def test_the_others_compute_the_network(name: str, order: Order) -> None:
    for package in MAKERS[name].packages:
        pytest.importorskip(package, reason=f"needs {package}: pip install 'edgesr[peers]'")
    check(name, order, OTHERS[name])


def check(name: str, order: Order, near: float) -> float:
    """How far a maker's form is from the network, on an image and on another than it was made for."""
    upscale, files = MAKERS[name].make(order)
    assert all(file.stat().st_size > 1000 for file in files)
    lrs = [order.images[0], makers.calibration(2, TILE)[-1]]
    with torch.no_grad():
        srs = [upscale(lr) for lr in lrs]
        off = max((sr - order.network(lr)).abs().max().item() for sr, lr in zip(srs, lrs, strict=True))
    assert [sr.shape for sr in srs] == [(1, 3, 32, 40)] * 2
    assert 0 < off < near
    return off


def test_every_runtime_of_the_issue_is_tested() -> None:
    assert {*FIRST, *OTHERS, "ncnn int8"} == set(MAKERS)


def test_what_fails_is_said_and_the_rest_goes_on(
    network: nn.Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(order: Order) -> None:
        raise KeyError("aten::roll")

    def talks(order: Order) -> tuple[nn.Module, list[Path]]:
        sys.stdout.write("converting, converted\n")
        (order.folder / "weights").write_bytes(bytes(7))
        return order.network, [order.folder / "weights"]

    def lies(order: Order) -> tuple[Callable[[torch.Tensor], torch.Tensor], list[Path]]:
        return lambda lr: order.network(lr) + 0.002, []

    table = {
        "absent": Maker(("no_such_package", "torch"), fails),  # pyright: ignore
        "failing": Maker((), fails),  # pyright: ignore
        "ncnn int8": MAKERS["ncnn int8"],
        "exact": Maker(("torch",), talks, exact=True),
        "lying": Maker((), lies, exact=True),
        "rounding": Maker((), lies),
    }
    monkeypatch.setattr(makers, "MAKERS", table)
    absent, failing, ncnn, exact, lying, rounding = makers.make_all(
        Order(network, [torch.rand(1, 3, *TILE)], 1, tmp_path)
    )
    assert absent == "absent is left out, for want of no_such_package: pip install 'edgesr[peers]'"
    assert failing == "failing is left out: KeyError: 'aten::roll'"
    assert str(ncnn).startswith("ncnn int8 is left out: the programs that calibrate")
    assert not isinstance(exact, str)
    assert (exact.name, exact.bytes, exact.off, exact.warning) == ("exact", 7, 0, None)
    assert not isinstance(lying, str)
    assert lying.warning == "lying computes something else: up to 0.002 from our float network."
    assert not isinstance(rounding, str)
    assert rounding.warning is None
    assert capsys.readouterr().out == "", "standard output is for the table"


def test_images_to_calibrate_on_are_tiles() -> None:
    images = makers.calibration(3, (8, 12))
    assert {tuple(image.shape) for image in images} == {(1, 3, 8, 12)}
    assert len({image.sum().item() for image in images}) == len(images) == makers.CALIBRATED_ON
    assert all(0 <= image.min() < image.max() <= 1 for image in images)


def test_the_float_checkpoint_behind_a_file(
    float_checkpoint: Path, qat_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {
        "model": "lffn-s",
        "scale": 2,
        "scheme": "w8a8",
        "tile": [16, 20],
        "overlap": 4,
        "multiple": 1,
    }
    digest = {path: checkpoints.load(path).sha256 for path in (float_checkpoint, qat_checkpoint)}

    def origin(sha256: str | None) -> str | None:
        file = describe(Path("x.pte"), facts | {"checkpoint_sha256": sha256}, lambda lr: lr)
        found = peers._origin(file)
        return None if found is None else found.sha256

    monkeypatch.chdir(tmp_path)
    assert origin(digest[qat_checkpoint]) is None, "neither bundled nor in ./runs"
    runs = tmp_path / "runs"
    _move(qat_checkpoint, runs)
    assert origin(digest[qat_checkpoint]) is None, "its parent is not at hand"
    _move(float_checkpoint, runs)
    assert origin(digest[qat_checkpoint]) == digest[float_checkpoint]
    assert origin(digest[float_checkpoint]) == digest[float_checkpoint]


def _move(checkpoint: Path, runs: Path) -> None:
    for file in checkpoints.paths(checkpoint):
        (runs / file.stem).mkdir(parents=True, exist_ok=True)
        shutil.move(file, runs / file.stem / f"checkpoint{file.suffix}")


@pytest.mark.slow
def test_our_file_beside_its_network_elsewhere(
    float_checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One table: the same images in the same tiles, so the same dB where the same is computed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pipeline, "peak_rss", lambda path: None)  # takes a process of its own
    monkeypatch.setattr(peers, "PEERS", {"ABPN-like": mobile.PEERS["ABPN-like"]})
    monkeypatch.setattr(makers, "MAKERS", {name: MAKERS[name] for name in [*FIRST, "ncnn int8"]})
    _move(float_checkpoint, tmp_path / "runs")
    checkpoint = checkpoints.load(tmp_path / "runs" / float_checkpoint.stem / "checkpoint")
    file = export(executorch, Request(checkpoint, TILE, 4, tmp_path, [], None), say=print)
    (tmp_path / "Drawn" / "HR").mkdir(parents=True)
    Image.fromarray(next(drawn_pairs(2, 1)).hr).save(tmp_path / "Drawn" / "HR" / "one.png")
    options = ["--runs", "2", "--benchmark", "Drawn", "--json", "out.json"]
    monkeypatch.setattr(sys, "argv", ["export.bench", str(file), "--peers", *options])
    bench.main()
    content = json.loads((tmp_path / "out.json").read_text())
    rows = {row["name"]: row for row in content["contenders"]}
    psnr = {name: row["psnr_db"].get("Drawn") for name, row in rows.items()}
    ours, float_, int8 = file.name, "lffn-s ONNX Runtime fp32", "lffn-s ONNX Runtime int8"
    assert set(rows) == {ours, "ABPN-like_x2_fp32.pte", "lffn-s PyTorch fp32", float_, int8}
    assert psnr["lffn-s PyTorch fp32"] == pytest.approx(psnr[ours], abs=0.01)
    assert psnr[float_] == pytest.approx(psnr[ours], abs=0.01)
    assert 0.001 < abs(psnr[int8] - psnr[ours]) < 3
    assert rows[float_]["off"] < 1e-5 < rows[int8]["off"]
    assert len(rows[int8]["runs_ms"]) == 2
    assert content["versions"]["onnxruntime"] == "1.32.0"
    (note,) = content["notes"]
    assert note.startswith("lffn-s ncnn int8 is left out")
    printed = capsys.readouterr().out
    assert note in printed
    assert f"{psnr[int8]:.3f}" in printed
