"""Exported files beside what a user might pick instead, on the same images and in the same run: classic
mobile networks, lowered as they are, and the files' own networks in other makers' runtimes.

python -m export.bench artifacts/msfin-s_x4_w8a8_64x64.pte --peers --benchmark Set5 --plot peers.svg
"""

import json
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from edgesr import Upscaler, cli
from edgesr import checkpoint as checkpoints
from edgesr.checkpoint import Checkpoint
from edgesr.data.benchmarks import Pair, load_benchmark
from edgesr.engines import Artifact, open_artifact
from edgesr.errors import UserError
from edgesr.files import size, write_text
from edgesr.metrics import evaluate
from edgesr.models import create_model
from edgesr.provenance import processor, versions
from export import makers
from export.choose import find_by_sha256
from export.contenders import of_artifact
from export.mobile import PEERS, lower
from export.ranking import Contender, Row, plot, print_table
from export.timings import race

Sets = dict[str, list[Pair]]


@dataclass(frozen=True)
class Settings:
    """What was asked for."""

    files: list[Path]
    benchmarks: list[Path]
    runs: int
    threads: int
    json: Path | None
    plot: Path | None


def bench(settings: Settings, made_by: str) -> None:
    """Lower and convert the others, time all in turns, score what is trained, print, write.

    UserError for files that cannot be compared.
    """
    ours = [open_artifact(path) for path in settings.files]
    _check(ours, settings)
    scale, tile = ours[0].scale, ours[0].tile
    sets = {folder.name: list(load_benchmark(folder, scale)) for folder in settings.benchmarks}
    with TemporaryDirectory() as temporary:
        classic = _classic(ours, Path(temporary))
        elsewhere, notes = _elsewhere(ours, settings.threads, Path(temporary))
        contenders = [*(_of_file(artifact, artifact) for artifact in ours), *classic, *elsewhere]
        with cli.Progress(settings.runs + 1, "running", "round") as bar:
            upscalers = {contender.name: contender.upscale for contender in contenders}
            timings = race(upscalers, tile, settings.runs, bar)
        rows = [Row(each, timings[each.name], _psnr(each, sets)) for each in contenders]
    bicubic = _scores(create_model("bicubic", scale=scale), sets, scale)
    device = f"host: {processor()}"
    conditions = f"{device}, {settings.threads} thread(s), median of {settings.runs}"
    print_table(rows, bicubic, f"{conditions}, x{scale}, one LR tile of {tile[0]}x{tile[1]}")
    for note in notes:
        print(note)
    if settings.json:
        content = {"device": device, "threads": settings.threads, "runs": settings.runs}
        content |= {"commit": made_by, "versions": versions() | makers.versions()}
        content |= {"bicubic_db": bicubic, "notes": notes}
        content |= {"contenders": [row.to_json() for row in rows]}
        write_text(settings.json, json.dumps(content, indent=2) + "\n")
    if settings.plot:
        plot(rows, bicubic, settings.plot)


def _check(ours: list[Artifact], settings: Settings) -> None:
    for artifact in ours:
        of_artifact(artifact)
    if len({(artifact.scale, artifact.tile) for artifact in ours}) > 1:
        raise UserError("--peers compares files of one scale and one tile: name only such.")
    if settings.plot and not settings.benchmarks:
        raise UserError("--plot draws PSNR against time: say on what with --benchmark DIR.")


def _of_file(artifact: Artifact, like: Artifact) -> Contender:
    return Contender(
        artifact.path.name, size(artifact.path), artifact.upscale, like, trained=artifact is like
    )


def _classic(ours: list[Artifact], folder: Path) -> list[Contender]:
    """Classic mobile networks, lowered for each runtime that our files are for."""
    likes = {artifact.path.suffix: artifact for artifact in ours}
    found = []
    with cli.Progress(len(likes) * len(PEERS), "lowering", "peer") as bar:
        for like, name in product(likes.values(), PEERS):
            path = lower(name, like, folder)
            found.append(_of_file(open_artifact(path), like))
            bar.advance(file=path.name)
    return found


def _elsewhere(ours: list[Artifact], threads: int, folder: Path) -> tuple[list[Contender], list[str]]:
    """The float networks that our files come from, in PyTorch and in other makers' runtimes; and what is
    to be said about those.
    """
    found: list[Contender] = []
    origins, notes = _origins(ours)
    models = [origin.model for origin, _ in origins.values()]
    with cli.Progress(len(origins) * len(makers.MAKERS), "converting", "maker") as bar:
        for sha256, (origin, like) in origins.items():
            label = origin.model + (f" {sha256[:6]}" if models.count(origin.model) > 1 else "")
            network, images = origin.build_float(), makers.calibration(like.scale, like.tile)
            weights = sum(tensor.nbytes for tensor in origin.state.values())
            found.append(Contender(f"{label} PyTorch fp32", weights, network, like))
            (own := folder / sha256).mkdir()
            for made in makers.make_all(makers.Order(network, images, threads, own)):
                bar.advance()
                if isinstance(made, str):
                    notes.append(f"{label} {made}")
                    continue
                name = f"{label} {made.name}"
                found.append(Contender(name, made.bytes, made.upscale, like, off=made.off))
                if made.warning:
                    notes.append(f"{label} {made.warning}")
    return found, notes


def _origins(ours: list[Artifact]) -> tuple[dict[str, tuple[Checkpoint, Artifact]], list[str]]:
    """By SHA-256 the float checkpoints of files, each with the first file of it; and who has none."""
    found: dict[str, tuple[Checkpoint, Artifact]] = {}
    notes = []
    for artifact in ours:
        origin = _origin(artifact)
        if origin is None or origin.sha256 is None:
            notes.append(
                f"{artifact.path.name}: its float checkpoint is neither bundled nor in ./runs, "
                "so no other runtime is beside it."
            )
        else:
            found.setdefault(origin.sha256, (origin, artifact))
    return found, notes


def _origin(artifact: Artifact) -> Checkpoint | None:
    """The float checkpoint that a file comes from, if it is bundled or under ./runs."""
    path = find_by_sha256(artifact.checkpoint_sha256)
    checkpoint = None if path is None else checkpoints.load(path)
    if checkpoint is None or checkpoint.scheme is None:
        return checkpoint
    parent = find_by_sha256(checkpoint.parent)
    return None if parent is None else checkpoints.load(parent)


def _psnr(contender: Contender, sets: Sets) -> dict[str, float]:
    if not contender.trained:
        return {}
    like = contender.like
    return _scores(like.tiled(contender.upscale), sets, like.scale)


@torch.no_grad()
def _scores(upscale: Upscaler, sets: Sets, scale: int) -> dict[str, float]:
    return {name: evaluate(upscale, pairs, scale).psnr for name, pairs in sets.items()}
