"""The result tables of the papers, against figures typed from the papers by hand."""

import re
import tomllib
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from edgesr.models.published import (
    BENCHMARKS,
    OWN_ROWS,
    Published,
    printed_counts,
    printed_score,
    rows,
)

ALL_FOUR = "mean of Set5, Set14, BSD100, Urban100"
SETS = {"Set5", "Set14", "BSD100", "Urban100", "Manga109", ALL_FOUR}
Place = tuple[str, str, int, str]
KINDS = ("misprint", "doubtful", "differs", "label")


def find(paper: str, table: str, scale: int, method: str, dataset: str) -> Published:
    place = (paper, table, scale, method, dataset)
    (row,) = [r for r in rows() if (r.paper, r.table, r.scale, r.method, r.dataset) == place]
    return row


def kinds(row: Published) -> set[str]:
    return {part.split(": ")[0] for part in row.note.split(" | ")} if row.note else set()


def test_every_table_is_whole() -> None:
    methods = Counter(
        (paper, table, scale)
        for paper, table, scale, _ in {(r.paper, r.table, r.scale, r.method) for r in rows()}
    )
    assert methods == {
        ("lffn", "I", 4): 3,
        **{("lffn", "II", scale): 7 for scale in (2, 3, 4)},
        ("osffnet", "1", 2): 10,
        ("osffnet", "1", 3): 10,
        ("osffnet", "1", 4): 11,
        ("osffnet", "2", 4): 8,
        ("osffnet", "3", 2): 2,
        ("osffnet", "3", 3): 2,
        ("osffnet", "3", 4): 4,
        ("osffnet", "4", 4): 4,
        ("mlrn", "1", 2): 4,
        **{("mlrn", "2", scale): 6 for scale in (2, 3, 4)},
        ("maffsrn", "1", 2): 5,
        ("maffsrn", "2", 2): 2,
        ("maffsrn", "3", 2): 5,
        ("maffsrn", "4", 2): 2,
        ("maffsrn", "5", 2): 20,
        ("maffsrn", "5", 3): 14,
        ("maffsrn", "5", 4): 18,
        ("msfin", "1", 4): 4,
        ("msfin", "2", 4): 4,
        ("msfin", "3", 4): 17,
    }


def test_every_method_stands_on_every_set_of_its_table_once() -> None:
    sets: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in rows():
        sets[row.paper, row.table][row.dataset] += 1
    assert sets == {
        ("lffn", "I"): {"Urban100": 3},
        ("lffn", "II"): dict.fromkeys(("Set5", "Manga109", "BSD100", "Urban100"), 21),
        ("osffnet", "1"): dict.fromkeys(("Set5", "Set14", "BSD100", "Urban100", "Manga109"), 31),
        **{("osffnet", t): dict.fromkeys(("Set5", "Set14", "BSD100", "Urban100"), 8) for t in "23"},
        ("osffnet", "4"): dict.fromkeys(("Set5", "Set14", "BSD100", "Urban100"), 4),
        ("mlrn", "1"): {"Set5": 4},
        ("mlrn", "2"): dict.fromkeys(("Set5", "Set14", "BSD100", "Urban100"), 18),
        ("maffsrn", "1"): {"Set5": 5},
        ("maffsrn", "2"): {"Set5": 2},
        ("maffsrn", "3"): {"Set5": 5},
        ("maffsrn", "4"): dict.fromkeys(("Set5", "Set14", "BSD100", "Urban100"), 2),
        ("maffsrn", "5"): dict.fromkeys(("Set5", "Set14", "BSD100", "Urban100"), 52),
        ("msfin", "1"): {ALL_FOUR: 4},
        ("msfin", "2"): {ALL_FOUR: 4},
        ("msfin", "3"): dict.fromkeys(("Set5", "Set14", "BSD100", "Urban100"), 17),
    }
    keys = Counter((r.paper, r.table, r.scale, r.method, r.dataset) for r in rows())
    assert [key for key, count in keys.items() if count > 1] == []


def test_scores_are_possible() -> None:
    for row in rows():
        assert row.dataset in SETS
        assert row.psnr is None or 15 < row.psnr < 45, row
        assert row.ssim is None or 0 < row.ssim < 1, row
        assert row.psnr is not None or row.ssim is None, row
        assert row.params is None or 8_000 <= row.params <= 5_000_000, row
        assert row.macs is None or 4_600_000_000 <= row.macs <= 17_974_300_000_000, row


