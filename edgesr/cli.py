"""What every command line shares: errors without tracebacks, and progress that shows when it ends."""

import errno
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable

from tqdm import tqdm

from edgesr.errors import UserError

SECONDS_BETWEEN_LINES = 10.0

# Notices about the insides of torch, torchao and coremltools that no user can act on. They come when
# those are imported, so they are kept back as soon as this module is: only command lines import it.
warnings.filterwarnings("ignore", category=FutureWarning, module="copyreg")
for _name in ("torchao", "torch.utils._pytree", "torch.onnx", "coremltools"):
    logging.getLogger(_name).setLevel(logging.ERROR)


def run(main: Callable[[], None]) -> None:
    """Run a command and leave the process with its exit status.

    0 success; 1 a mistake that the message explains, or a file system that refused; 130 Ctrl-C.
    """
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output left, as in `… | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.exit(f"error: {_explain(error)}")


def _explain(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{error.strerror}{where}. Nothing was left half-written; free some space and try again."
    return f"{error.strerror or error}{where}"


class Progress:
    """A progress bar on a terminal, a line every ten seconds elsewhere; both end with the ETA."""

    silent = False
    """True in a process that leaves the showing to another."""

    def __init__(self, total: int, label: str, unit: str, start: int = 0) -> None:
        self.total, self.label, self.unit = total, label, unit
        self.start, self.done = start, start
        self.began = self.spoke = time.monotonic()
        terminal = sys.stderr.isatty() and not self.silent
        self.bar = tqdm(total=total, initial=start, desc=label, unit=unit) if terminal else None

    def advance(self, count: int = 1, **facts: str) -> None:
        """Count `count` more units as done and show `facts` (name=text) beside the bar."""
        self.done += count
        if self.bar is not None:
            self.bar.set_postfix(facts, refresh=False)
            self.bar.update(count)
            return
        if self.silent:
            return
        now = time.monotonic()
        if self.done >= self.total or now - self.spoke >= SECONDS_BETWEEN_LINES:
            self.spoke = now
            print(self._line(now, facts), file=sys.stderr, flush=True)

    def _line(self, now: float, facts: dict[str, str]) -> str:
        rate = (self.done - self.start) / max(now - self.began, 1e-9)
        left = (self.total - self.done) / max(rate, 1e-9)
        shown = "".join(f"  {name} {text}" for name, text in facts.items())
        eta = f"ETA {left // 60:.0f}:{left % 60:02.0f}"
        return (
            f"{self.label}  {self.done}/{self.total} {self.unit}{shown}  {rate:.2f} {self.unit}/s  {eta}"
        )

    def __enter__(self) -> "Progress":
        """Show the bar for the length of a `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the bar."""
        if self.bar is not None:
            self.bar.close()
