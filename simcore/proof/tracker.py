"""Paths of the homotopy from g y_i^m = y_i to T y^m = y, one a lane.

T is a real symmetric tensor with p = m + 1 >= 3 indices; T y^q is T with q of them contracted with y. With a = 1 - t, b
= t, the zeros of

    F(y) = a g y^m + b T y^m - y    (g y^m: coordinate by coordinate)

are followed from t = 0, where y_i^(m-1) = 1/g or y_i = 0, to t = 1. |g| = 1: for all but finitely many g no path meets
another one before the end (the gamma trick: Sommese & Wampler, *The Numerical Solution of Systems of Polynomials*,
2005, section 7.1). With J = m (a g diag(y^(m-1)) + b T y^(m-1)) - 1,

    J c1 = g y^m - T y^m
    J c2 = -(C(m,2) (a g y^(m-2) c1^2 + b T y^(m-2) c1^2) + m (T y^(m-1) c1 - g y^(m-1) c1))
    J c3 = -(2 C(m,2) (a g y^(m-2) c1 c2 + b T y^(m-2) c1 c2) + C(m,3) (a g y^(m-3) c1^3 + b T y^(m-3) c1^3)
             + m (T y^(m-1) c2 - g y^(m-1) c2) + C(m,2) (T y^(m-2) c1^2 - g y^(m-2) c1^2))

are the Taylor coefficients of the path. A try goes to y + h c1 + h^2 c2 + h^3 c3 and makes one Newton step; it counts
where that step is at most ``closeness`` times |y|, else the next one is half as long. h = (aim |y| R/|c3|)^(1/4), at
most 0.75 R, where R = |c2|/|c3| estimates the radius of convergence, so that the next term is about ``aim`` |y|.

Of all products J x one is computed, J y: c1 and c2 were solved from theirs. They give

    F(y) = (J y - (m - 1) y)/m,   T y^(m-1) x - g y^(m-1) x = ((J x + x)/m - g y^(m-1) x)/b.

Division by a small b would cost digits. So paths begin at t = closeness/``EARLY``, where they are at t = 0: what they
lack is far less than the first Newton step may take up.

Nothing here is trusted: where a path ends is certified afterwards, whatever path it came from.
"""

from __future__ import annotations

from simcore.compilation import jit
from simcore.proof.lanes import any_lane, fma, load, maximum, minimum, select, sqrt, store, width, zeros
from simcore.proof.linear import factor, multiply, product, solve, square_norm
from simcore.proof.tensor import bend, descend, third

_RADIUS = 0.75
EARLY = 64.0
SMALLEST = 1e-3  # a step that had to be halved ten times over is not going to succeed


@jit(inner=True)
def _powers(n, q, y, gr, gi, low, high):
    """low = g y^q, high = g y^(q+1), coordinate by coordinate."""
    w = width(y)
    for o in range(0, 2 * w * n, 2 * w):
        r, i, yr, yi = zeros(y) + gr, zeros(y) + gi, load(y, o), load(y, o + w)
        for _ in range(q):
            r, i = product(r, i, yr, yi)
        store(low, o, r)
        store(low, o + w, i)
        r, i = product(r, i, yr, yi)
        store(high, o, r)
        store(high, o + w, i)


@jit(inner=True)
def reap(lanes, n, y, t, halvings, count, most, owner, following, begin, ends, arrived, tries):
    """Store the paths that have ended and put the next ones, from ``following`` on, in their lanes, at t = ``begin``;
    return the number of (paths stored, paths begun)."""
    w = width(y)
    step = 2 * w
    stored, begun = 0, 0
    for lane in range(lanes):
        if not (t[lane] >= 1.0 or count[lane] >= most or halvings[lane] < SMALLEST):
            continue
        row = int(owner[lane])  # exact up to 2^24 in single precision
        if row >= 0:
            for i in range(n):
                ends[row, i] = y[step * i + lane]
                ends[row, n + i] = y[step * i + w + lane]
            arrived[row] = t[lane] >= 1.0
            tries[row] = int(count[lane])
            stored += 1
        row = following + begun
        t[lane], halvings[lane], count[lane], owner[lane] = begin, 1.0, 0.0, -1.0  # without a path the lane idles
        if row < len(ends):
            owner[lane] = row
            begun += 1
            for i in range(n):
                y[step * i + lane] = ends[row, i]
                y[step * i + w + lane] = ends[row, n + i]
    return stored, begun


