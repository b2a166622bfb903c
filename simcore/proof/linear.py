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


@jit(inner=True)
def factor(n, A, d, scratch):
    """Overwrite A with L of A = L D L' below the diagonal, without pivoting; d receives 1/D (n entries).

    Two columns at a time; ``scratch`` holds two vectors. The transpose is not conjugated.
    """
    w = width(A)
    step = 2 * w
    for j in range(0, n, 2):
        jj = step * (j * (j + 1) // 2 + j)
        ar, ai = load(A, jj), load(A, jj + w)
        q = 1.0 / fma(ar, ar, ai * ai)
        pr, pi = ar * q, -(ai * q)
        store(d, step * j, pr)
        store(d, step * j + w, pi)
        if j + 1 == n:
            break
        k = j + 1
        kj = step * (k * (k + 1) // 2 + j)
        br, bi = load(A, kj), load(A, kj + w)
        lr, li = fma(br, pr, -(bi * pi)), fma(br, pi, bi * pr)
        cr, ci = load(A, kj + step), load(A, kj + step + w)
        cr, ci = fma(-lr, br, fma(li, bi, cr)), fma(-lr, bi, fma(-li, br, ci))
        store(A, kj, lr)
        store(A, kj + w, li)
        q = 1.0 / fma(cr, cr, ci * ci)
        sr, si = cr * q, -(ci * q)
        store(d, step * k, sr)
        store(d, step * k + w, si)
        for i in range(j + 2, n):
            base = step * (i * (i + 1) // 2)
            o = base + step * j
            xr, xi = load(A, o), load(A, o + w)
            yr, yi = load(A, o + step), load(A, o + step + w)
            yr, yi = fma(-lr, xr, fma(li, xi, yr)), fma(-lr, xi, fma(-li, xr, yi))
            s = 2 * step * i
            store(scratch, s, xr)
            store(scratch, s + w, xi)
            store(scratch, s + step, yr)
            store(scratch, s + step + w, yi)
            ur, ui = fma(xr, pr, -(xi * pi)), fma(xr, pi, xi * pr)
            vr, vi = fma(yr, sr, -(yi * si)), fma(yr, si, yi * sr)
            store(A, o, ur)
            store(A, o + w, ui)
            store(A, o + step, vr)
            store(A, o + step + w, vi)
            for m in range(j + 2, i + 1):
                e, f = base + step * m, 2 * step * m
                er, ei = load(A, e), load(A, e + w)
                fr, fi = load(scratch, f), load(scratch, f + w)
                gr, gi = load(scratch, f + step), load(scratch, f + step + w)
                er, ei = fma(-ur, fr, er), fma(-ur, fi, ei)
                er, ei = fma(ui, fi, er), fma(-ui, fr, ei)
                er, ei = fma(-vr, gr, er), fma(-vr, gi, ei)
                er, ei = fma(vi, gi, er), fma(-vi, gr, ei)
                store(A, e, er)
                store(A, e + w, ei)


@jit(inner=True)
def solve(n, A, d, x):
    """x <- -(L D L')^-1 x, for factors from ``factor``."""
    w = width(A)
    step = 2 * w
    o = 0
    for i in range(n):
        yr, yi = load(x, step * i), load(x, step * i + w)
        zr, zi = zeros(A), zeros(A)
        for v in range(0, step * i, step):
            lr, li, vr, vi = load(A, o), load(A, o + w), load(x, v), load(x, v + w)
            yr, yi = fma(-lr, vr, yr), fma(-lr, vi, yi)
            zr, zi = fma(li, vi, zr), fma(-li, vr, zi)
            o += step
        o += step
        store(x, step * i, yr + zr)
        store(x, step * i + w, yi + zi)
    for v in range(0, step * n, step):
        pr, pi, vr, vi = load(d, v), load(d, v + w), load(x, v), load(x, v + w)
        store(x, v, fma(vi, pi, -(vr * pr)))
        store(x, v + w, -fma(vr, pi, vi * pr))
    for i in range(n - 1, 0, -1):
        xr, xi = load(x, step * i), load(x, step * i + w)
        o = step * (i * (i + 1) // 2)
        for v in range(0, step * i, step):
            vr, vi, lr, li = load(x, v), load(x, v + w), load(A, o), load(A, o + w)
            store(x, v, fma(-lr, xr, fma(li, xi, vr)))
            store(x, v + w, fma(-lr, xi, fma(-li, xr, vi)))
            o += step


@jit(inner=True)
def multiply(n, A, v, y):
    """y = A v; at most 2 n + 2 roundings on any term."""
    w = width(A)
    step = 2 * w
    o = 0
    for i in range(n):
        xr, xi = load(v, step * i), load(v, step * i + w)
        sr, si, tr, ti = zeros(A), zeros(A), zeros(A), zeros(A)
        for k in range(0, step * i, step):
            ar, ai, vr, vi = load(A, o), load(A, o + w), load(v, k), load(v, k + w)
            sr, si = fma(ar, vr, sr), fma(ar, vi, si)
            tr, ti = fma(-ai, vi, tr), fma(ai, vr, ti)
            store(y, k, fma(-ai, xi, fma(ar, xr, load(y, k))))
            store(y, k + w, fma(ai, xr, fma(ar, xi, load(y, k + w))))
            o += step
        ar, ai = load(A, o), load(A, o + w)
        sr, si = fma(ar, xr, sr), fma(ar, xi, si)
        tr, ti = fma(-ai, xi, tr), fma(ai, xr, ti)
        store(y, step * i, sr + tr)
        store(y, step * i + w, si + ti)
        o += step


@jit(inner=True)
def square_norm(n, x):
    """|x|^2 of a complex vector, lane by lane."""
    w = width(x)
    a, b = zeros(x), zeros(x)
    for o in range(0, 2 * w * n, 2 * w):
        r, q = load(x, o), load(x, o + w)
        a, b = fma(r, r, a), fma(q, q, b)
    return a + b
