"""Evaluation of a user's own function, point by point, shared by every backend that accepts ``Custom`` problems.

The user gives Euclidean derivatives; ``Domain.riemannian`` turns them into those of the domain, in ambient coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simcore.arrays import real_array
from simcore.backends.problems import Array, Custom
from simcore.errors import InputError


def evaluate(problem: Custom, x: Array) -> tuple[Array, Array, Array]:
    """Return value (S,), gradient (S, n) and Hessian (S, n, n) at points ``x`` of shape (S, n).

    The Hessian is symmetrised. Raises ``InputError`` when a user's function returns the wrong shape or no numbers.
    """
    points, n = x.shape
    value, gradient, hessian = np.empty(points), np.empty((points, n)), np.empty((points, n, n))
    for i in range(points):
        here = np.ascontiguousarray(x[i], dtype=np.float64)
        value[i] = _called("value", problem.value, here, ())
        gradient[i] = _called("gradient", problem.gradient, here, (n,))
        raw = _called("hessian", problem.hessian, here, (n, n))
        hessian[i] = 0.5 * (raw + raw.T)
    return value, *problem.domain.riemannian(x, gradient, hessian)


def checked(what: str, returned: Any, x: Array, shape: tuple[int, ...]) -> Array:
    """Return what the function ``what`` returned at x as float64; ``InputError`` unless it is of that shape."""
    result = real_array(f"what {what} returned", returned, f"return float64 of shape {shape}")
    if result.shape != shape:
        raise InputError(f"{what} returned shape {result.shape} for x of shape {x.shape}; return shape {shape}")
    return result


def _called(what: str, function: Callable[[Array], Any], x: Array, shape: tuple[int, ...]) -> Array:
    # a copy each time: a function that writes into its argument must not move the search
    return checked(what, function(x.copy()), x, shape)
