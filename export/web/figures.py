"""JSON of reports, matrices and sensitivities → the words and numbers that a page prints.

Such files may have been edited or cut by anyone. What is not as expected is a UserError that names the
file; what is printed is escaped by the template.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgesr.errors import UserError
from export.census import Operator

Rows = list[list[str]]
NOISIEST = 10


@contextmanager
def understood(path: Path, what: str, made_by: str) -> Iterator[None]:
    """UserError for a file whose content is not what the block takes it for."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is no {what} of ours ({error!r}). Make it anew: {made_by}") from error


def read(path: Path) -> Any:
    """The content of a JSON file. UserError if it is not there."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist. Check the path.") from None


def verdict(report: dict[str, Any]) -> Rows:
    """What was measured, what was allowed, and whether it was kept."""
    budget, parity, census = report["verdict"]["budget"], report["parity"], report["census"]
    converted = parity["converted_max_difference"]
    drops = {
        name: abs(
            (q["float_db"] if q["fake_quant_db"] is None else q["fake_quant_db"]) - q["artifact_db"]
        )
        for name, q in report["quality"].items()
        if (q["float_db"], q["fake_quant_db"]) != (None, None)
    }
    rows = [
        _row(
            f"parity with the {parity['against']}",
            parity["psnr_db"],
            budget["min_parity_db"],
            least=True,
        ),
        _row("largest difference, levels", parity["max_levels"], budget["max_levels"]),
        *(
            _row(f"{name}: PSNR moved, dB", d, budget["max_artifact_drop_db"])
            for name, d in drops.items()
        ),
        _row("delegates", census["partitions"], budget["max_partitions"]),
        _row("operators outside", census["ops_outside"], budget["max_ops_outside"]),
        _row("bytes of float weights", census["float_weight_bytes"], budget["max_float_weight_bytes"]),
    ]
    if converted is not None:
        rows.insert(1, _row("converted graph off the trained one", converted, 0.0))
    return rows


def _row(what: str, found: float | None, allowed: float | None, *, least: bool = False) -> list[str]:
    """A line of the verdict; a parity of None dB is of equal images, no allowance is no bound."""
    word = "at least" if least else "at most"
    if allowed is None:
        return [what, number(found), "any", "yes"]
    kept = found is None or (found >= allowed if least else found <= allowed)
    unit = " dB" if least else ""
    shown = "equal" if found is None else number(found) + unit
    return [what, shown, f"{word} {number(allowed)}{unit}", "yes" if kept else "no"]


def number(value: float | None) -> str:
    """As people write it: whole ones with thousands apart, others to three decimals."""
    if value is None:
        return "not measured"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}".rstrip("0").rstrip(".") if abs(value) >= 5e-4 or not value else f"{value:.1g}"


def scores(matrix: dict[str, Any]) -> tuple[list[str], Rows]:
    """A row for each form, and PSNR and SSIM of each set."""
    sets = matrix["sets"]
    forms = list(next(iter(sets.values())))
    head = ["form", *(f"{name} {what}" for name in sets for what in ("PSNR", "SSIM"))]
    rows = [[form, *(text for name in sets for text in _score(sets[name][form]))] for form in forms]
    return head, rows


def images(matrix: dict[str, Any]) -> tuple[list[str], Rows]:
    """A row for each image, and the PSNR of each form."""
    sets = matrix["sets"]
    forms = list(next(iter(sets.values())))
    rows = [
        [f"{name}: {image}", *(_score(sets[name][form]["images"][image])[0] for form in forms)]
        for name in sets
        for image in sets[name][forms[0]]["images"]
    ]
    return ["image", *forms], rows


def _score(scored: dict[str, Any]) -> tuple[str, str]:
    psnr = "equal" if scored["psnr"] is None else f"{scored['psnr']:.3f}"
    return psnr, f"{scored['ssim']:.4f}"


def pairs(matrix: dict[str, Any]) -> Rows:
    """Any two forms: how far their 8-bit images are apart."""
    return [
        [
            f"{pair['against']} – {pair['form']}",
            "equal" if pair["psnr_db"] is None else f"{pair['psnr_db']:.2f}",
            f"{pair['max_levels']:d}",
            f"{100 * pair['differing_fraction']:.3g} %",
        ]
        for pair in matrix["pairs"]
    ]


def files(matrix: dict[str, Any]) -> Rows:
    """Of each file its size, what it adds to a download, and how much of it computes in int8."""
    return [
        [
            str(facts["file"]),
            f"{facts['bytes'] / 1024:,.0f}",
            f"{facts['zipped_bytes'] / 1024:,.0f}",
            f"{facts['int8_ops']:d} of {facts['ops']:d}",
        ]
        for facts in matrix["files"].values()
    ]


def kinds(operators: Sequence[Operator]) -> Rows:
    """How many of each kind, and in what they compute."""
    places = ("int8", "float", "other")
    rows = []
    for kind in sorted({operator.kind for operator in operators}):
        inside = [o.computes for o in operators if o.kind == kind and o.partition is not None]
        outside = sum(o.kind == kind and o.partition is None for o in operators)
        rows.append([kind, *(str(count) if count else "" for count in map(inside.count, places))])
        rows[-1].append(str(outside) if outside else "")
    return rows


def latency(report: dict[str, Any]) -> Rows | str:
    """Times with the device that took them; why there are none, where there are none."""
    found = report["latency"]
    if "absent" in found:
        return str(found["absent"])
    ratios = [[f"as fast as {name}", f"{ratio:.2f} times"] for name, ratio in found["against"].items()]
    return [
        ["median of one tile", f"{found['median_ms']:.1f} ms"],
        ["90th percentile", f"{found['p90_ms']:.1f} ms"],
        ["runs", f"{found['runs']:d}, in turns, after one that warms up"],
        ["device", str(found["device"])],
        ["threads", f"{found['threads']:d}"],
        *ratios,
    ]


def noisiest(sensitivity: dict[str, Any]) -> Rows:
    """The quantizers that do most to SR: rank, name, noise, share, kind."""
    ranked = sorted(sensitivity["quantizers"], key=lambda row: -row["noise"])[:NOISIEST]
    return [
        [str(rank), str(row["name"]), f"{row['noise']:.4f}", f"{row['share']:.1%}", str(row["kind"])]
        for rank, row in enumerate(ranked, start=1)
    ]
