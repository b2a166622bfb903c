"""Descent of |gradient| without a Hessian: the first part of a search of many variables.

From a start of typical gradient the first steps only have to bring |g| down to where soft modes alone remain, and a few
products H v say enough for that. Each step takes d in the Krylov space of k Lanczos vectors q_1 = g/|g|, ..., q_k that
minimises |g + H d| with |d| <= cap; a start leaves when a step takes less than a fifth off |g|, or after 15 steps.

With T the (k+1) x k tridiagonal matrix of Lanczos' recurrence, H Q_k = Q_(k+1) T, so d = Q_k y where
(T'T + s) y = -|g| T'e_1, s >= 0 such that |y| <= cap; T'T has two off-diagonals and is factored as L D L'. The vectors
are not orthogonalised again: k is too small for any eigenvector to converge.

Source: Lanczos' recurrence, Golub and Van Loan, Matrix Computations, 4th ed., section 10.1; the constants were found by
measurement (docs/performance.md).
"""

from __future__ import annotations

import numpy as np

from simcore.backends.cpu.dispatch import prepare
from simcore.backends.cpu.lanes import ENDED, fill, refill
from simcore.backends.cpu.singles import narrow, widen
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import any_lane, load, store, zeros
from simcore.backends.cpu.waves import advance, slope
from simcore.backends.cpu.waves_single import evaluate_amplitudes, multiply_hessian, prepare_single
from simcore.compilation import jit
from simcore.formulas.intrinsics import fma, select, sqrt

T = LANES
VECTORS = 10
STEPS = 15
_LONGER = 2.5  # cap of a step here, in caps of the search
_ENOUGH = 0.64  # |g|^2 after a step, relative to before, above which a start leaves
_TRIALS = 14  # bisections of ln s over 14 decades: |d| then matches the cap to about a hundredth


@jit
def _banded(bands, order, s, y, work):
    """Set y to the solution of (B + s) y = -r for eight lanes and return |y|^2.

    ``bands`` holds B's diagonal, its first and second off-diagonals and r, each ``order`` rows of eight, and B + s =
    L D L'. ``work`` is scratch of 3 order 8 doubles.
    """
    first, second, right = order * 8, 2 * order * 8, 3 * order * 8
    l1, l2, inverse = 0, order * 8, 2 * order * 8
    for k in range(0, order * 8, 8):
        d = load(bands, k) + s
        b = -load(bands, right + k)
        far = zeros()
        if k >= 16:
            far = load(bands, second + k - 16)
            factor = far * load(work, inverse + k - 16)
            store(work, l2 + k, factor)
            d = fma(-factor, far, d)
            b = fma(-factor, load(y, k - 16), b)
        if k >= 8:
            e = load(bands, first + k - 8)
            if k >= 16:
                e = fma(-far, load(work, l1 + k - 8), e)
            factor = e * load(work, inverse + k - 8)
            store(work, l1 + k, factor)
            d = fma(-factor, e, d)
            b = fma(-factor, load(y, k - 8), b)
        store(work, inverse + k, 1.0 / d)
        store(y, k, b)
    square = zeros()
    for k in range((order - 1) * 8, -8, -8):
        total = load(y, k) * load(work, inverse + k)
        if k + 8 < order * 8:
            total = fma(-load(work, l1 + k + 8), load(y, k + 8), total)
        if k + 16 < order * 8:
            total = fma(-load(work, l2 + k + 16), load(y, k + 16), total)
        store(y, k, total)
        square = fma(total, total, square)
    return square


@jit
def _smallest_residual(alpha, beta, norm, order, cap, y, bands, work):
    """Set y to the minimiser of |norm e_1 + T y|, |y| <= cap: T_jj = alpha_j, T_(j+1)j = T_j(j+1) = beta_(j+1)."""
    size = order * 8
    for k in range(0, size, 8):
        a, b = load(alpha, k), load(beta, k + 8)
        diagonal = fma(a, a, b * b)
        if k > 0:
            before = load(beta, k)
            diagonal = fma(before, before, diagonal)
        store(bands, k, diagonal)
        store(bands, 3 * size + k, zeros())
        if k + 8 < size:
            store(bands, size + k, b * (a + load(alpha, k + 8)))
        if k + 16 < size:
            store(bands, 2 * size + k, b * load(beta, k + 16))
    store(bands, 3 * size, norm * load(alpha, 0))
    if order > 1:
        store(bands, 3 * size + 8, norm * load(beta, 8))
    a, b = load(alpha, 0), load(beta, 8)
    high = norm * sqrt(fma(a, a, b * b)) * (1.0 / cap)  # |y| <= |T'e_1| norm / s
    low = high * 1e-14
    too_long = _banded(bands, order, low, y, work) > cap * cap
    if any_lane(too_long):
        high = select(too_long, high, low)
        for _ in range(_TRIALS):
            middle = sqrt(low * high)
            long = _banded(bands, order, middle, y, work) > cap * cap
            low = select(long, middle, low)
            high = select(long, high, middle)
        _banded(bands, order, high, y, work)


