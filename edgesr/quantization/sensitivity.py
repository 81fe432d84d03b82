"""What the fake quantizers of a graph cost: one by one, each left out, in groups."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.fx import GraphModule
from torchao.quantization.pt2e import disable_observer

from edgesr.data.images import to_uint8
from edgesr.metrics import luma, psnr
from edgesr.quantization.fake_quantizers import FakeQuantizer, bits, fake_quantizers, switched, watched


class Effect(NamedTuple):
    """What some quantizers do to SR, against none at all."""

    noise: float
    """Mean square change in 8-bit levels, over all pixels and channels of SR, clamped, not rounded."""
    lost: float
    """PSNR to HR in dB (Y, shave `scale`, 8-bit SR) that they cost."""


class Probe:
    """A fake-quantized graph on some images, whose quantizers can be tried one by one."""

    def __init__(self, graph: GraphModule, lr: Tensor, hr: Tensor, scale: int) -> None:
        """Take a graph for LR (1,3,h,w), LR (N,3,h,w) in [0,1] on its device and HR (N,3,sh,sw) uint8.

        The graph's ranges stay as they are: its observers are stopped.
        """
        graph.eval()
        graph.apply(disable_observer)
        self.graph, self.lr, self.scale = graph, lr, scale
        self.quantizers = fake_quantizers(graph)
        self.hr = self._inner(hr.permute(0, 2, 3, 1).numpy())
        with watched(self.quantizers) as spans:
            self.reference = self._sr(())
        self.psnr = self._score(self.reference)
        """Of the graph with all quantizers off, in dB."""
        self.bits = {quantizer: bits(quantizer, spans) for quantizer in self.quantizers}
        """log2 of the steps that the values span; above 8 some are clipped. A median for weights."""

    def effect(self, on: Iterable[FakeQuantizer]) -> Effect:
        """Of these quantizers, with all others off."""
        sr = self._sr(on)
        noise = float((sr - self.reference).double().square().mean()) * 255**2
        return Effect(noise, self.psnr - self._score(sr))

    @torch.no_grad()
    def _sr(self, on: Iterable[FakeQuantizer]) -> Tensor:
        with switched(self.quantizers, on):
            return torch.cat([self.graph(image) for image in self.lr.split(1)]).clamp(0, 1).cpu()

    def _score(self, sr: Tensor) -> float:
        """One PSNR over all images together: that of a single flat patch may be infinite."""
        return psnr(self._inner(np.stack([to_uint8(image[None]) for image in sr])), self.hr)

    def _inner(self, images: np.ndarray) -> np.ndarray:
        """8-bit RGB (N,H,W,3) → Y without `scale` pixels at each border."""
        shave = self.scale
        return luma(images)[:, shave:-shave, shave:-shave]


@dataclass(frozen=True)
class Row:
    """A quantizer or a group of them, and what it does."""

    name: str
    members: list[FakeQuantizer]
    alone: Effect
    """Of it, with all others off."""
    rest: Effect | None = None
    """Of all others, with it off. Not measured for groups."""


class Sensitivity(NamedTuple):
    """Everything that was measured; `groups` begins with all quantizers at once."""

    groups: list[Row]
    singles: list[Row]
    """In the order in which the network runs."""


def measure(probe: Probe, *, leave_out: bool, on_row: Callable[[str], None]) -> Sensitivity:
    """Try each group and each quantizer; `on_row(name)` is called after each.

    `leave_out` has each quantizer also turned off with all others on.
    """
    groups, singles = [], []
    for name, members in grouped(probe.quantizers).items():
        groups.append(Row(name, members, probe.effect(members)))
        on_row(name)
    for own in probe.quantizers:
        others = [other for other in probe.quantizers if other is not own]
        rest = probe.effect(others) if leave_out else None
        singles.append(Row(own.name, [own], probe.effect([own]), rest))
        on_row(own.name)
    return Sensitivity(groups, singles)


def grouped(quantizers: list[FakeQuantizer]) -> dict[str, list[FakeQuantizer]]:
    """All, weights, activations; activations by who writes them; all by uppermost module."""
    groups: dict[str, list[FakeQuantizer]] = defaultdict(list, {"all": quantizers})
    groups["weights"] = [quantizer for quantizer in quantizers if quantizer.is_weight]
    groups["activations"] = [quantizer for quantizer in quantizers if not quantizer.is_weight]
    for quantizer in groups["activations"]:
        groups[f"from {quantizer.kind}"].append(quantizer)
    for quantizer in quantizers:
        groups[f"in {quantizer.block}"].append(quantizer)
    return dict(groups)
