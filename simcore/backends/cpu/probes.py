"""Loops round single formulas and kernels, for ``simcore bench`` and for tests of what they compute."""

from __future__ import annotations

from simcore.backends.cpu.ldlt import factor, substitute
from simcore.backends.cpu.products import set_8_rows
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import load, store
from simcore.compilation import jit
from simcore.formulas.elementary import sincos, turned_sincos
from simcore.formulas.intrinsics import WIDTH


@jit
def sincos_array(x, sine, cosine):
    """Set sine and cosine of x; flat arrays whose length is a multiple of 8."""
    for i in range(0, len(x), WIDTH):
        s, c = sincos(load(x, i))
        store(sine, i, s)
        store(cosine, i, c)


@jit
def turned_sincos_array(t, sine, cosine):
    """Set sine and cosine of t quarter turns, as sums of waves take them; flat arrays of a multiple of 8 numbers."""
    for i in range(0, len(t), WIDTH):
        s, c = turned_sincos(load(t, i))
        store(sine, i, s)
        store(cosine, i, c)


@jit
def solve_array(matrices, n, count, right, work, pivots, rows):
    """Solve count groups of eight symmetric systems of n unknowns; return how many pivots were negative in all.

    ``matrices`` holds count groups of n(n+1)/2 rows of 8 lanes, packed as ``ldlt`` says; ``right`` (count n 8) holds
    the right-hand sides and receives the solutions. ``work`` (n(n+1)/2 8), ``pivots`` (n 8) and ``rows`` (4 n
    8) are scratch.
    """
    size = n * (n + 1) // 2 * WIDTH
    negative = 0
    for group in range(count):
        for k in range(size):
            work[k] = matrices[group * size + k]
        factor(work, n, pivots, rows)
        begin = group * n * WIDTH
        substitute(work, n, pivots, right[begin : begin + n * WIDTH], rows)
        for k in range(n * WIDTH):
            negative += pivots[k] < 0.0
    return negative


@jit
def product_panel(left, right, out, rows, count):
    """out[rows, 24] = left[rows, count] right[count, 24] by the kernels' register block.

    ``left`` is stored in panels of 8 rows, each (count, 8); ``rows`` is a multiple of 8; all arrays are flat.
    """
    for block in range(rows // 8):
        set_8_rows(left, block * 8 * count, 8, right, 0, LANES, count, out, block * 8 * LANES, LANES)
