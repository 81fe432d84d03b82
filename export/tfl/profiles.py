"""For whom a .tflite is: which operators have integer kernels there."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

aten = torch.ops.aten

MOVES = {
    aten.cat.default,
    aten.max_pool2d.default,
    aten.pad.default,
    aten.permute.default,
    aten.pixel_shuffle.default,
    aten.reshape.default,
    aten.slice.Tensor,
    aten.view.default,
}
"""Operators that compute no new values: what they write has the scale of what they read."""

KERNELS = MOVES | {
    aten.adaptive_avg_pool2d.default,
    aten.add.Tensor,
    aten.conv2d.default,
    aten.mul.Tensor,
    aten.sub.Tensor,
}
"""What XNNPACK computes in int8, in ExecuTorch as in TFLite."""

TABLES = {
    aten.gelu.default,
    aten.leaky_relu.default,
    aten.prelu.default,
    aten.sigmoid.default,
    aten.softmax.int,
    aten.upsample_bilinear2d.vec,
}
"""What TFLite's own int8 kernels compute, too. A .pte has these in float, between two conversions."""


@dataclass(frozen=True)
class Profile:
    """A kind of hardware."""

    name: str
    summary: str
    integer: frozenset[Callable[..., object]]
    """Operators that are int8 where they read and write int8; all others are float islands."""
    requantizes: bool
    """Whether a change of scale is one operator; else through float, as a .pte does it."""
    schemes: tuple[str, ...] | None
    """Of the checkpoints that it takes; None: any."""


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "xnnpack",
            "CPUs: float where the .pte is float, so that both compute the same",
            frozenset(KERNELS),
            False,
            None,
        ),
        Profile(
            "npu",
            "integer hardware: activations, softmax and bilinear enlargement in int8, too",
            frozenset(KERNELS | TABLES),
            True,
            ("int8",),
        ),
        Profile("gpu", "GPUs, which compute in float: the fp32 file", frozenset(), False, ("fp32",)),
    )
}
DEFAULT_PROFILE = "xnnpack"
