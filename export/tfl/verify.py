"""Whether a .tflite says what its program says: its parameters, its scales, and what follows from them.

Runtimes round ties each in its own way, so images that they make cannot tell a slightly wrong file from
a right one: one weight that is off by one bit is far below what two right kernels differ by. Here both
are computed by PyTorch in double precision, where nothing rounds but their own scales.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Interpreter, Node

from export.tfl.channels import orders
from export.tfl.file import File, read
from export.tfl.graph import (
    DEQUANTIZE_CHANNELS,
    Graph,
    is_dequantize,
    is_quantize,
    quantization,
    shape_of,
)
from export.tfl.layers import integer_bias, weights_of
from export.tfl.readback import compute

aten = torch.ops.aten
TOLERANCE = 1e-6
"""Of SR in [0,1], far above double precision's rounding and far below an 8-bit level."""
CONVOLUTIONS = {"CONV_2D", "DEPTHWISE_CONV_2D"}


def faults(program: ExportedProgram, content: bytes) -> list[str]:
    """Everything in which a file differs from the program that it was written from, in words."""
    file, graph = read(content), Graph(program)
    found = [*_layers(graph, file), *_scales(graph, file)]
    lr = torch.rand(shape_of(graph.image), generator=torch.Generator().manual_seed(0))
    lr = (lr * 255).round() / 255
    try:
        difference = (compute(file, lr) - in_double(program, lr)).abs().max().item()
    except (ValueError, RuntimeError) as error:
        return [*found, f"the file cannot be computed: {error}"]
    if not difference <= TOLERANCE:
        found.append(f"the file's SR differs from its program's by up to {255 * difference:.3g} levels")
    return found


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


def _layers(graph: Graph, file: File) -> list[str]:
    """Weights, their scales and biases of every convolution, in turn."""
    wanted = [node for node in graph.nodes if node.target is aten.conv2d.default]
    there = [operator for operator in file.operators if operator.name in CONVOLUTIONS]
    if len(wanted) != len(there):
        return [f"{len(there)} convolutions, {len(wanted)} in the program"]
    channel_orders = orders(graph)
    found = []
    for node, operator in zip(wanted, there, strict=True):
        weights = weights_of(graph, node, channel_orders.get(node))
        image, kernel, bias = (file.tensors[index] for index in operator.inputs)
        if kernel.values is None or bias.values is None:
            found.append(f"{node.name}: its parameters are computed, not stored")
            continue
        if kernel.values.dtype != weights.kernel.dtype:
            found.append(
                f"{node.name}: {kernel.values.dtype} weights, {weights.kernel.dtype} in the program"
            )
            continue
        depthwise = operator.name == "DEPTHWISE_CONV_2D"
        if not np.array_equal(
            kernel.values.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2)), weights.kernel
        ):
            found.append(f"{node.name}: weights differ")
        if weights.scale is None:
            expected = weights.bias.astype(np.float32)
        else:
            own = kernel.quantization
            if own is None or not np.array_equal(own.scale, weights.scale) or own.zero_point.any():
                found.append(f"{node.name}: the weights' scales differ")
            if image.quantization is None:
                found.append(f"{node.name}: reads floats")
                continue
            expected, steps = integer_bias(weights, image.quantization)
            if bias.quantization is None or not steps.equals(bias.quantization):
                found.append(f"{node.name}: the bias's steps differ")
        if bias.values.dtype != expected.dtype or not np.array_equal(bias.values, expected):
            found.append(f"{node.name}: biases differ")
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
