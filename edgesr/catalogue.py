"""The networks, what they cost, and what is known of bundled weights: `python -m edgesr models`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgesr import weights
from edgesr.checkpoint import paths, read_facts
from edgesr.engines import ARTIFACTS, SUFFIXES
from edgesr.models import DEFAULT_SCALE, MODELS, SCALES, create_model
from edgesr.models.complexity import count, family, on_meta
from edgesr.models.published import printed_counts


@dataclass(frozen=True)
class Bundled:
    """One checkpoint that comes with edgesr, by its card."""

    scheme: str | None
    """None for float."""
    file: str
    bytes: int
    """Of the tensors on disk."""
    psnr: float | None
    """In dB on Y, as its card says: on images held out of its training data, not on a benchmark."""
    images: int | None
    """How many these were."""


@dataclass(frozen=True)
class Entry:
    """One network at one scale."""

    model: str
    scale: int
    params: int
    macs: int
    """For an SR image of 1280x720."""
    learns: bool
    summary: str
    scales_bundled: list[int]
    """Scales that there are weights for."""
    bundled: list[Bundled]
    """Those of this scale, float first."""

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)

    def of(self, scheme: str | None) -> Bundled | None:
        """The bundled weights of a scheme, or None."""
        return next((one for one in self.bundled if one.scheme == scheme), None)

    @property
    def quantized(self) -> list[Bundled]:
        """Those of any scheme."""
        return [one for one in self.bundled if one.scheme is not None]


def catalogue(scale: int = DEFAULT_SCALE) -> list[Entry]:
    """A row for every network, counted at `scale` now; and for bundled weights of other scales."""
    others = [other for other in SCALES if other != scale]
    rows = [entry_of(name, scale) for name in MODELS]
    return rows + [entry_of(name, at) for name in MODELS for at in others if weights.bundled(name, at)]


def exported() -> list[Path]:
    """The exported files in ./artifacts, of any engine."""
    return sorted(path for path in ARTIFACTS.glob("*") if path.suffix in SUFFIXES.values())


def entry_of(name: str, scale: int) -> Entry:
    """The row of one network, counted now."""
    model = on_meta(lambda: create_model(name, scale=scale))
    counts = count(model, family(name), scale, printed_counts(name, scale))
    row = MODELS[name]
    scales = [at for at in SCALES if weights.bundled(name, at)]
    bundled = sorted(map(_read, weights.bundled(name, scale)), key=lambda one: one.scheme or "")
    return Entry(name, scale, counts.params, counts.macs, row.learns, row.summary, scales, bundled)


def _read(path: Path) -> Bundled:
    tensors, card = paths(path)
    facts = read_facts(card)
    validation = facts["origin"].get("validation") or {}
    return Bundled(
        facts["scheme"],
        tensors.name,
        tensors.stat().st_size,
        validation.get("psnr"),
        validation.get("images"),
    )
