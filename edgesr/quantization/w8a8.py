"""w8a8 and int8: int8 weights per output channel, int8 activations per tensor, pixel-exact ends.

They differ in what stays float for accuracy: in w8a8 sums and the islands of the edge forms, in int8
only what has no integer kernel.

The settings that are not torchao's stock ones, each because the stock one ships numbers that were not
trained (DECISIONS.md has the measurements):

- plain `FakeQuantize` rather than the fused one, whose kernel rounds weight scales differently from
  the conversion;
- weight observers with averaging_constant 1, so that the scales are those of the current weights;
- `ch_axis` given twice: `prepare` drops the specification's for plain fake quantizers;
- eps 2**-16: the stock 2**-12 floors the scales of small weights.
"""

from dataclasses import replace

import torch
from torchao.quantization.pt2e import (
    FakeQuantize,
    MovingAverageMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
)
from torchao.quantization.pt2e.quantizer import FixedQParamsQuantizationSpec, QuantizationSpec

from edgesr.quantization.scheme import Scheme

EPS = 2.0**-16


def _weight(axis: int) -> QuantizationSpec:
    return QuantizationSpec(
        dtype=torch.int8,
        quant_min=-127,
        quant_max=127,
        qscheme=torch.per_channel_symmetric,
        ch_axis=axis,
        observer_or_fake_quant_ctr=FakeQuantize.with_args(
            observer=MovingAveragePerChannelMinMaxObserver,
            ch_axis=axis,
            averaging_constant=1.0,
            eps=EPS,
        ),
    )


def _fixed(scale: float, zero_point: int = -128) -> FixedQParamsQuantizationSpec:
    """By default [0, 255 * scale] on the int8 grid: the integer is the level minus 128.

    The scale is rounded to float32: fake quantizers hold it so, and converting would write the double.
    """
    return FixedQParamsQuantizationSpec(
        dtype=torch.int8,
        scale=torch.tensor(scale, dtype=torch.float32).item(),
        zero_point=zero_point,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_tensor_affine,
    )


W8A8 = Scheme(
    name="w8a8",
    summary="int8 weights per channel and activations per tensor; float where int8 would cost most",
    activation=QuantizationSpec(
        dtype=torch.int8,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_tensor_affine,
        observer_or_fake_quant_ctr=FakeQuantize.with_args(
            observer=MovingAverageMinMaxObserver, averaging_constant=0.05, eps=EPS
        ),
    ),
    weight=_weight,
    pixel=_fixed(1 / 255),
    one=_fixed(1.0, zero_point=0),
    precise=True,
    unit=_fixed(1 / 256),  # TFLite's LOGISTIC and SOFTMAX accept no other scale
)

INT8 = replace(
    W8A8,
    name="int8",
    summary="w8a8 with everything in int8 that can be: for integer hardware, less accurate",
    precise=False,
)
