"""A test of a mean whose level is a theorem: how much could a gambler have won by betting against the law?

Symbols: N draws x_i of a law with mean m under the hypothesis; B a cap that the law hardly exceeds; lambda the stake.

Too few. A gambler who believes that the mean is lower than m stakes lambda in [0, 1/(B - m)] on every draw and
multiplies his wealth by 1 + lambda (m - x_i) >= 0. If the mean is m (or more), his wealth is a non-negative martingale,
whatever the law's shape: skewed, discrete, degenerate, 1 + a rare event. The largest logarithm of wealth over fixed
stakes,

    K = max_lambda sum_i ln(1 + lambda (m - x_i)),

is N times the smallest Kullback-Leibler divergence from the sample to any law on (-inf, B] with mean m (Honda &
Takemura 2010), and the gambler who spreads his money over all stakes by Cover & Ordentlich's (1996) rule, without
foresight, has at least exp(K) / (2 sqrt(N + 1)). By Ville's inequality

    p = min(1, 2 sqrt(N + 1) exp(-K))

is a p-value for every N (Waudby-Smith & Ramdas 2023). It equals the exact binomial tail, up to that factor, where all
draws are alike, and the normal law's exponent z^2 / 2 where there are many.

Too many. The same with -x and the cap 0: counts are not negative, so nothing is assumed.

The cap. Counts have no bound worth using, so B is the largest of the draws and m, plus the spread of the draws, as
many times as their standard deviation exceeds the distance of their mean from the smallest draw (at least once: a mean
that rests on few large draws may rest on larger ones unseen), but at least ``STEPS`` units more: 8 where all draws are
alike, 4 where there are two values, 2 where there are more (a unit is what a count changes by at least, 2 where a
symmetry makes points come in pairs). So much may lie unseen beyond what was seen, with any probability. That this
suffices, and for which laws it does not, is measured: results/audit_level, docs/statistics.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEPS = (8.0, 4.0, 2.0)
"""Units by which the cap exceeds all draws at least, where they show one, two, or more different values."""
HALVINGS = 40


def log_wealth(values: Array, tallies: Array, mean: float, cap: Array) -> Array:
    """Return K of the module's docstring for R samples at once: 0 where the sample's mean is not below ``mean``.

    Parameters
    ----------
    values : (V,) the different values of a draw.
    tallies : (R, V) how many draws of each sample have each value.
    mean : the law's mean.
    cap : (R,) above ``mean`` and every value that has a draw.
    """
    gap = mean - values
    result = np.zeros(len(tallies))
    below = np.flatnonzero(tallies @ gap > 0)
    drawn, low = tallies[below], np.zeros(len(below))
    if not len(below):
        return result
    high = (1 - 1e-12) / (cap[below] - mean)
    there = drawn > 0

    def growth(stake: Array) -> Array:
        return np.where(there, stake[:, None] * gap, 0.0)

    for _ in range(HALVINGS):  # sum of ln(1 + lambda gap) is concave: bisect its slope
        middle = (low + high) / 2
        rising = (drawn * (gap / (1 + growth(middle)))).sum(axis=1) > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    result[below] = (drawn * np.log1p(growth(low))).sum(axis=1)
    return np.maximum(result, 0.0)


def caps(values: Array, tallies: Array, mean: float, unit: float) -> Array:
    """Return the cap of each sample (module's docstring), shape (R,); ``unit`` 0 leaves the spread alone."""
    there = tallies > 0
    largest = np.maximum(np.where(there, values, -np.inf).max(axis=1), mean)
    least = np.minimum(np.where(there, values, np.inf).min(axis=1), mean)
    steps = np.asarray(STEPS)[np.minimum(there.sum(axis=1), len(STEPS)) - 1]
    margin = np.maximum(unit * steps, dispersion(values, tallies) * (largest - least))
    cap: Array = largest + np.maximum(margin, 1e-9 * (1.0 + abs(mean)))
    return cap


def dispersion(values: Array, tallies: Array) -> Array:
    """Return sd / (mean - smallest draw) of each sample, at least 1, shape (R,): how much its mean rests on few draws.

    1 for counts that scatter about their mean; q^-1/2 for 1 + an event of probability q; 1.9 for a negative binomial of
    mean 5 and standard deviation 9.
    """
    total = tallies.sum(axis=1)
    mean = tallies @ values / total
    least = np.where(tallies > 0, values, np.inf).min(axis=1)
    variance = np.maximum(tallies @ values**2 / total - mean**2, 0.0)
    above = np.maximum(mean - least, 1e-9 * (1.0 + np.abs(mean)))
    return np.where(mean > least, np.maximum(1.0, np.sqrt(variance) / above), 1.0)


def tails(values: Array, tallies: Array, mean: float, unit: float, signed: bool = False) -> tuple[Array, Array]:
    """Return the p-values of too low and of too high a mean for R samples at once.

    Parameters
    ----------
    values, tallies, mean : as in ``log_wealth``.
    unit : what a count changes by at least.
    signed : values of any sign, such as costs: the cap below mirrors the one above, in place of 0.
    """
    few = log_wealth(values, tallies, mean, caps(values, tallies, mean, unit))
    floor = caps(-values, tallies, -mean, unit) if signed else np.zeros(len(tallies))
    many = log_wealth(-values, tallies, -mean, floor) if signed or mean > 0 else np.full(len(tallies), np.inf)
    price = 2 * np.sqrt(tallies.sum(axis=1) + 1)
    if not signed and mean <= 0:
        many = np.where((tallies * values).sum(axis=1) > 0, np.inf, 0.0)  # a law without points, and points
    return np.minimum(1.0, price * np.exp(-few)), np.minimum(1.0, price * np.exp(-many))
