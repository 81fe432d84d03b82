"""Makes the golden files beside it: `make golden`, then look at `git diff --stat tests/golden`.

tiles.json holds the tile plans that Python and Kotlin must both produce.
"""

import json
from pathlib import Path
from typing import Any

from edgesr.errors import UserError
from edgesr.tiling import padded_length, plan

FOLDER = Path(__file__).parent
PRIMES = (2, 61, 127)
GRIDS = [  # tile, overlap, multiple
    (1, 0, 1),
    (16, 0, 1),
    (16, 4, 4),
    (17, 8, 1),
    (64, 8, 1),
    (64, 8, 4),
    (64, 30, 4),
    (96, 16, 2),
    (256, 16, 1),
]
REFUSED = [  # length, tile, overlap, multiple
    (0, 16, 0, 1),
    (10, 0, 0, 1),
    (10, 16, 8, 1),
    (10, 16, 7, 4),
    (10, 18, 0, 4),
    (10, 16, -1, 1),
    (10, 16, 0, 0),
]


def tile_plans() -> dict[str, Any]:
    """Plans by length, tile, overlap and multiple; spans are [start, keep_from, keep_to]."""
    return {
        "plans": [_planned(length, *grid) for grid in GRIDS for length in sorted(_lengths(grid[0]))],
        "refused": [_refused(*arguments) for arguments in REFUSED],
    }


def text(content: dict[str, Any]) -> str:
    """JSON with one plan to a line, so that a change is one line of a diff."""
    parts = []
    for name, rows in content.items():
        lines = ",\n    ".join(json.dumps(row) for row in rows)
        parts.append(f'  "{name}": [\n    {lines}\n  ]')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lengths(tile: int) -> set[int]:
    near = {1, tile - 1, tile, tile + 1, 2 * tile - 1, 2 * tile, 2 * tile + 1, 5 * tile + 3}
    return {length for length in (*near, *PRIMES) if length > 0}


def _planned(length: int, tile: int, overlap: int, multiple: int) -> dict[str, Any]:
    spans = plan(length, tile, overlap, multiple)
    return {
        "length": length,
        "tile": tile,
        "overlap": overlap,
        "multiple": multiple,
        "padded": padded_length(length, tile, multiple),
        "spans": [[span.start, span.keep_from, span.keep_to] for span in spans],
    }


def _refused(length: int, tile: int, overlap: int, multiple: int) -> dict[str, int]:
    try:
        plan(length, tile, overlap, multiple)
    except UserError:
        return {"length": length, "tile": tile, "overlap": overlap, "multiple": multiple}
    raise AssertionError(f"plan accepted {(length, tile, overlap, multiple)}")


if __name__ == "__main__":
    (FOLDER / "tiles.json").write_text(text(tile_plans()), encoding="utf-8")
