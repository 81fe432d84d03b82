"""The benchmark's table and JSON, what it lowers anew and what it refuses. Nothing here is timed."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from executorch.extension.pybindings import portable_lib
from torch import Tensor, nn
from torch.export import ExportedProgram

from edgesr.cli import Progress
from edgesr.engines import executorch as engine
from edgesr.errors import UserError
from export import bench, contenders, executorch
from export.contenders import COMPILED, EAGER, EDGE, INT8, ONNX, PUBLISHED, Entry

SIZE = (16, 20)
COMMIT = "c0ffee"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    """`python -m export.bench …` in this process, so that the tiny network is known."""
    monkeypatch.setattr(sys, "argv", ["export.bench", *map(str, arguments)])
    bench.main()


@pytest.fixture
def lowerings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The roles of the forms that were lowered, as they come; each is one that takes a second."""
    roles: list[str] = []

    def recorded(
        role: str, model: str, scale: int, size: tuple[int, int], scheme: str
    ) -> ExportedProgram:
        roles.append(role)
        network = nn.Sequential(nn.Conv2d(3, 12, 1), nn.PixelShuffle(2))
        return torch.export.export(network, (torch.rand(1, 3, *size),))

    monkeypatch.setattr(contenders, "program", recorded)
    return roles


@pytest.fixture
def facts_only(monkeypatch: pytest.MonkeyPatch, lowerings: list[str]) -> None:
    """Lowered files hold their facts and nothing else, which takes no time at all."""
    monkeypatch.setattr(
        executorch, "lower", lambda program, facts, path: path.write_text(json.dumps(facts))
    )
    monkeypatch.setattr(contenders, "try_out", lambda path: None)
    monkeypatch.setattr(contenders, "open_file", lambda path: (json.loads(path.read_text()), None))


def lower(out: Path, commit: str = COMMIT, size: tuple[int, int] = SIZE) -> Entry:
    return contenders.lowered("lffn-s", 2, size, "w8a8", out=out, commit=commit)


@pytest.mark.slow
def test_networks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tiny: None, tmp_path: Path
) -> None:
    """The forms as they are: lowered, run, profiled; all but int8 compute the same."""
    out, file = tmp_path / "out", tmp_path / "bench.json"
    options = ("--scale", "2", "--size", "16x20", "--runs", "3", "--out", out, "--json", file)
    run(monkeypatch, "--model", "lffn-s", *options, "--profile")
    (row,) = json.loads(file.read_text())["networks"]
    assert list(row["contenders"]) == [EAGER, PUBLISHED, EDGE, INT8]
    names = {role: row["contenders"][role]["file"] for role in (PUBLISHED, EDGE, INT8)}
    assert names == {
        PUBLISHED: "pte_fp32_published-lffn-s_x2_fp32_16x20.pte",
        EDGE: "pte_fp32_edge-lffn-s_x2_fp32_16x20.pte",
        INT8: "pte_int8_edge-lffn-s_x2_w8a8_16x20.pte",
    }
    assert sorted(path.name for path in out.iterdir()) == sorted(names.values())
    int8, shown = row["contenders"][INT8], capsys.readouterr().out
    assert (int8["partitions"], int8["ops_outside"], int8["outside"]) == (1, 0, [])
    assert int8["bytes"] == (out / names[INT8]).stat().st_size
    assert "lffn-s x2 16x20" in shown
    kinds = {kind["name"] for kind in row["profile"]}
    assert any("QS8" in name for name in kinds), "the profile is the int8 file's"
    assert all(name in shown for name in kinds)

    lr = torch.rand(1, 3, *SIZE)
    entry = Entry("lffn-s", 2, SIZE, {role: out / name for role, name in names.items()})
    with torch.no_grad():
        same = {role: upscale(lr) for role, upscale in entry.open().items()}
    assert torch.allclose(same[PUBLISHED], same[EAGER], atol=1e-4)
    assert torch.allclose(same[EDGE], same[EAGER], atol=1e-4)
    assert not torch.allclose(same[INT8], same[EAGER], atol=1e-4)


