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
        pytest.param("msfin", 4, 32.279, marks=pytest.mark.slow),
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


@pytest.mark.parametrize("model", ["osffnet", "mlrn", "lffn-ns"])
def test_a_model_without_known_names_is_refused(model: str):
    with pytest.raises(UserError, match=rf"weights of {model} .* can be imported: lffn, lffn-s, msfin"):
        from_authors(model, 4, {})


def test_the_larger_lffn_has_the_names_of_the_small_one(shared: Path):
    """Its 3x3 convolutions are dense: HWIO instead of a depthwise kernel."""
    theirs = released(shared, "lffn-s", 2)
    block = "module2/res_block_v2_3/block3_path4"
    for name, tensor in list(theirs.items()):
        if tensor.ndim == 4 and tensor.shape[3] == 1:
            theirs[name] = torch.rand(3, 3, 16, 16)
        if name.startswith("module3/"):  # of the small one's four modules, the last
            more = {name.replace("module3", f"module{m}"): theirs[name] for m in range(4, 15)}
            theirs |= more
    theirs |= {f"middle_fuse/dense{m}/kernel": torch.rand(48, 48) for m in range(4, 15)}
    ours = from_authors("lffn", 2, theirs)
    kernel = theirs[f"{block}_conv12/conv_W"]
    assert torch.equal(ours["body.2.blocks.3.paths.3.2.weight"], kernel.permute(3, 2, 0, 1))
    assert torch.equal(
        ours["fusion.dense.14.weight"][:, :, 0, 0], theirs["middle_fuse/dense14/kernel"].T
    )


def maffsrn_of_the_authors(scale: int, groups: int) -> dict[str, torch.Tensor]:
    """Random weights under the names that their module has, weight_norm's included."""
    shapes: dict[str, tuple[int, ...]] = {"head.0": (32, 3, 3, 3)}
    for group in (f"body.{index}" for index in range(groups)):
        for block in (f"{group}.b{index}" for index in range(4)):
            shapes[f"{block}.reduce_channels"] = (8, 32, 1, 1)
            shapes[f"{block}.reduce_spatial_size"] = (8, 8, 3, 3)
            shapes[f"{block}.increase_channels.0"] = (32, 8, 1, 1)
            shapes |= {f"{block}.conv{name}.0": (8, 8, 3, 3) for name in ("1", "2")}
            shapes |= {f"{block}.conv{name}.0": (32, 32, 3, 3) for name in ("00", "01")}
            shapes[f"{block}.bottom11.0"] = (32, 32, 1, 1)
            shapes[f"{block}.bottom11_dw.0"] = (32, 1, 5, 5)
        shapes |= {f"{group}.reduction{index}": (32, 64, 1, 1) for index in (1, 2, 3)}
    shapes |= {f"tail.tail_k{side}": (3 * scale**2, 32, side, side) for side in (3, 5)}

    state = {}
    for name, shape in shapes.items():
        weight = torch.randn(shape) / torch.tensor(shape[1:]).prod().sqrt()
        state[f"{name}.bias"] = 0.2 * torch.rand(shape[0])
        if name.startswith(("head", "tail")) or "reduction" in name:
            state |= {
                f"{name}.weight_g": torch.rand(shape[0], 1, 1, 1) + 0.5,
                f"{name}.weight_v": weight,
            }
        else:
            state[f"{name}.weight"] = weight
    factors = [f"body.{index}.{name}" for index in range(groups) for name in ("res_scale", "x_scale")]
    factors += ["tail.scale_k3", "tail.scale_k5"]
    return state | {f"{name}.scale": torch.rand(1) / 2 + 0.3 for name in factors}


def maffsrn_by_the_authors_names(w: dict[str, torch.Tensor], scale: int, groups: int, lr: torch.Tensor):
    """What their forward computes, with nothing of ours."""

    def layer(name: str, x: torch.Tensor, **options: int) -> torch.Tensor:
        if f"{name}.weight_g" in w:
            v = w[f"{name}.weight_v"]
            weight = w[f"{name}.weight_g"] * v / v.flatten(1).norm(dim=1)[:, None, None, None]
        else:
            weight = w[f"{name}.weight"]
        return F.conv2d(x, weight, w[f"{name}.bias"], **options)

    def attention(b: str, x: torch.Tensor) -> torch.Tensor:
        x = layer(f"{b}.conv00.0", F.leaky_relu(layer(f"{b}.conv01.0", x, padding=1), 0.05), padding=1)
        rc = layer(f"{b}.reduce_channels", x)
        pool = F.max_pool2d(layer(f"{b}.reduce_spatial_size", rc, stride=2, padding=1), 7, 3)
        conv = F.leaky_relu(layer(f"{b}.conv2.0", pool, padding=2, dilation=2), 0.05)
        conv = conv + F.leaky_relu(layer(f"{b}.conv1.0", pool, padding=1), 0.05)
        up = F.interpolate(conv, rc.shape[2:], mode="nearest") + rc
        gate = layer(f"{b}.increase_channels.0", up).relu().sigmoid()
        bottom = layer(f"{b}.bottom11_dw.0", layer(f"{b}.bottom11.0", x), padding=2, groups=32)
        return gate * x * bottom.sigmoid()

    def shuffled(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.cat([a, b], 1)[:, [place // 2 + 32 * (place % 2) for place in range(64)]]

    x = layer("head.0", lr, padding=1)
    for group in (f"body.{index}" for index in range(groups)):
        x0 = attention(f"{group}.b0", x)
        x1 = attention(f"{group}.b1", x0) + x0
        x2 = attention(f"{group}.b2", x1) + x1
        x3 = attention(f"{group}.b3", x2)
        r = layer(f"{group}.reduction1", shuffled(x0, x1))
        r = layer(f"{group}.reduction2", shuffled(r, x2))
        r = layer(f"{group}.reduction3", shuffled(r, x3))
        x = r * w[f"{group}.res_scale.scale"] + x * w[f"{group}.x_scale.scale"]
    tails = [w[f"tail.scale_k{k}.scale"] * layer(f"tail.tail_k{k}", x, padding=k // 2) for k in (3, 5)]
    enlarged = F.interpolate(lr, scale_factor=float(scale), mode="bicubic")
    return F.pixel_shuffle(tails[0], scale) + F.pixel_shuffle(tails[1], scale) + enlarged


@torch.no_grad()
@pytest.mark.parametrize(
    ("model", "scale", "groups"),
    [("maffsrn", 2, 4), ("maffsrn", 3, 4), ("maffsrn", 4, 4), ("maffsrn-l", 2, 8)],
)
def test_maffsrn_with_the_authors_names(model: str, scale: int, groups: int):
    theirs = maffsrn_of_the_authors(scale, groups)
    network = Checkpoint(model, scale, None, from_authors(model, scale, theirs)).build_float()
    lr = torch.rand(2, 3, 23, 32)
    expected = maffsrn_by_the_authors_names(theirs, scale, groups, lr)
    assert (network(lr) - expected).abs().max() < 1e-5


def test_of_maffsrn_too_every_tensor_is_accounted_for():
    theirs = maffsrn_of_the_authors(2, 4)
    for stranger in (
        "body.0.b0.conv3.0.weight",
        "body.0.b0.conv1.1.weight",
        "body.0.weight",
        "tail.scale",
    ):
        with pytest.raises(UserError, match=f"Not understood: {stranger}; left unset: nothing"):
            from_authors("maffsrn", 2, theirs | {stranger: torch.zeros(1)})
    with pytest.raises(UserError, match=r"left unset: body\.4\.blocks\.0\.first\.weight"):
        from_authors("maffsrn-l", 2, theirs)
