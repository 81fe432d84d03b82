"""Time networks: on this host eager PyTorch against fp32 and int8 files, in turns; on a phone files.

python -m export.bench --model lffn-s msfin-s --size 180x320 --profile
python -m export.bench artifacts/msfin-s_x4_w8a8_64x64.pte
python -m export.bench artifacts/msfin-s_x4_w8a8_64x64.pte --peers --benchmark Set5 --plot peers.svg
python -m export.bench artifacts/msfin-s_x4_w8a8_64x64.pte --device adb --json phone.json
python -m export.bench artifacts/msfin-s_x4_w8a8_64x64.pte --device adb --mode app --compare phone.json
"""

import argparse
import json
import os
import sys
from pathlib import Path

import torch

from edgesr import cli
from edgesr.engines import ARTIFACTS, SUFFIXES, executorch, open_artifact, tflite
from edgesr.errors import UserError
from edgesr.files import write_text
from edgesr.models import DEFAULT_SCALE, MODELS, chosen_scale
from edgesr.provenance import commit, processor, versions
from edgesr.quantization import DEFAULT_SCHEME, SCHEMES, find_scheme
from export import contenders, peers, phone
from export.command import parse_size
from export.contenders import Entry
from export.flame import DRAWN, draw
from export.profile import profile
from export.timings import Result, print_profile, print_table, race

DESCRIPTION = """\
Times each network in up to four forms, all in one process and in turns, at one LR size:
  eager                 the published network in PyTorch
  published fp32 .pte   the same, lowered
  edge fp32 .pte        its edge form: what quantization-aware training starts from, rewritten exactly
  edge int8 .pte        the edge form quantized (--scheme)
and prints medians in ms, each with its inter-quartile range, and how many times as fast as the others
the last file of the row is. Where something else had the processor meanwhile, a second line says the
same by CPU time. Speed does not depend on weights, so fresh ones serve.

Lowering takes minutes. Its files stay in --out and are used again by the same commit if it was and is
without changes. Files that are named instead of networks are timed at their own tiles, each against its
published network in PyTorch; an fp32 file counts as edge fp32. With --together those of the same
network and tile, such as an int8 .tflite and its fp32 sibling, are in one row and take turns.

With --beside the published network also takes turns compiled by torch.compile or in ONNX Runtime.

With --peers files of ours take turns with ESPCN, FSRCNN, SESR-M5 and networks like XLSR and ABPN,
lowered for the same runtime, scale, scheme and tile. Those are untrained: they have a time and no PSNR.
And with the float networks that they come from, as ONNX Runtime, ncnn and OpenVINO run and quantize
them (pip install 'edgesr[peers]'), in the same tiles of the same images.

With --device adb files are timed on a phone instead (EXPERIMENTAL: tried with an emulated CPU and a
script in the app's place, by nobody on a phone yet). --mode runner copies a program to it, needs no app
and first compares each file's SR with this host's. --mode app has the demo app time its own copy of
each file, in the library that it ships: install a debug build of android_demo, with the file put into
it by export.android, and keep the phone unlocked. Either way the phone may cool down for up to five
minutes before each file, and what it is and how warm it was is written into --json. --compare shows
such files of other phones, or of the other mode, beside it.
"""
NETWORKS = [name for name, row in MODELS.items() if row.learns]
SIZE = "180x320"
RUNS = 20
OUT = ARTIFACTS / "bench"


def main() -> None:
    """Lower if networks are named, run all in turns, print the table, write JSON if asked."""
    args = _parser().parse_args()
    if args.device == "adb":
        phone.bench(_phone_settings(args), say=lambda text: print(text, file=sys.stderr, flush=True))
        return
    made_by = commit()  # first of all: the tree may change while this runs, the code in memory does not
    _check(args)
    _use_threads(args.threads)
    if args.peers:
        peers.bench(_peers_settings(args), made_by)
        return
    entries = _artifacts(args) if args.files else _networks(args, made_by)
    results = []
    with cli.Progress(len(entries) * (args.runs + 1), "running", "round") as bar:
        for entry in entries:
            others = contenders.beside(entry, args.beside, args.threads)
            timings = race(others | entry.open(), entry.size, args.runs, bar)
            kinds = profile(entry.last, entry.size, args.runs) if args.profile else None
            results.append(Result(entry, timings, kinds))
    device = f"host: {processor()}"
    print_table(results, f"{device}, {args.threads} thread(s), median of {args.runs}")
    for result in results:
        print_profile(result)
    if args.plot:
        draw([(result.entry.last.name, result.kinds or []) for result in results], args.plot)
    if args.json:
        header = {"device": device, "threads": args.threads, "runs": args.runs, "commit": made_by}
        rows = [result.to_json() for result in results]
        content = {**header, "versions": versions(), "networks": rows}
        write_text(args.json, json.dumps(content, indent=2) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export.bench",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", type=Path, nargs="*", metavar="ARTIFACT", help="exported files to time")
    add("--model", nargs="+", metavar="NAME", help=f"networks to time: {', '.join(NETWORKS)}")
    add("--scale", type=int, help=f"with --model: 2, 3 or 4 (default {DEFAULT_SCALE})")
    add("--size", help=f"with --model: LR height x width (default {SIZE})")
    add(
        "--scheme", metavar="NAME", help=f"with --model: {', '.join(SCHEMES)} (default {DEFAULT_SCHEME})"
    )
    add("--out", type=Path, help=f"with --model: folder for lowered files (default ./{OUT})")
    add(
        "--beside",
        nargs="+",
        default=[],
        choices=contenders.BESIDE,
        help="time the published network in these ways, too",
    )
    add("--together", action="store_true", help="files of one network and tile in one row")
    add("--peers", action="store_true", help="beside classic mobile networks, lowered as the files are")
    add(
        "--benchmark",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="with --peers: score the files on these; the peers are untrained, so they have no scores",
    )
    add(
        "--plot",
        type=Path,
        metavar="FILE",
        help="PNG or SVG: with --peers PSNR against time, with --profile the operators as a flame graph",
    )
    add(
        "--threads",
        type=_threads,
        default=1,
        metavar="N|all",
        help="of PyTorch and of the runtimes (default %(default)s)",
    )
    add("--runs", type=int, help=f"of each contender (default {RUNS}, on a phone {phone.RUNS})")
    add("--device", choices=["host", "adb"], default="host", help="where (default %(default)s)")
    add(
        "--mode",
        choices=list(phone.MODES),
        help=f"with --device adb: what runs the files there (default {phone.DEFAULT_MODE})",
    )
    add("--serial", help="with --device adb: which of several phones, as `adb devices` names it")
    add(
        "--compare",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="with --device adb: --json files of other phones or of the other mode, for the table",
    )
    add("--json", type=Path, metavar="FILE", help="write everything that was measured there, too")
    add(
        "--profile",
        action="store_true",
        help="also print where the time of each row's last file goes, by kind of operator; "
        "from runs of their own, because recording takes time",
    )
    return parser


