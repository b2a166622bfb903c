"""Homogeneous polynomials on the sphere |x|^2 = n, on a tile of 24 starts, any degree p >= 2.

The Hessian of f = sum c_a x^a is linear in the monomials of degree p - 2: one register product of a constant matrix
(rows: pairs i >= j; columns: monomials) with the tile of monomials gives it. Then H x = (p-1) grad f and x.grad f = p
f.

Tangent coordinates: the Householder reflection Q = I - b u u', u = x/sqrt(n) + s e_n, s = sign(x_n), b = 2/(u'u), takes
x to a multiple of e_n. With A = H - mu I, mu = x.grad f / n, the first n - 1 rows and columns of QAQ are the
Riemannian Hessian in an orthonormal basis, whatever p and mu (the bordered or unprojected A is singular for p = 2 or
mu = 0). Since A x is known and A e_n is a column, QAQ = A - u q' - q u' costs one update of rank two:
q = b A u - (b^2/2) (u'Au) u,  A u = A x/sqrt(n) + s A e_n.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simcore.backends.cpu.dispatch import register
from simcore.backends.cpu.products import set_4_rows, set_8_rows
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import load, store, zeros
from simcore.backends.problems import Spin
from simcore.compilation import jit
from simcore.formulas.intrinsics import absolute, fma, select, sqrt

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
    return tables, SpinTile(n, p, np.empty(3 * n * 8 + rows * T))


@jit
def evaluate(tables, tile, X):
    """Fill the Euclidean Hessian of the tile."""
    degree, monomials = tile.p - 2, tables.monomials
    pairs = tile.n * (tile.n + 1) // 2
    factor, first = tables.powers, 0
    base = 3 * tile.n * 8
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
def _reflection(n, X, s, memory):
    """Store u of the reflection for eight lanes; return s = sign(x_n) and b = 1/(1 + |x_n|/sqrt(n))."""
    u = n * 8
    unit = 1.0 / np.sqrt(float(n))
    for i in range(n):
        store(memory, u + i * 8, load(X, i * T + s) * unit)
    last = load(memory, u + (n - 1) * 8)
    one = zeros() + 1.0
    sign = select(last < 0.0, -one, one)
    store(memory, u + (n - 1) * 8, last + sign)
    return sign, 1.0 / (absolute(last) + 1.0)


@jit
def _multiply(n, X, s, memory, hx, base):
    """hx = H x for eight lanes of the Hessian at ``base``: four rows at a time, the rest one by one."""
    i = 0
    while i < n:
        at = i * T + s
        r0 = base + (i * (i + 1) // 2) * T
        x0, s0 = load(X, at), zeros()
        if i + 4 > n:
            for j in range(i):
                h = load(memory, r0 + j * T)
                s0 = fma(h, load(X, j * T + s), s0)
                store(memory, hx + j * 8, fma(h, x0, load(memory, hx + j * 8)))
            store(memory, hx + i * 8, fma(load(memory, r0 + i * T), x0, s0))
            i += 1
            continue
        r1 = r0 + (i + 1) * T
        r2 = r1 + (i + 2) * T
        r3 = r2 + (i + 3) * T
        x1, x2, x3 = load(X, at + T), load(X, at + 2 * T), load(X, at + 3 * T)
        s1, s2, s3 = zeros(), zeros(), zeros()
        for j in range(i):
            x = load(X, j * T + s)
            k = j * T
            h0, h1, h2, h3 = load(memory, r0 + k), load(memory, r1 + k), load(memory, r2 + k), load(memory, r3 + k)
            s0, s1, s2, s3 = fma(h0, x, s0), fma(h1, x, s1), fma(h2, x, s2), fma(h3, x, s3)
            column = fma(h1, x1, fma(h0, x0, load(memory, hx + j * 8)))
            store(memory, hx + j * 8, fma(h3, x3, fma(h2, x2, column)))
        k = i * T
        s0 = fma(load(memory, r0 + k), x0, s0)
        h = load(memory, r1 + k)
        s0, s1 = fma(h, x1, s0), fma(h, x0, s1)
        s1 = fma(load(memory, r1 + k + T), x1, s1)
        h = load(memory, r2 + k)
        s0, s2 = fma(h, x2, s0), fma(h, x0, s2)
        h = load(memory, r2 + k + T)
        s1, s2 = fma(h, x2, s1), fma(h, x1, s2)
        s2 = fma(load(memory, r2 + k + 2 * T), x2, s2)
        h = load(memory, r3 + k)
        s0, s3 = fma(h, x3, s0), fma(h, x0, s3)
        h = load(memory, r3 + k + T)
        s1, s3 = fma(h, x3, s1), fma(h, x1, s3)
        h = load(memory, r3 + k + 2 * T)
        s2, s3 = fma(h, x3, s2), fma(h, x2, s3)
        s3 = fma(load(memory, r3 + k + 3 * T), x3, s3)
        store(memory, hx + i * 8, s0)
        store(memory, hx + i * 8 + 8, s1)
        store(memory, hx + i * 8 + 16, s2)
        store(memory, hx + i * 8 + 24, s3)
        i += 4


@jit
def _tangent_rows(size, s, memory, u, q, base, mu, A):
    """A <- H - mu I - u q' - q u' for eight lanes of the first ``size`` rows, two rows at a time."""
    for i in range(0, size, 2):
        r0, k0 = base + (i * (i + 1) // 2) * T, (i * (i + 1) // 2) * 8
        r1, k1 = r0 + (i + 1) * T, k0 + (i + 1) * 8
        u0, q0 = -load(memory, u + i * 8), -load(memory, q + i * 8)
        end = fma(u0 + u0, load(memory, q + i * 8), load(memory, r0 + i * T) - mu)
        if i + 1 == size:
            for j in range(i):
                uj, qj = load(memory, u + j * 8), load(memory, q + j * 8)
                store(A, k0 + j * 8, fma(u0, qj, fma(q0, uj, load(memory, r0 + j * T))))
            store(A, k0 + i * 8, end)
            return
        u1, q1 = -load(memory, u + i * 8 + 8), -load(memory, q + i * 8 + 8)
        for j in range(i):
            uj, qj = load(memory, u + j * 8), load(memory, q + j * 8)
            store(A, k0 + j * 8, fma(u0, qj, fma(q0, uj, load(memory, r0 + j * T))))
            store(A, k1 + j * 8, fma(u1, qj, fma(q1, uj, load(memory, r1 + j * T))))
        store(A, k0 + i * 8, end)
        store(A, k1 + i * 8, fma(-u1, q0, fma(-q1, u0, load(memory, r1 + i * T))))
        store(A, k1 + i * 8 + 8, fma(u1 + u1, -q1, load(memory, r1 + i * T + T) - mu))


@jit
def system(tile, X, s, A, g):
    """Tangent Hessian (n-1)(n-2)/2 + n - 1 entries and gradient of eight lanes; return the value."""
    n = tile.n
    memory = tile.memory
    hx, u, q, base = 0, n * 8, 2 * n * 8, 3 * n * 8 + s
    _multiply(n, X, s, memory, hx, base)
    radial = zeros()
    for i in range(n):
        radial = fma(load(memory, hx + i * 8), load(X, i * T + s), radial)
    inverse_degree = 1.0 / (tile.p - 1.0)
    mu = radial * (inverse_degree / n)

    sign, b = _reflection(n, X, s, memory)
    unit = 1.0 / np.sqrt(float(n))
    last_row = base + (n * (n - 1) // 2) * T
    overlap = zeros()
    for i in range(n):
        x = load(X, i * T + s)
        column = load(memory, last_row + i * T)
        if i == n - 1:
            column = column - mu
        ax = fma(-mu, x, load(memory, hx + i * 8)) * unit
        au = fma(sign, column, ax) * b
        store(memory, q + i * 8, au)
        overlap = fma(au, load(memory, u + i * 8), overlap)
    overlap = overlap * b * 0.5
    for i in range(n):
        store(memory, q + i * 8, fma(-overlap, load(memory, u + i * 8), load(memory, q + i * 8)))

    _tangent_rows(n - 1, s, memory, u, q, base, mu, A)
    end = (n - 1) * 8
    last = fma(-mu, load(X, (n - 1) * T + s), load(memory, hx + end) * inverse_degree)
    shift = b * sign * last  # b u.grad, since grad is orthogonal to x
    for i in range(n - 1):
        tangential = fma(-mu, load(X, i * T + s), load(memory, hx + i * 8) * inverse_degree)
        store(g, i * 8, fma(-shift, load(memory, u + i * 8), tangential))
    return radial * (inverse_degree / tile.p)


@jit
def advance(tile, X, s, d, t):
    """x <- sqrt(n) (x - t Qd) / |x - t Qd|."""
    n, memory = tile.n, tile.memory
    u = n * 8
    _, b = _reflection(n, X, s, memory)
    overlap = zeros()
    for i in range(n - 1):
        overlap = fma(load(memory, u + i * 8), load(d, i * 8), overlap)
    overlap = overlap * b
    square = zeros()
    for i in range(n):
        step = -overlap * load(memory, u + i * 8)
        if i < n - 1:
            step = step + load(d, i * 8)
        x = fma(-t, step, load(X, i * T + s))
        store(X, i * T + s, x)
        square = fma(x, x, square)
    scale = sqrt(float(n) / square)
    for i in range(n):
        store(X, i * T + s, load(X, i * T + s) * scale)


register(Spin, SpinTile, prepare=prepare, evaluate=evaluate, system=system, advance=advance)
