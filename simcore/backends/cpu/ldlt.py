"""Factorisations of eight small symmetric matrices at once, one a lane.

A matrix is packed by rows of its lower triangle: entry (i, j), j <= i, of lane l stands at (i(i+1)/2 + j) 8 + l.

Symbols: U_ij = L_ij d_j before division by the pivot d_j; r_j = 1/d_j.
"""

from __future__ import annotations

from simcore.backends.cpu.small import LARGEST, solve_small
from simcore.backends.cpu.tile import processor_tile
from simcore.backends.cpu.vector import load, store, zeros
from simcore.compilation import jit
from simcore.formulas.intrinsics import absolute, fma, maximum, select, sqrt

_TINY = 1e-300
_FOUR_ROWS = processor_tile().width == 8  # four rows by four columns are sixteen sums: too many for narrow registers


@jit
def dot(x, y, n):
    """Return x.y of eight lanes."""
    total = zeros()
    for k in range(0, n * 8, 8):
        total = fma(load(x, k), load(y, k), total)
    return total


@jit
def square_packed(A, n):
    """Return |A|_F^2 of eight lanes of a packed symmetric matrix."""
    total = zeros()
    k = 0
    for i in range(n):
        for _ in range(i):
            entry = load(A, k)
            total = fma(entry + entry, entry, total)
            k += 8
        entry = load(A, k)
        total = fma(entry, entry, total)
        k += 8
    return total


