"""The operations of Core ML programs, in PyTorch: what each means, as MIL's documentation says.

A kernel's parameters are named as MIL names them, with its defaults. Tensors come as float32 or as
integers, constants as numbers, strings or lists. Nothing rounds to float16 here: the interpreter does.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from edgesr.engines import mil_shapes
from edgesr.engines.mil_shapes import Number

Kernel = Callable[..., Tensor | Sequence[Tensor]]

INTEGERS = {"int8": torch.int8, "uint8": torch.uint8}


# Layers with weights


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: Sequence[int] = (1, 1),
    pad_type: str = "valid",
    pad: Sequence[int] = (0, 0, 0, 0),
    dilations: Sequence[int] = (1, 1),
    groups: int = 1,
) -> Tensor:
    """Cross-correlation; `pad` is top, bottom, left, right."""
    before, after = _sides(pad_type, pad, x, weight.shape[2:], strides, dilations)
    if before == after:  # as PyTorch itself does it, to the last bit
        return F.conv2d(x, weight, bias, list(strides), before, list(dilations), groups)
    padded = F.pad(x, (before[1], after[1], before[0], after[0]))
    return F.conv2d(padded, weight, bias, list(strides), 0, list(dilations), groups)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x times weight transposed, over the last dimension."""
    return F.linear(x, weight, bias)


def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    """Matrix product over the last two dimensions."""
    return (x.mT if transpose_x else x) @ (y.mT if transpose_y else y)


# Pooling and reductions


def max_pool(
    x: Tensor,
    kernel_sizes: Sequence[int],
    pad_type: str,
    strides: Sequence[int] = (1, 1),
    pad: Sequence[int] = (0, 0, 0, 0),
    ceil_mode: bool = False,
) -> Tensor:
    """The largest value of each window."""
    before, after = _sides(pad_type, pad, x, kernel_sizes, strides, (1, 1))
    padded = F.pad(x, (before[1], after[1], before[0], after[0]), value=-torch.inf)
    return F.max_pool2d(padded, list(kernel_sizes), list(strides), ceil_mode=ceil_mode)


