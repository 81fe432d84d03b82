"""The result tables of the five papers, whole: what they print, and where.

`published.csv` holds one row for each paper, table, scale, method and dataset. Its numbers are those
printed, also where they cannot be right; nothing is corrected. A note then begins with one of four words
(several notes are parted by " | "):

    misprint    the papers' own numbers show that the value cannot be meant
    doubtful    the value does not fit the others, but nothing proves it wrong
    differs     another paper, or this paper's text, prints something else
    label       the name is printed wrongly, the numbers stand

Methods go without citation marks and "(ours)". A row of an ablation is named after its configuration.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files

# The table of each paper that compares with other methods; all others are ablations.
BENCHMARKS = {"lffn": "II", "osffnet": "1", "mlrn": "2", "maffsrn": "5", "msfin": "3"}

# Our name -> paper, table, method. Two variants of LFFN stand in its ablation only.
OWN_ROWS: dict[str, tuple[str, str, str]] = {
    "lffn": ("lffn", "II", "LFFN"),
    "lffn-s": ("lffn", "II", "LFFN-S"),
    "lffn-nf": ("lffn", "I", "LFFN-NF"),
    "lffn-ns": ("lffn", "I", "LFFN-NS"),
    "osffnet": ("osffnet", "1", "OSFFNet"),
    "mlrn": ("mlrn", "2", "MLRN"),
    "maffsrn": ("maffsrn", "5", "MAFFSRN"),
    "maffsrn-l": ("maffsrn", "5", "MAFFSRN-L"),
    "msfin": ("msfin", "3", "MSFIN"),
    "msfin-s": ("msfin", "3", "MSFIN-S"),
}

# An ablation that prints the parameters to the last digit where the comparison prints thousands.
EXACT_PARAMS = {("maffsrn", 2): ("maffsrn", "3", "3x3, 3x3 (d=2)")}

# No weight of these depends on the scale: the parameters, printed at x4 only, hold at every scale.
SCALE_FREE = {"msfin", "msfin-s"}


@dataclass(frozen=True)
class Published:
    """One score as printed; None where the paper prints none."""

    paper: str
    """Our name of the paper's family: a key of `BENCHMARKS`."""
    table: str
    scale: int
    method: str
    params: int | None
    macs: int | None
    """Multiply-adds for a 1280 x 720 SR image, by the paper's own rule."""
    dataset: str
    psnr: float | None
    """In dB, on the Y channel."""
    ssim: float | None
    note: str

    @property
    def misprint(self) -> bool:
        """Whether something in this row cannot be meant."""
        return "misprint: " in self.note


@cache
def rows() -> tuple[Published, ...]:
    """Every row of every table, in the order of the papers."""
    text = files("edgesr.models").joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(
        Published(
            paper=line["paper"],
            table=line["table"],
            scale=int(line["scale"]),
            method=line["method"],
            params=_units(line["params_k"], 1_000),
            macs=_units(line["mult_adds_g"], 1_000_000_000),
            dataset=line["dataset"],
            psnr=float(line["psnr_db"]) if line["psnr_db"] else None,
            ssim=float(line["ssim"]) if line["ssim"] else None,
            note=line["note"],
        )
        for line in csv.DictReader(text.splitlines())
    )


def printed_counts(model: str, scale: int) -> tuple[int | None, int | None]:
    """Parameters and multiply-adds of our network in its own paper; None where it prints none."""
    scale = 4 if model in SCALE_FREE else scale
    row = next(_own_rows(OWN_ROWS.get(model), scale), None)
    exact = next(_own_rows(EXACT_PARAMS.get((model, scale)), scale), row)
    return (exact.params if exact else None, row.macs if row else None)


def printed_score(model: str, scale: int, dataset: str) -> tuple[float, float | None] | None:
    """PSNR in dB and SSIM of our network in its own paper; None where it prints none."""
    for row in _own_rows(OWN_ROWS.get(model), scale):
        if row.dataset == dataset and row.psnr is not None:
            return row.psnr, row.ssim
    return None


def _own_rows(place: tuple[str, str, str] | None, scale: int) -> Iterator[Published]:
    """The rows of one method in one table at one scale, a row for each dataset."""
    return (row for row in rows() if (row.paper, row.table, row.method) == place and row.scale == scale)


def _units(printed: str, unit: int) -> int | None:
    """The whole number that `printed` thousands or billions are; exact, as no float would be."""
    return int(Decimal(printed) * unit) if printed else None
