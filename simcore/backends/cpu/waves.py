"""Sums of waves on a tile of 24 starts: phases, sines, gradient and packed Hessian, all by the register product.

Symbols: w_m frequency, p_m = w_m . x; c_m = a_m cos p_m + b_m sin p_m; d_m = b_m cos p_m - a_m sin p_m.
f = sum c_m, grad f = sum d_m w_m, Hess f = -sum c_m w_m w_m'; a confinement mu adds mu |x|^2/2, mu x, mu I.

Two layouts of the Hessian product, chosen by ``prepare``:
- *table* (small n): the products -w_mi w_mj, packed by lower triangle, are stored once a call in panels of eight rows.
  The table is read once a tile, so it must stay in the second-level cache.
- *scaled* (large n): row i of the Hessian is W' (-w_i c): the tile c is scaled by -w_i, three multiplications a wave,
  and multiplied by the panels of W itself. Nothing grows with n^2 but the result.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simcore.backends.cpu.dispatch import register
from simcore.backends.cpu.products import add_4_rows, add_8_rows, set_8_rows
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import broadcast, load, store, zeros
from simcore.backends.problems import Waves
from simcore.compilation import jit
from simcore.formulas.elementary import sincos
from simcore.formulas.intrinsics import floor, fma

T = LANES
_CHUNK = 128  # waves at a time: the tile's c and d then fill half of the first-level cache
_TABLE_DIMENSION = 24  # largest n of the table layout, measured: above it the scaled layout is faster


class Work(NamedTuple):
    """Tables and scratch of one call."""

    n: int
    waves: int  # padded to a multiple of 8 with waves of zero amplitude
    table: bool
    row_start: np.ndarray  # row of H at which row i of the Hessian starts
    phases: np.ndarray  # [n][waves]
    panels: np.ndarray  # [n/8][waves][8]: W by panels of eight coordinates
    products: np.ndarray  # [K/8][waves][8]: -w_i w_j, table layout only
    cosine: np.ndarray
    sine: np.ndarray
    c: np.ndarray  # [chunk][24]
    d: np.ndarray
    scaled: np.ndarray
    value: np.ndarray  # [24]
    gradient: np.ndarray  # [n padded][24]
    hessian: np.ndarray  # [rows][24]


@jit
def prepare(problem):
    """Lay the coefficients out for the product and allocate scratch."""
    count, n = problem.frequencies.shape
    waves = (count + 7) // 8 * 8
    padded = (n + 7) // 8 * 8
    table = n <= _TABLE_DIMENSION
    row_start = np.empty(n + 1, np.int64)
    row_start[0] = 0
    for i in range(n):
        row_start[i + 1] = row_start[i] + (i + 1 if table else (i // 4 + 1) * 4)
    rows = (row_start[n] + 7) // 8 * 8

    phases = np.zeros(n * waves)
    panels = np.zeros(padded * waves)
    products = np.zeros(rows * waves if table else 1)
    cosine = np.zeros(waves)
    sine = np.zeros(waves)
    for m in range(count):
        cosine[m] = problem.cosine[m]
        sine[m] = problem.sine[m]
        for i in range(n):
            w = problem.frequencies[m, i]
            phases[i * waves + m] = w
            panels[((i >> 3) * waves + m) * 8 + (i & 7)] = w
            if table:
                for j in range(i + 1):
                    k = row_start[i] + j
                    products[((k >> 3) * waves + m) * 8 + (k & 7)] = -w * problem.frequencies[m, j]
    chunk = min(_CHUNK, waves)
    return Work(
        n,
        waves,
        table,
        row_start,
        phases,
        panels,
        products,
        cosine,
        sine,
        np.empty(chunk * T),
        np.empty(chunk * T),
        np.empty(chunk * T),
        np.empty(T),
        np.empty(padded * T),
        np.empty((rows + 8) * T),
    )


@jit
def _trigonometry(work, first, size):
    """Turn phases in c into c and d, and add c to the values."""
    c, d = work.c, work.d
    v0, v1, v2 = load(work.value, 0), load(work.value, 8), load(work.value, 16)
    for m in range(size):
        a = broadcast(work.cosine, first + m)
        b = broadcast(work.sine, first + m)
        at = m * T
        s0, c0 = sincos(load(c, at))
        s1, c1 = sincos(load(c, at + 8))
        s2, c2 = sincos(load(c, at + 16))
        w0, w1, w2 = fma(a, c0, b * s0), fma(a, c1, b * s1), fma(a, c2, b * s2)
        store(c, at, w0)
        store(c, at + 8, w1)
        store(c, at + 16, w2)
        store(d, at, fma(b, c0, -(a * s0)))
        store(d, at + 8, fma(b, c1, -(a * s1)))
        store(d, at + 16, fma(b, c2, -(a * s2)))
        v0, v1, v2 = v0 + w0, v1 + w1, v2 + w2
    store(work.value, 0, v0)
    store(work.value, 8, v1)
    store(work.value, 16, v2)


@jit
def _add_rows(a, offset, b, count, out, row, rows):
    """out[row : row + rows] += panel rows times tile, in blocks of eight and at last four rows."""
    if rows > 4:
        add_8_rows(a, offset, 8, b, 0, T, count, out, row * T, T)
    else:
        add_4_rows(a, offset, 8, b, 0, T, count, out, row * T, T)


@jit
def evaluate(problem, work, X):
    """Fill value, gradient and Hessian of the tile; the confinement is added by ``system``."""
    n, waves = work.n, work.waves
    total = work.row_start[n]
    for k in range(0, work.gradient.size, 8):
        store(work.gradient, k, 0.0)
    for k in range(0, work.hessian.size, 8):
        store(work.hessian, k, 0.0)
    for k in range(0, T, 8):
        store(work.value, k, 0.0)
    for first in range(0, waves, _CHUNK):
        size = min(_CHUNK, waves - first)
        for m in range(0, size, 8):
            set_8_rows(work.phases, first + m, waves, X, 0, T, n, work.c, m * T, T)
        _trigonometry(work, first, size)
        for i in range(0, n, 8):
            _add_rows(work.panels, ((i >> 3) * waves + first) * 8, work.d, size, work.gradient, i, n - i)
        if work.table:
            for k in range(0, total, 8):
                _add_rows(work.products, ((k >> 3) * waves + first) * 8, work.c, size, work.hessian, k, total - k)
        else:
            for i in range(n):
                for m in range(size):
                    w = -broadcast(work.phases, i * waves + first + m)
                    store(work.scaled, m * T, w * load(work.c, m * T))
                    store(work.scaled, m * T + 8, w * load(work.c, m * T + 8))
                    store(work.scaled, m * T + 16, w * load(work.c, m * T + 16))
                for j in range(0, i + 1, 8):
                    offset = ((j >> 3) * waves + first) * 8
                    _add_rows(work.panels, offset, work.scaled, size, work.hessian, work.row_start[i] + j, i + 1 - j)


@jit
def system(problem, work, X, s, A, g):
    """Copy gradient and packed Hessian of eight lanes, confinement added; return the value."""
    n, mu = work.n, problem.confinement
    square = zeros()
    k = 0
    for i in range(n):
        x = load(X, i * T + s)
        square = fma(x, x, square)
        store(g, i * 8, fma(x, mu, load(work.gradient, i * T + s)))
        row = work.row_start[i] * T + s
        for _ in range(i):
            store(A, k, load(work.hessian, row))
            row += T
            k += 8
        store(A, k, load(work.hessian, row) + mu)
        k += 8
    return fma(square, 0.5 * mu, load(work.value, s))


@jit
def advance(problem, work, X, s, d, t):
    """x <- x - t d, wrapped into [0, period) on a torus."""
    period = problem.period
    for i in range(work.n):
        at = i * T + s
        x = fma(-t, load(d, i * 8), load(X, at))
        if period > 0.0:
            x = fma(-floor(x / period), zeros() + period, x)
        store(X, at, x)


register(Waves, prepare=prepare, evaluate=evaluate, system=system, advance=advance)
