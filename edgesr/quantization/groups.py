"""Grouped convolutions as fewer and wider ones: the same integers in less time.

Integer kernels compute 16 output channels at once (8 on some CPUs), whatever a group has. A convolution
of 16 channels in 4 groups therefore multiplies as much as one in a single group whose other weights are
zero, and reads its input four times.
"""

from math import ceil
from operator import attrgetter

import torch
from torch import Tensor
from torch.fx import GraphModule

LANES = 16
conv2d = torch.ops.aten.conv2d.default
dequantize = torch.ops.quantized_decomposed.dequantize_per_channel.default


def merge_groups(graph: GraphModule) -> None:
    """Rewrite a converted graph's int8 convolutions in place; a weight of zero adds exactly nothing."""
    for node in graph.graph.nodes:
        if node.target is not conv2d or len(node.args) < 7 or node.args[1].target is not dequantize:
            continue
        *arguments, groups = node.args
        stored, *scales = arguments[1].args
        if stored.op != "get_attr":  # weights that are not folded
            continue
        weight = attrgetter(stored.target)(graph)
        many = merged(groups, weight.shape[1], weight.shape[0] // groups)
        if many == 1:
            continue
        name = f"{stored.target}_of_{node.name}"
        graph.register_buffer(name, block_diagonal(weight, groups, many))
        with graph.graph.inserting_before(node):
            wide = graph.graph.get_attr(name)
            arguments[1] = graph.graph.call_function(dequantize, (wide, *scales), arguments[1].kwargs)
        node.args = (*arguments, groups // many)
    graph.graph.eliminate_dead_code()
    graph.recompile()


def merged(groups: int, inputs: int, outputs: int) -> int:
    """How many groups, each of so many channels, become one: what multiplies least, with zeros and idle
    lanes counted, and of several the most. Depthwise convolutions have kernels of their own.
    """
    if inputs == 1:
        return 1

    def products(many: int) -> int:
        return groups * inputs * ceil(many * outputs / LANES) * LANES

    return min((m for m in range(1, groups + 1) if groups % m == 0), key=lambda m: (products(m), -m))


def block_diagonal(weight: Tensor, groups: int, many: int) -> Tensor:
    """(O,I,h,w) of `groups` groups → (O,many*I,h,w) of groups/many, zeros where groups did not meet."""
    rows, columns = weight.shape[0] // groups, weight.shape[1]
    wide = weight.new_zeros(weight.shape[0], many * columns, *weight.shape[2:])
    for group in range(groups):
        own, first = slice(group * rows, (group + 1) * rows), group % many * columns
        wide[own, first : first + columns] = weight[own]
    return wide
