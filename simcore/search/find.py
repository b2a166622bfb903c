"""Every start's outcome: the batched Newton search behind ``simcore.find_critical_points``."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Outcome
from simcore.formulas.outcome import CRITICAL, STATUSES
from simcore.landscapes.base import Draw, Landscape
from simcore.search.certify import certify
from simcore.search.distinct import PointTable
from simcore.search.solvers import Newton, RegularisedNewton, Solver
from simcore.search.spectrum import spectra
from simcore.search.target import (
    TILE,
    Settings,
    Target,
    Workers,
    blocks,
    check_draws,
    settings,
    split_target,
    thread_count,
)
from simcore.validate import start_range

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 480  # starts in a work item at least: enough to keep the kernel's tiles full


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
) -> pd.DataFrame:
    """Search from many starts in each of several draws and return a row a start, none dropped.

    Parameters
    ----------
    target : Landscape or Draw
        The family, or one function of it (then give neither ``draws`` nor ``first_draw``).
    draws, first_draw : int
        Functions first_draw .. first_draw + draws - 1; default the one function 0.
    starts, first_start : int
        Starts first_start .. first_start + starts - 1 of each draw.
    seed : int
        0 .. 2^64 - 1; with draw and start it determines a row. Default 0, or the seed of the draw given.
    solver : Solver
        Default ``Auto()``: what the landscape's docstring says under "auto", Newton for random functions.
    backend : "cpu", "cuda" or "reference"
    start_law : str
        One of ``target.start_laws``; default the first.
    positions, spectrum : bool
        Add the columns ``x`` (n float64, where the search ended, wrapped to the domain) and ``eigenvalues`` (D float64
        ascending, of critical and degenerate points; empty elsewhere).
    threads : int
        Default NUMBA_NUM_THREADS, else the processors this process may use. The rows do not depend on it.

    Returns
    -------
    DataFrame
        Ordered by draw, then start: ``draw``, ``start`` int64; ``status`` category; ``iterations`` int32; ``cost``,
        ``grad_norm`` float64 (Riemannian norm of the gradient of f); ``index``, ``nullity`` int32, -1 where undefined;
        ``point`` int64, the distinct point within the draw, numbered by the first of these starts that reached it, -1
        if not critical; ``certified`` bool (``simcore.search.certify``); ``source`` category, the start law.

    Raises
    ------
    InputError
        For an argument out of range, or an unknown backend, start law or solver.
    """
    landscape, only, seed = split_target(target, seed, draws=draws, first_draw=first_draw)
    chosen = settings(landscape, seed=seed, solver=solver, backend=backend, start_law=start_law)
    if only is None:
        first_draw, draws = check_draws(landscape, first_draw or 0, 1 if draws is None else draws)
    else:
        first_draw, draws = only.number, 1
    first_start, starts = start_range(first_start, starts, least=1)
    rows = _Rows(landscape, draws, starts, positions, spectrum)
    jobs = [
        _DrawJob(chosen, only, first_draw + i, first_start, rows, slice(i * starts, (i + 1) * starts))
        for i in range(draws)
    ]
    # Starts of the dense search are dear, and nothing is gained by many at once.
    least = 4 * TILE if isinstance(chosen.solver, RegularisedNewton) else TILE
    if isinstance(chosen.solver, Newton):
        least = max(BLOCK, chosen.block)
    _work_through(jobs, starts, thread_count(threads), least)
    return rows.frame(first_draw, first_start, *landscape.sources(chosen.law, first_start, starts))


class _Rows:
    """The columns of all rows, filled in by the jobs."""

    def __init__(self, landscape: Landscape, draws: int, starts: int, positions: bool, spectrum: bool) -> None:
        total = draws * starts
        self.draws, self.starts = draws, starts
        self.status = np.empty(total, np.int8)
        self.iterations = np.empty(total, np.int32)
        self.cost, self.grad_norm = np.empty(total), np.empty(total)
        self.index, self.nullity = np.empty(total, np.int32), np.empty(total, np.int32)
        self.point = np.empty(total, np.int64)
        self.certified = np.zeros(total, np.bool_)
        self.x = np.empty((total, landscape.n)) if positions else None
        self.eigenvalues: list[Any] | None = [np.empty(0)] * total if spectrum else None

    def store(self, place: slice, outcome: Outcome) -> None:
        self.status[place] = outcome.status
        self.iterations[place] = outcome.iterations
        self.cost[place] = outcome.cost
        self.grad_norm[place] = outcome.grad_norm
        self.index[place] = outcome.index
        self.nullity[place] = outcome.nullity
        if self.x is not None:
            self.x[place] = outcome.x

    def frame(self, first_draw: int, first_start: int, sources: NDArray, laws: tuple[str, ...]) -> pd.DataFrame:
        import pandas as pd

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
        return pd.DataFrame(columns)


class _DrawJob:
    """One draw: its blocks may run in several threads; the last to finish merges its points."""

    def __init__(
        self, chosen: Settings, only: Draw | None, number: int, first_start: int, rows: _Rows, place: slice
    ) -> None:
        self._settings, self._only, self._number = chosen, only, number
        self._first_start, self._rows, self._place = first_start, rows, place
        self._lock = threading.Lock()
        self._target: Target | None = None
        self._left = place.stop - place.start
        self._x = np.empty((self._left, chosen.landscape.n))
        self._decrement = np.empty(self._left)

    def _ready(self) -> Target:
        with self._lock:
            if self._target is None:
                chosen = self._settings
                draw = self._only or chosen.landscape.draw(seed=chosen.seed, draw=self._number)
                self._target = Target.of(chosen, draw)
            return self._target

    def run(self, block: slice) -> None:
        """Search one block of starts."""
        target = self._ready()
        outcome = target.search(self._first_start + block.start, block.stop - block.start)
        begin = self._place.start
        self._rows.store(slice(begin + block.start, begin + block.stop), outcome)
        self._x[block], self._decrement[block] = outcome.x, outcome.decrement
        with self._lock:
            self._left -= block.stop - block.start
            last = self._left == 0
        if last:
            self._finish(target)

    def _finish(self, target: Target) -> None:
        rows, place = self._rows, self._place
        critical = rows.status[place] == CRITICAL
        index, cost = rows.index[place][critical], rows.cost[place][critical]
        x, decrement = target.canonical(self._x[critical]), self._decrement[critical]
        table = PointTable(self._settings.landscape, self._settings.options.decrement_tolerance, target.cost_unit)
        labels = table.absorb(x, index, cost, decrement)
        rows.point[place] = -1
        rows.point[place][critical] = labels
        proof = certify(target, table.x, table.index)
        rows.certified[place][critical] = proof.covers(x, labels)
        if rows.eigenvalues is not None:
            self._store_spectra(target, table, labels, critical, rows.eigenvalues)
        self._target, self._x, self._decrement = None, np.empty((0, 0)), np.empty(0)

    def _store_spectra(
        self, target: Target, table: PointTable, labels: NDArray, critical: NDArray, eigenvalues: list[Any]
    ) -> None:
        at_points = spectra(target, table.x)
        begin = self._place.start
        for row, label in zip(np.flatnonzero(critical), labels, strict=True):
            eigenvalues[begin + row] = at_points[label]
        degenerate = np.flatnonzero(self._rows.status[self._place] == STATUSES.index("degenerate"))
        for row, values in zip(degenerate, spectra(target, self._x[degenerate]), strict=True):
            eigenvalues[begin + row] = values


def _work_through(jobs: list[_DrawJob], starts: int, threads: int, least: int) -> None:
    """Let threads take (draw, block of starts) items in order until none is left."""
    # Several draws are in flight at once, so a draw is cut only when there are fewer draws than would keep all busy.
    pieces = 1 if len(jobs) >= 4 * threads or threads == 1 else 4 * threads
    items = iter([(job, block) for job in jobs for block in blocks(starts, pieces, least)])
    lock = threading.Lock()

    def take_all(_: int) -> None:
        for job, block in _shared(items, lock):
            job.run(block)

    with Workers(threads) as workers:
        try:
            workers.map(take_all, range(threads))
        except BaseException:  # an error in one thread, or Ctrl-C: the others stop after the item in hand
            for _ in _shared(items, lock):
                pass
            raise


def _shared(items: Iterator[Any], lock: threading.Lock) -> Iterator[Any]:
    """Iterate over what other threads have not taken."""
    end = object()
    while True:
        with lock:
            item = next(items, end)
        if item is end:
            return
        yield item
