"""The distinct points of one draw as an enumeration collects them, with their hits and orbits under symmetry."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Outcome
from simcore.formulas.outcome import CRITICAL, DEGENERATE, STATUSES
from simcore.search.distinct import COST_TOLERANCE, FLOOR, MARGIN, PointTable
from simcore.search.target import Target, Workers

Array = NDArray[np.float64]

NEVER = np.iinfo(np.int64).max


class Points:
    """All points found so far, numbered in the order of discovery.

    Attributes
    ----------
    hits : (K,) int64, plain ordinary starts that ended at the point.
    reached : (K,) int64, those and the ordinary starts that descended first.
    arrivals : (K,) int64, arcs of short walks that ended at the point.
    first : (K,) int64, the first plain one; ``NEVER`` without one.
    orbit : (K,) int64, the lowest number among the point's images under the draw's symmetries.
    statuses : (6,) int64, how plain ordinary starts ended, in the order of ``STATUSES``.
    degenerate : int, ordinary starts of either kind that ended at a degenerate point.
    broken : int, images that the function did not confirm; above 0 a stated symmetry is wrong.
    """

    def __init__(self, target: Target, workers: Workers) -> None:
        chosen = target.search
        self._target, self._workers = target, workers
        self.table = PointTable(chosen.landscape, chosen.options.decrement_tolerance, target.cost_unit)
        self.hits = np.empty(0, np.int64)
        self.reached = np.empty(0, np.int64)
        self.arrivals = np.empty(0, np.int64)
        self.first = np.empty(0, np.int64)
        self.orbit = np.empty(0, np.int64)
        self.statuses = np.zeros(len(STATUSES), np.int64)
        self.broken = 0
        self.degenerate = 0

    def __len__(self) -> int:
        return self.table.count

    def add_ordinary(self, outcome: Outcome, first: int, *, plain: bool = True) -> None:
        """Count the ends of ordinary starts ``first``, ``first + 1``, ..., ``plain`` ones or such that descended."""
        statuses = np.bincount(outcome.status, minlength=len(STATUSES))
        self.degenerate += int(statuses[DEGENERATE])
        rows = np.flatnonzero(outcome.status == CRITICAL)
        labels = self._absorb(outcome, rows)
        times = np.bincount(labels, minlength=len(self))
        self.reached += times
        if not plain:
            return
        self.statuses += statuses
        self.hits += times
        earliest = np.full(len(self), NEVER)
        earliest[labels[::-1]] = first + rows[::-1]  # of several starts the earliest is written last
        self.first = np.minimum(self.first, earliest)

    def add_targeted(self, outcome: Outcome) -> None:
        """Add the ends of searches that are no ordinary starts: they bring points, but no hits."""
        self._absorb(outcome, np.flatnonzero(outcome.status == CRITICAL))

    def add_walked(self, outcome: Outcome) -> None:
        """Add where a walk's arcs ended, and count it."""
        labels = self._absorb(outcome, np.flatnonzero(outcome.status == CRITICAL))
        self.arrivals += np.bincount(labels, minlength=len(self))

    def forget_hits(self) -> None:
        """Leave the ordinary starts out of account."""
        for counts in (self.hits, self.reached, self.statuses):
            counts[:] = 0
        self.first[:] = NEVER

    def add_known(self, x: Array, index: NDArray, cost: Array, orbit: NDArray) -> bool:
        """Add points (K, n) known with all their images, ``orbit`` the lowest row of each one's; return whether they
        are K different ones to this table too."""
        self.table.absorb(x, index, cost, np.zeros(len(x)))
        self._extend()
        if len(self) == len(x):
            self.orbit = np.asarray(orbit, np.int64)
        return len(self) == len(x)

    def _absorb(self, outcome: Outcome, rows: NDArray) -> NDArray[np.int64]:
        before = len(self)
        labels = self.table.absorb(outcome.x[rows], outcome.index[rows], outcome.cost[rows], outcome.decrement[rows])
        self._extend()
        if len(self) > before:
            self._add_images(np.arange(before, len(self)))
        return labels

    def _extend(self) -> None:
        new = np.arange(len(self.hits), len(self))
        self.hits = np.concatenate([self.hits, np.zeros(len(new), np.int64)])
        self.reached = np.concatenate([self.reached, np.zeros(len(new), np.int64)])
        self.arrivals = np.concatenate([self.arrivals, np.zeros(len(new), np.int64)])
        self.first = np.concatenate([self.first, np.full(len(new), NEVER)])
        self.orbit = np.concatenate([self.orbit, new])

    def _add_images(self, new: NDArray) -> None:
        """Add the images of new points, each checked by a search from it: it must end there, with the index due."""
        orbits = [new]
        for symmetry in self._target.draw.symmetries:
            x, index, cost = self.table.x[new], self.table.index[new], self.table.cost[new]
            image = np.ascontiguousarray(symmetry.apply(x))
            due = index if symmetry.sign > 0 else self._target.search.landscape.dimension - index
            outcome = self._workers.outcomes(partial(self._search, image), len(image), self._target.search.block)
            there = self._same(outcome, image, due, symmetry.sign * cost)
            self.broken += int((~there).sum())
            labels = new.copy()
            labels[there] = self.table.absorb(
                outcome.x[there], due[there], outcome.cost[there], outcome.decrement[there]
            )
            self._extend()
            orbits.append(labels)
        members = np.column_stack(orbits)
        lowest = members.min(axis=1)
        for column in members.T:
            self.orbit[column] = np.minimum(self.orbit[column], lowest)

    def _search(self, x: Array, rows: slice) -> Outcome:
        return self._target.newton(x[rows])

    def _same(self, outcome: Outcome, image: Array, index: NDArray, cost: Array) -> NDArray[np.bool_]:
        landscape = self._target.search.landscape
        scales = landscape.scales
        reach = (2 * MARGIN * self._target.search.options.decrement_tolerance) + FLOOR * scales.length
        near = landscape.domain.distance(outcome.x, image) <= reach
        level = np.abs(outcome.cost - cost) <= COST_TOLERANCE * (np.abs(cost) + self._target.cost_unit)
        return (outcome.status == CRITICAL) & near & level & (outcome.index == index)
