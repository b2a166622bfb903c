"""The kernels of a pool: many starts whose values are made together by matrix products, and judged block by block.

A pool has ``pitch`` columns, a start each; its arrays hold a row after the other, so that column s of row r stands at
r pitch + s. A pass makes all Hessians (products and a family's own kernels), then ``step`` factorises them, takes the
capped step, applies the outcome rule and puts the next start, from a counter in device memory, where one has ended.
The formulas are those of ``loop`` and ``ldlt``.

Factors overwrite the Hessian. Where they have grown, the start stays where it is for a pass: its Hessian comes again,
the same bits, and row exchanges solve the system before the others are factorised.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from simcore.backends.cuda import device, ldlt, loop
from simcore.backends.cuda.device import body, cuda, kernel
from simcore.backends.cuda.memory import load, part, store

VECTORS = 3 + ldlt.COLUMNS
"""Vectors of a column beside its system: pivots, two steps, rows of the factorisation."""
FREE = -1
"""Owner of a column without a start."""


@functools.cache
def step_kernel(family: ModuleType, lanes: int, warps: int, pitch: int) -> Any:
    """Return the kernel ``step`` of one family for blocks of ``lanes`` x ``warps`` threads on pools of ``pitch``."""
    system, advance = family.motions(warps, pitch)
    factor, back_substitute, eliminate, _, _ = ldlt.routines(lanes, warps, pitch)
    measure, sound, length, judge = loop.rules(pitch)

    @device.step_kernel
    def step(
        problem, n, size, starts, count, limits, counters, X, A, H, extra, value, vectors, full, fraction, owner,
        steps, settled, doubtful, status, iterations, cost, grad_norm, decrement, x_out,
    ):  # fmt: skip
        """Take one step from every column that has a start.

        ``counters`` = [next start, starts that have ended]; ``limits`` as in ``loop``; ``doubtful``: 1 where the next
        pass solves with row exchanges. ``vectors`` and ``full`` are scratch.
        """
        warp = cuda.threadIdx.y
        first = cuda.blockIdx.x * lanes
        lane = first + cuda.threadIdx.x
        live = 0
        for k in range(lanes):
            if load(owner, first + k) != FREE:
                live += 1
        if live == 0:
            return
        wide = size * pitch
        pivots = part(vectors, 0, wide)
        d = part(vectors, wide, wide)
        again = part(vectors, 2 * wide, wide)
        rows = part(vectors, 3 * wide, ldlt.COLUMNS * wide)
        own = part(full, cuda.blockIdx.x * size * (size + 1), size * (size + 1))

        f = system(problem, X, H, extra, value, A, lane, warp)
        square, trace = 0.0, 0.0
        if warp == 0:
            square, trace = measure(A, size, lane)
        for k in range(lanes):
            if load(doubtful, first + k) != 0:
                eliminate(own, A, size, first + k, again, lane, warp)
        body.syncthreads()
        factor(A, size, pivots, rows, lane, warp)
        back_substitute(A, size, pivots, d, lane, warp)

        if warp == 0:
            o = load(owner, lane)
            store(fraction, lane, 0.0)
            if o != FREE:
                trusted = True
                if load(doubtful, lane) != 0:
                    i = 0
                    while i < size:
                        store(d, i * pitch + lane, load(again, i * pitch + lane))
                        i += 1
                step_square = length(d, size, lane)
                if load(doubtful, lane) == 0:
                    trusted = sound(A, size, trace, step_square, lane)
                store(doubtful, lane, 0 if trusted else 1)
                if trusted:
                    taken = judge(
                        lane, o, f, square, step_square, X, n, limits, steps, settled, status, iterations, cost,
                        grad_norm, decrement, x_out,
                    )  # fmt: skip
                    store(fraction, lane, max(taken, 0.0))
                    if taken < 0.0:
                        cuda.atomic.add(counters, 1, 1)
                        following = cuda.atomic.add(counters, 0, 1)
                        store(steps, lane, 0)
                        store(settled, lane, 0)
                        store(owner, lane, following if following < count else FREE)
                        if following < count:
                            i = 0
                            while i < n:
                                store(X, i * pitch + lane, load(starts, following * n + i))
                                i += 1
        body.syncthreads()
        advance(problem, X, extra, d, load(fraction, lane), lane, warp)

    return step


@kernel
def list_moves(owner, columns, kept, holes, movers, counters):
    """List the free columns below ``kept`` and the starts at or above it; ``counters`` receives how many of each."""
    s = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if s < columns:
        if s < kept and load(owner, s) == FREE:
            store(holes, cuda.atomic.add(counters, 0, 1), s)
        elif s >= kept and load(owner, s) != FREE:
            store(movers, cuda.atomic.add(counters, 1, 1), s)


@kernel
def move(X, n, pitch, owner, steps, settled, doubtful, holes, movers, counters):
    """Move the k-th listed start to the k-th free column."""
    k = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if k < load(counters, 1):
        s, t = load(movers, k), load(holes, k)
        i = 0
        while i < n:
            store(X, i * pitch + t, load(X, i * pitch + s))
            i += 1
        store(owner, t, load(owner, s))
        store(steps, t, load(steps, s))
        store(settled, t, load(settled, s))
        store(doubtful, t, load(doubtful, s))
        store(owner, s, FREE)


@kernel
def keep(array, rows, pitch, kept, period):
    """Copy the first ``period`` columns, side by side."""
    r = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if r < rows:
        s = 0
        while s < period:
            store(kept, r * period + s, load(array, r * pitch + s))
            s += 1


@kernel
def compare(array, rows, pitch, columns, kept, period, different):
    """Count entries of columns s that differ from those of column s modulo ``period``, a column a thread."""
    s = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if s < columns:
        found = 0
        r = 0
        while r < rows:
            a, b = load(array, r * pitch + s), load(kept, r * period + s % period)
            if a != b and (a == a or b == b):  # two NaNs are alike
                found += 1
            r += 1
        if found > 0:
            cuda.atomic.add(different, 0, 1)
