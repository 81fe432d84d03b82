"""One checkpoint, every form of it: what each scores, and how far any two are apart."""

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgesr import Upscaler
from edgesr.checkpoint import Checkpoint
from edgesr.data.benchmarks import Pair
from edgesr.engines import Artifact
from edgesr.errors import UserError
from edgesr.files import contents, size
from edgesr.metrics.evaluate import Scores, score
from edgesr.quantization import pt2e
from export.measure import upscaled
from export.program import Graph
from export.report import BUDGETS, Budget, Parity
from export.target import budget_of, find_target

FLOAT, REFERENCE = "float", "fake-quant"
"""The forms that are not files: the float network on whole images; the trained graph in tiles."""
MAX_DROP_DB, MAX_SPREAD_DB = 0.02, 0.03
"""Of PSNR to HR, per set: from the trained graph to a file; between any two files."""

Watcher = Callable[[str, Pair, Mapping[str, NDArray[np.uint8]]], None]
"""Is told of a set's name, an image of it, and what each form made of that: SR (H,W,3)."""


@dataclass(frozen=True)
class Form:
    """One way to compute what a checkpoint says."""

    name: str
    upscale: Upscaler
    """LR (1,3,H,W) of any size."""
    path: Path | None = None
    budget: Budget | None = None
    """Of a file, as its export had it; None: that of the checkpoint's scheme."""


