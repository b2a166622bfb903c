"""Whether a walk was long enough: what must hold before its numbers may be trusted.

A walk that is too short errs by more than it says: with 48,000 moves at n = 50 two functions gave ln ratios 1.7 and .4
off at standard errors of .4 and .3, after 5 and 7 round trips. No test can prove that the chain reaches every critical
point; these see what a chain that does not would show.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from simcore.counts.estimator import Classes, Estimate, jackknife

Array = NDArray[np.float64]

ROUND_TRIPS = 25
"""Journeys from a minimum to the middle and back, of all walkers together, at least."""
WALKERS = 16
"""Independent walkers, at least: jackknife errors of fewer are too small too often."""
ARRIVALS = 4
"""Arrivals at each minimum from which on the list of minima may be closed, none being new in the second half."""
COVERAGE = 0.95
"""Good-Turing share of arrivals at minima met before that stands in for a closed list where minima are many."""
IRREVERSIBLE_SHARE = 0.03
"""Share of arcs that did not lead back, at most. They cost moves and bias nothing; but many of them mean that arcs are
not followed well, and what is not followed may not be reached."""
RHAT = 1.3
"""Rank-normalised split R-hat of the index, at most. Of 30 functions each of n = 8 and 12 it is 1.28 at most from 22
round trips on, and 1.24 to 2.9 at 7 or fewer (``results/counts/rhat.json``)."""
AGREEMENT = 4.0
"""Standard errors between walkers from minima and walkers from the middle, at most (16 walkers: false alarm 1e-3)."""


def round_trips(history: NDArray[np.int64], classes: Classes, log_n: Array) -> int | None:
    """Return the journeys from an extreme index to the middle and back of all walkers, history (walkers, M).

    The middle is the most frequent index and its neighbours; where minima are the most frequent, every other index.
    None where the law leaves no middle: one index alone.
    """
    D = classes.dimension
    finite = np.isfinite(log_n)
    if finite.sum() < 2:
        return None
    mode = int(np.argmax(log_n))
    middle = abs(np.arange(D + 1) - mode) <= (1 if finite.sum() > 3 else 0)
    middle[0] = False
    if not middle.any():  # minima are the most frequent: on a circle there are as many maxima
        middle = finite.copy()
        middle[0] = False
    extreme = np.arange(D + 1) == 0
    if not finite[0]:  # no minimum: the rarest end that there is
        extreme = np.arange(D + 1) == np.flatnonzero(finite)[0 if mode != np.flatnonzero(finite)[0] else -1]
        middle &= ~extreme
    if classes.mirrored and D > 1:  # on a circle either end is the other's middle
        extreme, middle = extreme | extreme[::-1], (middle | middle[::-1]) & ~(extreme | extreme[::-1])
    trips = 0
    for walker in history:
        marks = np.where(extreme[walker], 1, np.where(middle[walker], 2, 0))
        marks = marks[marks > 0]
        changes = int((np.diff(marks) != 0).sum())
        trips += changes // 2
    return trips


def rank_rhat(series: NDArray[Any]) -> float:
    """Return the rank-normalised split R-hat of chains (walkers, M); 1 for chains that have mixed.

    Source: Vehtari, Gelman, Simpson, Carpenter and Buerkner, Bayesian Analysis 16 (2021) 667, equations 1 to 4 and 14.
    """
    half = series.shape[1] // 2
    if half < 2:
        return float("inf")
    split = np.concatenate([series[:, :half], series[:, half : 2 * half]]).astype(float)
    ranks = stats.rankdata(split, method="average").reshape(split.shape)
    z = special.ndtri((ranks - 0.375) / (split.size + 0.25))
    within = z.var(axis=1, ddof=1).mean()
    between = half * z.mean(axis=1).var(ddof=1)
    if within == 0.0:
        return 1.0 if between == 0.0 else float("inf")
    return float(np.sqrt(((half - 1) / half * within + between / half) / within))


def disagreement(tallies: Array, classes: Classes) -> float:
    """Return how many standard errors even and odd walkers, from minima and from the middle, differ in ln ratio.

    Not a number where a group has no estimate of its own.
    """
    if len(tallies) < 4:
        return float("nan")
    groups = [jackknife(tallies[first::2], classes) for first in (0, 1)]
    a, b = (group.log_ratio for group in groups)
    error = np.hypot(groups[0].log_ratio_se, groups[1].log_ratio_se)
    return float(abs(a - b) / error) if error > 0 else float("nan")


def minima_arrivals(visits: NDArray[np.int32], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (arrivals, first): how often a walker came to each of ``count`` minima from elsewhere, and the earliest
    move at which one did (the number of moves where none did)."""
    arrivals = np.zeros(count, np.int64)
    first = np.full(count, visits.shape[1], np.int64)
    for walker in visits:
        came = np.flatnonzero((walker >= 0) & (walker != np.concatenate([[-1], walker[:-1]])))
        arrivals += np.bincount(walker[came], minlength=count)
        np.minimum.at(first, walker[came], came)
    return arrivals, first


def judge(found: dict[str, Any], estimate: Estimate) -> list[str]:
    """Return what forbids trust in these diagnostics, each in words; empty where nothing does."""
    reasons = []
    if found["walkers"] < WALKERS:
        reasons.append(f"{found['walkers']} walkers, fewer than {WALKERS}")
    if found["round_trips"] is None or found["round_trips"] < ROUND_TRIPS:
        reasons.append(f"{found['round_trips'] or 0} round trips, fewer than {ROUND_TRIPS}")
    if found["irreversible"] > IRREVERSIBLE_SHARE:
        reasons.append(f"{found['irreversible']:.1%} of arcs irreversible, more than {IRREVERSIBLE_SHARE:.0%}")
    if not found["rhat"] <= RHAT:
        reasons.append(f"R-hat {found['rhat']:.2f}, above {RHAT}")
    if found["disagreement"] > AGREEMENT:
        reasons.append(f"walkers from minima and from the middle differ by {found['disagreement']:.1f} standard errors")
    if found["minima_closed"] is False and not found["minima_coverage"] >= COVERAGE:
        reasons.append(f"the list of minima is not closed (coverage of arrivals {found['minima_coverage']:.3f})")
    error = estimate.log_ratio_se if np.isfinite(estimate.log_ratio) else estimate.log_total_se
    if not np.isfinite(error):
        reasons.append("no error can be had between walkers")
    return reasons