def test_empty_where_the_papers_print_a_dash() -> None:
    silent = {(r.paper, r.method, r.scale, r.dataset) for r in rows() if r.psnr is None}
    scales = (2, 3, 4)
    assert silent == {
        *(("maffsrn", method, s, "Urban100") for method in ("CNF", "SelNet") for s in scales),
        *(("osffnet", "FDIWN", s, "Manga109") for s in (3, 4)),
    }
    half = {(r.paper, r.method, r.scale) for r in rows() if r.psnr and r.ssim is None}
    assert half == {
        *(("maffsrn", "BTSRN", s) for s in scales),
        *(("mlrn", name, 2) for name in ("N_BASE", "N_GFF", "N_RSC", "N_GFF_RSC")),
        ("mlrn", "VDSR", 4),
    }


@pytest.mark.parametrize(
    ("place", "params", "macs", "psnr", "ssim"),
    [
        (("lffn", "I", 4, "LFFN-NS", "Urban100"), 4_770_000, None, 26.20, 0.7893),
        (("lffn", "II", 2, "VDSR", "Set5"), 665_000, 612_600_000_000, 37.53, 0.9587),
        (("lffn", "II", 3, "LFFN-S", "Manga109"), 185_000, 18_100_000_000, 32.80, 0.9381),
        (("lffn", "II", 4, "LFFN", "BSD100"), 1_531_000, 87_900_000_000, 27.52, 0.7377),
        (("lffn", "II", 4, "LFFN-S", "Urban100"), 183_000, 11_700_000_000, 25.52, 0.7673),
        (("osffnet", "1", 2, "RepRFN", "Set5"), 386_000, 85_120_000_000, 38.07, 0.9612),
        (("osffnet", "1", 3, "BSRN", "Manga109"), 340_000, 33_300_000_000, 34.05, 0.9471),
        (("osffnet", "1", 4, "EDSR", "Manga109"), 1_778_000, 102_900_000_000, 30.21, 0.8336),
        (("osffnet", "1", 4, "OSFFNet", "Manga109"), 537_000, 22_000_000_000, 30.84, 0.9125),
        (("osffnet", "2", 4, "none", "Set5"), 486_000, 19_400_000_000, 31.92, 0.8908),
        (("osffnet", "2", 4, "OISI+SFGC", "Urban100"), 488_000, 19_500_000_000, 25.98, 0.7847),
        (("osffnet", "2", 4, "SFGC+MFDF", "Set14"), 535_000, 21_900_000_000, 28.46, 0.7795),
        (("osffnet", "3", 2, "IMDN w/ OSFF", "Set14"), 739_000, 168_800_000_000, 33.59, 0.9178),
        (
            ("osffnet", "3", 4, "IMDN w/o OSFF (depth-extended)", "Urban100"),
            *(823_000, 47_200_000_000, 26.11, 0.7856),
        ),
        (("osffnet", "4", 4, "Net-CCA", "BSD100"), 504_000, 20_700_000_000, 27.62, 0.7377),
        (("mlrn", "1", 2, "N_GFF", "Set5"), None, None, 36.78, None),
        (("mlrn", "2", 3, "Bicubic", "Set14"), None, None, 27.55, 0.77421),
        (("mlrn", "2", 4, "VDSR", "BSD100"), None, None, 27.29, None),
        (("mlrn", "2", 2, "LapSRN", "Urban100"), None, None, 37.27, 0.9740),
        (("mlrn", "2", 4, "MLRN", "Urban100"), None, None, 25.78, 0.7763),
        (("maffsrn", "1", 2, "M-BFF", "Set5"), 372_000, None, 37.94, 0.9602),
        (("maffsrn", "2", 2, "Without Channel Shuffle", "Set5"), None, None, 37.93, 0.9603),
        (("maffsrn", "3", 2, "3x3, 3x3, 3x3", "Set5"), 411_738, None, 37.96, 0.9604),
        (("maffsrn", "4", 2, "Adam", "Urban100"), None, None, 31.75, 0.9245),
        (("maffsrn", "5", 2, "DRCN", "Set14"), 1_774_000, 17_974_300_000_000, 33.04, 0.9118),
        (("maffsrn", "5", 2, "FALSR-A", "Urban100"), 1_021_000, 234_700_000_000, 31.93, 0.9256),
        (("maffsrn", "5", 3, "SRMDNF", "Urban100"), None, None, 27.57, 0.8398),
        (("maffsrn", "5", 4, "BTSRN", "BSD100"), 410_000, 165_200_000_000, 27.47, None),
        (("maffsrn", "5", 4, "CBPN-S", "Set5"), 592_000, 63_100_000_000, 31.93, 0.8908),
        (("maffsrn", "5", 4, "MAFFSRN-L", "Urban100"), 830_000, 38_600_000_000, 26.16, 0.7887),
        (("msfin", "1", 4, "IC+NS", ALL_FOUR), 531_000, None, 28.51, 0.7962),
        (("msfin", "2", 4, "CA+FF", ALL_FOUR), 543_000, None, 28.52, 0.7967),
        (("msfin", "3", 4, "s-LWSR64", "Set14"), 2_277_000, None, 28.34, 0.7800),
        (("msfin", "3", 4, "MSFIN-S+", "Set5"), 352_000, None, 32.18, 0.8945),
    ],
)
def test_as_printed(place, params, macs, psnr, ssim) -> None:
    row = find(*place)
    assert (row.params, row.macs, row.psnr, row.ssim) == (params, macs, psnr, ssim)


