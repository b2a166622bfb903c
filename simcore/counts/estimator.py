"""Relative numbers of critical points in classes, from the moves that a walk proposed, and their errors.

A walk that is uniform within each class proposes moves between classes in detailed balance, N_a P(a -> b) = N_b P(b ->
a), whatever the Metropolis weights between the classes: proposals are tallied before acceptance. So N is the left fixed
vector of the row-normalised matrix of proposals. Errors are between independent walkers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def log_stationary(proposals: Array) -> Array:
    """Return ln of the stationary law of the chain with these transition counts, shape (K,), up to a constant.

    Row a of ``proposals`` (K, K) counts what was proposed from class a. Classes that were never left have -inf. The
    elimination of Grassmann, Taksar and Heyman subtracts nothing, so that the law is right to rounding in each entry
    however small; the rarest classes are eliminated first.

    Source: Grassmann, Taksar and Heyman, Operations Research 33 (1985) 1107.
    """
    rows = proposals.sum(axis=1)
    order = np.argsort(-rows, kind="stable")
    order = order[rows[order] > 0]
    P = proposals[np.ix_(order, order)] / rows[order, np.newaxis]
    count = len(order)
    for k in range(count - 1, 0, -1):
        leaving = P[k, :k].sum()
        if leaving > 0:
            P[:k, k] /= leaving
            P[:k, :k] += np.outer(P[:k, k], P[k, :k])
        else:
            P[:k, k] = 0.0  # a class without a way out that was seen: nothing is known of it
    log_law = np.full(len(proposals), -np.inf)
    ordered = np.full(count, -np.inf)
    if count:
        ordered[0] = 0.0
    with np.errstate(divide="ignore"):
        for k in range(1, count):
            top = ordered[:k].max()
            ordered[k] = top + np.log(np.exp(ordered[:k] - top) @ P[:k, k])
    log_law[order] = ordered
    return log_law


class Classes(NamedTuple):
    """How proposals are sorted: class k = 0 .. D is index k, D + 1 the known minima, D + 2 their mirror images.

    known : size of the frozen set of known minima, 0 for none
    mirrored : whether f(-x) = -f(x), so that index k and D - k may be folded.
    """

    dimension: int
    known: int
    mirrored: bool

    @property
    def number(self) -> int:
        """Number of classes."""
        return self.dimension + 3


def log_counts(proposals: Array, classes: Classes) -> Array:
    """Return ln N_k, shape (D + 1,), of the matrix of proposals of one or several walkers.

    Absolute where a set of known minima is a class of its own and was met, N_k = |A| pi_k/pi_A; else relative to the
    largest.
    """
    D = classes.dimension
    if classes.mirrored:
        image = np.concatenate([np.arange(D, -1, -1), [D + 2, D + 1]])
        proposals = proposals + proposals[np.ix_(image, image)]
    law = log_stationary(proposals)
    by_index = law[: D + 1].copy()
    by_index[0] = np.logaddexp(law[0], law[D + 1])
    by_index[D] = np.logaddexp(by_index[D], law[D + 2])
    if classes.known and np.isfinite(law[D + 1]):
        return by_index - law[D + 1] + np.log(classes.known)
    return by_index - by_index.max()


def log_ratio(log_n: Array) -> float:
    """Return ln((sum of N_k, 0 < k < D)/N_0); not a number where there are no saddles or no minimum."""
    if len(log_n) < 3 or not np.isfinite(log_n[0]):
        return float("nan")
    return float(log_sum(log_n[1:-1]) - log_n[0])


def log_sum(values: Array) -> float:
    """Return ln sum exp(values)."""
    top = values.max()
    return float(top + np.log(np.exp(values - top).sum())) if np.isfinite(top) else float("-inf")


class Estimate(NamedTuple):
    """Logarithms of counts with standard errors between walkers (not a number where they cannot be had)."""

    log_count: Array  # ln N_k (D + 1,)
    log_count_se: Array
    log_relative: Array  # ln N_k/N_0
    log_relative_se: Array
    log_ratio: float
    log_ratio_se: float
    log_total: float
    log_total_se: float


def jackknife(tallies: Array, classes: Classes) -> Estimate:
    """Return counts from the tallies (W, K, K) of W independent walkers, pooled, with errors by leaving out one each.

    The variance of a function of a sum over W independent walkers is (W - 1)/W sum (theta_i - mean)^2, theta_i without
    walker i. Blocks of one walker are not independent, and would claim too small an error.

    Source: Efron and Stein, Annals of Statistics 9 (1981) 586.
    """
    total = tallies.sum(axis=0)
    found = _quantities(log_counts(total, classes))
    walkers = len(tallies)
    without = np.array([_quantities(log_counts(total - tally, classes)) for tally in tallies])
    with np.errstate(invalid="ignore"):
        gaps = without - without.mean(axis=0)
        se = np.sqrt((walkers - 1) / walkers * (gaps**2).sum(axis=0))
    n = classes.dimension + 1
    return Estimate(found[:n], se[:n], found[n : 2 * n], se[n : 2 * n], found[-2], se[-2], found[-1], se[-1])


def _quantities(log_n: Array) -> Array:
    with np.errstate(invalid="ignore"):
        relative = log_n - log_n[0] if np.isfinite(log_n[0]) else np.full_like(log_n, np.nan)
    return np.concatenate([log_n, relative, [log_ratio(log_n), log_sum(log_n)]])