def _check(args: argparse.Namespace) -> None:
    """Refuse what cannot be done before anything is lowered. Raises UserError."""
    if args.serial or args.compare or args.mode:
        raise UserError("--mode, --serial and --compare are for phones: add --device adb.")
    if bool(args.files) == bool(args.model):
        raise UserError("Name networks with --model NAME …, or exported files, and not both.")
    given = [name for name in ("scale", "size", "scheme", "out") if getattr(args, name) is not None]
    if args.files and given:
        raise UserError(f"An exported file has its own scale, size and scheme: leave --{given[0]} away.")
    if args.peers and (not args.files or args.together or args.profile or args.beside):
        raise UserError("--peers is for exported files, in one table: leave other options away.")
    if args.benchmark and not args.peers:
        raise UserError("--benchmark belongs to --peers: add it.")
    if args.plot and not (args.peers or args.profile):
        raise UserError("--plot draws what --peers or --profile measures: add one of them.")
    if args.plot and args.plot.suffix not in DRAWN:
        raise UserError(f"Cannot draw into {args.plot}: its name must end in {' or '.join(DRAWN)}.")
    args.runs = RUNS if args.runs is None else args.runs
    if args.together and not args.files:
        raise UserError("--together is for exported files; networks are in one row anyway.")
    if args.profile and any(path.suffix == SUFFIXES["tflite"] for path in args.files):
        raise UserError("--profile times the operators of .pte files; leave it away for a .tflite.")
    if args.runs < 1:
        raise UserError(f"--runs {args.runs}: at least 1 is needed; {RUNS} is the default.")
    cores = os.cpu_count() or 1
    if not 1 <= args.threads <= cores:
        raise UserError(f"--threads {args.threads}: this machine takes 1 to {cores}.")


def _peers_settings(args: argparse.Namespace) -> peers.Settings:
    return peers.Settings(args.files, args.benchmark, args.runs, args.threads, args.json, args.plot)


def _phone_settings(args: argparse.Namespace) -> phone.Settings:
    """UserError for what a phone cannot be asked."""
    if not args.files or args.model:
        raise UserError("A phone times exported files and lowers nothing: name them, without --model.")
    if wrong := [path for path in args.files if path.suffix != ".pte"]:
        raise UserError(f"{wrong[0]}: only a .pte can be run on a phone as yet.")
    args.runs = phone.RUNS if args.runs is None else args.runs
    if args.runs < 1 or args.threads < 1:
        raise UserError(f"--runs {args.runs} --threads {args.threads}: at least 1 of each is needed.")
    mode = args.mode or phone.DEFAULT_MODE
    if mode == "app" and args.profile:
        raise UserError(
            "The app times whole files and no operators: leave --profile or --mode app away."
        )
    return phone.Settings(
        args.files, args.serial, mode, args.threads, args.runs, args.profile, args.json, args.compare
    )


def _threads(text: str) -> int:
    """`all` is one for each core."""
    return (os.cpu_count() or 1) if text == "all" else int(text)


def _use_threads(count: int) -> None:
    """As many for PyTorch as for the runtime, before any file is opened."""
    torch.set_num_threads(count)
    executorch.use_threads(count)
    tflite.use_threads(count)


def _artifacts(args: argparse.Namespace) -> list[Entry]:
    entries = [contenders.of_artifact(open_artifact(path)) for path in args.files]
    return contenders.together(entries) if args.together else entries


def _networks(args: argparse.Namespace, made_by: str) -> list[Entry]:
    """Lower every form of every network that is named."""
    scale, out = chosen_scale(args.scale), args.out or OUT
    size = parse_size("--size", args.size or SIZE, SIZE)
    for name in args.model:
        contenders.require_size(name, scale, size)
    scheme = find_scheme(args.scheme or DEFAULT_SCHEME).name
    total = len(contenders.LOWERED) * len(args.model)
    print(f"lowering {total} files to {out}; a minute or several each", file=sys.stderr)
    with cli.Progress(total, "lowering", "file") as bar:
        return [
            contenders.lowered(
                name,
                scale,
                size,
                scheme,
                out=out,
                commit=made_by,
                on_file=lambda file: bar.advance(file=file),
            )
            for name in args.model
        ]


if __name__ == "__main__":
    cli.run(main)
