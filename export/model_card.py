"""Write the cards of bundled weights from their JSON and from what was measured; nothing is typed.

python -m export.model_card --model msfin-s --benchmark Set5 Set14
python -m export.model_card
"""

import argparse
import json
import tomllib
from pathlib import Path
from typing import Any

from edgesr import checkpoint as checkpoints
from edgesr import cli, weights
from edgesr.catalogue import entry_of
from edgesr.checkpoint import Checkpoint, paths, read_facts
from edgesr.engines import ARTIFACTS, SUFFIXES, open_artifact
from edgesr.errors import UserError
from edgesr.files import write_text
from edgesr.models import MODELS, SCALES, chosen_scale, find_trainable
from edgesr.provenance import commit, versions
from export import executorch
from export.command import parse_size
from export.compare import compare
from export.matrix import FLOAT
from export.model_text import Facts, Weights, text
from export.pipeline import Request, export
from export.recheck import report_of

DESCRIPTION = """\
Writes the card of a network's bundled weights, edgesr/weights/<model>_x<scale>.md, from the JSON beside
the weights and from edgesr/weights/measured/<model>_x<scale>.json. With --benchmark the latter is
measured first: the float network, the graph that was trained and every exported file of it in
./artifacts on these images, as export.verify does. Where ./artifacts has none, a .pte is exported there.

Without --benchmark nothing is run: cards are written again from what was measured before. Without
--model all of them are.
"""
TILE, OVERLAP = "64x64", 8


def main() -> None:
    """Measure if asked, write the cards, say where they are."""
    args = _parser().parse_args()
    if args.model is None and (args.benchmark or args.scale or args.artifact):
        raise UserError("--scale, --benchmark and --artifact are of one network: give --model too.")
    if args.artifact and not args.benchmark:
        raise UserError("--artifact names files to measure: give --benchmark too.")
    for model, scale in _sets(args):
        if args.benchmark:
            content = measure(model, scale, args.benchmark, args.artifact)
            write_text(weights.measured(model, scale), json.dumps(content, indent=1) + "\n")
        path = card_path(model, scale)
        write_text(path, card(model, scale))
        print(path)


def bundled() -> list[tuple[str, int]]:
    """Network and scale of all bundled weights."""
    return [(model, scale) for model in MODELS for scale in SCALES if weights.bundled(model, scale)]


def card_path(model: str, scale: int) -> Path:
    """Where the card of bundled weights stands."""
    return weights.path(model, scale, None).with_suffix(".md")


def card(model: str, scale: int) -> str:
    """The card, from JSON files alone. UserError where nothing was measured of these very weights."""
    measured = weights.measured(model, scale)
    again = f"python -m export.model_card --model {model} --scale {scale} --benchmark DIR …"
    if not measured.is_file():
        raise UserError(f"Nothing was measured of {model} x{scale}: there is no {measured}. Do: {again}")
    content = json.loads(measured.read_text(encoding="utf-8"))["forms"]
    found = [_weights(path) for path in weights.bundled(model, scale)]
    for scheme, matrix in content.items():
        known = [one.facts["sha256"] for one in found if one.scheme == scheme]
        if known != [matrix["checkpoint"]["sha256"]]:
            raise UserError(f"{measured} is of other {scheme} weights than those bundled. Do: {again}")
    return text(Facts(entry_of(model, scale), found, content, _licence()))


def measure(
    model: str, scale: int, benchmarks: list[Path], artifacts: list[Path] | None
) -> dict[str, Any]:
    """For each quantized checkpoint, else the float one, its parity matrix and its files' reports.

    UserError for files that are of none of them.
    """
    found = weights.bundled(model, scale)
    subjects = [path for path in found if path != weights.path(model, scale, None)] or found
    forms: dict[str, Any] = {}
    for path in subjects:
        checkpoint = checkpoints.load(path)
        files = _files(checkpoint, artifacts)
        reports = [report_of(file) for file in files]
        matrix = compare(files, path, None, benchmarks)
        forms[checkpoint.scheme or FLOAT] = matrix.to_json() | {"reports": reports}
        if matrix.failures:
            raise UserError("The files are not their graph's:\n  " + "\n  ".join(matrix.failures))
    return {"forms": forms, "commit": commit(), "versions": versions()}


def _files(checkpoint: Checkpoint, named: list[Path] | None) -> list[Path]:
    """The exported files of a checkpoint: of those named, or in ./artifacts, or one made there now."""
    wanted = f"{checkpoint.model}_x{checkpoint.scale}_*"
    candidates = named or sorted(ARTIFACTS.glob(wanted))
    candidates = [path for path in candidates if path.suffix in SUFFIXES.values()]
    found = [p for p in candidates if open_artifact(p).checkpoint_sha256 == checkpoint.sha256]
    if found:
        return found
    if named:
        raise UserError(
            f"None of the files named is of {checkpoint.model} x{checkpoint.scale} "
            f"{checkpoint.scheme or FLOAT}. Export that, or leave --artifact away."
        )
    tile = parse_size("--tile", TILE, TILE)
    return [export(executorch, Request(checkpoint, tile, OVERLAP, ARTIFACTS, [], None), say=print)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export.model_card",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--model", metavar="NAME", help="whose card to write (default: all cards)")
    add("--scale", type=int, help="2, 3 or 4 (default 4)")
    add("--benchmark", type=Path, nargs="+", metavar="DIR", help="measure first, on these")
    add(
        "--artifact",
        type=Path,
        nargs="+",
        metavar="FILE",
        help=f"exported files to measure (default: those in ./{ARTIFACTS})",
    )
    return parser


def _sets(args: argparse.Namespace) -> list[tuple[str, int]]:
    if args.model is None:
        return bundled()
    find_trainable(args.model)
    chosen = (args.model, chosen_scale(args.scale))
    if chosen not in bundled():
        known = ", ".join(f"{model} x{scale}" for model, scale in bundled())
        raise UserError(f"No weights of {chosen[0]} x{chosen[1]} are bundled; there are: {known}.")
    return [chosen]


def _weights(path: Path) -> Weights:
    tensors, facts = paths(path)
    return Weights(tensors.name, tensors.stat().st_size, read_facts(facts))


def _licence() -> str:
    project = Path(__file__).parent.parent / "pyproject.toml"
    return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["license"]


if __name__ == "__main__":
    cli.run(main)
