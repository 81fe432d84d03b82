"""MLRN for integer kernels: it has nothing but convolutions, and only its colour shifts need care."""

import torch
from torch import Tensor, nn

from edgesr.models.blocks import DIV2K_MEAN
from edgesr.models.mlrn import MLRN
from edgesr.quantization.edge_form.folding import bias_of, convolution, weight_of
from edgesr.quantization.edge_form.parts import ColourPadding


class EdgeMLRN(nn.Module):
    """The mean colour as the padding's value and two biases: 8-bit pixels minus it are on no grid."""

    def __init__(self, model: MLRN) -> None:
        super().__init__()
        mean = torch.tensor(DIV2K_MEAN, dtype=torch.double)
        head, last = model.head, _last_convolution(model.tail)
        shift = torch.einsum("ocij,c->o", weight_of(head), mean)
        places = last.out_channels // 3
        with torch.no_grad():
            assert last.bias is not None
            last.bias += mean.float().repeat_interleave(places)
        model.head = nn.Sequential(
            ColourPadding(DIV2K_MEAN), convolution(weight_of(head), bias_of(head) - shift)
        )
        self.model = model

    def forward(self, lr: Tensor) -> Tensor:
        """LR (N,3,h,w) → SR (N,3,sh,sw)."""
        return self.model.deep(self.model.shallow(self.model.head(lr)))


def _last_convolution(tail: nn.Sequential) -> nn.Conv2d:
    return [layer for layer in tail if isinstance(layer, nn.Conv2d)][-1]
