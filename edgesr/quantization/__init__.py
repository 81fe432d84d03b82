"""Quantization: one scheme object trains a network and lowers it, so that the two cannot disagree."""

from edgesr.errors import unknown
from edgesr.quantization.scheme import Scheme
from edgesr.quantization.w8a8 import INT8, W8A8

SCHEMES: dict[str, Scheme] = {scheme.name: scheme for scheme in (W8A8, INT8)}
DEFAULT_SCHEME = W8A8.name


def find_scheme(name: str) -> Scheme:
    """The scheme of that name; UserError names the known ones."""
    if name not in SCHEMES:
        raise unknown("scheme", name, list(SCHEMES))
    return SCHEMES[name]


__all__ = ["DEFAULT_SCHEME", "SCHEMES", "Scheme", "find_scheme"]
