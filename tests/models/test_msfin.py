"""MSFIN: sizes that its strides do not divide, and the settings of its ablations."""

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from edgesr.models import create_model
from edgesr.models.msfin import MSFIN, RecurrentBlock

SMALL: dict[str, Any] = {"features": 8, "groups": 2, "reduction": 4, "passes": 1}


@torch.no_grad()
@pytest.mark.parametrize(
    ("scale", "size", "padded"),
    [(2, (1, 1), (2, 2)), (2, (4, 7), (4, 8)), (3, (5, 6), (8, 8)), (3, (4, 7), (4, 8))],
)
def test_other_sizes_are_padded_by_their_edge(
    scale: int, size: tuple[int, int], padded: tuple[int, int]
) -> None:
    network, lr = create_model("msfin-s", scale=scale).eval(), torch.rand(2, 3, *size)
    rows, columns = (
        [min(place, side - 1) for place in range(large)]
        for side, large in zip(size, padded, strict=True)
    )
    larger = network(lr[:, :, rows][:, :, :, columns])
    assert torch.equal(network(lr), larger[:, :, : scale * size[0], : scale * size[1]])


@torch.no_grad()
@pytest.mark.parametrize(("scale", "size"), [(2, (4, 6)), (3, (4, 8)), (4, (1, 3))])
def test_sizes_that_fit_are_not_padded(
    monkeypatch: pytest.MonkeyPatch, scale: int, size: tuple[int, int]
) -> None:
    monkeypatch.delattr(F, "pad")
    create_model("msfin-s", scale=scale)(torch.rand(1, 3, *size))


def test_a_second_pass_has_the_weights_of_the_first() -> None:
    once, twice = (RecurrentBlock(8, 2, 4, passes, True, "fusion") for passes in (1, 2))
    twice.load_state_dict(once.state_dict())
    x = torch.rand(1, 8, 5, 6)
    torch.testing.assert_close(twice(x), once(once(x)))


@torch.no_grad()
@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize(
    "setting",
    [
        *({"connections": name} for name in ("none", "shared", "shared+cross", "own")),
        *(
            {"mix": mix, "attention": on}
            for mix in ("none", "shuffle", "fusion")
            for on in (True, False)
        ),
    ],
)
def test_settings_of_the_ablations(scale: int, setting: dict[str, Any]) -> None:
    sr = MSFIN(scale, **SMALL, **setting)(torch.rand(1, 3, 5, 6))
    assert sr.shape == (1, 3, 5 * scale, 6 * scale)
    assert sr.isfinite().all()


@pytest.mark.parametrize(
    ("connections", "into_middle", "into_fine", "across"),
    [("none", 0, 0, 0), ("shared", 2, 1, 0), ("shared+cross", 2, 1, 2), ("own", 4, 4, 0)],
)
def test_what_connections_share(connections: Any, into_middle: int, into_fine: int, across: int) -> None:
    """Four blocks listen; a shared layer serves all of them that it has the shape for."""
    network = MSFIN(2, **SMALL, connections=connections)
    layers = (network.middle.listen, network.fine.listen, network.fine.cross)
    assert [len(one) if one is not None else 0 for one in layers] == [into_middle, into_fine, across]


@torch.no_grad()
@pytest.mark.parametrize(("connections", "alone"), [("none", True), ("own", False)])
def test_without_connections_level_2_hears_nothing(connections: Any, alone: bool) -> None:
    network, f = MSFIN(2, **SMALL, connections=connections), torch.rand(1, 8, 8, 12)
    spoken = network.coarse(f)[1]
    heard = [network.middle(f, features)[0] for features in (spoken, [2 * one for one in spoken])]
    assert torch.equal(*heard) is alone
