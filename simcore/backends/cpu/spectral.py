"""Functions of eight tridiagonal matrices side by side, times a vector: by all eigenvalues, without eigenvectors.

T = Z diag(w) Z' by the implicit QL method. Its rotations act on the vector as they are made, which gives Z'b; they are
kept, so that Z c takes them backwards. That costs O(n^2) in place of the O(n^3) of eigenvectors. An off-diagonal entry
below rounding beside |T|_F is taken as zero, so every w and every step is that of a matrix within rounding of T.

Lanes go through the same eigenvalues together; where one has found its own, or its matrix falls apart, its rotations
are by no angle. A lane's numbers depend on that lane alone.

Source: Bowdler, Martin, Reinsch & Wilkinson, Numerische Mathematik 11 (1968) 293.
"""

from __future__ import annotations

import numpy as np

from simcore.backends.cpu.vector import any_lane, load, store, zeros
from simcore.compilation import jit
from simcore.formulas.intrinsics import absolute, fma, maximum, select, sqrt

_SWEEPS = 30  # an eigenvalue; two are usual
_EPSILON = 1.1e-16


@jit
def saddle_free(diagonal, off_diagonal, n, b, floor, climbed, out, w, e, turns, sweeps):
    """Set out = |T|^-1 b, |eigenvalues| raised to ``floor`` times the largest, the ``climbed`` lowest negative.

    ``w`` and ``e``, n 8 doubles each, end as eigenvalues and scratch; ``turns`` and ``sweeps`` hold rotations. Both are
    returned, since they grow where they have to.
    """
    made, count, turns, sweeps = _diagonalise(diagonal, off_diagonal, n, b, out, w, e, turns, sweeps)
    top = zeros()
    for i in range(0, n * 8, 8):
        top = maximum(top, absolute(load(w, i)))
    for i in range(0, n * 8, 8):
        own = load(w, i)
        c = load(out, i) / maximum(maximum(absolute(own), floor * top), zeros() + 1e-300)
        if climbed > 0.0:
            lower = zeros()
            for k in range(0, n * 8, 8):
                lower = lower + select(load(w, k) < own, zeros() + 1.0, zeros())
            c = select(lower < climbed, -c, c)
        store(out, i, c)
    for sweep in range(count - 1, -1, -1):
        for i in range(sweeps[sweep] * 8, (n - 1) * 8, 8):
            made -= 16
            c, s = load(turns, made), load(turns, made + 8)
            low, high = load(out, i), load(out, i + 8)
            store(out, i, fma(c, low, s * high))
            store(out, i + 8, fma(c, high, -(s * low)))
    return turns, sweeps


@jit
def _diagonalise(diagonal, off_diagonal, n, b, out, w, e, turns, sweeps):
    """Set eigenvalues w and out = Z'b; return how many numbers stand in ``turns``, how many sweeps, and both arrays."""
    square = zeros()
    for i in range(0, n * 8, 8):
        store(w, i, load(diagonal, i))
        store(out, i, load(b, i))
        coupling = load(off_diagonal, i + 8) if i + 8 < n * 8 else zeros()  # e_i stands between i and i + 1
        store(e, i, coupling)
        square = fma(load(diagonal, i), load(diagonal, i), fma(2.0 * coupling, coupling, square))
    tiny, one = _EPSILON * sqrt(square), zeros() + 1.0
    ends, bottom = np.empty(8), np.empty(8)
    made, count = 0, 0
    for low in range(n - 1):
        at = low * 8
        for _ in range(_SWEEPS):
            last = zeros() + (n - 1.0)  # the first i >= low after which the matrix falls apart
            for i in range(n - 2, low - 1, -1):
                last = select(absolute(load(e, i * 8)) > tiny, last, zeros() + float(i))
            going = last > float(low)
            if not any_lane(going):
                break
            while made + 16 * n > len(turns):
                turns = _longer(turns)
            if count + 1 > len(sweeps):
                sweeps = _longer(sweeps)
            sweeps[count] = low
            count += 1
            store(ends, 0, last)
            for lane in range(8):
                bottom[lane] = w[int(ends[lane]) * 8 + lane]
            coupling = select(going, load(e, at), one)
            g = (load(w, at + 8) - load(w, at)) / (2.0 * coupling)
            r = sqrt(fma(g, g, one))
            g = load(bottom, 0) - load(w, at) + coupling / (g + select(g < 0.0, -r, r))
            s, c, p = one, one, zeros()
            for i in range(n - 2, low - 1, -1):
                k, on = i * 8, last > float(i)
                f, h = s * load(e, k), c * load(e, k)
                r = sqrt(fma(f, f, g * g))
                inverse = 1.0 / maximum(r, zeros() + 1e-300)
                store(e, k + 8, select(last > i + 1.0, r, load(e, k + 8)))
                s, c = select(on, f * inverse, s), select(on, g * inverse, c)
                moved = load(w, k + 8) - p
                r = fma(load(w, k) - moved, s, 2.0 * (c * h))
                p = select(on, s * r, p)
                g = select(on, fma(c, r, -h), g)
                store(w, k + 8, select(on, moved + p, load(w, k + 8)))
                turn_c, turn_s = select(on, c, one), select(on, s, zeros())
                store(turns, made, turn_c)
                store(turns, made + 8, turn_s)
                made += 16
                f, h = load(out, k + 8), load(out, k)
                store(out, k + 8, fma(turn_s, h, turn_c * f))
                store(out, k, fma(turn_c, h, -(turn_s * f)))
            store(w, at, select(going, load(w, at) - p, load(w, at)))
            store(e, at, select(going, g, load(e, at)))
    return made, count, turns, sweeps


@jit
def _longer(array):
    """Return a copy twice as long."""
    copy = np.empty(2 * len(array), array.dtype)
    copy[: len(array)] = array
    return copy
