"""What an enumeration says about its own completeness.

The species are symmetry orbits of critical points, a sample is one ordinary start that ended at a critical point; f_1
and f_2 are the numbers of orbits seen once and twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ENOUGH_HITS = 4
"""Ordinary hits that every orbit needs before a draw may be called complete.

Measured on torus n = 6: with a Good-Turing coverage above .999 points were still missed in 28 % of draws, with no
singletons in 4 %, with every point hit 4 times in 0 of 200.
"""


ENOUGH_OF_BOTH = 8
"""That where half of the starts descend first. Such starts bring the rarest points four hits so early that saddles with
a small basin may not have been met yet: with 4, one of 500 draws of 3-spin n = 8 that were called complete lacked a
pair."""


def enough_hits(descends: bool) -> int:
    """Return the hits that every orbit needs, by plain starts alone or by these and as many that descend."""
    return ENOUGH_OF_BOTH if descends else ENOUGH_HITS


def coverage(hits: NDArray) -> float:
    """Good-Turing estimate 1 - f_1/N of the share of starts that end at orbits already seen; NaN without hits.

    It measures the mass of the basins, not the number of points: rare points have small basins. Source: Good (1953).
    """
    total = int(hits.sum())
    return float("nan") if total == 0 else 1.0 - float((hits == 1).sum()) / total


def chao1(hits: NDArray) -> float:
    """Lower bound on the number of orbits, S + f_1 (f_1 - 1) / (2 (f_2 + 1)); Chao (1984), bias-corrected form.

    S counts the orbits with ordinary hits. An orbit of 0 hits was found by other searches: it is one of those that the
    second term estimates, so that it is not added, but the bound is never below the number of all orbits found. NaN
    without hits, which alone say how much was not seen.
    """
    if not (hits > 0).any():
        return float("nan")
    once, twice = int((hits == 1).sum()), int((hits == 2).sum())
    return max(float(len(hits)), float((hits > 0).sum()) + once * (once - 1) / (2.0 * (twice + 1)))


def euler_sum(index: NDArray) -> int:
    """Sum over points of (-1)^index."""
    return int((1 - 2 * (np.asarray(index) & 1)).sum())
