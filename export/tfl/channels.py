"""Channels in the order in which DEPTH_TO_SPACE wants them.

PyTorch's PixelShuffle(r) takes channel c·r² + dy·r + dx for colour c at place (dy,dx) of its block,
TFLite's DEPTH_TO_SPACE takes (dy·r + dx)·C + c. Whoever writes these channels can as well write them in
that order: layers have their output channels permuted, and nothing is moved at run time.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.fx import Node

from export.program import Graph, is_dequantize, is_quantize, shape_of

aten = torch.ops.aten
CARRIERS = {
    aten.add.Tensor,
    aten.sub.Tensor,
    aten.mul.Tensor,
    aten.relu.default,
    aten.leaky_relu.default,
    aten.prelu.default,
    aten.gelu.default,
}
"""Operators that compute each channel from the same channel of what they read."""

Order = NDArray[np.int64]
"""Channel j of the file is channel order[j] of the graph."""


def orders(graph: Graph) -> dict[Node, Order]:
    """For each node in front of a pixel shuffle, the order in which it is to write its channels."""
    found: dict[Node, Order] = {}
    for node in graph.nodes:
        if node.target is aten.pixel_shuffle.default:
            source, factor = node.args
            assert isinstance(source, Node)
            assert isinstance(factor, int)
            _ask(graph, source, node, shuffle_order(shape_of(source)[1], factor), found)
    return found


def shuffle_order(channels: int, factor: int) -> Order:
    """Of the channels that PixelShuffle(factor) reads."""
    places = factor * factor
    return np.arange(channels).reshape(channels // places, places).T.reshape(-1)


def _ask(graph: Graph, node: Node, reader: Node, order: Order, found: dict[Node, Order]) -> None:
    """Have `node`, which `reader` reads, write its channels in this order."""
    if len(node.users) > 1:
        names = ", ".join(user.name for user in node.users)
        raise NotImplementedError(f"{node.name} feeds a pixel shuffle and others: {names}")
    if is_quantize(node) or is_dequantize(node):
        _ask(graph, node.args[0], node, order, found)  # pyright: ignore[reportArgumentType]
        return
    if node.target is aten.conv2d.default:
        found[node] = order
    elif node.target in CARRIERS:
        found[node] = order
        for source in graph.activations(node):
            if shape_of(source)[1] != len(order):
                raise NotImplementedError(f"{node.name} in front of a pixel shuffle broadcasts channels")
            _ask(graph, source, node, order, found)
    else:
        raise NotImplementedError(f"{node.target} ({node.name}) in front of {reader.name}")
