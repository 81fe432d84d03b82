"""LFFN for integer kernels: its all-linear ends folded, its depthwise paths side by side."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgesr.models.lffn import LFFN, PATHS, FusionModule, SpindleBlock
from edgesr.quantization.edge_form.equalize import channel_ranges, rescale, spread
from edgesr.quantization.edge_form.folding import convolution, weight_of
from edgesr.quantization.edge_form.parts import Precise, PreciseIsland

TRUNK_SPREAD = 0.5
"""How far the trunk's channels are made alike: half-way (in decibels) cost the weights least."""


class LinearSkip(Precise):
    """What SR owes to the image by a linear map alone, in float, plus the rest.

    Head, up-sampling and last layer are linear, so the path around the body is one 3x3 convolution of
    the image. Pixels are exact in float, and the body's part is small: int8 loses least on it.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, lr: Tensor, rest: Tensor) -> Tensor:
        """LR padded by one pixel (N,3,h+2,w+2), rest (N,3s²,h,w) → (N,3s²,h,w)."""
        return self.convolution(lr) + rest


class MergedPaths(Precise):
    """The four paths of a depthwise spindle block side by side, through three wide stages.

    A path that is shorter than the others passes a stage by a kernel with a 1 in its middle and an
    activation of slope 1: no slices, no concatenation. In float, because a PReLU is float in XNNPACK
    anyway: what int8 would save on depthwise kernels it would lose on conversions, and most of the
    network's noise came from the int8 values in front of the PReLUs (DECISIONS.md).
    """

    def __init__(self, block: SpindleBlock) -> None:
        super().__init__()
        stages = [self._stage(block, depth) for depth in range(max(PATHS))]
        self.stages = nn.Sequential(*(layer for stage in stages for layer in stage))

    def forward(self, x: Tensor) -> Tensor:
        """(N,4C/3,h,w) → (N,4C/3,h,w)."""
        return self.stages(x)

    def _stage(self, block: SpindleBlock, depth: int) -> tuple[nn.Conv2d, nn.PReLU]:
        kernels, slopes = [], []
        copying, passing = _copying(block.width), torch.ones(block.width)
        for path in block.paths:
            assert isinstance(path, nn.Sequential)
            convolutions = [layer for layer in path if isinstance(layer, nn.Conv2d)]
            activations = [layer for layer in path if isinstance(layer, nn.PReLU)]
            kernels.append(convolutions[depth].weight if depth < len(convolutions) else copying)
            slopes.append(activations[depth].weight if depth < len(activations) else passing)
        width = block.width * len(PATHS)
        wide = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        activation = nn.PReLU(width)
        with torch.no_grad():
            wide.weight.copy_(torch.cat(kernels))
            activation.weight.copy_(torch.cat(slopes))
        return wide, activation


def _copying(width: int) -> Tensor:
    """Depthwise 3x3 kernels that change nothing."""
    kernels = torch.zeros(width, 1, 3, 3)
    kernels[:, :, 1, 1] = 1
    return kernels


class MergedSpindle(nn.Module):
    """A depthwise spindle block with merged paths."""

    def __init__(self, block: SpindleBlock) -> None:
        super().__init__()
        self.expand, self.paths, self.shrink = block.expand, MergedPaths(block), block.shrink

    def forward(self, x: Tensor) -> Tensor:
        """(N,C,h,w) → (N,C,h,w)."""
        return self.shrink(self.paths(self.expand(x))) + x

    def equalize(self, expanded: Tensor, refined: Tensor) -> None:
        """Divide the channels by these factors before and after the paths."""
        rescale(self.expand, outputs=expanded)
        rescale(self.paths.stages[0], outputs=refined / expanded)
        rescale(self.shrink, inputs=refined)


class FloatFusion(Precise):
    """The module outputs' weighted sum in float: int8 would round each of its terms and sums."""

    def __init__(self, fusion: nn.Module) -> None:
        super().__init__()
        self.fusion = fusion

    def forward(self, *outputs: Tensor) -> Tensor:
        """M tensors (N,C,h,w) → (N,C,h,w)."""
        return self.fusion(list(outputs))


