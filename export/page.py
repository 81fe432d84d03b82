"""The report of an exported file as one HTML page that opens anywhere, without server and network.

python -m export.page artifacts/msfin-s_x4_w8a8_64x64.pte --benchmark Set5
python -m export.page a.pte a.tflite --benchmark Set5 --sensitivity sensitivity.json --out pages
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgesr import cli
from edgesr.data.benchmarks import load_benchmark
from edgesr.engines import SUFFIXES
from edgesr.engines.trial import same_as_reported
from edgesr.errors import UserError
from edgesr.files import write_text
from edgesr.provenance import commit
from export.compare import gathered, run
from export.matrix import Form, Matrix
from export.recheck import report_of
from export.target import find_target
from export.web import figures
from export.web.document import (
    MATRIX,
    SENSITIVITY,
    of_images,
    of_matrix,
    of_report,
    of_sensitivity,
    render,
)
from export.web.gallery import Exhibit, Gallery

DESCRIPTION = """\
Writes one HTML file for each exported file: verdict, a slider between bicubic and the file's SR, the
parity matrix, a histogram of its differences from the trained graph, the image where they are largest,
its operators, what each quantizer costs, latency and where all of that comes from. It opens from disk
in any browser and asks nothing of any network.

Verdict, census and latency are those of the report beside the file, which must be the file of its
report. Everything about images is measured now, on --benchmark or on images that the project draws:
the float network, the trained graph and every file that is named, which must be of one checkpoint.
A file that failed its budget (FILE.rejected) gets a page, too.
"""
REJECTED = ".rejected"


def main() -> None:
    """Run every form on the images, write the pages, say where they are."""
    args = _parser().parse_args()
    files = list(dict.fromkeys(args.artifact))
    reports = {file: _report(file) for file in files}
    targets = _targets(files, args.out)
    checkpoint = _one_checkpoint(reports)
    sensitivity = _sensitivity(args.sensitivity, checkpoint) if args.sensitivity else None
    shown = _matrix(args.matrix, checkpoint) if args.matrix else None
    with _openable(files) as links:
        matrix = gathered(list(links), args.checkpoint, args.float_checkpoint)
        for folder in args.benchmark:
            load_benchmark(folder, matrix.checkpoint.scale)  # refuses one that is not there
        said = [_said(form, links, reports) for form in matrix.files]
        gallery = Gallery(matrix.checkpoint.scale, {form.name: Exhibit() for form in matrix.files})
        run(matrix, args.benchmark, gallery.add)
        shown = shown or of_matrix(matrix.to_json(), None)
    made_by = f"python -m export.page, commit {commit()}, on {_images(matrix)}"
    for file, content, exhibit in zip(files, said, gallery.exhibits.values(), strict=True):
        page = render(content | shown | of_images(exhibit), sensitivity=sensitivity, made_by=made_by)
        write_text(targets[file], page)
        print(f"{targets[file]}: {len(page.encode()) / 1024:,.0f} KiB")


def _said(form: Form, links: dict[Path, Path], reports: dict[Path, dict[str, Any]]) -> dict[str, Any]:
    """What a file's report says, beside the operators that are in the file."""
    assert form.path is not None
    file = links[form.path]
    return of_report(file, reports[file], find_target(form.path).operators(form.path))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export.page",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("artifact", type=Path, nargs="+", metavar="ARTIFACT", help="exported files of one checkpoint")
    add(
        "--benchmark",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="images to measure on (default: images drawn here)",
    )
    add("--sensitivity", type=Path, metavar="FILE", help=f"as python -m {SENSITIVITY} wrote it")
    add(
        "--matrix",
        type=Path,
        metavar="FILE",
        help=f"show this one, of python -m {MATRIX}, and not that of the files named here",
    )
    add("--checkpoint", type=Path, metavar="CKPT", help="of the files (default: found by its SHA-256)")
    add("--float-checkpoint", type=Path, metavar="CKPT", help="the float network (default: its parent)")
    add(
        "--out",
        type=Path,
        metavar="FILE|DIR",
        help="for several files a folder (default: ARTIFACT.html beside each)",
    )
    return parser


def _report(file: Path) -> dict[str, Any]:
    """The report of a file. UserError unless it speaks of exactly this file."""
    report = report_of(file)
    same_as_reported(file)
    return report


def _targets(files: list[Path], out: Path | None) -> dict[Path, Path]:
    """Where each file's page goes. UserError where two would be one, or a folder is needed."""
    if out is None:
        return {file: file.with_name(f"{file.name}.html") for file in files}
    if not out.is_dir() and len(files) == 1 and out.suffix:
        return {files[0]: out}
    if out.is_file() or (out.suffix and not out.is_dir()):
        raise UserError(f"--out {out}: {len(files)} pages need a folder.")
    pages = {file: out / f"{file.name}.html" for file in files}
    if len(set(pages.values())) < len(files):
        raise UserError("Two files of one name would have one page. Make their pages apart.")
    return pages


def _one_checkpoint(reports: dict[Path, dict[str, Any]]) -> str:
    """The checkpoint that all reports name; that the files agree is looked at when they are opened."""
    file, report = next(iter(reports.items()))
    with figures.understood(file, "file with a report", "python -m export.<target>"):
        return str(report["facts"]["checkpoint_sha256"])


def _sensitivity(path: Path, checkpoint: str) -> dict[str, Any]:
    """What a page shows of it, so that a wrong file is refused before the work."""
    with figures.understood(path, "sensitivity", f"python -m {SENSITIVITY}"):
        content = figures.read(path)
        _require(path, content["origin"]["checkpoint_sha256"], checkpoint)
    return of_sensitivity(content, path)


def _matrix(path: Path, checkpoint: str) -> dict[str, Any]:
    """The same of a parity matrix."""
    with figures.understood(path, "parity matrix", f"python -m {MATRIX}"):
        content = figures.read(path)
        _require(path, content["checkpoint"]["sha256"], checkpoint)
    return of_matrix(content, path)


def _require(path: Path, found: object, checkpoint: str) -> None:
    if found != checkpoint:
        raise UserError(
            f"{path} was measured of checkpoint {str(found)[:12]}…; the files are of "
            f"{checkpoint[:12]}…. Measure that one, or leave it away."
        )


@contextmanager
def _openable(files: list[Path]) -> Iterator[dict[Path, Path]]:
    """Each file under a path that engines take, → the file: they know no `.rejected`."""
    with TemporaryDirectory() as folder:
        links: dict[Path, Path] = {}
        for number, file in enumerate(files):
            link = file
            if file.suffix == REJECTED and file.with_suffix("").suffix in SUFFIXES.values():
                link = Path(folder, str(number), file.with_suffix("").name)
                link.parent.mkdir()
                link.symlink_to(file.absolute())
            links[link] = file
        yield links


def _images(matrix: Matrix) -> str:
    """What it was measured on, and how many of each."""
    sets = {name: next(iter(forms.values())).images for name, forms in matrix.scores.items()}
    return ", ".join(f"{len(images)} images of {name}" for name, images in sets.items())


if __name__ == "__main__":
    cli.run(main)
