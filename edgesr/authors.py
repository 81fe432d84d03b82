"""The authors' released weights under our names.

Read from what the authors publish (github.com/qibao77/LFFN, TensorFlow; github.com/wzx0826/MSFIN and
github.com/AbdulMoqeet/MAFFSRN, PyTorch). None states a licence: their weights are for checking a network
against its paper, and none is shipped here. Of LFFN the small one is released, of MAFFSRN only code.
"""

import re
from collections.abc import Callable

from torch import Tensor

from edgesr.errors import UserError
from edgesr.models import create_model, find_trainable
from edgesr.models.msfin import LEVELS

State = dict[str, Tensor]


def from_authors(model: str, scale: int, theirs: State) -> State:
    """The state dict of our `model` from the tensors of the authors' file.

    UserError if its authors' names are not known, if a tensor of either side is left over, or if a
    shape differs.
    """
    find_trainable(model)
    if model not in NAMED:
        raise UserError(
            f"Nothing is known of weights of {model} that its authors released, nor how they would name "
            f"them. Models whose weights can be imported: {', '.join(NAMED)}."
        )
    expected, translate = create_model(model, scale=scale).state_dict(), NAMED[model]
    ours, strangers = {}, []
    for name, tensor in theirs.items():
        translated = translate(name, tensor.float(), scale)
        if translated is None or translated[0] in ours:
            strangers.append(name)
        else:
            ours[translated[0]] = translated[1].contiguous()
    strangers += [name for name in ours if name not in expected]
    missing = [name for name in expected if name not in ours]
    misfits = [
        f"{name} {list(tensor.shape)} for {list(expected[name].shape)}"
        for name, tensor in ours.items()
        if name in expected and tensor.shape != expected[name].shape
    ]
    if strangers or missing or misfits:
        raise UserError(
            f"These are not the authors' weights of {model} x{scale}. Not understood: "
            f"{_some(strangers)}; left unset: {_some(missing)}; of another shape: {_some(misfits)}."
        )
    return ours


