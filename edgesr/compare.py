"""`python -m edgesr compare`: one HR image, its LR, and what each upscaler makes of it, with scores."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgesr import Upscaler, checkpoint, cli, weights
from edgesr.data import Picture, downscale, drawn_images, read_uint8, to_tensor, to_uint8, write_picture
from edgesr.data.downscale import crop_to_multiple
from edgesr.data.formats import writable
from edgesr.engines import open_artifact
from edgesr.errors import UserError
from edgesr.metrics import score
from edgesr.metrics.ssim import WINDOW
from edgesr.models import chosen_scale, find_model
from edgesr.models.bicubic import Bicubic
from edgesr.runner import Runner
from edgesr.sheet import Comparison, Panel, draw
from edgesr.upscale import Request, open_runner

LARGEST = 2**25
"""Pixels of the largest HR image: it, its SRs and the drawing are in memory together."""

TILE, OVERLAP = 64, 8  # of a fake-quantized graph, as recipes.evaluate

Image8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Options:
    """What the caller named; None where nothing was."""

    model: str | None = None
    scale: int | None = None
    checkpoint: Path | None = None
    artifact: Path | None = None
    quantized: Path | None = None


@dataclass
class Contenders:
    """The upscalers that are compared, by the name shown, and why others are not."""

    scale: int
    upscalers: dict[str, Upscaler]
    notes: list[str] = field(default_factory=list)


def compare_images(
    images: list[Path], out: Path | None, options: Options, *, force: bool = False
) -> Iterator[str]:
    """Draw a comparison for each HR image, or for a drawn one; yield what there is to say.

    UserError for contradictions, images that cannot be read, and files that are there unless `force`.
    """
    targets = _targets(images, out, force=force)
    contenders = find_contenders(options)
    yield from contenders.notes
    for image, path in targets:
        hr = read_uint8(image) if image else drawn_images(1, 384)[0]
        name = image.stem if image else "drawn"
        with cli.Progress(len(contenders.upscalers), name, "upscaler") as bar:
            comparison = compare(name, hr, contenders, lambda key: bar.advance(done=key))
        write_picture(Picture(np.asarray(draw(comparison))), path, overwrite=force)
        yield f"{comparison.name}: LR {_size(hr, contenders.scale)}, PSNR in dB and SSIM on Y"
        for panel in comparison.panels:
            yield f"  {panel.name:32}{panel.score.psnr:8.3f}{panel.score.ssim:9.4f}"
        yield f"  {path}"


def compare(
    name: str, hr: Image8, contenders: Contenders, on_panel: Callable[[str], None] | None = None
) -> Comparison:
    """Shrink HR (H,W,1|3) and have it enlarged by each. UserError for one too small or too large."""
    scale, (height, width) = contenders.scale, hr.shape[:2]
    if min(height, width) < WINDOW + 3 * scale:
        raise UserError(
            f"{name} is {width}x{height}: too small, {WINDOW + 3 * scale} a side are needed."
        )
    if height * width > LARGEST:
        raise UserError(
            f"{name} is {width}x{height}; at most {LARGEST / 1e6:.0f} megapixels are compared. "
            "Cut out a part."
        )
    hr = crop_to_multiple(hr, scale)
    lr = to_tensor(downscale(hr, scale))
    panels: list[Panel] = []
    for key, upscale in contenders.upscalers.items():
        sr = to_uint8(upscale(lr))
        panels.append(Panel(key, sr, score(sr, hr, scale)))
        if on_panel is not None:
            on_panel(key)
    return Comparison(name, scale, hr, panels)


def find_contenders(options: Options) -> Contenders:
    """Bicubic, and float and int8 where they can be had. UserError for contradictions, missing files."""
    if options.artifact and options.quantized:
        raise UserError("Give either --artifact or --quantized: each of them stands for int8.")
    notes: list[str] = []
    int8 = _named_int8(options)
    model, scale = _subject(options, int8)
    upscalers: dict[str, Upscaler] = {"bicubic": Bicubic(scale)}
    if options.checkpoint or weights.find(model, scale, None) or not (int8 and options.model is None):
        if find_model(model).learns:
            request = Request(model, scale, checkpoint=options.checkpoint)
            upscalers[f"{model} float"] = open_runner(request)
    else:
        notes.append(f"float is left out: no weights of {model} x{scale} are bundled; give --checkpoint")
    if int8 is None:
        int8 = _bundled_int8(model, scale, notes)
    if int8 is not None:
        upscalers[int8.name] = int8.upscale
    return Contenders(scale, upscalers, notes)


@dataclass(frozen=True)
class _Int8:
    name: str
    model: str
    scale: int
    upscale: Upscaler


def _named_int8(options: Options) -> _Int8 | None:
    """The artifact or the quantization-aware checkpoint that the options name."""
    if options.artifact:
        artifact = open_artifact(options.artifact)
        return _Int8(artifact.path.name, artifact.model, artifact.scale, artifact.tiled())
    return _fake_quantized(options.quantized) if options.quantized else None


def _subject(options: Options, int8: _Int8 | None) -> tuple[str, int]:
    """The network and the scale that everything named agrees on."""
    facts = [("int8", int8.model, int8.scale)] if int8 else []
    if options.checkpoint:
        _, card = checkpoint.paths(options.checkpoint)
        content = checkpoint.read_facts(card) if card.is_file() else None
        facts += [("--checkpoint", content["model"], content["scale"])] if content else []
    if not facts:
        if options.model is None:
            raise UserError(
                "Give --model NAME, --checkpoint CKPT or --artifact FILE: one says what to show."
            )
        find_model(options.model)
        return options.model, chosen_scale(options.scale)
    what, model, scale = facts[0]
    for other, name, at in [*facts[1:], ("--model", options.model or model, options.scale or scale)]:
        if (name, at) != (model, scale):
            raise UserError(
                f"{what} is {model} x{scale}, {other} {name} x{at}. They must be of one network."
            )
    return model, scale


def _bundled_int8(model: str, scale: int, notes: list[str]) -> _Int8 | None:
    """The first quantization-aware checkpoint that is bundled; a note where there is none to run."""
    found = [path for path in weights.bundled(model, scale) if path != weights.path(model, scale, None)]
    if not found:
        if find_model(model).learns:
            notes.append(
                f"int8 is left out: none of {model} x{scale} is bundled; give --artifact or --quantized"
            )
        return None
    try:
        return _fake_quantized(found[0])
    except ImportError:
        notes.append(
            "int8 is left out: pip install 'edgesr[qat]', or give an exported file with --artifact"
        )
        return None


def _fake_quantized(path: Path) -> _Int8:
    """What a quantization-aware checkpoint computes: its graph in tiles. ImportError without torchao."""
    from edgesr.quantization import pt2e

    loaded = checkpoint.load(path)
    if loaded.scheme is None:
        raise UserError(f"{path} is a float checkpoint. Name it with --checkpoint.")
    multiple = find_model(loaded.model).lr_multiple(loaded.scale)
    graph = pt2e.fake_quantized(loaded, (1, 3, TILE, TILE))
    runner = Runner(graph, loaded.scale, (TILE, TILE), OVERLAP, multiple)
    return _Int8(f"{loaded.model} int8 ({loaded.scheme}, graph)", loaded.model, loaded.scale, runner)


def _targets(images: list[Path], out: Path | None, *, force: bool) -> list[tuple[Path | None, Path]]:
    """Each HR image and the file of its comparison, checked before any work."""
    sources: list[Path | None] = [*images] or [None]
    folder = out if out and (out.is_dir() or len(sources) > 1) else None
    names = [f"compare_{image.stem if image else 'drawn'}.png" for image in sources]
    paths = [folder / name if folder else out or Path(name) for name in names]
    for path in paths:
        writable(path)
    if len(set(paths)) < len(paths):
        raise UserError("Two images of one name would become one file. Compare them apart.")
    existing = [path for path in paths if path.exists()]
    if existing and not force:
        raise UserError(f"{existing[0]} exists already. Give another --out, or --force to replace it.")
    return list(zip(sources, paths, strict=True))


def _size(hr: Image8, scale: int) -> str:
    return f"{hr.shape[1] // scale}x{hr.shape[0] // scale}"
