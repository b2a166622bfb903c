"""Homogeneous polynomials on the sphere |x|^2 = n for a block of starts, any degree p >= 2.

The Hessian of f = sum c_a x^a is linear in the monomials of degree p - 2: a constant matrix (rows: pairs i >= j) times
the monomials. Then H x = (p-1) grad f and x.grad f = p f. Tangent coordinates are those of
``simcore.backends.cpu.sphere``: the Householder reflection Q = I - b u u', u = x/sqrt(n) + s e_n, takes x to a multiple
of e_n, and QAQ = A - u q' - q u' with A = H - mu I, mu = x.grad f / n.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numba import float64
from numpy.typing import NDArray

from simcore.backends.cuda import device
from simcore.backends.cuda.arithmetic import divide, fma, multiply, sqrt
from simcore.backends.cuda.device import body as cuda
from simcore.backends.cuda.device import function
from simcore.backends.cuda.memory import load, store
from simcore.backends.cuda.monomials import PANEL, hessian_table, tree
from simcore.backends.cuda.shape import Shape, Space
from simcore.backends.problems import Spin

_ROWS = PANEL  # rows of the table that a thread sums at a time


class SpinOnDevice(NamedTuple):
    """One function on the device."""

    n: int
    degree: int  # p - 2, of the monomials
    monomials: int
    pairs: int
    table: Any  # [pairs/8][monomials][8]
    level: Any  # where the monomials of each degree start
    parent: Any  # monomial of one degree less ...
    variable: Any  # ... and the variable that it is multiplied by


def upload(problem: Spin, shape: Shape, stream: Any, to_device: Any = device.to_device) -> SpinOnDevice:
    """Copy the table of the Hessian's coefficients and the monomials' tree to the device."""
    n, p = int(problem.n), int(problem.p)
    arrays = [to_device(array, stream) for array in (panels(problem), *tree(n, p - 2))]
    return SpinOnDevice(n, p - 2, math.comb(n + p - 3, p - 2), n * (n + 1) // 2, *arrays)


def panels(problem: Spin) -> NDArray[np.float64]:
    """Return the table of the Hessian's coefficients, panels of ``PANEL`` pairs, flat: [pairs/8][monomials][8]."""
    entries = hessian_table(int(problem.n), int(problem.p))
    table = np.zeros(entries.length)
    table[entries.position] = entries.factor * problem.coefficients[entries.source]
    return table


