"""Prove an exported file again, on this host or on emulated ARM64 CPUs, or all files of a checkpoint.

python -m export.verify artifacts/msfin-s_x4_w8a8_64x64.pte
python -m export.verify artifacts/msfin-s_x4_w8a8_64x64.pte --arm64 --benchmark Set5 --tiles 2
python -m export.verify runs/msfin-s_x4 --benchmark Set5 Set14 --card parity.md
"""

import argparse
import json
import subprocess
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from torch import Tensor

from edgesr import cli
from edgesr.data.benchmarks import load_benchmark
from edgesr.data.drawn import drawn_pairs
from edgesr.data.images import find_images, read_uint8, to_tensor
from edgesr.engines import SUFFIXES, Artifact, open_artifact
from edgesr.errors import UserError
from edgesr.files import sha256, write_text
from edgesr.provenance import commit, processor, versions
from export import arm64
from export.card import card
from export.compare import compare
from export.native import build, toolchain
from export.recheck import recheck, report_of
from export.target import find_target

DESCRIPTION = """\
A run, or several files: every form of one checkpoint (float network, fake-quantized graph, each file) on
the same images. Scores, how far any two are apart, sizes, operators; in Markdown, as --card keeps it.

One file, without --arm64: it is, to the byte, the one that its report was written about; its facts and
operators are as the report says, and it runs.

With --arm64, a .pte or a .tflite is also run by a small C++ program, built against the same release of
ExecuTorch or LiteRT for ARM64, on CPUs that qemu emulates, and compared with what Python's runtime makes
of the same tiles here:
"""
DRAWN_IMAGES, TILES = 2, 2
ARM64_OPTIONS = ("images", "tiles", "cpu", "qemu")
MATRIX_OPTIONS = ("checkpoint", "float_checkpoint", "card")


def main() -> None:
    """Check, print, write JSON if asked. UserError if something is not as it must be."""
    args = _parser().parse_args()
    _refuse(args, ARM64_OPTIONS, unless=args.arm64, why="says how to check on ARM64: add --arm64")
    one = len(args.subject) == 1 and args.subject[0].suffix in SUFFIXES.values()
    if args.arm64 and not one:
        raise UserError("--arm64 runs one exported file: name it alone.")
    whole = not args.arm64 and bool(args.benchmark or any(getattr(args, o) for o in MATRIX_OPTIONS))
    if one and not whole:
        _refuse(args, MATRIX_OPTIONS, unless=False, why="is for comparing files: leave out --arm64")
        content, failures = _one_file(args.subject[0], args)
    else:
        content, failures = _all_forms(args)
    if args.json:
        content |= {"commit": commit(), "versions": versions()}
        write_text(args.json, json.dumps(content, indent=2) + "\n")
    if failures:
        raise UserError("Failed:" + "".join(f"\n  {failure}" for failure in failures))


def _refuse(args: argparse.Namespace, options: Iterable[str], *, unless: bool, why: str) -> None:
    given = [option for option in options if getattr(args, option) is not None]
    if given and not unless:
        raise UserError(f"--{given[0].replace('_', '-')} {why}, or leave it away.")


