"""Each operation against coremltools' own value of it where it has one, else against PyTorch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import torch
from coremltools.converters import mil
from torch import Tensor
from torch.nn import functional as F

from edgesr.engines.mil import OPERATIONS, quantize_by_reciprocal

BUILDER: Any = mil.Builder  # its operations are added as it is imported


def values(*shape: int, low: float = -2.0, high: float = 2.0) -> Tensor:
    """The same for the same shape, and no two alike."""
    generator = torch.Generator().manual_seed(sum(shape))
    return low + (high - low) * torch.rand(shape, generator=generator)


def integers(dtype: torch.dtype, *shape: int) -> Tensor:
    limits = torch.iinfo(dtype)
    return values(*shape, low=limits.min, high=limits.max + 0.99).floor().to(dtype)


@dataclass(frozen=True)
class Case:
    """One call of an operation."""

    kind: str
    arguments: dict[str, Any]
    expected: Callable[[], Tensor] | None = None
    """What it must give, by PyTorch; None: what coremltools' value inference gives."""
    known: dict[str, Any] = field(default_factory=dict)
    """What coremltools names otherwise, or wants besides."""


X = values(2, 6, 5, 7)
KERNEL, BIAS = values(4, 3, 3, 3), values(4)
SQUARE = values(1, 8, 4, 6)
STRIDED = {"strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 1, 1]}
ODD = {"pad_type": "custom", "pad": [0, 1, 2, 0]}

BY_COREMLTOOLS = [
    *(Case(kind, {"x": X}) for kind in ("relu", "sigmoid", "tanh", "square", "abs", "exp", "round")),
    Case("round", {"x": torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 0.49])}),
    Case("identity", {"x": X}),
    *(Case(kind, {"x": X.abs() + 0.1}) for kind in ("sqrt",)),
    Case("rsqrt", {"x": X.abs() + 0.1}),
    Case("rsqrt", {"x": X.abs() + 0.1, "epsilon": 0.5}),
    Case("inverse", {"x": X}),
    Case("clip", {"x": X, "alpha": -0.5, "beta": 1.0}),
    Case("leaky_relu", {"x": X, "alpha": 0.2}),
    Case("prelu", {"x": X, "alpha": values(6)}),
    Case("gelu", {"x": X, "mode": "EXACT"}),
    Case("gelu", {"x": X, "mode": "TANH_APPROXIMATION"}),
    Case("softmax", {"x": X, "axis": 1}),
    *(
        Case(kind, {"x": X, "y": values(6, 1, 1)})
        for kind in ("add", "sub", "mul", "real_div", "maximum", "minimum")
    ),
    *(
        Case(kind, {"x": X, "axes": [2, -1], "keep_dims": keep})
        for kind in ("reduce_mean", "reduce_sum", "reduce_max", "reduce_min")
        for keep in (True, False)
    ),
    Case("linear", {"x": values(3, 5), "weight": values(4, 5), "bias": values(4)}),
    Case("matmul", {"x": values(2, 3, 5), "y": values(2, 5, 4)}),
    Case(
        "matmul", {"x": values(2, 5, 3), "y": values(2, 4, 5), "transpose_x": True, "transpose_y": True}
    ),
    Case("concat", {"values": [X, X + 1], "axis": 1, "interleave": False}),
    Case("concat", {"values": [X, values(2, 1, 5, 7)], "axis": -3}),
    Case("split", {"x": X, "num_splits": 3, "axis": 1}),
    Case("split", {"x": X, "split_sizes": [1, 2, 3], "axis": 1}),
    Case("stack", {"values": [X, X + 1], "axis": 2}),
    Case("expand_dims", {"x": X, "axes": [0, -1]}),
    Case("expand_dims", {"x": X, "axes": [3, 0]}),
    Case("squeeze", {"x": values(1, 3, 1, 4), "axes": [0, 2]}),
    Case("reshape", {"x": X, "shape": [2, -1, 7]}),
    Case("transpose", {"x": X, "perm": [0, 3, 1, 2]}),
    Case(
        "slice_by_index", {"x": X, "begin": [0, 1, 0, 2], "end": [2, 5, 5, -1], "stride": [1, 2, 1, 1]}
    ),
    Case(
        "slice_by_index",
        {
            "x": X,
            "begin": [0, 1, 3, -2],
            "end": [0, 3, 5, 0],
            "begin_mask": [True, False, False, False],
            "end_mask": [True, False, False, True],
            "squeeze_mask": [False, False, True, False],
        },
    ),
    Case("slice_by_size", {"x": X, "begin": [0, 2, 1, 0], "size": [2, 3, -1, 4]}),
    Case("pad", {"x": X, "pad": [0, 0, 0, 0, 1, 2, 3, 0], "mode": "constant", "constant_val": 0.5}),
    Case("pad", {"x": X, "pad": [0, 0, 0, 0, 1, 2, 3, 0], "mode": "reflect"}),
    Case("quantize", {"input": 9 * X, "scale": 0.1, "zero_point": np.int8(7), "output_dtype": "int8"}),
    Case("quantize", {"input": 9 * X, "scale": 0.1, "output_dtype": "uint8"}),
    Case(
        "quantize",
        {"input": X, "scale": values(6, low=0.01, high=0.1), "output_dtype": "int8", "axis": 1},
    ),
    Case("dequantize", {"input": integers(torch.int8, 3, 4), "scale": 0.1, "zero_point": np.int8(-128)}),
    Case("dequantize", {"input": integers(torch.uint8, 3, 4), "scale": 0.1}),
    Case(
        "dequantize",
        {
            "input": integers(torch.int8, 3, 4),
            "scale": values(4, low=0.01, high=0.1),
            "zero_point": integers(torch.int8, 4),
            "axis": 1,
        },
    ),
    Case(
        "constexpr_affine_dequantize",
        {
            "quantized_data": integers(torch.uint8, 4, 3, 2, 2),
            "scale": values(4, low=0.01, high=0.1),
            "zero_point": torch.full((4,), 128, dtype=torch.uint8),
            "axis": 0,
        },
    ),
    Case("cast", {"x": X, "dtype": "fp32"}),
]

