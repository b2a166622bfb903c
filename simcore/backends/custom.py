"""Evaluation of a user's own function, shared by every backend that accepts ``Custom`` problems.

The user gives Euclidean derivatives; ``Domain.riemannian`` turns them into those of the domain, in ambient coordinates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from simcore.arrays import real_array
from simcore.backends.problems import BATCH, Array, Custom
from simcore.errors import InputError

FUNCTIONS = ("value", "gradient", "hessian")


def evaluate(problem: Custom, x: Array) -> tuple[Array, Array, Array]:
    """Return value (S,), gradient (S, n) and Hessian (S, n, n) at points ``x`` of shape (S, n).

    Raises ``InputError`` when a user's function returns the wrong shape or no numbers.
    """
    value, gradient, hessian = euclidean(problem, x)
    return value, *problem.domain.riemannian(x, gradient, hessian)


def euclidean(problem: Custom, x: Array) -> tuple[Array, Array, Array]:
    """Return what the user's functions give at points x, (S, n), the Hessian symmetrised; errors as ``evaluate``."""
    points, n = x.shape
    value, gradient, hessian = np.empty(points), np.empty((points, n)), np.empty((points, n, n))
    if problem.batch is not None:
        for first in range(0, points, BATCH):
            some = slice(first, min(first + BATCH, points))
            rows = x[np.minimum(np.arange(first, first + BATCH), points - 1)]  # the last one fills up
            parts = batched(problem.batch, rows, problem.arrays)
            value[some], gradient[some], hessian[some] = (part[: some.stop - first] for part in parts)
    else:
        for i in range(points):
            here = np.ascontiguousarray(x[i], dtype=np.float64)
            value[i] = _called("value", problem, here, ())
            gradient[i] = _called("gradient", problem, here, (n,))
            hessian[i] = _called("hessian", problem, here, (n, n))
    return value, gradient, 0.5 * (hessian + hessian.swapaxes(1, 2))


def batched(batch: Callable[..., Any], x: Array, arrays: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    """Return what a batch gives at x, (``BATCH``, n), each part of the right shape; else ``InputError``."""
    points, n = x.shape
    parts = batch(x, *arrays)
    if not isinstance(parts, (tuple, list)) or len(parts) != 3:
        raise InputError(
            f"batch returned {type(parts).__name__}; return value, gradient and Hessian of {points} points"
        )
    for what, shape, rows in zip(FUNCTIONS, ((points,), (points, n), (points, n, n)), parts, strict=True):
        if np.shape(rows) != shape:
            raise InputError(f"batch returned a {what} of shape {np.shape(rows)} for {points} points; return {shape}")
    value, gradient, hessian = parts
    return value, gradient, hessian


def checked(what: str, returned: Any, x: Array, shape: tuple[int, ...]) -> Array:
    """Return what the function ``what`` returned at x as float64; ``InputError`` unless it is of that shape."""
    result = real_array(f"what {what} returned", returned, f"return float64 of shape {shape}")
    if result.shape != shape:
        raise InputError(f"{what} returned shape {result.shape} for x of shape {x.shape}; return shape {shape}")
    return result


def _called(what: str, problem: Custom, x: Array, shape: tuple[int, ...]) -> Array:
    # a copy each time: a function that writes into its argument must not move the search
    return checked(what, getattr(problem, what)(x.copy(), *problem.arrays), x, shape)
