"""Bicubic enlargement, as MATLAB's imresize does it: the floor that every network must beat."""

import torch
from torch import Tensor, nn

from edgesr.resize import taps


class Bicubic(nn.Module):
    """LR (N,C,H,W) in [0,1] → SR (N,C,sH,sW), clamped to [0,1]. No parameters."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, lr: Tensor) -> Tensor:
        """Enlarge along height, then along width."""
        tall = _enlarge(lr.transpose(2, 3), self.scale).transpose(2, 3)
        return _enlarge(tall, self.scale).clamp(0, 1)


def _enlarge(image: Tensor, scale: int) -> Tensor:
    """Resample the last dimension: each output is a weighted sum of a few neighbouring inputs."""
    length = image.shape[-1]
    indices, weights = taps(length, length * scale, scale)
    terms = (
        image[..., torch.from_numpy(index).to(image.device)] * torch.from_numpy(weight).to(image)
        for index, weight in zip(indices.T, weights.T, strict=True)
    )
    return sum(terms, start=torch.zeros((), device=image.device))
