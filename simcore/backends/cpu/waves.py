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
from simcore.formulas.elementary import wave
from simcore.formulas.intrinsics import floor, fma

T = LANES
_CHUNK = 128  # waves at a time: the tile's c and d then fill half of the first-level cache
_SMALL = 24  # up to this n the table layout is faster wherever the table lies
_TABLE_BYTES = 4 * 2**20  # above it, while the table is not larger than this (measured: 1.1 x at n = 30, 0.75 x at 50)


class Tables(NamedTuple):
    """The coefficients laid out for the product, and scratch of one chunk of waves."""

    waves: int  # padded to a multiple of 8 with waves of zero amplitude
    phases: np.ndarray  # [n][waves]
    panels: np.ndarray  # [n/8][waves][8]: W by panels of eight coordinates
    products: np.ndarray  # [K/8][waves][8]: -w_i w_j, table layout only
    cosine: np.ndarray
    sine: np.ndarray
    scratch: np.ndarray  # c, d and the scaled c, each [chunk][24]


class WavesTile(NamedTuple):
    """An evaluated tile."""

    n: int
    table: bool
    confinement: float
    period: float
    memory: np.ndarray  # value [1][24], gradient [n padded][24], then the Hessian's rows, [24] each


@jit
def prepare(problem):
    """Lay the coefficients out for the product and allocate scratch."""
    count, n = problem.frequencies.shape
    waves = (count + 7) // 8 * 8
    padded = (n + 7) // 8 * 8
    table = n <= _SMALL or n * (n + 1) // 2 * waves * 8 <= _TABLE_BYTES
    rows = 0
    for i in range(n):
        rows += _row_width(i, table)
    rows = (rows + 7) // 8 * 8

    phases = np.zeros(n * waves)
    panels = np.zeros(padded * waves)
    products = np.zeros(rows * waves if table else 1)
    cosine = np.zeros(waves)
    sine = np.zeros(waves)
    for m in range(count):
        cosine[m] = problem.cosine[m]
        sine[m] = problem.sine[m]
        k = 0
        for i in range(n):
            w = problem.frequencies[m, i]
            phases[i * waves + m] = w
            panels[((i >> 3) * waves + m) * 8 + (i & 7)] = w
            if table:
                for j in range(i + 1):
                    products[((k >> 3) * waves + m) * 8 + (k & 7)] = -w * problem.frequencies[m, j]
                    k += 1
    scratch = np.empty(3 * min(_CHUNK, waves) * T)
    tables = Tables(waves, phases, panels, products, cosine, sine, scratch)
    return tables, WavesTile(n, table, problem.confinement, problem.period, np.empty((1 + padded + rows + 8) * T))


