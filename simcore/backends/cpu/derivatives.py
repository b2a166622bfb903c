"""Value, gradient and Hessian at given points, from the same compiled tiles as the search."""

from __future__ import annotations

import numpy as np

from simcore.backends.cpu.dispatch import evaluate, prepare, system
from simcore.backends.cpu.ldlt import count_below, tridiagonalise
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import any_lane, load, store, zeros
from simcore.compilation import jit
from simcore.formulas.intrinsics import fma, select, sqrt

T = LANES


@jit
def fill(problem, size, x, value, gradient, hessian):
    """Set value (S,), gradient (S, n) and Hessian (S, n, n) at points x of shape (S, n).

    ``size`` is the dimension D of the tangent space. With D = n - 1 the tile's tangent coordinates are those of the
    reflection Q = I - b u u' of ``spin.py``; results are turned back to ambient ones.
    """
    count, n = x.shape
    tables, tile = prepare(problem)
    X = np.empty(n * T)
    A, g, f = np.empty(size * (size + 1) // 2 * 8), np.empty(size * 8), np.empty(8)
    for begin in range(0, count, T):
        for lane in range(T):
            row = min(begin + lane, count - 1)
            for i in range(n):
                X[i * T + lane] = x[row, i]
        evaluate(tables, tile, X)
        for s in range(0, T, 8):
            store(f, 0, system(tile, X, s, A, g))
            for lane in range(min(8, count - begin - s)):
                row = begin + s + lane
                value[row] = f[lane]
                k = lane
                for i in range(size):
                    gradient[row, i] = g[i * 8 + lane]
                    for j in range(i + 1):
                        hessian[row, i, j] = A[k]
                        hessian[row, j, i] = A[k]
                        k += 8
                if size < n:
                    _lift(x[row], gradient[row], hessian[row])


@jit
def _lift(x, gradient, hessian):
    """Turn tangent coordinates, in the first n - 1 places, into ambient ones: Q g and Q H Q with zeros in place n."""
    n = x.size
    u, h = np.empty(n), np.zeros(n)
    for i in range(n):
        u[i] = x[i] / np.sqrt(float(n))
    b = 1.0 / (1.0 + abs(u[n - 1]))
    u[n - 1] += -1.0 if u[n - 1] < 0.0 else 1.0
    gradient[n - 1] = 0.0
    along = 0.0
    for i in range(n - 1):
        hessian[i, n - 1] = 0.0
        hessian[n - 1, i] = 0.0
        along += gradient[i] * u[i]
    hessian[n - 1, n - 1] = 0.0
    twice = 0.0
    for i in range(n - 1):
        for j in range(n - 1):
            h[i] += hessian[i, j] * u[j]
        twice += h[i] * u[i]
    for i in range(n):
        gradient[i] -= b * along * u[i]
        for j in range(i + 1):
            entry = hessian[i, j] - b * (u[i] * h[j] + h[i] * u[j]) + b * b * twice * u[i] * u[j]
            hessian[i, j] = entry
            hessian[j, i] = entry


@jit
def fill_gaps(problem, size, x, value, slope, norm, negative, gap):
    """Set value, |gradient|, |Hessian|_F, number of negative eigenvalues, and ``gap``, all (S,), at points x (S, n).

    No eigenvalue of the tangent Hessian lies within ``gap`` of 0: the first of |H|_F/(2 D), |H|_F/(4 D), ... for which
    Sturm counts say so, 0 where none of 40 does. It exceeds half the smallest |eigenvalue|, or is the first trial.
    """
    count, n = x.shape
    tables, tile = prepare(problem)
    X = np.empty(n * T)
    A, g = np.empty(size * (size + 1) // 2 * 8), np.empty(size * 8)
    diagonal, off_diagonal, scales = np.empty(size * 8), np.empty(size * 8), np.empty(size * 8)
    scratch = np.empty(4 * size * 8)
    out = np.empty(5 * 8)
    for begin in range(0, count, T):
        for lane in range(T):
            row = min(begin + lane, count - 1)
            for i in range(n):
                X[i * T + lane] = x[row, i]
        evaluate(tables, tile, X)
        for s in range(0, min(T, count - begin), 8):
            store(out, 0, system(tile, X, s, A, g))
            steepness, square = zeros(), zeros()
            k = 0
            for i in range(size):
                gi = load(g, i * 8)
                steepness = fma(gi, gi, steepness)
                for _ in range(i):
                    entry = load(A, k)
                    square = fma(entry + entry, entry, square)
                    k += 8
                entry = load(A, k)
                square = fma(entry, entry, square)
                k += 8
            frobenius = sqrt(square)
            tridiagonalise(A, size, diagonal, off_diagonal, scales, scratch)
            below, free = _free(diagonal, off_diagonal, size, frobenius * (0.5 / size))
            store(out, 8, sqrt(steepness))
            store(out, 16, frobenius)
            store(out, 24, below)
            store(out, 32, free)
            for lane in range(min(8, count - begin - s)):
                row = begin + s + lane
                value[row], slope[row], norm[row] = out[lane], out[8 + lane], out[16 + lane]
                negative[row], gap[row] = np.int64(out[24 + lane]), out[32 + lane]


@jit
def _free(diagonal, off_diagonal, size, trial):
    """Return how many eigenvalues are negative, and a trial halved until none is within it of 0 (0 after 40 times)."""
    below = count_below(diagonal, off_diagonal, size, -trial)
    for _ in range(40):
        taken = below < count_below(diagonal, off_diagonal, size, trial)
        if not any_lane(taken):
            return below, trial
        trial = select(taken, trial * 0.5, trial)
        below = count_below(diagonal, off_diagonal, size, -trial)
    taken = below < count_below(diagonal, off_diagonal, size, trial)
    return below, select(taken, trial * 0.0, trial)
