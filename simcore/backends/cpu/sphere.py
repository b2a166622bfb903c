"""The sphere |x|^2 = n on tiles of 24 starts: from Euclidean derivatives to those of the tangent space, and back.

Tangent coordinates: the Householder reflection Q = I - b u u', u = x/sqrt(n) + s e_n, s = sign(x_n), b = 2/(u'u), takes
x to a multiple of e_n. With A = H - mu I, mu = x.grad f / n, the first n - 1 rows and columns of QAQ are the
Riemannian Hessian in an orthonormal basis, whatever mu (the bordered or unprojected A is singular for quadratic forms
and for mu = 0). With A x and the column A e_n, QAQ = A - u q' - q u' costs one update of rank two:
q = b A u - (b^2/2) (u'Au) u,  A u = A x/sqrt(n) + s A e_n.

Scratch begins with hx = H x, u and q, n rows of eight lanes each: ``SCRATCH`` n doubles.
"""

from __future__ import annotations

import numpy as np

from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import load, store, zeros
from simcore.compilation import jit
from simcore.formulas.intrinsics import absolute, fma, select, sqrt

T = LANES
SCRATCH = 24


@jit
def reflection(n, X, s, memory):
    """Store u of the reflection for eight lanes; return s = sign(x_n) and b = 1/(1 + |x_n|/sqrt(n))."""
    u = n * 8
    unit = 1.0 / np.sqrt(float(n))
    for i in range(n):
        store(memory, u + i * 8, load(X, i * T + s) * unit)
    last = load(memory, u + (n - 1) * 8)
    one = zeros() + 1.0
    sign = select(last < 0.0, -one, one)
    store(memory, u + (n - 1) * 8, last + sign)
    return sign, 1.0 / (absolute(last) + 1.0)


