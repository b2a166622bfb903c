"""Levenberg-Marquardt on |grad f|^2 for eight networks side by side, with geodesic acceleration and its own verdicts;
saddle-free Newton in the same loop.

At x with gradient g and Hessian H the step is v = -(H^2 + mu)^-1 H g, the least-squares step of min |g|^2. A trial is
judged by its gain, the fall of |g|^2 over the linear model's. With H = Q T Q', T tridiagonal, and b = Q'g the step is
-Q Re z, z = (T + i sqrt(mu))^-1 b, and the model's |g + H v|^2 is mu |Im z|^2: one reduction serves every mu that is
tried at a point, and a trial costs a gradient.

Geodesic acceleration: with k = d^2/dt^2 g(x + t v), by one more gradient at x + v/10, the parabola v + a/2, a =
-(H^2 + mu)^-1 H k, is walked where 2|a| <= |v|. It follows the curved valleys of |g|^2 in which most trials are spent.

Saddle-free Newton makes every step, d = -Q |T|^-1 b (``spectral.py``), from the same reduction.

A start that has settled (|g| and the Newton step small) makes undamped Newton steps until these are rounding; where
Sturm counts then show no eigenvalue anywhere near zero its verdict is final, and index and status are written here.
Where there is one, the verdict is ``simcore.search.dense``'s, which sees all eigenvalues. So are the rules: the end of
a start is the one described there.

A lane's start that ended is replaced by the next. No arithmetic crosses lanes: a row depends on its start alone.

Sources: Levenberg (1944), Marquardt (1963); Transtrum & Sethna, arXiv:1201.5885, eq. 15 (acceleration).
"""

from __future__ import annotations

import numpy as np

from simcore.backends.cpu.dispatch import Service, serve
from simcore.backends.cpu.ldlt import count_below, dot, rotate, tridiagonalise
from simcore.backends.cpu.network import SIZE, X
from simcore.backends.cpu.network_points import evaluate, prepared, slope, system
from simcore.backends.cpu.regularised import _solve
from simcore.backends.cpu.spectral import saddle_free
from simcore.backends.cpu.vector import aligned, any_lane, load, store, zeros
from simcore.backends.network_problems import Chain, Mlp
from simcore.compilation import jit
from simcore.formulas.intrinsics import absolute, fma, maximum, select, sqrt
from simcore.formulas.outcome import CRITICAL, GRADIENT_FLAT, LEFT_DOMAIN, MAX_ITERATIONS, NOT_FINITE
from simcore.formulas.step_cap import capped_fraction

UNDECIDED = -1
"""Status of a settled start whose null modes have to be looked at one by one."""
_HUGE = 1e300
_TRIALS = 6  # tried at a point before the lanes that moved go on, at most: fewer where Hessians cost little beside them
_POLISH = 4  # undamped Newton steps at the end, at most
_FINE = 1e-13  # a Newton step that is rounding
_SURE = 1e-7  # no eigenvalue within this fraction of |H|_F: no doubt about nullity
_EPSILON = 2.2e-16
WALK, ENDS, POLISHES = 0.0, 1.0, 2.0
MOST_PARAMETERS = 1000
"""Beyond, what eight starts keep fills memory. One start at a time by LAPACK's eigenvalues takes 1.7 times as long with
401 and with 801."""


@jit
def _times(diagonal, off_diagonal, n, b, out):
    """Set out = T b; return |T b|^2 of eight lanes."""
    total = zeros()
    for i in range(0, n * 8, 8):
        row = load(diagonal, i) * load(b, i)
        if i > 0:
            row = fma(load(off_diagonal, i), load(b, i - 8), row)
        if i + 8 < n * 8:
            row = fma(load(off_diagonal, i + 8), load(b, i + 8), row)
        store(out, i, row)
        total = fma(row, row, total)
    return total


@jit
def _move(memory, at, n, home, d, t):
    """x = home - t d."""
    for i in range(0, n * 8, 8):
        store(memory, at + i, fma(-t, load(d, i), load(home, i)))


