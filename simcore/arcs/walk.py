"""The arc walk compiled: each lane of a tile is a walker, on the families' own evaluation and LDL' factors.

One pass evaluates the tile at every walker's current point, whatever it is doing there:

* START: at a critical point, with a new u: the first tangent of the arc.
* TRACE: at a predicted point: one Newton correction towards the curve grad f = s u, orthogonal to the last tangent, and
  the next tangent. A long correction or a sharp turn is refused and the step halved.
* FIX: after a refusal, at the last accepted point: correction and tangent there, then the shorter step.
* POLISH: s has returned to 0: Newton's method for f. Where it settles the arc followed back begins, or a move ends.

The bordered systems are solved by block elimination. With A the tangent Hessian of f - s u.x, v = A^-1 u and w = A^-1
(grad f - s u): the tangent is (v, 1)/|v| and the correction -w + v (t.w)/(t.v), orthogonal to the last tangent t. On
the sphere everything stands in the tangent coordinates of ``backends.cpu.sphere``, and A gains s (u.x)/n on its
diagonal. A passes through singular matrices at folds, and LDL' is unpivoted: both cost digits of a step near them, and
an arc that went astray is caught by following it back.

The index of an arc's end is the number of negative pivots there; where factors have grown Sturm counts replace it.
A walker's path depends on its own numbers alone: lanes never mix.
"""

from __future__ import annotations

import numpy as np

from simcore.arcs.rule import (
    ARRIVED,
    ESCAPED,
    IRREVERSIBLE,
    POLISHES,
    REVERSIBLE,
    SETTLED,
    SHRUNK,
    TOO_MANY_STEPS,
    TURN,
    UNSETTLED,
)
from simcore.backends.cpu.dispatch import evaluate, prepare, system
from simcore.backends.cpu.ldlt import count_below, factor, substitute_two, tridiagonalise
from simcore.backends.cpu.tile import LANES
from simcore.backends.cpu.vector import load, store, zeros
from simcore.compilation import jit
from simcore.formulas.intrinsics import absolute, fma, select, sqrt
from simcore.formulas.normals import normal_pair
from simcore.formulas.philox import philox4x32, unit_interval

T = LANES

IDLE, START, TRACE, FIX, POLISH = range(5)
"""What a lane does."""

POINT, BASE, TANGENT, PREVIOUS, TILT, ORIGIN, END = range(7)
"""Rows of ``points``, n * 24 doubles each: where f is evaluated, the last point on the curve, its tangent, the
tangent before it, u, the walker's critical point, the end of the arc forward."""
VECTORS = 7

S, SP, H, PAST, RATE, OLD_RATE, COST, NEW_COST, MOVED = range(9)
"""Rows of ``numbers``, 24 doubles each: s at BASE and at POINT, the step, the one before (0 for none), ds/dh and the
one before, f at ORIGIN and at END, the way of the polish."""
NUMBERS = 9

MODE, BACK, STEPS, POLISHED, MOVE, INDEX, NEW_INDEX = range(7)
"""Rows of ``counts``, 24 whole numbers each: the mode, whether the arc is followed back, steps of this arc, Newton
steps at its end, moves done, the index at ORIGIN and at END."""
COUNTS = 7

_ALPHA, _BETA, _STEP, _BEND, _RETURN, _RENEW, _SETTLE = range(7)
"""Rows of ``plan``, 8 doubles each, what a pass does to each lane of a group: share of the correction, scale of v in
the new tangent, predictor's step and its second-order part, share of the way back to the old base, whether the tangent
and the base are renewed."""
_GROWTH = 1e6


