"""A parity matrix as a Markdown page: what is printed is what is kept."""

from collections.abc import Iterable, Sequence
from math import isinf

from export.matrix import REFERENCE, Matrix


def card(matrix: Matrix) -> str:
    """The page: scores, pairs, files, verdict."""
    checkpoint = matrix.checkpoint
    scheme = checkpoint.scheme or "fp32"
    parts = [
        f"# {checkpoint.model} x{checkpoint.scale}, {scheme}: one checkpoint, every form of it",
        f"Checkpoint `{str(checkpoint.sha256)[:12]}`, "
        f"{matrix.weight_bytes / 1024:.0f} KiB of weights. PSNR in dB on Y, `scale` pixels shaved; "
        f"`float` on whole images, everything else in the same tiles. `{REFERENCE}` is "
        + ("the graph that was trained." if checkpoint.scheme else "the float network in tiles."),
        _scores(matrix),
        "How far apart the 8-bit images of any two are:",
        _pairs(matrix),
        _files(matrix),
        _verdict(matrix),
    ]
    return "\n\n".join(parts) + "\n"


def _scores(matrix: Matrix) -> str:
    names = [form.name for form in matrix.forms]
    rows = [
        [name, *(f"{scores[form].psnr:.3f}" for form in names)] for name, scores in matrix.scores.items()
    ]
    return table(["set", *names], rows)


def _pairs(matrix: Matrix) -> str:
    rows = []
    for (one, other), parity in matrix.parities.items():
        share = f"{100 * parity.differing / parity.values:.2f} %"
        apart = "equal" if isinf(parity.psnr_db) else f"{parity.psnr_db:.2f}"
        rows.append([one, other, apart, str(parity.max_levels), share])
    return table(["one", "other", "dB", "max levels", "values that differ"], rows)


def _files(matrix: Matrix) -> str:
    rows, floats = [], []
    for name, facts in matrix.facts.items():
        size, zipped = (f"{facts[kind] / 1024:.0f}" for kind in ("bytes", "zipped_bytes"))
        int8 = f"{facts['int8_ops']} of {facts['ops']}"
        rows.append([facts["file"], size, zipped, int8, f"{facts['float_weight_bytes'] / 1024:.0f}"])
        if facts["int8_ops"] and facts["float_ops"]:
            floats.append(f"- in float in {name}: {', '.join(facts['float_ops'])}")
    files = table(["file", "KiB", "zipped", "operators in int8", "KiB of float weights"], rows)
    return "\n".join([files, "", *floats]) if floats else files


def _verdict(matrix: Matrix) -> str:
    if not matrix.failures:
        return "Passed."
    return "\n".join(["Failed:", "", *(f"- {failure}" for failure in matrix.failures)])


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns stand in line. Cells are taken as Markdown."""
    lines = [head, *rows]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    padded = [[c.ljust(w) for c, w in zip(line, widths, strict=True)] for line in lines]
    padded.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)