@jit(inline=True)
def _row_width(i, table):
    """Rows of the tile that row i of the packed Hessian takes: the scaled layout pads it for the product."""
    return i + 1 if table else (i // 4 + 1) * 4


@jit
def _trigonometry(cosine, sine, first, size, memory, c, d):
    """Turn the phases in c into c and d, and add c to the tile's values."""
    v0, v1, v2 = load(memory, 0), load(memory, 8), load(memory, 16)
    for m in range(size):
        a = broadcast(cosine, first + m)
        b = broadcast(sine, first + m)
        at = m * T
        c0, d0 = wave(a, b, load(c, at))
        c1, d1 = wave(a, b, load(c, at + 8))
        c2, d2 = wave(a, b, load(c, at + 16))
        store(c, at, c0)
        store(c, at + 8, c1)
        store(c, at + 16, c2)
        store(d, at, d0)
        store(d, at + 8, d1)
        store(d, at + 16, d2)
        v0, v1, v2 = v0 + c0, v1 + c1, v2 + c2
    store(memory, 0, v0)
    store(memory, 8, v1)
    store(memory, 16, v2)


@jit
def _evaluate_two(waves, phases, cosine, sine, memory, X):
    """Two variables: everything stays in registers, one pass over the waves for each eight lanes."""
    gradient, hessian = T, 9 * T
    for s in range(0, T, 8):
        x, y = load(X, s), load(X, T + s)
        value, g0, g1 = zeros(), zeros(), zeros()
        h00, h10, h11 = zeros(), zeros(), zeros()
        for m in range(waves):
            u, v = broadcast(phases, m), broadcast(phases, waves + m)
            c, d = wave(broadcast(cosine, m), broadcast(sine, m), fma(v, y, u * x))
            value = value + c
            g0, g1 = fma(d, u, g0), fma(d, v, g1)
            cu, cv = -(c * u), -(c * v)
            h00, h10, h11 = fma(cu, u, h00), fma(cv, u, h10), fma(cv, v, h11)
        store(memory, s, value)
        store(memory, gradient + s, g0)
        store(memory, gradient + T + s, g1)
        store(memory, hessian + s, h00)
        store(memory, hessian + T + s, h10)
        store(memory, hessian + 2 * T + s, h11)


@jit
def _add_rows(a, offset, b, count, memory, row, rows):
    """memory[row : row + rows] += panel rows times tile, in blocks of eight and at last four rows."""
    if rows > 4:
        add_8_rows(a, offset, 8, b, 0, T, count, memory, row * T, T)
    else:
        add_4_rows(a, offset, 8, b, 0, T, count, memory, row * T, T)


@jit
def _scale(phases, first, size, c, scaled):
    """scaled = -w c for one coordinate's frequencies."""
    for m in range(size):
        w = -broadcast(phases, first + m)
        store(scaled, m * T, w * load(c, m * T))
        store(scaled, m * T + 8, w * load(c, m * T + 8))
        store(scaled, m * T + 16, w * load(c, m * T + 16))


@jit
def evaluate(tables, tile, X):
    """Fill value, gradient and Hessian of the tile; the confinement is added by ``system``."""
    if tile.n == 2:
        waves, phases, _, _, cosine, sine, _ = tables
        _evaluate_two(waves, phases, cosine, sine, tile.memory, X)
    else:
        _evaluate(tables, tile, X, True)


@jit
def evaluate_gradient(tables, tile, X):
    """Fill value and gradient alone, bit for bit what ``evaluate`` gives for n > 2, at about 4/n of its cost."""
    _evaluate(tables, tile, X, False)


@jit
def _evaluate(tables, tile, X, with_hessian):
    n, memory = tile.n, tile.memory
    waves, phases, panels, products, cosine, sine, scratch = tables
    part = scratch.size // 3
    c, d, scaled = scratch[:part], scratch[part : 2 * part], scratch[2 * part :]
    first_row = 1 + (n + 7) // 8 * 8
    pairs = n * (n + 1) // 2
    for k in range(0, memory.size if with_hessian else first_row * T, 8):
        store(memory, k, 0.0)
    for first in range(0, waves, _CHUNK):
        size = min(_CHUNK, waves - first)
        for m in range(0, size, 8):
            set_8_rows(phases, first + m, waves, X, 0, T, n, c, m * T, T)
        _trigonometry(cosine, sine, first, size, memory, c, d)
        for i in range(0, n, 8):
            _add_rows(panels, ((i >> 3) * waves + first) * 8, d, size, memory, 1 + i, n - i)
        if not with_hessian:
            continue
        if tile.table:
            for k in range(0, pairs, 8):
                _add_rows(products, ((k >> 3) * waves + first) * 8, c, size, memory, first_row + k, pairs - k)
        else:
            row = first_row
            for i in range(n):
                _scale(phases, i * waves + first, size, c, scaled)
                for j in range(0, i + 1, 8):
                    _add_rows(panels, ((j >> 3) * waves + first) * 8, scaled, size, memory, row + j, i + 1 - j)
                row += _row_width(i, False)


@jit
def system(tile, X, s, A, g):
    """Copy gradient and packed Hessian of eight lanes, confinement added; return the value."""
    n, mu, memory = tile.n, tile.confinement, tile.memory
    row = (1 + (n + 7) // 8 * 8) * T + s
    square = zeros()
    k = 0
    for i in range(n):
        x = load(X, i * T + s)
        square = fma(x, x, square)
        store(g, i * 8, fma(x, mu, load(memory, (1 + i) * T + s)))
        for j in range(i):
            store(A, k, load(memory, row + j * T))
            k += 8
        store(A, k, load(memory, row + i * T) + mu)
        k += 8
        row += _row_width(i, tile.table) * T
    return fma(square, 0.5 * mu, load(memory, s))


@jit
def slope(tile, X, s, g):
    """Copy the gradient of eight lanes, confinement added."""
    for i in range(tile.n):
        store(g, i * 8, fma(load(X, i * T + s), tile.confinement, load(tile.memory, (1 + i) * T + s)))


@jit
def advance(tile, X, s, d, t):
    """x <- x - t d, wrapped into [0, period) on a torus."""
    period = tile.period
    for i in range(tile.n):
        at = i * T + s
        x = fma(-t, load(d, i * 8), load(X, at))
        if period > 0.0:
            x = fma(-floor(x / period), period, x)
        store(X, at, x)


register(Waves, WavesTile, prepare=prepare, evaluate=evaluate, system=system, advance=advance)
