"""The search loop of the CPU backend: a tile of 24 starts, refilled as starts end.

Each pass evaluates the tile, then handles its three groups of eight lanes: tangent Hessian and gradient, LDL' factors,
Newton step, verdict, move. A lane whose start has ended takes the next one at once. What a start goes through depends
on that start alone: its lane's arithmetic never mixes with another's, so tiles, refills, blocks and threads change no
row.

A start that may be critical leaves its Hessian in a queue; eight at a time are tridiagonalised, and Sturm counts at -t
and t, t = zero_tolerance |H|_F, give index and nullity. So the index never rests on unpivoted factors, at one
factorisation a start. A lane whose factors have grown by 1e6, or whose step is not finite, has its step made again by
elimination with row exchanges.
"""

from __future__ import annotations

import numpy as np

from simcore.backends.cpu.dispatch import advance, claim, evaluate, prepare, reach, system
from simcore.backends.cpu.lanes import ENDED, fill, refill
from simcore.backends.cpu.ldlt import count_below, dot, solve, solve_pivoted, square_packed, tridiagonalise
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import any_lane, first_lane, lane_bits, load, store, zeros
from simcore.compilation import jit
from simcore.formulas.intrinsics import absolute, fma, invert, maximum, sqrt
from simcore.formulas.outcome import CRITICAL, DEGENERATE, MAX_ITERATIONS
from simcore.formulas.step_cap import capped_fraction
from simcore.formulas.verdict import GO_ON, confirmed, exhausted, flat, verdict

T = LANES
_GROWTH = 1e6
_HUGE = 1e300


@jit
def _lane_matrix(A, size, lane, full):
    """Copy one lane's packed matrix into a full one."""
    k = lane
    for i in range(size):
        for j in range(i + 1):
            full[i, j] = A[k]
            full[j, i] = A[k]
            k += 8


