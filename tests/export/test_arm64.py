"""The check on ARM64: real files pass it on four CPU models, planted faults do not."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import GraphModule

from edgesr import authors
from edgesr.checkpoint import Checkpoint
from edgesr.data.benchmarks import Pair, load_benchmark
from edgesr.data.drawn import drawn_pairs
from edgesr.data.images import to_tensor
from edgesr.engines import SUFFIXES, open_artifact
from edgesr.errors import UserError
from edgesr.models import MODELS
from edgesr.models.blocks import ChannelAttention, Enlarge
from edgesr.quantization import find_scheme, pt2e
from edgesr.quantization.edge_form import portable
from export import arm64, executorch, tflite, verify
from export.arm64 import APPROXIMATED, EXACT, FLOAT, ROUNDED, SPREAD, Difference, bound_of
from export.choose import FP32
from export.native import build
from export.native.build import Bundle
from export.report import Census
from export.target import Target

TILE = (16, 16)
REAL = [(model, scheme) for model in ("lffn-s", "msfin-s") for scheme in ("w8a8", FP32)]

NEIGHBOUR = """\
import subprocess, sys
tiles = []
while tile := sys.stdin.buffer.read({lr}):
    tiles.append(tile)
    command = [{runner!r}, sys.argv[1]]
    done = subprocess.run(command, input=tiles[max(0, len(tiles) - 2)], stdout=-1, check=True)
    sys.stdout.buffer.write(done.stdout)
    sys.stdout.flush()
"""
"""A runner that returns, from the second tile on, the SR of the one before."""
WRONG = """\
import os, subprocess, sys
ran = subprocess.Popen([{qemu!r}, *sys.argv[1:]], stdout=-1)
while some := os.read(ran.stdout.fileno(), 4096):
    os.write(1, bytes([some[0] ^ 1]) + some[1:])
"""
"""An emulator whose programs write other bits now and then."""


def verified(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    """`python -m export.verify …` in this process."""
    monkeypatch.setattr(sys, "argv", ["export.verify", *map(str, arguments)])
    verify.main()


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    """The exported file and its report where they may be damaged."""
    return copy_of(exported, tmp_path)


def copy_of(exported: Path, folder: Path) -> Path:
    for path in (exported, exported.with_name(f"{exported.name}.report.json")):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder / exported.name


@pytest.mark.arm64
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["exported", "exported_tflite"])
def test_every_cpu_computes_what_the_host_computes(
    kind: str,
    request: pytest.FixtureRequest,
    qemu: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also integers to the bit: no file is looked at before the CPU computed those rightly."""
    out, file = tmp_path / "verified.json", request.getfixturevalue(kind)
    verified(monkeypatch, file, "--arm64", "--tiles", "1", "--json", out, "--qemu", qemu)
    found = json.loads(out.read_text())
    assert found["arm64"]["passed"]
    assert list(found["arm64"]["cpus"]) == list(arm64.CPUS)
    for cpu in found["arm64"]["cpus"].values():
        assert cpu["values"] == 2 * 3 * 32 * 40  # a tile of each of two images
        assert cpu["differing_bytes"] == 0


@pytest.mark.arm64
@pytest.mark.slow
@pytest.mark.parametrize(("model", "scheme"), REAL)
def test_full_size_networks(model: str, scheme: str, qemu: Path, shared: Path, tmp_path: Path) -> None:
    """LFFN-S and MSFIN-S x4 with their authors' weights, on a tile of Set5's butterfly."""
    path, (pair,) = tmp_path / "real.pte", _butterfly(shared)
    executorch.lower(_program(model, scheme, shared), _facts(model, scheme), path)
    artifact = open_artifact(path)
    tiles = arm64.tiles_of(artifact, [to_tensor(pair.lr)], 1)
    bound = bound_of(scheme, executorch.census(path))
    for cpu, found in arm64.compare(artifact, tiles, arm64.commands(qemu, path), lambda: None).items():
        assert found.failures(bound) == [], cpu


class Gated(nn.Module):
    """A gate of each of many heights, few outputs and an enlargement, as MSFIN's edge form has them."""

    def __init__(self) -> None:
        super().__init__()
        attention = ChannelAttention(32, 4)
        with torch.no_grad():
            attention.excite.bias = nn.Parameter(torch.linspace(-12, 12, 32))
        self.head, self.gate = nn.Conv2d(3, 32, 3, padding=1), portable.Attention(attention)
        self.tail = portable.Wide(nn.Conv2d(32, 3, 1))
        self.enlarge = portable.Bilinear(Enlarge("bilinear"), 4)

    def forward(self, x: Tensor) -> Tensor:
        """(N,3,16,16) → (N,3,64,64)."""
        return self.enlarge(self.tail(self.gate(self.head(x))), (64, 64))


