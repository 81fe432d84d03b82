"""What to run: a network's name, a checkpoint or an exported file → a `Runner`."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from edgesr import Upscaler, checkpoint, weights
from edgesr.engines import SUFFIXES, find_artifact, open_artifact, use_threads
from edgesr.errors import UserError
from edgesr.models import chosen_scale, create_model, find_model
from edgesr.runner import Runner

# MSFIN x4 is the hungriest: 1.2 GB of activations for 256x256 LR pixels, 0.7 GB for a tile.
WHOLE = 256 * 256  # LR pixels up to which a network in PyTorch takes an image in one piece
TILE, OVERLAP = 192, 16  # its tiles beyond that


@dataclass(frozen=True)
class Request:
    """What the caller named; None where nothing was. Contradictions are refused, not resolved."""

    model: str | None = None
    scale: int | None = None
    engine: str | None = None
    checkpoint: Path | None = None
    artifact: Path | None = None
    ensemble: bool = False
    threads: int | None = None


def load(
    model: str | None = None,
    *,
    scale: int | None = None,
    engine: str | None = None,
    checkpoint: Path | str | None = None,
    artifact: Path | str | None = None,
    ensemble: bool = False,
    threads: int | None = None,
) -> Runner:
    """An upscaler over images of any size: `load("msfin-s", scale=4).image("photo.jpg")`.

    It maps LR (N,3,H,W) RGB in [0,1] to SR (N,3,sH,sW); `image` takes and gives Pillow images, `file`
    goes from file to file. `model` runs with its bundled weights, or name a float `checkpoint`, or an
    exported file as `artifact`; `engine` finds the newest exported file in ./artifacts. `scale` is 4
    unless the file says otherwise. UserError for contradictions and missing files.
    """
    return open_runner(
        Request(
            model,
            scale,
            engine,
            None if checkpoint is None else Path(checkpoint),
            None if artifact is None else Path(artifact),
            ensemble,
            threads,
        )
    )


def open_runner(request: Request) -> Runner:
    """The runner that a request means. UserError for contradictions and missing files."""
    if request.model is not None:
        find_model(request.model)
    if request.checkpoint and request.artifact:
        raise UserError("Give either --checkpoint or --artifact: each of them says what to run.")
    exported = request.artifact or request.engine not in (None, "torch")
    runner = _exported_runner(request) if exported else _torch_runner(request)
    return replace(runner, ensemble=request.ensemble)


def float_checkpoint(model: str, scale: int) -> checkpoint.Checkpoint:
    """The bundled float weights of a network. UserError that says how to get some if there are none."""
    bundled = weights.find(model, scale, None)
    if bundled is None:
        raise UserError(
            f"No weights of {model} x{scale} come with edgesr. Train some with "
            f"`python -m recipes.train --model {model} --scale {scale} --data DIR`, "
            "then name them with --checkpoint."
        )
    return checkpoint.load(bundled)


def _torch_runner(request: Request) -> Runner:
    """A float network: of the checkpoint named, else with the bundled weights."""
    if request.threads is not None:
        torch.set_num_threads(request.threads)
    if request.checkpoint is not None:
        loaded = checkpoint.load(request.checkpoint)
        _agree(request, loaded.model, loaded.scale, request.checkpoint)
        return _network_runner(loaded)
    if request.model is None:
        raise UserError("Give --model NAME, --checkpoint CKPT or --artifact FILE: one says what to run.")
    scale = chosen_scale(request.scale)
    if not find_model(request.model).learns:
        fixed = create_model(request.model, scale=scale).eval()
        return _network(fixed, request.model, scale)
    return _network_runner(float_checkpoint(request.model, scale))


def _network_runner(loaded: checkpoint.Checkpoint) -> Runner:
    if loaded.scheme is not None:
        raise UserError(
            f"This checkpoint of {loaded.model} x{loaded.scale} was trained for scheme "
            f"{loaded.scheme!r} and runs as an exported file. Make one with "
            "`python -m export.executorch --checkpoint CKPT` and name it with --artifact."
        )
    return _network(loaded.build_float(), loaded.model, loaded.scale)


def _network(network: Upscaler, model: str, scale: int) -> Runner:
    row = find_model(model)
    multiple = row.lr_multiple(scale)
    return Runner(network, scale, (TILE, TILE), OVERLAP, multiple, WHOLE, row.smallest)


def _exported_runner(request: Request) -> Runner:
    """An exported file: the one named, else the newest of the engine in ./artifacts."""
    if request.checkpoint is not None:
        raise UserError(f"--checkpoint runs with --engine torch, not with {request.engine!r}.")
    path = request.artifact or _newest(request)
    suffix = SUFFIXES.get(request.engine or "", path.suffix)
    if request.engine == "torch" or path.suffix != suffix:
        raise UserError(f"--engine {request.engine} does not run {path.name}. Leave --engine out.")
    if request.threads is not None:
        use_threads(path, request.threads)
    artifact = open_artifact(path)
    _agree(request, artifact.model, artifact.scale, path)
    return Runner(artifact.upscale, artifact.scale, artifact.tile, artifact.overlap, artifact.multiple)


def _newest(request: Request) -> Path:
    if request.model is None or request.engine is None:
        raise UserError("Give --model NAME with --engine, or name a file with --artifact.")
    return find_artifact(request.engine, request.model, chosen_scale(request.scale))


def _agree(request: Request, model: str, scale: int, path: Path) -> None:
    """The names given must be those of the file."""
    if request.model not in (None, model) or request.scale not in (None, scale):
        asked = f"{request.model or model} x{request.scale or scale}"
        raise UserError(
            f"{path} is {model} x{scale}, not {asked}. Leave --model and --scale out, "
            "or name another file."
        )
