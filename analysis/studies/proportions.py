"""Estimates of the network studies: what was counted, and shares of starts with exact binomial intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from simcore.statistics.intervals import proportion

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


def correlation(x: ArrayLike, y: ArrayLike, seed: int = 0, resamples: int = 2000) -> Callable[[float], Estimate]:
    """Return Pearson's correlation of pairs with the bootstrap's percentile interval over pairs."""
    pairs = np.column_stack([np.asarray(x, float), np.asarray(y, float)])
    rng = np.random.default_rng(seed)
    picks = pairs[rng.integers(0, len(pairs), size=(resamples, len(pairs)))]
    centred = picks - picks.mean(axis=1, keepdims=True)
    size = np.sqrt((centred**2).sum(axis=1))
    spread = size.prod(axis=1)
    values = (centred[..., 0] * centred[..., 1]).sum(axis=1)[spread > 0] / spread[spread > 0]
    value = float(np.corrcoef(pairs.T)[0, 1])

    def estimate(level: float) -> Estimate:
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
        return Estimate(value, float(values.std(ddof=1)), float(low), float(high), level, 2, len(pairs), "correlation")

    return estimate
