"""LFFN's softmax fusion with constant weights."""

import torch
from torch import Tensor, nn

from edgesr.models.lffn import LFFN, SoftmaxFusion


class FixedFusion(nn.Module):
    """`SoftmaxFusion` with the same weights for every image.

    What depends on means over the image would differ from tile to tile; and it hardly depends on them
    (DECISIONS.md).
    """

    def __init__(self, weights: Tensor) -> None:
        """Take weights (1,C,1,M)."""
        super().__init__()
        self.factors = nn.ParameterList(weights.detach().split(1, 3))

    def forward(self, outputs: list[Tensor]) -> Tensor:
        """M tensors (N,C,h,w) → (N,C,h,w)."""
        total = outputs[0] * self.factors[0]
        for factor, x in zip(self.factors[1:], outputs[1:], strict=True):
            total = total + factor * x
        return total


@torch.no_grad()
def fix_fusion(model: LFFN, images: Tensor | None) -> None:
    """Weigh module outputs by what the softmax gives on average over LR images (N,3,h,w).

    Without images the weights are 1: right in form only, for a checkpoint to be loaded into.
    """
    fusion = model.fusion
    if not isinstance(fusion, SoftmaxFusion):
        return
    weights = torch.ones(1, model.head.out_channels, 1, len(model.body))
    if images is not None:
        weights = fusion.weights(model.trunk(images)[1]).mean(0, keepdim=True)
    model.fusion = FixedFusion(weights)
