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
from simcore.proof.lanes import (
    any_lane,
    fma,
    load,
    maximum,
    minimum,
    pair,
    put,
    select,
    sqrt,
    store,
    take,
    width,
    zeros,
)
from simcore.proof.linear import factor, multiply, solve, square_norm
from simcore.proof.tensor import bend, descend, third

_RADIUS = 0.75
EARLY = 64.0
SMALLEST = 1e-3  # a step that had to be halved ten times over is not going to succeed


@jit(inner=True)
def _powers(n, q, y, gr, gi, low, high):
    """low = g y^q, high = g y^(q+1), coordinate by coordinate."""
    step = 2 * width(y)
    g = pair(zeros(y) + gr, zeros(y) + gi)
    for o in range(0, step * n, step):
        r, x = g, take(y, o)
        for _ in range(q):
            r = r * x
        put(low, o, r)
        put(high, o, r * x)


@jit(inner=True)
def reap(lanes, n, y, t, halvings, count, most, owner, waiting, begin, ends, arrived, tries):
    """Store the paths that have ended and put the next ones, the last ``waiting`` of ``ends``, in their lanes, at t =
    ``begin``; return the number of (paths stored, paths begun)."""
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
        row = len(ends) - waiting + begun
        t[lane], halvings[lane], count[lane], owner[lane] = begin, 1.0, 0.0, -1.0  # without a path the lane idles
        if row < len(ends):
            owner[lane] = row
            begun += 1
            for i in range(n):
                y[step * i + lane] = ends[row, i]
                y[step * i + w + lane] = ends[row, n + i]
    return stored, begun


@jit(inner=True)
def _linearise(T, tables, n, p, y, gr, gi, b, above, z, low, high, J, d, scratch, e):
    """low = g y^(m-2), high = g y^(m-1), e = J y, J and d the factors of J at y."""
    w = width(y)
    step, m = 2 * w, p - 1
    scale = m * b
    for o in range(0, step * n, step):
        put(z, o, scale * take(y, o))
    descend(T, tables, n, p, y, z, above, J)
    _powers(n, m - 2, y, gr, gi, low, high)
    scale = m - scale
    for i in range(n):
        o = step * (i * (i + 1) // 2 + i)
        put(J, o, fma(scale, take(high, step * i), take(J, o)))
        store(J, o, load(J, o) - 1.0)
    multiply(n, J, y, e)
    factor(n, J, d, scratch)


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
    waiting, left = len(ends), len(ends)
    while True:
        if any_lane((load(t, 0) >= 1.0) | (load(count, 0) >= most) | (load(halvings, 0) < SMALLEST)):
            stored, begun = reap(lanes, n, y, t, halvings, count, most, owner, waiting, begin, ends, arrived, tries)
            waiting -= begun
            left -= stored
            if left == 0:
                return
        b = load(t, 0)
        a, over = 1.0 - b, 1.0 / b
        _linearise(T, tables, n, p, y, gr, gi, b, above, z, low, high, J, d, scratch, c1)
        for o in range(0, step * n, step):
            x = take(y, o)
            x = over * (part * (take(c1, o) + x) - take(high, o) * x)
            put(c1, o, x)
            put(q, o, x)
        solve(n, J, d, c1)
        bend(T, tables, n, p, above, c1, B)
        multiply(n, B, c1, z)
        for o in range(0, step * n, step):
            u = take(c1, o)
            k = take(low, o) * u  # g y^(m-2) c1
            v, x = k * u, take(z, o)
            put(low, o, k)
            put(z, o, two * (x - v))
            x = fma(over, u - take(q, o) - m * (take(high, o) * u), two * fma(a, v, b * x))
            put(c2, o, x)
            put(q, o, x)
        solve(n, J, d, c2)
        multiply(n, B, c2, e)
        for o in range(0, step * n, step):
            u = take(c2, o)
            x = fma(2.0 * two, fma(a, take(low, o) * u, b * take(e, o)), take(z, o))
            put(c3, o, fma(over, u - take(q, o) - m * (take(high, o) * u), x))
        if tables is not None:
            third(T, tables, n, p, above, c1, B, e)
            _powers(n, m - 3, y, gr, gi, low, high)
            for o in range(0, step * n, step):
                x, u = take(low, o), take(c1, o)
                for _ in range(3):
                    x = x * u
                put(c3, o, fma(three, fma(a, x, b * take(e, o)), take(c3, o)))
        solve(n, J, d, c3)
        h, after, arrives = stride(n, aim, sqrt(square_norm(n, y)), c2, c3, load(halvings, 0), b)
        for o in range(0, step * n, step):
            put(q, o, fma(h, fma(h, fma(h, take(c3, o), take(c2, o)), take(c1, o)), take(y, o)))
        _linearise(T, tables, n, p, q, gr, gi, after, above, z, low, high, J, d, scratch, e)
        for o in range(0, step * n, step):
            put(e, o, part * (take(e, o) - (m - 1.0) * take(q, o)))
        solve(n, J, d, e)
        for o in range(0, step * n, step):
            put(q, o, take(q, o) + take(e, o))
        limit = select(arrives, nothing + final, nothing + closeness)
        good = square_norm(n, e) <= limit * limit * square_norm(n, q)
        for o in range(0, step * n, w):
            store(y, o, select(good, load(q, o), load(y, o)))
        store(t, 0, select(good, after, b))
        store(halvings, 0, select(good, minimum(2.0 * load(halvings, 0), 1.0), 0.5 * load(halvings, 0)))
        store(count, 0, load(count, 0) + 1.0)
