"""Sums of waves on a tile of 24 starts: phases, sines, gradient and packed Hessian, all by the register product.

Symbols: w_m frequency, p_m = w_m . x; a_m cos p_m + b_m sin p_m = A_m cos(p_m + phi_m); c_m, s_m = cos, sin of p_m +
phi_m. f = sum A_m c_m, grad f = -sum A_m s_m w_m, Hess f = -sum A_m c_m w_m w_m'; a confinement mu adds mu |x|^2/2, mu
x, mu I. Amplitudes are multiplied into the constant factors, and phases are counted in quarter turns, so that a wave
costs its sine and cosine alone.

Two layouts of the Hessian product, chosen by ``prepare``:
- *table* (small n): the products -A_m w_mi w_mj, packed by lower triangle, are stored once a call in panels of eight
  rows. The table is read once a tile, so it must stay near the processor.
- *scaled* (large n): the coordinates are cut into blocks of eight. Row i of the Hessian, left of its diagonal block, is
  (-A W)' (w_i c): the tile c is scaled by w_i, three multiplications a wave, inside the product with the first panel,
  and multiplied by the panels that follow. The triangles of the diagonal blocks come from a table of their products. So
  no entry is computed that is not needed, and nothing grows with n^2 but the result.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from simcore.backends.cpu.dispatch import register
from simcore.backends.cpu.products import add_8_rows, add_rows, scale_and_add_8_rows, set_8_rows
from simcore.backends.cpu.tile import LANES, processor_tile
from simcore.backends.cpu.vector import broadcast, load, store, zeros
from simcore.backends.problems import Waves
from simcore.compilation import jit
from simcore.formulas.elementary import turned_sincos
from simcore.formulas.intrinsics import floor, fma

T = LANES
_QUARTER_TURNS = 2 / math.pi
_CHUNK = 256 if processor_tile().width == 8 else 128  # waves at a time (measured best of 64 to 512)
_SMALL = 24  # up to this n the table layout is faster ...
_TABLE_BYTES = 4 * 2**20  # ... while the table is not larger than this


class Tables(NamedTuple):
    """The coefficients laid out for the product, and scratch of one chunk of waves."""

    waves: int  # padded to a multiple of 8 with waves of zero amplitude
    turns: np.ndarray  # [n][waves]: w 2/pi
    waveforms: np.ndarray  # [2][waves]: phi 2/pi, A
    factors: np.ndarray  # [n][waves]: w, scaled layout only
    panels: np.ndarray  # [n/8][waves][8]: -A w by panels of eight coordinates
    products: np.ndarray  # [K/8][waves][8]: -A w_i w_j of all pairs, or of those inside diagonal blocks
    scratch: np.ndarray  # c, s and the scaled c, each [chunk][24]


class WavesTile(NamedTuple):
    """An evaluated tile."""

    n: int
    table: bool
    pairs: int  # entries of the Hessian that come from the table
    confinement: float
    period: float
    memory: np.ndarray  # value [1][24], gradient [n padded][24], table rows, rows left of diagonal blocks, [24] each


@jit
def prepare(problem):
    """Lay the coefficients out for the product and allocate scratch."""
    count, n = problem.frequencies.shape
    waves = (count + 7) // 8 * 8
    padded = (n + 7) // 8 * 8
    table = n <= _SMALL or n * (n + 1) // 2 * waves * 8 <= _TABLE_BYTES
    pairs, left = 0, 0
    for i in range(n):
        pairs += i + 1 - _first_column(i, table)
        left += _first_column(i, table)
    rows = (pairs + 7) // 8 * 8

    turns = np.zeros(n * waves)
    waveforms = np.zeros(2 * waves)
    factors = np.zeros(1 if table else n * waves)
    panels = np.zeros(padded * waves)
    products = np.zeros(rows * waves)
    for m in range(count):
        a, b = problem.cosine[m], problem.sine[m]
        amplitude = math.hypot(a, b)
        waveforms[m] = math.atan2(-b, a) * _QUARTER_TURNS
        waveforms[waves + m] = amplitude
        k = 0
        for i in range(n):
            w = problem.frequencies[m, i]
            turns[i * waves + m] = w * _QUARTER_TURNS
            if not table:
                factors[i * waves + m] = w
            row = -amplitude * w
            panels[((i >> 3) * waves + m) * 8 + (i & 7)] = row
            for j in range(_first_column(i, table), i + 1):
                products[((k >> 3) * waves + m) * 8 + (k & 7)] = row * problem.frequencies[m, j]
                k += 1
    scratch = np.empty(3 * min(_CHUNK, waves) * T)
    tables = Tables(waves, turns, waveforms, factors, panels, products, scratch)
    memory = np.empty((1 + padded + rows + left) * T)
    return tables, WavesTile(n, table, pairs, problem.confinement, problem.period, memory)


@jit(inline=True)
def _first_column(i, table):
    """First column of row i that comes from the table: all of them, or those of the diagonal block."""
    return 0 if table else i // 8 * 8


@jit
def _sines(waves, first, size, waveforms, memory, c, d):
    """Turn the phases in c into their cosines, c, and sines, d, and add to the tile's values."""
    v0, v1, v2 = load(memory, 0), load(memory, 8), load(memory, 16)
    for m in range(size):
        at = m * T
        phi = broadcast(waveforms, first + m)
        amplitude = broadcast(waveforms, waves + first + m)
        d0, c0 = turned_sincos(load(c, at) + phi)
        d1, c1 = turned_sincos(load(c, at + 8) + phi)
        d2, c2 = turned_sincos(load(c, at + 16) + phi)
        store(c, at, c0)
        store(c, at + 8, c1)
        store(c, at + 16, c2)
        store(d, at, d0)
        store(d, at + 8, d1)
        store(d, at + 16, d2)
        v0, v1, v2 = fma(amplitude, c0, v0), fma(amplitude, c1, v1), fma(amplitude, c2, v2)
    store(memory, 0, v0)
    store(memory, 8, v1)
    store(memory, 16, v2)


