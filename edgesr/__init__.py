"""Image super-resolution that runs on a phone: five published networks, trained quantization-aware.

The data contract, once: an `Upscaler` maps LR (N,3,H,W) to SR (N,3,scale*H,scale*W). Both are RGB,
float32, in [0,1]. A float network, a fake-quantized graph and an exported file are all upscalers, so
one `edgesr.metrics.evaluate` scores them all and one `edgesr.tiling` runs them over any image.
Networks normalise inside.
"""

from collections.abc import Callable

from torch import Tensor

Upscaler = Callable[[Tensor], Tensor]

__version__ = "0.1.0"
__all__ = ["Upscaler", "__version__"]