def space(problem: Spin) -> Space:
    """Return the scratch per start: the Hessian's padded pairs; monomials of all degrees, H x, u, q."""
    n, degree = int(problem.n), int(problem.p) - 2
    pairs = n * (n + 1) // 2
    return Space(-(-pairs // _ROWS) * _ROWS, math.comb(n + degree, degree) + 3 * n)


def best_edge(n: int) -> int:
    """Return 8, the rows of the table that a thread sums at a time."""
    return _ROWS


@functools.cache
def routines(shape: Shape) -> tuple[Any, Any, Any]:
    """Return the device functions ``evaluate``, ``system`` and ``advance`` for blocks of one shape."""
    L, W, _ = shape
    build, system, advance = motions(W, L)

    @function
    def evaluate(problem, X, H, extra, value, c, d, lane, warp):
        """Fill the packed Euclidean Hessian; the monomials stand behind H x, u and q in ``extra``."""
        monomials = problem.monomials
        build(problem, X, extra, lane, warp)
        offset = 3 * problem.n
        offset += load(problem.level, problem.degree)
        rows = cuda.local.array(_ROWS, float64)
        first = _ROWS * warp
        while first < problem.pairs:
            for r in range(_ROWS):
                rows[r] = 0.0
            at = first * monomials
            k = 0
            while k < monomials:
                x = load(extra, (offset + k) * L + lane)
                for r in range(_ROWS):
                    rows[r] = fma(load(problem.table, at + r), x, rows[r])
                at += _ROWS
                k += 1
            for r in range(_ROWS):
                store(H, (first + r) * L + lane, rows[r])
            first += W * _ROWS
        cuda.syncthreads()

    return evaluate, system, advance


@functools.cache
def motions(warps: int, pitch: int) -> tuple[Any, Any, Any]:
    """Return the device functions ``build``, ``system`` and ``advance`` for arrays of ``pitch`` lanes."""
    L, W = pitch, warps

    @function
    def build(problem, X, extra, lane, warp):
        """Fill the monomials of all degrees, behind H x, u and q in ``extra``."""
        offset = 3 * problem.n
        if warp == 0:
            store(extra, offset * L + lane, 1.0)
        cuda.syncthreads()
        r = 1
        while r < problem.degree + 1:
            k = load(problem.level, r) + warp
            while k < load(problem.level, r + 1):
                x = load(X, load(problem.variable, k) * L + lane)
                store(
                    extra,
                    (offset + k) * L + lane,
                    multiply(load(extra, (offset + load(problem.parent, k)) * L + lane), x),
                )
                k += W
            cuda.syncthreads()
            r += 1

    @function
    def system(problem, X, H, extra, value, A, lane, warp):
        """Fill the augmented system with tangent Hessian and gradient; return the value."""
        n = problem.n
        size = n - 1
        hx, u, q = 0, n, 2 * n
        i = warp
        while i < n:
            total = 0.0
            begin = (i * (i + 1)) >> 1
            j = 0
            while j < i + 1:
                total = fma(load(H, (begin + j) * L + lane), load(X, j * L + lane), total)
                j += 1
            j = i + 1
            while j < n:
                total = fma(load(H, (((j * (j + 1)) >> 1) + i) * L + lane), load(X, j * L + lane), total)
                j += 1
            store(extra, (hx + i) * L + lane, total)
            i += W
        cuda.syncthreads()

        # scalars of a start, the same in every warp: cheaper to repeat than to hand over
        radial = 0.0
        i = 0
        while i < n:
            radial = fma(load(extra, (hx + i) * L + lane), load(X, i * L + lane), radial)
            i += 1
        inverse_degree = divide(1.0, problem.degree + 1.0)
        mu = divide(
            radial, (problem.degree + 1.0) * n
        )  # a quotient: nothing for a compiler to fuse with the sums below
        unit = divide(1.0, sqrt(float(n)))
        last = multiply(load(X, (n - 1) * L + lane), unit)
        sign = -1.0 if last < 0.0 else 1.0
        b = divide(1.0, abs(last) + 1.0)
        bottom = ((n - 1) * n) >> 1
        overlap = 0.0
        i = 0
        while i < n:
            x = load(X, i * L + lane)
            column = load(H, (bottom + i) * L + lane)
            reflected = fma(x, unit, sign if i == n - 1 else 0.0)
            if i == n - 1:
                column -= mu
            ax = multiply(fma(-mu, x, load(extra, (hx + i) * L + lane)), unit)
            au = multiply(fma(sign, column, ax), b)
            overlap = fma(au, reflected, overlap)
            if warp == 0:
                store(extra, (u + i) * L + lane, reflected)
                store(extra, (q + i) * L + lane, au)
            i += 1
        cuda.syncthreads()
        overlap = multiply(multiply(overlap, b), 0.5)
        i = warp
        while i < n:
            store(
                extra,
                (q + i) * L + lane,
                fma(-overlap, load(extra, (u + i) * L + lane), load(extra, (q + i) * L + lane)),
            )
            i += W
        cuda.syncthreads()

        right = (size * (size + 1)) >> 1
        end = fma(-mu, load(X, (n - 1) * L + lane), multiply(load(extra, (hx + n - 1) * L + lane), inverse_degree))
        shift = multiply(multiply(b, sign), end)  # b u.grad, since grad is orthogonal to x
        i = warp
        while i < size:
            begin = (i * (i + 1)) >> 1
            ui, qi = -load(extra, (u + i) * L + lane), -load(extra, (q + i) * L + lane)
            j = 0
            while j < i + 1:
                entry = load(H, (begin + j) * L + lane)
                if j == i:
                    entry -= mu
                entry = fma(qi, load(extra, (u + j) * L + lane), entry)
                A[(begin + j) * L + lane] = fma(ui, load(extra, (q + j) * L + lane), entry)
                j += 1
            tangential = fma(-mu, load(X, i * L + lane), multiply(load(extra, (hx + i) * L + lane), inverse_degree))
            A[(right + i) * L + lane] = fma(shift, ui, tangential)
            i += W
        cuda.syncthreads()
        return multiply(radial, divide(inverse_degree, problem.degree + 2.0))

    @function
    def advance(problem, X, extra, d, t, lane, warp):
        """x <- sqrt(n) (x - t Qd) / |x - t Qd|, by the first warp; t = 0 leaves x as it is. No barrier."""
        n = problem.n
        if warp > 0 or not t > 0.0:
            return
        last = divide(load(X, (n - 1) * L + lane), sqrt(float(n)))
        b = divide(1.0, abs(last) + 1.0)
        overlap = 0.0
        i = 0
        while i < n - 1:
            overlap = fma(load(extra, (n + i) * L + lane), load(d, i * L + lane), overlap)
            i += 1
        overlap = multiply(overlap, b)
        total = 0.0
        i = 0
        while i < n:
            step = fma(-overlap, load(extra, (n + i) * L + lane), load(d, i * L + lane) if i < n - 1 else 0.0)
            x = fma(-t, step, load(X, i * L + lane))
            store(X, i * L + lane, x)
            total = fma(x, x, total)
            i += 1
        scale = sqrt(divide(float(n), total))
        i = 0
        while i < n:
            store(X, i * L + lane, multiply(load(X, i * L + lane), scale))
            i += 1

    return build, system, advance
