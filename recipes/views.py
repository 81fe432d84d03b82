"""What a run shows while it trains: log.csv, and TensorBoard and a picture where their libraries are."""

import csv
import time
from typing import TYPE_CHECKING

from edgesr.files import replacing
from recipes.processes import is_main
from recipes.run import LOG_COLUMNS, Run

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

SECONDS_BETWEEN_PICTURES = 30.0


class Views:
    """The logs of an open run, from `step` on."""

    def __init__(self, run: Run, step: int) -> None:
        self.run, self.step = run, step
        self.drawn = float("-inf")
        self.writer: SummaryWriter | None = None
        self.begun, self.pictured = False, True

    def add(self, step: int, *values: float | None) -> None:
        """Log one row: the values of LOG_COLUMNS after `step`, None where there is none."""
        if not self.begun:
            self._begin()
        self.run.log(step, *values)
        if self.writer is not None:
            for name, value in zip(LOG_COLUMNS[1:], values, strict=True):
                if value is not None:
                    self.writer.add_scalar(name, value, step)

    def draw(self, last: bool) -> None:
        """Draw what was logged so far into curves.png: the last time, and as often as a person looks."""
        if last and self.writer is not None:
            self.writer.flush()
        due = last or time.monotonic() - self.drawn >= SECONDS_BETWEEN_PICTURES
        if due and self.begun and self.pictured:
            picture(self.run, self._rows())
            self.drawn = time.monotonic()

    def _begin(self) -> None:
        """Find out what is installed, and say what is not."""
        assert is_main()
        self.begun = True
        missing = []
        try:
            import matplotlib as _  # noqa: F401
        except ImportError:
            self.pictured = False
            missing.append("no curves.png without matplotlib (pip install 'edgesr[plot]')")
        try:
            from torch.utils.tensorboard.writer import SummaryWriter

            self.writer = SummaryWriter(self.run.folder / "tensorboard", purge_step=self.step + 1)
        except ImportError:
            missing.append("no TensorBoard (pip install tensorboard)")
        if missing:
            print(f"The log is {self.run.log_file}; {'; '.join(missing)}.", flush=True)

    def _rows(self) -> list[tuple[float, float, float | None]]:
        """Step, loss and validation PSNR of each row."""
        with self.run.log_file.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [
            (
                float(row["step"]),
                float(row["loss"]),
                float(psnr) if (psnr := row["validation_psnr"]) else None,
            )
            for row in rows
        ]


def picture(run: Run, rows: list[tuple[float, float, float | None]]) -> None:
    """Loss and validation PSNR over steps, as `curves.png` of the run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    figure.suptitle(run.folder.name)
    above.plot([row[0] for row in rows], [row[1] for row in rows], color="#b0b0b0", linewidth=0.7)
    smooth = smoothed([row[1] for row in rows])
    above.plot([row[0] for row in rows], smooth, color="#1f5fa8", label="running mean")
    above.set(ylabel="training loss", yscale="log")
    above.legend()
    measured = [(step, psnr) for step, _, psnr in rows if psnr is not None]
    below.plot([step for step, _ in measured], [psnr for _, psnr in measured], "o-", color="#c0392b")
    below.set(xlabel="optimizer steps", ylabel="held-out PSNR in dB (Y)")
    for axes in (above, below):
        axes.grid(color="#e4e4e4", linewidth=0.6)
    with replacing(run.folder / "curves.png") as temporary:
        figure.savefig(temporary, dpi=100)


def smoothed(values: list[float], keep: float = 0.95) -> list[float]:
    """An exponential running mean, freed of what it began with."""
    means, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = keep * total + (1 - keep) * value, keep * weight + 1 - keep
        means.append(total / weight)
    return means
