"""All files of one checkpoint against each other: the parity matrix of `export.verify`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgesr import checkpoint as checkpoints
from edgesr import cli
from edgesr.checkpoint import Checkpoint
from edgesr.data.benchmarks import Pair, load_benchmark
from edgesr.data.drawn import drawn_pairs
from edgesr.engines import ARTIFACTS, SUFFIXES, Artifact, open_artifact
from edgesr.errors import UserError
from export.choose import find_by_sha256
from export.matrix import Matrix, Watcher, forms_of
from export.pipeline import DRAWN_IMAGES, original_of


def compare(
    subjects: list[Path], checkpoint: Path | None, parent: Path | None, benchmarks: list[Path]
) -> Matrix:
    """Run every form of a checkpoint, named by its run or its files, on the same images.

    UserError where the checkpoint or its files are not found, or files are of different ones.
    """
    matrix = gathered(subjects, checkpoint, parent)
    run(matrix, benchmarks)
    return matrix


def gathered(subjects: list[Path], checkpoint: Path | None, parent: Path | None) -> Matrix:
    """Every form of a checkpoint, not run yet. UserError as `compare`."""
    subjects = list(dict.fromkeys(subjects))
    artifacts = _artifacts(subjects)
    trained = _checkpoint(subjects, checkpoint, artifacts)
    artifacts = artifacts or _exported(trained)
    original = original_of(trained, checkpoints.load(parent) if parent else None)
    return Matrix(trained, forms_of(trained, original, artifacts))


def run(matrix: Matrix, benchmarks: list[Path], watch: Watcher = lambda *_: None) -> None:
    """Run every form on the benchmarks named, else on images that the project draws."""
    for name, pairs in _sets(benchmarks, matrix.checkpoint.scale).items():
        images = list(pairs)
        with cli.Progress(len(images), name, "image") as bar:

            def on_image(*seen: Any, bar: cli.Progress = bar) -> None:
                watch(*seen)
                bar.advance()

            matrix.add(name, images, on_image)


def _artifacts(subjects: list[Path]) -> list[Artifact]:
    """The exported files among the subjects; none where a run was named."""
    files = [path for path in subjects if path.suffix in SUFFIXES.values()]
    if files and len(files) != len(subjects):
        raise UserError("Name exported files, or one run; not both.")
    if not files and len(subjects) > 1:
        raise UserError("Name one run, or exported files of one checkpoint.")
    return [open_artifact(path) for path in files]


def _checkpoint(subjects: list[Path], named: Path | None, artifacts: list[Artifact]) -> Checkpoint:
    """The one named, the run's, or that of the files if it is bundled or under ./runs."""
    if named is not None:
        return checkpoints.load(named)
    if not artifacts:
        (run,) = subjects
        return checkpoints.load(run / "checkpoint" if run.is_dir() else run)
    found = find_by_sha256(artifacts[0].checkpoint_sha256)
    if found is None:
        raise UserError(
            f"The checkpoint of {artifacts[0].path.name} is neither bundled nor under ./runs. "
            "Name it with --checkpoint."
        )
    return checkpoints.load(found)


def _exported(trained: Checkpoint) -> list[Artifact]:
    """The files in ./artifacts that were made from a checkpoint."""
    wanted = f"{trained.model}_x{trained.scale}_*"
    paths = [path for path in sorted(ARTIFACTS.glob(wanted)) if path.suffix in SUFFIXES.values()]
    found = [a for a in map(open_artifact, paths) if a.checkpoint_sha256 == trained.sha256]
    if not found:
        raise UserError(
            f"No file in ./{ARTIFACTS} was made from this checkpoint of "
            f"{trained.model} x{trained.scale}. Export it first: "
            f"python -m export.{next(iter(SUFFIXES))} --checkpoint CKPT"
        )
    return found


def _sets(benchmarks: list[Path], scale: int) -> dict[str, Iterable[Pair]]:
    """The benchmarks named, else images that the project draws."""
    if not benchmarks:
        return {"drawn": drawn_pairs(scale, DRAWN_IMAGES)}
    return {folder.name: load_benchmark(folder, scale) for folder in benchmarks}
