"""Whether a file says what its program says: its parameters, its scales, and what follows from them.

Runtimes round ties each in its own way, so images that they make cannot tell a slightly wrong file from
a right one: one weight that is off by one bit is far below what two right kernels differ by. Here both
are computed by PyTorch in double precision, where nothing rounds but their own scales.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Interpreter, Node

from export import stored
from export.program import (
    DEQUANTIZE_CHANNELS,
    Graph,
    Weights,
    integer_bias,
    is_dequantize,
    is_quantize,
    quantization,
    shape_of,
    weights_of,
)
from export.stored import File, Operator

aten = torch.ops.aten
TOLERANCE = 1e-6
"""Of SR in [0,1], far above double precision's rounding and far below an 8-bit level."""
CONVOLUTIONS = {"CONV_2D", "Conv2d"}
DEPTHWISE = {"DEPTHWISE_CONV_2D", "DepthwiseConv2d"}
LIMITS = {np.dtype(np.int8): (-128, 127), np.dtype(np.uint8): (0, 255)}

Kernels = Mapping[str, Callable[[Operator, list[Tensor]], list[Tensor]]]
"""Operator of a format → what PyTorch computes for it; a convolution without a bias is given zeros."""


def faults(
    program: ExportedProgram,
    file: File,
    upscale: Callable[[Tensor], Tensor],
    orders: Mapping[Node, NDArray[np.int64]] | None = None,
) -> list[str]:
    """Everything in which a file differs from the program that it was written from, in words.

    `upscale` computes the file in double precision. `orders` are those of the output channels that the
    file has otherwise than the program, by convolution.
    """
    graph = Graph(program)
    found = [*_layers(graph, file, orders or {}), *_scales(graph, file)]
    lr = torch.rand(shape_of(graph.image), generator=torch.Generator().manual_seed(0))
    lr = (lr * 255).round() / 255
    try:
        difference = (upscale(lr) - in_double(program, lr)).abs().max().item()
    except (ValueError, RuntimeError) as error:
        return [*found, f"the file cannot be computed: {error}"]
    if not difference <= TOLERANCE:
        found.append(f"the file's SR differs from its program's by up to {255 * difference:.3g} levels")
    return found


def compute(file: File, image: Tensor, kernels: Kernels) -> Tensor:
    """What a file makes of an image, both laid out as the file has them, in float64.

    ValueError if the file contradicts itself.
    """
    values: dict[int, Tensor] = {file.image: _rounded(file, file.image, image.double())}

    def value(index: int) -> Tensor:
        """What a tensor holds, in float and as the file lays it out."""
        if index not in values:
            values[index] = _constant(file.tensors[index])
        return values[index]

    for operator in file.operators:
        inputs = [value(index) for index in operator.inputs]
        if operator.name in CONVOLUTIONS | DEPTHWISE:
            inputs[2:] = [_bias(file, operator)]
        outputs = kernels[operator.name](operator, inputs)
        for index, output in zip(operator.outputs, outputs, strict=True):
            if tuple(output.shape) != file.tensors[index].shape:
                raise ValueError(
                    f"{operator.name} writes {tuple(output.shape)}, the file says otherwise"
                )
            values[index] = _rounded(file, index, output)
    return values[file.upscaled]


def _constant(tensor: stored.Tensor) -> Tensor:
    if tensor.values is None:
        raise ValueError(f"{tensor.name} is read before it is written")
    values = torch.from_numpy(tensor.values.copy())
    if tensor.dtype == np.int32:
        return values
    if tensor.quantization is None:
        return values.double()
    own, along = tensor.quantization, [1] * values.ndim
    if values.ndim:
        along[own.axis] = -1
    scale = torch.from_numpy(own.scale.astype(np.float64)).reshape(along)
    zero = torch.from_numpy(own.zero_point.copy()).reshape(along)
    return (values.double() - zero) * scale


def _bias(file: File, operator: Operator) -> Tensor:
    """In steps of input scale times weight scale, as integer kernels add it, in a checkpoint's float32.

    Without that last rounding to float32, one value in a million would be rounded to another integer.
    """
    read, weight, *biases = (file.tensors[index] for index in operator.inputs)
    if not biases:
        return torch.zeros(weight.shape[3 if operator.name in DEPTHWISE else 0], dtype=torch.double)
    values = biases[0].values
    if values is None:
        raise ValueError(f"{operator.name} has a bias that is computed")
    if values.dtype == np.float32:
        return torch.from_numpy(values.astype(np.float64))
    if read.quantization is None or weight.quantization is None:
        raise ValueError(f"{operator.name} has an integer bias, but not all that it reads is integer")
    steps = read.quantization.scale.astype(np.float64) * weight.quantization.scale
    return torch.from_numpy(values * steps).float().double()