@dataclass
class Matrix:
    """What the forms of one checkpoint make of the same images."""

    checkpoint: Checkpoint
    forms: list[Form]
    scores: dict[str, dict[str, Scores]] = field(default_factory=dict)
    """Set, then form."""
    parities: dict[tuple[str, str], Parity] = field(default_factory=dict)
    """Every two forms, over the images of all sets."""

    def add(self, name: str, pairs: Iterable[Pair], on_image: Watcher) -> None:
        """Run every form over a set of images; `on_image` is called after each."""
        self.scores[name] = {form.name: Scores() for form in self.forms}
        for pair in pairs:
            images = {form.name: upscaled(form.upscale, pair) for form in self.forms}
            for form, image in images.items():
                scored = score(image, pair.hr, self.checkpoint.scale)
                self.scores[name][form].images[pair.name] = scored
            for one, other in combinations(images, 2):
                parity = self.parities.setdefault((one, other), Parity(one))
                parity.add(images[other], images[one])
            on_image(name, pair, images)

    @property
    def files(self) -> list[Form]:
        """The forms that are files."""
        return [form for form in self.forms if form.path is not None]

    @cached_property
    def facts(self) -> dict[str, dict[str, Any]]:
        """Of each file by name: sizes and census. Reading and zipping them takes a while."""
        return {form.name: facts_of(form) for form in self.files}

    @cached_property
    def weight_bytes(self) -> int:
        """Of the checkpoint as targets hold it, for which the network is captured once more."""
        return weight_bytes(self.checkpoint)

    @property
    def failures(self) -> list[str]:
        """Every figure outside its budget, in words."""
        return [*self._far_from_the_graph(), *self._far_apart(), *self._without_parity()]

    def _psnr(self, name: str, form: str) -> float:
        return self.scores[name][form].psnr

    def _far_from_the_graph(self) -> list[str]:
        found = []
        for name in self.scores:
            for form in self.files:
                moved = abs(self._psnr(name, form.name) - self._psnr(name, REFERENCE))
                if not moved <= MAX_DROP_DB:
                    found.append(
                        f"{name}: {form.name} is {moved:.3f} dB from the graph > {MAX_DROP_DB} dB"
                    )
        return found

    def _far_apart(self) -> list[str]:
        found = []
        for name in self.scores:
            psnr = {form.name: self._psnr(name, form.name) for form in self.files}
            spread = max(psnr.values()) - min(psnr.values())
            if not spread <= MAX_SPREAD_DB:
                found.append(f"{name}: the files are {spread:.3f} dB apart > {MAX_SPREAD_DB} dB")
        return found

    def _without_parity(self) -> list[str]:
        found = []
        for form in self.files:
            budget = form.budget or BUDGETS[self.checkpoint.scheme or "fp32"]
            parity = self.parities[REFERENCE, form.name]
            if parity.psnr_db < budget.min_parity_db:
                found.append(
                    f"{form.name} is {parity.psnr_db:.2f} dB from the graph < {budget.min_parity_db} dB"
                )
            if parity.max_levels > budget.max_levels:
                found.append(
                    f"{form.name}: a value is {parity.max_levels} levels from the graph "
                    f"> {budget.max_levels}"
                )
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything, with the verdict."""
        return {
            "checkpoint": {
                "model": self.checkpoint.model,
                "scale": self.checkpoint.scale,
                "scheme": self.checkpoint.scheme,
                "sha256": self.checkpoint.sha256,
                "weight_bytes": self.weight_bytes,
            },
            "files": self.facts,
            "sets": {
                name: {form: scores.to_json() for form, scores in forms.items()}
                for name, forms in self.scores.items()
            },
            "pairs": [
                parity.to_json() | {"form": other} for (_, other), parity in self.parities.items()
            ],
            "verdict": {"passed": not self.failures, "failures": self.failures},
        }


def forms_of(checkpoint: Checkpoint, original: Upscaler | None, artifacts: list[Artifact]) -> list[Form]:
    """The float network if it is at hand, the graph that was trained, and every file.

    UserError for files of other checkpoints or of different tiles, which need not agree.
    """
    first = artifacts[0]
    for artifact in artifacts:
        if artifact.checkpoint_sha256 != checkpoint.sha256:
            raise UserError(
                f"{artifact.path.name} was made from checkpoint {artifact.checkpoint_sha256[:12]}…, "
                f"not from {str(checkpoint.sha256)[:12]}…: export it anew."
            )
        if (artifact.tile, artifact.overlap) != (first.tile, first.overlap):
            raise UserError(
                f"{artifact.path.name} and {first.path.name} have different tiles, so they see "
                "different edges. Export both with the same --tile and --overlap."
            )
    if checkpoint.scheme is None:
        reference: Upscaler = checkpoint.build_float()
    else:
        reference = pt2e.fake_quantized(checkpoint, (1, 3, *first.tile))
    graphs = [Form(FLOAT, original)] if original is not None else []
    graphs.append(Form(REFERENCE, first.tiled(reference)))
    return graphs + [_form(artifact, artifacts) for artifact in artifacts]


def facts_of(form: Form) -> dict[str, Any]:
    """Size of a file, as it is and zipped, and its census."""
    assert form.path is not None
    census = find_target(form.path).census(form.path)
    return {
        "file": form.path.name,
        "bytes": size(form.path),
        "zipped_bytes": zipped_bytes(form.path),
        "int8_ops": census.int8_ops,
        "ops": census.ops_delegated + census.ops_outside,
        "float_ops": census.float_ops,
        "float_weight_bytes": census.float_weight_bytes,
    }


def zipped_bytes(path: Path) -> int:
    """What a file, or a folder that is one artifact, adds to an app's download."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for part in contents(path):
            archive.write(part, part.relative_to(path.parent))
    return len(buffer.getvalue())


def weight_bytes(checkpoint: Checkpoint) -> int:
    """The weights alone, as the targets hold them: int8 ones in a byte, biases and islands in four."""
    shape = (1, 3, 24, 24)
    if checkpoint.scheme is None:
        program = pt2e.float_program(checkpoint, shape)
    else:
        program = pt2e.quantized_program(checkpoint, shape, fold_weights=True)
    return sum(constant.nbytes for constant in Graph(program).used())


def _form(artifact: Artifact, artifacts: list[Artifact]) -> Form:
    budget = budget_of(find_target(artifact.path), artifact.scheme, artifact.facts)
    return Form(_unique(artifact, artifacts), artifact.tiled(), artifact.path, budget)


def _unique(artifact: Artifact, artifacts: list[Artifact]) -> str:
    """The target's name, or the file's where a target has several."""
    suffixes = [other.path.suffix for other in artifacts]
    alone = suffixes.count(artifact.path.suffix) == 1
    return artifact.path.suffix.removeprefix(".") if alone else artifact.path.name
