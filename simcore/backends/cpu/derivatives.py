"""Value, gradient and Hessian at given points, from the same compiled tiles as the search."""

from __future__ import annotations

import numpy as np

from simcore.backends.cpu.dispatch import evaluate, prepare, system
from simcore.backends.cpu.ldlt import count_below, dot, square_packed, tridiagonalise
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import any_lane, store
from simcore.compilation import jit
from simcore.formulas.intrinsics import select, sqrt

T = LANES


@jit
def fill(problem, size, x, value, gradient, hessian, slope, norm, negative, gap):
    """Set value (S,) and either gradient (S, n) and Hessian (S, n, n), or what a certificate asks for, at x (S, n).

    The latter, all (S,): |gradient|, |Hessian|_F, the number of negative eigenvalues, and ``gap``: no eigenvalue of the
    tangent Hessian lies within it of 0. It is the first of |H|_F/(2 D), |H|_F/(4 D), ... for which Sturm counts say so,
    0 where none of 40 does; so it exceeds half the smallest |eigenvalue|, or is the first trial. Arrays that are not
    asked for are empty. ``size`` is the dimension D of the tangent space; with D = n - 1 the tile's tangent coordinates
    are those of the reflection Q = I - b u u' of ``sphere.py``, and derivatives are turned back to ambient ones.
    """
    count, n = x.shape
    full = gradient.shape[0] > 0
    tables, tile = prepare(problem)
    X = np.empty(n * T)
    A, g = np.empty(size * (size + 1) // 2 * 8), np.empty(size * 8)
    diagonal, off_diagonal, scales = np.empty(size * 8), np.empty(size * 8), np.empty(size * 8)
    scratch, out = np.empty(4 * size * 8), np.empty(5 * 8)
    for begin in range(0, count, T):
        for lane in range(T):
            row = min(begin + lane, count - 1)
            for i in range(n):
                X[i * T + lane] = x[row, i]
        evaluate(tables, tile, X)
        for s in range(0, min(T, count - begin), 8):
            store(out, 0, system(tile, X, s, A, g))
            if not full:
                _gaps(A, g, size, diagonal, off_diagonal, scales, scratch, out)
            for lane in range(min(8, count - begin - s)):
                row = begin + s + lane
                value[row] = out[lane]
                if full:
                    _copy(A, g, size, lane, row, gradient, hessian)
                    if size < n:
                        _lift(x, row, gradient, hessian)
                else:
                    slope[row], norm[row], gap[row] = out[8 + lane], out[16 + lane], out[32 + lane]
                    negative[row] = np.int64(out[24 + lane])


@jit
def _copy(A, g, size, lane, row, gradient, hessian):
    """Copy one lane's tangent gradient and packed Hessian."""
    k = lane
    for i in range(size):
        gradient[row, i] = g[i * 8 + lane]
        for j in range(i + 1):
            hessian[row, i, j] = A[k]
            hessian[row, j, i] = A[k]
            k += 8


@jit
def _gaps(A, g, size, diagonal, off_diagonal, scales, scratch, out):
    """Set out[8:] to |g|, |H|_F, negative eigenvalues and gap of eight lanes; A is overwritten."""
    steepness, norm = dot(g, g, size), sqrt(square_packed(A, size))
    tridiagonalise(A, size, diagonal, off_diagonal, scales, scratch)
    below, free = _free(diagonal, off_diagonal, size, norm * (0.5 / size))
    store(out, 8, sqrt(steepness))
    store(out, 16, norm)
    store(out, 24, below)
    store(out, 32, free)


@jit
def _lift(x, row, gradient, hessian):
    """Turn a row's tangent coordinates, in the first n - 1 places, into ambient ones: Q g and Q H Q, 0 in place n."""
    n = x.shape[1]
    u, h = np.empty(n), np.zeros(n)
    for i in range(n):
        u[i] = x[row, i] / np.sqrt(float(n))
    b = 1.0 / (1.0 + abs(u[n - 1]))
    u[n - 1] += -1.0 if u[n - 1] < 0.0 else 1.0
    gradient[row, n - 1] = 0.0
    along = 0.0
    for i in range(n - 1):
        hessian[row, i, n - 1] = 0.0
        hessian[row, n - 1, i] = 0.0
        along += gradient[row, i] * u[i]
    hessian[row, n - 1, n - 1] = 0.0
    twice = 0.0
    for i in range(n - 1):
        for j in range(n - 1):
            h[i] += hessian[row, i, j] * u[j]
        twice += h[i] * u[i]
    for i in range(n):
        gradient[row, i] -= b * along * u[i]
        for j in range(i + 1):
            entry = hessian[row, i, j] - b * (u[i] * h[j] + h[i] * u[j]) + b * b * twice * u[i] * u[j]
            hessian[row, i, j] = entry
            hessian[row, j, i] = entry


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
