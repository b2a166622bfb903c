"""What the walkers of one count have done so far: classes of every move, minima met, outcomes of arcs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.arcs.chains import Moves
from simcore.arcs.rule import ARRIVED, ESCAPED, IRREVERSIBLE, OUTCOMES
from simcore.backends.problems import Outcome
from simcore.counts.estimator import Classes
from simcore.search.distinct import PointTable
from simcore.search.target import Target

Array = NDArray[np.float64]

BURN_IN = 16
"""The first sixteenth of every walker's moves is left out of the tallies."""


class Minima:
    """The distinct minima of one function met so far; the first ``known`` of them are the frozen set A.

    Where f(-x) = -f(x) for a symmetry of the draw, the mirror image of a maximum is a minimum and counts as met.
    """

    def __init__(self, target: Target, known: Outcome | None) -> None:
        self.mirror = next((s for s in target.draw.symmetries if s.sign < 0), None)
        self._top = target.search.landscape.dimension
        self._target = target
        self.table = PointTable(target.search.landscape, target.search.options.decrement_tolerance, target.cost_unit)
        if known is not None and len(known.x):
            self._absorb(known.x, known.cost)
        self.known = self.table.count

    def classes(self, dimension: int) -> Classes:
        """Return the classes in which moves are sorted."""
        return Classes(dimension, self.known, self.mirror is not None)

    def labels(self, x: Array, index: NDArray, cost: Array) -> NDArray[np.int64]:
        """Return the minimum's number of every row that is a minimum, or the mirror image of one; -1 of others."""
        labels = np.full(len(x), -1, np.int64)
        low = np.flatnonzero(index == 0)
        if len(low):
            labels[low] = self._absorb(x[low], cost[low])
        high = np.flatnonzero(index == self._top) if self.mirror is not None and self._top > 0 else low[:0]
        if self.mirror is not None and len(high):
            labels[high] = self._absorb(self.mirror.apply(x[high]), -cost[high])
        return labels

    def _absorb(self, x: Array, cost: Array) -> NDArray[np.int64]:
        # One representative of each symmetric copy is not taken: the walk is uniform over points, copies included.
        return self.table.absorb(x, np.zeros(len(x), np.int64), cost, np.zeros(len(x)))


class Record:
    """The moves of W units, each one walker or several of one draw pooled, sorted into classes."""

    def __init__(self, units: NDArray[np.int64], index: NDArray[np.int64], classes: Classes, label: NDArray) -> None:
        self.classes = classes
        self.units = units  # (walkers,): the independent unit that a walker belongs to
        self._at = self._class(index, label)
        self._label = label
        self.before: list[NDArray[np.int16]] = []
        self.proposed: list[NDArray[np.int16]] = []
        self.visited: list[NDArray[np.int32]] = []  # label of the state after each move, -1 for no minimum
        self.outcomes = np.zeros(len(OUTCOMES), np.int64)
        self.cost_sum = np.zeros(classes.dimension + 1)
        self.cost_number = np.zeros(classes.dimension + 1)
        self.distinct_moves = 0  # moves that led to another point
        self.moves = 0

    def _class(self, index: NDArray, label: NDArray) -> NDArray[np.int16]:
        known = (label >= 0) & (label < self.classes.known)
        top = self.classes.dimension
        special = np.where(index == 0, top + 1, top + 2)
        return np.where(known, special, index).astype(np.int16)

    def add(self, moves: Moves, labels: NDArray[np.int64]) -> None:
        """Add moves (walkers, M) with the labels (walkers, M) of the minima that they proposed."""
        arrived = moves.status == ARRIVED
        proposed = self._class(moves.index, labels)
        before = np.empty_like(proposed)
        visited = np.empty(proposed.shape, np.int32)
        at, label = self._at, self._label
        for m in range(proposed.shape[1]):
            before[:, m] = at
            proposed[:, m] = np.where(arrived[:, m], proposed[:, m], at)
            at = np.where(moves.accepted[:, m], proposed[:, m], at)
            label = np.where(moves.accepted[:, m], labels[:, m], label)
            visited[:, m] = label
        self._at, self._label = at, label
        self.before.append(before)
        self.proposed.append(proposed)
        self.visited.append(visited)
        self.outcomes += np.bincount(moves.status.ravel(), minlength=len(OUTCOMES))
        self.moves += proposed.shape[1]
        self.distinct_moves += int(moves.accepted.sum())
        size = len(self.cost_sum)
        self.cost_sum += np.bincount(moves.index[arrived], weights=moves.cost[arrived], minlength=size)
        self.cost_number += np.bincount(moves.index[arrived], minlength=size)

    def history(self) -> NDArray[np.int64]:
        """Return the index before each move, (walkers, M)."""
        top = self.classes.dimension
        before = np.concatenate(self.before, axis=1).astype(np.int64)
        return np.where(before == top + 1, 0, np.where(before == top + 2, top, before))

    def tallies(self) -> Array:
        """Return the proposals between classes of every unit after the burn-in, shape (units, K, K)."""
        before, proposed = np.concatenate(self.before, axis=1), np.concatenate(self.proposed, axis=1)
        count, skip = self.classes.number, before.shape[1] // BURN_IN
        cell = before[:, skip:].astype(np.int64) * count + proposed[:, skip:]
        tallies = np.zeros((int(self.units.max()) + 1, count * count))
        for walker, unit in enumerate(self.units):
            tallies[unit] += np.bincount(cell[walker], minlength=count * count)
        return tallies.reshape(-1, count, count)

    def visits(self) -> NDArray[np.int32]:
        """Return the label of the minimum at which each walker was after each move, -1 for none, (walkers, M)."""
        return np.concatenate(self.visited, axis=1)

    def summary(self) -> dict[str, Any]:
        """Return the shares of arcs that ended badly."""
        total = max(1, int(self.outcomes.sum()))
        return {
            "irreversible": float(self.outcomes[IRREVERSIBLE]) / total,
            "escaped": float(self.outcomes[ESCAPED]) / total,
            "failed": float(total - self.outcomes[[ARRIVED, ESCAPED, IRREVERSIBLE]].sum()) / total,
        }
