"""Regularised Newton with chord steps, for sums of waves in many variables: fewer Hessians a critical point.

At large n a Hessian costs n/4 gradients, and plain capped Newton spends most of them where one soft mode makes the
step long and the cap then shrinks every mode. Here each Hessian H = Q T Q' (T tridiagonal) serves several steps:

1. d = -(H^2 + s^2)^-1 H g with s such that |d| = cap (s = 0 where the Newton step is shorter): stiff modes go all
   the way, soft ones are held back.
2. Where the step was held back and would undo the last one, its part along the last step's soft modes is reflected:
   momentum, which keeps a start from cycling about a minimum of |g| that is no critical point.
3. Up to three chord steps -(H^2 + s_c^2)^-1 H g(x) with the same T and new gradients, s_c at least the change of H
   expected over the distance moved.

A search has up to three parts, each a loop with tiles of its own, so that cheap steps never wait for dear ones:
descent without a Hessian (``krylov.py``), this loop with Hessians summed in single precision until the gradient is
small, and this loop in double precision, which alone records outcomes. Most starts need one Hessian of the last part.

(H^2 + s^2)^-1 H g = Q Re[(T + i s)^-1 Q'g]: the complex tridiagonal factors have pivots with imaginary part at least s
and need no exchanges. A start is accepted at a point whose own Hessian has been factored, by the rule of the plain
loop.

Source: regularisation and chords in the manner of Doye and Wales, J. Chem. Phys. 116 (2002) 3777, and of Shamanskii;
the combination and its constants were found by measurement (docs/performance.md).
"""

from __future__ import annotations

import numpy as np

from simcore.backends.cpu.dispatch import prepare
from simcore.backends.cpu.lanes import ENDED, fill, refill
from simcore.backends.cpu.ldlt import count_below, dot, rotate, tridiagonalise
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import any_lane, load, store, zeros
from simcore.backends.cpu.waves import advance, evaluate, evaluate_gradient, slope, system
from simcore.backends.cpu.waves_single import copy_hessian, evaluate_amplitudes, hessian_single, prepare_single
from simcore.compilation import jit
from simcore.formulas.intrinsics import fma, maximum, select, sqrt
from simcore.formulas.outcome import MAX_ITERATIONS
from simcore.formulas.verdict import GO_ON, confirmed, exhausted, flat, verdict

T = LANES
_HUGE = 1e300
_CHORDS = 3
_STIFFENING = 0.25  # s_c = 0.25 |x - x_H| |H|_rms / correlation length: the change of H over the move, measured best
_TRIALS = 12  # bisections of ln s: |d| then matches the cap to half a per cent
_NEAR = 1e-5  # of a typical gradient |H|_rms length: nearer than that, single precision has to show progress
_EXACT = 1e-10  # s of a full Newton step, relative to |H|_F


@jit
def _solve(diagonal, off_diagonal, n, shift, right, real, imaginary, memory):
    """Set real + i imaginary = (T + i shift)^-1 right; return |real|^2. ``memory`` is scratch of 4 n 8 doubles."""
    pivot_re, pivot_im, y_re, y_im = 0, n * 8, 2 * n * 8, 3 * n * 8
    qr, qi = zeros(), zeros()  # 1/q of the last row
    yr, yi = zeros(), zeros()
    for k in range(0, n * 8, 8):
        e = load(off_diagonal, k) if k > 0 else zeros()
        ee = e * e
        a = fma(-ee, qr, load(diagonal, k))
        b = fma(-ee, qi, shift)
        fr, fi = e * qr, e * qi
        yr, yi = fma(-fr, yr, fma(fi, yi, load(right, k))), -fma(fr, yi, fi * yr)
        inverse = 1.0 / fma(a, a, b * b)
        qr, qi = a * inverse, -b * inverse
        store(memory, pivot_re + k, qr)
        store(memory, pivot_im + k, qi)
        store(memory, y_re + k, yr)
        store(memory, y_im + k, yi)
    zr, zi, square = zeros(), zeros(), zeros()
    for k in range((n - 1) * 8, -8, -8):
        e = load(off_diagonal, k + 8) if k + 8 < n * 8 else zeros()
        a = fma(-e, zr, load(memory, y_re + k))
        b = fma(-e, zi, load(memory, y_im + k))
        qr, qi = load(memory, pivot_re + k), load(memory, pivot_im + k)
        zr, zi = fma(a, qr, -(b * qi)), fma(a, qi, b * qr)
        store(real, k, zr)
        store(imaginary, k, zi)
        square = fma(zr, zr, square)
    return square


