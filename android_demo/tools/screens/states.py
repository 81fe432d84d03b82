"""What the one screen shows when: MainActivity's and CompareView's part, told again for the drawings."""

from collections.abc import Iterator
from dataclasses import dataclass

from android_demo.tools.screens.resources import Resources, places
from edgesr.tiling import plan

SCALE, TILE, OVERLAP = 4, 64, 8
"""The bundled models'."""
LR_WIDTH, LR_HEIGHT = 96, 72
"""The picture in the drawings."""
REASON = "write failed: ENOSPC (No space left on device)"
CLOCK = "1:02:03"


@dataclass(frozen=True)
class Screen:
    """One state of the screen."""

    name: str
    title: str
    status: str
    main: str
    """The string of the button that begins, ends and continues."""
    enabled: frozenset[str]
    progress: float | None = None
    """0 to 1; None: no bar is seen."""
    rows_done: float | None = None
    """Of the enlargement, 0 to 1; None: there is no picture."""

    def texts(self, resources: Resources) -> dict[str, str]:
        """By the id of the view that shows it."""
        return {
            "status": self.status,
            "main": resources.string(self.main),
            "model": "msfin-s x4 int8",
            "threads": resources.quantity("threads", 2),
        }


CHOICES = frozenset({"model", "threads"})


def drawn(resources: Resources) -> list[Screen]:
    """The states that are drawn. Times, speed and memory are placeholders: nothing measured them."""
    string = resources.string
    numbers = string("numbers", 111.0, 2.22, resources.quantity("threads", 2), 333)
    rows, columns = plan(LR_HEIGHT, TILE, OVERLAP), plan(LR_WIDTH, TILE, OVERLAP)
    total, done = len(rows) * len(columns), len(columns) + 1
    sizes = (LR_WIDTH, LR_HEIGHT, SCALE * LR_WIDTH, SCALE * LR_HEIGHT)
    saved = frozenset({"pick", "save", "share"}) | CHOICES
    return [
        Screen("empty", "No picture", string("told_empty"), "upscale", CHOICES | {"pick"}),
        Screen(
            "ready",
            "Picked",
            string("told_ready", *sizes),
            "upscale",
            CHOICES | {"pick", "main"},
            None,
            0,
        ),
        Screen(
            "working",
            "Working",
            string("told_running", done, total, "0:05", numbers),
            "cancel",
            frozenset({"pick", "main"}),
            done / total,
            rows[0].keep_to / LR_HEIGHT,
        ),
        Screen("done", "Done", string("told_done", "0:44", numbers), "again", saved, None, 1),
        Screen("error", "Error", string("error_photo", "unimplemented"), "upscale", CHOICES | {"pick"}),
    ]


def worst(resources: Resources) -> Iterator[Screen]:
    """Every sentence and every name of the button that may be shown, with long arguments."""
    numbers = resources.string("numbers", 12345.0, 12.34, resources.string("threads_auto"), 4096)
    special = {"told_running": (5229, 5229, CLOCK, numbers), "told_done": (CLOCK, numbers)}
    everything = frozenset({"pick", "main", "save", "share"}) | CHOICES
    for key in sorted(resources.values):
        name = key.removeprefix("string/")
        if name.startswith(("told_", "error_")):
            kinds = places(resources.values[key])
            arguments = special.get(name) or [16000 if kind == "d" else REASON for kind in kinds]
            status = resources.string(name, *arguments)
            yield Screen(name, name, status, "resume", everything, 1.0, 1.0)
    for main in ("upscale", "resume", "again", "cancel"):
        yield Screen(main, main, resources.string("told_empty"), main, everything, 1.0, 1.0)
