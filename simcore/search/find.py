"""Every start's outcome: the batched Newton search behind ``simcore.find_critical_points``."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Outcome
from simcore.formulas.outcome import CRITICAL, DEGENERATE, STATUSES
from simcore.landscapes.base import Draw, Landscape
from simcore.landscapes.memory import require_rows
from simcore.progress import current, long_call, share
from simcore.search.certify import certify
from simcore.search.distinct import PointTable
from simcore.search.frames import VARIABLES
from simcore.search.search import Search, check_draws, split_target
from simcore.search.solvers import Solver
from simcore.search.spectrum import spectra
from simcore.search.target import Target, blocks
from simcore.validate import start_range

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


def find_critical_points(
    target: Landscape | Draw,
    *,
    draws: int | None = None,
    first_draw: int | None = None,
    starts: int = 256,
    first_start: int = 0,
    seed: int | None = None,
    solver: Solver | None = None,
    backend: str = "cpu",
    start_law: str | None = None,
    positions: bool = False,
    spectrum: bool = False,
    threads: int | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Search from many starts in each of several draws and return a row a start, none dropped.

    Parameters
    ----------
    target : Landscape or Draw
        The family, or one function of it (then give neither ``draws`` nor ``first_draw``).
    draws, first_draw : int
        Functions first_draw .. first_draw + draws - 1; default the one function 0.
    starts : int
        How many starts of each draw.
    first_start : int
        The first of them: starts first_start .. first_start + starts - 1.
    seed : int
        0 .. 2^64 - 1; with draw and start it determines a row. Default 0, or the seed of the draw given.
    solver : Solver
        Default ``Auto()``: what the landscape's docstring says under "auto", Newton for random functions.
    backend : "cpu", "cuda" or "reference"
    start_law : str
        One of ``target.start_laws``; default the first.
    positions : bool
        Add the column ``x`` (n float64, where the search ended, wrapped to the domain).
    spectrum : bool
        Add the column ``eigenvalues`` (D float64 ascending, of critical and degenerate points; empty elsewhere).
    threads : int
        Default NUMBA_NUM_THREADS, else the processors this process may use. The rows do not depend on it.
    progress : bool
        Show a bar on standard error; otherwise the logger ``simcore`` tells now and then. Ctrl-C stops the call within
        a second.

    Returns
    -------
    DataFrame
        Ordered by draw, then start: ``draw``, ``start`` int64; ``status`` category; ``iterations`` int32;
        ``cost``, ``grad_norm`` float64 (Riemannian norm of the gradient of f); ``morse_index``, ``nullity``
        int32, -1 where undefined; ``point`` int64, the distinct point within the draw, numbered by the first of
        these starts that reached it, -1 if not critical; ``certified`` bool (``simcore.search.certify``);
        ``source`` category, the start law.

    Raises
    ------
    InputError
        For an argument out of range, or an unknown backend, start law or solver.
    """
    landscape, only, seed = split_target(target, seed, draws=draws, first_draw=first_draw)
    search = Search.of(
        landscape,
        seed=seed,
        solver=solver,
        backend=backend,
        start_law=start_law,
        positions=positions,
        spectrum=spectrum,
        threads=threads,
    )
    which = {"first_draw": first_draw or 0, "draws": 1 if draws is None else draws} if only is None else {
        "first_draw": only.number, "draws": 1
    }  # fmt: skip

    def work() -> pd.DataFrame:
        return newton_rows(search, **which, first_start=first_start, starts=starts, only=only)

    return long_call("find_critical_points", work, progress)


def newton_rows(
    search: Search, *, first_draw: int, draws: int, starts: int, first_start: int = 0, only: Draw | None = None
) -> pd.DataFrame:
    """Return the rows of ``find_critical_points`` for draws first_draw .. first_draw + draws - 1, or for ``only``."""
    if only is None:
        first_draw, draws = check_draws(search.landscape, first_draw, draws)
    first_start, starts = start_range(first_start, starts, least=1)
    rows = Rows(search, draws, starts)
    jobs = [
        _DrawJob(search, only, first_draw + i, first_start, rows, slice(i * starts, (i + 1) * starts))
        for i in range(draws)
    ]
    _work_through(jobs, starts, search.threads, search.solver.block(search.backend))
    return rows.frame(first_draw, first_start)