@jit
def _held_back(diagonal, off_diagonal, n, cap, exact, right, real, imaginary, memory):
    """Set real to (T^2 + s^2)^-1 T right with |real| = cap where the Newton step is longer; return s (exact
    elsewhere).
    """
    full = _solve(diagonal, off_diagonal, n, exact, right, real, imaginary, memory)
    capped = full > cap * cap
    if not any_lane(capped):
        return exact
    high = sqrt(dot(right, right, n)) * (0.5 / cap)  # |d| <= |g| / (2 s)
    low = high * 1e-7
    for _ in range(_TRIALS):
        middle = sqrt(low * high)
        too_long = _solve(diagonal, off_diagonal, n, middle, right, real, imaginary, memory) > cap * cap
        low = select(too_long, middle, low)
        high = select(too_long, high, middle)
    shift = select(capped, maximum(high, exact), exact)
    _solve(diagonal, off_diagonal, n, shift, right, real, imaginary, memory)
    return shift


@jit
def _keep_momentum(diagonal, off_diagonal, n, shift, active, last, d, real, imaginary, memory):
    """Reflect the part of d that undoes the last step along its soft modes, in active lanes.

    The last step's soft part is p = s'^2 (T^2 + s'^2)^-1 last = -s' Im[(T + i s')^-1 last] with s' = 4 s; where the new
    step -d has a negative component along p, d <- d - 2 (d.p) p / |p|^2.
    """
    _solve(diagonal, off_diagonal, n, shift * 4.0, last, real, imaginary, memory)
    square = dot(imaginary, imaginary, n)
    overlap = dot(imaginary, d, n)  # p is a negative multiple of ``imaginary``: d.p > 0 where this is negative
    undoes = active & (overlap < 0.0) & (square > 0.0)
    factor = select(undoes, overlap * -2.0 / square, zeros())
    for k in range(0, n * 8, 8):
        store(d, k, fma(factor, load(imaginary, k), load(d, k)))


