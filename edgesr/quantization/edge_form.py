"""The edge form: a network rewritten, exactly, into what integer kernels compute well.

Applied to the float network before it is captured; the checkpoint of a float network always holds the
published form. Each rewrite changes the function by rounding only (tested on random weights).
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.models.lffn import LFFN
from edgesr.models.msfin import LEVELS, MSFIN, ChannelAttention


def edge_form(model: nn.Module) -> nn.Module:
    """A rewritten copy of `model`, in eval mode; it computes what `model` computes."""
    model = copy.deepcopy(model).eval()
    if isinstance(model, LFFN):
        model = EdgeLFFN(model)
    if isinstance(model, MSFIN):
        compute_in_unit_range(model)
        fold_output_shift(model)
        model = shift_before_enlarging(model)
    unfold_transposed(model)
    return model.eval()


class EdgeLFFN(nn.Module):
    """LFFN with its all-linear tail as two convolutions: PS(A·R + B·M0 + b).

    The published tail carries the image at ±0.5 through features of ±8, which costs int8 most of its
    loss. And the shift of the input becomes the padding's value and the head's bias, because 8-bit
    pixels minus 0.5 are not on any int8 grid that holds zero.
    """

    def __init__(self, model: LFFN) -> None:
        super().__init__()
        head_bias, (mixed, skip, bias) = _shift_of(model.head), _compose_tail(model)
        self.head = _convolution(model.head.weight, head_bias)
        self.body, self.fusion = model.body, model.fusion
        self.tail_fused = _convolution(mixed, bias)
        self.tail_head = _convolution(skip, None)
        self.shuffle = nn.PixelShuffle(model.scale)

    def forward(self, lr: Tensor) -> Tensor:
        """LR (N,3,h,w) → SR (N,3,sh,sw)."""
        m0 = self.head(F.pad(lr, (1, 1, 1, 1), value=0.5))
        x, outputs = m0, []
        for module in self.body:
            x = module(x)
            outputs.append(x)
        return self.shuffle(self.tail_fused(self.fusion(outputs)) + self.tail_head(m0))


def _shift_of(head: nn.Conv2d) -> Tensor:
    """head(x - 0.5) = head(x) + this, when x is padded with 0.5."""
    return -0.5 * head.weight.sum((1, 2, 3))


def _compose_tail(model: LFFN) -> tuple[Tensor, Tensor, Tensor]:
    """The tail as A (from R), B (from M0) and b, in PixelShuffle's order, found by probing it."""
    tail = copy.deepcopy(nn.Sequential(model.up, model.last)).double()
    post = model.post.weight.double()
    channels = post.shape[0]
    with torch.no_grad():
        bias = tail(torch.zeros(1, channels, 1, 1, dtype=torch.double))
        response = tail(torch.eye(channels, dtype=torch.double).view(channels, channels, 1, 1)) - bias
    skip = response.flatten(1).T  # (3s², C): one column per feature
    mixed = skip @ post[:, :, 0, 0]
    return mixed[:, :, None, None], skip[:, :, None, None], (bias + 0.5).flatten()


def compute_in_unit_range(model: MSFIN) -> None:
    """MSFIN's features, of the size of 0..255 pixels, divided by 255 throughout.

    All but the attention's sigmoid is homogeneous, so it is a matter of biases. Else the last weights
    carry the factor, and their scales fall below what int8 (and fp16) targets hold precisely.
    """
    gates = {g for m in model.modules() if isinstance(m, ChannelAttention) for g in m.children()}
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer not in gates | {
                model.add_mean
            }:
                if layer.bias is not None:
                    layer.bias /= LEVELS
            elif isinstance(layer, ChannelAttention):
                layer.squeeze.weight *= LEVELS
        model.sub_mean.weight /= LEVELS
        model.add_mean.weight *= LEVELS


def fold_output_shift(model: MSFIN) -> None:
    """MSFIN's last 1x1 colour shift into the 3x3 convolution before it."""
    tail, shift = model.tail, model.add_mean
    assert tail.bias is not None
    assert shift.bias is not None
    matrix = shift.weight[:, :, 0, 0].double()
    weight = torch.einsum("oc,cikl->oikl", matrix, tail.weight.double())
    model.tail = _convolution(weight, matrix @ tail.bias.double() + shift.bias.double(), padding=1)
    model.add_mean = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]


def shift_before_enlarging(model: MSFIN) -> nn.Module:
    """MSFIN's first colour shift ahead of the bilinear enlargement, whose weights sum to one.

    It is then computed once per LR pixel, and the enlargement gets an input and an output of
    different scales: on one scale every 64th interpolated value would be a rounding tie.
    """
    shift = model.sub_mean
    model.sub_mean = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    return nn.Sequential(shift, model)


def unfold_transposed(model: nn.Module) -> None:
    """Every transposed 2x2 convolution of stride 2 as a 1x1 convolution and a pixel shuffle."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ConvTranspose2d):
                setattr(module, name, _as_shuffle(child))


def _as_shuffle(layer: nn.ConvTranspose2d) -> nn.Sequential:
    assert layer.kernel_size == layer.stride == (2, 2)
    assert layer.padding == layer.output_padding == (0, 0)
    assert layer.groups == 1
    weight = layer.weight.permute(1, 2, 3, 0).flatten(0, 2)  # (out·2·2, in), PixelShuffle's order
    bias = None if layer.bias is None else layer.bias.repeat_interleave(4)
    return nn.Sequential(_convolution(weight[:, :, None, None], bias), nn.PixelShuffle(2))


def _convolution(weight: Tensor, bias: Tensor | None, padding: int = 0) -> nn.Conv2d:
    """A dense convolution with these float32 weights."""
    out, inputs, height, width = weight.shape
    layer = nn.Conv2d(inputs, out, (height, width), padding=padding, bias=bias is not None)
    state = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    layer.load_state_dict({name: tensor.detach().float() for name, tensor in state.items()})
    return layer
