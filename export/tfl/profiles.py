"""For whom a .tflite is: which operators have integer kernels there, and which are there at all."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from export.stored import File

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


GPU_RANK = 4
GPU_OPERATORS = frozenset(
    {
        "ADD",
        "CONCATENATION",
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "DEPTH_TO_SPACE",
        "DIV",
        "GELU",
        "LEAKY_RELU",
        "LOGISTIC",
        "MAXIMUM",
        "MAX_POOL_2D",
        "MEAN",
        "MINIMUM",
        "MUL",
        "PAD",
        "PRELU",
        "RELU",
        "RESHAPE",
        "RESIZE_BILINEAR",
        "SLICE",
        "SOFTMAX",
        "SPLIT",
        "SQRT",
        "SQUARE",
        "SUB",
        "TRANSPOSE",
    }
)
"""What we write and TFLite's GPU delegate accepts (its tools/versioning/gpu_compatibility.cc).
An operator that it leaves to the CPU costs a copy each way; tensors have up to `GPU_RANK` dimensions."""


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
    operators: frozenset[str] | None = None
    """Of a file that it takes; None: any."""
    rank: int | None = None
    """Dimensions that a tensor may have; None: any number."""
    floats: bool = True
    """Whether anything may be computed in float."""

    def faults(self, file: File) -> list[str]:
        """What the hardware would not take, in words."""
        found = []
        for operator, tensor in file.written():
            if self.operators is not None and operator.name not in self.operators:
                found.append(f"{operator.name} is no operator for {self.summary}")
            if self.rank is not None and len(tensor.shape) > self.rank:
                found.append(f"{operator.name} writes {len(tensor.shape)} dimensions > {self.rank}")
            if not self.floats and tensor.dtype == np.float32:
                found.append(f"{operator.name} computes in float, which is not for {self.summary}")
        return found


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
            floats=False,
        ),
        Profile(
            "gpu",
            "GPUs, which compute in float: the fp32 file",
            frozenset(),
            False,
            ("fp32",),
            GPU_OPERATORS,
            GPU_RANK,
        ),
    )
}
DEFAULT_PROFILE = "xnnpack"