@jit
def search(laid, starts, options, rule, status, iterations, cost, grad_norm, decrement, index, nullity, x_out):
    """Walk from every start, shape (S, n), to its end and write the outcome.

    ``options`` = (step_cap, gradient_tolerance, decrement_tolerance, max_iterations, region, zero_tolerance,
    flat_tolerance, zero_floor); ``rule``: the ``constants`` of ``simcore.steps.LevenbergMarquardt`` or ``SaddleFree``,
    which has a floor.
    """
    cap, gradient_tolerance, decrement_tolerance, max_iterations, region = options[:5]
    zero_tolerance, flat_tolerance, zero_floor = options[5:]
    damping, patience, flat_early, most_rejected, acceleration, falling, rising, part, enough, poor, rich = rule[:11]
    floor, climbed = rule[11:]
    turns, sweeps = np.empty(1024), np.empty(64, np.int64)
    count, n = starts.shape
    at_x = laid.table[X]
    memory, A = aligned(laid.table[SIZE]), aligned(n * (n + 1) // 2 * 8)
    diagonal, off_diagonal, scales = np.empty(n * 8), np.zeros(n * 8), np.empty(n * 8)
    b, d, newton, real, imaginary = np.empty(n * 8), np.empty(n * 8), np.empty(n * 8), np.empty(n * 8), np.empty(n * 8)
    scratch, home, along, ahead = np.empty(4 * n * 8), np.empty(n * 8), np.empty(n * 8), np.empty(n * 8)
    owner, steps, mu, flat = np.full(8, -1, np.int64), np.zeros(8), np.full(8, -1.0), np.zeros(8)
    rejected, moved, polished, grown = np.zeros(8), np.zeros(8), np.zeros(8), np.full(8, 2.0)
    value, before, after, bent, size = np.empty(8), np.empty(8), np.empty(8), np.empty(8), np.empty(8)
    length, predicted, furthest, active = np.empty(8), np.empty(8), np.empty(8), np.empty(8)
    below, null = np.empty(8), np.empty(8)
    taken, running = 0, 0
    for lane in range(8):
        if taken < count:
            owner[lane] = taken
            running += 1
        for i in range(n):
            memory[at_x + i * 8 + lane] = starts[min(taken, count - 1), i]
        taken += 1
    while running > 0:
        store(value, 0, system(laid, memory, A, b))
        gg, far = dot(b, b, n), zeros()
        for i in range(0, n * 8, 8):
            far = maximum(far, absolute(load(memory, at_x + i)))
        tridiagonalise(A, n, diagonal, off_diagonal, scales, scratch)
        rotate(A, n, scales, b, False)
        frobenius = sqrt(dot(diagonal, diagonal, n) + 2.0 * dot(off_diagonal, off_diagonal, n))
        step = _solve(diagonal, off_diagonal, n, frobenius * zero_tolerance, b, newton, imaginary, scratch)
        store(length, 0, sqrt(step))
        store(bent, 0, _times(diagonal, off_diagonal, n, b, along))
        store(before, 0, gg)
        store(size, 0, frobenius * frobenius)
        store(furthest, 0, far)
        counted = False
        for lane in range(8):
            o = owner[lane]
            active[lane] = ENDS
            if o < 0:
                mu[lane] = 1.0
                continue
            if mu[lane] < 0.0:
                mu[lane] = damping * size[lane]
            small = before[lane] < gradient_tolerance * gradient_tolerance
            if moved[lane] > 0.0:
                level = not small and bent[lane] < flat_early * flat_early * size[lane] * before[lane]
                flat[lane] = flat[lane] + 1.0 if level else 0.0
            finite = before[lane] + abs(value[lane]) < _HUGE and size[lane] < _HUGE
            near = small and length[lane] < decrement_tolerance
            spent = steps[lane] >= max_iterations or flat[lane] >= patience or rejected[lane] >= most_rejected
            code = UNDECIDED
            if not finite:
                code = NOT_FINITE
            elif furthest[lane] > region:
                code = LEFT_DOMAIN
            elif near:
                if length[lane] > _FINE and polished[lane] < _POLISH:
                    polished[lane] += 1.0
                    active[lane] = POLISHES
                    continue
            elif spent:
                level = bent[lane] < flat_tolerance * flat_tolerance * size[lane] * before[lane]
                code = GRADIENT_FLAT if level and not small else MAX_ITERATIONS
            else:
                active[lane] = WALK
                moved[lane] = 0.0
                continue
            if code == UNDECIDED and length[lane] < 1e-9:
                if not counted:
                    zero = maximum(frobenius * max(zero_tolerance, _SURE, 400.0 * n * _EPSILON), zeros() + zero_floor)
                    lower = count_below(diagonal, off_diagonal, n, -zero)
                    store(below, 0, lower)
                    store(null, 0, count_below(diagonal, off_diagonal, n, zero) - lower)
                    counted = True
                if null[lane] == 0.0:
                    code = CRITICAL
            status[o], iterations[o], cost[o] = code, int(steps[lane]), value[lane]
            grad_norm[o], decrement[o] = np.sqrt(before[lane]), length[lane]
            index[o] = int(below[lane]) if code == CRITICAL else -1
            nullity[o] = 0 if code == CRITICAL else -1
            for i in range(n):
                x_out[o, i] = memory[at_x + i * 8 + lane]
            owner[lane] = -1
            if taken < count:
                owner[lane] = taken
                for i in range(n):
                    memory[at_x + i * 8 + lane] = starts[taken, i]
            else:
                running -= 1
            taken += 1
            mu[lane], flat[lane], rejected[lane], moved[lane], polished[lane] = -1.0, 0.0, 0.0, 0.0, 0.0
            steps[lane], grown[lane] = 0.0, 2.0
        for i in range(0, n * 8, 8):
            store(home, i, load(memory, at_x + i))
        polish = load(active, 0) > 1.5
        if any_lane(polish):
            for i in range(0, n * 8, 8):
                store(d, i, select(polish, load(newton, i), zeros()))
            rotate(A, n, scales, d, True)
            _move(memory, at_x, n, home, d, zeros() + 1.0)
            for i in range(0, n * 8, 8):
                store(home, i, load(memory, at_x + i))
        trials = min(_TRIALS, 2 + n // 100)
        if floor > 0.0:
            trials, trying = 0, load(active, 0) < 0.5
            turns, sweeps = saddle_free(
                diagonal, off_diagonal, n, b, floor, climbed, real, imaginary, ahead, turns, sweeps
            )
            t = capped_fraction(dot(real, real, n), cap)
            for i in range(0, n * 8, 8):
                store(d, i, select(trying, t * load(real, i), zeros()))
            rotate(A, n, scales, d, True)
            _move(memory, at_x, n, home, d, zeros() + 1.0)
            for lane in range(8):
                steps[lane] += 1.0 if active[lane] == WALK else 0.0
        for _ in range(trials):
            trying = load(active, 0) < 0.5
            if not any_lane(trying):
                break
            shift = sqrt(maximum(load(mu, 0), zeros() + 1e-300))
            t = capped_fraction(_solve(diagonal, off_diagonal, n, shift, b, real, imaginary, scratch), cap)
            rest = zeros()
            for i in range(0, n * 8, 8):
                r = fma(load(b, i), 1.0 - t, -(t * shift * load(imaginary, i)))
                rest = fma(r, r, rest)
                store(d, i, select(trying, t * load(real, i), zeros()))
            store(predicted, 0, gg - rest)
            one = zeros() + 1.0
            if acceleration > 0.0:
                _times(diagonal, off_diagonal, n, d, along)
                for i in range(0, n * 8, 8):
                    store(newton, i, load(d, i))
                rotate(A, n, scales, newton, True)
                _move(memory, at_x, n, home, newton, zeros() + part)
                slope(laid, memory, ahead)
                rotate(A, n, scales, ahead, False)
                for i in range(0, n * 8, 8):
                    change = (load(ahead, i) - load(b, i)) * (1.0 / part)
                    store(ahead, i, (change + load(along, i)) * (2.0 / part))
                bend = _solve(diagonal, off_diagonal, n, shift, ahead, real, imaginary, scratch)
                walked = 4.0 * bend <= acceleration * acceleration * dot(d, d, n)
                for i in range(0, n * 8, 8):
                    store(d, i, load(d, i) + select(walked, 0.5 * load(real, i), zeros()))
            rotate(A, n, scales, d, True)
            _move(memory, at_x, n, home, d, one)
            reached = slope(laid, memory, real)
            store(after, 0, select(absolute(reached) < _HUGE, dot(real, real, n), zeros() + 2.0 * _HUGE))
            for lane in range(8):
                if active[lane] != WALK:
                    continue
                steps[lane] += 1.0
                gain = (before[lane] - after[lane]) / max(predicted[lane], 1e-300)
                if after[lane] < before[lane] and gain > enough:
                    factor = falling if gain > rich else 2.0 if gain < poor else 1.0
                    rejected[lane], moved[lane], active[lane] = 0.0, 1.0, ENDS
                    for i in range(n):
                        home[i * 8 + lane] = memory[at_x + i * 8 + lane]
                else:
                    factor = rising
                    rejected[lane] += 1.0
                    for i in range(n):
                        memory[at_x + i * 8 + lane] = home[i * 8 + lane]
                    if rejected[lane] >= most_rejected or steps[lane] >= max_iterations:
                        active[lane] = ENDS
                mu[lane] = max(mu[lane] * factor, 1e-30)


def _in_lanes(problem):
    return problem.dimension <= MOST_PARAMETERS


for _kind in (Mlp, Chain):
    serve(
        _kind,
        Service(prepared, evaluate=evaluate, marquardt=search, in_lanes=_in_lanes, certifies=False, flows=False),
    )
