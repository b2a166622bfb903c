"""Distinct points: which ends of searches are the same critical point.

A search ends within its Newton decrement delta of a critical point, to first order. Two ends are one point when their
index and cost agree and their distance is at most

    t(a, b) = MARGIN (delta_a + delta_b) + FLOOR * length,

length being the landscape's correlation length. The floor lies far above rounding and far below the distance of two
points that a certificate can tell apart. An end is compared with *representatives* only, each the first end that
reached its point, and joins the nearest; so later ends never change earlier answers.

Representatives hang in a hash table over the cells of one generic projection phi(x). phi is 1-Lipschitz in the domain's
distance, and a cell is as wide as the largest possible t, so that all candidates lie in three neighbouring cells: a
look-up takes constant time. Hashing a projection, unlike the cost, keeps symmetric copies of a point apart.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcore.compilation import jit
from simcore.domains import short_way as short_way_of
from simcore.landscapes.base import Landscape

Array = NDArray[np.float64]

MARGIN = 4.0
FLOOR = 1e-7
COST_TOLERANCE = 1e-8
"""Largest difference of cost within a point, relative to |cost| + the cost unit."""

short_way = jit(short_way_of, inline=True)


@jit
def _projection(x, row, weights, period):
    """phi of one row: a weighted sum of coordinates, or on a torus of sines; 1-Lipschitz as the weights have norm 1."""
    total = 0.0
    if period > 0.0:
        turn = 2.0 * math.pi / period
        for i in range(weights.size):
            total += weights[i] * math.sin(turn * x[row, i] + 0.7 * (i + 1)) / turn
    else:
        for i in range(weights.size):
            total += weights[i] * x[row, i]
    return total


@jit
def _distance(x, row, known_x, j, period):
    """Euclidean distance of two rows, each coordinate the short way round on a torus."""
    total = 0.0
    for i in range(x.shape[1]):
        gap = short_way(x[row, i] - known_x[j, i], period)
        total += gap * gap
    return math.sqrt(total)


@jit
def _bucket(cell, buckets):
    """Hash of a cell number, Fibonacci hashing; buckets is a power of two."""
    mixed = np.uint64(cell) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mixed >> np.uint64(20)) & np.uint64(buckets - 1))


class Known(NamedTuple):
    """The representatives, in arrays with room for more, and the hash table over their cells."""

    x: Array  # (capacity, n)
    negative: NDArray[np.int64]  # the index
    cost: Array
    decrement: Array
    cell: NDArray[np.int64]
    following: NDArray[np.int64]  # the next representative of the same bucket, -1 at the end
    heads: NDArray[np.int64]  # the first representative of each bucket, -1 for none


@jit
def _nearest(x, row, index, cost, decrement, cell, known, limits):
    """Number of the nearest representative that a row of x belongs to, -1 where it is new."""
    period, length, cost_unit = limits[1], limits[2], limits[3]
    best, best_distance = -1, math.inf
    for side in range(-1, 2):
        j = known.heads[_bucket(cell + side, known.heads.size)]
        while j >= 0:
            if known.cell[j] == cell + side and known.negative[j] == index:
                window = COST_TOLERANCE * (abs(cost) + cost_unit)
                if abs(known.cost[j] - cost) <= window:
                    distance = _distance(x, row, known.x, j, period)
                    reach = MARGIN * (decrement + known.decrement[j]) + FLOOR * length
                    if distance <= reach and (distance < best_distance or (distance == best_distance and j < best)):
                        best, best_distance = j, distance
            j = known.following[j]
    return best


@jit
def absorb_rows(x, index, cost, decrement, first, insert, labels, count, known, weights, limits):
    """Label rows first, first + 1, ... until the table is full; return (rows done, representatives)."""
    for i in range(first, x.shape[0]):
        cell = np.int64(math.floor(_projection(x, i, weights, limits[1]) / limits[0]))
        found = _nearest(x, i, index[i], cost[i], decrement[i], cell, known, limits)
        if found < 0 and insert:
            if count == known.cost.size:
                return i, count
            for k in range(x.shape[1]):
                known.x[count, k] = x[i, k]
            known.negative[count] = index[i]
            known.cost[count] = cost[i]
            known.decrement[count] = decrement[i]
            known.cell[count] = cell
            bucket = _bucket(cell, known.heads.size)
            known.following[count] = known.heads[bucket]
            known.heads[bucket] = count
            found = count
            count += 1
        labels[i] = found
    return x.shape[0], count


@jit
def rehash(count, cells, heads, following):
    """Hang the first ``count`` representatives into fresh buckets, in their order."""
    for b in range(heads.size):
        heads[b] = -1
    for j in range(count):
        bucket = _bucket(cells[j], heads.size)
        following[j] = heads[bucket]
        heads[bucket] = j


class PointTable:
    """The distinct points of one draw found so far, numbered from 0 in the order in which they came.

    Parameters
    ----------
    landscape : Landscape
        Gives the dimension, the period and the scales.
    decrement_limit : float
        Largest Newton decrement of an accepted end, a length in x (``NewtonOptions.decrement_tolerance``).
    cost_unit : float, optional
        Size of a typical difference of costs; default gradient scale times correlation length.
    """

    def __init__(self, landscape: Landscape, decrement_limit: float, cost_unit: float | None = None) -> None:
        length = landscape.scales.length
        width = 1.01 * (2 * MARGIN * decrement_limit + FLOOR * length)
        cost_unit = landscape.scales.gradient * length if cost_unit is None else cost_unit
        self.count = 0
        self._limits = np.array([width, landscape.domain.period, length, cost_unit])
        # Any fixed direction will do; square roots keep it clear of lattice symmetries.
        weights = np.sqrt(1.0 + np.arange(landscape.n)) - 0.6
        self._weights = weights / np.linalg.norm(weights)
        self._known = _room(256, landscape.n)

    @property
    def x(self) -> Array:
        """Positions of the representatives, (count, n)."""
        return self._known.x[: self.count]

    @property
    def cost(self) -> Array:
        """Costs of the representatives, (count,)."""
        return self._known.cost[: self.count]

    @property
    def index(self) -> NDArray[np.int64]:
        """Indices of the representatives, (count,)."""
        return self._known.negative[: self.count]

    def absorb(
        self, x: Array, index: NDArray, cost: Array, decrement: Array, *, insert: bool = True
    ) -> NDArray[np.int64]:
        """Return the number of the point that each row belongs to, adding points that are new.

        ``x`` has shape (rows, n), finite; the rest shape (rows,). With ``insert=False`` the table stays as it is and
        a row that belongs to no point gets -1.
        """
        x = np.ascontiguousarray(x, np.float64)
        index = np.ascontiguousarray(index, np.int64)
        cost = np.ascontiguousarray(cost, np.float64)
        decrement = np.ascontiguousarray(decrement, np.float64)
        labels = np.empty(len(x), np.int64)
        done = 0
        while True:
            done, self.count = absorb_rows(
                x, index, cost, decrement, done, insert, labels, self.count, self._known, self._weights, self._limits
            )
            if done == len(x):
                return labels
            self._grow()

    def _grow(self) -> None:
        old, self._known = self._known, _room(4 * len(self._known.cost), self._known.x.shape[1])
        for name in ("x", "negative", "cost", "decrement", "cell"):
            getattr(self._known, name)[: self.count] = getattr(old, name)[: self.count]
        rehash(self.count, self._known.cell, self._known.heads, self._known.following)


def _room(capacity: int, n: int) -> Known:
    """Return an empty table; the capacity is a power of two."""
    index, cell, following = (np.empty(capacity, np.int64) for _ in range(3))
    heads = np.full(2 * capacity, -1, np.int64)
    return Known(np.empty((capacity, n)), index, np.empty(capacity), np.empty(capacity), cell, following, heads)