@jit
def search(
    problem,
    starts,
    length,
    options,
    early,
    status,
    iterations,
    cost,
    grad_norm,
    decrement,
    index,
    nullity,
    x_out,
    counters,
):
    """Run every start, shape (S, n), and write its outcome; an iteration is one Hessian and the steps that it serves.

    ``length`` is the correlation length, ``options`` as for the plain loop; ``iterations`` holds those that a start has
    made already, and ``x_out`` may be ``starts``. Where ``early``, Hessians are summed in single precision and nothing
    is recorded but ``iterations`` and ``x_out``, once the gradient is small, the iterations are spent, or single
    precision no longer helps: the same search in double precision is to follow. ``counters`` receives lane Hessians,
    those of running starts, and gradients of running starts beside the Hessians'.
    """
    cap, gradient_tolerance, decrement_tolerance, max_iterations, region = options[:5]
    zero_tolerance, flat_tolerance, zero_floor = options[5:]
    n = starts.shape[1]
    packed = n * (n + 1) // 2
    tables, tile = prepare(problem)
    single = prepare_single(problem, early)
    X, owner, steps, settled, running = fill(starts)
    taken = running
    home, last = np.empty(n * T), np.zeros(n * T)
    _take_over(owner, steps, iterations, last, n)
    A = np.empty((3, packed * 8))
    factors = np.zeros((3, 3, n * 8))  # diagonal, off-diagonal (its first row stays 0) and scales of each eight lanes
    g, d, real, imaginary = np.empty(n * 8), np.empty(n * 8), np.empty(n * 8), np.empty(n * 8)
    memory = np.empty(4 * n * 8)
    shift, norm, square, active, held = np.zeros(T), np.zeros(T), np.zeros(T), np.zeros(T), np.zeros(T)
    entry = np.zeros(T)
    value, step_square, below, null = np.empty(8), np.empty(8), np.empty(8), np.empty(8)
    tolerance_square = gradient_tolerance * gradient_tolerance

    while running > 0:
        if early:
            evaluate_amplitudes(tables, single, tile, X)
            hessian_single(single, tables.waves, n)
        else:
            evaluate(tables, tile, X)
        counters[0] += T
        counters[1] += running
        for group in range(3):
            s = group * 8
            diagonal, off_diagonal, scales = factors[group, 0], factors[group, 1], factors[group, 2]
            f = zeros()
            if early:
                slope(tile, X, s, g)
                copy_hessian(single, tile, s, A[group])
            else:
                f = system(tile, X, s, A[group], g)
            gg = dot(g, g, n)
            tridiagonalise(A[group], n, diagonal, off_diagonal, scales, memory)
            rotate(A[group], n, scales, g, False)
            frobenius = sqrt(dot(diagonal, diagonal, n) + 2.0 * dot(off_diagonal, off_diagonal, n))
            exact = frobenius * _EXACT
            newton = _solve(diagonal, off_diagonal, n, exact, g, d, imaginary, memory)
            zero = maximum(frobenius * zero_tolerance, zeros() + zero_floor)
            negative = count_below(diagonal, off_diagonal, n, -zero)
            store(below, 0, negative)
            store(null, 0, count_below(diagonal, off_diagonal, n, zero) - negative)
            store(value, 0, f)
            store(square, s, gg)
            store(entry, s, gg)
            store(step_square, 0, newton)
            store(norm, s, frobenius)
            for lane in range(8):
                at = s + lane
                o = owner[at]
                active[at] = 0.0
                if o < 0:
                    continue
                active[at] = 1.0
                if early:
                    steps[at] += 1.0
                    continue
                small = square[at] < tolerance_square
                distance = np.sqrt(step_square[lane])
                short = distance < decrement_tolerance
                if small and not short:
                    settled[at] += 1
                finite = square[at] + abs(value[lane]) < _HUGE and norm[at] < _HUGE
                outside = False
                for i in range(n):
                    outside = outside or abs(X[i * T + at]) > region
                code = verdict(finite, outside, small, short, settled[at], steps[at] >= max_iterations)
                if code == GO_ON:
                    steps[at] += 1.0
                    continue
                if code == MAX_ITERATIONS:
                    hg = 0.0
                    for i in range(n):
                        row = diagonal[i * 8 + lane] * g[i * 8 + lane]
                        if i > 0:
                            row += off_diagonal[i * 8 + lane] * g[(i - 1) * 8 + lane]
                        if i + 1 < n:
                            row += off_diagonal[(i + 1) * 8 + lane] * g[(i + 1) * 8 + lane]
                        hg += row * row
                    code = exhausted(flat(small, hg, norm[at] * norm[at], square[at], flat_tolerance))
                if code <= MAX_ITERATIONS:
                    code = confirmed(code, small, null[lane], 0)
                status[o] = code
                accepted = code <= 1  # critical or degenerate
                index[o] = int(below[lane]) if accepted else -1
                nullity[o] = int(null[lane]) if accepted else -1
                iterations[o] = int(steps[at])
                cost[o] = value[lane]
                grad_norm[o] = np.sqrt(square[at])
                decrement[o] = distance
                for i in range(n):
                    x_out[o, i] = X[i * T + at]
                active[at] = 0.0
                owner[at] = ENDED
            _first_step(
                tile,
                A[group],
                n,
                X,
                s,
                cap,
                exact,
                factors[group],
                g,
                d,
                real,
                imaginary,
                memory,
                last,
                home,
                shift,
                active,
                held,
            )

        for _ in range(_CHORDS):
            wanted = 0
            for lane in range(T):
                wanted += int(active[lane])
            if wanted == 0:
                break
            evaluate_gradient(tables, tile, X)
            counters[2] += wanted
            for group in range(3):
                _chord(
                    tile,
                    A[group],
                    n,
                    X,
                    group * 8,
                    length,
                    tolerance_square,
                    factors[group],
                    g,
                    d,
                    imaginary,
                    memory,
                    home,
                    shift,
                    norm,
                    square,
                    active,
                )
        for k in range(0, n * T, 8):
            store(last, k, load(X, k) - load(home, k))
        if early:
            for lane in range(T):
                o = owner[lane]
                if o < 0:
                    continue
                small = _NEAR * norm[lane] * length / np.sqrt(float(n))
                stalled = entry[lane] < small * small and not square[lane] < 0.25 * entry[lane]
                spent = steps[lane] >= max_iterations or not norm[lane] < _HUGE
                for i in range(n):
                    spent = spent or not abs(X[i * T + lane]) <= region
                if square[lane] < tolerance_square or stalled or spent:
                    iterations[o] = int(steps[lane])
                    for i in range(n):
                        x_out[o, i] = X[i * T + lane]
                    owner[lane] = ENDED

        taken, running = refill(starts, 0, T, X, owner, steps, settled, taken, running)
        _take_over(owner, steps, iterations, last, n)


