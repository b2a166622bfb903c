"""Estimates of tables and figures: fractions and mean costs by index, growth rates, from counts per draw.

The statistical unit is the draw: N draws are independent, points within a draw are not. The intervals themselves are
``simcore.statistics.intervals``', whose names are handed on here.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simcore.errors import InputError
from simcore.statistics.estimate import LEAST_DIFFERENT, LEAST_DRAWS, Estimate, cannot_tell
from simcore.statistics.intervals import (
    annealed_ratio,
    bonferroni,
    jackknife,
    log_means,
    mean,
    mean_count,
    of_draws,
    orbit_size,
    per_draw,
    proportion,
    quenched_ratio,
    signed_ratio,
    skewed_reach,
    standard_deviation,
    student,
)

__all__ = [
    "LEAST_DIFFERENT", "LEAST_DRAWS", "Array", "Estimate", "annealed_ratio", "bonferroni", "cannot_tell",
    "growth_rate", "growth_slope", "index_fractions", "jackknife", "log_means", "mean", "mean_costs", "mean_count",
    "of_draws", "proportion", "quenched_ratio", "signed_ratio", "standard_deviation", "student",
]  # fmt: skip

Array = NDArray[np.float64]


def index_fractions(counts: ArrayLike, *, level: float = 0.95) -> list[Estimate]:
    """Return the annealed fraction of critical points of each index, sum over draws of N_k / sum of all.

    Intervals come from the odds N_k : rest, an annealed ratio, so they stay within 0 and 1.

    Parameters
    ----------
    counts : (N, D + 1) number of points of each index in each draw.
    """
    table = _table(counts)
    total = table.sum(axis=1)
    orbit = orbit_size(table)
    fractions = []
    for k in range(table.shape[1]):
        odds = annealed_ratio(table[:, k], total - table[:, k], level=level, orbit=orbit)
        value = float(table[:, k].sum() / total.sum()) if total.any() else math.nan
        low, high = odds.low / (1 + odds.low), (odds.high / (1 + odds.high) if math.isfinite(odds.high) else 1.0)
        se = odds.se * (1 - value) ** 2  # d fraction / d odds
        fractions.append(Estimate(value, se, low, high, level, odds.sides, len(table), "fraction", odds.note))
    return fractions


def mean_costs(cost_sums: ArrayLike, counts: ArrayLike, *, level: float = 0.95) -> list[Estimate]:
    """Return the annealed mean cost at each index, sum of costs / number of points, a ratio of means.

    Parameters
    ----------
    cost_sums : (N, D + 1) sum of the costs of a draw's points of each index.
    counts : (N, D + 1) their number.

    Draws without the index say nothing about its cost: the draws behind each number are those that show it.
    """
    sums, numbers = _table(cost_sums, signed=True), _table(counts)
    shown = [numbers[:, k] > 0 for k in range(numbers.shape[1])]
    return [signed_ratio(sums[seen, k], numbers[seen, k], level=level) for k, seen in enumerate(shown)]


def growth_rate(
    dimension: ArrayLike,
    log_ratio: ArrayLike,
    se: ArrayLike,
    *,
    degrees: ArrayLike | None = None,
    skewness: ArrayLike = 0.0,
    level: float = 0.95,
) -> Estimate:
    """Return the slope per dimension of a weighted straight-line fit of ln ratio, weights 1 / se^2.

    The curve of ln ratio against n is not straight (its slope tends to its limit slowly), so the slope belongs to these
    dimensions and weights: compare it with ``growth_slope`` of the exact curve at the same weights, not with the limit.

    Parameters
    ----------
    dimension, log_ratio, se : (rows,) at least two different dimensions; se is the standard error of ln ratio.
    degrees : (rows,) degrees of freedom of each se (draws - 1); None for large.
    skewness : (rows,) skewness of the sampling law of each ln ratio, ``Estimate.skewness`` of ``log_means``.

    Notes
    -----
    The slope is a weighted sum of the rows, sum_j c_j y_j, so its error is sqrt(sum c_j^2 se_j^2). Weights made from
    estimated errors favour rows whose error came out too small, which Welch and Satterthwaite's degrees of freedom do
    not know; Student's t therefore has the fewest degrees of freedom of any row (Meier 1953 on weighted means). Third
    cumulants add up like variances, sum c_j^3 se_j^3 g_j, and widen the interval on their side as a mean's.
    """
    x, y, s = (per_draw(v) for v in (dimension, log_ratio, se))
    coefficients = _slope_coefficients(x, s)
    slope = float(coefficients @ y)
    parts = (coefficients * s) ** 2
    error = math.sqrt(parts.sum())
    freedom = math.inf if degrees is None else float(per_draw(degrees).min())
    g = float(((coefficients * s) ** 3 * np.asarray(skewness, float)).sum()) / error**3
    draws = min(freedom + 1, 1e9)  # the reach is made for single draws: sqrt N times as skewed and as far apart
    root = math.sqrt(draws)
    t = student(level, freedom)
    down, up = (error * root * skewed_reach(sign * g * root, t / root, draws) for sign in (-1, 1))
    return Estimate(slope, error, slope - down, slope + up, level, 2, len(x), "slope")


def growth_slope(dimension: ArrayLike, log_ratio: ArrayLike, se: ArrayLike) -> float:
    """Return the slope of the same weighted fit for numbers without error, such as the exact ratios."""
    return float(_slope_coefficients(per_draw(dimension), per_draw(se)) @ per_draw(log_ratio))


# ---- inside ------------------------------------------------------------------------------------------------------
def _table(values: ArrayLike, signed: bool = False) -> Array:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or len(x) == 0 or not np.isfinite(x).all() or (not signed and (x < 0).any()):
        raise InputError(
            f"counts have shape {x.shape}; give finite numbers of shape (draws, indices), at least one draw"
        )
    return x


def _slope_coefficients(x: Array, se: Array) -> Array:
    if len(x) != len(se) or len(np.unique(x)) < 2:
        raise InputError(f"a growth rate needs two different dimensions with errors; got {sorted(set(x.tolist()))}")
    if (se <= 0).any():
        raise InputError("a growth rate needs positive errors; leave out rows that have none")
    w = 1 / se**2
    centred = x - np.average(x, weights=w)
    return w * centred / (w * centred**2).sum()
