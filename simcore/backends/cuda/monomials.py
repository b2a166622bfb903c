"""Where the coefficients of a homogeneous polynomial stand in the table of its Hessian, and how to build its monomials.

Multisets of variables are non-decreasing tuples in lexicographic order; M(n, r) = C(n+r-1, r) is how many there are.
All arrays depend on (n, p) alone and are made once.
"""

from __future__ import annotations

import functools
import math
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

PANEL = 8
"""Rows of the table (packed pairs i >= j) that stand side by side."""


class HessianTable(NamedTuple):
    """table.flat[position] = factor * coefficients[source]; all three of one length, no position twice."""

    position: Integers
    source: Integers
    factor: NDArray[np.float64]
    length: int


class Tree(NamedTuple):
    """Monomials of degrees 0 .. degree: number k is monomial ``parent[k]`` times variable ``variable[k]``."""

    level: Integers  # where each degree starts; the last entry is the total
    parent: Integers
    variable: Integers


def multisets(n: int, size: int) -> Integers:
    """Return all multisets of a size, shape (M(n, size), size)."""
    flat = [place for places in combinations_with_replacement(range(n), size) for place in places]
    return np.array(flat, np.int64).reshape(math.comb(n + size - 1, size), size)


def rank(places: Integers, n: int) -> Integers:
    """Return the place of each row among all multisets of its size.

    Before (a_1, a_2, ...) stand, for each t, the tuples that agree up to t - 1 and have a smaller entry there:
    sum over v from a_(t-1) to a_t - 1 of M(n - v, size - t) = M(n - a_(t-1), size - t + 1) - M(n - a_t, size - t + 1).
    """
    size = places.shape[1]
    result = np.zeros(len(places), np.int64)
    lowest = np.zeros(len(places), np.int64)
    for t in range(size):
        left = size - t
        count = np.array([math.comb(k + left - 1, left) for k in range(n + 1)], np.int64)
        result += count[n - lowest] - count[n - places[:, t]]
        lowest = places[:, t]
    return result


@functools.lru_cache(maxsize=8)
def hessian_table(n: int, p: int) -> HessianTable:
    """Return how H_ij, over the monomials of degree p - 2, comes from the coefficients c_a of the multisets a.

    Each pair i <= j in a gives the entry (ij, a without i and j) = c_a a_i (a_j - [i = j]), a_i the multiplicity of i.
    """
    places = multisets(n, p)
    width = math.comb(n + p - 3, p - 2)
    parts: list[tuple[Integers, Integers, Integers]] = []
    for s in range(p):
        for t in range(s + 1, p):
            i, j = places[:, s], places[:, t]
            # one representative of each pair of values: the first place of i, and the first of j after it
            kept = np.ones(len(places), np.bool_)
            if s > 0:
                kept &= places[:, s - 1] != i
            if t > s + 1:
                kept &= places[:, t - 1] != j
            chosen = np.flatnonzero(kept)
            i, j = i[chosen], j[chosen]
            rest = np.delete(places[chosen], (s, t), axis=1)
            many_i = (places[chosen] == i[:, np.newaxis]).sum(axis=1)
            many_j = (places[chosen] == j[:, np.newaxis]).sum(axis=1)
            pair = j * (j + 1) // 2 + i
            position = (pair // PANEL * width + rank(rest, n)) * PANEL + pair % PANEL
            parts.append((position, chosen, many_i * (many_j - (i == j))))
    position, source, factor = (np.concatenate(column) for column in zip(*parts, strict=True))
    rows = -(-n * (n + 1) // 2 // PANEL) * PANEL
    return HessianTable(position, source, factor.astype(np.float64), rows * width)


@functools.lru_cache(maxsize=8)
def tree(n: int, degree: int) -> Tree:
    """Return the monomials of all degrees up to ``degree``, each built from one of the degree below."""
    level = np.zeros(degree + 2, np.int64)
    parents, variables = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)]
    level[1] = 1
    for r in range(1, degree + 1):
        places = multisets(n, r)
        parents.append(level[r - 1] + rank(places[:, :-1], n))
        variables.append(places[:, -1])
        level[r + 1] = level[r] + len(places)
    return Tree(level, np.concatenate(parents), np.concatenate(variables))
