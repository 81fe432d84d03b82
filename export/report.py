"""What was measured about an exported file, what was allowed, and the verdict."""

import json
from dataclasses import asdict, dataclass, field
from math import inf, log10
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesr.files import write_text
from export.census import Census


@dataclass(frozen=True)
class Proof:
    """Of a file read back: what was found, and what is wrong, in words; proven if nothing is."""

    figures: dict[str, Any]
    failures: list[str]


@dataclass
class Parity:
    """How far an artifact's images are from those of the graph that was trained."""

    against: str
    images: int = 0
    squares: float = 0.0
    values: int = 0
    max_levels: int = 0
    differing: int = 0

    def add(self, artifact: NDArray[np.uint8], reference: NDArray[np.uint8]) -> None:
        """Compare two 8-bit images of one shape."""
        levels = np.abs(artifact.astype(np.int64) - reference.astype(np.int64))
        self.images += 1
        self.values += levels.size
        self.squares += float((levels**2).sum())
        self.differing += int((levels > 0).sum())
        self.max_levels = max(self.max_levels, int(levels.max()))

    @property
    def psnr_db(self) -> float:
        """PSNR between the two over all images together; infinite if they are equal."""
        return inf if not self.squares else 10 * log10(255**2 * self.values / self.squares)

    def to_json(self) -> dict[str, Any]:
        """As in the report; an infinite PSNR is null."""
        return {
            "against": self.against,
            "images": self.images,
            "psnr_db": self.psnr_db if self.squares else None,
            "max_levels": self.max_levels,
            "differing_fraction": self.differing / self.values if self.values else None,
        }


@dataclass(frozen=True)
class Quality:
    """Mean PSNR of one benchmark set on Y, border = scale shaved, the artifact run through tiles."""

    float_db: float | None
    """The float network on whole images; None where its checkpoint is not at hand."""
    fake_quant_db: float | None
    """The trained graph through the same tiles; None for an fp32 artifact."""
    artifact_db: float

    def to_json(self) -> dict[str, float | None]:
        """As in the report: drop_db is what a user loses against the float network."""
        drop = None if self.float_db is None else self.float_db - self.artifact_db
        return asdict(self) | {"drop_db": drop}


@dataclass(frozen=True)
class Budget:
    """What an artifact may cost; the export fails outside it."""

    min_parity_db: float
    """PSNR between artifact and reference, in 8-bit levels."""
    max_levels: int
    """Largest difference of one value."""
    max_artifact_drop_db: float
    """Loss of PSNR to HR from the reference graph to the artifact, either way, per set."""
    max_partitions: int
    max_ops_outside: int
    max_float_weight_bytes: int | None
    """None: floats are what the file is for."""


# Two correct sets of integer kernels differ by rounding ties, which a deep network spreads: to 43 to 56
# dB, one level on average and now and then many on one value, without any loss of PSNR to HR. So the
# first two figures only tell these from wrong kernels: at most 29 dB, 77 levels and more (DECISIONS.md).
# Float weights are there on purpose: LFFN-S has 125,000 bytes, LFFN-NS 258,000 (of its fusion); all of
# the smallest network are 740,000.
BUDGETS = {
    "w8a8": Budget(42.0, 40, 0.05, 1, 0, 300_000),
    "int8": Budget(42.0, 40, 0.05, 1, 0, 16_384),
    "fp32": Budget(70.0, 1, 0.005, 1, 0, None),
}


