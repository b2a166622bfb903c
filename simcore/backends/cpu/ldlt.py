"""Factorisations of eight small symmetric matrices at once, one a lane.

A matrix is packed by rows of its lower triangle: entry (i, j), j <= i, of lane l stands at (i(i+1)/2 + j) 8 + l.

Symbols: U_ij = L_ij d_j before division by the pivot d_j; r_j = 1/d_j.
"""

from __future__ import annotations

from simcore.backends.cpu.small import LARGEST, solve_small
from simcore.backends.cpu.vector import load, store, zeros
from simcore.compilation import jit
from simcore.formulas.intrinsics import absolute, fma, maximum, select, sqrt

_TINY = 1e-300


@jit
def factor(A, n, pivots, row_0, row_1):
    """Overwrite A with U and D of A = L D L', without pivoting; return the largest |d_j| of each lane.

    ``pivots`` (n 8) receives r_j; ``row_0`` and ``row_1`` are scratch (n 8). Columns go in pairs, so that each entry of
    U that is loaded serves two multiplications. Without pivoting the factors can grow: a result whose largest pivot
    far exceeds |A| is to be made again by ``solve_pivoted``.
    """
    growth = zeros()
    for j in range(0, n, 2):
        top = (j * (j + 1) // 2) * 8
        d = load(A, top + j * 8)
        for k in range(j):
            u = load(A, top + k * 8)
            multiplier = u * load(pivots, k * 8)
            store(row_0, k * 8, multiplier)
            d = fma(-multiplier, u, d)
        r0 = 1.0 / d
        growth = maximum(growth, absolute(d))
        store(A, top + j * 8, d)
        store(pivots, j * 8, r0)
        if j + 1 == n:
            break

        below = top + (j + 1) * 8
        u = load(A, below + j * 8)
        d = load(A, below + (j + 1) * 8)
        for k in range(j):
            entry = load(A, below + k * 8)
            u = fma(-entry, load(row_0, k * 8), u)
            multiplier = entry * load(pivots, k * 8)
            store(row_1, k * 8, multiplier)
            d = fma(-multiplier, entry, d)
        last = u * r0
        d = fma(-last, u, d)
        growth = maximum(growth, absolute(d))
        store(A, below + j * 8, u)
        store(A, below + (j + 1) * 8, d)
        store(pivots, (j + 1) * 8, 1.0 / d)

        i = j + 2
        while i + 4 <= n:
            b0 = (i * (i + 1) // 2) * 8
            b1 = b0 + (i + 1) * 8
            b2 = b1 + (i + 2) * 8
            b3 = b2 + (i + 3) * 8
            p0, q0 = load(A, b0 + j * 8), load(A, b0 + j * 8 + 8)
            p1, q1 = load(A, b1 + j * 8), load(A, b1 + j * 8 + 8)
            p2, q2 = load(A, b2 + j * 8), load(A, b2 + j * 8 + 8)
            p3, q3 = load(A, b3 + j * 8), load(A, b3 + j * 8 + 8)
            for k in range(0, j * 8, 8):
                m0, m1 = -load(row_0, k), -load(row_1, k)
                e0, e1, e2, e3 = load(A, b0 + k), load(A, b1 + k), load(A, b2 + k), load(A, b3 + k)
                p0, q0 = fma(e0, m0, p0), fma(e0, m1, q0)
                p1, q1 = fma(e1, m0, p1), fma(e1, m1, q1)
                p2, q2 = fma(e2, m0, p2), fma(e2, m1, q2)
                p3, q3 = fma(e3, m0, p3), fma(e3, m1, q3)
            store(A, b0 + j * 8, p0)
            store(A, b0 + j * 8 + 8, fma(-p0, last, q0))
            store(A, b1 + j * 8, p1)
            store(A, b1 + j * 8 + 8, fma(-p1, last, q1))
            store(A, b2 + j * 8, p2)
            store(A, b2 + j * 8 + 8, fma(-p2, last, q2))
            store(A, b3 + j * 8, p3)
            store(A, b3 + j * 8 + 8, fma(-p3, last, q3))
            i += 4
        while i < n:
            b0 = (i * (i + 1) // 2) * 8
            p0, q0 = load(A, b0 + j * 8), load(A, b0 + j * 8 + 8)
            for k in range(0, j * 8, 8):
                e0 = load(A, b0 + k)
                p0, q0 = fma(-e0, load(row_0, k), p0), fma(-e0, load(row_1, k), q0)
            store(A, b0 + j * 8, p0)
            store(A, b0 + j * 8 + 8, fma(-p0, last, q0))
            i += 1
    return growth


@jit
def solve(A, n, pivots, row_0, row_1, x, scratch):
    """Overwrite x (n 8) with the solution of A x = b, unpivoted; return the largest |d_j| of each lane.

    A may be overwritten; the other arguments are the scratch of ``factor`` and ``substitute``.
    """
    if n <= LARGEST:
        return solve_small(n, A, x)
    growth = factor(A, n, pivots, row_0, row_1)
    substitute(A, n, pivots, x, scratch)
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
    u, p, v, w = 0, n * 8, 2 * n * 8, 3 * n * 8  # this reflection's u and A u, the last one's u and q
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
