"""Paths of the homotopy for p >= 4, one a lane, in double precision; the twin of ``simcore.proof.cubic``.

With m = p - 1, T y^q for T with q of its indices contracted with y, and two stages that carry a g y_i^m to b T y^m:

    F(y) = a g y^m + b T y^m - y,    J = m (a g diag(y^(m-1)) + b T y^(m-1)) - 1,
    J c1 = -(a' g y^m + b' T y^m)
    J c2 = -(C(m,2) (a g y^(m-2) c1^2 + b T y^(m-2) c1^2) + m (a' g y^(m-1) c1 + b' T y^(m-1) c1))
    J c3 = -(2 C(m,2) (a g y^(m-2) c1 c2 + b T y^(m-2) c1 c2) + C(m,3) (a g y^(m-3) c1^3 + b T y^(m-3) c1^3)
             + m (a' g y^(m-1) c2 + b' T y^(m-1) c2) + C(m,2) (a' g y^(m-2) c1^2 + b' T y^(m-2) c1^2)).

A symmetric tensor with q indices is kept once a multiset of indices: C(n + q - 1, q) entries, pairs in the order of
packed matrices. ``tables`` say, level by level, where the entry of a multiset and one more index stands; levels p - 1,
..., 2.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from simcore.compilation import jit
from simcore.proof.lanes import any_lane, fma, load, maximum, minimum, select, sqrt, store, width, zeros
from simcore.proof.linear import contract, factor, multiply, solve, square_norm

_RADIUS = 0.75
_SMALLEST = 1e-5


def multisets(n: int, q: int) -> list[tuple[int, ...]]:
    """Return the multisets of q of n indices in the order of the kernels: pairs (k, j), k <= j, by j first."""
    if q == 2:
        return [(k, j) for j in range(n) for k in range(j + 1)]
    return list(itertools.combinations_with_replacement(range(n), q))


def tables(n: int, p: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (rows, first row of each level): row of a multiset of level q, q = 2, ..., p - 2, holds the places of it
    and one more index in level q + 1; ``first[q]`` is where level q begins."""
    parts, first, begin = [], np.zeros(p, np.int64), 0
    for q in range(2, p - 1):
        place = {s: i for i, s in enumerate(multisets(n, q + 1))}
        rows = [[place[tuple(sorted((*s, l)))] for l in range(n)] for s in multisets(n, q)]  # noqa: E741
        parts.append(np.array(rows, np.int64))
        first[q] = begin
        begin += len(rows)
    return (np.concatenate(parts) if parts else np.zeros((0, n), np.int64)), first


@jit(inner=True)
def _lower(rows, first, count, n, M, v, A):
    """A_s = sum_l M_(s + l) v_l for ``count`` multisets s; at most 2 n + 2 roundings on any term."""
    w = width(M)
    step = 2 * w
    for s in range(count):
        ar, ai, br, bi = zeros(M), zeros(M), zeros(M), zeros(M)
        for l in range(n):  # noqa: E741
            o = step * rows[first + s, l]
            mr, mi, vr, vi = load(M, o), load(M, o + w), load(v, step * l), load(v, step * l + w)
            ar, ai = fma(mr, vr, ar), fma(mr, vi, ai)
            br, bi = fma(-mi, vi, br), fma(mi, vr, bi)
        store(A, step * s, ar + br)
        store(A, step * s + w, ai + bi)


@jit(inner=True)
def _descend(T, rows, first, sizes, n, p, y, levels, A):
    """Contract T with y down to the matrix A = T y^(p-2); levels[q % 2] keep the two last levels above it."""
    if p == 4:
        contract(T, n, y, levels[1])
        _lower(rows, first[2], sizes[2], n, levels[1], y, A)
        return
    contract(T, n, y, levels[(p - 1) % 2])
    for q in range(p - 2, 2, -1):
        _lower(rows, first[q], sizes[q], n, levels[(q + 1) % 2], y, levels[q % 2])
    _lower(rows, first[2], sizes[2], n, levels[1], y, A)


@jit(inner=True)
def _times(n, a, b, out):
    """out = a b, coordinate by coordinate; out may be a or b."""
    w = width(a)
    for o in range(0, 2 * w * n, 2 * w):
        ar, ai, br, bi = load(a, o), load(a, o + w), load(b, o), load(b, o + w)
        store(out, o, fma(ar, br, -(ai * bi)))
        store(out, o + w, fma(ar, bi, ai * br))


@jit(inner=True)
def _power(n, y, q, gr, gi, out):
    """out = g y^q, coordinate by coordinate."""
    w = width(y)
    for o in range(0, 2 * w * n, 2 * w):
        store(out, o, zeros(y) + gr)
        store(out, o + w, zeros(y) + gi)
    for _ in range(q):
        _times(n, out, y, out)


