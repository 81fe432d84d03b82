"""Pictures through networks and exported files: `python -m edgesr upscale`, minus the talking."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

import torch
from torch import Tensor

from edgesr import Upscaler, checkpoint, weights
from edgesr.data import Picture, find_images, writable
from edgesr.engines import SUFFIXES, find_artifact, open_artifact
from edgesr.ensemble import self_ensemble
from edgesr.errors import UserError
from edgesr.models import chosen_scale, create_model, find_model
from edgesr.models.bicubic import Bicubic
from edgesr.tiling import plan, upscale_tiled

WHOLE = 512 * 512  # LR pixels up to which a network in PyTorch takes an image in one piece
TILE, OVERLAP = 256, 16  # its tiles beyond that

GREY = torch.tensor([0.299, 0.587, 0.114])  # BT.601, as `edgesr.metrics.grey`


@dataclass(frozen=True)
class Runner:
    """An upscaler and how it is brought over an image of any size."""

    upscale: Upscaler
    scale: int
    tile: tuple[int, int]
    overlap: int
    multiple: int
    whole: int = 0
    """Images up to this many LR pixels go through in one piece."""
    ensemble: bool = False
    """Take the mean over the eight flips and turns of the image."""

    def tiles(self, height: int, width: int) -> int:
        """How many pieces an LR image is upscaled in; an ensemble's eight passes all count."""
        if not self.ensemble:
            return self._pieces(height, width)
        return 4 * (self._pieces(height, width) + self._pieces(width, height))

    def run(self, lr: Tensor, on_tile: Callable[[int, int], None] | None = None) -> Tensor:
        """LR (1,3,H,W) → SR (1,3,sH,sW) in [0,1]; `on_tile(done, total)` after each piece."""
        total, number = self.tiles(lr.shape[2], lr.shape[3]), count(1)

        def on_piece(*_: int) -> None:
            if on_tile is not None:
                on_tile(next(number), total)

        upscale = partial(self._once, on_piece=on_piece)
        with torch.inference_mode():
            return (self_ensemble(upscale) if self.ensemble else upscale)(lr)

    def _pieces(self, height: int, width: int) -> int:
        """How many pieces one pass takes."""
        if height * width <= self.whole:
            return 1
        rows = plan(height, self.tile[0], self.overlap, self.multiple)
        return len(rows) * len(plan(width, self.tile[1], self.overlap, self.multiple))

    def _once(self, lr: Tensor, on_piece: Callable[[int, int], None]) -> Tensor:
        """One pass over the image: in tiles where it is too large to go through whole."""
        if lr.shape[2] * lr.shape[3] > self.whole:
            return upscale_tiled(
                self.upscale,
                lr,
                scale=self.scale,
                tile=self.tile,
                overlap=self.overlap,
                multiple=self.multiple,
                on_tile=on_piece,
            )
        sr = self.upscale(lr)
        on_piece(1, 1)
        return sr


@dataclass(frozen=True)
class Request:
    """What the caller named; None where nothing was. Contradictions are refused, not resolved."""

    model: str | None = None
    scale: int | None = None
    engine: str | None = None
    checkpoint: Path | None = None
    artifact: Path | None = None
    ensemble: bool = False


def open_runner(request: Request) -> Runner:
    """The runner that a request means. UserError for contradictions and missing files."""
    if request.model is not None:
        find_model(request.model)
    if request.checkpoint and request.artifact:
        raise UserError("Give either --checkpoint or --artifact: each of them says what to run.")
    exported = request.artifact or request.engine not in (None, "torch")
    runner = _exported_runner(request) if exported else _torch_runner(request)
    return replace(runner, ensemble=request.ensemble)


def upscale_picture(
    picture: Picture, runner: Runner, on_tile: Callable[[int, int], None] | None = None
) -> Picture:
    """Enlarge a picture to 8 bits: colours by the runner, alpha by bicubic. Grey stays grey."""
    rgb = runner.run(picture.rgb.unsqueeze(0).contiguous(), on_tile)[0]
    if picture.grey:
        rgb = torch.einsum("c,chw->hw", GREY, rgb).expand(3, -1, -1)
    alpha = picture.alpha
    if alpha is not None:
        alpha = Bicubic(runner.scale)(alpha.unsqueeze(0))[0]
    return replace(picture, rgb=rgb, alpha=alpha, bits=8)


def destinations(inputs: list[Path], out: Path, *, scale: int, force: bool) -> dict[Path, Path]:
    """Image → file to write, before anything is computed.

    `out` is a file for one image and a folder otherwise, where `photo.jpg` becomes `photo_x4.png`.
    UserError for a suffix that cannot be written, two images of one name, and files that are there
    already unless `force`.
    """
    images = [image for path in inputs for image in (find_images(path) if path.is_dir() else [path])]
    one = len(inputs) == 1 and not inputs[0].is_dir() and not out.is_dir()
    if not one and out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file and there are {len(images)} images. Give a folder.")
    if one:
        _refuse_missing(inputs[0])
        writable(out)
    pairs = {image: out if one else out / f"{image.stem}_x{scale}.png" for image in images}
    _refuse_equal_names(pairs)
    existing = [path for path in pairs.values() if path.exists()]
    if existing and not force:
        raise UserError(
            f"{existing[0]} exists already ({len(existing)} of {len(pairs)} files do). "
            "Give another --out, or --force to replace them."
        )
    return pairs


def _refuse_missing(path: Path) -> None:
    if not path.exists():
        raise UserError(f"{path} does not exist. Give an image or a folder of images.")


def _refuse_equal_names(pairs: dict[Path, Path]) -> None:
    writer: dict[Path, Path] = {}
    for image, path in pairs.items():
        first = writer.setdefault(path, image)
        if first != image:
            raise UserError(f"{first} and {image} would both become {path}. Upscale them apart.")


def _torch_runner(request: Request) -> Runner:
    """A float network: of the checkpoint named, else with the bundled weights."""
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
    bundled = weights.find(request.model, scale, None)
    if bundled is None:
        raise UserError(
            f"No weights of {request.model} x{scale} come with edgesr. Train some with "
            f"`python -m recipes.train --model {request.model} --scale {scale} --data DIR`, "
            "then name them with --checkpoint."
        )
    return _network_runner(checkpoint.load(bundled))


def _network_runner(loaded: checkpoint.Checkpoint) -> Runner:
    if loaded.scheme is not None:
        raise UserError(
            f"This checkpoint of {loaded.model} x{loaded.scale} was trained for scheme "
            f"{loaded.scheme!r} and runs as an exported file. Make one with "
            "`python -m export.executorch --checkpoint CKPT` and name it with --artifact."
        )
    return _network(loaded.build_float(), loaded.model, loaded.scale)


def _network(network: Upscaler, model: str, scale: int) -> Runner:
    multiple = find_model(model).lr_multiple(scale)
    return Runner(network, scale, (TILE, TILE), OVERLAP, multiple, whole=WHOLE)


def _exported_runner(request: Request) -> Runner:
    """An exported file: the one named, else the newest of the engine in ./artifacts."""
    if request.checkpoint is not None:
        raise UserError(f"--checkpoint runs with --engine torch, not with {request.engine!r}.")
    path = request.artifact or _newest(request)
    suffix = SUFFIXES.get(request.engine or "", path.suffix)
    if request.engine == "torch" or path.suffix != suffix:
        raise UserError(f"--engine {request.engine} does not run {path.name}. Leave --engine out.")
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
