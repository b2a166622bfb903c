"""Paths of the homotopy for p = 3, one a lane.

Zeros of F(y) = T(y, y) - y, T a real symmetric tensor with three indices, are reached in two stages,

    1:  g y_i^2 + t T(y, y)_i - y_i = 0,            t from 0 to 1, from the 2^n - 1 starts y in {0, 1/g}^n, not all 0;
    2:  (1 - t) g y_i^2 + T(y, y)_i - y_i = 0,      t from 0 to 1,

with |g| = 1 random: for all but finitely many g no path meets another one before the end (the gamma trick: Sommese &
Wampler, *The Numerical Solution of Systems of Polynomials*, 2005, section 7.1). Both stages scale into one linear
homotopy; cut in two, each has a right-hand side that one of the two parts does not enter, which saves three of six
matrix-vector products a step. With a, b the two coefficients and a', b' their derivatives, J = 2 a g diag(y) + 2 b T y
- 1:

    J c1 = -(a' g y^2 + b' T(y, y))
    J c2 = -(a g c1^2 + b T(c1, c1) + 2 a' g y c1 + 2 b' T(y, c1))
    J c3 = -(2 a g c1 c2 + 2 b T(c1, c2) + a' g (2 y c2 + c1^2) + b' (2 T(y, c2) + T(c1, c1)))

are the Taylor coefficients of the path. A try goes to y + h c1 + h^2 c2 + h^3 c3 and makes one Newton step; it counts
where that step is at most ``closeness`` times |y|, else the next one is half as long. h = (aim |y| R/|c3|)^(1/4), at
most 0.75 R, where R = |c2|/|c3| estimates the radius of convergence, so that the next term is about ``aim`` |y|.

Nothing here is trusted: where a path ends is certified afterwards, whatever path it came from.
"""

from __future__ import annotations

import numpy as np

from simcore.compilation import jit
from simcore.proof.lanes import any_lane, fma, load, maximum, minimum, select, sqrt, store, width, zeros
from simcore.proof.linear import contract, factor, multiply, solve, square_norm

_RADIUS = 0.75
_SMALLEST = 1e-3  # a step that had to be halved ten times over is not going to succeed


