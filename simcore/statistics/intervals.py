"""Intervals from one number (or one row) per draw that hold their level from ten draws up.

Symbols: N draws; x_i one number a draw, x-bar and s their mean and standard deviation (divisor N - 1), g their skewness
(divisor as unbiased for the third cumulant), t Student's quantile on N - 1 degrees, tau = t / sqrt N.

Reach. How many standard deviations s beyond x-bar a mean may lie, for draws of skewness g:

    w(g) = max(tau, b + tau sqrt(1 + (b / tau)^2) + g / (6 N)),      b = g tau^2 / (3 (1 + tau^2)):

Student's test with the Cornish-Fisher correction for skewness (Johnson 1978: g tau^2 / 3 + g / (6 N)) in a form that
stays monotone (Hall 1992), damped where tau is large and the expansion means nothing, and only ever widening: a lattice
law that is symmetric gets no narrower by the skewness of its sample.

Mean: x-bar - s w(-``UNSEEN`` g) .. x-bar + s w(``UNSEEN`` g), since a sample without its rare large draws shows too
little skewness.

Positive means and their ratios R = S-bar / M-bar (annealed; a mean count is the ratio over a constant 1), on the scale
of the cube root, where a mean of clusters of points, nearly a gamma variable, is nearly normal (Wilson & Hilferty 1931;
for ratios Paulson 1942): with e_i = S_i / S-bar - M_i / M-bar (delta method), s and g those of e,

    R (1 - s w(-g) / 3)^3 .. R (1 + s w(g) / 3)^3,    the lower end at least 0.

Mean costs R = S-bar / M-bar, S of any sign: as a mean, of e_i = (S_i - R M_i) / M-bar, with the degrees of freedom of
Kish's effective number of draws, and the skewness of both tails larger by its standard error sqrt(6 / N): draws differ
both in their costs and in how many points they weigh, so that the sample shows still less of it.

Quenched ratio: the mean over draws of S_i / M_i, over the draws that have minima; it estimates another number.

Cannot tell. Below ``LEAST_DRAWS`` draws, and where fewer than ``LEAST_DIFFERENT`` draws differ from the most common
one, the spread is luck, whatever the formula: the answer is the declared result "cannot tell" (``Estimate.tells``
False).

Rare counts. Where fewer than ``RARE_DRAWS`` draws have any point of one kind, that mean's interval is Garwood's for a
Poisson count of clusters, the cluster size being sum X^2 / sum X, joined to the other mean's by the square-and-add rule
on the logarithm (Zou & Donner 2008). Where a kind was never seen, the interval is one-sided: with probability 1 - a
fewer than a share 1 - a^{1/N} of all draws has any (exact binomial), times the orbit size, the greatest common divisor
of the counts seen (symmetries make points come in orbits); a = (1 - level) / 2, the other half being spent on the
mean that was seen.

Measured coverage: results/coverage, docs/statistics.md.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from simcore.arrays import real_array
from simcore.errors import InputError
from simcore.statistics.estimate import LEAST_DIFFERENT, LEAST_DRAWS, Estimate, cannot_tell

Array = NDArray[np.float64]

RARE_DRAWS = 5
"""Fewer draws than this with any point of a kind: the between-draw variance is not trusted."""

RARE_FROM = 30
"""Draws from which a rare excess is bounded by its number of events; with fewer, mostly constant draws cannot tell."""

FROZEN_DRAWS = 100
"""Fewer draws than this with one and the same denominator (or numerator) do not tell a ratio: that it never varies is
not known (of torus fields in four dimensions 72 % have 2 minima: all of ten have in 4 % of all experiments)."""

UNSEEN = 1.5
"""By what factor a law is taken to be more skewed than its sample: of 20 exponential draws the sample's skewness is 1.4
on average, the law's 2."""


# ---- levels ------------------------------------------------------------------------------------------------------
def bonferroni(level: float, intervals: int) -> float:
    """Return the level of each of several intervals that hold together with probability ``level``."""
    if intervals < 1:
        raise InputError(f"{intervals} intervals; give at least one")
    return 1 - (1 - level) / intervals


