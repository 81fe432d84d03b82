"""Channels scaled to use the int8 range alike (Nagel et al., "Data-free quantization through weight
equalization and bias correction", ICCV 2019; with ranges seen on images rather than those of weights).
"""

import torch
from torch import Tensor, nn

FLOOR = 1e-3
"""No channel is scaled up more than by the inverse of this."""


@torch.no_grad()
def channel_ranges(model: nn.Module, lr: Tensor) -> dict[nn.Module, Tensor]:
    """Largest magnitude of each channel that each module writes when `model` sees LR (N,3,h,w)."""
    ranges: dict[nn.Module, Tensor] = {}

    def look(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            largest = output.abs().amax((0, 2, 3))
            ranges[module] = torch.maximum(ranges.get(module, torch.zeros_like(largest)), largest)

    handles = [module.register_forward_hook(look) for module in model.modules()]
    model(lr)
    for handle in handles:
        handle.remove()
    return ranges


def spread(ranges: Tensor, power: float = 1.0) -> Tensor:
    """Factors in [FLOOR, 1] that make channels of these ranges alike; a power below 1, less unlike.

    A layer that reads scaled channels has weights of different sizes in one row, which share a scale.
    """
    relative = ranges / ranges.max().clamp_min(torch.finfo(ranges.dtype).tiny)
    return relative.clamp_min(FLOOR) ** power


@torch.no_grad()
def rescale(layer: nn.Module, *, outputs: Tensor | None = None, inputs: Tensor | None = None) -> None:
    """Divide what a convolution writes by factors per channel, or multiply what it reads."""
    assert isinstance(layer, nn.Conv2d)
    if outputs is not None:
        layer.weight.div_(outputs[:, None, None, None])
        if layer.bias is not None:
            layer.bias.div_(outputs)
    if inputs is not None:
        layer.weight.mul_(inputs[None, :, None, None])
