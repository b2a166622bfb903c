"""Sums of waves on a tile of 24 starts, Hessians in single precision: the way to a critical point of many variables.

Value and gradient are those of ``waves.py``, in double precision, bit for bit. The amplitudes A_m c_m at the tile's
points are kept as float32, [waves][24]; from them come the packed Hessian -sum A_m c_m w_m w_m', by float32 products,
and its product with one vector a start, -W'(A c * (W v)), at a gradient's products and no sine. Sums in single
precision leave relative errors of about 1e-6 |H|.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simcore.backends.cpu.products import set_8_rows
from simcore.backends.cpu.singles import (
    add_4_single,
    add_8_single,
    multiply_single,
    narrow,
    scale_single,
    set_4_single,
    set_8_single,
    widen,
)
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import broadcast, load, store
from simcore.backends.cpu.waves import _CHUNK, _add_panel, _sines
from simcore.compilation import jit

T = LANES
_PART = 256  # waves at a time: a tile of scaled amplitudes then takes 24 KiB


class SingleTables(NamedTuple):
    """Frequencies in single precision, and the tile's amplitudes and Hessian."""

    rows: np.ndarray  # [waves/8][n][8]: W' by panels of eight waves
    panels: np.ndarray  # [n/8][waves][8]: W by panels of eight coordinates
    weights: np.ndarray  # [n][waves]
    amplitudes: np.ndarray  # A c [waves][24]
    scratch: np.ndarray  # [256][24]
    hessian: np.ndarray  # row i of the packed Hessian takes (i // 4 + 1) * 4 rows of [24]
    vector: np.ndarray  # [n padded][24]
    image: np.ndarray  # [n padded][24]


@jit
def prepare_single(problem, wanted):
    """Lay the frequencies out in single precision and allocate scratch; of no size unless ``wanted``."""
    count, n = problem.frequencies.shape
    if not wanted:
        count, n = 0, 0
    waves = (count + 7) // 8 * 8
    padded = (n + 7) // 8 * 8
    rows = np.zeros(waves * n, np.float32)
    panels = np.zeros(padded * waves, np.float32)
    weights = np.zeros(n * waves, np.float32)
    size = 0
    for i in range(n):
        size += (i // 4 + 1) * 4
        for m in range(count):
            w = np.float32(problem.frequencies[m, i])
            weights[i * waves + m] = w
            rows[((m >> 3) * n + i) * 8 + (m & 7)] = w
            panels[((i >> 3) * waves + m) * 8 + (i & 7)] = w
    return SingleTables(
        rows,
        panels,
        weights,
        np.empty(waves * T, np.float32),
        np.empty(min(_PART, waves) * T, np.float32),
        np.empty(size * T, np.float32),
        np.zeros(padded * T, np.float32),
        np.zeros(padded * T, np.float32),
    )


@jit
def evaluate_amplitudes(tables, single, tile, X):
    """Fill value and gradient as ``waves.evaluate_gradient`` does, and keep the amplitudes."""
    n, memory = tile.n, tile.memory
    waves, turns, waveforms, _, panels, _, scratch = tables
    part = scratch.size // 3
    c, d = scratch[:part], scratch[part : 2 * part]
    for k in range(0, (1 + (n + 7) // 8 * 8) * T, 8):
        store(memory, k, 0.0)
    for first in range(0, waves, _CHUNK):
        size = min(_CHUNK, waves - first)
        for m in range(0, size, 8):
            set_8_rows(turns, first + m, waves, X, 0, T, n, c, m * T, T)
        _sines(waves, first, size, waveforms, memory, c, d)
        for m in range(size):
            amplitude = broadcast(waveforms, waves + first + m)
            for k in range(m * T, m * T + T, 8):
                narrow(single.amplitudes, first * T + k, load(c, k) * amplitude)
        for i in range(0, n, 8):
            _add_panel(panels, ((i >> 3) * waves + first) * 8, d, size, memory, 1 + i, n - i)


@jit
def _rows_single(a, offset, b, size, out, row, count, fresh):
    """out[row : row + count] (+)= panel rows times tile, count at most 8 counting, in blocks of eight or four rows."""
    if count > 4:
        if fresh:
            set_8_single(a, offset, 8, b, 0, T, size, out, row * T, T)
        else:
            add_8_single(a, offset, 8, b, 0, T, size, out, row * T, T)
    elif fresh:
        set_4_single(a, offset, 8, b, 0, T, size, out, row * T, T)
    else:
        add_4_single(a, offset, 8, b, 0, T, size, out, row * T, T)


@jit
def hessian_single(single, waves, n):
    """Fill the tile's packed Hessians from the amplitudes."""
    for first in range(0, waves, _PART):
        size = min(_PART, waves - first)
        row = 0
        for i in range(n):
            for k in range(0, size * T, 8):
                scale_single(
                    single.scratch, k, single.amplitudes, first * T + k, single.weights, i * waves + first + k // T
                )
            for j in range(0, i + 1, 8):
                offset = ((j >> 3) * waves + first) * 8
                _rows_single(
                    single.panels, offset, single.scratch, size, single.hessian, row + j, i + 1 - j, first == 0
                )
            row += (i // 4 + 1) * 4


@jit
def multiply_hessian(single, waves, n):
    """image <- W'(A c * (W vector)): minus the Hessian of the waves times a vector, for each start of the tile."""
    for first in range(0, waves, _PART):
        size = min(_PART, waves - first)
        for m in range(0, size, 8):
            offset = ((first + m) >> 3) * n * 8
            set_8_single(single.rows, offset, 8, single.vector, 0, T, n, single.scratch, m * T, T)
        for k in range(0, size * T, 8):
            multiply_single(single.scratch, k, single.amplitudes, first * T + k)
        for i in range(0, n, 8):
            offset = ((i >> 3) * waves + first) * 8
            _rows_single(single.panels, offset, single.scratch, size, single.image, i, n - i, first == 0)


@jit
def copy_hessian(single, tile, s, A):
    """Copy the packed Hessian of eight lanes, confinement added."""
    n, mu = tile.n, tile.confinement
    row, k = s, 0
    for i in range(n):
        for j in range(i):
            store(A, k, widen(single.hessian, row + j * T))
            k += 8
        store(A, k, widen(single.hessian, row + i * T) + mu)
        k += 8
        row += (i // 4 + 1) * 4 * T