def student(level: float, degrees: float) -> float:
    """Return Student's two-sided quantile: |t| stays below it with probability ``level``."""
    tail = (1 + level) / 2
    return float(special.ndtri(tail) if math.isinf(degrees) else special.stdtrit(degrees, tail))


def skewed_reach(skewness: float, tau: float, draws: float) -> float:
    """Return w(g) of the module docstring: how many standard deviations above x-bar the mean may lie."""
    bend = skewness * tau * tau / (3 * (1 + tau * tau))
    return max(tau, bend + math.hypot(tau, bend) + skewness / (6 * draws))


# ---- means -------------------------------------------------------------------------------------------------------
def mean(values: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return the mean over draws with the skewness-corrected Student interval.

    Parameters
    ----------
    values : (N,) one number a draw.
    level : coverage of the interval.

    Raises
    ------
    InputError
        If there is no draw or a value is not finite.
    """
    x = per_draw(values)
    why = too_alike(x)
    value, se = float(x.mean()), standard_error(x)
    if why:
        return cannot_tell(value, se, level, len(x), "mean", why)
    deviation = math.sqrt(len(x)) * se
    low, high = _ends(value, deviation, _skewness(x), student(level, len(x) - 1), len(x))
    return Estimate(value, se, low, high, level, 2, len(x), "mean")


def mean_count(counts: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return the mean of a count over draws; honest where nearly all draws have the same, smallest count.

    On the scale of the cube root (module's docstring); but from ``RARE_FROM`` draws up, where fewer than
    ``LEAST_DIFFERENT`` of them exceed the smallest count, the excess is a rare count: it gets Garwood's interval (for
    clusters, as in the module's docstring), or, where no draw exceeds it, the exact binomial upper bound on the share
    of draws that do, times an excess of one orbit.

    Parameters
    ----------
    counts : (N,) numbers of at least 0.
    """
    x = per_draw(counts)
    if (x < 0).any():
        raise InputError("a count is negative; a mean count needs counts of at least 0")
    plain = mean(x, level=level)
    excess = x - x.min()
    seen = int(np.count_nonzero(excess))
    if plain.tells:
        low, high = _cubed(plain.value, x / plain.value - 1, level)
        return replace(plain, low=low, high=high)
    if seen >= LEAST_DIFFERENT or len(x) < RARE_FROM:
        return replace(plain, low=max(plain.low, 0.0))
    if seen == 0:
        upper = float(x.min()) + (1 - (1 - level) ** (1 / len(x))) * orbit_size(x)
        note = f"all {len(x)} draws have the same count: an upper bound only"
        return Estimate(plain.value, math.nan, plain.value, upper, level, 1, len(x), "mean", note)
    down, up = _garwood(excess, level)
    low, high = (float(x.min() + excess.mean() * math.exp(d)) for d in (-down, up))
    note = f"rare: only {seen} of {len(x)} draws exceed the smallest count"
    return Estimate(plain.value, plain.se, low, high, level, 2, len(x), "mean", note)


def standard_deviation(values: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return the standard deviation between draws with Bonett's interval, made for laws that are not normal.

    ln s^2 has variance (kurtosis - (N - 3) / N) / (N - 1); kurtosis is taken about the trimmed mean, trimming
    1 / (2 sqrt(N - 4)) a side, and the interval is centred on c s^2, c = N / (N - z) (Bonett 2006, equation 6), with
    Student's quantile for z in its half-width.

    Parameters
    ----------
    values : (N,) one number a draw.
    """
    x = per_draw(values)
    n, why = len(x), too_alike(x)
    s = float(x.std(ddof=1)) if n > 1 else math.nan
    if why:
        return cannot_tell(s, math.nan, level, n, "sd", why, low=0.0)
    z = float(special.ndtri((1 + level) / 2))
    trimmed = int(n / (2 * math.sqrt(n - 4)))
    centre = float(np.sort(x)[trimmed : n - trimmed].mean())
    kurtosis = n * float(((x - centre) ** 4).sum()) / float(((x - x.mean()) ** 2).sum()) ** 2
    c = n / (n - z)
    relative = c * math.sqrt(max(kurtosis - (n - 3) / n, 1 / n) / (n - 1))
    half = student(level, n - 1) * relative
    return Estimate(
        s, s * relative / 2, s * math.sqrt(c * math.exp(-half)), s * math.sqrt(c * math.exp(half)), level, 2, n, "sd"
    )


def proportion(successes: int, trials: int, *, level: float = 0.95) -> Estimate:
    """Return the share of independent trials (a prevalence) with Clopper and Pearson's exact interval.

    Its coverage is at least ``level`` for any number of trials, so it always tells (Clopper & Pearson 1934).

    Raises
    ------
    InputError
        If there is no trial, or successes lie outside 0..trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise InputError(f"{successes} successes of {trials} trials; give at least one trial and 0 to all successes")
    tail = (1 - level) / 2
    low = float(special.betaincinv(successes, trials - successes + 1, tail)) if successes else 0.0
    high = float(special.betaincinv(successes + 1, trials - successes, 1 - tail)) if successes < trials else 1.0
    p = successes / trials
    return Estimate(p, math.sqrt(p * (1 - p) / trials), low, high, level, 2, trials, "fraction")


# ---- ratios ------------------------------------------------------------------------------------------------------
def annealed_ratio(
    numerator: ArrayLike, denominator: ArrayLike, *, level: float = 0.95, orbit: int | None = None
) -> Estimate:
    """Return the ratio of two means over draws, mean(numerator) / mean(denominator), both counts.

    Parameters
    ----------
    numerator, denominator : (N,) counts (or other non-negative numbers) a draw, in the same order.
    level : coverage of the interval.
    orbit : number of points that a symmetry makes appear together, used only where a kind was never seen; default the
        greatest common divisor of the counts.

    Returns
    -------
    Estimate of kind "annealed"; one-sided where one of the kinds was never seen, with value nan for no denominator.

    Raises
    ------
    InputError
        If the lengths differ, a number is negative or not finite, or there is no draw.
    """
    s, m = _pair(numerator, denominator)
    if (s < 0).any() or (m < 0).any():
        raise InputError("a count is negative; ratios need counts of at least 0")
    n = len(s)
    orbit = orbit or orbit_size(s, m)
    value = float(s.mean() / m.mean()) if m.any() else math.nan
    se_log = _log_ratio_error(s, m)
    if n < LEAST_DRAWS:
        return cannot_tell(value, value * se_log, level, n, "annealed", too_alike(s), low=0.0)
    if not s.any() and not m.any():
        return cannot_tell(math.nan, math.nan, level, n, "annealed", "neither kind was seen", low=0.0)
    if not m.any() or not s.any():
        return _one_sided(s, m, level, orbit)
    why = too_alike(s, m) or _frozen(s, m)
    if why:
        return cannot_tell(value, value * se_log, level, n, "annealed", why, low=0.0)
    if min(np.count_nonzero(s), np.count_nonzero(m)) < RARE_DRAWS:
        return _rare(s, m, value, level)
    low, high = _cubed(value, s / s.mean() - m / m.mean(), level)
    return Estimate(value, value * se_log, low, high, level, 2, n, "annealed")


def signed_ratio(numerator: ArrayLike, denominator: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return mean(numerator) / mean(denominator) where the numerator may have any sign, the denominator is positive.

    A mean cost is one: summed costs over numbers of points. Where these differ much between draws a few draws carry the
    mean, so Student's t has the degrees of freedom of Kish's (1965) effective number, (sum M)^2 / sum M^2, less one,
    and fewer than ``LEAST_DRAWS`` effective draws cannot tell. See the module's docstring.
    """
    s, m = _pair(numerator, denominator) if np.size(numerator) else (np.zeros(0), np.zeros(0))
    n = len(s)
    if (m <= 0).any():
        raise InputError("a denominator is not positive; leave out draws without any")
    value = float(s.sum() / m.sum()) if n else math.nan
    residual = (s - value * m) / m.mean() if n else s
    se = standard_error(residual) if n else math.nan
    effective = effective_number(m) if n else 0.0
    why = too_alike(s, m)
    if not why and effective < LEAST_DRAWS * (1 - 1e-9):
        why = f"some draws hold most points, so that {n} count as {effective:.1f} of the {LEAST_DRAWS} that are needed"
    if why:
        return cannot_tell(value, se, level, n, "mean", why)
    t = student(level, effective - 1)
    low, high = _ends(value, math.sqrt(n) * se, _skewness(residual), t, n, math.sqrt(6 / n))
    return Estimate(value, se, low, high, level, 2, n, "mean")


def effective_number(weights: Array) -> float:
    """Return Kish's effective number of draws, (sum w)^2 / sum w^2: N for equal weights, 1 where one has them all."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def quenched_ratio(numerator: ArrayLike, denominator: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return the mean over draws of numerator / denominator, over the draws whose denominator is not 0.

    It estimates another number than the annealed ratio. Draws without any of the denominator have no ratio:
    ``note`` says how many were left out, and the estimate is then conditional on having some.
    """
    s, m = _pair(numerator, denominator)
    seen = m > 0
    if not seen.any():
        return cannot_tell(math.nan, math.nan, level, len(s), "quenched", "no draw has any of the denominator", low=0.0)
    over = mean(s[seen] / m[seen], level=level)
    missing = int((~seen).sum())
    note = f"given at least one in the denominator: {missing} of {len(s)} draws have none" if missing else over.note
    return Estimate(over.value, over.se, over.low, over.high, level, over.sides, int(seen.sum()), "quenched", note)


def log_means(terms: Sequence[tuple[float, ArrayLike]], *, level: float = 0.95) -> Estimate:
    """Return sum_j c_j ln(mean of X_j) for several counts of the same draws.

    ln of a ratio is ``[(1, S), (-1, M)]``; by how much one ratio overstates another, measured on the same draws,
    ``[(1, S), (-1, M), (-1, S'), (1, M')]``: their common fluctuations cancel, as they should. The interval is the
    one of a mean, of the linearised e_i = sum_j c_j X_ji / X_j-bar (delta method).

    Parameters
    ----------
    terms : pairs (c_j, X_j), X_j of shape (N,) with a positive mean.

    Raises
    ------
    InputError
        If a mean is not positive, since it has no logarithm, or there are fewer than two draws.
    """
    columns = [(c, per_draw(x)) for c, x in terms]
    if any(x.mean() <= 0 for _, x in columns) or len(columns[0][1]) < 2:
        raise InputError("the logarithm of a mean needs a positive mean and two draws; leave out rows without both")
    draws = len(columns[0][1])
    value = float(sum(c * math.log(x.mean()) for c, x in columns))
    residual = np.sum([c * x / x.mean() for c, x in columns], axis=0)
    se = standard_error(residual)
    why = too_alike(*(x for _, x in columns))
    if why:
        return cannot_tell(value, se, level, draws, "mean", why)
    g = _skewness(residual)
    low, high = _ends(value, math.sqrt(draws) * se, g, student(level, draws - 1), draws)
    return Estimate(value, se, low, high, level, 2, draws, "mean", skewness=g / math.sqrt(draws))


# ---- any statistic -----------------------------------------------------------------------------------------------
def of_draws(statistic: Callable[..., float], *tables: ArrayLike, level: float = 0.95, kind: str = "mean") -> Estimate:
    """Return a smooth statistic of several per-draw tables with the delete-one jackknife's interval.

    The jackknife's pseudo-values p_i = N T - (N - 1) T_i, T_i the statistic without draw i, are treated as draws of a
    mean (Tukey 1958), so that skewed influence widens the interval; a logarithm of a positive statistic does better
    than the statistic itself.

    Parameters
    ----------
    statistic : callable taking the tables (each with draws along axis 0) and returning a number.
    tables : (N, ...) arrays; draw i is left out of all together.
    """
    arrays = [np.asarray(t, dtype=np.float64) for t in tables]
    n = len(arrays[0])
    if any(len(a) != n for a in arrays) or n == 0:
        raise InputError(f"tables have {[len(a) for a in arrays]} draws; give the same draws, at least one, in each")
    value = float(statistic(*arrays))
    if n < LEAST_DRAWS:
        return cannot_tell(value, math.nan, level, n, kind, _too_few(n))
    kept = ~np.eye(n, dtype=bool)
    without = np.array([statistic(*(a[kept[i]] for a in arrays)) for i in range(n)], dtype=np.float64)
    return _from_jackknife(value, without, level, kind)


def jackknife(
    statistic: Callable[[Array], float], sums: ArrayLike, *, level: float = 0.95, kind: str = "mean"
) -> Estimate:
    """Return a smooth function of totals over draws with the delete-one jackknife's error and interval.

    Parameters
    ----------
    statistic : callable from the totals, shape (Q,), to a number; a regression slope from sums of products, say.
    sums : (N, Q) each draw's contribution to the totals.

    Notes
    -----
    se^2 = (N-1)/N sum_i (T_i - mean T)^2, T_i the statistic without draw i (Efron & Stein 1981).
    """
    table = np.asarray(sums, dtype=np.float64)
    if table.ndim != 2 or len(table) == 0 or not np.isfinite(table).all():
        raise InputError(f"sums have shape {table.shape}; give finite numbers of shape (draws, totals)")
    n, total = len(table), table.sum(axis=0)
    value = float(statistic(total)) if n > 1 else math.nan
    if n < LEAST_DRAWS:
        return cannot_tell(value, math.nan, level, n, kind, _too_few(n))
    return _from_jackknife(value, np.array([statistic(total - row) for row in table]), level, kind)


# ---- inside ------------------------------------------------------------------------------------------------------
def per_draw(values: ArrayLike) -> Array:
    """Return one finite number a draw as float64; ``InputError`` for another shape, no draw or what is not finite."""
    x = real_array("per-draw values", values, "give one number a draw")
    if x.ndim != 1 or len(x) == 0:
        raise InputError(
            f"per-draw values have shape {x.shape}; give one number a draw, shape (draws,), at least one draw"
        )
    if not np.isfinite(x).all():
        raise InputError("a per-draw value is not finite; give counts or finite numbers")
    return x


def standard_error(x: Array) -> float:
    """Return s / sqrt N; nan for one draw."""
    return float(x.std(ddof=1) / math.sqrt(len(x))) if len(x) > 1 else math.nan


def too_alike(*columns: Array) -> str:
    """Return why these draws cannot tell, or "": too few, or too few that differ from the most common one."""
    n = len(columns[0])
    if n < LEAST_DRAWS:
        return _too_few(n)
    different = n - max(Counter(zip(*(x.tolist() for x in columns), strict=True)).values())
    if different >= LEAST_DIFFERENT:
        return ""
    if different == 0:
        return f"all {n} draws are alike, so there is no spread to judge by"
    return f"only {different} of {n} draws differ from the most common one, {LEAST_DIFFERENT} are needed"


def _too_few(draws: int) -> str:
    return f"too few draws, {draws} of the {LEAST_DRAWS} that are needed"


def _frozen(s: Array, m: Array) -> str:
    """Why a ratio cannot be told although pairs differ: one of its counts never varied, so neither did its error."""
    for what, x in (("numerator", s), ("denominator", m)):
        if np.ptp(x) == 0 and len(x) < FROZEN_DRAWS:
            return f"the {what} is the same in all {len(x)} draws"
    return ""


def _skewness(x: Array) -> float:
    n, deviation = len(x), float(x.std(ddof=1))
    if deviation == 0:
        return 0.0
    third = float(((x - x.mean()) ** 3).mean()) * n**2 / ((n - 1) * (n - 2))
    return third / deviation**3


def _ends(
    value: float, deviation: float, skewness: float, t: float, draws: int, doubt: float = 0.0
) -> tuple[float, float]:
    """Ends of a mean's interval; ``doubt`` is added to the skewness of both tails."""
    tau = t / math.sqrt(draws)
    down = skewed_reach(UNSEEN * (doubt - skewness), tau, draws)
    up = skewed_reach(UNSEEN * (doubt + skewness), tau, draws)
    return value - deviation * down, value + deviation * up


def _cubed(value: float, relative: Array, level: float) -> tuple[float, float]:
    """Ends of the interval of a positive mean or ratio with relative deviations e_i, on the cube root's scale."""
    n, deviation, g = len(relative), float(relative.std(ddof=1)), _skewness(relative)
    tau = student(level, n - 1) / math.sqrt(n)
    down, up = (deviation * skewed_reach(sign * g, tau, n) / 3 for sign in (-1, 1))
    return value * max(1 - down, 0.0) ** 3, value * (1 + up) ** 3


def _pair(numerator: ArrayLike, denominator: ArrayLike) -> tuple[Array, Array]:
    s, m = per_draw(numerator), per_draw(denominator)
    if len(s) != len(m):
        raise InputError(f"numerator has {len(s)} draws, denominator {len(m)}; give one number of each per draw")
    return s, m


def _from_jackknife(value: float, without: Array, level: float, kind: str) -> Estimate:
    n = len(without)
    deviation = math.sqrt((n - 1) * float(((without - without.mean()) ** 2).sum()))
    if not np.isfinite(without).all() or deviation == 0:
        return cannot_tell(value, deviation, level, n, kind, "leaving out one draw changes nothing or leaves nothing")
    low, high = _ends(value, deviation, _skewness(-without), student(level, n - 1), n)
    return Estimate(value, deviation / math.sqrt(n), low, high, level, 2, n, kind)


def orbit_size(*tables: Array) -> int:
    """Return the greatest common divisor of counts: how many points a symmetry makes appear together; else 1."""
    counts = np.concatenate([t.ravel() for t in tables])
    counts = counts[counts > 0]
    if len(counts) == 0 or not np.equal(counts, np.rint(counts)).all():
        return 1
    return int(np.gcd.reduce(counts.astype(np.int64)))


def _log_ratio_error(s: Array, m: Array) -> float:
    if not s.any() or not m.any():
        return math.nan
    return standard_error(s / s.mean() - m / m.mean())


def _log_interval(x: Array, level: float) -> tuple[float, float]:
    """Distances on the log scale from the mean of x down to and up to the ends of its interval."""
    if np.count_nonzero(x) < RARE_DRAWS:
        return _garwood(x, level)
    half = student(level, len(x) - 1) * standard_error(x) / float(x.mean())
    return half, half


def _garwood(x: Array, level: float) -> tuple[float, float]:
    """The same for a rare count: Garwood's interval for a Poisson number of clusters of size sum x^2 / sum x."""
    cluster = float((x**2).sum() / x.sum())
    k = float(x.sum()) / cluster
    tail = (1 - level) / 2
    return math.log(k / special.gammaincinv(k, tail)), math.log(special.gammaincinv(k + 1, 1 - tail) / k)


def _rare(s: Array, m: Array, ratio: float, level: float) -> Estimate:
    (s_down, s_up), (m_down, m_up) = _log_interval(s, level), _log_interval(m, level)
    rare = "numerator" if np.count_nonzero(s) < np.count_nonzero(m) else "denominator"
    number = min(np.count_nonzero(s), np.count_nonzero(m))
    note = f"rare: only {number} of {len(s)} draws have any in the {rare}"
    low, high = ratio * math.exp(-math.hypot(s_down, m_up)), ratio * math.exp(math.hypot(s_up, m_down))
    return Estimate(ratio, ratio * _log_ratio_error(s, m), low, high, level, 2, len(s), "annealed", note)


def _one_sided(s: Array, m: Array, level: float, orbit: int) -> Estimate:
    """Interval where one kind was never seen; each bound spends half of 1 - level on each of the two means."""
    n = len(s)
    tail = (1 - level) / 2
    unseen = orbit * (1 - tail ** (1 / n))  # upper bound of the mean of what was never seen
    other = s if s.any() else m
    down, _ = _log_interval(other, level)
    bound = float(other.mean()) * math.exp(-down)  # the lower end, at 1 - tail on this side
    if m.any():
        note = f"the numerator was never seen in {n} draws: an upper bound only"
        return Estimate(0.0, math.nan, 0.0, unseen / bound, level, 1, n, "annealed", note)
    note = f"the denominator was never seen in {n} draws: a lower bound only"
    return Estimate(math.nan, math.nan, bound / unseen, math.inf, level, 1, n, "annealed", note)
