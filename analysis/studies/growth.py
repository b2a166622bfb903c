"""How a ratio grows with the dimension: exponentially, or as a power.

Symbols: y_j = ln(ratio) at dimension n_j. Exponential growth: y = a + b n, so y against ln n bends upwards (its slope,
b n, grows); a power: y = a + k ln n, straight in ln n. Coefficients are those of ordinary least squares with equal
weights, so that the same numbers taken from an exact law give a reference that depends on no measurement:

    statistic = sum_j c_j y_j,      Var = sum_j c_j^2 se_j^2   (dimensions have independent draws).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..estimates import Array, Estimate, student


def slope_weights(x: ArrayLike) -> Array:
    """Return c such that sum c_j y_j is the slope of the least-squares line through (x_j, y_j); two different x."""
    return _last_row(x, 1)


def bend_weights(x: ArrayLike) -> Array:
    """Return c such that sum c_j y_j is the coefficient of x^2 in the least-squares parabola; three different x."""
    return _last_row(x, 2)


def _last_row(x: ArrayLike, degree: int) -> Array:
    points = np.asarray(x, float)
    return np.linalg.pinv(np.vander(points - points.mean(), degree + 1))[0]


def combined(weights: ArrayLike, logs: Sequence[Estimate], level: float) -> Estimate:
    """Return sum_j c_j y_j of independent estimates, degrees of freedom after Welch and Satterthwaite.

    Numbers without sampling error (``se`` 0 throughout) give an interval without width, of kind "range".
    """
    c = np.asarray(weights, float)
    value = float(c @ [e.value for e in logs])
    parts = (c * [e.se for e in logs]) ** 2
    total = float(parts.sum())
    if total == 0:
        return Estimate(value, 0.0, value, value, level, draws=sum(e.draws for e in logs), kind="range")
    freedom = total**2 / float((parts**2 / [max(e.draws - 1, 1) for e in logs]).sum())
    half = student(level, freedom) * math.sqrt(total)
    return Estimate(value, math.sqrt(total), value - half, value + half, level, 2, len(logs), "slope")


def misfit(x: ArrayLike, logs: Sequence[Estimate]) -> tuple[float, float, int]:
    """Return slope, chi-square and degrees of freedom of the line y = a + b x weighted by 1/se^2.

    With x = n that is exponential growth at rate b, with x = ln n a power of exponent b. Where no y has an error the
    weights are equal and the chi-square is not a number.
    """
    points, y = np.asarray(x, float), np.array([e.value for e in logs])
    se = np.array([e.se for e in logs])
    w = 1 / se if (se > 0).all() else np.ones_like(y)
    slope, start = np.polyfit(points, y, 1, w=w)
    rest = (w * (y - start - slope * points)) ** 2
    return float(slope), float(rest.sum()) if (se > 0).all() else math.nan, len(y) - 2


def local_slopes(x: ArrayLike, logs: Sequence[Estimate], level: float = 0.95) -> list[Estimate]:
    """Return (y_{j+1} - y_j) / (x_{j+1} - x_j) of neighbouring dimensions with their intervals."""
    points = np.asarray(x, float)
    return [
        combined(np.array([-1.0, 1.0]) / (points[j + 1] - points[j]), logs[j : j + 2], level)
        for j in range(len(points) - 1)
    ]
