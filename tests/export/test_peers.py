"""Our files beside classic networks: all lowered alike, scored where trained, drawn and written."""

import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from edgesr.data.drawn import drawn_pairs
from edgesr.engines import Artifact, open_artifact
from edgesr.errors import UserError
from export import bench, mobile
from export.executorch import census
from export.report import Census


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["export.bench", *map(str, arguments)])
    bench.main()


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", mobile.PEERS)
def test_every_network_upscales(name: str, scale: int) -> None:
    assert mobile.PEERS[name](scale)(torch.rand(1, 3, 9, 11)).shape == (1, 3, 9 * scale, 11 * scale)


def test_sizes_are_the_papers() -> None:
    """Weights of convolutions at x4, by hand from the papers' tables, with three channels for one."""
    found = {
        name: sum(layer.weight.numel() for layer in build(4).modules() if isinstance(layer, nn.Conv2d))
        for name, build in mobile.PEERS.items()
    }
    assert found == {
        "ESPCN": 25 * 3 * 64 + 9 * 64 * 32 + 9 * 32 * 48,
        "FSRCNN": 25 * 3 * 56 + 56 * 12 + 4 * 9 * 12 * 12 + 12 * 56 + 9 * 56 * 48,
        "SESR-M5": 25 * 3 * 16 + 5 * 9 * 16 * 16 + 25 * 16 * 48,
        "XLSR-like": 9 * 3 * 32 + 3 * (9 * 8 * 32 + 32 * 32) + 9 * 3 * 16 + 48 * 32 + 9 * 32 * 48,
        "ABPN-like": 9 * 3 * 28 + 4 * 9 * 28 * 28 + 9 * 28 * 48 + 3 * 48,
    }


def test_the_image_goes_around_abpn_pixel_by_pixel() -> None:
    network, lr = mobile.PEERS["ABPN-like"](4), torch.rand(1, 3, 5, 6)
    (sum_of_both, shuffle) = network.children()
    around = shuffle(sum_of_both.get_submodule("around")(lr))
    assert torch.equal(around, lr.repeat_interleave(4, 2).repeat_interleave(4, 3))


@pytest.mark.slow
def test_our_file_beside_a_peer(
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pair = next(drawn_pairs(2, 1))
    (tmp_path / "Drawn" / "HR").mkdir(parents=True)
    Image.fromarray(pair.hr).save(tmp_path / "Drawn" / "HR" / "one.png")
    monkeypatch.setattr(mobile, "PEERS", {"ABPN-like": mobile.PEERS["ABPN-like"]})
    monkeypatch.setattr("export.peers.PEERS", mobile.PEERS)
    censuses: dict[str, Census] = {}
    monkeypatch.setattr("export.peers.open_artifact", lambda path: _with_census(path, censuses))
    out, plot = tmp_path / "peers.json", tmp_path / "peers.svg"
    run(
        monkeypatch,
        exported,
        "--peers",
        "--runs",
        "3",
        "--benchmark",
        tmp_path / "Drawn",
        "--json",
        out,
        "--plot",
        plot,
    )
    ours, theirs = json.loads(out.read_text())["contenders"]
    assert (ours["name"], ours["trained"]) == (exported.name, True)
    assert (theirs["name"], theirs["trained"]) == ("ABPN-like_x2_w8a8.pte", False)
    assert 10 < ours["psnr_db"]["Drawn"] < 60
    assert theirs["psnr_db"] == {}
    assert len(ours["runs_ms"]) == len(theirs["runs_ms"]) == 3
    found = censuses["ABPN-like_x2_w8a8.pte"]
    assert (found.partitions, found.ops_outside, found.float_weight_bytes) == (1, 0, 0)
    assert found.int8_ops >= 10
    printed = capsys.readouterr().out
    assert "ABPN-like_x2_w8a8.pte (untrained)" in printed
    assert f"{ours['psnr_db']['Drawn']:.3f}" in printed
    drawn = plot.read_text()
    assert drawn.startswith("<?xml")


def _with_census(path: Path, censuses: dict[str, Census]) -> Artifact:
    """A file opened, its operators counted while it is there."""
    censuses[path.name] = census(path)
    return open_artifact(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--peers"], "Name networks"),
        (["--peers", "--model", "lffn-s"], "is for exported files"),
        (["FILE", "--peers", "--profile"], "is for exported files"),
        (["FILE", "--peers", "--plot", "x.svg"], "say on what with --benchmark"),
        (["FILE", "--peers", "--plot", "x.doc"], "must end in .png or .svg"),
        (["FILE", "--benchmark", "Set5"], "belongs to --peers"),
        (["FILE", "--plot", "x.svg"], "add one of them"),
        (["FILE", "--peers", "--beside", "compiled"], "is for exported files"),
    ],
)
def test_mistakes(
    exported: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.setattr(mobile, "lower", lambda *_: pytest.fail("nothing is lowered"))
    words = [str(exported) if word == "FILE" else word for word in arguments]
    with pytest.raises(UserError, match=message):
        run(monkeypatch, *words)
