"""Complex symmetric matrices and vectors in lanes: what a tracker of paths is made of.

A complex number takes two vectors of w lanes, real part first: entry i of a vector v stands at 2 w i, entry (j, k),
k <= j, of a symmetric matrix, packed by rows of its lower triangle, at 2 w (j (j + 1)/2 + k). Products that meet a sum
are fused (``fma``), and the number of roundings on any term is stated where a certificate needs it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simcore.compilation import jit
from simcore.proof.lanes import (
    broadcast,
    fma,
    imag,
    load,
    nothing,
    pair,
    put,
    real,
    store,
    take,
    turned,
    width,
    zeros,
)

BLOCK = 4
"""Entries of the matrix that ``contract`` sums at a time: eight sums, two factors and a coefficient fit 16
registers."""


def packed(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return coefficients of shape (entries, n) as ``contract`` reads them: blocks of BLOCK rows, padded with zeros."""
    entries, n = rows.shape
    blocks = -(-entries // BLOCK)
    padded = np.zeros((blocks * BLOCK, n))
    padded[:entries] = rows
    return np.ascontiguousarray(padded.reshape(blocks, BLOCK, n).transpose(0, 2, 1)).ravel()


@jit(inner=True)
def contract(T, n, v, A):
    """A_e = sum_l T_el v_l for real coefficients T from ``packed``; n roundings on any term."""
    step = 2 * width(v)
    t = 0
    for block in range(T.size // (BLOCK * n)):
        a, b, c, d = nothing(v), nothing(v), nothing(v), nothing(v)
        for at in range(0, step * n, step):
            x = take(v, at)
            a = fma(broadcast(T, t), x, a)
            b = fma(broadcast(T, t + 1), x, b)
            c = fma(broadcast(T, t + 2), x, c)
            d = fma(broadcast(T, t + 3), x, d)
            t += BLOCK
        o = BLOCK * step * block
        put(A, o, a)
        put(A, o + step, b)
        put(A, o + 2 * step, c)
        put(A, o + 3 * step, d)


@jit(inline=True)
def inverse(z):
    """1/z."""
    r, i = real(z), imag(z)
    q = 1.0 / fma(r, r, i * i)
    return pair(r * q, -(i * q))


@jit(inner=True)
def factor(n, A, d, scratch):
    """Overwrite A with L of A = L D L' below the diagonal, without pivoting; d receives 1/D (n entries).

    Two rows and two columns at a time: sixteen products for eight loads. ``scratch`` holds two rows of L D. The
    transpose is not conjugated.
    """
    step = 2 * width(A)
    odd = n % 2
    if odd:
        put(d, 0, inverse(take(A, 0)))
    for i in range(odd, n, 2):
        o, k, h = step * (i * (i + 1) // 2), step * ((i + 1) * (i + 2) // 2), step * n
        for v in range(0, step * odd, step):
            put(scratch, v, take(A, o + v))
            put(scratch, h + v, take(A, k + v))
        for j in range(odd, i, 2):
            f, g, u = step * (j * (j + 1) // 2), step * ((j + 1) * (j + 2) // 2), step * j
            a, b = take(A, o + u), take(A, o + u + step)
            c, e = take(A, k + u), take(A, k + u + step)
            for v in range(0, u, step):
                x, y = take(scratch, v), take(scratch, h + v)
                l, m = take(A, f + v), take(A, g + v)  # noqa: E741
                a = fma(-x, l, a)
                b = fma(-x, m, b)
                c = fma(-y, l, c)
                e = fma(-y, m, e)
            l = take(A, g + u)  # noqa: E741
            put(scratch, u, a)
            put(scratch, u + step, fma(-a, l, b))
            put(scratch, h + u, c)
            put(scratch, h + u + step, fma(-c, l, e))
        u = step * i
        a, b, c = take(A, o + u), take(A, k + u), take(A, k + u + step)
        for v in range(0, u, step):
            p, x, y = take(d, v), take(scratch, v), take(scratch, h + v)
            l, m = x * p, y * p  # noqa: E741
            put(A, o + v, l)
            put(A, k + v, m)
            a = fma(-x, l, a)
            b = fma(-y, l, b)
            c = fma(-y, m, c)
        p = inverse(a)
        l = b * p  # noqa: E741
        put(d, u, p)
        put(A, k + u, l)
        put(d, u + step, inverse(fma(-b, l, c)))


@jit(inner=True)
def solve(n, A, d, x):
    """x <- -(L D L')^-1 x, for factors from ``factor``. Two rows at a time, products by real and imaginary parts of L
    apart: sums do not wait for one another."""
    step = 2 * width(A)
    for i in range(n % 2, n, 2):
        o, k, u = step * (i * (i + 1) // 2), step * ((i + 1) * (i + 2) // 2), step * i
        a, b, c, e = take(x, u), nothing(A), take(x, u + step), nothing(A)
        for v in range(0, u, step):
            z, l, m = take(x, v), take(A, o + v), take(A, k + v)  # noqa: E741
            a = fma(-real(l), z, a)
            b = fma(-imag(l), z, b)
            c = fma(-real(m), z, c)
            e = fma(-imag(m), z, e)
        a = a + turned(b)
        put(x, u, a)
        put(x, u + step, fma(-take(A, k + u), a, c + turned(e)))
    for v in range(0, step * n, step):
        put(x, v, -(take(d, v) * take(x, v)))
    for i in range(n - 1, 0, -2):
        o, k, u = step * (i * (i + 1) // 2), step * (i * (i - 1) // 2), step * (i - 1)
        a = take(x, u + step)
        b = fma(-take(A, o + u), a, take(x, u))
        put(x, u, b)
        for v in range(0, u, step):
            put(x, v, fma(-take(A, k + v), b, fma(-take(A, o + v), a, take(x, v))))


@jit(inner=True)
def multiply(n, A, v, y):
    """y = A v; at most 2 n + 2 roundings on any term."""
    step = 2 * width(A)
    if n % 2:
        put(y, 0, take(A, 0) * take(v, 0))
    for i in range(n % 2, n, 2):
        o, k, u = step * (i * (i + 1) // 2), step * ((i + 1) * (i + 2) // 2), step * i
        x, z, s, t = take(v, u), take(v, u + step), nothing(A), nothing(A)
        for c in range(0, u, step):
            q, a, b = take(v, c), take(A, o + c), take(A, k + c)
            s = fma(a, q, s)
            t = fma(b, q, t)
            put(y, c, fma(b, z, fma(a, x, take(y, c))))
        a = take(A, k + u)
        put(y, u, fma(a, z, fma(take(A, o + u), x, s)))
        put(y, u + step, fma(take(A, k + u + step), z, fma(a, x, t)))


@jit(inner=True)
def square_norm(n, x):
    """|x|^2 of a complex vector, lane by lane."""
    w = width(x)
    a, b = zeros(x), zeros(x)
    for o in range(0, 2 * w * n, 2 * w):
        r, q = load(x, o), load(x, o + w)
        a, b = fma(r, r, a), fma(q, q, b)
    return a + b


@jit(inner=True)
def reflect(n, v, x):
    """x <- U x, U = 1 - 2 v v' for a real unit vector v."""
    step = 2 * width(x)
    r = nothing(x)
    for i in range(n):
        r = fma(v[i], take(x, step * i), r)
    r = -2.0 * r
    for i in range(n):
        put(x, step * i, fma(v[i], r, take(x, step * i)))


@jit(inner=True)
def factor_reflected(n, A, v, d, e, scratch):
    """As ``factor``, of U A U: without pivots a zero on A's diagonal is fatal, but no matrix has one for most v.

    ``e`` receives 2 (A v - (v'A v) v): U A U = A - v e' - e v'.
    """
    step = 2 * width(A)
    for o in range(0, step * n, step):
        put(e, o, nothing(A))
    for i in range(n):
        u = step * i
        for j in range(i + 1):
            a, k = take(A, step * (i * (i + 1) // 2 + j)), step * j
            put(e, u, fma(v[j], a, take(e, u)))
            if j < i:
                put(e, k, fma(v[i], a, take(e, k)))
    r = nothing(A)
    for i in range(n):
        r = fma(v[i], take(e, step * i), r)
    for i in range(n):
        put(e, step * i, 2.0 * fma(-v[i], r, take(e, step * i)))
    for i in range(n):
        for j in range(i + 1):
            o = step * (i * (i + 1) // 2 + j)
            put(A, o, fma(-v[i], take(e, step * j), fma(-v[j], take(e, step * i), take(A, o))))
    factor(n, A, d, scratch)


@jit(inner=True)
def solve_reflected(n, A, v, d, x):
    """x <- -M^-1 x, for factors of M from ``factor_reflected``; as ``solve`` where v is None."""
    if v is None:
        solve(n, A, d, x)
    else:
        reflect(n, v, x)
        solve(n, A, d, x)
        reflect(n, v, x)


@jit(inner=True)
def defect(n, A, J, v, d, e, f):
    """Return (|K|_F^2, |1 - A K|_F^2) for the approximate inverse K of A of which ``solve_reflected`` gives columns."""
    step = 2 * width(A)
    size, gap = zeros(A), zeros(A)
    for column in range(n):
        for o in range(0, step * n, step):
            put(e, o, nothing(A))
        store(e, step * column, -1.0)
        solve_reflected(n, J, v, d, e)
        size = size + square_norm(n, e)
        multiply(n, A, e, f)
        store(f, step * column, load(f, step * column) - 1.0)
        gap = gap + square_norm(n, f)
    return size, gap