@jit(inner=True)
def _add(n, scale, a, out):
    """out += scale a."""
    w = width(a)
    for o in range(0, 2 * w * n, w):
        store(out, o, fma(scale, load(a, o), load(out, o)))


@jit(inner=True)
def _jacobian(n, m, A, J, diagonal, a, b):
    """J = m (a diag + b A) - 1 for diag = g y^(m-1)."""
    w = width(A)
    step = 2 * w
    for k in range(0, step * (n * (n + 1) // 2), w):
        store(J, k, m * b * load(A, k))
    for i in range(n):
        o = step * (i * (i + 1) // 2 + i)
        store(J, o, fma(m * a, load(diagonal, step * i), load(J, o)) - 1.0)
        store(J, o + w, fma(m * a, load(diagonal, step * i + w), load(J, o + w)))


@jit(inner=True)
def _take(row, lane, n, ends, y, t, halvings, count):
    w = width(y)
    for i in range(n):
        y[2 * w * i + lane] = ends[row, i]
        y[2 * w * i + w + lane] = ends[row, n + i]
    t[lane] = 0.0
    halvings[lane] = 1.0
    count[lane] = 0.0


@jit
def track(T, rows, first, sizes, n, p, second, gr, gi, limits, ends, status, tries):
    """Follow paths through one stage, as ``cubic.track``; ``T`` packed over multisets of p - 1 indices, ``sizes`` the
    numbers of multisets of each level."""
    w = width(T)
    step = 2 * w
    m = p - 1
    aim, closeness, final, most = limits
    two, three = m * (m - 1) / 2.0, m * (m - 1) * (m - 2) / 6.0
    y, q, c1, c2, c3 = (np.zeros(step * n), np.zeros(step * n), np.zeros(step * n), np.zeros(step * n),
                        np.zeros(step * n))  # fmt: skip
    e, f, z, diagonal = np.zeros(step * n), np.zeros(step * n), np.zeros(step * n), np.zeros(step * n)
    room = step * (sizes[p - 1] + 4)
    levels = (np.zeros(room), np.zeros(room))
    spare = np.zeros(room)
    A, B, J, E = (np.zeros(step * (sizes[2] + 4)), np.zeros(step * (sizes[2] + 4)), np.zeros(step * (sizes[2] + 4)),
                  np.zeros(step * (sizes[2] + 4)))  # fmt: skip
    d, scratch = np.zeros(step * n), np.zeros(2 * step * n)
    t, halvings, count = np.zeros(w), np.ones(w), np.zeros(w)
    owner = np.full(w, -1)
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
    da, db = (-1.0, 0.0) if second else (0.0, 1.0)
    while live > 0:
        now = load(t, 0)
        rest = one - now
        a = rest if second else one
        b = one if second else now
        _descend(T, rows, first, sizes, n, p, y, levels, A)  # levels[1] = T y^(p-3), for p > 4 levels[0] = T y^(p-4)
        _power(n, y, m - 1, gr, gi, diagonal)
        _jacobian(n, m, A, J, diagonal, a, b)
        factor(n, J, d, scratch)
        multiply(n, A, y, c1)
        _times(n, diagonal, y, e)
        for o in range(0, step * n, w):
            store(c1, o, fma(nothing + da, load(e, o), db * load(c1, o)))
        solve(n, J, d, c1)
        _lower(rows, first[2], sizes[2], n, levels[1], c1, B)
        multiply(n, B, c1, z)
        multiply(n, A, c1, c2)
        _power(n, y, m - 2, gr, gi, f)
        _times(n, f, c1, f)  # g y^(m-2) c1
        _times(n, f, c1, e)
        _times(n, diagonal, c1, q)
        for o in range(0, step * n, w):
            bent, bend = load(e, o), load(z, o)
            mixed = fma(nothing + da, load(q, o), db * load(c2, o))
            store(c2, o, fma(two * one, fma(a, bent, b * bend), m * mixed))
            store(z, o, two * fma(nothing + da, bent, db * bend))
        solve(n, J, d, c2)
        multiply(n, B, c2, e)
        _times(n, f, c2, f)
        multiply(n, A, c2, c3)
        _times(n, diagonal, c2, q)
        for o in range(0, step * n, w):
            mixed = fma(nothing + da, load(q, o), db * load(c3, o))
            store(c3, o, fma(2.0 * two * one, fma(a, load(f, o), b * load(e, o)), m * mixed) + load(z, o))
        if p == 4:
            contract(T, n, c1, spare)
        else:
            _lower(rows, first[3], sizes[3], n, levels[0], c1, spare)
        _lower(rows, first[2], sizes[2], n, spare, c1, E)
        multiply(n, E, c1, e)
        _power(n, y, m - 3, gr, gi, f)
        _times(n, f, c1, f)
        _times(n, f, c1, f)
        _times(n, f, c1, f)
        for o in range(0, step * n, w):
            store(c3, o, fma(three * one, fma(a, load(f, o), b * load(e, o)), load(c3, o)))
        solve(n, J, d, c3)
        size, second_size = sqrt(square_norm(n, y)), sqrt(square_norm(n, c2))
        third_size = maximum(sqrt(square_norm(n, c3)), 1e-30)
        radius = second_size / third_size
        h = minimum(sqrt(sqrt(aim * size * radius / third_size)), _RADIUS * radius) * load(halvings, 0)
        arrives = h >= rest * 0.999
        h = select(arrives, rest, h)
        after = select(arrives, one, now + h)
        for o in range(0, step * n, w):
            store(q, o, fma(h, fma(h, fma(h, load(c3, o), load(c2, o)), load(c1, o)), load(y, o)))
        a = one - after if second else one
        b = one if second else after
        _descend(T, rows, first, sizes, n, p, q, levels, A)
        _power(n, q, m - 1, gr, gi, diagonal)
        _jacobian(n, m, A, J, diagonal, a, b)
        factor(n, J, d, scratch)
        multiply(n, A, q, e)
        _times(n, diagonal, q, f)
        for o in range(0, step * n, w):
            store(e, o, fma(b, load(e, o), fma(a, load(f, o), -load(q, o))))
        solve(n, J, d, e)
        for o in range(0, step * n, w):
            store(q, o, load(q, o) + load(e, o))
        limit = select(arrives, nothing + final, nothing + closeness)
        good = square_norm(n, e) <= limit * limit * square_norm(n, q)
        for o in range(0, step * n, w):
            store(y, o, select(good, load(q, o), load(y, o)))
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
                else:
                    t[lane], halvings[lane], count[lane] = 0.0, 1.0, 0.0


@jit
def polish(T, rows, first, sizes, n, p, rounds, certify, points, facts):
    """Make Newton steps towards zeros of T y^(p-1) - y and gather facts, as ``cubic.polish``."""
    w = width(T)
    step = 2 * w
    m = p - 1
    y, e, f, d, none = (np.zeros(step * n), np.zeros(step * n), np.zeros(step * n), np.zeros(step * n),
                        np.zeros(step * n))  # fmt: skip
    room = step * (sizes[p - 1] + 4)
    levels = (np.zeros(room), np.zeros(room))
    A, J = np.zeros(step * (sizes[2] + 4)), np.zeros(step * (sizes[2] + 4))
    scratch, out = np.zeros(2 * step * n), np.zeros(5 * w)
    one = zeros(T) + 1.0
    many = len(points)
    for begin in range(0, many, w):
        for lane in range(w):
            row = min(begin + lane, many - 1)
            for i in range(n):
                y[step * i + lane] = points[row, i]
                y[step * i + w + lane] = points[row, n + i]
        for k in range(rounds + 1):
            _descend(T, rows, first, sizes, n, p, y, levels, A)
            multiply(n, A, y, e)
            for o in range(0, step * n, w):
                store(e, o, load(e, o) - load(y, o))
            _jacobian(n, m, A, J, none, zeros(T), one)
            if k == rounds:
                break
            factor(n, J, d, scratch)
            solve(n, J, d, e)
            store(out, 4 * w, sqrt(square_norm(n, e)))
            for o in range(0, step * n, w):
                store(y, o, load(y, o) + load(e, o))
        store(out, 2 * w, sqrt(square_norm(n, e)))
        size = zeros(T)
        for i in range(n):
            for j in range(i + 1):
                o = step * (i * (i + 1) // 2 + j)
                square = fma(load(J, o), load(J, o), load(J, o + w) * load(J, o + w))
                size = size + (square if i == j else square + square)
                store(A, o, load(J, o))
                store(A, o + w, load(J, o + w))
        factor(n, J, d, scratch)
        inverse, defect = zeros(T), zeros(T)
        for column in range(n if certify else 0):
            for o in range(0, step * n, w):
                store(e, o, zeros(T))
            store(e, step * column, -one)
            solve(n, J, d, e)
            inverse = inverse + square_norm(n, e)
            multiply(n, A, e, f)
            store(f, step * column, load(f, step * column) - 1.0)
            defect = defect + square_norm(n, f)
        store(out, 0, sqrt(inverse))
        store(out, w, sqrt(defect))
        store(out, 3 * w, sqrt(size))
        for lane in range(w):
            if begin + lane < many:
                for k in range(5):
                    facts[begin + lane, k] = out[k * w + lane]
                for i in range(n):
                    points[begin + lane, i] = y[step * i + lane]
                    points[begin + lane, n + i] = y[step * i + w + lane]


def binomials(n: int, p: int) -> NDArray[np.int64]:
    """Return the number of multisets of q of n indices, q = 0, ..., p - 1."""
    return np.array([math.comb(n + q - 1, q) for q in range(p)], np.int64)