@jit
def multiply(n, X, s, memory, hx, base):
    """hx = H x for eight lanes of the Hessian at ``base``: four rows at a time, the rest one by one."""
    i = 0
    while i < n:
        at = i * T + s
        r0 = base + (i * (i + 1) // 2) * T
        x0, s0 = load(X, at), zeros()
        if i + 4 > n:
            for j in range(i):
                h = load(memory, r0 + j * T)
                s0 = fma(h, load(X, j * T + s), s0)
                store(memory, hx + j * 8, fma(h, x0, load(memory, hx + j * 8)))
            store(memory, hx + i * 8, fma(load(memory, r0 + i * T), x0, s0))
            i += 1
            continue
        r1 = r0 + (i + 1) * T
        r2 = r1 + (i + 2) * T
        r3 = r2 + (i + 3) * T
        x1, x2, x3 = load(X, at + T), load(X, at + 2 * T), load(X, at + 3 * T)
        s1, s2, s3 = zeros(), zeros(), zeros()
        for j in range(i):
            x = load(X, j * T + s)
            k = j * T
            h0, h1, h2, h3 = load(memory, r0 + k), load(memory, r1 + k), load(memory, r2 + k), load(memory, r3 + k)
            s0, s1, s2, s3 = fma(h0, x, s0), fma(h1, x, s1), fma(h2, x, s2), fma(h3, x, s3)
            column = fma(h1, x1, fma(h0, x0, load(memory, hx + j * 8)))
            store(memory, hx + j * 8, fma(h3, x3, fma(h2, x2, column)))
        k = i * T
        s0 = fma(load(memory, r0 + k), x0, s0)
        h = load(memory, r1 + k)
        s0, s1 = fma(h, x1, s0), fma(h, x0, s1)
        s1 = fma(load(memory, r1 + k + T), x1, s1)
        h = load(memory, r2 + k)
        s0, s2 = fma(h, x2, s0), fma(h, x0, s2)
        h = load(memory, r2 + k + T)
        s1, s2 = fma(h, x2, s1), fma(h, x1, s2)
        s2 = fma(load(memory, r2 + k + 2 * T), x2, s2)
        h = load(memory, r3 + k)
        s0, s3 = fma(h, x3, s0), fma(h, x0, s3)
        h = load(memory, r3 + k + T)
        s1, s3 = fma(h, x3, s1), fma(h, x1, s3)
        h = load(memory, r3 + k + 2 * T)
        s2, s3 = fma(h, x3, s2), fma(h, x2, s3)
        s3 = fma(load(memory, r3 + k + 3 * T), x3, s3)
        store(memory, hx + i * 8, s0)
        store(memory, hx + i * 8 + 8, s1)
        store(memory, hx + i * 8 + 16, s2)
        store(memory, hx + i * 8 + 24, s3)
        i += 4


@jit
def _tangent_rows(size, s, memory, u, q, base, mu, A):
    """A <- H - mu I - u q' - q u' for eight lanes of the first ``size`` rows, two rows at a time."""
    for i in range(0, size, 2):
        r0, k0 = base + (i * (i + 1) // 2) * T, (i * (i + 1) // 2) * 8
        r1, k1 = r0 + (i + 1) * T, k0 + (i + 1) * 8
        u0, q0 = -load(memory, u + i * 8), -load(memory, q + i * 8)
        end = fma(u0 + u0, load(memory, q + i * 8), load(memory, r0 + i * T) - mu)
        if i + 1 == size:
            for j in range(i):
                uj, qj = load(memory, u + j * 8), load(memory, q + j * 8)
                store(A, k0 + j * 8, fma(u0, qj, fma(q0, uj, load(memory, r0 + j * T))))
            store(A, k0 + i * 8, end)
            return
        u1, q1 = -load(memory, u + i * 8 + 8), -load(memory, q + i * 8 + 8)
        for j in range(i):
            uj, qj = load(memory, u + j * 8), load(memory, q + j * 8)
            store(A, k0 + j * 8, fma(u0, qj, fma(q0, uj, load(memory, r0 + j * T))))
            store(A, k1 + j * 8, fma(u1, qj, fma(q1, uj, load(memory, r1 + j * T))))
        store(A, k0 + i * 8, end)
        store(A, k1 + i * 8, fma(-u1, q0, fma(-q1, u0, load(memory, r1 + i * T))))
        store(A, k1 + i * 8 + 8, fma(u1 + u1, -q1, load(memory, r1 + i * T + T) - mu))


@jit
def tangent(n, X, s, memory, base, slope, stride, factor, mu, A, g):
    """Set tangent Hessian A and gradient g of eight lanes, the Hessian standing at ``base`` and H x in ``memory``.

    Row i of the Euclidean gradient is ``factor`` times what stands at ``slope`` + i ``stride``.
    """
    hx, u, q = 0, n * 8, 2 * n * 8
    sign, b = reflection(n, X, s, memory)
    unit = 1.0 / np.sqrt(float(n))
    last_row = base + (n * (n - 1) // 2) * T
    overlap = zeros()
    for i in range(n):
        x = load(X, i * T + s)
        column = load(memory, last_row + i * T)
        if i == n - 1:
            column = column - mu
        ax = fma(-mu, x, load(memory, hx + i * 8)) * unit
        au = fma(sign, column, ax) * b
        store(memory, q + i * 8, au)
        overlap = fma(au, load(memory, u + i * 8), overlap)
    overlap = overlap * b * 0.5
    for i in range(n):
        store(memory, q + i * 8, fma(-overlap, load(memory, u + i * 8), load(memory, q + i * 8)))

    _tangent_rows(n - 1, s, memory, u, q, base, mu, A)
    last = fma(-mu, load(X, (n - 1) * T + s), load(memory, slope + (n - 1) * stride) * factor)
    shift = b * sign * last  # b u.grad, since grad is orthogonal to x
    for i in range(n - 1):
        tangential = fma(-mu, load(X, i * T + s), load(memory, slope + i * stride) * factor)
        store(g, i * 8, fma(-shift, load(memory, u + i * 8), tangential))


@jit
def advance(tile, X, s, d, t):
    """x <- sqrt(n) (x - t Qd) / |x - t Qd|."""
    n, memory = tile.n, tile.memory
    u = n * 8
    _, b = reflection(n, X, s, memory)
    overlap = zeros()
    for i in range(n - 1):
        overlap = fma(load(memory, u + i * 8), load(d, i * 8), overlap)
    overlap = overlap * b
    square = zeros()
    for i in range(n):
        step = -overlap * load(memory, u + i * 8)
        if i < n - 1:
            step = step + load(d, i * 8)
        x = fma(-t, step, load(X, i * T + s))
        store(X, i * T + s, x)
        square = fma(x, x, square)
    scale = sqrt(float(n) / square)
    for i in range(n):
        store(X, i * T + s, load(X, i * T + s) * scale)
