"""Networks that papers print counts of and that are not in MODELS: their ablations, and other readings.

Each row rebuilds one setting out of a network's arguments; its printed figures come from published.csv.
That the counts agree is the best evidence there is for a reading, above all of OSFFNet, whose authors
released no code.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from edgesr.models.maffsrn import MAFFSRN
from edgesr.models.mlrn import READINGS
from edgesr.models.msfin import MSFIN
from edgesr.models.osffnet import OSFFNet
from edgesr.models.published import rows

READING = "reading"


@dataclass(frozen=True)
class Ablation:
    """One setting of a paper's table, or a reading that no table prints."""

    family: str
    table: str
    """As in `published.csv`, or `READING`."""
    scale: int
    setting: str
    """As in `published.csv`."""
    build: Callable[[], nn.Module]
    note: str = ""
    """Why the printed figure is not met; empty where it is."""

    def printed(self) -> tuple[int | None, int | None]:
        """Parameters and multiply-adds in the paper; None where it prints none."""
        place = (self.family, self.table, self.scale, self.setting)
        for row in rows():
            if (row.paper, row.table, row.scale, row.method) == place:
                return row.params, row.macs
        assert self.table == READING, f"published.csv has no row {place}"
        return None, None


def _msfin(reduction: int, **options: Any) -> Callable[[], nn.Module]:
    return lambda: MSFIN(4, features=20, groups=4, reduction=reduction, passes=2, **options)


def _maffsrn(**options: Any) -> Callable[[], nn.Module]:
    return lambda: MAFFSRN(2, groups=4, **options)


def _osffnet(**options: Any) -> Callable[[], nn.Module]:
    return lambda: OSFFNet(4, **options)


def _without(*parts: str) -> Callable[[], nn.Module]:
    """OSFFNet without some of its OISI, SFGC and MFDF, as the rows of its Table 2 are."""
    names = {"OISI": {"copies": 1}, "SFGC": {"shallow": False}, "MFDF": {"fields": False}}
    return _osffnet(**{name: value for part in parts for name, value in names[part].items()})


_HFF = "the paper does not describe HFF; one 1x1 convolution of all four features makes"

ABLATIONS = (
    Ablation("msfin", "1", 4, "none", _msfin(16, connections="none")),
    Ablation("msfin", "1", 4, "IC", _msfin(16, connections="shared")),
    Ablation("msfin", "1", 4, "CIC", _msfin(16, connections="shared+cross")),
    Ablation("msfin", "1", 4, "IC+NS", _msfin(16, connections="own")),
    Ablation("msfin", "2", 4, "none", _msfin(5, attention=False, mix="none")),
    Ablation("msfin", "2", 4, "CA", _msfin(5, mix="none")),
    Ablation("msfin", "2", 4, "CA+CS", _msfin(5, mix="shuffle")),
    Ablation(
        "msfin",
        "2",
        4,
        "CA+FF",
        _msfin(5, mix="fusion"),
        "543,763, and the paper rounds elsewhere",
    ),
    Ablation(
        "msfin",
        READING,
        4,
        "MSFIN, connections shared (IC)",
        lambda: MSFIN(4, features=24, groups=6, reduction=5, passes=2, connections="shared"),
    ),
    Ablation("maffsrn", "1", 2, "none", _maffsrn(fusion="hff", cea=False), f"{_HFF} 363,482"),
    Ablation("maffsrn", "1", 2, "BFF", _maffsrn(fusion="bff", cea=False)),
    Ablation("maffsrn", "1", 2, "M-BFF", _maffsrn(cea=False)),
    Ablation("maffsrn", "1", 2, "CEA", _maffsrn(fusion="hff"), f"{_HFF} 393,690"),
    Ablation("maffsrn", "1", 2, "M-BFF+CEA", _maffsrn()),
    Ablation("maffsrn", "3", 2, "3x3, 3x3 (d=2)", _maffsrn()),
    Ablation("maffsrn", "3", 2, "3x3, 3x3", _maffsrn(convolutions=((3, 1), (3, 1)))),
    Ablation("maffsrn", "3", 2, "3x3, 3x3, 3x3", _maffsrn(convolutions=((3, 1), (3, 1), (3, 1)))),
    Ablation("maffsrn", "3", 2, "3x3, 5x5", _maffsrn(convolutions=((3, 1), (5, 1)))),
    Ablation("maffsrn", "3", 2, "5x5, 3x3", _maffsrn(convolutions=((5, 1), (3, 1)))),
    Ablation("osffnet", "2", 4, "none", _without("OISI", "SFGC", "MFDF")),
    Ablation("osffnet", "2", 4, "OISI", _without("SFGC", "MFDF")),
    Ablation("osffnet", "2", 4, "SFGC", _without("OISI", "MFDF")),
    Ablation("osffnet", "2", 4, "MFDF", _without("OISI", "SFGC")),
    Ablation("osffnet", "2", 4, "OISI+SFGC", _without("MFDF")),
    Ablation("osffnet", "2", 4, "OISI+MFDF", _without("SFGC")),
    Ablation("osffnet", "2", 4, "SFGC+MFDF", _without("OISI")),
    Ablation("osffnet", "2", 4, "OISI+SFGC+MFDF", _without()),
    Ablation("osffnet", "4", 4, "Net-w/oAtt", _osffnet(esa=False, cca=False)),
    Ablation("osffnet", "4", 4, "Net-ESA", _osffnet(cca=False)),
    Ablation("osffnet", "4", 4, "Net-CCA", _osffnet(esa=False)),
    Ablation("osffnet", "4", 4, "OSFFNet", _osffnet()),
    *(
        Ablation("mlrn", READING, 2, name, lambda build=build: build(2))
        for name, build in READINGS.items()
    ),
)
