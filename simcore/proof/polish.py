"""Newton steps towards zeros of F(y) = T y^m - y, and the numbers that a certificate needs, points in lanes."""

from __future__ import annotations

import numpy as np

from simcore.compilation import jit
from simcore.proof.lanes import fma, load, sqrt, store, width, zeros
from simcore.proof.linear import factor, multiply, solve, square_norm
from simcore.proof.tensor import descend


@jit(inner=True)
def _derivative(n, m, A, J):
    """J = m A - 1, packed; return its Frobenius norm, squared."""
    w = width(A)
    step = 2 * w
    size = zeros(A)
    for i in range(n):
        for j in range(i + 1):
            o = step * (i * (i + 1) // 2 + j)
            r, q = m * load(A, o), m * load(A, o + w)
            if i == j:
                r = r - 1.0
            store(J, o, r)
            store(J, o + w, q)
            square = fma(r, r, q * q)
            size = size + (square if i == j else square + square)
    return size


@jit
def polish(T, tables, n, p, rounds, certify, points, facts):
    """Make Newton steps from points (N, 2 n) and, where asked to, gather what a certificate needs at the last place.

    ``facts`` (N, 5) receives |K|_F, |1 - J K|_F, |F|, |J|_F for an approximate inverse K, and the length of the last
    step; without ``certify`` the first two are 0. ``T``, ``tables``: ``simcore.proof.tensor``; double precision.
    """
    w = width(T)
    step, rows = 2 * w, len(points)
    y, e, f, d = np.zeros(step * n), np.zeros(step * n), np.zeros(step * n), np.zeros(step * n)
    room = step * (tables[2][2] + 4)
    above = np.zeros((3, step * (tables[2][p - 1] + 4) if p > 3 else 0))
    A, J, scratch, out = np.zeros(room), np.zeros(room), np.zeros(2 * step * n), np.zeros(5 * w)
    for first in range(0, rows, w):
        for lane in range(w):
            row = min(first + lane, rows - 1)
            for i in range(n):
                y[step * i + lane] = points[row, i]
                y[step * i + w + lane] = points[row, n + i]
        size, inverse, defect = zeros(T), zeros(T), zeros(T)
        for k in range(rounds + 1):
            descend(T, tables, n, p, y, above, A)
            multiply(n, A, y, e)
            for o in range(0, step * n, w):
                store(e, o, load(e, o) - load(y, o))
            size = _derivative(n, p - 1, A, J)
            if k == rounds:
                break
            factor(n, J, d, scratch)
            solve(n, J, d, e)
            store(out, 4 * w, sqrt(square_norm(n, e)))
            for o in range(0, step * n, w):
                store(y, o, load(y, o) + load(e, o))
        store(out, 2 * w, sqrt(square_norm(n, e)))
        if certify:
            _derivative(n, p - 1, A, A)
            factor(n, J, d, scratch)
        for column in range(n if certify else 0):  # of K
            for o in range(0, step * n, w):
                store(e, o, zeros(T))
            store(e, step * column, zeros(T) - 1.0)
            solve(n, J, d, e)
            inverse = inverse + square_norm(n, e)
            multiply(n, A, e, f)
            store(f, step * column, load(f, step * column) - 1.0)
            defect = defect + square_norm(n, f)
        store(out, 0, sqrt(inverse))
        store(out, w, sqrt(defect))
        store(out, 3 * w, sqrt(size))
        for lane in range(w):
            if first + lane < rows:
                for k in range(5):
                    facts[first + lane, k] = out[k * w + lane]
                for i in range(n):
                    points[first + lane, i] = y[step * i + lane]
                    points[first + lane, n + i] = y[step * i + w + lane]