BY_TORCH = [
    Case(
        "conv",
        {"x": X, "weight": KERNEL, "bias": BIAS, "groups": 2, **STRIDED},
        lambda: F.conv2d(X, KERNEL, BIAS, 2, 1, 1, 2),
    ),
    Case(
        "conv",
        {"x": X, "weight": KERNEL, "groups": 2, **ODD},
        lambda: F.conv2d(F.pad(X, (2, 0, 0, 1)), KERNEL, None, groups=2),
    ),
    Case(
        "conv",
        {"x": X, "weight": KERNEL, "groups": 2, "pad_type": "same", "dilations": [2, 2]},
        lambda: F.conv2d(X, KERNEL, None, groups=2, padding="same", dilation=2),
    ),
    Case("conv", {"x": X, "weight": KERNEL, "groups": 2}, lambda: F.conv2d(X, KERNEL, groups=2)),
    Case(
        "max_pool",
        {"x": X - 5, "kernel_sizes": [3, 3], **STRIDED},
        lambda: F.max_pool2d(X - 5, 3, 2, 1),
    ),
    Case(
        "avg_pool",
        {"x": X, "kernel_sizes": [2, 3], "strides": [1, 2], "pad_type": "valid"},
        lambda: F.avg_pool2d(X, (2, 3), (1, 2)),
    ),
    Case(
        "concat",  # coremltools' own value forgets to interleave
        {"values": [X, -X], "axis": 1, "interleave": True},
        lambda: torch.cat([X, -X], 1)[:, [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]],
    ),
    Case("pixel_shuffle", {"x": SQUARE, "upscale_factor": 2}, lambda: F.pixel_shuffle(SQUARE, 2)),
    *(
        Case(
            "upsample_bilinear",
            {"x": X, "scale_factor_height": 2.0, "scale_factor_width": 3.0, "align_corners": aligned},
            lambda aligned=aligned: F.interpolate(X, (10, 21), mode="bilinear", align_corners=aligned),
        )
        for aligned in (True, False)
    ),
    Case("gelu", {"x": X, "mode": "SIGMOID_APPROXIMATION"}, lambda: X / (1 + torch.exp(-1.702 * X))),
]


def plain(argument: Any) -> Any:
    """As coremltools takes it."""
    if isinstance(argument, list) and isinstance(argument[0], Tensor):
        return [np.asarray(tensor) for tensor in argument]
    return argument.numpy() if isinstance(argument, Tensor) else argument


def as_kernel_takes(name: str, argument: Any) -> Any:
    if name == "scale" or isinstance(argument, np.generic):
        return torch.as_tensor(argument)
    return argument


def ours(case: Case) -> list[Tensor]:
    arguments = {name: as_kernel_takes(name, value) for name, value in case.arguments.items()}
    result = OPERATIONS[case.kind](**arguments)
    return [result] if isinstance(result, Tensor) else list(result)


def named(case: Case) -> str:
    return f"{case.kind}-{'-'.join(name for name in case.arguments if name not in ('x', 'input'))}"


@pytest.mark.parametrize("case", BY_COREMLTOOLS, ids=named)
def test_against_coremltools(case: Case) -> None:
    theirs: list[Any] = []

    @BUILDER.program(input_specs=[BUILDER.TensorSpec((1,))], opset_version=ct.target.iOS17)
    def program(unused: Any) -> Any:
        arguments = {name: plain(value) for name, value in case.arguments.items()}
        if isinstance(arguments.get("scale"), float):
            arguments["scale"] = np.float32(arguments["scale"])
        made = getattr(BUILDER, case.kind)(**arguments)
        for value in made if isinstance(made, (list, tuple)) else [made]:
            theirs.append(value.op.materialized_val_inference() if value.val is None else value.val)
        return unused

    assert len(theirs) == len(ours(case)), program
    for mine, other in zip(ours(case), theirs, strict=True):
        assert tuple(mine.shape) == np.shape(other)
        assert str(mine.dtype).removeprefix("torch.") == np.asarray(other).dtype.name
        np.testing.assert_allclose(mine.numpy(), other, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("case", BY_TORCH, ids=named)
def test_against_torch(case: Case) -> None:
    assert case.expected is not None
    (mine,) = ours(case)
    torch.testing.assert_close(mine, case.expected(), rtol=1e-6, atol=1e-6)


def test_every_operation_is_tested() -> None:
    assert {case.kind for case in [*BY_COREMLTOOLS, *BY_TORCH]} == OPERATIONS.keys()


def test_two_ways_to_quantize() -> None:
    """Multiplied by 1 / scale as PyTorch does it, a value next to a tie may fall to its other side."""
    scales = torch.linspace(0.01, 0.02, 100)
    ties = torch.arange(-120, 120) + 0.5
    zero_point, moved = torch.tensor(3), 0
    for scale in scales:
        x = ties * scale
        multiplied = quantize_by_reciprocal(x, scale, "int8", zero_point)
        fake = torch.fake_quantize_per_tensor_affine(x, float(scale), 3, -128, 127)
        assert torch.equal((multiplied.float() - 3) * scale, fake)
        divided = OPERATIONS["quantize"](x, scale, "int8", zero_point)
        assert isinstance(divided, Tensor)
        moved += int((divided != multiplied).sum())
    assert moved > 0
