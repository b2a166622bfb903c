"""Newton steps towards zeros of F(y) = T y^m - y, and the numbers that a certificate needs, points in lanes."""

from __future__ import annotations

import numpy as np

from simcore.compilation import jit
from simcore.proof.lanes import any_lane, fma, load, select, sqrt, store, width, zeros
from simcore.proof.linear import defect, factor, multiply, solve, square_norm
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
def polish(T, tables, n, p, rounds, enough, certify, space, points, facts):
    """Make Newton steps from points (N, 2 n) and, where asked to, gather what a certificate needs at the last place.

    A point makes at most ``rounds`` steps, and none after one of at most ``enough`` |y|. ``facts`` (N, 5) receives
    |K|_F, |1 - J K|_F, |F|, |J|_F for an approximate inverse K, and the length of the last step (inf without one);
    without ``certify`` the first two are 0. ``T``, ``tables``, ``space``: ``simcore.proof.tensor``; double precision.
    """
    w = width(T)
    step, rows = 2 * w, len(points)
    vectors, matrices, above = space
    A, J, scratch = matrices[0], matrices[1], vectors[0]
    y, e, f, d, out = vectors[1], vectors[2], vectors[3], vectors[4], vectors[5]
    lanes = vectors.shape[1] // (4 * n)  # w, but no constant: loops over the lanes would be unrolled and compile long
    for first in range(0, rows, w):
        for lane in range(lanes):
            row = min(first + lane, rows - 1)
            for i in range(n):
                y[step * i + lane] = points[row, i]
                y[step * i + w + lane] = points[row, n + i]
        size, inverse, gap, last = zeros(T), zeros(T), zeros(T), zeros(T) + np.inf
        for k in range(rounds + 1):
            descend(T, tables, n, p, y, y, above, A)
            multiply(n, A, y, e)
            for o in range(0, step * n, w):
                store(e, o, load(e, o) - load(y, o))
            size = _derivative(n, p - 1, A, J)
            moving = last > enough * sqrt(square_norm(n, y))
            if k == rounds or not any_lane(moving):
                break
            factor(n, J, d, scratch)
            solve(n, J, d, e)
            last = select(moving, sqrt(square_norm(n, e)), last)
            for o in range(0, step * n, w):
                store(y, o, select(moving, load(y, o) + load(e, o), load(y, o)))
        store(out, 2 * w, sqrt(square_norm(n, e)))
        if certify:
            _derivative(n, p - 1, A, A)
            factor(n, J, d, scratch)
            inverse, gap = defect(n, A, J, None, d, e, f)
        store(out, 0, sqrt(inverse))
        store(out, w, sqrt(gap))
        store(out, 3 * w, sqrt(size))
        store(out, 4 * w, last)
        for lane in range(lanes):
            if first + lane < rows:
                for k in range(5):
                    facts[first + lane, k] = out[k * w + lane]
                for i in range(n):
                    points[first + lane, i] = y[step * i + lane]
                    points[first + lane, n + i] = y[step * i + w + lane]
