"""Image super-resolution that runs on a phone: five published networks, trained quantization-aware.

    import edgesr
    upscaler = edgesr.load("msfin-s", scale=4)
    upscaler.image("photo.jpg").save("large.png")       # Pillow image or path → Pillow image
    sr = upscaler(lr)                                    # tensors, by the data contract
    edgesr.evaluate(upscaler, edgesr.load_benchmark("Set5", 4), 4).psnr

The data contract, once: an `Upscaler` maps LR (N,3,H,W) to SR (N,3,scale*H,scale*W). Both are RGB,
float32, in [0,1]. A float network, a fake-quantized graph and an exported file are all upscalers, so
one `edgesr.metrics.evaluate` scores them all and one `edgesr.tiling` runs them over any image.
Networks normalise inside.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Runner": "edgesr.runner",
    "Upscaler": "edgesr.contract",
    "UserError": "edgesr.errors",
    "evaluate": "edgesr.metrics",
    "load": "edgesr.upscale",
    "load_benchmark": "edgesr.data",
}
"""Public name → its module, imported when the name is first used: `import edgesr` costs no torch."""

__all__ = ["__version__", *_HOMES]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
