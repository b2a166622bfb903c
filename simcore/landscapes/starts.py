"""Laws of starting points. Each row is a function of (stream, seed, draw, its own number) alone.

Only correctly rounded operations (+, *, /, square root) in a fixed order, so that starts have the same bits everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore import validate

Array = NDArray[np.float64]


def box(stream: int, seed: int, draw: int, first: int, count: int, low: Any, high: Any) -> Array:
    """Return points uniform in the box with sides ``low``, ``high`` of shape (n,), shape (count, n)."""
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    return low + (high - low) * _random(False, stream, seed, draw, first, count, len(low))


def normal(stream: int, seed: int, draw: int, first: int, count: int, n: int, spread: float) -> Array:
    """Return points with independent normal coordinates of standard deviation ``spread``, shape (count, n)."""
    return spread * _random(True, stream, seed, draw, first, count, n)


def sphere(stream: int, seed: int, draw: int, first: int, count: int, n: int, radius: float) -> Array:
    """Return points uniform on the sphere |x| = radius in R^n, shape (count, n): normals divided by their norm."""
    z = _random(True, stream, seed, draw, first, count, n)
    return z * (radius / _norm(z))[:, None]


def ball(stream: int, seed: int, draw: int, first: int, count: int, n: int, radius: float) -> Array:
    """Return points uniform in the ball |x| <= radius in R^n, shape (count, n).

    The first n of n + 2 coordinates of a uniform point on the sphere in R^{n+2} are uniform in the ball (Archimedes
    for n = 1; Barthe, Guedon, Mendelson & Naor 2005 in general): no power of a uniform, whose bits depend on the
    library.
    """
    return np.ascontiguousarray(sphere(stream, seed, draw, first, count, n + 2, radius)[:, :n])


def _norm(z: Array) -> Array:
    # a running sum has one order of summation; np.sum and np.linalg.norm choose theirs by processor and shape
    return np.sqrt(np.add.accumulate(z * z, axis=1)[:, -1])


def _random(normals: bool, stream: int, seed: int, draw: int, first: int, count: int, n: int) -> Array:
    from simcore.formulas.random import start_normals, start_uniforms

    seed, draw = validate.address(seed, draw)
    first, count = validate.start_range(first, count)
    numbers: Array = (start_normals if normals else start_uniforms)(seed, stream, draw, first, count, n)
    return numbers