def _rounded(file: File, index: int, value: Tensor) -> Tensor:
    """A value as its tensor holds it: on the grid of its scale, if it has one."""
    tensor = file.tensors[index]
    if tensor.quantization is None:
        return value
    scale, zero = float(tensor.quantization.scale[0]), int(tensor.quantization.zero_point[0])
    low, high = LIMITS[tensor.dtype]
    levels = (torch.round(value * (1.0 / scale)) + zero).clamp(low, high)
    return (levels - zero) * scale


@torch.no_grad()
def in_double(program: ExportedProgram, lr: Tensor) -> Tensor:
    """SR of a program in double precision, with all its roundings to int8."""
    output = _Double(program.module(check_guards=False)).run(lr.double())
    return output[0] if isinstance(output, tuple | list) else output


class _Double(Interpreter):
    """Runs a graph with every float in double precision."""

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        value = super().get_attr(target, args, kwargs)
        floating = isinstance(value, Tensor) and value.is_floating_point()
        return value.double() if floating else value

    def run_node(self, n: Node) -> Any:
        arguments: Any = self.map_nodes_to_values(n.args, n)
        if is_quantize(n):
            value, scale, zero, low, high = arguments[:5]
            return (torch.round(value * (1.0 / scale)) + zero).clamp(low, high)
        if is_dequantize(n):
            value, scale, zero = arguments[:3]
            return (
                (value - zero) * scale if value.is_floating_point() else (value.double() - zero) * scale
            )
        if str(n.target) == DEQUANTIZE_CHANNELS:
            value, scale, zero, axis = arguments[:4]
            along = [-1 if dimension == axis else 1 for dimension in range(value.ndim)]
            return (value.double() - zero.reshape(along)) * scale.double().reshape(along)
        if n.target is aten.leaky_relu.default:  # its slope is a float32 wherever it runs
            return aten.leaky_relu.default(arguments[0], float(np.float32(arguments[1])))
        return super().run_node(n)


def _layers(graph: Graph, file: File, orders: Mapping[Node, NDArray[np.int64]]) -> list[str]:
    """Weights, their scales and biases of every convolution, in turn."""
    wanted = [node for node in graph.nodes if node.target is aten.conv2d.default]
    there = [operator for operator in file.operators if operator.name in CONVOLUTIONS | DEPTHWISE]
    if len(wanted) != len(there):
        return [f"{len(there)} convolutions, {len(wanted)} in the program"]
    return [
        f"{node.name}: {fault}"
        for node, operator in zip(wanted, there, strict=True)
        for fault in _layer(weights_of(graph, node, orders.get(node)), file, operator)
    ]


def _layer(weights: Weights, file: File, operator: Operator) -> list[str]:
    """What is wrong with one convolution's parameters."""
    image, kernel, *others = (file.tensors[index] for index in operator.inputs)
    biases = [(bias.values, bias.quantization) for bias in others]
    if kernel.values is None or any(values is None for values, _ in biases):
        return ["its parameters are computed, not stored"]
    if kernel.values.dtype != weights.kernel.dtype:
        return [f"{kernel.values.dtype} weights, {weights.kernel.dtype} in the program"]
    found = []
    axes = (3, 0, 1, 2) if operator.name in DEPTHWISE else (0, 3, 1, 2)
    if not np.array_equal(kernel.values.transpose(axes), weights.kernel):
        found.append("weights differ")
    steps, expected = None, weights.bias.astype(np.float32)
    if weights.scale is not None:
        own = kernel.quantization
        if own is None or (own.scale != weights.scale).any() or own.zero_point.any():  # or one for all
            found.append("the weights' scales differ")
        if image.quantization is None:
            return [*found, "reads floats"]
        expected, steps = integer_bias(weights, image.quantization)
    if not biases:
        return [*found, "has no bias"] if expected.any() else found
    ((values, own),) = biases
    if steps is not None and not steps.equals(own):
        found.append("the bias's steps differ")
    # beyond 2**22 an integer is a matter of rounding: bias, step and quotient are float32 in a converter
    if values is None or values.dtype != expected.dtype or not np.allclose(values, expected, 2**-22, 0):
        found.append("biases differ")
    return found


def _scales(graph: Graph, file: File) -> list[str]:
    """Whether the file rounds its activations on the program's grids and on no other."""
    known = {_grid(quantization(node)) for node in graph.nodes if is_quantize(node)}
    known |= {(scale, zero + 128) for scale, zero in known if zero == -128}  # images in uint8
    computed = [tensor for tensor in file.tensors if tensor.values is None and tensor.quantization]
    return [
        f"{tensor.name}: scale {scale:.8g} with zero point {zero} is none of the program's"
        for tensor in computed
        if tensor.quantization
        for scale, zero in [_grid(tensor.quantization)]
        if (scale, zero) not in known
    ]


def _grid(own: Any) -> tuple[float, int]:
    return float(own.scale[0]), int(own.zero_point[0])
