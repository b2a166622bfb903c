"""Progress on standard error: one live line on a terminal, plain log lines otherwise."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

from simcore.sweep.plan import Shard

LOG_EVERY = 10.0  # seconds between log lines where there is no terminal
SILENCE = 60.0  # seconds after which a line comes even if no shard finished meanwhile


class Progress:
    """Counts shards, rows and the share of the work done; ``rows`` are starts or distinct points.

    The estimate of the time left scales what passed so far by the cost model's weights; times are monotonic.
    """

    def __init__(self, noun: str, stream: TextIO | None = None) -> None:
        self.noun = noun
        self.stream = sys.stderr if stream is None else stream
        self.shards = self.total = self.rows = 0
        self.weight = self.total_weight = 0.0
        self.began = time.monotonic()
        self._logged, self._last = self.began, 0
        self._live: Any = None
        self._task: Any = None

    def start(self, held: int, total: int, weight: float) -> None:
        """Begin: ``held`` shards are there already, ``total`` are to be computed, of ``weight`` altogether."""
        self.total, self.total_weight = total, weight
        if held:
            self.log(f"resuming: {held} shards are there, {total} to compute")
        else:
            self.log(f"{total} shards to compute")
        if self._terminal() and total:
            self._live = self._open_live()

    def extend(self, total: int, weight: float) -> None:
        """Note that a look asked for more draws."""
        self.total, self.total_weight = total, weight

    def done(self, rows: int, weight: float) -> None:
        """Note a finished shard."""
        self.shards += 1
        self.rows += rows
        self.weight += weight
        self.tick()

    def tick(self) -> None:
        """Show where things stand, if it is time to."""
        if self._live is not None:
            self._live.update(self._task, completed=self.weight, total=self.total_weight, text=self.line())
            return
        since = time.monotonic() - self._logged
        if since >= SILENCE or (since >= LOG_EVERY and self.shards > self._last):
            self._logged, self._last = time.monotonic(), self.shards
            self.log(self.line())

    def line(self) -> str:
        """Return one line: shards, rows a second, time left."""
        passed = max(time.monotonic() - self.began, 1e-9)
        rate = self.rows / passed
        left = passed * (self.total_weight - self.weight) / self.weight if self.weight else None
        rest = f", {duration(left)} left" if left is not None else ", compiling or in the first shards"
        return f"{self.shards}/{self.total} shards, {rate:,.0f} {self.noun}/s{rest}"

    def log(self, text: str) -> None:
        """Print one line for the user; above the live line where there is one."""
        if self._live is not None:
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


def shard_weight(weights: dict[int, float], shards: list[Shard]) -> float:
    """Return the cost model's weight of some shards."""
    return sum(weights[shard.combination] * shard.draws * shard.starts for shard in shards)


def duration(seconds: float) -> str:
    """Return seconds as people say them: 12 s, 3 min 20 s, 5 h 07 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
