"""Sums of waves for a pool of starts, by matrix products: phases, gradients and packed Hessians.

With c_m and d_m as in ``waves``: P = W X; then C and D from P by one kernel, which sums the values on its way; then
gradients W' D and Hessians T C, T_(ij),m = -w_mi w_mj in packed order. Gradients stand behind the Hessian's rows, where
the factorisation wants its right-hand side. A table T that is too large is made again for a chunk of waves at a time.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np

from simcore.backends.cuda import device, waves
from simcore.backends.cuda.arithmetic import fma, multiply, sincos
from simcore.backends.cuda.device import cuda, function, kernel
from simcore.backends.cuda.memory import load, store
from simcore.backends.cuda.products import Matrix, Products
from simcore.backends.problems import Waves

TABLE = 2**27
"""Doubles of the largest table of frequency products: 1 GiB."""
GROUP = 32
"""Waves of one start whose sines a thread computes: it sums their values."""


class Layout(NamedTuple):
    """How many doubles a pool needs, per column and once."""

    a_column: int
    once: int


class WavesInPool(NamedTuple):
    """What the kernels need of one function."""

    n: int
    groups: int
    confinement: float
    period: float
    cosine: Any
    sine: Any


def key(problem: Waves) -> tuple[int, int]:
    """Return what the shapes of the products depend on."""
    count, n = problem.frequencies.shape
    return count, n


def chunk_of(count: int, n: int) -> int:
    """Return how many waves a table holds: all of them where it is small enough."""
    return min(count, max(GROUP, TABLE // (n * (n + 1) // 2) // GROUP * GROUP))


def layout(problem: Waves) -> Layout:
    """Return the doubles of x, system, C, D and partial values a column; of table and coefficients once."""
    count, n = problem.frequencies.shape
    pairs, chunk = n * (n + 1) // 2, chunk_of(count, n)
    return Layout(n + (n + 1) * (n + 2) // 2 + 2 * chunk + -(-count // GROUP), pairs * chunk + count * (2 * n + 2))


def worth_it(problem: Waves) -> bool:
    """Whether products beat the fused kernel: from 24 variables and 128 waves on (an estimate from counted slots)."""
    count, n = problem.frequencies.shape
    return n >= 24 and count >= 128


@kernel
def turn(problem, C, D, value, first, count, columns, pitch):
    """Turn phases (C) of waves first .. first + count - 1 into c and d, and sum c over each group."""
    across = columns // cuda.blockDim.x
    s = cuda.blockIdx.x % across * cuda.blockDim.x + cuda.threadIdx.x
    group = cuda.blockIdx.x // across * cuda.blockDim.y + cuda.threadIdx.y
    m = group * GROUP
    if m >= count:
        return
    end = min(m + GROUP, count)
    total = 0.0
    while m < end:
        sine, cosine = sincos(load(C, m * pitch + s))
        a, b = load(problem.cosine, first + m), load(problem.sine, first + m)
        c = fma(a, cosine, multiply(b, sine))
        store(C, m * pitch + s, c)
        store(D, m * pitch + s, fma(b, cosine, -multiply(a, sine)))
        total += c
        m += 1
    store(value, (first // GROUP + group) * pitch + s, total)


@kernel
def fill_table(table, frequencies, first, count, n, rows, columns, width):
    """Set table[e, m] = -w_i w_j of wave first + m for the pair e = (i, j), a block a pair."""
    e = cuda.blockIdx.x
    i, j = load(rows, e), load(columns, e)
    m = cuda.threadIdx.x
    while m < count:
        at = (first + m) * n
        store(table, e * width + m, -multiply(load(frequencies, at + i), load(frequencies, at + j)))
        m += cuda.blockDim.x


@functools.cache
def motions(warps: int, pitch: int) -> tuple[Any, Any]:
    """Return the device functions ``system`` and ``advance``."""
    confine, advance = waves.motions(warps, pitch)

    @function
    def system(problem, X, H, extra, value, A, lane, warp):
        """Add the confinement to the systems, which the products have filled; return the value."""
        total = 0.0
        g = 0
        while g < problem.groups:
            total += load(value, g * pitch + lane)
            g += 1
        return confine(problem, X, A, total, lane, warp)

    return system, advance


class Stage:
    """The arrays of a pool and how a pass fills them."""

    def __init__(self, problem: Waves, pitch: int, products: Products) -> None:
        count, n = problem.frequencies.shape
        self.count, self.n, self.pitch, self._products = count, n, pitch, products
        self.pairs, self.chunk = n * (n + 1) // 2, chunk_of(count, n)
        stream = products.stream
        groups = -(-count // GROUP)

        def empty(doubles: int) -> Any:
            return device.empty(doubles, np.float64, stream)

        self.X, self.A = empty(n * pitch), empty((n + 1) * (n + 2) // 2 * pitch)
        self._c, self._d = empty(self.chunk * pitch), empty(self.chunk * pitch)
        self._table, self.value = empty(self.pairs * self.chunk), empty(groups * pitch)
        self.H = self.extra = self.A  # the products write the system itself
        rows, columns = np.tril_indices(n)
        frequencies = np.ascontiguousarray(problem.frequencies)
        arrays = [frequencies.ravel(), frequencies.T.ravel(), rows.astype(np.int64), columns.astype(np.int64)]
        on_device = [device.to_device(array, stream) for array in (*arrays, problem.cosine, problem.sine)]
        self._w, self._transposed, self._rows, self._columns, cosine, sine = on_device
        self.loaded = WavesInPool(n, groups, float(problem.confinement), float(problem.period), cosine, sine)
        self.checked = (self.A, self.pairs + n)  # what the products fill: array and rows
        self._filled = -1

    def evaluate(self, columns: int, threads: tuple[int, int]) -> None:
        """Fill the systems and partial values of the first ``columns`` columns."""
        multiply, pitch, n = self._products.multiply, self.pitch, self.n
        x = Matrix(self.X, 0, n, columns, pitch)
        for first in range(0, self.count, self.chunk):
            many = min(self.chunk, self.count - first)
            c, d = (Matrix(array, 0, many, columns, pitch) for array in (self._c, self._d))
            self._fill(first, many)
            multiply(Matrix(self._w, first * n, many, n, n), x, c)
            lanes, warps = threads
            blocks = columns // lanes * -(-many // (GROUP * warps))
            arguments = (self.loaded, self._c, self._d, self.value, first, many, columns, pitch)
            device.launch(turn, blocks, threads, arguments, self._products.stream)
            slopes = Matrix(self.A, self.pairs * pitch, n, columns, pitch)
            multiply(Matrix(self._transposed, first, n, many, self.count), d, slopes, accumulate=first > 0)
            hessians = Matrix(self.A, 0, self.pairs, columns, pitch)
            multiply(Matrix(self._table, 0, self.pairs, many, self.chunk), c, hessians, accumulate=first > 0)

    def _fill(self, first: int, many: int) -> None:
        """Fill the table for a chunk, unless it holds that chunk already."""
        if first != self._filled:
            threads = (1, 1) if device.SIMULATED else (128, 1)
            arguments = (self._table, self._w, first, many, self.n, self._rows, self._columns, self.chunk)
            device.launch(fill_table, self.pairs, threads, arguments, self._products.stream)
            self._filled = first