@dataclass
class Report:
    """One artifact's measurements. `failures` is empty exactly if it is within its budget."""

    artifact: dict[str, Any]
    facts: dict[str, Any]
    census: Census
    parity: Parity
    budget: Budget
    converted_difference: float | None
    """Largest difference of fake-quantized and converted graph, in [0,1]: must be 0. None for fp32."""
    quality: dict[str, Quality] = field(default_factory=dict)
    shipped: dict[str, dict[str, float]] = field(default_factory=dict)
    """Of bundled weights, what their card says: benchmark → form → PSNR in dB. Not measured here."""
    latency: dict[str, Any] = field(default_factory=dict)
    """Empty where the runtime is not to be had here; `no_latency` says why."""
    no_latency: str = ""
    peak_rss_bytes: int | None = None
    """Resident memory that a run of one tile adds to the idle runtime's, at its peak."""
    not_run: str = ""
    """Why no runtime was there to run the file: it may be sound, and it did not pass."""
    proof: Proof | None = None
    """Where the target can read a file back: whether it is the program that it was lowered from."""

    @property
    def failures(self) -> list[str]:
        """Every figure outside the budget, in words."""
        census, parity, budget = self.census, self.parity, self.budget
        checks = {
            f"fake-quant and converted graph differ by {self.converted_difference}": bool(
                self.converted_difference
            ),
            f"parity {parity.psnr_db:.2f} dB < {budget.min_parity_db} dB": (
                parity.psnr_db < budget.min_parity_db
            ),
            f"a value differs by {parity.max_levels} levels > {budget.max_levels}": (
                parity.max_levels > budget.max_levels
            ),
            f"{census.partitions} partitions > {budget.max_partitions}": (
                census.partitions > budget.max_partitions
            ),
            f"operators outside the delegate: {', '.join(census.outside)}": (
                census.ops_outside > budget.max_ops_outside
            ),
            f"{census.float_weight_bytes} bytes of float weights > {budget.max_float_weight_bytes}": (
                budget.max_float_weight_bytes is not None
                and census.float_weight_bytes > budget.max_float_weight_bytes
            ),
        }
        proven = [] if self.proof is None else self.proof.failures
        return [text for text, failed in checks.items() if failed] + self._drops() + proven

    def _drops(self) -> list[str]:
        texts = []
        for name, quality in self.quality.items():
            reference = quality.float_db if quality.fake_quant_db is None else quality.fake_quant_db
            drop = 0.0 if reference is None else abs(reference - quality.artifact_db)
            if drop > self.budget.max_artifact_drop_db:
                texts.append(
                    f"{name}: the artifact is {drop:.3f} dB from its reference graph "
                    f"> {self.budget.max_artifact_drop_db} dB"
                )
        return texts

    def summary(self) -> str:
        """The figures that a person looks for first, a line each."""
        census, parity = self.census, self.parity
        lines = [
            *([f"lowered, not run: {self.not_run}"] if self.not_run else []),
            f"{self.artifact['file']}: {self.artifact['bytes'] / 1024:.0f} KiB, "
            f"{census.partitions} partition(s), {census.ops_outside} operators outside, "
            f"{census.int8_ops} of {census.ops_delegated} in int8",
        ]
        if parity.images:
            lines.append(
                f"{'interpreted, ' if self.not_run else ''}against the {parity.against}: "
                f"{parity.psnr_db:.2f} dB, at most {parity.max_levels} levels, "
                f"{100 * parity.differing / parity.values:.1f} % of values differ "
                f"({parity.images} images)"
            )
        for name, quality in self.quality.items():
            figures = {k: v for k, v in quality.to_json().items() if v is not None}
            lines.append(f"{name}: " + ", ".join(f"{k} {v:.3f}" for k, v in figures.items()))
        for name, forms in self.shipped.items():
            figures = ", ".join(f"{form} {psnr:.3f}" for form, psnr in forms.items())
            lines.append(f"{name}, dB as the card of these weights says: {figures}")
        if not self.not_run:
            lines.append(self._speed())
        return "\n".join(lines)

    def _speed(self) -> str:
        if not self.latency:
            return f"latency: {self.no_latency}"
        ratio = self.latency["against"]["eager fp32, published form"]
        return (
            f"{self.latency['median_ms']:.1f} ms per tile ({self.latency['device']}), "
            f"{ratio:.1f} times faster than eager PyTorch"
        )

    def to_json(self) -> dict[str, Any]:
        """The report file's content."""
        return {
            "artifact": self.artifact,
            "facts": self.facts,
            "census": {k: v for k, v in asdict(self.census).items() if k != "planned_bytes"},
            "parity": self.parity.to_json() | {"converted_max_difference": self.converted_difference},
            "quality": {name: quality.to_json() for name, quality in self.quality.items()},
            **({"shipped": self.shipped} if self.shipped else {}),
            "latency": self.latency or {"absent": self.no_latency or self.not_run},
            "memory": {
                "planned_bytes": self.census.planned_bytes,
                "peak_rss_bytes": self.peak_rss_bytes,
            },
            **({} if self.proof is None else {"proof": self.proof.figures}),
            "verdict": {
                "passed": not self.failures and not self.not_run,
                **({"not_run": self.not_run} if self.not_run else {}),
                "budget": asdict(self.budget),
                "failures": self.failures,
            },
        }

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        write_text(path, json.dumps(self.to_json(), indent=2) + "\n")