def _some(names: list[str]) -> str:
    """The first few names and how many more."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (", ".join(names[:3]) or "nothing") + more


def _lffn(name: str, tensor: Tensor, scale: int) -> tuple[str, Tensor] | None:
    """Module m, block b, path p: `module<m>/res_block_v2_<b>/…block<b>_path<p>_…`, p from 1.

    `conv<i>2` is the i-th convolution of a path and `act<i>` the activation after it.
    """
    for pattern, ours in LFFN_NAMES:
        if match := re.fullmatch(pattern, name):
            module, block, path, index = (int(match.groupdict().get(key) or 0) for key in "mbpi")
            layer = 2 * index + ("_act" in name)
            ours = ours.format(m=module, b=block, p=path - 1, layer=layer)
            tensor = _from_tensorflow(tensor)
            if ours.startswith("up."):
                tensor = _shuffled(tensor, (2 if scale == 4 else scale) ** 2)
            return ours, tensor
    return None


_BLOCK = r"module(?P<m>\d+)/res_block_v2_(?P<b>\d+)"
LFFN_NAMES = [
    (r"feature_conv1/conv_W", "head.weight"),
    (_BLOCK + r"/expand/conv_W", "body.{m}.blocks.{b}.expand.weight"),
    (
        _BLOCK + r"/block(?P=b)_path(?P<p>\d)_conv(?P<i>\d)2/conv_W",
        "body.{m}.blocks.{b}.paths.{p}.{layer}.weight",
    ),
    (
        _BLOCK + r"/prelu(_\d+)?/block(?P=b)_path(?P<p>\d)_act(?P<i>\d)_prelu",
        "body.{m}.blocks.{b}.paths.{p}.{layer}.weight",
    ),
    (_BLOCK + r"/block(?P=b)_conv_final/conv_W", "body.{m}.blocks.{b}.shrink.weight"),
    (r"module(?P<m>\d+)/fuse_conv/conv_W", "body.{m}.fuse.weight"),
    (r"middle_fuse/dense(?P<m>\d+)/kernel", "fusion.dense.{m}.weight"),
    (r"feature_conv3/conv_W", "post.weight"),
    (r"Up-PS/Up-PS_CNN/conv_W", "up.0.weight"),
    (r"Up-PS/Up-PS_CNN/conv_B", "up.0.bias"),
    (r"Up-PS2/Up-PS2_CNN/conv_W", "up.2.weight"),
    (r"Up-PS2/Up-PS2_CNN/conv_B", "up.2.bias"),
    (r"R-CNN1/conv_W", "last.weight"),
]


def _from_tensorflow(tensor: Tensor) -> Tensor:
    """A kernel (kh,kw,in,out), a depthwise one (kh,kw,C,1) or a dense one (in,out) → OIHW."""
    if tensor.ndim == 4 and tensor.shape[3] == 1:
        return tensor.permute(2, 3, 0, 1)
    if tensor.ndim == 4:
        return tensor.permute(3, 2, 0, 1)
    return tensor.T[:, :, None, None] if tensor.ndim == 2 else tensor


def _shuffled(tensor: Tensor, places: int) -> Tensor:
    """Outputs in depth_to_space's order (place, channel) → PixelShuffle's (channel, place)."""
    if tensor.shape[0] % places:
        return tensor  # of another scale: its shape is refused later
    return tensor.unflatten(0, (places, -1)).transpose(0, 1).flatten(0, 1)


def _msfin(name: str, tensor: Tensor, scale: int) -> tuple[str, Tensor] | None:
    """Theirs computes in 0..255: the colour shifts at the ends take up the factor."""
    layer, _, rest = name.partition(".")
    if layer in ("ds4_down", "ds2_down", "ds2_up"):
        inner, _, rest = rest.partition(".")
        layer = f"{layer}.{inner}"
    if layer not in MSFIN_NAMES:
        return None
    rest = rest.replace("conv_du.0", "squeeze").replace("conv_du.2", "excite")
    ours = f"{MSFIN_NAMES[layer]}.{rest}"
    if ours == "sub_mean.weight":
        tensor = tensor * LEVELS
    if layer == "add_mean":
        tensor = tensor / LEVELS
    return ours, tensor


MSFIN_NAMES = {
    "sub_mean": "sub_mean",
    "head": "head",
    "ds4_down.down1": "coarse.down.0",
    "ds4_down.down2": "coarse.down.1",
    "ds4_rcab": "coarse.at_quarter.0",
    "ds4_rcab1": "coarse.at_quarter.1",
    "ds4_rcab1_2": "coarse.at_quarter.2",
    "ds4_rcab1_3": "coarse.at_quarter.3",
    "c1": "coarse.fuse_quarter",
    "ds4_rcab1_4": "coarse.at_quarter.4",
    "ds4_up4": "coarse.to_half",
    "ds4_rcab2": "coarse.at_half.0",
    "ds4_rcab3": "coarse.at_half.1",
    "ds4_rcab3_2": "coarse.at_half.2",
    "ds4_rcab3_3": "coarse.at_half.3",
    "c2": "coarse.fuse_half",
    "ds4_rcab3_4": "coarse.at_half.4",
    "ds4_up5": "coarse.to_full",
    "ds2_down.down": "middle.down",
    **{f"Fd2{k + 1}": f"middle.listen.{k}" for k in range(4)},
    **{f"ds2_rcab{k + 1 if k else ''}": f"middle.blocks.{k}" for k in range(5)},
    "ds2_up.up": "middle.to_full",
    **{f"Ft0{k + 1}": f"fine.listen.{k}" for k in range(4)},
    **{f"ds0_body{k + 1 if k else ''}": f"fine.blocks.{k}" for k in range(5)},
    **{f"block_re{k + 1}": f"blend.{k}" for k in range(4)},
    "tail2": "tail",
    "add_mean": "add_mean",
}


def _maffsrn(name: str, tensor: Tensor, scale: int) -> tuple[str, Tensor] | None:
    """`<place>.<layer>.<what>`; of a layer with `.0` in between, that is the convolution."""
    match = re.fullmatch(r"(body\.\d+\.b\d\.|body\.\d+\.|tail\.|)(\w+)(?:\.0)?\.(\w+)", name)
    if match is None or match[2] not in MAFFSRN_NAMES:
        return None
    place = match[1].replace(".b", ".blocks.")
    norm = {f"weight_{part}": f"parametrizations.weight.original{i}" for i, part in enumerate("gv")}
    return f"{place}{MAFFSRN_NAMES[match[2]]}.{norm.get(match[3], match[3])}", tensor


MAFFSRN_NAMES = {
    "head": "head",
    "conv01": "first",  # comes first in their forward
    "conv00": "second",
    "reduce_channels": "gate.reduce",
    "reduce_spatial_size": "gate.shrink",
    "conv1": "gate.body.convolutions.0",
    "conv2": "gate.body.convolutions.1",
    "increase_channels": "gate.expand",
    "bottom11": "cea.0",
    "bottom11_dw": "cea.1",
    **{f"reduction{k + 1}": f"reductions.{k}.convolution" for k in range(3)},
    "res_scale": "of_result",
    "x_scale": "of_input",
    "tail_k3": "narrow",
    "tail_k5": "wide",
    "scale_k3": "of_narrow",
    "scale_k5": "of_wide",
}

Translate = Callable[[str, Tensor, int], tuple[str, Tensor] | None]
NAMED: dict[str, Translate] = {
    "lffn": _lffn,
    "lffn-s": _lffn,
    "msfin": _msfin,
    "msfin-s": _msfin,
    "maffsrn": _maffsrn,
    "maffsrn-l": _maffsrn,
}
"""(their name, their tensor, scale) → our name and tensor, or None for a name that is not known."""
