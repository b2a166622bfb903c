"""Estimates of the network studies: what was counted, and shares of starts with exact binomial intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simcore.statistics.intervals import of_draws, proportion, standard_deviation

from ..estimates import Estimate


def counted_exactly(value: float, of: int = 1) -> Callable[[float], Estimate]:
    """Return the estimate of a number without sampling error, such as how many of a finite list were found."""
    return lambda level: Estimate(float(value), 0.0, float(value), float(value), level, 2, of, "count")


def up_to_rounding(difference: float, rounding: float = 1e-10) -> Callable[[float], Estimate]:
    """Return a difference that should vanish: its interval reaches down to 0 where rounding explains it."""
    low = 0.0 if difference <= rounding else difference
    return lambda level: Estimate(difference, 0.0, low, difference, level, 2, 1, "count")


def share(successes: int, trials: int) -> Callable[[float], Estimate]:
    """Return the share of independent starts with Clopper and Pearson's interval."""
    return lambda level: proportion(successes, trials, level=level)


def correlation(x: ArrayLike, y: ArrayLike) -> Callable[[float], Estimate]:
    """Return Pearson's correlation r of independent pairs; the jackknife's interval of artanh r, turned back.

    Not a number where one of the two does not vary.
    """
    pairs = np.column_stack([np.asarray(x, float), np.asarray(y, float)])
    n, (sx, sy) = len(pairs), pairs.std(axis=0) if len(pairs) else (0.0, 0.0)

    def transformed(table: NDArray[np.float64]) -> float:
        spread = table.std(axis=0)
        if not spread.all():
            return float("nan")
        r = float(((table[:, 0] - table[:, 0].mean()) * (table[:, 1] - table[:, 1].mean())).mean() / spread.prod())
        return float(np.arctanh(np.clip(r, -1 + 1e-15, 1 - 1e-15)))

    def estimate(level: float) -> Estimate:
        if not (sx and sy):
            return Estimate(float("nan"), float("nan"), -1.0, 1.0, level, 2, n, "correlation")
        e = of_draws(transformed, pairs, level=level, kind="correlation")
        value, low, high = (float(np.tanh(v)) for v in (e.value, e.low, e.high))
        return Estimate(value, e.se * (1 - value**2), low, high, level, e.sides, n, "correlation", e.note)

    return estimate


def spread_ratio(a: ArrayLike, b: ArrayLike) -> Callable[[float], Estimate]:
    """Return the ratio of the standard deviations of two independent samples.

    Bonett's intervals of the two are joined by the square-and-add rule on the logarithm (Zou & Donner 2008).
    """

    def estimate(level: float) -> Estimate:
        top, bottom = (standard_deviation(values, level=level) for values in (a, b))
        value = top.value / bottom.value
        down = np.hypot(np.log(top.value / top.low), np.log(bottom.high / bottom.value))
        up = np.hypot(np.log(top.high / top.value), np.log(bottom.value / bottom.low))
        se = value * float(np.hypot(top.se / top.value, bottom.se / bottom.value))
        low, high = float(value * np.exp(-down)), float(value * np.exp(up))
        return Estimate(value, se, low, high, level, 2, top.draws + bottom.draws, "ratio")

    return estimate
