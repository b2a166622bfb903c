"""Homogeneous polynomials on the sphere for a pool of starts: the Hessian's table times the monomials, by a product."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from simcore.backends.cuda import device, spin
from simcore.backends.cuda.device import cuda, kernel
from simcore.backends.cuda.monomials import tree
from simcore.backends.cuda.products import Matrix, Products
from simcore.backends.cuda.waves_pool import Layout
from simcore.backends.problems import Spin


class SpinInPool(NamedTuple):
    """What the kernels need of one function."""

    n: int
    degree: int
    level: Any
    parent: Any
    variable: Any


def key(problem: Spin) -> tuple[int, int]:
    """Return what the shapes of the products depend on."""
    return int(problem.n), int(problem.p)


def layout(problem: Spin) -> Layout:
    """Return the doubles of x, system, Hessian and monomials a column; of the table once."""
    n, degree = int(problem.n), int(problem.p) - 2
    pairs = n * (n + 1) // 2
    return Layout(n + pairs + pairs + math.comb(n + degree, degree) + 3 * n, pairs * math.comb(n + degree - 1, degree))


def worth_it(problem: Spin) -> bool:
    """Whether a product beats the fused kernel: from 40,000 coefficients in the table on (an estimate)."""
    return layout(problem).once >= 40_000


@functools.cache
def build_kernel(lanes: int, warps: int, pitch: int) -> Any:
    """Return the kernel that fills the monomials of a pool."""
    fill, _, _ = spin.motions(warps, pitch)

    @kernel
    def build(problem, X, extra):
        """Fill the monomials of each column."""
        fill(problem, X, extra, cuda.blockIdx.x * lanes + cuda.threadIdx.x, cuda.threadIdx.y)

    return build


@functools.cache
def motions(warps: int, pitch: int) -> tuple[Any, Any]:
    """Return the device functions ``system`` and ``advance``."""
    _, system, advance = spin.motions(warps, pitch)
    return system, advance


class Stage:
    """The arrays of a pool and how a pass fills them."""

    def __init__(self, problem: Spin, pitch: int, products: Products) -> None:
        n, degree = int(problem.n), int(problem.p) - 2
        monomials = tree(n, degree)
        self.pitch, self._products = pitch, products
        self.pairs, self.monomials = n * (n + 1) // 2, math.comb(n + degree - 1, degree)
        stream = products.stream
        self._top = 3 * n + int(monomials.level[degree])

        def empty(rows: int) -> Any:
            return device.empty(rows * pitch, np.float64, stream)

        self.X, self.A, self.H = empty(n), empty(self.pairs), empty(self.pairs)
        self.extra = empty(3 * n + math.comb(n + degree, degree))
        self.value = self.extra  # the system finds it from the Hessian
        panels = spin.panels(problem).reshape(-1, self.monomials, spin.PANEL)
        table = panels.transpose(0, 2, 1).reshape(-1, self.monomials)[: self.pairs]
        self._table = device.to_device(table.ravel(), stream)
        self.loaded = SpinInPool(n, degree, *(device.to_device(array, stream) for array in monomials))
        self.checked = (self.H, self.pairs)  # what the products fill: array and rows

    def evaluate(self, columns: int, threads: tuple[int, int]) -> None:
        """Fill the Euclidean Hessians of the first ``columns`` columns."""
        lanes, warps = threads
        build = build_kernel(lanes, warps, self.pitch)
        device.launch(build, columns // lanes, threads, (self.loaded, self.X, self.extra), self._products.stream)
        self._products.multiply(
            Matrix(self._table, 0, self.pairs, self.monomials, self.monomials),
            Matrix(self.extra, self._top * self.pitch, self.monomials, columns, self.pitch),
            Matrix(self.H, 0, self.pairs, columns, self.pitch),
        )