@jit(inner=True)
def _linearise(T, tables, n, p, y, gr, gi, a, b, above, z, low, high, J, e):
    """low = g y^(m-2), high = g y^(m-1), J at y and e = J y."""
    w = width(y)
    step, m = 2 * w, p - 1
    scale = m * b
    for o in range(0, step * n, w):
        store(z, o, scale * load(y, o))
    descend(T, tables, n, p, y, z, above, J)
    _powers(n, m - 2, y, gr, gi, low, high)
    scale = m * a
    for i in range(n):
        o, k = step * (i * (i + 1) // 2 + i), step * i
        store(J, o, fma(scale, load(high, k), load(J, o)) - 1.0)
        store(J, o + w, fma(scale, load(high, k + w), load(J, o + w)))
    multiply(n, J, y, e)


@jit(inner=True)
def stride(n, aim, size, c2, c3, share, b):
    """Return (h, t after it, whether that is the end) from t = b: ``share`` of the step of the formula above."""
    last = maximum(sqrt(square_norm(n, c3)), 1e-30)
    radius = sqrt(square_norm(n, c2)) / last
    h = minimum(sqrt(sqrt(aim * size * radius / last)), _RADIUS * radius) * share
    a = 1.0 - b
    arrives = h >= 0.999 * a
    return select(arrives, a, h), select(arrives, zeros(c2) + 1.0, b + h), arrives


@jit
def track(T, tables, n, p, gr, gi, limits, space, ends, arrived, tries):
    """Follow paths; ``ends`` (N, 2 n), real parts first, holds where they begin and receives where they end.

    ``T``, ``tables``, ``space``: ``simcore.proof.tensor``. ``limits`` = (aim, closeness, closeness at the end, most
    tries). ``arrived`` (N,) receives whether t = 1 was reached, ``tries`` (N,) how many were made. The precision of
    ``T`` and ``ends`` is that of the arithmetic.
    """
    w = width(T)
    step, m = 2 * w, p - 1
    aim, closeness, final, most = limits
    begin = closeness / EARLY
    part, two, three = 1.0 / m, m * (m - 1) / 2.0, m * (m - 1) * (m - 2) / 6.0
    vectors, matrices, above = space
    J, B, scratch = matrices[0], matrices[1], vectors[0]
    y, q, c1, c2, c3, e, z = vectors[1], vectors[2], vectors[3], vectors[4], vectors[5], vectors[6], vectors[7]
    low, high, d, t, halvings, count = vectors[8], vectors[9], vectors[10], vectors[11], vectors[12], vectors[13]
    owner = vectors[14]
    nothing = zeros(T)
    lanes = vectors.shape[1] // (4 * n)  # w, but no constant: loops over the lanes would be unrolled and compile long
    for lane in range(lanes):
        t[lane], owner[lane] = 1.0, -1.0
    following, left = 0, len(ends)
    while True:
        if any_lane((load(t, 0) >= 1.0) | (load(count, 0) >= most) | (load(halvings, 0) < SMALLEST)):
            stored, begun = reap(lanes, n, y, t, halvings, count, most, owner, following, begin, ends, arrived, tries)
            following += begun
            left -= stored
            if left == 0:
                return
        b = load(t, 0)
        a, over = 1.0 - b, 1.0 / b
        _linearise(T, tables, n, p, y, gr, gi, a, b, above, z, low, high, J, c1)
        factor(n, J, d, scratch)
        for o in range(0, step * n, step):
            yr, yi = load(y, o), load(y, o + w)
            qr, qi = product(load(high, o), load(high, o + w), yr, yi)
            xr, xi = over * (part * (load(c1, o) + yr) - qr), over * (part * (load(c1, o + w) + yi) - qi)
            store(c1, o, xr)
            store(c1, o + w, xi)
            store(q, o, xr)
            store(q, o + w, xi)
        solve(n, J, d, c1)
        bend(T, tables, n, p, above, c1, B)
        multiply(n, B, c1, z)
        for o in range(0, step * n, step):
            ur, ui = load(c1, o), load(c1, o + w)
            mr, mi = product(load(high, o), load(high, o + w), ur, ui)  # g y^(m-1) c1
            kr, ki = product(load(low, o), load(low, o + w), ur, ui)  # g y^(m-2) c1
            store(low, o, kr)
            store(low, o + w, ki)
            qr, qi = product(kr, ki, ur, ui)
            zr, zi = load(z, o), load(z, o + w)
            xr = fma(over, ur - load(q, o) - m * mr, two * fma(a, qr, b * zr))
            xi = fma(over, ui - load(q, o + w) - m * mi, two * fma(a, qi, b * zi))
            store(c2, o, xr)
            store(c2, o + w, xi)
            store(q, o, xr)
            store(q, o + w, xi)
            store(z, o, two * (zr - qr))
            store(z, o + w, two * (zi - qi))
        solve(n, J, d, c2)
        multiply(n, B, c2, e)
        for o in range(0, step * n, step):
            vr, vi = load(c2, o), load(c2, o + w)
            mr, mi = product(load(high, o), load(high, o + w), vr, vi)
            qr, qi = product(load(low, o), load(low, o + w), vr, vi)
            zr = fma(2.0 * two, fma(a, qr, b * load(e, o)), load(z, o))
            zi = fma(2.0 * two, fma(a, qi, b * load(e, o + w)), load(z, o + w))
            store(c3, o, fma(over, vr - load(q, o) - m * mr, zr))
            store(c3, o + w, fma(over, vi - load(q, o + w) - m * mi, zi))
        if tables is not None:
            third(T, tables, n, p, above, c1, B, e)
            _powers(n, m - 3, y, gr, gi, low, high)
            for o in range(0, step * n, step):
                qr, qi, ur, ui = load(low, o), load(low, o + w), load(c1, o), load(c1, o + w)
                for _ in range(3):
                    qr, qi = product(qr, qi, ur, ui)
                store(c3, o, fma(three, fma(a, qr, b * load(e, o)), load(c3, o)))
                store(c3, o + w, fma(three, fma(a, qi, b * load(e, o + w)), load(c3, o + w)))
        solve(n, J, d, c3)
        h, after, arrives = stride(n, aim, sqrt(square_norm(n, y)), c2, c3, load(halvings, 0), b)
        for o in range(0, step * n, w):
            store(q, o, fma(h, fma(h, fma(h, load(c3, o), load(c2, o)), load(c1, o)), load(y, o)))
        a = 1.0 - after
        _linearise(T, tables, n, p, q, gr, gi, a, after, above, z, low, high, J, e)
        factor(n, J, d, scratch)
        for o in range(0, step * n, w):
            store(e, o, part * fma(1.0 - m, load(q, o), load(e, o)))
        solve(n, J, d, e)
        for o in range(0, step * n, w):
            store(q, o, load(q, o) + load(e, o))
        limit = select(arrives, nothing + final, nothing + closeness)
        good = square_norm(n, e) <= limit * limit * square_norm(n, q)
        for o in range(0, step * n, w):
            store(y, o, select(good, load(q, o), load(y, o)))
        store(t, 0, select(good, after, b))
        store(halvings, 0, select(good, minimum(2.0 * load(halvings, 0), 1.0), 0.5 * load(halvings, 0)))
        store(count, 0, load(count, 0) + 1.0)
