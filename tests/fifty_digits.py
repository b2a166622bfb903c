"""Derivatives and Newton's iteration at 50 digits, with mpmath: the judge of certificates.

Vectors and matrices are NumPy arrays of mpf, which ``@`` multiplies in plain Python.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations_with_replacement, permutations

import mpmath
import numpy as np

from simcore.backends.problems import Spin, Waves

DIGITS = 50


def exact(values):
    """Return floats as an array of mpf."""
    values = np.asarray(values)
    return np.array([mpmath.mpf(v) for v in values.ravel().tolist()], dtype=object).reshape(values.shape)


def length(vector):
    """Return the Euclidean norm of an array of mpf."""
    with mpmath.workdps(DIGITS):
        return mpmath.sqrt((vector * vector).sum())


def derivatives(problem, x):
    """Return gradient (n,) and Hessian (n, n) of a problem at a point, at 50 digits.

    On the sphere: Riemannian, in ambient coordinates, for the sphere through the point.
    """
    with mpmath.workdps(DIGITS):
        x = x if x.dtype == object else exact(x)
        return (_waves if isinstance(problem, Waves) else _spin)(problem, x)


def newton(problem, x, steps=7):
    """Return (critical point, index) that Newton's iteration reaches from x in full steps."""
    sphere = isinstance(problem, Spin)
    with mpmath.workdps(DIGITS):
        point, n = exact(x), len(x)
        for _ in range(steps):
            gradient, hessian = derivatives(problem, point)
            if sphere:  # a full-rank matrix with the same action on the tangent space
                hessian = hessian + np.outer(point, point)
            step, negative = _solve(hessian, gradient)
            point = point - step
            if sphere:
                point = point * mpmath.sqrt(n / (point @ point))
            if length(step) < mpmath.mpf(10) ** -28:  # the index is that of a point 1e-28 away
                return point, negative
        raise AssertionError("Newton's iteration at 50 digits did not converge")


def _solve(matrix, vector):
    """Return matrix^-1 vector and the number of negative pivots; symmetric elimination, largest pivot first."""
    a, b = matrix.copy(), vector.copy()
    size, negative, order = len(b), 0, []
    left = list(range(size))
    while left:
        k = max(left, key=lambda i: abs(a[i, i]))
        assert abs(a[k, k]) > mpmath.mpf(10) ** -20, "no pivot"
        negative += int(a[k, k] < 0)
        left.remove(k)
        order.append(k)
        for i in left:
            factor = a[i, k] / a[k, k]
            a[i, left] = a[i, left] - factor * a[k, left]
            b[i] = b[i] - factor * b[k]
    solution = b.copy()
    for place in reversed(range(size)):
        k = order[place]
        later = order[place + 1 :]
        solution[k] = (b[k] - sum((a[k, j] * solution[j] for j in later), mpmath.mpf(0))) / a[k, k]
    return solution, negative


def _waves(problem, x):
    frequencies = _objects(problem.frequencies)
    phase = frequencies @ x
    cosine = np.array([mpmath.cos(v) for v in phase], dtype=object)
    sine = np.array([mpmath.sin(v) for v in phase], dtype=object)
    c, s = exact(problem.cosine), exact(problem.sine)
    slope, wave = s * cosine - c * sine, c * cosine + s * sine
    mu = mpmath.mpf(problem.confinement)
    hessian = -(frequencies.T * wave) @ frequencies
    hessian[np.diag_indices(len(x))] += mu
    return slope @ frequencies + mu * x, hessian


def _objects(values):
    return np.array(values.tolist(), dtype=object)  # Python floats: exact factors, and zeros cost nothing


def _spin(problem, x):
    hessian = _tensor(problem.n, problem.p, problem.coefficients.tobytes()) * (problem.p * (problem.p - 1))
    for _ in range(problem.p - 2):
        hessian = hessian @ x
    gradient = hessian @ x / (problem.p - 1)
    radius2 = x @ x
    radial = gradient @ x / radius2
    projector = exact(np.eye(problem.n)) - np.outer(x, x) / radius2
    shifted = hessian - radial * exact(np.eye(problem.n))
    return gradient - radial * x, projector @ shifted @ projector


@lru_cache(maxsize=2)
def _tensor(n, p, coefficients):
    tensor = np.empty((n,) * p, dtype=object)
    numbers = np.frombuffer(coefficients).tolist()
    with mpmath.workdps(DIGITS):
        for places, c in zip(combinations_with_replacement(range(n), p), numbers, strict=True):
            orderings = set(permutations(places))
            for ordering in orderings:
                tensor[ordering] = mpmath.mpf(c) / len(orderings)
    return tensor