def avg_pool(
    x: Tensor,
    kernel_sizes: Sequence[int],
    pad_type: str,
    strides: Sequence[int] = (1, 1),
    pad: Sequence[int] = (0, 0, 0, 0),
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Tensor:
    """The mean of each window; only without padding, where all readings of it agree."""
    before, after = _sides(pad_type, pad, x, kernel_sizes, strides, (1, 1))
    if any(before) or any(after):
        raise NotImplementedError("avg_pool with padding")
    return F.avg_pool2d(x, list(kernel_sizes), list(strides), ceil_mode=ceil_mode)


def reduction(function: Callable[..., Tensor]) -> Kernel:
    """A kernel that reduces some dimensions; all of them where none is named."""

    def kernel(x: Tensor, axes: Sequence[int] | None = None, keep_dims: bool = False) -> Tensor:
        return function(x, list(range(x.ndim) if axes is None else axes), keepdim=keep_dims)

    return kernel


# One value at a time


def binary(function: Callable[[Tensor, Tensor], Tensor]) -> Kernel:
    """A kernel of two operands, either of which may be a number."""

    def kernel(x: Number, y: Number) -> Tensor:
        return function(torch.as_tensor(x), torch.as_tensor(y))

    return kernel


def unary(function: Callable[[Tensor], Tensor]) -> Kernel:
    """A kernel of one operand."""

    def kernel(x: Tensor) -> Tensor:
        return function(x)

    return kernel


def clip(x: Tensor, alpha: Number, beta: Number) -> Tensor:
    """Values limited to alpha..beta."""
    return x.clamp(float(alpha), float(beta))


def leaky_relu(x: Tensor, alpha: Number = 0.01) -> Tensor:
    """x where it is positive, else alpha times x."""
    return F.leaky_relu(x, float(alpha))


def prelu(x: Tensor, alpha: Tensor) -> Tensor:
    """The same with an alpha for each channel, which is dimension 1."""
    return F.prelu(x, alpha)


def gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    """x times the normal distribution's cumulative one at x, or an approximation by tanh."""
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(1.702 * x)
    return F.gelu(x, approximate={"EXACT": "none", "TANH_APPROXIMATION": "tanh"}[mode])


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """Exponentials divided by their sum."""
    return torch.softmax(x, axis)


def rsqrt(x: Tensor, epsilon: Number = 1e-12) -> Tensor:
    """1 / sqrt(x + epsilon)."""
    return torch.rsqrt(x + epsilon)


def inverse(x: Tensor, epsilon: Number = 1e-4) -> Tensor:
    """1 / (x + epsilon)."""
    return 1 / (x + epsilon)


# Integers


def quantize(
    input: Tensor,  # noqa: A002  MIL's name
    scale: Tensor,
    output_dtype: str,
    zero_point: Tensor | int = 0,
    axis: int | None = None,
) -> Tensor:
    """clip(round(input / scale) + zero_point), as documented."""
    return _to_integers(input / _along(scale, input, axis), output_dtype, zero_point, axis)


def quantize_by_reciprocal(
    input: Tensor,  # noqa: A002  MIL's name
    scale: Tensor,
    output_dtype: str,
    zero_point: Tensor | int = 0,
    axis: int | None = None,
) -> Tensor:
    """The same with input * (1 / scale), as PyTorch has it: rounding ties may fall differently."""
    return _to_integers(input * (1 / _along(scale, input, axis)), output_dtype, zero_point, axis)


def dequantize(
    input: Tensor,  # noqa: A002  MIL's name
    scale: Tensor,
    zero_point: Tensor | int = 0,
    axis: int | None = None,
) -> Tensor:
    """scale * (input - zero_point), in float: differences of int8 overflow int8."""
    shifted = input.float() - _along(torch.as_tensor(zero_point), input, axis).float()
    return shifted * _along(scale, input, axis)


def constexpr_affine_dequantize(
    quantized_data: Tensor, zero_point: Tensor | int, scale: Tensor, axis: int
) -> Tensor:
    """The same for weights."""
    return dequantize(quantized_data, scale, zero_point, axis)


def cast(x: Tensor, dtype: str) -> Tensor:
    """To the type that the program declares for the result, which is `dtype`."""
    return x


OPERATIONS: dict[str, Kernel] = {
    "conv": conv,
    "linear": linear,
    "matmul": matmul,
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "reduce_mean": reduction(torch.mean),
    "reduce_sum": reduction(torch.sum),
    "reduce_max": reduction(torch.amax),
    "reduce_min": reduction(torch.amin),
    "add": binary(torch.add),
    "sub": binary(torch.sub),
    "mul": binary(torch.mul),
    "real_div": binary(torch.div),
    "maximum": binary(torch.maximum),
    "minimum": binary(torch.minimum),
    "relu": unary(torch.relu),
    "sigmoid": unary(torch.sigmoid),
    "tanh": unary(torch.tanh),
    "sqrt": unary(torch.sqrt),
    "square": unary(torch.square),
    "abs": unary(torch.abs),
    "exp": unary(torch.exp),
    "round": unary(torch.round),  # half to even, as NumPy
    "identity": unary(torch.clone),
    "clip": clip,
    "leaky_relu": leaky_relu,
    "prelu": prelu,
    "gelu": gelu,
    "softmax": softmax,
    "rsqrt": rsqrt,
    "inverse": inverse,
    "concat": mil_shapes.concat,
    "split": mil_shapes.split,
    "stack": mil_shapes.stack,
    "expand_dims": mil_shapes.expand_dims,
    "squeeze": mil_shapes.squeeze,
    "reshape": mil_shapes.reshape,
    "transpose": mil_shapes.transpose,
    "slice_by_index": mil_shapes.slice_by_index,
    "slice_by_size": mil_shapes.slice_by_size,
    "pad": mil_shapes.pad,
    "pixel_shuffle": mil_shapes.pixel_shuffle,
    "upsample_bilinear": mil_shapes.upsample_bilinear,
    "quantize": quantize,
    "dequantize": dequantize,
    "constexpr_affine_dequantize": constexpr_affine_dequantize,
    "cast": cast,
}
"""Every operation that a program may hold."""


def _sides(
    pad_type: str,
    pad: Sequence[int],
    x: Tensor,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> tuple[list[int], list[int]]:
    """Padding (of height, of width) before and after."""
    if pad_type == "custom":
        return [pad[0], pad[2]], [pad[1], pad[3]]
    if pad_type == "valid":
        return [0, 0], [0, 0]
    totals = [
        max(0, (-(-side // stride) - 1) * stride + (width - 1) * dilation + 1 - side)
        for side, width, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True)
    ]
    less, more = [total // 2 for total in totals], [-(-total // 2) for total in totals]
    return {"same": (less, more), "same_lower": (more, less)}[pad_type]


def _along(parameter: Tensor, x: Tensor, axis: int | None) -> Tensor:
    """A number, or one for each place along an axis, in a shape that broadcasts over x."""
    if parameter.ndim == 0:
        return parameter
    assert axis is not None
    shape = [1] * x.ndim
    shape[axis] = -1
    return parameter.reshape(shape)


def _to_integers(steps: Tensor, output_dtype: str, zero_point: Tensor | int, axis: int | None) -> Tensor:
    dtype = INTEGERS[output_dtype]
    limits = torch.iinfo(dtype)
    shifted = steps.round() + _along(torch.as_tensor(zero_point), steps, axis).float()
    return shifted.clamp(limits.min, limits.max).to(dtype)