def test_artifact(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tiny: None,
    lowerings: list[str],
    tmp_path: Path,
) -> None:
    files = lower(tmp_path).files
    file = tmp_path / "b.json"
    run(monkeypatch, files[INT8], files[EDGE], "--runs", "2", "--json", file)
    content = json.loads(file.read_text())
    assert content["device"].startswith("host: ")
    assert (content["threads"], content["runs"]) == (1, 2)
    assert "torch" in content["versions"]
    assert len(content["commit"]) >= 7
    first, second = content["networks"]
    assert (first["model"], first["scale"], first["size"]) == ("lffn-s", 2, [16, 20])
    assert [list(row["contenders"]) for row in (first, second)] == [[EAGER, INT8], [EAGER, EDGE]]
    eager, int8 = first["contenders"][EAGER], first["contenders"][INT8]
    assert len(eager["runs_ms"]) == len(int8["runs_ms"]) == 2
    assert first["ratios"]["subject"] == INT8
    assert first["ratios"]["faster_than"] == {EAGER: eager["median_ms"] / int8["median_ms"]}
    assert first["profile"] is None
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "lffn-s x2" in line]
    assert [row.count("-") for row in rows] == [4, 4]  # two columns of ms, two of ratios


def test_contenders_take_turns() -> None:
    calls: list[str] = []
    shapes: set[tuple[int, ...]] = set()

    def named(name: str) -> Callable[[Tensor], Tensor]:
        def upscale(lr: Tensor) -> Tensor:
            assert not torch.is_grad_enabled()
            calls.append(name)
            shapes.add(tuple(lr.shape))
            return lr

        return upscale

    with Progress(3, "running", "round") as bar:
        timings = bench.race({"a": named("a"), "b": named("b")}, (4, 6), 2, bar)
    assert calls == ["a", "b"] * 3
    assert shapes == {(1, 3, 4, 6)}
    assert bar.done == 3
    assert {role: (len(t.wall), len(t.cpu)) for role, t in timings.items()} == {"a": (2, 2), "b": (2, 2)}


def test_files_are_used_again_by_the_same_clean_commit(
    monkeypatch: pytest.MonkeyPatch, facts_only: None, lowerings: list[str], tmp_path: Path
) -> None:
    roles = [PUBLISHED, EDGE, INT8]
    first = lower(tmp_path)
    assert list(first.files) == lowerings == roles
    again = lower(tmp_path)
    assert lowerings == roles
    assert again == first
    lower(tmp_path, commit=f"{COMMIT}-dirty")
    assert lowerings == 2 * roles, "for changed code"
    lower(tmp_path)
    assert lowerings == 3 * roles, "from changed code"
    lower(tmp_path, commit="decaf")
    assert lowerings == 4 * roles, "another commit's"
    lower(tmp_path)
    monkeypatch.setattr(contenders, "versions", lambda: {"torch": "another"})
    lower(tmp_path)
    assert lowerings == 6 * roles, "of other versions"


@pytest.mark.parametrize("commit", ["c0ffee-dirty", "unknown"])
def test_code_that_no_commit_names_lowers_every_time(
    facts_only: None, lowerings: list[str], tmp_path: Path, commit: str
) -> None:
    lower(tmp_path, commit)
    lower(tmp_path, commit)
    assert len(lowerings) == 6


