"""Paths of the homotopy between two sums of waves on the torus, one a lane; Newton steps and certificates at the ends.

With z_j = exp(v_j) and complex coefficients P_k, Q_k that depend on t, the zeros of the gradient in v,

    F(v) = sum_k k (P_k z^k - Q_k z^-k),    DF(v) = H = sum_k k k' S_k,    S_k = P_k z^k + Q_k z^-k,

are followed from t = 0, where P = g A, to t = 1; v = i x for a function of x. Frequencies have entries -1, 0 and 1, so
that z^k is a product of some z_j and 1/z_j, and nothing transcendental is computed: v itself is never needed. Let D_k =
P_k z^k - Q_k z^-k, a prime be the derivative of the coefficients in t (they are linear in t), and s_q = k.c_q. Then

    H c1 = -sum_k k D'_k
    H c2 = -sum_k k s_1 (D_k s_1/2 + S'_k)
    H c3 = -sum_k k (s_2 (D_k s_1 + S'_k) + s_1^2 (S_k s_1/6 + D'_k/2))

are the Taylor coefficients of v along a path. A try goes to z exp(h c1 + h^2 c2 + h^3 c3) and makes one Newton step, z
exp(d); h and what counts as a success are those of ``simcore.proof.tracker``, with 1 in place of |y|: v is a logarithm,
its errors are relative ones of z.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.compilation import jit
from simcore.proof.lanes import (
    REGISTER,
    any_lane,
    broadcast,
    fma,
    imag,
    load,
    minimum,
    pair,
    put,
    real,
    select,
    sqrt,
    store,
    take,
    width,
    zeroed,
    zeros,
)
from simcore.proof.linear import BLOCK, defect, factor_reflected, inverse, solve_reflected, square_norm
from simcore.proof.tracker import SMALLEST, reap, stride

Tables = tuple[NDArray[np.int64], NDArray[np.int64]]


def tables(frequencies: NDArray[np.float64]) -> Tables:
    """Return (how many coordinates each wave has (M,), which ones (M, most), those with -1 as n + j)."""
    n = frequencies.shape[1]
    sizes = (frequencies != 0.0).sum(axis=1)
    places = np.zeros((len(sizes), int(sizes.max())), np.int64)
    for row, k in enumerate(frequencies):
        for a, j in enumerate(np.flatnonzero(k)):
            places[row, a] = j if k[j] > 0 else n + j
    return sizes.astype(np.int64), places


def workspace(kind: type, n: int, waves: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return room for a tracker, a row each: vectors of 2 n complex numbers a lane, packed matrices, D, S, D', S'."""
    step = 2 * REGISTER // (8 * np.dtype(kind).itemsize)
    return (
        zeroed(kind, 13, 2 * step * n),
        zeroed(kind, 3, step * (n * (n + 1) // 2 + BLOCK)),
        zeroed(kind, 4 * step * waves),
    )


@jit(inline=True)
def product(ar, ai, br, bi):
    """Real and imaginary part of (ar + i ai)(br + i bi)."""
    z = pair(ar, ai) * pair(br, bi)
    return real(z), imag(z)


@jit(inner=True)
def _expand(C, tables, n, z, t, kept, F, G, H):
    """Set F and H at z, G = sum_k k D'_k, and ``kept``: D, S, D', S' of every wave; z[n:] receives 1/z[:n].

    ``C`` (8 a wave): real and imaginary parts of P, of Q, of P' and of Q', at t = 0.
    """
    sizes, places = tables
    w = width(z)
    step = 2 * w
    for o in range(0, step * n, step):
        put(z, step * n + o, inverse(take(z, o)))
    for o in range(0, step * n, w):
        store(F, o, zeros(z))
        store(G, o, zeros(z))
    for o in range(0, step * (n * (n + 1) // 2), w):
        store(H, o, zeros(z))
    for k in range(len(sizes)):
        j = places[k, 0]
        o, p = step * j, step * (j + n if j < n else j - n)
        pr, pi, qr, qi = load(z, o), load(z, o + w), load(z, p), load(z, p + w)
        for a in range(1, sizes[k]):
            j = places[k, a]
            o, p = step * j, step * (j + n if j < n else j - n)
            pr, pi = product(pr, pi, load(z, o), load(z, o + w))
            qr, qi = product(qr, qi, load(z, p), load(z, p + w))
        c = 8 * k
        dpr, dpi = broadcast(C, c + 4), broadcast(C, c + 5)
        dqr, dqi = broadcast(C, c + 6), broadcast(C, c + 7)
        xr, xi = product(fma(t, dpr, broadcast(C, c)), fma(t, dpi, broadcast(C, c + 1)), pr, pi)
        yr, yi = product(fma(t, dqr, broadcast(C, c + 2)), fma(t, dqi, broadcast(C, c + 3)), qr, qi)
        dpr, dpi = product(dpr, dpi, pr, pi)
        dqr, dqi = product(dqr, dqi, qr, qi)
        dr, di, sr, si = xr - yr, xi - yi, xr + yr, xi + yi
        er, ei = dpr - dqr, dpi - dqi
        m = 4 * step * k
        store(kept, m, dr)
        store(kept, m + w, di)
        store(kept, m + step, sr)
        store(kept, m + step + w, si)
        store(kept, m + 2 * step, er)
        store(kept, m + 2 * step + w, ei)
        store(kept, m + 3 * step, dpr + dqr)
        store(kept, m + 3 * step + w, dpi + dqi)
        for a in range(sizes[k]):
            i = places[k, a]
            sign = 1.0
            if i >= n:
                i, sign = i - n, -1.0
            o = step * i
            store(F, o, fma(sign, dr, load(F, o)))
            store(F, o + w, fma(sign, di, load(F, o + w)))
            store(G, o, fma(sign, er, load(G, o)))
            store(G, o + w, fma(sign, ei, load(G, o + w)))
            for b in range(a + 1):
                j, both = places[k, b], sign
                if j >= n:
                    j, both = j - n, -sign
                o = step * (i * (i + 1) // 2 + j)  # j <= i: places are in order
                store(H, o, fma(both, sr, load(H, o)))
                store(H, o + w, fma(both, si, load(H, o + w)))


@jit(inner=True)
def _along(sizes, places, k, n, c):
    """k.c, complex."""
    w = width(c)
    r, q = zeros(c), zeros(c)
    for a in range(sizes[k]):
        i, sign = places[k, a], 1.0
        if i >= n:
            i, sign = i - n, -1.0
        r, q = fma(sign, load(c, 2 * w * i), r), fma(sign, load(c, 2 * w * i + w), q)
    return r, q


@jit(inner=True)
def _bend(tables, n, kept, c1, c2, third, e):
    """e = -H c2, or -H c3 where ``third``."""
    sizes, places = tables
    w = width(e)
    step = 2 * w
    for o in range(0, step * n, w):
        store(e, o, zeros(e))
    for k in range(len(sizes)):
        m = 4 * step * k
        dr, di, sr, si = load(kept, m), load(kept, m + w), load(kept, m + step), load(kept, m + step + w)
        tr, ti = load(kept, m + 3 * step), load(kept, m + 3 * step + w)
        ar, ai = _along(sizes, places, k, n, c1)
        xr, xi = product(dr, di, ar, ai)
        if third:
            br, bi = _along(sizes, places, k, n, c2)
            xr, xi = product(xr + tr, xi + ti, br, bi)
            yr, yi = product(sr, si, ar, ai)
            yr, yi = (
                fma(1.0 / 6.0, yr, 0.5 * load(kept, m + 2 * step)),
                fma(1.0 / 6.0, yi, 0.5 * load(kept, m + 2 * step + w)),
            )
            ar, ai = product(ar, ai, ar, ai)
            yr, yi = product(ar, ai, yr, yi)
            xr, xi = xr + yr, xi + yi
        else:
            xr, xi = product(fma(0.5, xr, tr), fma(0.5, xi, ti), ar, ai)
        for a in range(sizes[k]):
            i, sign = places[k, a], 1.0
            if i >= n:
                i, sign = i - n, -1.0
            o = step * i
            store(e, o, fma(sign, xr, load(e, o)))
            store(e, o + w, fma(sign, xi, load(e, o + w)))


@jit(inner=True)
def _turn(n, z, d, q):
    """q = z exp(d), by exp(d) = (1 + d/2 + d^2/12)/(1 - d/2 + d^2/12) + O(d^5)."""
    w = width(z)
    step = 2 * w
    for o in range(0, step * n, step):
        x = take(d, o)
        e = x * x
        e = pair(fma(1.0 / 12.0, real(e), 1.0), (1.0 / 12.0) * imag(e))
        put(q, o, inverse(fma(-0.5, x, e)) * fma(0.5, x, e) * take(z, o))


@jit
def track_waves(C, tables, n, v, limits, space, ends, arrived, tries):
    """Follow paths; ``ends`` (N, 2 n), real parts of z first, holds where they begin and receives where they end.

    ``C``: as in ``_expand``. ``limits``, ``arrived``, ``tries``, precision: as in ``simcore.proof.tracker.track``.
    """
    w = width(C)
    step = 2 * w
    aim, closeness, final, most = limits
    vectors, matrices, kept = space
    H, scratch = matrices[0], vectors[0]
    z, q, c1, c2, c3, F, d = vectors[1], vectors[2], vectors[3], vectors[4], vectors[5], vectors[6], vectors[7]
    t, halvings, count, owner, g = vectors[8], vectors[9], vectors[10], vectors[11], vectors[12]
    nothing = zeros(C)
    lanes = vectors.shape[1] // (4 * n)  # w, but no constant: loops over the lanes would be unrolled and compile long
    for lane in range(lanes):
        t[lane], owner[lane] = 1.0, -1.0
    waiting, left = len(ends), len(ends)
    while True:
        if any_lane((load(t, 0) >= 1.0) | (load(count, 0) >= most) | (load(halvings, 0) < SMALLEST)):
            stored, begun = reap(lanes, n, z, t, halvings, count, most, owner, waiting, 0.0, ends, arrived, tries)
            waiting -= begun
            left -= stored
            if left == 0:
                return
        b = load(t, 0)
        _expand(C, tables, n, z, b, kept, F, c1, H)
        factor_reflected(n, H, v, d, g, scratch)
        solve_reflected(n, H, v, d, c1)
        _bend(tables, n, kept, c1, c1, False, c2)
        solve_reflected(n, H, v, d, c2)
        _bend(tables, n, kept, c1, c2, True, c3)
        solve_reflected(n, H, v, d, c3)
        h, after, arrives = stride(n, aim, nothing + 1.0, c2, c3, load(halvings, 0), b)
        for o in range(0, step * n, w):
            store(c3, o, h * fma(h, fma(h, load(c3, o), load(c2, o)), load(c1, o)))
        _turn(n, z, c3, q)
        _expand(C, tables, n, q, after, kept, F, c1, H)
        factor_reflected(n, H, v, d, g, scratch)
        solve_reflected(n, H, v, d, F)
        _turn(n, q, F, q)
        limit = select(arrives, nothing + final, nothing + closeness)
        good = square_norm(n, F) <= limit * limit
        for o in range(0, step * n, w):
            store(z, o, select(good, load(q, o), load(z, o)))
        store(t, 0, select(good, after, b))
        store(halvings, 0, select(good, minimum(2.0 * load(halvings, 0), 1.0), 0.5 * load(halvings, 0)))
        store(count, 0, load(count, 0) + 1.0)


@jit
def polish_waves(C, tables, n, v, rounds, space, points, facts):
    """Make Newton steps from points z (N, 2 n) at t = 0, and gather what a certificate needs at the last place.

    ``facts`` (N, 6) receives |K|_F, |1 - H K|_F, |F|, |H|_F for an approximate inverse K, the length of the last step,
    and a bound on sum_k |P_k z^k| + |Q_k z^-k|. Double precision.
    """
    w = width(C)
    step, rows = 2 * w, len(points)
    vectors, matrices, kept = space
    H, A, out, scratch = matrices[0], matrices[1], matrices[2], vectors[0]
    z, e, f, d, F, g = vectors[1], vectors[2], vectors[3], vectors[4], vectors[5], vectors[6]
    lanes = vectors.shape[1] // (4 * n)
    for first in range(0, rows, w):
        for lane in range(lanes):
            row = min(first + lane, rows - 1)
            for i in range(n):
                z[step * i + lane] = points[row, i]
                z[step * i + w + lane] = points[row, n + i]
        last = zeros(C)
        for k in range(rounds + 1):
            _expand(C, tables, n, z, zeros(C), kept, F, e, H)
            if k == rounds:
                break
            factor_reflected(n, H, v, d, g, scratch)
            solve_reflected(n, H, v, d, F)
            last = sqrt(square_norm(n, F))
            _turn(n, z, F, z)
        size, mass = zeros(C), zeros(C)
        for i in range(n):
            for j in range(i + 1):
                o = step * (i * (i + 1) // 2 + j)
                r, q = load(H, o), load(H, o + w)
                store(A, o, r)
                store(A, o + w, q)
                square = fma(r, r, q * q)
                size = size + (square if i == j else square + square)
        for o in range(0, len(kept), 4 * step):  # |P| + |Q| <= sqrt(2 |P|^2 + 2 |Q|^2) = sqrt(|D|^2 + |S|^2)
            square = zeros(C)
            for m in range(o, o + 2 * step, w):
                square = fma(load(kept, m), load(kept, m), square)
            mass = mass + sqrt(square)
        residual = sqrt(square_norm(n, F))
        factor_reflected(n, H, v, d, g, scratch)
        inverse_size, gap = defect(n, A, H, v, d, e, f)
        store(out, 0, sqrt(inverse_size))
        store(out, w, sqrt(gap))
        store(out, 2 * w, residual)
        store(out, 3 * w, sqrt(size))
        store(out, 4 * w, last)
        store(out, 5 * w, mass)
        for lane in range(lanes):
            if first + lane < rows:
                for k in range(6):
                    facts[first + lane, k] = out[k * w + lane]
                for i in range(n):
                    points[first + lane, i] = z[step * i + lane]
                    points[first + lane, n + i] = z[step * i + w + lane]
