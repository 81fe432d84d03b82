"""The authors' weights give the figures of their papers: that our networks are theirs."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from edgesr.authors import MSFIN_NAMES, _shuffled, from_authors
from edgesr.checkpoint import Checkpoint
from edgesr.data.benchmarks import load_benchmark
from edgesr.errors import UserError
from edgesr.metrics import evaluate
from edgesr.models import create_model


def released(shared: Path, model: str, scale: int) -> dict[str, torch.Tensor]:
    name = f"{model.replace('-', '_')}_x{scale}.authors.safetensors"
    return load_file(shared / "reference" / name)


@pytest.mark.parametrize(
    ("model", "scale", "psnr"),
    [
        pytest.param("lffn-s", 2, 37.743, marks=pytest.mark.slow),
        pytest.param("lffn-s", 3, 34.078, marks=pytest.mark.slow),
        ("lffn-s", 4, 31.857),
        pytest.param("msfin-s", 4, 32.070, marks=pytest.mark.slow),
    ],
)
def test_set5_is_what_the_authors_weights_give(shared: Path, model: str, scale: int, psnr: float):
    state = from_authors(model, scale, released(shared, model, scale))
    network = Checkpoint(model, scale, None, state).build_float()
    pairs = load_benchmark(shared / "data" / "benchmark" / "Set5", scale)
    assert evaluate(network, pairs, scale).psnr == pytest.approx(psnr, abs=0.005)


def test_shuffled_outputs_agree_with_depth_to_space():
    places, channels, side = 9, 5, 3
    image, weight = torch.rand(1, 4, 6, 7), torch.rand(places * channels, 4, 1, 1)
    wide = F.conv2d(image, weight)[0]  # as TensorFlow orders it: row, column, channel
    tall = wide.reshape(side, side, channels, 6, 7).permute(2, 3, 0, 4, 1)
    expected = tall.reshape(1, channels, 6 * side, 7 * side)
    found = F.pixel_shuffle(F.conv2d(image, _shuffled(weight, places)), side)
    torch.testing.assert_close(found, expected)


def as_the_authors_name_it(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of our MSFIN-S under their names; the values stay."""
    theirs = {}
    for ours, tensor in state.items():
        layer = next(key for key, name in MSFIN_NAMES.items() if ours.startswith(name + "."))
        rest = ours.removeprefix(MSFIN_NAMES[layer])
        rest = rest.replace("squeeze", "conv_du.0").replace("excite", "conv_du.2")
        theirs[layer + rest] = tensor
    return theirs


def test_msfin_colour_shifts_take_up_the_range():
    state = create_model("msfin-s", scale=2).state_dict()
    ours = from_authors("msfin-s", 2, as_the_authors_name_it(state))
    factors = {"sub_mean.weight": 255, "add_mean.weight": 1 / 255, "add_mean.bias": 1 / 255}
    for name, tensor in state.items():
        torch.testing.assert_close(ours[name], tensor * factors.get(name, 1))


def test_every_tensor_of_either_side_is_accounted_for():
    theirs = as_the_authors_name_it(create_model("msfin-s", scale=4).state_dict())
    with pytest.raises(UserError, match=r"Not understood: extra\.weight;"):
        from_authors("msfin-s", 4, theirs | {"extra.weight": torch.zeros(1)})
    del theirs["c1.bias"]
    with pytest.raises(UserError, match=r"left unset: coarse\.fuse_quarter\.bias"):
        from_authors("msfin-s", 4, theirs)


def test_two_names_for_one_tensor_are_refused(shared: Path):
    theirs = released(shared, "lffn-s", 4)
    block = "module0/res_block_v2_0"
    theirs[f"{block}/prelu_9/block0_path2_act0_prelu"] = torch.zeros(16)
    with pytest.raises(UserError, match="prelu_9"):
        from_authors("lffn-s", 4, theirs)


@pytest.mark.parametrize("scale", [2, 3])
def test_weights_of_another_scale_are_refused(shared: Path, scale: int):
    with pytest.raises(UserError, match="lffn-s"):
        from_authors("lffn-s", 5 - scale, released(shared, "lffn-s", scale))


def test_wrong_shapes_are_refused():
    theirs = as_the_authors_name_it(create_model("msfin-s", scale=4).state_dict())
    with pytest.raises(UserError, match=r"head\.weight \[3\] for \[16, 3, 3, 3\]"):
        from_authors("msfin-s", 4, theirs | {"head.weight": torch.zeros(3)})


@pytest.mark.parametrize("model", ["bicubic", "msfin_s"])
def test_a_model_without_weights_is_refused(model: str):
    with pytest.raises(UserError, match=r"[Mm]odel"):
        from_authors(model, 4, {})