@jit
def _first_vector(tile, X, s, g, single, basis):
    """Store g/|g| of eight lanes as the first Lanczos vector; return |g|."""
    n = tile.n
    slope(tile, X, s, g)
    square = zeros()
    for i in range(0, n * 8, 8):
        gi = load(g, i)
        square = fma(gi, gi, square)
    norm = sqrt(square)
    inverse = select(norm > 0.0, 1.0 / norm, zeros())
    for i in range(n):
        q = load(g, i * 8) * inverse
        narrow(single.vector, i * T + s, q)
        narrow(basis, i * T + s, q)
    return norm


@jit
def _next_vector(tile, s, j, v, single, basis, alpha, beta):
    """Take H q_j of eight lanes from the tile; store alpha_j, beta_(j+1) and q_(j+1)."""
    n, mu = tile.n, tile.confinement
    here = j * n * T + s
    a = zeros()
    for i in range(n):
        q = widen(basis, here + i * T)
        hq = fma(q, mu, -widen(single.image, i * T + s))
        store(v, i * 8, hq)
        a = fma(q, hq, a)
    b = load(beta, j * 8)
    square = zeros()
    for i in range(n):
        r = fma(-a, widen(basis, here + i * T), load(v, i * 8))
        if j > 0:
            r = fma(-b, widen(basis, here - n * T + i * T), r)
        store(v, i * 8, r)
        square = fma(r, r, square)
    norm = sqrt(square)
    store(alpha, j * 8, a)
    store(beta, j * 8 + 8, norm)
    inverse = select(norm > 0.0, 1.0 / norm, zeros())
    for i in range(n):
        q = load(v, i * 8) * inverse
        narrow(single.vector, i * T + s, q)
        narrow(basis, here + n * T + i * T, q)


@jit
def _squares(tile, X, g, square):
    """Set square (24) to |g|^2 at the tile's points."""
    for s in range(0, T, 8):
        slope(tile, X, s, g)
        total = zeros()
        for i in range(0, tile.n * 8, 8):
            gi = load(g, i)
            total = fma(gi, gi, total)
        store(square, s, total)


@jit
def descend(problem, starts, cap, region, points, counters):
    """Set ``points`` (S, n) to where descent from each start ends; ``points`` may be ``starts``.

    ``counters[2]`` receives the gradients of running starts; each step takes ``VECTORS`` products with the Hessian as
    well. A start that leaves the region, or whose gradient is not finite, ends there: the search that follows says so.
    """
    n = starts.shape[1]
    order = min(VECTORS, n)
    tables, tile = prepare(problem)
    single = prepare_single(problem, True)
    X, owner, steps, settled, running = fill(starts)
    taken = running
    basis = np.zeros((order + 1) * n * T, np.float32)
    alpha, beta = np.zeros((3, order * 8)), np.zeros((3, order * 8 + 8))
    bands, work, y = np.empty(4 * order * 8), np.empty(3 * order * 8), np.empty(order * 8)
    g, d, square, norm = np.empty(n * 8), np.empty(n * 8), np.empty(T), np.empty((3, 8))
    before = np.zeros(T)
    while running > 0:
        evaluate_amplitudes(tables, single, tile, X)
        fresh = False
        _squares(tile, X, g, square)
        for lane in range(T):
            o = owner[lane]
            if o < 0:
                continue
            ends = steps[lane] >= STEPS or not square[lane] < _ENOUGH * before[lane]
            for i in range(n):
                ends = ends or abs(X[i * T + lane]) > region
            if ends and steps[lane] > 0:
                for i in range(n):
                    points[o, i] = X[i * T + lane]
                owner[lane] = ENDED
                fresh = True
            before[lane] = square[lane]
            steps[lane] += 1.0
        if fresh:
            taken, running = refill(starts, 0, T, X, owner, steps, settled, taken, running)
            if running == 0:
                break
            evaluate_amplitudes(tables, single, tile, X)
            _squares(tile, X, g, square)
            for lane in range(T):
                if steps[lane] == 0.0:
                    before[lane] = square[lane]
                    steps[lane] = 1.0
        counters[2] += running
        for s in range(0, T, 8):
            store(norm[s >> 3], 0, _first_vector(tile, X, s, g, single, basis))
        for j in range(order):
            multiply_hessian(single, tables.waves, n)
            for s in range(0, T, 8):
                _next_vector(tile, s, j, g, single, basis, alpha[s >> 3], beta[s >> 3])
        for s in range(0, T, 8):
            group = s >> 3
            _smallest_residual(alpha[group], beta[group], load(norm[group], 0), order, cap * _LONGER, y, bands, work)
            for i in range(n):
                total = zeros()
                for j in range(order):
                    total = fma(load(y, j * 8), widen(basis, (j * n + i) * T + s), total)
                store(d, i * 8, total)
            advance(tile, X, s, d, zeros() - 1.0)