def test_notes_of_each_kind() -> None:
    assert {kind for row in rows() for kind in kinds(row)} == set(KINDS)
    assert Counter((r.paper, r.table, kind) for r in rows() for kind in kinds(r)) == {
        ("lffn", "II", "differs"): 3 + 12,  # CARN on Manga109, MemNet's cost
        ("lffn", "II", "doubtful"): 1,
        ("osffnet", "1", "misprint"): 15 + 2,  # SRCNN's cost, EDSR on Manga109
        ("osffnet", "1", "differs"): 15 + 5 + 2 + 4,  # VDSR, CARN ×3, CARN, SRCNN
        ("osffnet", "2", "label"): 16,
        ("mlrn", "2", "misprint"): 2 + 6,  # two typographic, LapSRN
        ("mlrn", "2", "differs"): 4,
        ("maffsrn", "1", "differs"): 2,
        ("maffsrn", "5", "differs"): 12 + 2,
        ("maffsrn", "5", "label"): 8,
    }


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (("lffn", "II", 4, "LFFN", "BSD100"), "doubtful: PSNR 0.06 dB below CARN's"),
        (("lffn", "II", 3, "CARN", "Manga109"), "differs: osffnet prints 33.50/0.9440"),
        (("osffnet", "1", 3, "CARN", "Manga109"), "differs: lffn prints 33.47/0.9429"),
        (("osffnet", "1", 2, "EDSR", "Manga109"), "misprint: not Manga109"),
        (("osffnet", "1", 4, "EDSR", "Manga109"), "misprint: not Manga109"),
        (("osffnet", "1", 2, "SRCNN", "Urban100"), "misprint: 8K weights cannot cost 52.7G"),
        (("osffnet", "1", 4, "SRCNN", "Set5"), "differs: mlrn, maffsrn and msfin print SSIM 0.8628"),
        (("mlrn", "2", 3, "Bicubic", "Set14"), "misprint: SSIM with five digits"),
        (("mlrn", "2", 4, "VDSR", "BSD100"), "misprint: SSIM printed as 7251"),
        (("mlrn", "2", 2, "LapSRN", "BSD100"), "misprint: shifted by one column, this is Urban100"),
        (("mlrn", "2", 2, "LapSRN", "Urban100"), "this looks like Manga109"),
        (("mlrn", "2", 3, "LapSRN", "BSD100"), "this looks like Urban100"),
        (("mlrn", "2", 3, "LapSRN", "Urban100"), "this looks like Manga109"),
        (("mlrn", "2", 4, "LapSRN", "BSD100"), "misprint: shifted by one column, this is Urban100"),
        (("mlrn", "2", 4, "LapSRN", "Urban100"), "this looks like Manga109"),
        (("maffsrn", "5", 2, "MemNet", "Set5"), "label: cited as [35], which is DRRN"),
        (("maffsrn", "5", 4, "MemNet", "Set5"), "label: cited as [35], which is DRRN"),
    ],
)
def test_noted(place, words: str) -> None:
    row = find(*place)
    assert words in row.note
    assert row.misprint == ("misprint" in kinds(row))


def test_correct_rows_are_not_called_misprints() -> None:
    assert not find("mlrn", "2", 2, "LapSRN", "Set14").misprint
    assert not find("maffsrn", "5", 3, "MemNet", "Set5").note.startswith("label")


@pytest.mark.parametrize("field", ["psnr", "ssim", "params", "macs"])
def test_papers_agree_where_no_note_says_otherwise(field: str) -> None:
    values: dict[tuple[str, int, str], set[float]] = defaultdict(set)
    shared: dict[tuple[str, int, str], set[str]] = defaultdict(set)
    for row in rows():
        value = getattr(row, field)
        told = kinds(row) & {"misprint", "differs"}
        if row.table == BENCHMARKS[row.paper] and value is not None and not told:
            values[row.method, row.scale, row.dataset].add(value)
            shared[row.method, row.scale, row.dataset].add(row.paper)
    assert sum(len(papers) > 1 for papers in shared.values()) >= 10
    assert {key: found for key, found in values.items() if len(found) > 1} == {}