@jit
def _take_over(owner, steps, iterations, last, n):
    """Give lanes that have just taken a start the iterations that it has made, and no last step."""
    for lane in range(T):
        if owner[lane] >= 0 and steps[lane] == 0.0:
            steps[lane] = iterations[owner[lane]]
            for i in range(n):
                last[i * T + lane] = 0.0


@jit
def _first_step(
    tile, A, n, X, s, cap, exact, factors, g, d, real, imaginary, memory, last, home, shift, active, held
):  # fmt: skip
    """Move active lanes by the held-back step with momentum; g holds Q'g."""
    diagonal, off_diagonal, scales = factors[0], factors[1], factors[2]
    chosen = _held_back(diagonal, off_diagonal, n, cap, exact, g, d, imaginary, memory)
    store(shift, s, chosen)
    moving = load(active, s) > 0.0
    capped = (chosen > exact) & moving
    store(held, s, select(capped, zeros() + 1.0, zeros()))
    for i in range(n):
        store(g, i * 8, load(last, i * T + s))
        store(home, i * T + s, load(X, i * T + s))
    if any_lane(capped):
        rotate(A, n, scales, g, False)
        _keep_momentum(diagonal, off_diagonal, n, chosen, capped, g, d, real, imaginary, memory)
    rotate(A, n, scales, d, True)
    for k in range(0, n * 8, 8):
        store(d, k, select(moving, load(d, k), zeros()))
    advance(tile, X, s, d, zeros() + 1.0)


@jit
def _chord(
    tile, A, n, X, s, length, tolerance_square, factors, g, d, imaginary, memory, home, shift, norm, square, active
):  # fmt: skip
    """One chord step of active lanes; lanes that want no more become inactive."""
    moving = load(active, s) > 0.0
    if not any_lane(moving):
        return
    slope(tile, X, s, g)
    gg = dot(g, g, n)
    go = moving & (gg >= tolerance_square) & (gg < _HUGE)
    store(square, s, gg)
    store(active, s, select(go, zeros() + 1.0, zeros()))
    if not any_lane(go):
        return
    moved = zeros()
    for i in range(n):
        step = load(X, i * T + s) - load(home, i * T + s)
        moved = fma(step, step, moved)
    stiffening = sqrt(moved) * load(norm, s) * (_STIFFENING / (length * np.sqrt(float(n))))
    rotate(A, n, factors[2], g, False)
    _solve(factors[0], factors[1], n, maximum(load(shift, s), stiffening), g, d, imaginary, memory)
    rotate(A, n, factors[2], d, True)
    for k in range(0, n * 8, 8):
        store(d, k, select(go, load(d, k), zeros()))
    advance(tile, X, s, d, zeros() + 1.0)
