"""Factorisations of one small symmetric system a lane, shared by the warps of a block.

A matrix of a block is packed by rows of its lower triangle: entry (i, j), j <= i, of lane l stands at
(i(i+1)/2 + j) lanes + l, so that the threads of a warp read neighbouring doubles. Row ``size`` of the augmented system
is the right-hand side: factorising it along with the matrix is the forward substitution.

Every function is called by all threads of a block and ends with a barrier, unless it says otherwise. Loops whose length
is known at run time alone are written with ``while``: Numba's range iterator costs several instructions a pass.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from simcore.backends.cuda.arithmetic import divide, fma, multiply, sqrt
from simcore.backends.cuda.device import body as cuda
from simcore.backends.cuda.device import function
from simcore.backends.cuda.memory import load, store

_TINY = 1e-300
COLUMNS = 4
"""Columns that ``factor`` takes at a time."""


class Routines(NamedTuple):
    """Device functions for blocks of one shape."""

    factor: Any
    back_substitute: Any
    eliminate: Any
    tridiagonalise: Any
    count_below: Any


@functools.cache
def routines(lanes: int, warps: int, pitch: int | None = None) -> Routines:
    """Return the device functions for blocks of ``lanes`` x ``warps`` threads.

    ``pitch`` is how many lanes an array holds side by side: those of the block unless it is given, else those of a pool
    that many blocks share. ``lane`` numbers the lanes of an array.
    """
    L, W, C = pitch or lanes, warps, COLUMNS
    threads = lanes * warps

    @function
    def factor_corner(A, size, pivots, rows, j, lane):
        """Factorise the rows and columns from j to j + COLUMNS - 1 among themselves, by one thread a lane; no barrier.

        ``rows`` receives the multipliers of these rows.
        """
        for c in range(C):
            if j + c < size:
                at = (((j + c) * (j + c + 1)) >> 1) + j
                for e in range(c + 1):
                    entry = load(A, (at + e) * L + lane)
                    for q in range(e):
                        entry = fma(-load(rows, (C * (j + q) + e) * L + lane), load(A, (at + q) * L + lane), entry)
                    store(A, (at + e) * L + lane, entry)
                    if e == c:
                        store(pivots, (j + e) * L + lane, divide(1.0, entry))
                    else:
                        multiplier = multiply(entry, load(pivots, (j + e) * L + lane))
                        store(rows, (C * (j + e) + c) * L + lane, multiplier)

    @function
    def factor(A, size, pivots, rows, lane, warp):
        """Overwrite the augmented system with U (L D) and y (the right-hand side through L), without pivoting.

        ``pivots`` receives 1/d_j, ``rows`` (COLUMNS size) is scratch; d_j stay on the diagonal. Left-looking, four
        columns at a time, so that each entry of U that is loaded serves four sums; each sum goes over k in order,
        however many columns go together.
        """
        j = 0
        while j < size:
            t = warp
            while t < C * j:
                k = t >> 2
                row = min(j + (t & 3), size)
                entry = load(A, (((row * (row + 1)) >> 1) + k) * L + lane)
                store(rows, t * L + lane, multiply(entry, load(pivots, k * L + lane)))
                t += W
            cuda.syncthreads()
            i = j + warp
            while i <= size:
                begin = (i * (i + 1)) >> 1
                last = min(i, size - 1)  # the columns of the right-hand side are those of the matrix
                # past the last column: a number that is not used
                p0 = load(A, (begin + j) * L + lane)
                p1 = load(A, (begin + min(j + 1, last)) * L + lane)
                p2 = load(A, (begin + min(j + 2, last)) * L + lane)
                p3 = load(A, (begin + min(j + 3, last)) * L + lane)
                k = 0
                while k < j:
                    entry = load(A, (begin + k) * L + lane)
                    at = C * k * L + lane
                    p0 = fma(-load(rows, at), entry, p0)
                    p1 = fma(-load(rows, at + L), entry, p1)
                    p2 = fma(-load(rows, at + 2 * L), entry, p2)
                    p3 = fma(-load(rows, at + 3 * L), entry, p3)
                    k += 1
                store(A, (begin + j) * L + lane, p0)
                if j + 1 <= last:
                    store(A, (begin + j + 1) * L + lane, p1)
                if j + 2 <= last:
                    store(A, (begin + j + 2) * L + lane, p2)
                if j + 3 <= last:
                    store(A, (begin + j + 3) * L + lane, p3)
                i += W
            cuda.syncthreads()
            if warp == 0:
                factor_corner(A, size, pivots, rows, j, lane)
            cuda.syncthreads()
            i = j + C + warp if j + C < size else size + warp
            while i <= size:
                at = (((i * (i + 1)) >> 1) + j) * L + lane
                for c in range(1, C):
                    if j + c < size:
                        entry = load(A, at + c * L)
                        for q in range(c):
                            entry = fma(-load(rows, (C * (j + q) + c) * L + lane), load(A, at + q * L), entry)
                        store(A, at + c * L, entry)
                i += W
            cuda.syncthreads()
            j += C

    @function
    def back_substitute(A, size, pivots, d, lane, warp):
        """Set d to the solution, from the factors; the right-hand side's row is overwritten."""
        right = (size * (size + 1)) >> 1
        step = 0
        while step < size:
            i = size - 1 - step
            begin = (i * (i + 1)) >> 1
            x = multiply(load(A, (right + i) * L + lane), load(pivots, i * L + lane))
            if warp == 0:
                store(d, i * L + lane, x)
            k = warp
            while k < i:
                store(
                    A, (right + k) * L + lane, fma(-load(A, (begin + k) * L + lane), x, load(A, (right + k) * L + lane))
                )
                k += W
            cuda.syncthreads()
            step += 1

    @function
    def eliminate(full, A, size, chosen, d, lane, warp):
        """Solve the system of lane ``chosen`` with row exchanges: the slow path of a lane whose factors have grown.

        ``full`` (size, size + 1) is scratch. A pivot that vanishes is replaced by rounding's size, which turns the
        solution towards the null direction: the step cap then bounds it.
        """
        thread = warp * lanes + lane % lanes
        width = size + 1
        right = (size * (size + 1)) >> 1
        i = thread
        while i < size:
            j = 0
            while j < size:
                high, low = (i, j) if i >= j else (j, i)
                store(full, i * width + j, load(A, (((high * (high + 1)) >> 1) + low) * L + chosen))
                j += 1
            store(full, i * width + size, load(A, (right + i) * L + chosen))
            i += threads
        cuda.syncthreads()
        largest = 0.0
        i = 0
        while i < size:
            j = 0
            while j < i + 1:
                largest = max(largest, abs(load(full, i * width + j)))
                j += 1
            i += 1
        smallest = fma(2.2e-16, largest, _TINY)
        j = 0
        while j < size:
            best = j
            i = j + 1
            while i < size:
                if abs(load(full, i * width + j)) > abs(load(full, best * width + j)):
                    best = i
                i += 1
            cuda.syncthreads()
            if best != j:
                k = j + thread
                while k < width:
                    kept = load(full, j * width + k)
                    store(full, j * width + k, load(full, best * width + k))
                    store(full, best * width + k, kept)
                    k += threads
                cuda.syncthreads()
            pivot = load(full, j * width + j)
            if abs(pivot) < smallest:
                pivot = smallest
            i = j + 1 + thread
            while i < size:
                multiplier = -divide(load(full, i * width + j), pivot)
                k = j + 1
                while k < width:
                    store(full, i * width + k, fma(multiplier, load(full, j * width + k), load(full, i * width + k)))
                    k += 1
                i += threads
            cuda.syncthreads()
            j += 1
        step = 0
        while step < size:
            i = size - 1 - step
            pivot = load(full, i * width + i)
            if abs(pivot) < smallest:
                pivot = smallest
            x = divide(load(full, i * width + size), pivot)
            if thread == 0:
                store(d, i * L + chosen, x)
            k = thread
            while k < i:
                store(full, k * width + size, fma(-load(full, k * width + i), x, load(full, k * width + size)))
                k += threads
            cuda.syncthreads()
            step += 1

    @function
    def tridiagonalise(A, size, diagonal, off_diagonal, u, p, lane, warp):
        """Reduce the matrices to tridiagonal form by Householder reflections; A is overwritten.

        ``diagonal[i]`` and ``off_diagonal[i]`` = T_ii and T_i,i-1; ``u`` and ``p`` are scratch. Backward stable
        whatever the pivots, unlike ``factor``.

        Source: Golub and Van Loan, Matrix Computations, 4th ed., algorithm 8.3.1, last row first.
        """
        step = 0
        while step < size - 1:
            i = size - 1 - step
            begin = (i * (i + 1)) >> 1
            k = warp
            while k < i:
                store(u, k * L + lane, load(A, (begin + k) * L + lane))
                k += W
            cuda.syncthreads()
            # every warp takes the same sum: cheaper than handing it over
            square = 0.0
            k = 0
            while k < i:
                square = fma(load(u, k * L + lane), load(u, k * L + lane), square)
                k += 1
            pivot = load(A, (begin + i - 1) * L + lane)
            beta = sqrt(square) if pivot < 0.0 else -sqrt(square)
            half = fma(-pivot, beta, square)  # |u|^2 / 2
            scale = 0.0 if half < _TINY else divide(1.0, half)
            cuda.syncthreads()
            if warp == 0:
                store(diagonal, i * L + lane, load(A, (begin + i) * L + lane))
                store(off_diagonal, i * L + lane, beta)
                store(u, (i - 1) * L + lane, pivot - beta)
            cuda.syncthreads()
            r = warp
            while r < i:
                total = 0.0
                at = (r * (r + 1)) >> 1
                k = 0
                while k < r + 1:
                    total = fma(load(A, (at + k) * L + lane), load(u, k * L + lane), total)
                    k += 1
                k = r + 1
                while k < i:
                    total = fma(load(A, (((k * (k + 1)) >> 1) + r) * L + lane), load(u, k * L + lane), total)
                    k += 1
                store(p, r * L + lane, multiply(total, scale))
                r += W
            cuda.syncthreads()
            overlap = 0.0
            k = 0
            while k < i:
                overlap = fma(load(p, k * L + lane), load(u, k * L + lane), overlap)
                k += 1
            overlap = multiply(multiply(overlap, scale), 0.5)
            cuda.syncthreads()
            k = warp
            while k < i:
                store(p, k * L + lane, fma(-overlap, load(u, k * L + lane), load(p, k * L + lane)))
                k += W
            cuda.syncthreads()
            r = warp
            while r < i:
                at = (r * (r + 1)) >> 1
                ur, pr = -load(u, r * L + lane), -load(p, r * L + lane)
                k = 0
                while k < r + 1:
                    entry = fma(ur, load(p, k * L + lane), load(A, (at + k) * L + lane))
                    store(A, (at + k) * L + lane, fma(pr, load(u, k * L + lane), entry))
                    k += 1
                r += W
            cuda.syncthreads()
            step += 1
        if warp == 0:
            store(diagonal, lane, load(A, lane))
        cuda.syncthreads()

    @function
    def count_below(diagonal, off_diagonal, size, shift, lane):
        """Return how many eigenvalues of a lane's tridiagonal matrix lie below a shift, by Sturm's sequence.

        q_0 = d_0 - s, q_i = d_i - s - e_i^2/q_(i-1); the number of negative q_i is the count. No barrier.
        """
        count = 0
        q = 1.0
        i = 0
        while i < size:
            t = load(diagonal, i * L + lane) - shift
            if i > 0:
                e = load(off_diagonal, i * L + lane)
                t = fma(-e, divide(e, q), t)
            if abs(t) < _TINY:
                t = -_TINY
            if t < 0.0:
                count += 1
            q = t
            i += 1
        return count

    return Routines(factor, back_substitute, eliminate, tridiagonalise, count_below)
