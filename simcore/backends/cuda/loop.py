"""The search on the device: two kernels, each written once for every family of functions.

``search`` runs capped Newton. Each block holds ``lanes`` starts and takes the next one from a counter in device memory
as one ends, so that no iteration waits for the host. ``classify`` then evaluates the end points again (the same bits,
since the arithmetic is the same) and settles index and nullity by tridiagonalisation and Sturm counts at -t and t,
t = zero_tolerance |H|_F, and gradient-flatness where the iterations ran out.

What a start goes through depends on that start alone: no sum crosses lanes, and no sum depends on how work is split
over warps, so pools, refills, blocks, batches and devices with the same instructions change no row.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from numba import float64, int32, int64

from simcore.backends.cuda import device, ldlt
from simcore.backends.cuda.arithmetic import capped_fraction, fma, sqrt
from simcore.backends.cuda.device import body, cuda, function, kernel
from simcore.backends.cuda.memory import load, part, store
from simcore.backends.cuda.shape import CHUNK, VECTORS, Shape
from simcore.backends.problems import NewtonOptions
from simcore.formulas.outcome import CRITICAL, DEGENERATE, MAX_ITERATIONS
from simcore.formulas.verdict import GO_ON, confirmed, exhausted, flat, verdict

_GROWTH = 1e6
_HUGE = 1e300
_ENDED = -2  # owner of a lane whose start has ended and that waits for the next one


def limits_of(options: NewtonOptions) -> tuple[float, float, float, float, int]:
    """Return what the search kernels take: step cap, gradient and decrement tolerances, region, iterations."""
    return (
        float(options.step_cap),
        float(options.gradient_tolerance),
        float(options.decrement_tolerance),
        float(options.region),
        int(options.max_iterations),
    )


def tolerances_of(options: NewtonOptions) -> tuple[float, float, float, float]:
    """Return what ``classify`` takes: gradient, zero and flat tolerances, and the floor of the zero threshold."""
    chosen = (options.gradient_tolerance, options.zero_tolerance, options.flat_tolerance, options.zero_floor)
    return tuple(float(limit) for limit in chosen)


class Rules(NamedTuple):
    """Device functions that judge a start, for arrays of one pitch."""

    measure: Any
    sound: Any
    length: Any
    judge: Any


@functools.cache
def rules(pitch: int) -> Rules:
    """Return the device functions that judge a start, called by one thread a lane; no barrier.

    The system of lane l is packed as in ``ldlt``, with ``pitch`` lanes side by side.
    """
    L = pitch

    @function
    def measure(A, size, lane):
        """Return |g|^2 and the trace of |H|, before the factorisation."""
        right = (size * (size + 1)) >> 1
        square = 0.0
        total = 0.0
        i = 0
        while i < size:
            g = load(A, (right + i) * L + lane)
            square = fma(g, g, square)
            total += abs(load(A, ((i * (i + 3)) >> 1) * L + lane))
            i += 1
        return square, total

    @function
    def length(step, size, lane):
        """Return |step|^2."""
        square = 0.0
        i = 0
        while i < size:
            square = fma(load(step, i * L + lane), load(step, i * L + lane), square)
            i += 1
        return square

    @function
    def sound(A, size, trace, step_square, lane):
        """Whether factors without row exchanges gave a step to trust: no pivot has grown, the step is finite."""
        growth = 0.0
        i = 0
        while i < size:
            growth = max(growth, abs(load(A, ((i * (i + 3)) >> 1) * L + lane)))
            i += 1
        return growth < fma(trace, _GROWTH, 0.0) and step_square < _HUGE

    @function
    def judge(
        lane, o, f, square, step_square, X, n, limits, steps, settled, status, iterations, cost, grad_norm, decrement,
        x_out,
    ):  # fmt: skip
        """Return the fraction of the step that start o takes; -1 where it ends here, with its outcome written."""
        cap, gradient_tolerance, decrement_tolerance, region, max_iterations = limits
        small = square < fma(gradient_tolerance, gradient_tolerance, 0.0)
        norm = sqrt(step_square)
        short = norm < decrement_tolerance
        if small and not short:
            settled[lane] += 1
        furthest = 0.0
        if region < _HUGE:
            i = 0
            while i < n:
                furthest = max(furthest, abs(load(X, i * L + lane)))
                i += 1
        finite = square < _HUGE and abs(f) < _HUGE and (small or step_square < _HUGE)
        last = steps[lane] >= max_iterations
        code = verdict(finite, furthest > region, small, short, settled[lane], last)
        if code == GO_ON:
            steps[lane] += 1
            return capped_fraction(step_square, cap)
        store(status, o, code)
        store(iterations, o, steps[lane])
        store(cost, o, f)
        store(grad_norm, o, sqrt(square))
        store(decrement, o, norm)
        i = 0
        while i < n:
            store(x_out, o * n + i, load(X, i * L + lane))
            i += 1
        return -1.0

    return Rules(measure, sound, length, judge)


@functools.cache
def search_kernel(family: Any, shape: Shape) -> Any:
    """Return the kernel ``search`` of one family (a module with ``routines``) for blocks of one shape."""
    L, W, _ = shape
    chunk = CHUNK * L
    evaluate, system, advance = family.routines(shape)
    factor, back_substitute, eliminate, _, _ = ldlt.routines(L, W)
    measure, sound, length, judge = rules(L)

    @device.search_kernel
    def search(
        problem, n, size, starts, count, limits, counter, scratch, stride, hessian, special, status, iterations,
        cost, grad_norm, decrement, x_out,
    ):  # fmt: skip
        """Run every start, x = starts[s n : (s+1) n], and write its provisional outcome.

        ``limits`` = (step cap, gradient tolerance, decrement tolerance, region, iterations); ``counter`` holds 0;
        ``hessian`` and ``special`` are the family's doubles per start, ``stride`` a block's doubles in ``scratch``.
        """
        lane, warp = cuda.threadIdx.x, cuda.threadIdx.y
        c = cuda.shared.array(chunk, float64)
        d = cuda.shared.array(chunk, float64)
        value = cuda.shared.array(L, float64)
        gradient_square = cuda.shared.array(L, float64)
        trace = cuda.shared.array(L, float64)
        fraction = cuda.shared.array(L, float64)
        owner = cuda.shared.array(L, int64)
        steps = cuda.shared.array(L, int32)
        settled = cuda.shared.array(L, int32)
        doubtful = cuda.shared.array(L, int32)
        place = cuda.shared.array(1, int64)

        at = cuda.blockIdx.x * stride
        X = part(scratch, at, n * L)
        at += n * L
        augmented = ((size + 1) * (size + 2)) >> 1
        A = part(scratch, at, augmented * L)
        at += augmented * L
        vectors = at
        at += VECTORS * size * L
        H = part(scratch, at, hessian * L)
        at += hessian * L
        extra = part(scratch, at, special * L)
        if warp == 0 and lane == 0:
            place[0] = vectors
        if warp == 0:
            owner[lane] = _ENDED
            i = 0
            while i < n:
                store(X, i * L + lane, load(starts, i))
                i += 1
        body.syncthreads()

        while True:
            if warp == 0 and owner[lane] == _ENDED:
                following = cuda.atomic.add(counter, 0, 1)
                owner[lane] = -1
                steps[lane] = 0
                settled[lane] = 0
                if following < count:
                    owner[lane] = following
                    i = 0
                    while i < n:
                        store(X, i * L + lane, load(starts, following * n + i))
                        i += 1
            body.syncthreads()
            running = 0
            for k in range(L):
                if owner[k] >= 0:
                    running += 1
            if running == 0:
                break

            evaluate(problem, X, H, extra, value, c, d, lane, warp)
            # found again from shared memory: held in registers all through the evaluation these would not fit
            at = place[0]
            pivots = part(scratch, at, size * L)
            step = part(scratch, at + size * L, size * L)
            rows = part(scratch, at + 2 * size * L, ldlt.COLUMNS * size * L)
            f = system(problem, X, H, extra, value, A, lane, warp)
            if warp == 0:
                square, total = measure(A, size, lane)
                gradient_square[lane] = square
                trace[lane] = total
            body.syncthreads()
            factor(A, size, pivots, rows, lane, warp)
            back_substitute(A, size, pivots, step, lane, warp)
            step_square = 0.0
            if warp == 0:
                step_square = length(step, size, lane)
                trusted = sound(A, size, trace[lane], step_square, lane)
                doubtful[lane] = 0 if trusted or owner[lane] < 0 else 1
            body.syncthreads()
            flagged = 0
            for k in range(L):
                flagged += doubtful[k]
            if flagged > 0:
                system(problem, X, H, extra, value, A, lane, warp)
                full = part(scratch, at + (VECTORS * size + hessian + special) * L, size * (size + 1))
                for k in range(L):
                    if doubtful[k] != 0:
                        eliminate(full, A, size, k, step, lane, warp)
                if warp == 0:
                    step_square = length(step, size, lane)

            if warp == 0:
                o = owner[lane]
                fraction[lane] = 0.0
                if o >= 0:
                    taken = judge(
                        lane, o, f, gradient_square[lane], step_square, X, n, limits, steps, settled, status,
                        iterations, cost, grad_norm, decrement, x_out,
                    )  # fmt: skip
                    fraction[lane] = max(taken, 0.0)
                    if taken < 0.0:
                        owner[lane] = _ENDED
            body.syncthreads()
            advance(problem, X, extra, step, fraction[lane], lane, warp)
            body.syncthreads()

    return search


@functools.cache
def classify_kernel(family: Any, shape: Shape) -> Any:
    """Return the kernel ``classify`` of one family for blocks of one shape."""
    L, W, _ = shape
    chunk = CHUNK * L
    evaluate, system, _ = family.routines(shape)
    *_, tridiagonalise, count_below = ldlt.routines(L, W)

    @kernel
    def classify(problem, n, size, rows, count, x, limits, scratch, stride, hessian, special, status, index, nullity):
        """Settle the outcome of the starts listed in ``rows``; ``limits`` = (gradient, zero, flat) tolerances."""
        lane, warp = cuda.threadIdx.x, cuda.threadIdx.y
        c = cuda.shared.array(chunk, float64)
        d = cuda.shared.array(chunk, float64)
        value = cuda.shared.array(L, float64)

        at = cuda.blockIdx.x * stride
        X = part(scratch, at, n * L)
        at += n * L
        augmented = ((size + 1) * (size + 2)) >> 1
        A = part(scratch, at, augmented * L)
        at += augmented * L
        diagonal = part(scratch, at, size * L)
        off_diagonal = part(scratch, at + size * L, size * L)
        u = part(scratch, at + 2 * size * L, size * L)
        p = part(scratch, at + 3 * size * L, size * L)
        at += VECTORS * size * L
        H = part(scratch, at, hessian * L)
        at += hessian * L
        extra = part(scratch, at, special * L)

        gradient_tolerance, zero_tolerance, flat_tolerance, zero_floor = limits
        right = (size * (size + 1)) >> 1
        first = cuda.blockIdx.x * L
        while first < count:
            slot = min(first + lane, count - 1)
            o = load(rows, slot)
            i = warp
            while i < n:
                store(X, i * L + lane, load(x, o * n + i))
                i += W
            body.syncthreads()
            evaluate(problem, X, H, extra, value, c, d, lane, warp)
            system(problem, X, H, extra, value, A, lane, warp)
            # sums of a start, the same in every warp: cheaper to repeat than to hand over
            g_square = 0.0
            h_square = 0.0
            hg_square = 0.0
            i = 0
            while i < size:
                g = load(A, (right + i) * L + lane)
                g_square = fma(g, g, g_square)
                total = 0.0
                j = 0
                while j < size:
                    high, low = (i, j) if i >= j else (j, i)
                    entry = load(A, (((high * (high + 1)) >> 1) + low) * L + lane)
                    h_square = fma(entry, entry, h_square)
                    total = fma(entry, load(A, (right + j) * L + lane), total)
                    j += 1
                hg_square = fma(total, total, hg_square)
                i += 1
            body.syncthreads()
            tridiagonalise(A, size, diagonal, off_diagonal, u, p, lane, warp)
            if warp == 0 and first + lane < count:
                small = g_square < fma(gradient_tolerance, gradient_tolerance, 0.0)
                threshold = max(fma(sqrt(h_square), zero_tolerance, 0.0), zero_floor)
                below = count_below(diagonal, off_diagonal, size, -threshold, lane)
                null = count_below(diagonal, off_diagonal, size, threshold, lane) - below
                code = load(status, o)
                if code == MAX_ITERATIONS:
                    code = exhausted(flat(small, hg_square, h_square, g_square, flat_tolerance))
                code = confirmed(code, small, null, 0)
                store(status, o, code)
                if code == CRITICAL or code == DEGENERATE:  # noqa: SIM109 (compiled code)
                    store(index, o, below)
                    store(nullity, o, null)
            body.syncthreads()
            first += cuda.gridDim.x * L

    return classify


@functools.cache
def derive_kernel(family: Any, shape: Shape) -> Any:
    """Return the kernel ``derive`` of one family for blocks of one shape."""
    L, W, _ = shape
    chunk = CHUNK * L
    evaluate, system, _ = family.routines(shape)

    @kernel
    def derive(problem, n, x, count, scratch, stride, hessian, special, value_out, gradient_out, hessian_out):
        """Write value, gradient (n) and packed Hessian of each point, in the tangent coordinates of the search."""
        lane, warp = cuda.threadIdx.x, cuda.threadIdx.y
        c = cuda.shared.array(chunk, float64)
        d = cuda.shared.array(chunk, float64)
        value = cuda.shared.array(L, float64)
        at = cuda.blockIdx.x * stride
        X = part(scratch, at, n * L)
        at += n * L
        augmented = ((n + 1) * (n + 2)) >> 1
        A = part(scratch, at, augmented * L)
        at += augmented * L + VECTORS * n * L
        H = part(scratch, at, hessian * L)
        extra = part(scratch, at + hessian * L, special * L)
        packed = (n * (n + 1)) >> 1
        first = cuda.blockIdx.x * L
        while first < count:
            o = min(first + lane, count - 1)
            i = warp
            while i < n:
                store(X, i * L + lane, load(x, o * n + i))
                i += W
            body.syncthreads()
            evaluate(problem, X, H, extra, value, c, d, lane, warp)
            f = system(problem, X, H, extra, value, A, lane, warp)
            if first + lane < count:
                if warp == 0:
                    store(value_out, o, f)
                i = warp
                while i < packed:
                    store(hessian_out, o * packed + i, load(A, i * L + lane))
                    i += W
                i = warp
                while i < n:
                    store(gradient_out, o * n + i, load(A, (packed + i) * L + lane))
                    i += W
            body.syncthreads()
            first += cuda.gridDim.x * L

    return derive