@pytest.mark.arm64
@pytest.mark.slow
@pytest.mark.parametrize("target", [executorch, tflite])
def test_portable_operators_are_equal_to_the_bit(target: Target, qemu: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    path, lr = tmp_path / f"gated{SUFFIXES[target.NAME]}", torch.rand(1, 3, *TILE)
    facts = _facts("lffn-s", FP32) | tflite.chosen(FP32, {})
    graph = torch.export.export(Gated().eval(), (lr,)).module()
    assert isinstance(graph, GraphModule)
    pt2e.fold_padding(graph)
    target.lower(torch.export.export(graph, (lr,)), facts, path)
    counted = target.census(path)
    assert (counted.partitions, counted.outside) == (1, [])
    artifact = open_artifact(path, trusted=True)
    tiles = [(lr, artifact.upscale(lr).clone())]
    for cpu, found in arm64.compare(artifact, tiles, arm64.commands(qemu, path), lambda: None).items():
        assert found.differing_floats == 0, cpu


@pytest.mark.arm64
@pytest.mark.slow
def test_an_emulator_that_computes_integers_wrongly_is_refused(qemu: Path, tmp_path: Path) -> None:
    """As qemu 7.2 does on `max`: nothing tells but the numbers."""
    wrong = tmp_path / "qemu-aarch64"
    wrong.write_text(f"#!{sys.executable}\n" + WRONG.format(qemu=str(qemu)))
    wrong.chmod(0o755)
    with pytest.raises(UserError, match="max computes integers wrongly, so it proves nothing"):
        arm64.check_emulator(wrong, Path("any.pte"), ["max"])


@pytest.mark.parametrize("kind", ["exported", "exported_tflite"])
def test_a_runner_that_returns_the_neighbouring_tile_fails(
    kind: str, request: pytest.FixtureRequest, hosts: dict[str, Bundle], tmp_path: Path
) -> None:
    exported = request.getfixturevalue(kind)
    artifact, host = open_artifact(exported), hosts[exported.suffix]
    tiles = arm64.tiles_of(artifact, [to_tensor(pair.lr) for pair in drawn_pairs(2, 1)], 3)
    right = arm64.compare(artifact, tiles, {"host": host.start}, lambda: None)["host"]
    assert (right.differing_floats, right.values) == (0, 3 * 3 * 32 * 40)
    program = tmp_path / "neighbour.py"
    program.write_text(NEIGHBOUR.format(lr=4 * 3 * 16 * 20, runner=host.start[0]))
    start = {"host": [sys.executable, str(program)]}
    wrong = arm64.compare(artifact, tiles, start, lambda: None)["host"]
    for bound in (EXACT, FLOAT, ROUNDED, SPREAD):
        assert len(wrong.failures(bound)) == 3


@pytest.mark.parametrize("kind", ["exported", "exported_tflite"])
def test_a_damaged_artifact_fails(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = copy_of(request.getfixturevalue(kind), tmp_path)
    verified(monkeypatch, copied)
    content = bytearray(copied.read_bytes())
    content[len(content) // 2] ^= 1  # amid the weights, where it still runs
    copied.write_bytes(content)
    with pytest.raises(UserError, match="is not the file of its report"):
        verified(monkeypatch, copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda report: report["facts"].update(scale=4), "scale is 2 in the file and 4 in the report"),
        (lambda report: report["census"].update(int8_ops=1), "int8_ops is .* in the file and 1 in"),
        (lambda report: report["verdict"].update(passed=False), "failed its budget"),
        (lambda report: report.pop("census"), "is no report of ours"),
    ],
)
def test_a_report_that_does_not_fit_its_file(
    copied: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[dict[str, Any]], Any],
    message: str,
) -> None:
    path = copied.with_name(f"{copied.name}.report.json")
    report = json.loads(path.read_text())
    change(report)
    path.write_text(json.dumps(report))
    with pytest.raises(UserError, match=message):
        verified(monkeypatch, copied, "--json", copied.with_name("out.json"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tiles", "2"], "--tiles says how to check on ARM64: add --arm64"),
        (["--arm64", "--tiles", "-1"], "--tiles -1"),
        (["--arm64", "--images", "absent"], "absent does not exist"),
        (["--arm64", "--images", "a", "--benchmark", "b"], "not both"),
        (["--arm64", "--qemu", "old"], "old is version 7 of qemu, .* 10 or newer is needed"),
        (["--arm64", "--qemu", "mute"], "mute is version 0 of qemu, or none at all"),
        (["--arm64", "--qemu", "absent"], "absent cannot be started"),
    ],
)
def test_mistakes(
    copied: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    for name, said in (("old", "qemu-aarch64 version 7.2.22 (Debian 1:7.2)"), ("mute", "")):
        path = copied.with_name(name)
        path.write_text(f"#!/bin/sh\necho '{said}'\n")
        path.chmod(0o755)
    words = [str(copied.with_name(w)) if w in ("old", "mute", "absent") else w for w in arguments]
    monkeypatch.setattr(build, "arm64", lambda: pytest.fail("nothing is built"))
    with pytest.raises(UserError, match=message):
        verified(monkeypatch, copied, *words)


def test_an_artifact_without_a_report(exported: Path, tmp_path: Path, monkeypatch) -> None:
    alone = tmp_path / exported.name
    alone.write_bytes(exported.read_bytes())
    with pytest.raises(UserError, match="nothing says what it must be"):
        verified(monkeypatch, alone)


def test_bounds_by_what_a_file_computes_in_float() -> None:
    def census(*float_ops: str, outside: int = 0) -> Census:
        return Census(9, outside, 1, [], 5, list(float_ops), 0, 0)

    assert bound_of("fp32", census("Conv2d", "Sigmoid")) == FLOAT
    assert bound_of("int8", census("StaticReshape", "StaticTranspose", "DEPTH_TO_SPACE")) == EXACT
    assert bound_of("int8", census(outside=1)) == ROUNDED
    assert bound_of("w8a8", census("PReLU", "Add")) == ROUNDED
    for kind in APPROXIMATED:
        assert bound_of("w8a8", census("Add", kind)) == SPREAD


def test_differences_are_counted_in_floats_and_in_bytes() -> None:
    expected = torch.full((1, 3, 10, 10), 0.5)
    sr = expected.clone()
    sr[0, 0, 0, :4] += torch.tensor([1e-7, 2 / 255, -1 / 255, 0.0])
    found = Difference()
    found.add(sr, expected)
    found.add(expected, expected)
    assert (found.values, found.differing_floats) == (600, 3)
    assert (found.differing_bytes, found.max_levels) == (2, 2)
    assert found.fraction == 2 / 600
    assert found.failures(SPREAD) == []
    assert len(found.failures(ROUNDED)) == 3
    sr[0, 0, 5, 5] = torch.nan
    found.add(sr, expected)
    assert "a value is inf off" in found.failures(SPREAD)[0]


def test_tiles_are_spread_over_the_image(exported: Path) -> None:
    artifact, lr = open_artifact(exported), torch.rand(1, 3, 40, 60)
    every = arm64.tiles_of(artifact, [lr], 0)
    assert len(every) == 20
    two = arm64.tiles_of(artifact, [lr, lr], 2)
    assert len(two) == 4
    for (seen, sr), index in zip(two, (5, 15, 5, 15), strict=True):
        assert torch.equal(seen, every[index][0])
        assert torch.equal(sr, artifact.upscale(seen))


def _program(model: str, scheme: str, shared: Path) -> ExportedProgram:
    """The network at LR 16x16, quantized by one look at an image that the project draws."""
    file = f"{model.replace('-', '_')}_x4.authors.safetensors"
    state = authors.from_authors(model, 4, load_file(shared / "reference" / file))
    checkpoint = Checkpoint(model, 4, None, state)
    if scheme == FP32:
        return pt2e.float_program(checkpoint, (1, 3, *TILE))
    lr = to_tensor(next(drawn_pairs(4, 1, 4 * TILE[0])).lr)
    graph = pt2e.prepare(checkpoint.build_float(), find_scheme(scheme), (1, 3, *TILE))
    with torch.no_grad():
        graph(lr)
    pt2e.freeze(graph, lr)
    return torch.export.export(pt2e.convert(graph, fold_weights=executorch.FOLD_WEIGHTS), (lr,))


def _facts(model: str, scheme: str) -> dict[str, Any]:
    facts = {"model": model, "scale": 4, "scheme": scheme, "tile": list(TILE), "overlap": 4}
    return facts | {"multiple": MODELS[model].lr_multiple(4), "checkpoint_sha256": "none"}


def _butterfly(shared: Path) -> list[Pair]:
    pairs = load_benchmark(shared / "data/benchmark/Set5", 4)
    return [pair for pair in pairs if pair.name == "butterfly"]
