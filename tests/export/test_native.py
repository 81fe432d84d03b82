"""The C++ runner on this host computes what Python's runtime computes, and says why it stops."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgesr.engines import open_artifact
from edgesr.errors import UserError
from edgesr.quantization import find_scheme, pt2e
from export import tflite
from export.native import cache, runner
from export.native.build import Bundle

HALF = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read(100))"

GREEDY = "import sys; tile = sys.stdin.buffer.read(49152); sys.stdout.buffer.write(tile * 5)"


KINDS = ["exported", "exported_tflite"]


@pytest.fixture(params=KINDS)
def file(request: pytest.FixtureRequest) -> Path:
    """An exported file of each kind that has a runner."""
    return request.getfixturevalue(request.param)


def test_host_runner_equals_pythons_runtime_to_the_byte(file: Path, hosts: dict[str, Bundle]) -> None:
    equal_to_the_byte(file, hosts[file.suffix])


@pytest.mark.parametrize(("scheme", "ends"), [("int8", "uint8"), ("fp32", "int8")])
def test_ends_of_a_tflite_of_every_type(
    scheme: str, ends: str, hosts: dict[str, Bundle], tmp_path: Path
) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 12, 3, padding=1), torch.nn.PixelShuffle(2)).eval()
    lr, path = torch.rand(1, 3, 16, 20), tmp_path / "ends.tflite"
    program = torch.export.export(network, (lr,))
    if scheme == "int8":
        graph = pt2e.prepare(network, find_scheme(scheme), (1, 3, 16, 20))
        graph(lr)
        pt2e.freeze(graph, lr)
        program = torch.export.export(pt2e.convert(graph, fold_weights=tflite.FOLD_WEIGHTS), (lr,))
    facts = {"model": "ends", "scale": 2, "scheme": scheme, "tile": [16, 20], "overlap": 0}
    facts |= {"multiple": 1, "checkpoint_sha256": "none", "profile": "xnnpack", "ends": ends}
    tflite.lower(program, facts, path)
    equal_to_the_byte(path, hosts[".tflite"])


def equal_to_the_byte(file: Path, host: Bundle) -> None:
    """On SR of many values: an end that is read as another type, or not at all, gives others."""
    artifact, tiles = open_artifact(file), 1.4 * torch.rand(5, 1, 3, 16, 20) - 0.2
    expected = b"".join(artifact.upscale(lr).numpy().tobytes() for lr in tiles)
    done = subprocess.run(
        [*host.start, file], input=tiles.numpy().tobytes(), capture_output=True, check=True
    )
    assert len(done.stdout) == 5 * 4 * 3 * 32 * 40
    assert len(set(np.frombuffer(done.stdout, np.float32))) > 50
    assert done.stdout == expected


def test_runner_is_an_upscaler(file: Path, hosts: dict[str, Bundle]) -> None:
    artifact, lr = open_artifact(file), torch.rand(1, 3, 31, 45)
    with runner.running(hosts[file.suffix].start, file, artifact.scale) as upscale:
        assert torch.equal(artifact.tiled(upscale)(lr), artifact.tiled()(lr))


@pytest.mark.parametrize(
    ("name", "content", "stdin", "message"),
    [
        (
            "whole",
            lambda whole: whole,
            b"\0" * (4 * 3 * 16 * 20 + 7),
            "ended in tile 1, after 7 of 3840",
        ),
        ("absent", None, b"", r"loading .*absent\.(pte|tflite)"),
        ("empty", lambda whole: b"", b"", "loading"),
        ("noise", lambda whole: b"\x5a" * 4096, b"", "loading"),
    ],
)
def test_what_stops_it(
    file: Path,
    hosts: dict[str, Bundle],
    tmp_path: Path,
    name: str,
    content: Callable[[bytes], bytes] | None,
    stdin: bytes,
    message: str,
) -> None:
    path = tmp_path / f"{name}{file.suffix}"
    if content is not None:
        path.write_bytes(content(file.read_bytes()))
    assert_stopped(hosts[file.suffix], path, stdin, message)


def test_a_cut_pte_stops_it(exported: Path, host: Bundle, tmp_path: Path) -> None:
    """A .tflite does not for certain: of one that is cut LiteRT refused, crashed or never ended. So no
    runner gets one before `edgesr.engines.trial` has tried it out.
    """
    path = tmp_path / "cut.pte"
    path.write_bytes(exported.read_bytes()[: exported.stat().st_size // 2])
    assert_stopped(host, path, b"", "loading")


def assert_stopped(bundle: Bundle, path: Path, stdin: bytes, message: str) -> None:
    """A runner ends with status 1 and with words that match `message`."""
    done = subprocess.run(
        [*bundle.start, path], input=stdin, capture_output=True, check=False, timeout=100
    )
    error = runner.failure(path.name, done.returncode, done.stderr.decode())
    with pytest.raises(UserError, match=rf"{path.name} ended with status 1: .*{message}"):
        raise error


@pytest.mark.parametrize(
    "words", [[], ["--bench"], ["m.pte", "--runs", "0"], ["m.pte", "--runs"], ["m.pte", "--fast"]]
)
def test_wrong_arguments(hosts: dict[str, Bundle], words: list[str]) -> None:
    for host in hosts.values():
        done = subprocess.run([*host.start, *words], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"{host.name}: ")


def test_a_tflite_runs_on_one_thread(exported_tflite: Path, hosts: dict[str, Bundle]) -> None:
    with pytest.raises(UserError, match="runs on one thread"):
        runner.bench(hosts[".tflite"].start, exported_tflite, ["--threads", "2"])


def test_bench_measures_each_run_and_operator(exported: Path, host: Bundle, tmp_path: Path) -> None:
    dump = tmp_path / "run.etdp"
    options = ["--warmup", "1", "--runs", "4", "--threads", "1", "--etdump", str(dump)]
    found = runner.bench(host.start, exported, options)
    assert len(found["runs_ms"]) == 4
    assert sorted(found["runs_ms"])[1] == found["median_ms"]
    assert max(found["runs_ms"]) == found["p90_ms"]
    assert found["threads"] == 1
    assert 1e6 < found["peak_rss_bytes"] < 1e9
    assert b"Convolution" in dump.read_bytes()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (HALF, "status 0: it said nothing"),
        ("import sys; sys.exit('out of memory')", "status 1: out of memory"),
        ("import os; os.kill(os.getpid(), 11)", "killed by signal 11"),
        (GREEDY, "wrote more"),
    ],
)
def test_a_runner_that_misbehaves(tmp_path: Path, program: str, message: str) -> None:
    def use() -> None:
        with runner.running([sys.executable, "-c", program], tmp_path / "m.pte", 2) as upscale:
            upscale(torch.rand(1, 3, 64, 64))

    with pytest.raises(UserError, match=message):
        use()


@pytest.mark.parametrize("text", ["", "Segmentation fault", "{}", '{"runs_ms": 3}', "[1]"])
def test_figures_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="was to print its figures"):
        runner.read_bench(text, "m.pte")


def test_cache_makes_a_folder_once_and_again_when_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path))
    made: list[Path] = []

    def fill(folder: Path) -> None:
        made.append(folder)
        (folder / "tool").write_text("right")

    for _ in range(2):
        assert (cache.kept("sdk", fill) / "tool").read_text() == "right"
    assert len(made) == 1
    (cache.root() / "sdk" / "tool").write_text("wrong")
    assert (cache.kept("sdk", fill) / "tool").read_text() == "right"
    assert len(made) == 2


def test_cache_keeps_nothing_of_an_attempt_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESR_CACHE", str(tmp_path))

    def fill(folder: Path) -> None:
        (folder / "tool").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.kept("sdk", fill)
    assert [path.name for path in cache.root().iterdir()] == [".sdk.lock"]