@jit
def factor(A, n, pivots, rows):
    """Overwrite A with U and D of A = L D L', without pivoting; return the largest |d_j| of each lane.

    ``pivots`` (n 8) receives r_j; ``rows`` is scratch (4 n 8). Columns go in fours, so that each entry of U that is
    loaded serves four multiplications: U of n = 100 fills the second-level cache, and twos waited for it. Without
    pivoting the factors can grow: a result whose largest pivot far exceeds |A| is to be made again by
    ``solve_pivoted``.
    """
    growth = zeros()
    m0, m1, m2, m3 = 0, n * 8, 2 * n * 8, 3 * n * 8
    for j in range(0, n, 4):
        l10, l20, l21, l30, l31, l32, growth = _diagonal_block(A, n, j, pivots, rows, growth)
        i = j + 4
        while i + 4 <= n and _FOUR_ROWS:
            b0 = (i * (i + 1) // 2) * 8
            b1 = b0 + (i + 1) * 8
            b2 = b1 + (i + 2) * 8
            b3 = b2 + (i + 3) * 8
            at = j * 8
            p0, q0, s0, t0 = load(A, b0 + at), load(A, b0 + at + 8), load(A, b0 + at + 16), load(A, b0 + at + 24)
            p1, q1, s1, t1 = load(A, b1 + at), load(A, b1 + at + 8), load(A, b1 + at + 16), load(A, b1 + at + 24)
            p2, q2, s2, t2 = load(A, b2 + at), load(A, b2 + at + 8), load(A, b2 + at + 16), load(A, b2 + at + 24)
            p3, q3, s3, t3 = load(A, b3 + at), load(A, b3 + at + 8), load(A, b3 + at + 16), load(A, b3 + at + 24)
            for k in range(0, at, 8):
                c0, c1, c2, c3 = load(rows, m0 + k), load(rows, m1 + k), load(rows, m2 + k), load(rows, m3 + k)
                e0, e1, e2, e3 = load(A, b0 + k), load(A, b1 + k), load(A, b2 + k), load(A, b3 + k)
                p0, q0, s0, t0 = fma(e0, c0, p0), fma(e0, c1, q0), fma(e0, c2, s0), fma(e0, c3, t0)
                p1, q1, s1, t1 = fma(e1, c0, p1), fma(e1, c1, q1), fma(e1, c2, s1), fma(e1, c3, t1)
                p2, q2, s2, t2 = fma(e2, c0, p2), fma(e2, c1, q2), fma(e2, c2, s2), fma(e2, c3, t2)
                p3, q3, s3, t3 = fma(e3, c0, p3), fma(e3, c1, q3), fma(e3, c2, s3), fma(e3, c3, t3)
            _finish_row(A, b0 + at, p0, q0, s0, t0, l10, l20, l21, l30, l31, l32)
            _finish_row(A, b1 + at, p1, q1, s1, t1, l10, l20, l21, l30, l31, l32)
            _finish_row(A, b2 + at, p2, q2, s2, t2, l10, l20, l21, l30, l31, l32)
            _finish_row(A, b3 + at, p3, q3, s3, t3, l10, l20, l21, l30, l31, l32)
            i += 4
        while i < n:
            b0 = (i * (i + 1) // 2) * 8
            at = b0 + j * 8
            p0, q0, s0, t0 = load(A, at), load(A, at + 8), load(A, at + 16), load(A, at + 24)
            for k in range(0, j * 8, 8):
                e0 = load(A, b0 + k)
                p0, q0 = fma(e0, load(rows, m0 + k), p0), fma(e0, load(rows, m1 + k), q0)
                s0, t0 = fma(e0, load(rows, m2 + k), s0), fma(e0, load(rows, m3 + k), t0)
            _finish_row(A, at, p0, q0, s0, t0, l10, l20, l21, l30, l31, l32)
            i += 1
    return growth


@jit(inline=True)
def _finish_row(A, at, p, q, s, t, l10, l20, l21, l30, l31, l32):
    """Store four entries of U of one row, the columns of their own block taken off."""
    q = fma(-p, l10, q)
    s = fma(-q, l21, fma(-p, l20, s))
    t = fma(-s, l32, fma(-q, l31, fma(-p, l30, t)))
    store(A, at, p)
    store(A, at + 8, q)
    store(A, at + 16, s)
    store(A, at + 24, t)


@jit(inline=True)
def _pivot(A, pivots, at, j, d, growth):
    """Store one pivot and its reciprocal; return (reciprocal, growth)."""
    inverse = 1.0 / d
    store(A, at, d)
    store(pivots, j * 8, inverse)
    return inverse, maximum(growth, absolute(d))


@jit
def _diagonal_block(A, n, j, pivots, rows, growth):
    """Factorise the block of columns j .. j + 3 and set ``rows`` to minus its rows of L left of it.

    Return its six entries of L and the growth. Rows beyond the last are copies of it, whose results are not stored.
    """
    i1, i2, i3 = min(j + 1, n - 1), min(j + 2, n - 1), min(j + 3, n - 1)
    b0, b1 = (j * (j + 1) // 2) * 8, (i1 * (i1 + 1) // 2) * 8
    b2, b3 = (i2 * (i2 + 1) // 2) * 8, (i3 * (i3 + 1) // 2) * 8
    m0, m1, m2, m3 = 0, n * 8, 2 * n * 8, 3 * n * 8
    c0, c1, c2, c3 = j * 8, i1 * 8, i2 * 8, i3 * 8
    a00 = load(A, b0 + c0)
    a10, a11 = load(A, b1 + c0), load(A, b1 + c1)
    a20, a21, a22 = load(A, b2 + c0), load(A, b2 + c1), load(A, b2 + c2)
    a30, a31, a32, a33 = load(A, b3 + c0), load(A, b3 + c1), load(A, b3 + c2), load(A, b3 + c3)
    for k in range(0, j * 8, 8):
        r = -load(pivots, k)
        u0, u1, u2, u3 = load(A, b0 + k), load(A, b1 + k), load(A, b2 + k), load(A, b3 + k)
        l0, l1, l2, l3 = u0 * r, u1 * r, u2 * r, u3 * r
        store(rows, m0 + k, l0)
        store(rows, m1 + k, l1)
        store(rows, m2 + k, l2)
        store(rows, m3 + k, l3)
        a00, a10, a20, a30 = fma(u0, l0, a00), fma(u1, l0, a10), fma(u2, l0, a20), fma(u3, l0, a30)
        a11, a21, a31 = fma(u1, l1, a11), fma(u2, l1, a21), fma(u3, l1, a31)
        a22, a32 = fma(u2, l2, a22), fma(u3, l2, a32)
        a33 = fma(u3, l3, a33)
    r0, growth = _pivot(A, pivots, b0 + c0, j, a00, growth)
    l10, l20, l30 = a10 * r0, a20 * r0, a30 * r0
    l21, l31, l32 = zeros(), zeros(), zeros()
    if j + 1 < n:
        store(A, b1 + c0, a10)
        r1, growth = _pivot(A, pivots, b1 + c1, i1, fma(-l10, a10, a11), growth)
        a21, a31 = fma(-a20, l10, a21), fma(-a30, l10, a31)
        l21, l31 = a21 * r1, a31 * r1
        if j + 2 < n:
            store(A, b2 + c0, a20)
            store(A, b2 + c1, a21)
            r2, growth = _pivot(A, pivots, b2 + c2, i2, fma(-l21, a21, fma(-l20, a20, a22)), growth)
            a32 = fma(-a31, l21, fma(-a30, l20, a32))
            l32 = a32 * r2
            if j + 3 < n:
                store(A, b3 + c0, a30)
                store(A, b3 + c1, a31)
                store(A, b3 + c2, a32)
                d = fma(-l32, a32, fma(-l31, a31, fma(-l30, a30, a33)))
                _, growth = _pivot(A, pivots, b3 + c3, i3, d, growth)
    return l10, l20, l21, l30, l31, l32, growth


@jit(inner=True)
def substitute_two(U, n, pivots, x, y, scratch):
    """Overwrite x and y (n 8 each) with the solutions for factors from ``factor``; scratch holds 2 n 8 doubles.

    As ``substitute``, each entry of U being read once for both.
    """
    other = n * 8
    for i in range(n):
        row = (i * (i + 1) // 2) * 8
        a0, a1, b0, b1 = load(x, i * 8), zeros(), load(y, i * 8), zeros()
        k = 0
        while k + 2 <= i:
            u0, u1 = -load(U, row + k * 8), -load(U, row + k * 8 + 8)
            a0, b0 = fma(u0, load(x, k * 8), a0), fma(u0, load(y, k * 8), b0)
            a1, b1 = fma(u1, load(x, k * 8 + 8), a1), fma(u1, load(y, k * 8 + 8), b1)
            k += 2
        if k < i:
            u0 = -load(U, row + k * 8)
            a0, b0 = fma(u0, load(x, k * 8), a0), fma(u0, load(y, k * 8), b0)
        r = load(pivots, i * 8)
        store(x, i * 8, (a0 + a1) * r)
        store(y, i * 8, (b0 + b1) * r)
        store(scratch, i * 8, 0.0)
        store(scratch, other + i * 8, 0.0)
    for i in range(n - 1, -1, -1):
        row = (i * (i + 1) // 2) * 8
        r = -load(pivots, i * 8)
        xi = fma(r, load(scratch, i * 8), load(x, i * 8))
        yi = fma(r, load(scratch, other + i * 8), load(y, i * 8))
        store(x, i * 8, xi)
        store(y, i * 8, yi)
        for k in range(0, i * 8, 8):
            u = load(U, row + k)
            store(scratch, k, fma(u, xi, load(scratch, k)))
            store(scratch, other + k, fma(u, yi, load(scratch, other + k)))


@jit
def solve(A, n, pivots, rows, x):
    """Overwrite x (n 8) with the solution of A x = b, unpivoted; return the largest |d_j| of each lane.

    A may be overwritten; ``pivots`` (n 8) and ``rows`` (4 n 8) are scratch.
    """
    if n <= LARGEST:
        return solve_small(n, A, x)
    growth = factor(A, n, pivots, rows)
    substitute(A, n, pivots, x, rows)
    return growth


@jit
def substitute(U, n, pivots, x, scratch):
    """Overwrite x (n 8) with the solution of L D L' x = b for factors from ``factor``."""
    for i in range(n):
        row = (i * (i + 1) // 2) * 8
        s0, s1, s2, s3 = load(x, i * 8), zeros(), zeros(), zeros()
        k = 0
        while k + 4 <= i:
            s0 = fma(-load(U, row + k * 8), load(x, k * 8), s0)
            s1 = fma(-load(U, row + k * 8 + 8), load(x, k * 8 + 8), s1)
            s2 = fma(-load(U, row + k * 8 + 16), load(x, k * 8 + 16), s2)
            s3 = fma(-load(U, row + k * 8 + 24), load(x, k * 8 + 24), s3)
            k += 4
        while k < i:
            s0 = fma(-load(U, row + k * 8), load(x, k * 8), s0)
            k += 1
        store(x, i * 8, ((s0 + s1) + (s2 + s3)) * load(pivots, i * 8))
        store(scratch, i * 8, 0.0)
    for i in range(n - 1, -1, -1):
        row = (i * (i + 1) // 2) * 8
        xi = fma(-load(pivots, i * 8), load(scratch, i * 8), load(x, i * 8))
        store(x, i * 8, xi)
        for k in range(0, i * 8, 8):
            store(scratch, k, fma(load(U, row + k), xi, load(scratch, k)))


@jit
def tridiagonalise(A, n, diagonal, off_diagonal, scales, memory):
    """Reduce A to T = Q'AQ, tridiagonal, by Householder reflections; ``memory`` is scratch of 4 n 8 doubles.

    ``diagonal[i]`` and ``off_diagonal[i]`` (n 8 each) are T_ii and T_i,i-1. Row i of A receives the vector u_i of the
    reflection I - scales[i] u_i u_i' of the first i coordinates, i = n-1 .. 1: ``rotate`` applies them. Backward
    stable whatever the pivots, unlike ``factor``. The update of rank two that a reflection asks for is made while the
    next one reads the matrix, so that each entry passes through the cache once a reflection.

    Source: Golub and Van Loan, Matrix Computations, 4th ed., algorithm 8.3.1, last row first.
    """
    u, p, v, w = 0 * n, n * 8, 2 * n * 8, 3 * n * 8  # this reflection's u and A u, the last one's u and q
    for k in range(v, 4 * n * 8, 8):
        store(memory, k, 0.0)
    for i in range(n - 1, 0, -1):
        row = (i * (i + 1) // 2) * 8
        vi, wi = -load(memory, v + i * 8), -load(memory, w + i * 8)
        square = zeros()
        for k in range(0, i * 8, 8):
            entry = fma(wi, load(memory, v + k), fma(vi, load(memory, w + k), load(A, row + k)))
            store(A, row + k, entry)
            store(memory, u + k, entry)
            store(memory, p + k, 0.0)
            square = fma(entry, entry, square)
        corner = fma(wi, load(memory, v + i * 8), fma(vi, load(memory, w + i * 8), load(A, row + i * 8)))
        store(diagonal, i * 8, corner)
        pivot = load(memory, u + (i - 1) * 8)
        norm = sqrt(square)
        beta = select(pivot < 0.0, norm, -norm)
        store(off_diagonal, i * 8, beta)
        store(memory, u + (i - 1) * 8, pivot - beta)
        store(A, row + (i - 1) * 8, pivot - beta)
        half = fma(-pivot, beta, square)  # |u|^2 / 2
        scale = select(half < _TINY, half * 0.0, 1.0 / half)
        store(scales, i * 8, scale)
        _update_and_multiply(A, i, memory, u, p, v, w)
        overlap = zeros()
        for k in range(0, i * 8, 8):
            pk = load(memory, p + k) * scale
            store(memory, p + k, pk)
            overlap = fma(pk, load(memory, u + k), overlap)
        overlap = overlap * scale * 0.5
        for k in range(0, i * 8, 8):
            store(memory, p + k, fma(-overlap, load(memory, u + k), load(memory, p + k)))
        u, p, v, w = v, w, u, p
    store(diagonal, 0, fma(-2.0 * load(memory, v), load(memory, w), load(A, 0)))


@jit
def _update_and_multiply(A, n, memory, u, p, v, w):
    """A <- A - v w' - w v' on the first n rows, and p <- A u, two rows at a time."""
    r = 0
    while r < n:
        upper = (r * (r + 1) // 2) * 8
        v0, w0, u0 = -load(memory, v + r * 8), -load(memory, w + r * 8), load(memory, u + r * 8)
        if r + 1 == n:
            total = zeros()
            for k in range(0, r * 8, 8):
                a = fma(w0, load(memory, v + k), fma(v0, load(memory, w + k), load(A, upper + k)))
                store(A, upper + k, a)
                total = fma(a, load(memory, u + k), total)
                store(memory, p + k, fma(a, u0, load(memory, p + k)))
            a = fma(w0, load(memory, v + r * 8), fma(v0, load(memory, w + r * 8), load(A, upper + r * 8)))
            store(A, upper + r * 8, a)
            store(memory, p + r * 8, fma(a, u0, load(memory, p + r * 8) + total))
            return
        lower = upper + (r + 1) * 8
        at, below = r * 8, (r + 1) * 8
        v1, w1, u1 = -load(memory, v + below), -load(memory, w + below), load(memory, u + below)
        s0, s1 = zeros(), zeros()
        for k in range(0, at, 8):
            vk, wk, uk = load(memory, v + k), load(memory, w + k), load(memory, u + k)
            a = fma(w0, vk, fma(v0, wk, load(A, upper + k)))
            b = fma(w1, vk, fma(v1, wk, load(A, lower + k)))
            store(A, upper + k, a)
            store(A, lower + k, b)
            s0, s1 = fma(a, uk, s0), fma(b, uk, s1)
            store(memory, p + k, fma(b, u1, fma(a, u0, load(memory, p + k))))
        a = fma(w0, load(memory, v + at), fma(v0, load(memory, w + at), load(A, upper + at)))
        b = fma(w1, load(memory, v + at), fma(v1, load(memory, w + at), load(A, lower + at)))
        c = fma(w1, load(memory, v + below), fma(v1, load(memory, w + below), load(A, lower + below)))
        store(A, upper + at, a)
        store(A, lower + at, b)
        store(A, lower + below, c)
        store(memory, p + at, fma(b, u1, fma(a, u0, load(memory, p + at) + s0)))
        store(memory, p + below, fma(c, u1, fma(b, u0, load(memory, p + below) + s1)))
        r += 2


@jit
def rotate(A, n, scales, x, forward):
    """x <- Q x (``forward``) or Q'x, for the reflections that ``tridiagonalise`` left in A and ``scales``."""
    for step in range(1, n):
        i = step if forward else n - step
        row = (i * (i + 1) // 2) * 8
        overlap = zeros()
        for k in range(0, i * 8, 8):
            overlap = fma(load(A, row + k), load(x, k), overlap)
        overlap = -overlap * load(scales, i * 8)
        for k in range(0, i * 8, 8):
            store(x, k, fma(overlap, load(A, row + k), load(x, k)))


@jit
def count_below(diagonal, off_diagonal, n, shift):
    """Return how many eigenvalues of each tridiagonal matrix lie below a shift, by Sturm's sequence.

    q_0 = d_0 - s, q_i = d_i - s - e_i^2/q_(i-1); the number of negative q_i is the count (Sylvester's law of inertia).
    """
    count = zeros()
    q = zeros() + 1.0
    for i in range(n):
        t = load(diagonal, i * 8) - shift
        if i > 0:
            e = load(off_diagonal, i * 8)
            t = t - e * e / q
        q = select(absolute(t) < _TINY, t * 0.0 - _TINY, t)
        count = count + select(q < 0.0, zeros() + 1.0, zeros())
    return count


@jit
def solve_pivoted(matrix, n, x):
    """Overwrite x (n,) with the solution of one general system, by Gaussian elimination with row exchanges.

    ``matrix`` (n, n) is overwritten. A pivot that vanishes is replaced by rounding's size, which turns the solution
    towards the null direction: the step cap then bounds it. The slow path of a lane whose ``factor`` has grown.
    """
    largest = 0.0
    for i in range(n):
        for j in range(n):
            largest = max(largest, abs(matrix[i, j]))
    floor = 2.2e-16 * largest + _TINY
    for j in range(n):
        best = j
        for i in range(j + 1, n):
            if abs(matrix[i, j]) > abs(matrix[best, j]):
                best = i
        if best != j:
            for k in range(n):
                matrix[j, k], matrix[best, k] = matrix[best, k], matrix[j, k]
            x[j], x[best] = x[best], x[j]
        if abs(matrix[j, j]) < floor:
            matrix[j, j] = floor
        for i in range(j + 1, n):
            multiplier = matrix[i, j] / matrix[j, j]
            if multiplier != 0.0:
                for k in range(j + 1, n):
                    matrix[i, k] -= multiplier * matrix[j, k]
                x[i] -= multiplier * x[j]
    for i in range(n - 1, -1, -1):
        total = x[i]
        for k in range(i + 1, n):
            total -= matrix[i, k] * x[k]
        x[i] = total / matrix[i, i]
