"""The forms of a network that `export.bench` times against each other.

Speed does not depend on weights, so all forms are built with fresh ones, from the same seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from edgesr import Upscaler
from edgesr.checkpoint import Checkpoint
from edgesr.data.drawn import drawn_lr
from edgesr.engines import INTERPRETED, SUFFIXES, Artifact, file_name, open_artifact
from edgesr.engines.executorch import open_file
from edgesr.engines.trial import try_out
from edgesr.errors import UserError
from edgesr.files import replacing
from edgesr.models import MODELS, create_model, find_trainable
from edgesr.provenance import versions
from edgesr.quantization import DEFAULT_SCHEME, find_scheme, pt2e
from export import executorch, makers
from export.choose import FP32

EAGER, PUBLISHED, EDGE, INT8 = "eager", "pte_fp32_published", "pte_fp32_edge", "pte_int8_edge"
TFLITE_EDGE, TFLITE_INT8 = "tflite_fp32_edge", "tflite_int8_edge"
"""The roles of contenders: where and as what a network runs, and in which form."""
COMPILED, ONNX = "compiled", "onnxruntime"
BESIDE = (COMPILED, ONNX)
"""The published network once more, where that is asked for: by torch.compile, in ONNX Runtime."""
LOWERED = (PUBLISHED, EDGE, INT8)
"""What is lowered of each network, from the first form to the last."""
SEED = 0


@dataclass(frozen=True)
class Entry:
    """A network at one LR size, and the files that run it there."""

    model: str
    scale: int
    size: tuple[int, int]
    """LR height and width."""
    files: dict[str, Path]
    """By role. The last is the one whose gain over all others is asked for."""

    @property
    def last(self) -> Path:
        """The file whose gain is asked for."""
        return list(self.files.values())[-1]

    def open(self) -> dict[str, Upscaler]:
        """What to time, by role: the published network in eager PyTorch, then the files.

        They were made or tried out before.
        """
        opened = {role: open_artifact(path, trusted=True).upscale for role, path in self.files.items()}
        return {EAGER: fresh(self.model, self.scale), **opened}


def beside(entry: Entry, roles: Sequence[str], threads: int) -> dict[str, Upscaler]:
    """The published network of an entry, at its size, in those of `BESIDE` that are asked for.

    UserError where one cannot be made.
    """
    network, found = fresh(entry.model, entry.scale), {}
    if COMPILED in roles:
        found[COMPILED] = torch.compile(network)
    if ONNX in roles:
        with TemporaryDirectory() as folder:
            order = makers.Order(network, [torch.rand(1, 3, *entry.size)], threads, Path(folder))
            found[ONNX] = makers.make("ONNX Runtime fp32", order).upscale
    return found


def of_artifact(artifact: Artifact) -> Entry:
    """An exported file beside its published network, at its own tile. UserError if that is unknown, or
    if the time that the file takes here is that of an interpreter.
    """
    if artifact.path.suffix in {SUFFIXES[engine] for engine in INTERPRETED}:
        raise UserError(
            f"{artifact.path.name} is run by an interpreter here, whose time says nothing of a device."
        )
    create_model(artifact.model, scale=artifact.scale)
    roles = (TFLITE_EDGE, TFLITE_INT8) if artifact.path.suffix == SUFFIXES["tflite"] else (EDGE, INT8)
    role = roles[artifact.scheme != FP32]
    if artifact.scheme not in (FP32, DEFAULT_SCHEME):
        role += f"_{artifact.scheme}"  # so that files of two schemes can take turns
    return Entry(artifact.model, artifact.scale, artifact.tile, {role: artifact.path})


def together(entries: list[Entry]) -> list[Entry]:
    """Files of the same network, scale and size in one entry, by role; of two in one role the last."""
    joined: dict[tuple[str, int, tuple[int, int]], Entry] = {}
    for entry in entries:
        key = (entry.model, entry.scale, entry.size)
        files = joined[key].files if key in joined else {}
        joined[key] = replace(entry, files={**files, **entry.files})
    return list(joined.values())


def lowered(
    model: str,
    scale: int,
    size: tuple[int, int],
    scheme: str,
    *,
    out: Path,
    commit: str,
    on_file: Callable[[str], None] = lambda name: None,
) -> Entry:
    """A network in all its forms, the last in `scheme`, lowered at one LR size by the code of `commit`.

    A file in `out` is used again if a clean work tree of that very commit made it; `on_file` hears
    the name of each as it is there.
    """
    files = {}
    for role in LOWERED:
        held = scheme if role == INT8 else FP32
        # no name that an export could have: nobody wants these weights
        path = out / f"{role}-{file_name(model, scale, held, size, executorch.NAME)}"
        facts = _facts(model, scale, size, role) | {"scheme": held, "commit": commit}
        if not (is_clean(commit) and _facts_in(path) == facts):
            with replacing(path) as temporary:
                executorch.lower(program(role, model, scale, size, held), facts, temporary)
        files[role] = path
        on_file(path.name)
    return Entry(model, scale, size, files)


def program(role: str, model: str, scale: int, size: tuple[int, int], scheme: str) -> ExportedProgram:
    """One form of a network, ready to be lowered at LR `size` (height, width)."""
    network, shape = fresh(model, scale), (1, 3, *size)
    if role == PUBLISHED:
        return torch.export.export(network, (torch.rand(shape),))
    if role == EDGE:
        return pt2e.float_program(Checkpoint(model, scale, None, network.state_dict()), shape)
    lr, fold = drawn_lr(size), executorch.FOLD_WEIGHTS
    return pt2e.calibrated_program(network, find_scheme(scheme), lr, fold_weights=fold)


def require_size(model: str, scale: int, size: tuple[int, int]) -> None:
    """UserError unless the network exists, has something to quantize and takes this LR size."""
    row = find_trainable(model)
    multiple = row.lr_multiple(scale)
    fitting = [-(-max(side, row.smallest) // multiple) * multiple for side in size]
    if list(size) != fitting:
        raise UserError(
            f"--size {size[0]}x{size[1]} does not suit {model} x{scale}: its LR sides are at least "
            f"{row.smallest} and multiples of {multiple}. Try --size {fitting[0]}x{fitting[1]}."
        )


def fresh(model: str, scale: int) -> nn.Module:
    """The published network with the weights that every form has here, in eval mode."""
    torch.manual_seed(SEED)
    return create_model(model, scale=scale).eval()


def is_clean(commit: str) -> bool:
    """Whether a commit says all of the code, as `edgesr.provenance.commit` writes it."""
    return commit != "unknown" and not commit.endswith("-dirty")


def _facts(model: str, scale: int, size: tuple[int, int], role: str) -> dict[str, Any]:
    return {
        "model": model,
        "scale": scale,
        "form": role,
        "tile": list(size),
        "overlap": 0,
        "multiple": MODELS[model].lr_multiple(scale),
        "checkpoint_sha256": f"none: fresh weights, seed {SEED}",
        "versions": versions(),
    }


def _facts_in(path: Path) -> dict[str, Any] | None:
    """What a file says of itself; None if there is none or it cannot be read."""
    if not path.exists():
        return None
    try:
        try_out(path)
        return open_file(path)[0]
    except UserError:
        return None
