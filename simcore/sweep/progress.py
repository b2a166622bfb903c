"""Where a sweep stands, on standard error: one live line on a terminal, plain lines otherwise; or in a log."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

from simcore.progress import LOG, LOG_EVERY, duration

SILENCE = 60.0  # seconds after which a line comes even if no shard finished meanwhile


class Progress:
    """Counts shards, rows and the share of the work done; ``rows`` are starts or distinct points.

    The estimate of the time left scales what passed by the cost model's weights, from the moment on at which each of
    the ``workers`` has finished a shard: what came before held the start of processes and the compilation. Times are
    monotonic. It is not shown where it says nothing: while a worker is stopped, and where nothing finished for a minute
    and for three times what it says is left. ``quiet`` sends the lines to the logger ``simcore`` at level INFO.
    """

    def __init__(self, noun: str, stream: TextIO | None = None, *, workers: int = 1, quiet: bool = False) -> None:
        self.noun, self.workers, self.quiet = noun, max(1, workers), quiet
        self.stream = sys.stderr if stream is None else stream
        self.shards = self.held = self.total = self.rows = 0
        self.weight = self.total_weight = self.held_weight = 0.0
        self.began = time.monotonic()
        self.stopped = 0  # workers that somebody stopped
        self._warm: tuple[float, float, int] | None = None
        self._finished = self.began
        self._logged, self._last = self.began, 0
        self._live: Any = None
        self._task: Any = None

    def start(self, held: int, total: int, weight: float, held_weight: float = 0.0) -> None:
        """Begin: ``held`` shards, of ``held_weight``, are there already, ``total`` are to be computed, of ``weight``
        altogether.
        """
        self.held, self.held_weight = held, held_weight
        self.total, self.total_weight = total, weight
        if held:
            self.log(f"resuming: {held} shards are there, {total} to compute")
        else:
            self.log(f"{total} shards to compute")
        if not self.quiet and self._terminal() and total:
            self._live = self._open_live()

    def extend(self, total: int, weight: float) -> None:
        """Note that a look asked for more draws."""
        self.total, self.total_weight = total, weight

    def done(self, rows: int, weight: float) -> None:
        """Note a finished shard."""
        self.shards += 1
        self.rows += rows
        self.weight += weight
        self._finished = time.monotonic()
        if self._warm is None and self.shards >= self.workers:
            self._warm = time.monotonic(), self.weight, self.rows
        self.tick()

    def tick(self) -> None:
        """Show where things stand, if it is time to."""
        if self._live is not None:
            done, whole = self.held_weight + self.weight, self.held_weight + self.total_weight
            self._live.update(self._task, completed=done, total=whole, text=self.line())
            return
        since = time.monotonic() - self._logged
        if since >= SILENCE or (since >= LOG_EVERY and self.shards > self._last):
            self._logged, self._last = time.monotonic(), self.shards
            self.log(self.line())

    def line(self) -> str:
        """Return one line: shards, rows a second, time left."""
        head = f"{self.held + self.shards}/{self.held + self.total} shards"
        if self.stopped:
            return f"{head}, {self.stopped} worker process{'' if self.stopped == 1 else 'es'} stopped"
        if not self.shards:
            since = duration(time.monotonic() - self.began)
            return f"{head}, starting workers and compiling kernels (once), {since}"
        began, weight, rows = self._warm or (self.began, 0.0, 0)
        if self.weight == weight:
            return f"{head}, {self.rows:,} {self.noun}, in the first shards"
        passed = max(time.monotonic() - began, 1e-9)
        left = passed * (self.total_weight - self.weight) / (self.weight - weight)
        idle = time.monotonic() - self._finished
        if idle > SILENCE and idle > 3 * left:
            return f"{head}, no shard finished for {duration(idle)}"
        about = "" if self._warm else "at most "
        return f"{head}, {(self.rows - rows) / passed:,.0f} {self.noun}/s, {about}{duration(left)} left"

    def log(self, text: str) -> None:
        """Print one line for the user; above the live line where there is one."""
        if self.quiet:
            LOG.info(text)
        elif self._live is not None:
            self._live.console.print(f"simcore: {text}", markup=False, highlight=False)
        else:
            print(f"simcore: {text}", file=self.stream, flush=True)

    def close(self) -> None:
        """Take the live line down."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _terminal(self) -> bool:
        try:
            return self.stream.isatty()
        except (AttributeError, ValueError):
            return False

    def _open_live(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        bar = Bar(
            BarColumn(), TextColumn("{task.percentage:3.0f}% {task.fields[text]}"), console=Console(file=self.stream)
        )
        self._task = bar.add_task("sweep", total=self.total_weight, text=self.line())
        bar.start()
        return bar
