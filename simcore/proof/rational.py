"""Zeros of F(y) = T y^m - y whose certificate rounding forbids: residual and derivative in whole numbers.

Two kinds of zeros are out of reach of ``polish``. Where the energy of a critical point is near 0 its zero lies far out:
the rounding of F grows as u |T| |y|^m, while K = DF(y)^-1 stays of size 1 (along y, DF(y) y = (p - 2) y). And where two
zeros nearly meet K is large. At a point y_0 whose coordinates are doubles F and DF are rational numbers: they are
evaluated exactly, in whole numbers over p! and a power of two, and rounded once. With K, the inverse of DF as it came
out,

1.  |dF| <= u |F| and |dJ|_F <= u |J|_F.
2.  A part of an entry of a complex product is a sum of 2n products, in any order and with or without fused operations:
    at most 2n + 2 roundings on any term, sqrt 2 for the two parts (as in ``simcore.proof.certificate``, 3). So the
    product K F errs by sqrt 2 (2n + 2) u |K|_F |F|, with 1 by at most (4n + 8) u |K|_F |F|:
    eta = |K F| computed + (4n + 8) u |K|_F |F|, not |K| |F| as in lanes; 10^-300 |K|_F more covers underflow.
3.  Likewise K J, with 1 and the subtraction of the identity (as there, 6): delta = |1 - K J|_F computed + (4n + 8) u
    |K|_F |J|_F.

Newton steps with these residuals go on as long as they halve, ``STEPS`` at most: they end at a point next to the zero,
|K F| about u |y|.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.proof.certificate import SPARE, UNIT, concluded

Array = NDArray[np.float64]

STEPS = 8
"""Newton steps, at most."""


def whole(values: Array) -> tuple[NDArray[Any], int]:
    """Return whole numbers N (Python's, in an array) and e with values = N 2^-e, exactly."""
    fraction, exponent = np.frexp(values)
    least = int(exponent.min(initial=0, where=values != 0.0))  # at most 0, so that e is positive
    pairs = zip(fraction, exponent, strict=True)
    return np.array([int(f * 2.0**53) << max(int(k) - least, 0) for f, k in pairs], object), 53 - least


class Exact:
    """F and its derivative at single points: ``coefficients`` (C(n + p - 1, p),) of the polynomial sum c_s y^s, each of
    ``orderings`` equal entries of T, times 2^``power``; ``unfolding`` (n, n^(p-1)) leads from the indices
    of T to multisets."""

    def __init__(self, coefficients: Array, orderings: Array, unfolding: NDArray[np.int64], power: int, p: int) -> None:
        self.n, self.p = len(unfolding), p
        numbers, shift = whole(coefficients)
        self.shift = max(shift - power, 0)
        factor = math.factorial(p) << (self.shift - shift + power)
        shares = np.array([factor // int(k) for k in orderings], object)
        self.tensor = (numbers * shares)[unfolding].reshape((self.n,) * p)  # p! 2^shift T

    def linearised(self, y: NDArray[np.complex128], sign: int) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
        """Return (F, J), F = sign T y^m - y (n,) and J = sign m T y^(m-1) - 1 (n, n), every number rounded once."""
        n, p = self.n, self.p
        both, shift = whole(np.concatenate([y.real, y.imag]))
        u, v = both[:n], both[n:]
        re, im = sign * self.tensor, np.zeros_like(self.tensor)
        for _ in range(p - 2):
            re, im = re @ u - im @ v, re @ v + im @ u
        one = math.factorial(p) << (self.shift + (p - 2) * shift)  # re and im are this times T y^(m-1)
        f = (re @ u - im @ v - one * u, re @ v + im @ u - one * v)
        j = ((p - 1) * re - one * np.eye(n, dtype=int).astype(object), (p - 1) * im)
        divide = np.frompyfunc(lambda number, by: number / by, 2, 1)
        f = tuple(divide(part, one << shift).astype(float) for part in f)
        j = tuple(divide(part, one).astype(float) for part in j)
        return f[0] + 1j * f[1], j[0] + 1j * j[1]

    def certify(self, points: Array, sigma: float, sign: int) -> tuple[Array, Array]:
        """Move points (N, 2n) next to the zeros of sign T y^m = y near them, in place; return (r, R) as ``radii``.

        A point with real coordinates stays one. Points from which Newton's iteration does not converge, or that are not
        finite, keep r = inf.
        """
        r, alone = np.full(len(points), np.inf), np.zeros(len(points))
        for k, point in enumerate(points):
            if np.isfinite(point).all():
                r[k], alone[k] = self._certify(point, sigma, sign)
        return r, alone

    def _certify(self, point: Array, sigma: float, sign: int) -> tuple[float, float]:
        n, last = self.n, np.inf
        y = point[:n] + 1j * point[n:]
        try:
            for _ in range(STEPS):
                f, jacobian = self.linearised(y, sign)
                inverse = np.linalg.inv(jacobian if point[n:].any() else jacobian.real)
                step = inverse @ f
                length = float(np.linalg.norm(step))
                if not length < 0.5 * last:
                    break
                point[:n], point[n:] = y.real, y.imag
                last, kept = length, (f, jacobian, inverse)
                y = y - step
        except (np.linalg.LinAlgError, OverflowError):
            return math.inf, 0.0
        if not math.isfinite(last):
            return math.inf, 0.0
        f, jacobian, inverse = kept
        size = SPARE * float(np.linalg.norm(inverse))
        rounding = (4 * n + 8) * UNIT * size
        eta = SPARE * (last + rounding * SPARE * float(np.linalg.norm(f)) + 1e-300 * size)
        gap = float(np.linalg.norm(np.eye(n) - inverse @ jacobian))
        delta = SPARE * (gap + rounding * SPARE * float(np.linalg.norm(jacobian)))
        norm = SPARE * float(np.linalg.norm(point))
        lengths, sizes, etas, deltas = np.array([[norm], [size], [eta], [delta]])
        r, alone = concluded(lengths, sizes, etas, deltas, sigma, self.p)
        return float(r[0]), float(alone[0])
