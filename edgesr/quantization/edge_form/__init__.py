"""The edge form: a network rewritten, exactly, into what integer kernels compute well.

Applied to the float network before it is captured; the checkpoint of a float network always holds the
published form. Each rewrite changes the function by rounding only (tested on random weights).
"""

import copy
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from edgesr.models.lffn import LFFN
from edgesr.models.maffsrn import MAFFSRN
from edgesr.models.mlrn import MLRN
from edgesr.models.msfin import MSFIN
from edgesr.models.osffnet import OSFFNet
from edgesr.quantization.edge_form.folding import unfold_transposed
from edgesr.quantization.edge_form.lffn import EdgeLFFN
from edgesr.quantization.edge_form.maffsrn import EdgeMAFFSRN
from edgesr.quantization.edge_form.mlrn import EdgeMLRN
from edgesr.quantization.edge_form.msfin import edge_msfin
from edgesr.quantization.edge_form.osffnet import EdgeOSFFNet
from edgesr.quantization.edge_form.parts import Size

FORMS: dict[type[nn.Module], Callable[..., nn.Module]] = {
    LFFN: lambda model, size: EdgeLFFN(model),
    MSFIN: lambda model, size: edge_msfin(model),
    MAFFSRN: EdgeMAFFSRN,
    OSFFNet: lambda model, size: EdgeOSFFNet(model),
    MLRN: lambda model, size: EdgeMLRN(model),
}
"""Family → (network, LR height and width) → its edge form. A network without a row stays as it is."""


@runtime_checkable
class Equalizable(Protocol):
    """An edge form that can make its channels alike."""

    def equalize(self, lr: Tensor) -> None:
        """Scale channels, exactly, by their ranges on LR (N,3,h,w)."""


def edge_form(model: nn.Module, size: Size, images: Tensor | None = None) -> nn.Module:
    """A rewritten copy of `model`, in eval mode; it computes what `model` computes at that LR size.

    Only what is enlarged inside a network depends on the size, and nothing that is trained does. With
    LR `images` (N,3,h,w) of that size to see ranges by, a form that can has its channels equalized.
    """
    model = copy.deepcopy(model).eval()
    form = FORMS.get(type(model))
    edge = model if form is None else form(model, size)
    unfold_transposed(edge)
    if images is not None and isinstance(edge, Equalizable):
        edge.equalize(images)
    return edge.eval()