def test_notes_quote_the_other_papers_rightly() -> None:
    quote = re.compile(r"differs: ([a-z, ]+) prints? (SSIM )?([\d.]+)(/0[\d.]+)?([KG])?")
    quoted = 0
    for row in rows():
        for papers, ssim, first, second, unit in quote.findall(row.note):
            for paper in re.findall(r"lffn|osffnet|mlrn|maffsrn|msfin", papers):
                other = find_peer(paper, row, any_set=bool(unit))
                quoted += 1
                if unit:
                    printed = other.params if unit == "K" else other.macs
                    assert printed == round(float(first) * {"K": 1e3, "G": 1e9}[unit]), row
                    assert printed not in (row.params, row.macs), row
                elif ssim:
                    assert other.ssim == float(first) != row.ssim, row
                else:
                    assert (other.psnr, other.ssim) == (float(first), float(second[1:])), row
                    assert (other.psnr, other.ssim) != (row.psnr, row.ssim), row
    # MemNet's cost; CARN on Manga109; VDSR's cost (at x4 in three papers); CARN's; SRCNN; LapSRN
    assert quoted == 24 + 6 + 5 * 2 * 2 + 5 * 3 + 5 * 2 + (2 + 2 + 3 + 3 + 2) + 4


def find_peer(paper: str, row: Published, *, any_set: bool) -> Published:
    """The row of the same method in another paper's comparison; costs stand beside every set."""
    same = [r for r in rows() if (r.paper, r.method, r.scale) == (paper, row.method, row.scale)]
    return next(r for r in same if any_set or r.dataset == row.dataset)


@pytest.mark.parametrize(
    ("ablation", "comparison"),
    [
        (("lffn", "I", 4, "LFFN"), ("lffn", "II", 4, "LFFN")),
        *((("osffnet", "3", s, "IMDN w/o OSFF"), ("osffnet", "1", s, "IMDN")) for s in (2, 3, 4)),
        (("osffnet", "4", 4, "OSFFNet"), ("osffnet", "1", 4, "OSFFNet")),
        (("mlrn", "1", 2, "N_GFF_RSC"), ("mlrn", "2", 2, "MLRN")),
        (("maffsrn", "1", 2, "M-BFF+CEA"), ("maffsrn", "5", 2, "MAFFSRN")),
        (("maffsrn", "2", 2, "With Channel Shuffle"), ("maffsrn", "5", 2, "MAFFSRN")),
        (("maffsrn", "3", 2, "3x3, 3x3 (d=2)"), ("maffsrn", "5", 2, "MAFFSRN")),
        (("maffsrn", "4", 2, "AdamP"), ("maffsrn", "5", 2, "MAFFSRN")),
    ],
)
def test_a_paper_agrees_with_itself(ablation: Place, comparison: Place) -> None:
    repeated = [r for r in rows() if (r.paper, r.table, r.scale, r.method) == ablation]
    assert repeated
    for row in repeated:
        first = find(*comparison, row.dataset)
        assert row.psnr == first.psnr
        assert row.ssim in (first.ssim, None)


@pytest.mark.parametrize(
    ("model", "scale", "params", "macs"),
    [
        ("lffn", 2, 1_522_000, 342_800_000_000),
        ("lffn-s", 3, 185_000, 18_100_000_000),
        ("lffn-s", 4, 183_000, 11_700_000_000),
        ("lffn-nf", 4, 1_497_000, None),
        ("lffn-nf", 2, None, None),
        ("osffnet", 4, 537_000, 22_000_000_000),
        ("mlrn", 2, None, None),
        ("maffsrn", 2, 402_394, 77_200_000_000),
        ("maffsrn", 3, 418_000, 34_200_000_000),
        ("maffsrn-l", 2, 790_000, 154_400_000_000),
        ("msfin", 2, 682_000, None),
        ("msfin-s", 3, 352_000, None),
        ("msfin-s", 4, 352_000, None),
        ("bicubic", 4, None, None),
    ],
)
def test_printed_counts(model: str, scale: int, params: int | None, macs: int | None) -> None:
    counts = printed_counts(model, scale)
    assert counts == (params, macs)
    assert {type(count) for count in counts} <= {int, type(None)}


def test_printed_score() -> None:
    assert printed_score("msfin-s", 4, "Set5") == (32.08, 0.8934)
    assert printed_score("maffsrn", 3, "Urban100") == (28.13, 0.8521)
    assert printed_score("lffn-nf", 4, "Urban100") == (25.97, 0.7821)
    assert printed_score("mlrn", 2, "Set14") == (33.49, 0.9140)
    assert printed_score("msfin-s", 2, "Set5") is None
    assert printed_score("lffn", 4, "Set14") is None
    assert printed_score("bicubic", 4, "Set5") is None


@pytest.mark.parametrize("model", OWN_ROWS)
def test_each_of_our_names_leads_to_rows(model: str) -> None:
    assert [r for r in rows() if (r.paper, r.table, r.method) == OWN_ROWS[model]]


def test_table_travels_in_the_wheel() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert "*.csv" in project["tool"]["setuptools"]["package-data"]["edgesr.models"]