@jit(inner=True)
def _jacobian(n, A, J, y, a, b, gr, gi):
    """J = 2 a g diag(y) + b A - 1, packed, where A = 2 T y; J may be A where b = 1."""
    w = width(A)
    step = 2 * w
    for k in range(0, step * (n * (n + 1) // 2), w):
        store(J, k, b * load(A, k))
    for i in range(n):
        _diagonal(J, step * (i * (i + 1) // 2 + i), load(y, step * i), load(y, step * i + w), a, gr, gi)


@jit(inline=True)
def _diagonal(J, o, yr, yi, a, gr, gi):
    """J[o] += 2 a g y - 1."""
    w = width(J)
    twice = a + a
    store(J, o, fma(twice, fma(yr, gr, -(yi * gi)), load(J, o)) - 1.0)
    store(J, o + w, fma(twice, fma(yr, gi, yi * gr), load(J, o + w)))


@jit(inner=True)
def _take(row, lane, n, ends, y, t, halvings, count):
    """Put a path's point into a lane."""
    w = width(y)
    for i in range(n):
        y[2 * w * i + lane] = ends[row, i]
        y[2 * w * i + w + lane] = ends[row, n + i]
    t[lane] = 0.0
    halvings[lane] = 1.0
    count[lane] = 0.0


@jit
def track(T, n, second, gr, gi, limits, ends, status, tries):
    """Follow paths through one stage; ``ends`` (N, 2 n), real parts first, holds where they begin and receives ends.

    ``T`` holds 2 T, packed; ``limits`` = (aim, closeness, closeness at the end, most tries). ``status`` is left alone
    where a path arrives and set to 0 where it does not; rows of status 0 are skipped. ``tries`` gains the tries made.
    The precision of ``T`` and ``ends`` is that of the arithmetic.
    """
    w = width(T)
    step = 2 * w
    kind = T.dtype
    aim, closeness, final, most = kind.type(limits[0]), kind.type(limits[1]), kind.type(limits[2]), kind.type(limits[3])
    gr, gi = kind.type(gr), kind.type(gi)
    room = step * (n * (n + 1) // 2 + 4)
    y, p, c1, c2, c3 = (np.zeros(step * n, kind), np.zeros(step * n, kind), np.zeros(step * n, kind),
                        np.zeros(step * n, kind), np.zeros(step * n, kind))  # fmt: skip
    e, f, z = np.zeros(step * n, kind), np.zeros(step * n, kind), np.zeros(step * n, kind)
    A, B, other = np.zeros(room, kind), np.zeros(room, kind), np.zeros(room, kind)
    d, scratch = np.zeros(step * n, kind), np.zeros(2 * step * n, kind)
    t, halvings, count = np.zeros(w, kind), np.ones(w, kind), np.zeros(w, kind)
    owner = np.full(w, -1)
    J = A if second else other
    following, live = 0, 0
    for lane in range(w):
        while following < len(status) and status[following] == 0:
            following += 1
        if following < len(status):
            _take(following, lane, n, ends, y, t, halvings, count)
            owner[lane] = following
            following += 1
            live += 1
    nothing = zeros(T)
    one = nothing + 1.0
    while live > 0:
        now = load(t, 0)
        rest = one - now
        a = select(now < 0.0, one, rest) if second else one
        b = one if second else now
        contract(T, n, y, A)
        if not second:
            multiply(n, A, y, c1)
        _jacobian(n, A, J, y, a, b, gr, gi)
        factor(n, J, d, scratch)
        for o in range(0, step * n, step):
            if second:
                yr, yi = load(y, o), load(y, o + w)
                qr, qi = fma(yr, yr, -(yi * yi)), 2.0 * yr * yi
                store(c1, o, fma(qi, gi, -(qr * gr)))
                store(c1, o + w, -fma(qr, gi, qi * gr))
            else:
                store(c1, o, 0.5 * load(c1, o))
                store(c1, o + w, 0.5 * load(c1, o + w))
        solve(n, J, d, c1)
        contract(T, n, c1, B)
        multiply(n, B, c1, z)
        if not second:
            multiply(n, A, c1, e)
        for o in range(0, step * n, step):
            yr, yi, ur, ui = load(y, o), load(y, o + w), load(c1, o), load(c1, o + w)
            qr, qi = fma(ur, ur, -(ui * ui)), 2.0 * ur * ui
            qr, qi = fma(qr, gr, -(qi * gi)), fma(qr, gi, qi * gr)  # g c1^2
            zr, zi = 0.5 * load(z, o), 0.5 * load(z, o + w)  # T(c1, c1)
            if second:
                mr, mi = fma(yr, ur, -(yi * ui)), fma(yr, ui, yi * ur)
                mr, mi = fma(mr, gr, -(mi * gi)), fma(mr, gi, mi * gr)  # g y c1
                store(c2, o, fma(a, qr, zr) - 2.0 * mr)
                store(c2, o + w, fma(a, qi, zi) - 2.0 * mi)
                store(z, o, -qr)
                store(z, o + w, -qi)
            else:
                store(c2, o, fma(b, zr, qr) + load(e, o))
                store(c2, o + w, fma(b, zi, qi) + load(e, o + w))
                store(z, o, zr)
                store(z, o + w, zi)
        solve(n, J, d, c2)
        multiply(n, B, c2, e)
        if not second:
            multiply(n, A, c2, f)
        for o in range(0, step * n, step):
            yr, yi, ur, ui = load(y, o), load(y, o + w), load(c1, o), load(c1, o + w)
            vr, vi = load(c2, o), load(c2, o + w)
            qr, qi = fma(ur, vr, -(ui * vi)), fma(ur, vi, ui * vr)
            if second:
                mr, mi = fma(yr, vr, -(yi * vi)), fma(yr, vi, yi * vr)
                qr, qi = fma(a, qr, -mr), fma(a, qi, -mi)  # a c1 c2 - y c2
            qr, qi = fma(qr, gr, -(qi * gi)), fma(qr, gi, qi * gr)
            sr, si = load(e, o), load(e, o + w)
            if not second:
                sr, si = fma(b, sr, load(f, o)), fma(b, si, load(f, o + w))
            store(c3, o, fma(2.0, qr, sr) + load(z, o))
            store(c3, o + w, fma(2.0, qi, si) + load(z, o + w))
        solve(n, J, d, c3)
        size, second_size = sqrt(square_norm(n, y)), sqrt(square_norm(n, c2))
        third_size = maximum(sqrt(square_norm(n, c3)), 1e-30)
        radius = second_size / third_size
        h = minimum(sqrt(sqrt(aim * size * radius / third_size)), _RADIUS * radius) * load(halvings, 0)
        arrives = h >= rest * 0.999
        h = select(arrives, rest, h)
        after = select(arrives, one, now + h)
        for o in range(0, step * n, w):
            store(p, o, fma(h, fma(h, fma(h, load(c3, o), load(c2, o)), load(c1, o)), load(y, o)))
        a = one - after if second else one
        b = one if second else after
        contract(T, n, p, A)
        multiply(n, A, p, e)
        _jacobian(n, A, J, p, a, b, gr, gi)
        factor(n, J, d, scratch)
        for o in range(0, step * n, step):
            yr, yi = load(p, o), load(p, o + w)
            qr, qi = fma(yr, yr, -(yi * yi)), 2.0 * yr * yi
            qr, qi = fma(qr, gr, -(qi * gi)), fma(qr, gi, qi * gr)
            store(e, o, fma(0.5 * b, load(e, o), fma(a, qr, -yr)))
            store(e, o + w, fma(0.5 * b, load(e, o + w), fma(a, qi, -yi)))
        solve(n, J, d, e)
        for o in range(0, step * n, w):
            store(p, o, load(p, o) + load(e, o))
        limit = select(arrives, nothing + final, nothing + closeness)
        good = square_norm(n, e) <= limit * limit * square_norm(n, p)
        for o in range(0, step * n, w):
            store(y, o, select(good, load(p, o), load(y, o)))
        now = select(good, after, now)
        store(t, 0, now)
        store(halvings, 0, select(good, minimum(2.0 * load(halvings, 0), 1.0), 0.5 * load(halvings, 0)))
        store(count, 0, load(count, 0) + 1.0)
        if any_lane((now >= 1.0) | (load(count, 0) >= most) | (load(halvings, 0) < _SMALLEST)):
            for lane in range(w):
                if not (t[lane] >= 1.0 or count[lane] >= most or halvings[lane] < _SMALLEST):
                    continue
                row = owner[lane]
                if row >= 0:
                    for i in range(n):
                        ends[row, i] = y[step * i + lane]
                        ends[row, n + i] = y[step * i + w + lane]
                    if not t[lane] >= 1.0:
                        status[row] = 0
                    tries[row] += int(count[lane])
                    live -= 1
                    owner[lane] = -1
                while following < len(status) and status[following] == 0:
                    following += 1
                if following < len(status):
                    _take(following, lane, n, ends, y, t, halvings, count)
                    owner[lane] = following
                    following += 1
                    live += 1
                else:  # nothing is left: the lane goes round with a path of no account
                    t[lane], halvings[lane], count[lane] = 0.0, 1.0, 0.0


@jit
def polish(T, n, rounds, certify, points, facts):
    """Make Newton steps from points (N, 2 n) and, where asked to, gather what a certificate needs at the last place.

    ``facts`` (N, 5) receives |K|_F, |1 - J K|_F, |F|, |J|_F for an approximate inverse K, and the length of the last
    step. Without ``certify`` it receives the last alone. Double precision.
    """
    w = width(T)
    step = 2 * w
    pairs = n * (n + 1) // 2
    room = step * (pairs + 4)
    y, e, f, d = np.zeros(step * n), np.zeros(step * n), np.zeros(step * n), np.zeros(step * n)
    A, J, scratch, out = np.zeros(room), np.zeros(room), np.zeros(2 * step * n), np.zeros(5 * w)
    one = zeros(T) + 1.0
    rows = len(points)
    for first in range(0, rows, w):
        for lane in range(w):
            row = min(first + lane, rows - 1)
            for i in range(n):
                y[step * i + lane] = points[row, i]
                y[step * i + w + lane] = points[row, n + i]
        for k in range(rounds + 1):
            contract(T, n, y, A)
            multiply(n, A, y, e)
            for o in range(0, step * n, w):
                store(e, o, fma(0.5, load(e, o), -load(y, o)))
            if k == rounds:
                break
            _jacobian(n, A, J, y, zeros(T), one, 0.0, 0.0)
            factor(n, J, d, scratch)
            solve(n, J, d, e)
            store(out, 4 * w, sqrt(square_norm(n, e)))
            for o in range(0, step * n, w):
                store(y, o, load(y, o) + load(e, o))
        store(out, 2 * w, sqrt(square_norm(n, e)))
        _jacobian(n, A, A, y, zeros(T), one, 0.0, 0.0)
        size = zeros(T)
        for i in range(n):
            for j in range(i + 1):
                o = step * (i * (i + 1) // 2 + j)
                square = fma(load(A, o), load(A, o), load(A, o + w) * load(A, o + w))
                size = size + (square if i == j else square + square)
        for o in range(0, step * pairs, w):
            store(J, o, load(A, o))
        factor(n, J, d, scratch)
        inverse, defect = zeros(T), zeros(T)
        for column in range(n if certify else 0):
            for o in range(0, step * n, w):
                store(e, o, zeros(T))
            store(e, step * column, -one)
            solve(n, J, d, e)  # column ``column`` of K
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
