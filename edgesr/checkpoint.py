"""A checkpoint: tensors in `<name>.safetensors`, facts in `<name>.json` beside them.

It is the boundary between training and export: a state dict of the float network (scheme None) or of
its fake-quantized graph (scheme named). No pickle is ever read.
"""

import json
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from edgesr.errors import UserError
from edgesr.files import read_json, replacing, sha256, write_text
from edgesr.models import create_model

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """A network's tensors and what they are."""

    model: str
    scale: int
    scheme: str | None
    """Name of the quantization scheme that the tensors were trained with; None for a float network."""
    state: dict[str, Tensor]
    origin: dict[str, Any] = field(default_factory=dict)
    """How it came to be: command, commit, versions, data, steps. JSON-able."""
    sha256: str | None = None
    """Of the tensor file, once it is saved or loaded."""

    @property
    def parent(self) -> str | None:
        """SHA-256 of the checkpoint that its training began with, where its origin says so."""
        init = self.origin.get("init")
        named = init.get("sha256") if isinstance(init, dict) else None
        return named if isinstance(named, str) else None

    def build_float(self) -> nn.Module:
        """The float network with these tensors, in eval mode. Raises UserError if they do not fit."""
        if self.scheme is not None:
            raise UserError(
                f"This checkpoint of {self.model} x{self.scale} is of scheme {self.scheme!r}; "
                "a float checkpoint is needed here. Its float parent is named in its JSON (origin.init)."
            )
        model = create_model(self.model, scale=self.scale)
        load_strict(model, self.state, f"{self.model} x{self.scale}")
        return model.eval()


def load_strict(module: nn.Module, state: dict[str, Tensor], what: str, advice: str = "") -> None:
    """Load `state` into `module`, every name and shape; UserError says the first that does not fit,
    and then `advice`."""
    expected = module.state_dict()
    missing, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    if missing or extra:
        raise UserError(
            f"The tensors are not those of {what}: {len(missing)} missing (first: {missing[:1]}), "
            f"{len(extra)} not expected (first: {extra[:1]}).{advice}"
        )
    # Without the versions that a state dict carries along, torch takes the tensors for those of an old
    # version and, silently, resets the observers' eps, so that converting would use other scales.
    versioned = OrderedDict(state)
    versioned._metadata = expected._metadata  # pyright: ignore[reportAttributeAccessIssue]
    try:
        module.load_state_dict(versioned, strict=True)
    except RuntimeError as error:  # torch says which shape differs, after a heading line
        raise UserError(
            f"The tensors are not those of {what}: {str(error).splitlines()[-1].strip()}{advice}"
        ) from error


def paths(path: Path) -> tuple[Path, Path]:
    """The tensor file and the facts file that `path` names (either of them, or their common stem)."""
    stem = path.with_suffix("") if path.suffix in (".safetensors", ".json") else path
    return stem.with_name(stem.name + ".safetensors"), stem.with_name(stem.name + ".json")


def save(checkpoint: Checkpoint, path: Path) -> Path:
    """Write both files of `path`, each as a whole; return the tensor file's path."""
    tensors, facts = paths(path)
    # safetensors refuses tensors that share memory, as observers shared between layers do
    state = {name: value.detach().cpu().contiguous().clone() for name, value in checkpoint.state.items()}
    with replacing(tensors) as temporary:
        temporary.write_bytes(to_bytes(state))  # its OSError says when the disk is full
    content = asdict(checkpoint) | {"format": FORMAT, "sha256": sha256(tensors)}
    del content["state"]
    write_text(facts, json.dumps(content, indent=2) + "\n")
    return tensors


def load(path: Path) -> Checkpoint:
    """Read a checkpoint by either of its files. UserError if it is absent, damaged or mixed up."""
    tensors, facts = paths(path)
    for file in (tensors, facts):
        if not file.is_file():
            raise UserError(
                f"{file} does not exist. A checkpoint is two files: NAME.safetensors and NAME.json."
            )
    content = read_facts(facts)
    actual = sha256(tensors)
    if content["sha256"] != actual:
        raise UserError(
            f"{tensors.name} and {facts.name} do not belong together, or a file is damaged: the "
            f"JSON names SHA-256 {content['sha256'][:12]}…, the tensors have {actual[:12]}…."
            " Copy both files again."
        )
    try:
        state = load_file(tensors)
    except SafetensorError as error:
        raise UserError(f"{tensors} is not a safetensors file ({error}).") from error
    return Checkpoint(
        content["model"], content["scale"], content["scheme"], state, content["origin"], actual
    )


def read_facts(path: Path) -> dict[str, Any]:
    """The facts file, checked field by field: it may have been edited or cut by anyone."""
    content = read_json(path)
    types = {
        "format": int,
        "model": str,
        "scale": int,
        "scheme": (str, type(None)),
        "origin": dict,
        "sha256": str,
    }
    for name, kind in types.items():
        if not isinstance(content, dict) or name not in content or not isinstance(content[name], kind):
            raise UserError(
                f"{path} is not a checkpoint's facts: {name!r} is missing or of the wrong type."
            )
    if content["format"] != FORMAT:
        raise UserError(
            f"{path} has format {content['format']}; this version of edgesr reads format {FORMAT}."
        )
    return content