@jit
def _evaluate_two(waves, turns, waveforms, panels, products, memory, X):
    """Two variables: everything stays in registers, one pass over the waves for each eight lanes."""
    gradient, hessian = T, 9 * T
    for s in range(0, T, 8):
        x, y = load(X, s), load(X, T + s)
        value, g0, g1 = zeros(), zeros(), zeros()
        h00, h10, h11 = zeros(), zeros(), zeros()
        for m in range(waves):
            phase = fma(broadcast(turns, waves + m), y, broadcast(turns, m) * x)
            d, c = turned_sincos(phase + broadcast(waveforms, m))
            value = fma(broadcast(waveforms, waves + m), c, value)
            at = m * 8
            g0, g1 = fma(d, broadcast(panels, at), g0), fma(d, broadcast(panels, at + 1), g1)
            h00 = fma(c, broadcast(products, at), h00)
            h10 = fma(c, broadcast(products, at + 1), h10)
            h11 = fma(c, broadcast(products, at + 2), h11)
        store(memory, s, value)
        store(memory, gradient + s, g0)
        store(memory, gradient + T + s, g1)
        store(memory, hessian + s, h00)
        store(memory, hessian + T + s, h10)
        store(memory, hessian + 2 * T + s, h11)


@jit
def _add_panel(a, offset, b, count, memory, row, rows):
    """memory[row : row + 8] += panel rows times tile, or as many rows as are left."""
    if rows >= 8:
        add_8_rows(a, offset, 8, b, 0, T, count, memory, row * T, T)
    else:
        add_rows(rows, a, offset, b, count, memory, row * T)


@jit
def evaluate(tables, tile, X):
    """Fill value, gradient and Hessian of the tile; the confinement is added by ``system``."""
    if tile.n == 2:
        waves, turns, waveforms, _, panels, products, _ = tables
        _evaluate_two(waves, turns, waveforms, panels, products, tile.memory, X)
    else:
        _evaluate(tables, tile, X, True)


@jit
def evaluate_gradient(tables, tile, X):
    """Fill value and gradient alone, bit for bit what ``evaluate`` gives for n > 2, at about 4/n of its cost."""
    _evaluate(tables, tile, X, False)


@jit
def _evaluate(tables, tile, X, with_hessian):
    n, memory = tile.n, tile.memory
    waves, turns, waveforms, factors, panels, products, scratch = tables
    part = scratch.size // 3
    c, d, scaled = scratch[:part], scratch[part : 2 * part], scratch[2 * part :]
    first_row = 1 + (n + 7) // 8 * 8
    first_left = first_row + (tile.pairs + 7) // 8 * 8
    for k in range(0, memory.size if with_hessian else first_row * T, 8):
        store(memory, k, 0.0)
    for first in range(0, waves, _CHUNK):
        size = min(_CHUNK, waves - first)
        for m in range(0, size, 8):
            set_8_rows(turns, first + m, waves, X, 0, T, n, c, m * T, T)
        _sines(waves, first, size, waveforms, memory, c, d)
        for i in range(0, n, 8):
            _add_panel(panels, ((i >> 3) * waves + first) * 8, d, size, memory, 1 + i, n - i)
        if not with_hessian:
            continue
        for k in range(0, tile.pairs, 8):
            _add_panel(products, ((k >> 3) * waves + first) * 8, c, size, memory, first_row + k, tile.pairs - k)
        if tile.table:
            continue
        at = first_left * T
        for i in range(8, n):
            scale_and_add_8_rows(panels, first * 8, factors, i * waves + first, c, scaled, size, memory, at)
            at += 8 * T
            for j in range(8, i // 8 * 8, 8):
                add_8_rows(panels, ((j >> 3) * waves + first) * 8, 8, scaled, 0, T, size, memory, at, T)
                at += 8 * T


@jit
def system(tile, X, s, A, g):
    """Copy gradient and packed Hessian of eight lanes, confinement added; return the value."""
    n, mu, memory = tile.n, tile.confinement, tile.memory
    row = (1 + (n + 7) // 8 * 8) * T + s
    left = row + (tile.pairs + 7) // 8 * 8 * T
    square = zeros()
    k = 0
    for i in range(n):
        x = load(X, i * T + s)
        square = fma(x, x, square)
        store(g, i * 8, fma(x, mu, load(memory, (1 + i) * T + s)))
        first = _first_column(i, tile.table)
        for _ in range(first):
            store(A, k, load(memory, left))
            k += 8
            left += T
        for _ in range(first, i):
            store(A, k, load(memory, row))
            k += 8
            row += T
        store(A, k, load(memory, row) + mu)
        k += 8
        row += T
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


register(Waves, WavesTile, prepare=prepare, evaluate=evaluate, system=system, advance=advance, chords=True)