def _one_file(file: Path, args: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Hold a file to its report, and run it on ARM64 if asked: what was found, and what is wrong."""
    if args.tiles is not None and args.tiles < 0:
        raise UserError(f"--tiles {args.tiles}: 0 is all, 1 or more that many of each image.")
    report = report_of(file)
    artifact = open_artifact(file)  # refused if it is not the file of its report
    failures = recheck(artifact, report)
    content: dict[str, Any] = {"artifact": {"file": file.name, "sha256": sha256(file)}}
    content["host"] = {"passed": not failures, "failures": failures, "device": f"host: {processor()}"}
    if not failures:
        print(f"{file.name} is the file of its report, and runs on this host")
    if args.arm64 and not failures:
        content["arm64"] = _on_arm64(artifact, args)
        failures = content["arm64"]["failures"]
    return content, failures


def _all_forms(args: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """The parity matrix, printed and kept: what was found, and what is wrong."""
    matrix = compare(args.subject, args.checkpoint, args.float_checkpoint, args.benchmark or [])
    text = card(matrix)
    print(text, end="")
    if args.card:
        write_text(args.card, text)
    return matrix.to_json(), matrix.failures


def _parser() -> argparse.ArgumentParser:
    listing = "".join(f"  {cpu:<14}{kernels}\n" for cpu, kernels in arm64.CPUS.items())
    parser = argparse.ArgumentParser(
        prog="python -m export.verify",
        description=DESCRIPTION + listing + "What it needs is fetched once and kept in ~/.cache/edgesr "
        "(or $EDGESR_CACHE): about 175 MB.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "subject",
        type=Path,
        nargs="+",
        metavar="RUN|ARTIFACT",
        help="a run, whose files are looked for in ./artifacts; or exported files of one checkpoint",
    )
    add("--checkpoint", type=Path, metavar="CKPT", help="of the files (default: found by its SHA-256)")
    add("--float-checkpoint", type=Path, metavar="CKPT", help="the float network (default: its parent)")
    add("--card", type=Path, metavar="FILE", help="write the Markdown page there, too")
    add(
        "--arm64",
        action="store_true",
        help="run it on emulated ARM64 CPUs, too; minutes per tile of 64x64",
    )
    add("--images", type=Path, metavar="DIR", help="a folder of LR images (default: images drawn here)")
    add(
        "--benchmark",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="benchmarks to score on; with --arm64 their LR images (default: images drawn here)",
    )
    add("--tiles", type=int, metavar="N", help=f"of each image, evenly spread; 0: all (default {TILES})")
    add("--cpu", nargs="+", choices=list(arm64.CPUS), help="only these")
    add(
        "--qemu",
        type=Path,
        metavar="FILE",
        help="a qemu-aarch64 of version 10 or newer (default: found)",
    )
    add("--json", type=Path, metavar="FILE", help="write everything that was measured there, too")
    return parser


def _on_arm64(artifact: Artifact, args: argparse.Namespace) -> dict[str, Any]:
    """Every CPU's differences from the host, printed and as JSON."""
    build.runner_of(artifact.path)
    images = list(_images(args, artifact.scale))  # a folder that cannot be read is refused first
    qemu = toolchain.emulator(args.qemu)
    cpus = args.cpu or list(arm64.CPUS)
    arm64.check_emulator(qemu, artifact.path, cpus)
    count = TILES if args.tiles is None else args.tiles
    tiles = arm64.tiles_of(artifact, [lr for _, lr in images], count)
    with cli.Progress(len(tiles) * len(cpus), "emulating", "tile") as bar:
        starts = arm64.commands(qemu, artifact.path, cpus)
        found = arm64.compare(artifact, tiles, starts, bar.advance)
    census = find_target(artifact.path).census(artifact.path)
    bound = arm64.bound_of(artifact.scheme, census)
    for cpu, d in found.items():
        verdict = "differs" if d.failures(bound) else "passed"
        print(
            f"{cpu:<12} {arm64.CPUS[cpu]:<13} {verdict}: {d.differing_bytes} of {d.values} bytes differ "
            f"({100 * d.fraction:.4f} %), by {d.max_levels} levels at most; floats by {d.max_abs:.2g}; "
            f"{d.seconds:.1f} s emulated"
        )
    said = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True).stdout
    tested = {
        "emulator": said.splitlines()[0],
        "images": [name for name, _ in images],
        "tiles": len(tiles),
    }
    return tested | arm64.to_json(found, bound)


def _images(args: argparse.Namespace, scale: int) -> Iterator[tuple[str, Tensor]]:
    """Name and LR (1,3,h,w) of each image to take tiles of."""
    if args.images and args.benchmark:
        raise UserError("Give --images or --benchmark, not both.")
    if args.images:
        for path in find_images(args.images):
            yield path.name, to_tensor(read_uint8(path))
        return
    if args.benchmark:
        pairs = chain.from_iterable(load_benchmark(folder, scale) for folder in args.benchmark)
    else:
        pairs = drawn_pairs(scale, DRAWN_IMAGES)
    for pair in pairs:
        yield pair.name, to_tensor(pair.lr)


if __name__ == "__main__":
    cli.run(main)