class EdgeLFFN(nn.Module):
    """LFFN as PS(A·R + B*x): the tail folded into A, and with the head into one convolution B.

    The trunk is float from the head to the pixel shuffle; only the blocks that read it are int8. The
    shift of the input becomes the padding's value and two biases, because 8-bit pixels minus 0.5 are on
    no int8 grid that holds zero.
    """

    def __init__(self, model: LFFN) -> None:
        super().__init__()
        mixed, skip, bias = _compose_tail(model)
        head = weight_of(model.head)
        shift = -0.5 * head.sum((1, 2, 3))  # head(x - 0.5) = head(x) + shift, x padded with 0.5
        self.head = PreciseIsland(convolution(head, shift))
        self.body = nn.ModuleList()
        for module in model.body:
            assert isinstance(module, FusionModule)
            module.blocks = nn.ModuleList(_merged(block) for block in module.blocks)
            self.body.append(module)
        self.fusion = FloatFusion(model.fusion)
        self.tail = PreciseIsland(convolution(mixed[:, :, None, None], None))
        direct = torch.einsum("oc,cikl->oikl", skip, head)
        self.skip = LinearSkip(convolution(direct, skip @ shift + bias))
        self.shuffle = nn.PixelShuffle(model.scale)

    def forward(self, lr: Tensor) -> Tensor:
        """LR (N,3,h,w) → SR (N,3,sh,sw)."""
        padded = F.pad(lr, (1, 1, 1, 1), value=0.5)
        x, outputs = self.head(padded), []
        for module in self.body:
            x = module(x)
            outputs.append(x)
        return self.shuffle(self.skip(padded, self.tail(self.fusion(*outputs))))

    @torch.no_grad()
    def equalize(self, lr: Tensor) -> None:
        """Scale every channel so that all use the int8 range alike, as seen on LR (N,3,h,w).

        Exact: what writes a channel is divided by its factor, what reads it multiplied, and the PReLUs
        between are homogeneous. Int8 then keeps the small channels that one scale for all would drown.
        """
        modules = [module for module in self.body if isinstance(module, FusionModule)]
        blocks = [block for module in modules for block in module.blocks]
        ranges = channel_ranges(self, lr)
        trunk = torch.stack([ranges[layer] for layer in (self.head, *modules, *blocks)]).amax(0)
        trunk = spread(trunk, TRUNK_SPREAD)  # carried from block to block: one factor for all
        rescale(self.head.module, outputs=trunk)
        for block in blocks:
            reads, *_, writes = (layer for layer in block.children() if isinstance(layer, nn.Conv2d))
            rescale(reads, inputs=trunk)
            rescale(writes, outputs=trunk)
            if isinstance(block, MergedSpindle):
                block.equalize(spread(ranges[block.expand]), spread(ranges[block.paths]))
        for module in modules:
            rescale(module.fuse, inputs=trunk.repeat(len(module.blocks)), outputs=trunk)
        for layer in self.fusion.modules():
            if isinstance(layer, nn.Conv2d):
                rescale(layer, inputs=trunk)
        rescale(self.tail.module, inputs=trunk)


def _merged(block: nn.Module) -> nn.Module:
    """Dense paths and residual blocks stay: side by side they would multiply by zeros."""
    if isinstance(block, SpindleBlock) and block.depthwise:
        return MergedSpindle(block)
    return block


def _compose_tail(model: LFFN) -> tuple[Tensor, Tensor, Tensor]:
    """The tail as A (from R), B (from M0) and b, in PixelShuffle's order, found by probing it."""
    tail = copy.deepcopy(nn.Sequential(model.up, model.last)).double()
    post = weight_of(model.post)[:, :, 0, 0]
    channels = post.shape[0]
    with torch.no_grad():
        bias = tail(torch.zeros(1, channels, 1, 1, dtype=torch.double))
        response = tail(torch.eye(channels, dtype=torch.double).view(channels, channels, 1, 1)) - bias
    skip = response.flatten(1).T  # (3s², C): one column per feature
    return skip @ post, skip, (bias + 0.5).flatten()