@jit
def _flatness(A, g, size, lane):
    """Return |Hg|^2 and |H|_F^2 of one lane."""
    hg_square = 0.0
    h_square = 0.0
    for i in range(size):
        total = 0.0
        for j in range(size):
            row, column = (i, j) if i >= j else (j, i)
            h = A[(row * (row + 1) // 2 + column) * 8 + lane]
            total += h * g[j * 8 + lane]
            h_square += h * h
        hg_square += total * total
    return hg_square, h_square


@jit
def _enqueue(A, packed, lane, queue, slot):
    """Copy one lane's packed matrix into a slot of the queue, which holds two groups of eight."""
    at = (slot >> 3) * packed * 8 + (slot & 7)
    for k in range(packed):
        queue[at + k * 8] = A[k * 8 + lane]


@jit
def _inertia(queue, size, packed, zero, scratch, negative, null):
    """Index and nullity of the queue's first eight matrices, which are overwritten; zero = (tolerance, floor)."""
    norm = sqrt(square_packed(queue, size))
    limit = maximum(norm * zero[0], zeros() + maximum(zero[1], 1e-200))  # a Hessian of zeros is null, too
    rows = size * 8
    diagonal, off_diagonal = scratch[:rows], scratch[rows : 2 * rows]
    tridiagonalise(queue, size, diagonal, off_diagonal, scratch[2 * rows : 3 * rows], scratch[3 * rows :])
    below = count_below(diagonal, off_diagonal, size, -limit)
    store(negative, 0, below)
    store(null, 0, count_below(diagonal, off_diagonal, size, limit) - below)


@jit
def _flush(queue, owners, used, size, packed, zero, scratch, negative, null, out):
    """Write index, nullity and final status of the queue's first group; return how many slots remain in use."""
    status, index, nullity, small = out
    _inertia(queue, size, packed, zero, scratch, negative, null)
    for slot in range(min(used, 8)):
        o = owners[slot]
        if o >= 0:
            status[o] = confirmed(status[o], small[o], null[slot], 0)
            if status[o] == CRITICAL or status[o] == DEGENERATE:
                index[o] = int(negative[slot])
                nullity[o] = int(null[slot])
    for k in range(packed * 8):
        queue[k] = queue[packed * 8 + k]
    for slot in range(8):
        owners[slot] = owners[slot + 8]
        owners[slot + 8] = -1
    return max(used - 8, 0)


@jit
def search(
    problem, size, starts, options, status, iterations, cost, grad_norm, decrement, index, nullity, x_out, counters
):
    """Run every start, shape (S, n), and write its outcome; ``size`` is the dimension of the tangent space.

    ``options`` = (step_cap, gradient_tolerance, decrement_tolerance, max_iterations, region, zero_tolerance,
    flat_tolerance, zero_floor). ``counters`` receives lane evaluations, those of running starts, and steps made again.
    """
    cap, gradient_tolerance, decrement_tolerance, max_iterations, region = options[:5]
    zero_tolerance, flat_tolerance, zero_floor = options[5:]
    zero = (zero_tolerance, zero_floor)
    count, n = starts.shape
    packed = size * (size + 1) // 2
    tables, tile = prepare(problem)
    A = np.empty(packed * 8)
    g, d, pivots = np.empty(size * 8), np.empty(size * 8), np.empty(size * 8)
    scratch = np.empty(7 * size * 8)
    full, rhs = np.empty((size, size)), np.empty(size)
    small = np.zeros(count, np.bool_)
    value, g_square, d_square, fraction, largest = np.empty(8), np.empty(8), np.empty(8), np.empty(8), np.zeros(8)
    slot_of = np.empty(8, np.int64)
    flat_lane = np.zeros(8, np.bool_)
    queue = np.zeros(2 * packed * 8)
    owners = np.full(16, -1, np.int64)
    negative, null = np.empty(8), np.empty(8)
    out = (status, index, nullity, small)
    used = 0 * count  # a variable, so that Numba does not compile ``_flush`` once more for a literal number
    X, owner, steps, settled, running = fill(starts)
    taken = running
    tolerance_square = gradient_tolerance * gradient_tolerance
    while running > 0:
        claim(tile, owner)
        evaluate(tables, tile, X)
        counters[0] += T
        counters[1] += running
        for s in range(0, T, 8):
            occupied = False
            for lane in range(s, s + 8):
                occupied = occupied or owner[lane] >= 0
            if not occupied:
                continue
            f = system(tile, X, s, A, g)
            gg, trace = zeros(), zeros()
            for i in range(size):
                gi = load(g, i * 8)
                gg = fma(gi, gi, gg)
                trace = trace + absolute(load(A, (i * (i + 3) // 2) * 8))
                store(d, i * 8, gi)
            ended = (gg < tolerance_square) | invert(gg + absolute(f) < _HUGE) | (load(steps, s) >= max_iterations)
            if region < _HUGE:
                furthest = zeros()
                for i in range(n):
                    furthest = maximum(furthest, absolute(load(X, i * T + s)))
                store(largest, 0, furthest)
                reach(tile, X, s, largest)
                ended = ended | (load(largest, 0) > region)
            candidates = lane_bits(ended)
            if candidates != 0:
                store(g_square, 0, gg)
                rest = candidates
                while rest != 0:
                    lane = first_lane(rest)
                    rest &= rest - 1
                    slot_of[lane] = -1
                    flat_lane[lane] = False
                    if owner[s + lane] < 0:
                        continue
                    is_small = g_square[lane] < tolerance_square
                    if is_small:
                        slot_of[lane] = used
                        owners[used] = -1
                        _enqueue(A, packed, lane, queue, used)
                        used += 1
                    if steps[s + lane] >= max_iterations:
                        hg, hh = _flatness(A, g, size, lane)
                        flat_lane[lane] = flat(is_small, hg, hh, g_square[lane], flat_tolerance)

            growth = solve(A, size, pivots, scratch, d)
            dd = dot(d, d, size)
            doubtful = invert(growth < trace * _GROWTH) | invert(dd < _HUGE)
            if any_lane(doubtful):
                store(fraction, 0, growth / trace)
                store(d_square, 0, dd)
                system(tile, X, s, A, g)
                for lane in range(8):
                    if owner[s + lane] >= 0 and not (fraction[lane] < _GROWTH and d_square[lane] < _HUGE):
                        _lane_matrix(A, size, lane, full)
                        for i in range(size):
                            rhs[i] = g[i * 8 + lane]
                        solve_pivoted(full, size, rhs)
                        for i in range(size):
                            d[i * 8 + lane] = rhs[i]
                        counters[2] += 1
                dd = dot(d, d, size)
            t = capped_fraction(dd, cap)
            rest = lane_bits(ended | invert(dd < _HUGE))  # all other lanes go on
            store(steps, s, load(steps, s) + 1.0)
            if rest == 0:
                advance(tile, X, s, d, t)
                continue

            store(value, 0, f)
            store(g_square, 0, gg)
            store(d_square, 0, dd)
            while rest != 0:
                lane = first_lane(rest)
                rest &= rest - 1
                o = owner[s + lane]
                if o < 0:
                    continue
                is_small = g_square[lane] < tolerance_square
                length = np.sqrt(d_square[lane])
                short = length < decrement_tolerance
                if is_small and not short:
                    settled[s + lane] += 1
                finite = g_square[lane] + abs(value[lane]) < _HUGE and (is_small or d_square[lane] < _HUGE)
                last = steps[s + lane] > max_iterations
                code = verdict(finite, largest[lane] > region, is_small, short, settled[s + lane], last)
                if code == GO_ON:
                    continue
                if code == MAX_ITERATIONS:
                    code = exhausted(candidates >> lane & 1 and flat_lane[lane])
                status[o] = code
                iterations[o] = int(steps[s + lane]) - 1
                cost[o] = value[lane]
                grad_norm[o] = np.sqrt(g_square[lane])
                decrement[o] = length
                index[o] = -1
                nullity[o] = -1
                small[o] = is_small
                for i in range(n):
                    x_out[o, i] = X[i * T + s + lane]
                if is_small and (code == CRITICAL or code == MAX_ITERATIONS):  # noqa: SIM109 (compiled code)
                    owners[slot_of[lane]] = o
                owner[s + lane] = ENDED  # refilled after the others have moved
            advance(tile, X, s, d, t)
            taken, running = refill(starts, s, s + 8, X, owner, steps, settled, taken, running)
            if used >= 8:
                used = _flush(queue, owners, used, size, packed, zero, scratch, negative, null, out)
    while used > 0:
        used = _flush(queue, owners, used, size, packed, zero, scratch, negative, null, out)
