"""Levenberg-Marquardt on the gradient, eight perceptrons side by side: the walk, not the verdict.

The rule is ``simcore.search.dense``'s, which takes over where a start ends here: H and g at x, the step
-(H^2 + mu)^-1 H g, and its gain in |g|^2 over the linear model's. With H = Q T Q', T tridiagonal, and b = Q'g the step
is -Q Re z, z = (T + i sqrt(mu))^-1 b, and the model's |g + H step|^2 is mu |Im z|^2: so one reduction serves every mu
that is tried at a point, and a trial costs a gradient.

A lane's start that ended is replaced by the next. No arithmetic crosses lanes: a row depends on its start alone.
"""

from __future__ import annotations

import numpy as np

from simcore.backends.cpu.dispatch import advance, evaluate, prepare, system
from simcore.backends.cpu.lanes import ENDED, fill, refill
from simcore.backends.cpu.ldlt import rotate, tridiagonalise
from simcore.backends.cpu.network import slope
from simcore.backends.cpu.regularised import _dot, _solve
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import any_lane, load, store, zeros
from simcore.compilation import jit
from simcore.formulas.intrinsics import absolute, fma, maximum, select, sqrt
from simcore.formulas.steps import capped_fraction

T = LANES
_HUGE = 1e300
_TRIALS = 6  # tried at a point before the lanes that moved go on


@jit
def _bent(diagonal, off_diagonal, n, b):
    """Return |T b|^2 of eight lanes."""
    total = zeros()
    for i in range(0, n * 8, 8):
        row = load(diagonal, i) * load(b, i)
        if i > 0:
            row = fma(load(off_diagonal, i), load(b, i - 8), row)
        if i + 8 < n * 8:
            row = fma(load(off_diagonal, i + 8), load(b, i + 8), row)
        total = fma(row, row, total)
    return total


@jit
def search(problem, starts, options, x_out, iterations, mu_out, flat_out, rejected_out):
    """Walk from every start, shape (S, n), until it is settled or must stop; write where it then is and its state.

    ``options`` = (step_cap, gradient_tolerance, decrement_tolerance, max_iterations, region, zero_tolerance, damping,
    patience, flat_early, most_rejected). A start stops where |g| and the decrement are small, out of the region, after
    max_iterations trials, after ``patience`` flat points in a row or ``most_rejected`` trials without gain.
    """
    cap, gradient_tolerance, decrement_tolerance, max_iterations, region, zero_tolerance = options[:6]
    damping, patience, flat_early, most_rejected = options[6:]
    n = starts.shape[1]
    tables, tile = prepare(problem)
    A = np.empty(n * (n + 1) // 2 * 8)
    diagonal, off_diagonal, scales = np.empty(n * 8), np.zeros(n * 8), np.empty(n * 8)
    b, d, real, imaginary = np.empty(n * 8), np.empty(n * 8), np.empty(n * 8), np.empty(n * 8)
    memory, home = np.empty(4 * n * 8), np.empty(n * 8)
    mu, flat, rejected, moved = np.full(T, -1.0), np.zeros(T), np.zeros(T), np.zeros(T)
    value, before, after, bent, size, newton = (
        np.empty(8), np.empty(8), np.empty(8), np.empty(8), np.empty(8), np.empty(8),
    )  # fmt: skip
    predicted, furthest, active = np.empty(8), np.empty(8), np.empty(8)
    X, owner, steps, settled, running = fill(starts)
    taken = running
    while running > 0:
        evaluate(tables, tile, X)
        for s in range(0, T, 8):
            occupied = False
            for lane in range(s, s + 8):
                occupied = occupied or owner[lane] >= 0
            if not occupied:
                continue
            store(value, 0, system(tile, X, s, A, b))
            gg, far = zeros(), zeros()
            for i in range(n):
                gi = load(b, i * 8)
                gg = fma(gi, gi, gg)
                xi = load(X, i * T + s)
                far = maximum(far, absolute(xi))
            tridiagonalise(A, n, diagonal, off_diagonal, scales, memory)
            rotate(A, n, scales, b, False)
            frobenius = sqrt(_dot(diagonal, diagonal, n) + 2.0 * _dot(off_diagonal, off_diagonal, n))
            store(newton, 0, _solve(diagonal, off_diagonal, n, frobenius * zero_tolerance, b, d, imaginary, memory))
            store(bent, 0, _bent(diagonal, off_diagonal, n, b))
            store(before, 0, gg)
            store(size, 0, frobenius * frobenius)
            store(furthest, 0, far)
            for lane in range(8):
                at, o = s + lane, owner[s + lane]
                active[lane] = 0.0
                if o < 0:
                    mu[at] = 1.0
                    continue
                if mu[at] < 0.0:
                    mu[at] = damping * size[lane]
                small = before[lane] < gradient_tolerance * gradient_tolerance
                if moved[at] > 0.0:
                    level = not small and bent[lane] < flat_early * flat_early * size[lane] * before[lane]
                    flat[at] = flat[at] + 1.0 if level else 0.0
                finite = before[lane] + abs(value[lane]) < _HUGE and size[lane] < _HUGE
                near = small and newton[lane] < decrement_tolerance * decrement_tolerance
                spent = steps[at] >= max_iterations or flat[at] >= patience or rejected[at] >= most_rejected
                if finite and not near and not spent and furthest[lane] <= region:
                    active[lane] = 1.0
                    moved[at] = 0.0
                    continue
                iterations[o] = int(steps[at])
                mu_out[o], flat_out[o], rejected_out[o] = mu[at], int(flat[at]), int(rejected[at])
                for i in range(n):
                    x_out[o, i] = X[i * T + at]
                owner[at] = ENDED
                mu[at], flat[at], rejected[at], moved[at] = -1.0, 0.0, 0.0, 0.0
            for i in range(n):
                store(home, i * 8, load(X, i * T + s))
            for _ in range(_TRIALS):
                trying = load(active, 0) > 0.0
                if not any_lane(trying):
                    break
                shift = sqrt(maximum(load(mu, s), zeros() + 1e-300))
                t = capped_fraction(_solve(diagonal, off_diagonal, n, shift, b, real, imaginary, memory), cap)
                rest = zeros()
                for i in range(0, n * 8, 8):
                    r = fma(load(b, i), 1.0 - t, -(t * shift * load(imaginary, i)))
                    rest = fma(r, r, rest)
                    store(d, i, select(trying, load(real, i), zeros()))
                store(predicted, 0, gg - rest)
                rotate(A, n, scales, d, True)
                advance(tile, X, s, d, t)
                reached = slope(tile, X, s, real)
                store(after, 0, select(absolute(reached) < _HUGE, _dot(real, real, n), zeros() + 2.0 * _HUGE))
                for lane in range(8):
                    at = s + lane
                    if not active[lane] > 0.0:
                        continue
                    steps[at] += 1.0
                    gain = (before[lane] - after[lane]) / max(predicted[lane], 1e-300)
                    good = after[lane] < before[lane] and gain > 1e-3
                    if good:
                        factor = 0.1 if gain > 0.75 else 2.0 if gain < 0.25 else 1.0
                        rejected[at] = 0.0
                        moved[at] = 1.0
                        active[lane] = 0.0
                    else:
                        factor = 4.0
                        rejected[at] += 1.0
                        for i in range(n):
                            X[i * T + at] = home[i * 8 + lane]
                        if rejected[at] >= most_rejected or steps[at] >= max_iterations:
                            active[lane] = 0.0
                    mu[at] = max(mu[at] * factor, 1e-30)
            taken, running = refill(starts, s, s + 8, X, owner, steps, settled, taken, running)
