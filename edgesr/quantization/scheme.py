"""What a quantization scheme is: a name, and the specification of each kind of tensor."""

from collections.abc import Callable
from dataclasses import dataclass

from torchao.quantization.pt2e.quantizer import FixedQParamsQuantizationSpec, QuantizationSpec


@dataclass(frozen=True)
class Scheme:
    """How each kind of tensor is quantized; read by `edgesr.quantization.quantizer`."""

    name: str
    """As in checkpoints and file names."""
    summary: str
    activation: QuantizationSpec
    """Every activation whose range is learned from data."""
    weight: Callable[[int], QuantizationSpec]
    """Output-channel axis → the weights of a convolution or linear layer."""
    pixel: FixedQParamsQuantizationSpec
    """Images, in and out: the grid of 8-bit pixels, so that the ends lose nothing."""
    one: FixedQParamsQuantizationSpec
    """Weights that are 0 or 1, held exactly."""
    precise: bool
    """Whether sums and `Precise` islands are float: what int8 would lose most on."""
    unit: FixedQParamsQuantizationSpec
    """Outputs of sigmoid and softmax, which are in [0,1)."""