def test_files_that_are_not_what_their_name_says(
    tiny: None, lowerings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = lower(tmp_path).files
    files[EDGE].write_bytes(files[PUBLISHED].read_bytes())
    files[INT8].write_bytes(files[INT8].read_bytes()[:100])
    lowerings.clear()
    lower(tmp_path)
    assert lowerings == [EDGE, INT8]

    def fails(*_: Any) -> None:
        raise RuntimeError("no")

    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(executorch, "lower", fails)
    with pytest.raises(RuntimeError, match="no"):
        lower(tmp_path, commit="decaf")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_threads_are_set_before_a_file_is_opened(
    monkeypatch: pytest.MonkeyPatch, tiny: None, lowerings: list[str], tmp_path: Path
) -> None:
    path, order = lower(tmp_path).files[INT8], []
    opened = bench.open_artifact
    monkeypatch.setattr(bench.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: order.append(("torch", n)))
    monkeypatch.setattr(engine, "use_threads", lambda n: order.append(("runtime", n)))
    monkeypatch.setattr(bench, "open_artifact", lambda p: order.append("open") or opened(p))
    run(monkeypatch, path, "--threads", "3", "--runs", "1")
    assert order == [("torch", 3), ("runtime", 3), "open"]


@pytest.mark.slow
def test_the_published_network_beside_itself(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tiny: None,
    lowerings: list[str],
    tmp_path: Path,
) -> None:
    """ONNX Runtime and torch.compile take turns with a file and compute the published network."""
    file, entry = tmp_path / "b.json", lower(tmp_path)
    monkeypatch.setattr(torch, "compile", lambda network: nn.Sequential(network))  # takes a minute
    beside, made = contenders.beside, {}
    monkeypatch.setattr(contenders, "beside", lambda *given: made.update(beside(*given)) or made)
    run(monkeypatch, entry.last, "--beside", *contenders.BESIDE, "--runs", "1", "--json", file)
    (row,) = json.loads(file.read_text())["networks"]
    assert list(row["contenders"]) == [COMPILED, ONNX, EAGER, INT8]
    assert set(row["ratios"]["faster_than"]) == {COMPILED, ONNX, EAGER}
    assert f"  {ONNX}: " in capsys.readouterr().out
    lr, network = torch.rand(1, 3, *SIZE), contenders.fresh("lffn-s", 2)
    with torch.no_grad():
        for role, upscale in made.items():
            assert torch.allclose(upscale(lr), network(lr), rtol=1e-4, atol=1e-3), role


def test_as_many_threads_as_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[int] = []
    monkeypatch.setattr(bench.os, "cpu_count", lambda: 7)
    monkeypatch.setattr(bench, "_use_threads", given.append)
    with pytest.raises(UserError, match="does not exist"):
        run(monkeypatch, tmp_path / "a.pte", "--threads", "all")
    assert given == [7]


def test_the_runtime_has_the_threads_it_was_given() -> None:
    before = portable_lib._threadpool_get_thread_count()
    try:
        for count in (1, 2, 1):
            engine.use_threads(count)
            assert portable_lib._threadpool_get_thread_count() == count
    finally:
        engine.use_threads(before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--model NAME"),
        (["a.pte", "--model", "lffn-s"], "not both"),
        (["a.pte", "--size", "8x8"], "leave --size away"),
        (["a.pte"], r"python -m export\.executorch"),
        (["a.onnx"], r"Known: \.pte"),
        (["--model", "lffn_s"], "Did you mean 'lffn-s'"),
        (["--model", "lffn-s", "bicubic"], "no parameters"),
        (["--model", "lffn-s", "--scale", "5"], "Known scales"),
        (["--model", "lffn-s", "--size", "180"], "HEIGHTxWIDTH"),
        (["--model", "lffn-s", "--size", "0x16"], "HEIGHTxWIDTH"),
        (["--model", "osffnet", "--size", "8x16"], "at least 15.*Try --size 15x16"),
        (["--model", "msfin", "--scale", "3", "--size", "16x18"], "multiples of 4.*Try --size 16x20"),
        (["--model", "lffn-s", "--runs", "0"], "at least 1"),
        (["--model", "lffn-s", "--threads", "0"], "takes 1 to"),
        (["--model", "lffn-s", "--plot", "x.svg"], "add one of them"),
        (["--model", "lffn-s", "--profile", "--plot", "x.doc"], "must end in .png or .svg"),
    ],
)
def test_mistakes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(contenders, "lowered", lambda *_, **__: pytest.fail("nothing is lowered"))
    with pytest.raises(UserError, match=message):
        run(monkeypatch, *arguments)
    assert list(tmp_path.iterdir()) == []
