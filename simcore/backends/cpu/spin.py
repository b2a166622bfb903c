"""Homogeneous polynomials on the sphere |x|^2 = n, on a tile of 24 starts, any degree p >= 2.

The Hessian of f = sum c_a x^a is linear in the monomials of degree p - 2: one register product of a constant matrix
(rows: pairs i >= j; columns: monomials) with the tile of monomials gives it. Then H x = (p-1) grad f and x.grad f = p
f.

Tangent coordinates and moves are those of ``sphere.py``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simcore.backends.cpu.dispatch import register
from simcore.backends.cpu.products import set_4_rows, set_8_rows
from simcore.backends.cpu.sphere import SCRATCH, advance, multiply, tangent
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import load, store, zeros
from simcore.backends.problems import Spin
from simcore.compilation import jit
from simcore.formulas.intrinsics import fma

T = LANES


class Tables(NamedTuple):
    """The coefficients laid out for the product."""

    monomials: int  # C(n+p-3, p-2)
    level: np.ndarray  # where the monomials of each degree 0 .. p-2 start
    parent: np.ndarray  # monomial of one degree less ...
    variable: np.ndarray  # ... and the variable that it is multiplied by
    table: np.ndarray  # [K/8][monomials][8]
    powers: np.ndarray  # [monomials of all degrees][24]


class SpinTile(NamedTuple):
    """An evaluated tile."""

    n: int
    p: int
    memory: np.ndarray  # hx [n][8], u [n][8], q [n][8], then the Euclidean Hessian [K padded][24]


@jit
def _multisets(n, size):
    """C(n+size-1, size)."""
    count = 1
    for k in range(size):
        count = count * (n + k) // (k + 1)
    return count


@jit
def _orders(n, size):
    """Table for ``_rank``: entry [k, v] is how many non-decreasing k-tuples of 0 .. n-1 begin below v."""
    orders = np.zeros((size + 1, n + 1), np.int64)
    for k in range(1, size + 1):
        for v in range(n):
            orders[k, v + 1] = orders[k, v] + _multisets(n - v, k - 1)
    return orders


@jit
def _rank(places, size, orders):
    """Place of a non-decreasing tuple among all of its size, in lexicographic order."""
    rank, lowest = 0, 0
    for t in range(size):
        rank += orders[size - t, places[t]] - orders[size - t, lowest]
        lowest = places[t]
    return rank


@jit
def _next(places, size, n):
    """Step a non-decreasing tuple to the next one in lexicographic order; False at the end."""
    t = size - 1
    while t >= 0 and places[t] == n - 1:
        t -= 1
    if t < 0:
        return False
    value = places[t] + 1
    for k in range(t, size):
        places[k] = value
    return True


@jit
def _hessian_table(problem, monomials):
    """Coefficients of H_ij over the monomials of degree p - 2, in panels of eight packed pairs.

    From the multiset a each pair i <= j in it gives the entry (ij, a minus {i, j}) = c_a a_i (a_j - [i = j]).
    """
    n, p = problem.n, problem.p
    pairs = n * (n + 1) // 2
    table = np.zeros((pairs + 7) // 8 * 8 * monomials)
    places = np.zeros(p, np.int64)
    rest = np.zeros(p, np.int64)
    orders = _orders(n, p)
    a = 0
    while True:
        for s in range(p):
            if s > 0 and places[s] == places[s - 1]:
                continue  # the pair's first element: one representative of each value
            for t in range(s + 1, p):
                if t > s + 1 and places[t] == places[t - 1]:
                    continue
                i, j = places[s], places[t]
                count_i = count_j = size = 0
                for r in range(p):
                    count_i += places[r] == i
                    count_j += places[r] == j
                    if r not in (s, t):
                        rest[size] = places[r]
                        size += 1
                factor = count_i * (count_i - 1) if i == j else count_i * count_j
                pair = j * (j + 1) // 2 + i
                b = _rank(rest, p - 2, orders)
                table[((pair >> 3) * monomials + b) * 8 + (pair & 7)] = factor * problem.coefficients[a]
        a += 1
        if not _next(places, p, n):
            return table


@jit
def prepare(problem):
    """Lay the coefficients out for the product and allocate scratch."""
    n, p = problem.n, problem.p
    degree = p - 2
    monomials = _multisets(n, degree)
    level = np.zeros(degree + 2, np.int64)
    for r in range(degree + 1):
        level[r + 1] = level[r] + _multisets(n, r)
    total = level[degree + 1] if degree > 1 else 1
    parent = np.zeros(total, np.int64)
    variable = np.zeros(total, np.int64)
    if degree > 1:
        places = np.zeros(degree, np.int64)
        orders = _orders(n, degree)
        for r in range(1, degree + 1):
            places[:] = 0
            k = level[r]
            while True:
                parent[k] = level[r - 1] + _rank(places, r - 1, orders)
                variable[k] = places[r - 1]
                k += 1
                if not _next(places, r, n):
                    break
    rows = (n * (n + 1) // 2 + 7) // 8 * 8
    table = _hessian_table(problem, monomials)
    tables = Tables(monomials, level, parent, variable, table, np.ones(total * T))
    return tables, SpinTile(n, p, np.empty(SCRATCH * n + rows * T))


@jit
def evaluate(tables, tile, X):
    """Fill the Euclidean Hessian of the tile."""
    degree, monomials = tile.p - 2, tables.monomials
    pairs = tile.n * (tile.n + 1) // 2
    factor, first = tables.powers, 0
    base = SCRATCH * tile.n
    if degree == 1:
        factor = X
    elif degree > 1:
        first = tables.level[degree] * T
        for k in range(1, tables.level[degree + 1]):
            for s in range(0, T, 8):
                product = load(tables.powers, tables.parent[k] * T + s) * load(X, tables.variable[k] * T + s)
                store(tables.powers, k * T + s, product)
    for k in range(0, pairs, 8):
        offset = (k >> 3) * monomials * 8
        if pairs - k > 4:
            set_8_rows(tables.table, offset, 8, factor, first, T, monomials, tile.memory, base + k * T, T)
        else:
            set_4_rows(tables.table, offset, 8, factor, first, T, monomials, tile.memory, base + k * T, T)


@jit
def system(tile, X, s, A, g):
    """Tangent Hessian (n-1)(n-2)/2 + n - 1 entries and gradient of eight lanes; return the value."""
    n = tile.n
    memory = tile.memory
    hx, base = 0, SCRATCH * n + s
    multiply(n, X, s, memory, hx, base)
    radial = zeros()
    for i in range(n):
        radial = fma(load(memory, hx + i * 8), load(X, i * T + s), radial)
    inverse_degree = 1.0 / (tile.p - 1.0)
    mu = radial * (inverse_degree / n)

    tangent(n, X, s, memory, base, 0, 8, inverse_degree, mu, A, g)
    return radial * (inverse_degree / tile.p)


register(Spin, SpinTile, prepare=prepare, evaluate=evaluate, system=system, advance=advance)