class Rows:
    """The columns of all rows, filled in draw by draw."""

    def __init__(self, search: Search, draws: int, starts: int) -> None:
        total = draws * starts
        require_rows(search.landscape, total, positions=search.positions, spectrum=search.spectrum)
        self.search = search
        self.draws, self.starts = draws, starts
        self.status = np.empty(total, np.int8)
        self.iterations = np.empty(total, np.int32)
        self.cost, self.grad_norm = np.empty(total), np.empty(total)
        self.index, self.nullity = np.empty(total, np.int32), np.empty(total, np.int32)
        self.point = np.empty(total, np.int64)
        self.certified = np.zeros(total, np.bool_)
        self.x = np.empty((total, search.landscape.n)) if search.positions else None
        self.eigenvalues: list[Any] | None = [np.empty(0)] * total if search.spectrum else None

    def store(self, place: slice, outcome: Outcome) -> None:
        """Fill in how some starts ended."""
        self.status[place] = outcome.status
        self.iterations[place] = outcome.iterations
        self.cost[place] = outcome.cost
        self.grad_norm[place] = outcome.grad_norm
        self.index[place] = outcome.index
        self.nullity[place] = outcome.nullity
        if self.x is not None:
            self.x[place] = outcome.x

    def finish(self, target: Target, place: slice, x: Array, decrement: Array) -> None:
        """Fill in ``point``, ``certified`` and ``eigenvalues`` of one draw whose starts, at x (S, n), are all there."""
        status = self.status[place]
        critical = status == CRITICAL
        index, cost = self.index[place][critical], self.cost[place][critical]
        merged = target.canonical(x[critical])
        table = PointTable(self.search.landscape, self.search.options.decrement_tolerance, target.cost_unit)
        labels = table.absorb(merged, index, cost, decrement[critical])
        self.point[place] = -1
        self.point[place][critical] = labels
        self.certified[place][critical] = certify(target, table.x, table.index).covers(merged, labels)
        if self.eigenvalues is None:
            return
        at_points = spectra(target, table.x)
        for row, label in zip(np.flatnonzero(critical), labels, strict=True):
            self.eigenvalues[place.start + row] = at_points[label]
        degenerate = np.flatnonzero(status == DEGENERATE)
        for row, values in zip(degenerate, spectra(target, x[degenerate]), strict=True):
            self.eigenvalues[place.start + row] = values

    def frame(self, first_draw: int, first_start: int) -> pd.DataFrame:
        """Return the rows as a DataFrame."""
        import pandas as pd

        sources, laws = self.search.landscape.sources(self.search.law, first_start, self.starts)
        draw = np.repeat(np.arange(first_draw, first_draw + self.draws), self.starts)
        start = np.tile(np.arange(first_start, first_start + self.starts), self.draws)
        columns: dict[str, Any] = {
            "draw": draw.astype(np.int64),
            "start": start.astype(np.int64),
            "status": pd.Categorical.from_codes(self.status, categories=pd.Index(list(STATUSES))),
            "iterations": self.iterations,
            "cost": self.cost,
            "grad_norm": self.grad_norm,
            "morse_index": self.index,
            "nullity": self.nullity,
            "point": self.point,
            "certified": self.certified,
            "source": pd.Categorical.from_codes(np.tile(sources, self.draws), categories=pd.Index(list(laws))),
        }
        if self.x is not None:
            columns["x"] = list(self.x)
        if self.eigenvalues is not None:
            columns["eigenvalues"] = self.eigenvalues
        frame = pd.DataFrame(columns)
        frame.attrs[VARIABLES] = self.search.landscape.n
        return frame


class _DrawJob:
    """One draw: its blocks may run in several threads; the last to finish merges its points."""

    def __init__(
        self, search: Search, only: Draw | None, number: int, first_start: int, rows: Rows, place: slice
    ) -> None:
        self._search, self._only, self._number = search, only, number
        self._first_start, self._rows, self._place = first_start, rows, place
        self._lock = threading.Lock()
        self._target: Target | None = None
        self._left = place.stop - place.start
        self._x = np.empty((self._left, search.landscape.n))
        self._decrement = np.empty(self._left)

    def _ready(self) -> Target:
        with self._lock:
            if self._target is None:
                only = self._only
                self._target = (
                    Target.numbered(self._search, self._number) if only is None else Target.of(self._search, only)
                )
            return self._target

    def run(self, block: slice) -> None:
        """Search one block of starts."""
        target = self._ready()
        outcome = target.ordinary(self._first_start + block.start, block.stop - block.start)
        begin = self._place.start
        self._rows.store(slice(begin + block.start, begin + block.stop), outcome)
        self._x[block], self._decrement[block] = outcome.x, outcome.decrement
        with self._lock:
            self._left -= block.stop - block.start
            last = self._left == 0
        if last:
            self._rows.finish(target, self._place, self._x, self._decrement)
            self._target, self._x, self._decrement = None, np.empty((0, 0)), np.empty(0)


def _work_through(jobs: list[_DrawJob], starts: int, threads: int, least: int) -> None:
    """Let threads take (draw, block of starts) items in order until none is left."""
    # Several draws are in flight at once, so a draw is cut only when there are fewer draws than would keep all busy.
    pieces = 1 if len(jobs) >= 4 * threads or threads == 1 else 4 * threads
    items = [(job, block) for job in jobs for block in blocks(starts, pieces, least)]
    meter = current()
    meter.plan(len(jobs) * starts, "starts")

    def one(item: tuple[_DrawJob, slice]) -> None:
        job, block = item
        job.run(block)
        meter.step(block.stop - block.start)

    share(one, items, threads)
