"""Gradient steps without an end: where descents and ascents lead, from the same compiled tiles as the search."""

from __future__ import annotations

import numpy as np

from simcore.backends.cpu.dispatch import advance, evaluate, prepare, system
from simcore.backends.cpu.ldlt import dot, square_packed
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import load, zeros
from simcore.compilation import jit
from simcore.formulas.intrinsics import minimum, select, sqrt

T = LANES


@jit
def follow(problem, size, x, way, steps, longest):
    """Move points x (S, n) by ``steps`` gradient steps each, down (way -1) or up (way 1); way has shape (S,).

    A step has length min(2 |g| / |H|_F, longest), |g| and |H|_F those of the tangent space, whose dimension is
    ``size``; a point whose gradient is zero or not a number stays. Each point's path depends on that point alone.
    """
    count, n = x.shape
    tables, tile = prepare(problem)
    X, direction = np.empty(n * T), np.zeros(T)
    A, g = np.empty(size * (size + 1) // 2 * 8), np.empty(size * 8)
    for begin in range(0, count, T):
        for lane in range(T):
            row = min(begin + lane, count - 1)
            direction[lane] = way[row]
            for i in range(n):
                X[i * T + lane] = x[row, i]
        for _ in range(steps):
            evaluate(tables, tile, X)
            for s in range(0, min(T, count - begin), 8):
                system(tile, X, s, A, g)
                slope = dot(g, g, size)
                length = minimum(2.0 / sqrt(square_packed(A, size)), longest / sqrt(slope))
                advance(tile, X, s, g, select(slope > 0.0, -load(direction, s) * length, zeros()))
        for lane in range(min(T, count - begin)):
            for i in range(n):
                x[begin + lane, i] = X[i * T + lane]
