"""Value, gradient and Hessian at given points, from the same compiled tiles as the search."""

from __future__ import annotations

import numpy as np

from simcore.backends.cpu.dispatch import evaluate, prepare, system
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import store
from simcore.compilation import jit

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
