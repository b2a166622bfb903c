"""Complex symmetric matrices and vectors in lanes: what a tracker of paths is made of.

A complex number takes two vectors of w lanes, real part first: entry i of a vector v stands at 2 w i, entry (j, k),
k <= j, of a symmetric matrix, packed by rows of its lower triangle, at 2 w (j (j + 1)/2 + k). Products that meet a sum
are fused (``fma``), and the number of roundings on any term is stated where a certificate needs it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simcore.compilation import jit
from simcore.proof.lanes import broadcast, fma, load, store, width, zeros

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
    w = width(v)
    step = 2 * w
    t = 0
    for block in range(T.size // (BLOCK * n)):
        r0, r1, r2, r3 = zeros(v), zeros(v), zeros(v), zeros(v)
        i0, i1, i2, i3 = zeros(v), zeros(v), zeros(v), zeros(v)
        for at in range(0, step * n, step):
            x, y = load(v, at), load(v, at + w)
            c = broadcast(T, t)
            r0, i0 = fma(c, x, r0), fma(c, y, i0)
            c = broadcast(T, t + 1)
            r1, i1 = fma(c, x, r1), fma(c, y, i1)
            c = broadcast(T, t + 2)
            r2, i2 = fma(c, x, r2), fma(c, y, i2)
            c = broadcast(T, t + 3)
            r3, i3 = fma(c, x, r3), fma(c, y, i3)
            t += BLOCK
        o = BLOCK * step * block
        store(A, o, r0)
        store(A, o + w, i0)
        store(A, o + step, r1)
        store(A, o + step + w, i1)
        store(A, o + 2 * step, r2)
        store(A, o + 2 * step + w, i2)
        store(A, o + 3 * step, r3)
        store(A, o + 3 * step + w, i3)


@jit(inline=True)
def product(ar, ai, br, bi):
    """Real and imaginary part of (ar + i ai)(br + i bi)."""
    return fma(ar, br, -(ai * bi)), fma(ar, bi, ai * br)


@jit(inline=True)
def _less(cr, ci, ar, ai, br, bi):
    """c - a b, each part two roundings."""
    return fma(ai, bi, fma(-ar, br, cr)), fma(-ai, br, fma(-ar, bi, ci))


@jit(inline=True)
def _more(cr, ci, ar, ai, br, bi):
    """c + a b, each part two roundings."""
    return fma(-ai, bi, fma(ar, br, cr)), fma(ai, br, fma(ar, bi, ci))


@jit(inline=True)
def inverse(ar, ai):
    """1/a."""
    q = 1.0 / fma(ar, ar, ai * ai)
    return ar * q, -(ai * q)


@jit(inner=True)
def factor(n, A, d, scratch):
    """Overwrite A with L of A = L D L' below the diagonal, without pivoting; d receives 1/D (n entries).

    Two rows and two columns at a time: sixteen products for eight loads. ``scratch`` holds two rows of L D. The
    transpose is not conjugated.
    """
    w = width(A)
    step = 2 * w
    odd = n % 2
    if odd:
        pr, pi = inverse(load(A, 0), load(A, w))
        store(d, 0, pr)
        store(d, w, pi)
    for i in range(odd, n, 2):
        o, k, h = step * (i * (i + 1) // 2), step * ((i + 1) * (i + 2) // 2), step * n
        for v in range(0, step * odd, w):
            store(scratch, v, load(A, o + v))
            store(scratch, h + v, load(A, k + v))
        for j in range(odd, i, 2):
            f, g, u = step * (j * (j + 1) // 2), step * ((j + 1) * (j + 2) // 2), step * j
            ar, ai, br, bi = load(A, o + u), load(A, o + u + w), load(A, o + u + step), load(A, o + u + step + w)
            cr, ci, er, ei = load(A, k + u), load(A, k + u + w), load(A, k + u + step), load(A, k + u + step + w)
            for v in range(0, u, step):
                xr, xi, yr, yi = load(scratch, v), load(scratch, v + w), load(scratch, h + v), load(scratch, h + v + w)
                lr, li, mr, mi = load(A, f + v), load(A, f + v + w), load(A, g + v), load(A, g + v + w)
                ar, ai = _less(ar, ai, xr, xi, lr, li)
                br, bi = _less(br, bi, xr, xi, mr, mi)
                cr, ci = _less(cr, ci, yr, yi, lr, li)
                er, ei = _less(er, ei, yr, yi, mr, mi)
            lr, li = load(A, g + u), load(A, g + u + w)
            br, bi = _less(br, bi, ar, ai, lr, li)
            er, ei = _less(er, ei, cr, ci, lr, li)
            store(scratch, u, ar)
            store(scratch, u + w, ai)
            store(scratch, u + step, br)
            store(scratch, u + step + w, bi)
            store(scratch, h + u, cr)
            store(scratch, h + u + w, ci)
            store(scratch, h + u + step, er)
            store(scratch, h + u + step + w, ei)
        u = step * i
        ar, ai, br, bi = load(A, o + u), load(A, o + u + w), load(A, k + u), load(A, k + u + w)
        cr, ci = load(A, k + u + step), load(A, k + u + step + w)
        for v in range(0, u, step):
            pr, pi = load(d, v), load(d, v + w)
            xr, xi, yr, yi = load(scratch, v), load(scratch, v + w), load(scratch, h + v), load(scratch, h + v + w)
            lr, li = product(xr, xi, pr, pi)
            mr, mi = product(yr, yi, pr, pi)
            store(A, o + v, lr)
            store(A, o + v + w, li)
            store(A, k + v, mr)
            store(A, k + v + w, mi)
            ar, ai = _less(ar, ai, xr, xi, lr, li)
            br, bi = _less(br, bi, yr, yi, lr, li)
            cr, ci = _less(cr, ci, yr, yi, mr, mi)
        pr, pi = inverse(ar, ai)
        store(d, u, pr)
        store(d, u + w, pi)
        lr, li = product(br, bi, pr, pi)
        store(A, k + u, lr)
        store(A, k + u + w, li)
        cr, ci = _less(cr, ci, br, bi, lr, li)
        pr, pi = inverse(cr, ci)
        store(d, u + step, pr)
        store(d, u + step + w, pi)


@jit(inner=True)
def solve(n, A, d, x):
    """x <- -(L D L')^-1 x, for factors from ``factor``. Two rows at a time: their sums do not wait for one another."""
    w = width(A)
    step = 2 * w
    for i in range(n % 2, n, 2):
        o, k, u = step * (i * (i + 1) // 2), step * ((i + 1) * (i + 2) // 2), step * i
        ar, ai, br, bi = load(x, u), load(x, u + w), zeros(A), zeros(A)
        cr, ci, er, ei = load(x, u + step), load(x, u + step + w), zeros(A), zeros(A)
        for v in range(0, u, step):
            vr, vi = load(x, v), load(x, v + w)
            lr, li = load(A, o + v), load(A, o + v + w)
            ar, ai = fma(-lr, vr, ar), fma(-lr, vi, ai)
            br, bi = fma(li, vi, br), fma(-li, vr, bi)
            lr, li = load(A, k + v), load(A, k + v + w)
            cr, ci = fma(-lr, vr, cr), fma(-lr, vi, ci)
            er, ei = fma(li, vi, er), fma(-li, vr, ei)
        ar, ai = ar + br, ai + bi
        store(x, u, ar)
        store(x, u + w, ai)
        cr, ci = _less(cr + er, ci + ei, load(A, k + u), load(A, k + u + w), ar, ai)
        store(x, u + step, cr)
        store(x, u + step + w, ci)
    for v in range(0, step * n, step):
        r, i = product(load(d, v), load(d, v + w), load(x, v), load(x, v + w))
        store(x, v, -r)
        store(x, v + w, -i)
    for i in range(n - 1, 0, -2):
        o, k, u = step * (i * (i + 1) // 2), step * (i * (i - 1) // 2), step * (i - 1)
        xr, xi = load(x, u + step), load(x, u + step + w)
        yr, yi = _less(load(x, u), load(x, u + w), load(A, o + u), load(A, o + u + w), xr, xi)
        store(x, u, yr)
        store(x, u + w, yi)
        for v in range(0, u, step):
            vr, vi = _less(load(x, v), load(x, v + w), load(A, o + v), load(A, o + v + w), xr, xi)
            vr, vi = _less(vr, vi, load(A, k + v), load(A, k + v + w), yr, yi)
            store(x, v, vr)
            store(x, v + w, vi)


@jit(inner=True)
def multiply(n, A, v, y):
    """y = A v; at most 2 n + 2 roundings on any term."""
    w = width(A)
    step = 2 * w
    if n % 2:
        yr, yi = product(load(A, 0), load(A, w), load(v, 0), load(v, w))
        store(y, 0, yr)
        store(y, w, yi)
    for i in range(n % 2, n, 2):
        o, k, u = step * (i * (i + 1) // 2), step * ((i + 1) * (i + 2) // 2), step * i
        xr, xi, zr, zi = load(v, u), load(v, u + w), load(v, u + step), load(v, u + step + w)
        sr, si, tr, ti = zeros(A), zeros(A), zeros(A), zeros(A)
        for c in range(0, u, step):
            vr, vi, yr, yi = load(v, c), load(v, c + w), load(y, c), load(y, c + w)
            ar, ai = load(A, o + c), load(A, o + c + w)
            sr, si = _more(sr, si, ar, ai, vr, vi)
            yr, yi = _more(yr, yi, ar, ai, xr, xi)
            ar, ai = load(A, k + c), load(A, k + c + w)
            tr, ti = _more(tr, ti, ar, ai, vr, vi)
            yr, yi = _more(yr, yi, ar, ai, zr, zi)
            store(y, c, yr)
            store(y, c + w, yi)
        sr, si = _more(sr, si, load(A, o + u), load(A, o + u + w), xr, xi)
        ar, ai = load(A, k + u), load(A, k + u + w)
        sr, si = _more(sr, si, ar, ai, zr, zi)
        tr, ti = _more(tr, ti, ar, ai, xr, xi)
        tr, ti = _more(tr, ti, load(A, k + u + step), load(A, k + u + step + w), zr, zi)
        store(y, u, sr)
        store(y, u + w, si)
        store(y, u + step, tr)
        store(y, u + step + w, ti)


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
    w = width(x)
    step = 2 * w
    r, q = zeros(x), zeros(x)
    for i in range(n):
        r, q = fma(v[i], load(x, step * i), r), fma(v[i], load(x, step * i + w), q)
    r, q = -2.0 * r, -2.0 * q
    for i in range(n):
        store(x, step * i, fma(v[i], r, load(x, step * i)))
        store(x, step * i + w, fma(v[i], q, load(x, step * i + w)))


@jit(inner=True)
def factor_reflected(n, A, v, d, e, scratch):
    """As ``factor``, of U A U: without pivots a zero on A's diagonal is fatal, but no matrix has one for most v.

    ``e`` receives 2 (A v - (v'A v) v): U A U = A - v e' - e v'.
    """
    w = width(A)
    step = 2 * w
    for o in range(0, step * n, w):
        store(e, o, zeros(A))
    for i in range(n):
        u = step * i
        for j in range(i + 1):
            o, k = step * (i * (i + 1) // 2 + j), step * j
            r, q = load(A, o), load(A, o + w)
            store(e, u, fma(v[j], r, load(e, u)))
            store(e, u + w, fma(v[j], q, load(e, u + w)))
            if j < i:
                store(e, k, fma(v[i], r, load(e, k)))
                store(e, k + w, fma(v[i], q, load(e, k + w)))
    r, q = zeros(A), zeros(A)
    for i in range(n):
        r, q = fma(v[i], load(e, step * i), r), fma(v[i], load(e, step * i + w), q)
    for i in range(n):
        store(e, step * i, 2.0 * fma(-v[i], r, load(e, step * i)))
        store(e, step * i + w, 2.0 * fma(-v[i], q, load(e, step * i + w)))
    for i in range(n):
        for j in range(i + 1):
            o, u, k = step * (i * (i + 1) // 2 + j), step * i, step * j
            store(A, o, fma(-v[i], load(e, k), fma(-v[j], load(e, u), load(A, o))))
            store(A, o + w, fma(-v[i], load(e, k + w), fma(-v[j], load(e, u + w), load(A, o + w))))
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
    w = width(A)
    step = 2 * w
    size, gap = zeros(A), zeros(A)
    for column in range(n):
        for o in range(0, step * n, w):
            store(e, o, zeros(A))
        store(e, step * column, zeros(A) - 1.0)
        solve_reflected(n, J, v, d, e)
        size = size + square_norm(n, e)
        multiply(n, A, e, f)
        store(f, step * column, load(f, step * column) - 1.0)
        gap = gap + square_norm(n, f)
    return size, gap