@jit(inner=True)
def _tilt(points, counts, rule, lane, n, address, stream):
    """Draw u of a lane's next move and put the lane at its critical point."""
    key0, key1, draw = address
    move = counts[MOVE, lane]
    for block in range((n + 1) // 2):
        a, b, c, d = philox4x32(block, move, draw, stream, key0, key1)
        z0, z1 = normal_pair(unit_interval(a, b), unit_interval(c, d))
        points[TILT, 2 * block * T + lane] = rule[6] * z0
        if 2 * block + 1 < n:
            points[TILT, (2 * block + 1) * T + lane] = rule[6] * z1
    for i in range(n):
        points[POINT, i * T + lane] = points[ORIGIN, i * T + lane]
        points[BASE, i * T + lane] = points[ORIGIN, i * T + lane]
    counts[MODE, lane] = START
    counts[BACK, lane] = 0


@jit(inner=True)
def _right_sides(X, tilts, tangents, s, size, n, at, A, g, u, v, w, t):
    """Set v = u and w = grad f - s u, t = the last tangent, all in tangent coordinates; return b of the reflection.

    On the sphere add s (u.x)/n to the diagonal of A, and leave the reflection's vector in ``u``.
    """
    if size == n:
        for i in range(n):
            tilt = load(tilts, i * T + s)
            store(v, i * 8, tilt)
            store(w, i * 8, fma(-at, tilt, load(g, i * 8)))
            store(t, i * 8, load(tangents, i * T + s))
        return zeros()
    unit = 1.0 / np.sqrt(float(n))
    for i in range(n):
        store(u, i * 8, load(X, i * T + s) * unit)
    last = load(u, (n - 1) * 8)
    one = zeros() + 1.0
    store(u, (n - 1) * 8, last + select(last < 0.0, -one, one))
    b = 1.0 / (absolute(last) + 1.0)
    radial, tilt_overlap, tangent_overlap = zeros(), zeros(), zeros()
    for i in range(n):
        ui, tilt = load(u, i * 8), load(tilts, i * T + s)
        radial = fma(tilt, load(X, i * T + s), radial)
        tilt_overlap = fma(tilt, ui, tilt_overlap)
        tangent_overlap = fma(load(tangents, i * T + s), ui, tangent_overlap)
    shift = at * radial * (1.0 / n)
    tilt_overlap, tangent_overlap = -tilt_overlap * b, -tangent_overlap * b
    for i in range(size):
        ui = load(u, i * 8)
        tilt = fma(tilt_overlap, ui, load(tilts, i * T + s))
        store(v, i * 8, tilt)
        store(w, i * 8, fma(-at, tilt, load(g, i * 8)))
        store(t, i * 8, fma(tangent_overlap, ui, load(tangents, i * T + s)))
        corner = (i * (i + 3) // 2) * 8
        store(A, corner, load(A, corner) + shift)
    return b


@jit(inner=True)
def _ambient(x, size, n, u, b):
    """Turn tangent coordinates x (room for n 8) into ambient ones."""
    if size == n:
        return
    overlap = zeros()
    for i in range(size):
        overlap = fma(load(x, i * 8), load(u, i * 8), overlap)
    overlap = -overlap * b
    for i in range(size):
        store(x, i * 8, fma(overlap, load(u, i * 8), load(x, i * 8)))
    store(x, (n - 1) * 8, overlap * load(u, (n - 1) * 8))


@jit(inner=True)
def _scale(square, size, n):
    """Return the factor that puts a point back on the sphere; 1 elsewhere."""
    return zeros() + 1.0 if size == n else sqrt(float(n) / square)


@jit(inner=True)
def _move(X, base, tangent, previous, s, size, n, plan, v, w):
    """Correct, renew the tangent and predict as ``plan`` says, for eight lanes; v and w are ambient."""
    alpha, beta, step, bend = (
        load(plan, 8 * _ALPHA),
        load(plan, 8 * _BETA),
        load(plan, 8 * _STEP),
        load(plan, 8 * _BEND),
    )
    back = load(plan, 8 * _RETURN)
    renew, settle = load(plan, 8 * _RENEW) > 0.0, load(plan, 8 * _SETTLE) > 0.0
    square = zeros()
    for i in range(n):
        x = fma(alpha, load(w, i * 8), load(X, i * T + s))
        square = fma(x, x, square)
    scale = _scale(square, size, n)
    square = zeros()
    for i in range(n):
        at = i * T + s
        old = load(base, at)
        x = select(settle, fma(alpha, load(w, i * 8), load(X, at)) * scale, old)
        store(base, at, x)
        t = load(tangent, at)
        new = select(renew, beta * load(v, i * 8), t)
        t = select(renew, t, load(previous, at))
        store(tangent, at, new)
        store(previous, at, t)
        x = fma(back, old - x, fma(bend, new - t, fma(step, new, x)))
        store(X, at, x)
        square = fma(x, x, square)
    scale = _scale(square, size, n)
    for i in range(n if size < n else 0):
        store(X, i * T + s, load(X, i * T + s) * scale)


@jit(inner=True)
def _hermite(q):
    """As ``plain.hermite``."""
    return (1.0 + 2.0 * q) * (1.0 - q) ** 2, q * (1.0 - q) ** 2, q * q * (q - 1.0)


@jit(inner=True)
def _decide(numbers, counts, plan, rule, lane, length, v_length, tv, ds):
    """Set one lane's row of ``plan`` and its mode; return how its arc has failed, ARRIVED where it goes on or settles.

    ``length`` of the correction, |v|, t.v, and ds of the correction.
    """
    k = lane & 7
    mode = counts[MODE, lane]
    first, longest, tolerance = rule[1], rule[2], rule[3]
    for row in range(7):
        plan[8 * row + k] = 0.0
    if mode == START:
        _begin(numbers, counts, plan, lane, first, v_length)
        return ARRIVED
    if mode == POLISH:
        counts[POLISHED, lane] += 1
        numbers[MOVED, lane] += length
        plan[8 * _ALPHA + k] = 1.0
        plan[8 * _SETTLE + k] = 1.0
        near = numbers[MOVED, lane] <= numbers[H, lane] + 0.1 * first
        return ARRIVED if near and counts[POLISHED, lane] <= POLISHES else UNSETTLED
    counts[STEPS, lane] += 1
    if counts[STEPS, lane] > rule[5]:
        return TOO_MANY_STEPS
    h = numbers[H, lane]
    beta = (1.0 if tv > 0.0 else -1.0) / v_length
    before, rate = numbers[S, lane], numbers[RATE, lane]
    now = numbers[SP, lane] + ds
    if mode == TRACE:
        turn = v_length / abs(tv) - 1.0
        left, arriving, below = before + h * rate / 3.0 < 0.0, now - h * beta / 3.0 < 0.0, now <= 0.0
        zeros_at_most = int(left) + int(left != arriving) + int(arriving != below)
        if not (length < tolerance * h and turn < TURN and zeros_at_most <= 1):
            numbers[H, lane] = 0.5 * h
            counts[MODE, lane] = FIX
            numbers[SP, lane] = numbers[S, lane]
            return ARRIVED if h > 2e-5 * first else SHRUNK
    elif not length < 0.5 * first:
        return SHRUNK
    plan[8 * _ALPHA + k] = 1.0
    plan[8 * _BETA + k] = beta
    plan[8 * _RENEW + k] = 1.0
    plan[8 * _SETTLE + k] = 1.0
    numbers[S, lane] = now
    numbers[OLD_RATE, lane] = rate
    numbers[RATE, lane] = beta
    numbers[PAST, lane] = h if mode == TRACE else 0.0
    counts[MODE, lane] = TRACE
    if not abs(now) < rule[4]:
        return ESCAPED
    if mode == TRACE:
        if now <= 0.0:
            low, high = 0.0, 1.0
            for _ in range(20):
                q = 0.5 * (low + high)
                old, old_slope, slope = _hermite(q)
                if now + old * (before - now) + h * (old_slope * rate + slope * beta) > 0.0:
                    low = q
                else:
                    high = q
            old, old_slope, slope = _hermite(high)
            plan[8 * _RETURN + k] = old
            plan[8 * _STEP + k] = h * (slope + old_slope)
            plan[8 * _BEND + k] = -h * old_slope
            counts[MODE, lane] = POLISH
            counts[POLISHED, lane] = 0
            numbers[MOVED, lane] = 0.0
            numbers[SP, lane] = 0.0
            return ARRIVED
        turn = v_length / abs(tv) - 1.0
        strain = max(length / (h * tolerance), turn / TURN, 1e-4)
        h = min(longest, h * min(2.0, max(0.5, 0.7 / np.sqrt(strain))))
        numbers[H, lane] = h
    bend = 0.5 * h * h / numbers[PAST, lane] if numbers[PAST, lane] > 0.0 else 0.0
    plan[8 * _STEP + k] = h
    plan[8 * _BEND + k] = bend
    numbers[SP, lane] = now + h * beta + bend * (beta - numbers[OLD_RATE, lane])
    return ARRIVED


@jit(inner=True)
def _begin(numbers, counts, plan, lane, first, v_length):
    """Plan the first step of an arc from a critical point, towards positive s."""
    k = lane & 7
    beta = 1.0 / v_length
    plan[8 * _BETA + k] = beta
    plan[8 * _RENEW + k] = 1.0
    plan[8 * _STEP + k] = first
    numbers[S, lane] = 0.0
    numbers[RATE, lane] = beta
    numbers[H, lane] = first
    numbers[PAST, lane] = 0.0
    numbers[SP, lane] = first * beta
    counts[MODE, lane] = TRACE
    counts[STEPS, lane] = 0


@jit(inner=True)
def _copy(points, source, destination, lane, n):
    for i in range(n):
        points[destination, i * T + lane] = points[source, i * T + lane]


@jit(inner=True)
def _wrapped(points, row, lane, n, period):
    if period > 0.0:
        for i in range(n):
            x = points[row, i * T + lane]
            x -= period * np.floor(x / period)
            points[row, i * T + lane] = 0.0 if x >= period else x


@jit(inner=True)
def _end_move(points, numbers, counts, lane, n, status, log_weight, rule, address, stream, offset, out):
    """Record a move and accept it or not."""
    out_status, out_index, out_accepted, out_cost, out_x = out
    move = counts[MOVE, lane]
    row = move - offset
    if status == ARRIVED:
        square = 0.0
        for i in range(n):
            gap = points[BASE, i * T + lane] - points[ORIGIN, i * T + lane]
            square += gap * gap
        astray = (counts[NEW_INDEX, lane] - counts[INDEX, lane]) % 2 == 0
        if astray or not square < (REVERSIBLE * rule[0]) ** 2:
            status = IRREVERSIBLE
    elif counts[BACK, lane] == 1:
        status = IRREVERSIBLE
    out_status[lane, row] = status
    out_index[lane, row] = counts[INDEX, lane]
    out_cost[lane, row] = numbers[COST, lane]
    out_accepted[lane, row] = False
    if status == ARRIVED:
        _wrapped(points, END, lane, n, rule[7])
        new = counts[NEW_INDEX, lane]
        out_index[lane, row] = new
        out_cost[lane, row] = numbers[NEW_COST, lane]
        for i in range(n):
            out_x[lane, row, i] = points[END, i * T + lane]
        a, b, _, _ = philox4x32((n + 1) // 2, move, address[2], stream, address[0], address[1])
        if np.log(unit_interval(a, b)) < log_weight[new] - log_weight[counts[INDEX, lane]]:
            out_accepted[lane, row] = True
            _copy(points, END, ORIGIN, lane, n)
            counts[INDEX, lane] = new
            numbers[COST, lane] = numbers[NEW_COST, lane]
    else:
        for i in range(n):
            out_x[lane, row, i] = np.nan
    counts[MOVE, lane] = move + 1


@jit(inner=True)
def _sturm(tile, X, s, A, g, size, memory, negative):
    """Count the negative eigenvalues of the tangent Hessians of eight lanes, whatever their pivots."""
    system(tile, X, s, A, g)
    rows = size * 8
    diagonal, off_diagonal = memory[:rows], memory[rows : 2 * rows]
    tridiagonalise(A, size, diagonal, off_diagonal, memory[2 * rows : 3 * rows], memory[3 * rows :])
    store(negative, 0, count_below(diagonal, off_diagonal, size, zeros()))


@jit
def walk(problem, size, passes, until, offset, log_weight, rule, address, streams, points, numbers, counts, out):
    """Advance up to 24 walkers until each has made ``until`` moves, by at most ``passes`` passes; return (passes left,
    lanes evaluated).

    ``points`` (7, n 24), ``numbers`` (9, 24) and ``counts`` (7, 24) are the walkers' state: see the names above.
    ``address`` = (key0, key1, draw) and ``streams`` (24) address the random numbers: those of move m of a lane are
    blocks of counter (block, m, draw, stream), u first. ``log_weight`` (D + 1): logarithms of the Metropolis weights.
    ``out`` = status, index, accepted (24, M) of each move, cost (24, M) and x (24, M, n) of what was proposed; the row
    of a move is its number minus ``offset``. A move that failed proposes to stay: index and cost are the walker's own,
    x is not a number.
    """
    n = points.shape[1] // T
    tables, tile = prepare(problem)
    packed = size * (size + 1) // 2
    A, g = np.empty(packed * 8), np.empty(n * 8)
    pivots, rows, memory = np.empty(size * 8), np.empty(4 * n * 8), np.empty(7 * n * 8)
    u, v, w, t = np.zeros(n * 8), np.zeros(n * 8), np.zeros(n * 8), np.zeros(n * 8)
    plan, doubt = np.zeros(56), np.zeros(8)
    length, v_square, tv_product, ds_part = np.empty(8), np.empty(8), np.empty(8), np.empty(8)
    value, negative, along, at_s = np.empty(8), np.empty(8), np.empty(8), np.empty(8)
    verdict = np.zeros(8, np.int64)
    X, base, tangents, previous, tilts = points[POINT], points[BASE], points[TANGENT], points[PREVIOUS], points[TILT]
    evaluated = 0
    for lane in range(T):
        if counts[MODE, lane] == IDLE and counts[MOVE, lane] < until:
            _tilt(points, counts, rule, lane, n, address, streams[lane])
    while passes > 0:
        running = 0
        for lane in range(T):
            running += counts[MODE, lane] != IDLE
        if running == 0:
            break
        passes -= 1
        evaluated += running
        evaluate(tables, tile, X)
        for s in range(0, T, 8):
            busy = False
            for k in range(8):
                mode = counts[MODE, s + k]
                busy = busy or mode != IDLE
                on_curve = mode in (TRACE, FIX)
                along[k] = 1.0 if on_curve else 0.0
                at_s[k] = numbers[SP, s + k] if on_curve else 0.0
            if not busy:
                continue
            store(value, 0, system(tile, X, s, A, g))
            trace = zeros()
            for i in range(size):
                trace = trace + absolute(load(A, (i * (i + 3) // 2) * 8))
            b = _right_sides(X, tilts, tangents, s, size, n, load(at_s, 0), A, g, u, v, w, t)
            growth = factor(A, size, pivots, rows)
            substitute_two(A, size, pivots, v, w, memory)
            vv, tv, tw, below = zeros(), zeros(), zeros(), zeros()
            one = zeros() + 1.0
            for i in range(size):
                vi, ti = load(v, i * 8), load(t, i * 8)
                vv, tv, tw = fma(vi, vi, vv), fma(ti, vi, tv), fma(ti, load(w, i * 8), tw)
                below = below + select(load(pivots, i * 8) < 0.0, one, zeros())
            ds = select(load(along, 0) > 0.0, tw / tv, zeros())
            square = zeros()
            for i in range(size):
                d = fma(ds, load(v, i * 8), -load(w, i * 8))
                store(w, i * 8, d)
                square = fma(d, d, square)
            store(length, 0, sqrt(square))
            store(v_square, 0, sqrt(vv))
            store(tv_product, 0, tv)
            store(ds_part, 0, ds)
            store(negative, 0, below)
            store(doubt, 0, growth / trace)
            _ambient(v, size, n, u, b)
            _ambient(w, size, n, u, b)

            settled = False
            for k in range(8):
                lane = s + k
                verdict[k] = ARRIVED
                if counts[MODE, lane] == IDLE:
                    for row in range(7):
                        plan[8 * row + k] = 0.0
                    continue
                polish = counts[MODE, lane] == POLISH
                verdict[k] = _decide(
                    numbers, counts, plan, rule, lane, length[k], v_square[k], tv_product[k], ds_part[k]
                )
                if polish and verdict[k] == ARRIVED and length[k] < SETTLED * rule[0]:
                    verdict[k] = -1
                    settled = settled or not doubt[k] < _GROWTH
                    if counts[BACK, lane] == 0:
                        _begin(numbers, counts, plan, lane, rule[1], v_square[k])
            if settled:
                _sturm(tile, X, s, A, g, size, memory, negative)
            _move(X, base, tangents, previous, s, size, n, plan, v, w)
            for k in range(8):
                lane = s + k
                if counts[MODE, lane] == IDLE or verdict[k] == ARRIVED:
                    continue
                status = verdict[k]
                if status == -1:
                    if counts[BACK, lane] == 0:
                        counts[BACK, lane] = 1
                        counts[NEW_INDEX, lane] = np.int64(negative[k])
                        numbers[NEW_COST, lane] = value[k]
                        _copy(points, BASE, END, lane, n)
                        continue
                    status = ARRIVED
                _end_move(
                    points, numbers, counts, lane, n, status, log_weight, rule, address, streams[lane], offset, out
                )
                if counts[MOVE, lane] < until:
                    _tilt(points, counts, rule, lane, n, address, streams[lane])
                else:
                    counts[MODE, lane] = IDLE
    return passes, evaluated
