"""Estimates with intervals, from counts per draw.

The statistical unit is the draw: N draws are independent, points within a draw are not. Every function takes one
number (or one row) per draw and looks only at how these vary between draws.

Symbols: N draws; S_i, M_i numerator and denominator counts of draw i (saddles and minima, say); a bar is a mean
over draws.

Annealed ratio  R = S-bar / M-bar (ratio of means). Delta method on the logarithm:
    Var ln R = Var(S_i / S-bar - M_i / M-bar) / N,      interval  R exp(+- t_{N-1} se(ln R)),
which covered 94 to 96 % for a nominal 95 % with 30 draws and 0.2 to 5 minima a draw in simulations
(tests/analysis/test_analysis_estimates.py; on real landscapes results/coverage).
Quenched ratio  mean over draws of S_i / M_i, over the draws that have minima; it estimates another number than R.

Rare counts. Where fewer than ``RARE_DRAWS`` draws have any point of one kind, the variance between draws says
little. That mean's interval is then Garwood's for a Poisson count of clusters, the cluster size being
sum X^2 / sum X, joined to the other mean's by the square-and-add rule on the logarithm (Zou & Donner 2008).
Where a kind was never seen, the interval is one-sided: with probability 1 - a fewer than a share 1 - a^{1/N} of all
draws has any (exact binomial), times the orbit size, the greatest common divisor of the counts seen (symmetries make
points come in orbits); a = (1 - level) / 2, the other half being spent on the mean that was seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from simcore.errors import InputError

Array = NDArray[np.float64]

SINGLE = "one draw has no error bar"
RARE_DRAWS = 5
"""Fewer draws than this with any point of a kind: the between-draw variance is not trusted."""


@dataclass(frozen=True)
class Estimate:
    """A number with its error.

    value : the estimate; nan where it is undefined (a ratio whose denominator was never seen).
    se : standard error, same unit; nan where the data give none.
    low, high : interval at ``level``; inf (or 0) on the open side of a one-sided one.
    level : probability that the interval covers the truth, 0.95 say.
    sides : 2, or 1 for a one-sided interval.
    draws : number of draws behind it.
    kind : "annealed", "quenched", "mean", "fraction", "slope": what is estimated.
    note : a sentence where something needs saying, else "".
    """

    value: float
    se: float
    low: float
    high: float
    level: float = 0.95
    sides: int = 2
    draws: int = 0
    kind: str = "mean"
    note: str = ""

    @property
    def relative_error(self) -> float:
        """se / value; 0 for an exact zero, nan where undefined."""
        if self.value == 0 and self.se == 0:
            return 0.0
        return self.se / abs(self.value) if self.value else math.nan

    def z(self, exact: float) -> float:
        """Return (value - exact) / se; 0 where both agree without spread, nan where the estimate has no error."""
        difference = self.value - exact
        if abs(difference) <= 1e-12 * max(abs(exact), 1.0):
            return 0.0
        if self.se == 0:
            return math.copysign(math.inf, difference)
        return difference / self.se

    def covers(self, exact: float) -> bool:
        """Whether the interval contains ``exact``; an interval without spread does up to rounding."""
        slack = 1e-9 * max(abs(exact), 1.0)
        return self.low - slack <= exact <= self.high + slack


def mean(values: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return the mean over draws with Student's t interval.

    Parameters
    ----------
    values : (N,) one number a draw.
    """
    x = _per_draw(values)
    if len(x) < 2:
        return Estimate(float(x.mean()), math.nan, -math.inf, math.inf, level, 1, len(x), "mean", SINGLE)
    se = float(x.std(ddof=1) / math.sqrt(len(x)))
    half = student(level, len(x) - 1) * se
    return Estimate(float(x.mean()), se, float(x.mean() - half), float(x.mean() + half), level, 2, len(x), "mean")


def mean_count(counts: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return the mean of a count over draws; honest where nearly all draws have the same, smallest count.

    Student's t interval of the mean, except where fewer than ``RARE_DRAWS`` draws exceed the smallest count: then the
    excess is a rare count and gets Garwood's interval (for clusters, as in the module docstring), or, where no draw
    exceeds it, the exact binomial upper bound on the share of draws that do, times an excess of one orbit.

    Parameters
    ----------
    counts : (N,) whole numbers of at least 0.
    """
    x = _per_draw(counts)
    excess = x - x.min()
    seen = int(np.count_nonzero(excess))
    plain = mean(x, level=level)
    if seen >= RARE_DRAWS or len(x) < 2:
        return plain
    if seen == 0:
        upper = float(x.min()) + (1 - (1 - level) ** (1 / len(x))) * _orbit(x)
        note = f"all {len(x)} draws have the same count: an upper bound only"
        return Estimate(plain.value, math.nan, plain.value, upper, level, 1, len(x), "mean", note)
    down, up = _log_interval(excess, level)
    low, high = (float(x.min() + excess.mean() * math.exp(d)) for d in (-down, up))
    note = f"rare: only {seen} of {len(x)} draws exceed the smallest count"
    return Estimate(plain.value, plain.se, low, high, level, 2, len(x), "mean", note)


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
    Estimate of kind "annealed"; one-sided where one of the kinds was never seen, nan where neither was.

    Raises
    ------
    InputError
        If the lengths differ, a number is negative or not finite, or there is no draw.
    """
    s, m = _per_draw(numerator), _per_draw(denominator)
    if len(s) != len(m):
        raise InputError(f"numerator has {len(s)} draws, denominator {len(m)}; give one number of each per draw")
    if (s < 0).any() or (m < 0).any():
        raise InputError("a count is negative; ratios need counts of at least 0")
    orbit = orbit or _orbit(s, m)
    if not s.any() and not m.any():
        return _undefined(len(s), level, "annealed", "neither kind was seen")
    if not m.any() or not s.any():
        return _one_sided(s, m, level, orbit)
    ratio = float(s.mean() / m.mean())
    if len(s) < 2:
        return Estimate(ratio, math.nan, 0.0, math.inf, level, 1, 1, "annealed", SINGLE)
    if min(np.count_nonzero(s), np.count_nonzero(m)) < RARE_DRAWS:
        return _rare(s, m, ratio, level)
    se_log = _log_ratio_error(s, m)
    half = student(level, len(s) - 1) * se_log
    return Estimate(
        ratio, ratio * se_log, ratio * math.exp(-half), ratio * math.exp(half), level, 2, len(s), "annealed"
    )


def log_means(terms: Sequence[tuple[float, ArrayLike]], *, level: float = 0.95) -> Estimate:
    """Return sum_j c_j ln(mean of X_j) for several counts of the same draws, by the delta method.

    ln of a ratio is ``[(1, S), (-1, M)]``; by how much one ratio overstates another, measured on the same draws,
    ``[(1, S), (-1, M), (-1, S'), (1, M')]``: their common fluctuations cancel, as they should.

    Parameters
    ----------
    terms : pairs (c_j, X_j), X_j of shape (N,) with a positive mean.

    Raises
    ------
    InputError
        If a mean is not positive, since it has no logarithm, or there are fewer than two draws.
    """
    columns = [(c, _per_draw(x)) for c, x in terms]
    if any(x.mean() <= 0 for _, x in columns) or len(columns[0][1]) < 2:
        raise InputError("the logarithm of a mean needs a positive mean and two draws; leave out rows without both")
    draws = len(columns[0][1])
    value = float(sum(c * math.log(x.mean()) for c, x in columns))
    residual = np.sum([c * x / x.mean() for c, x in columns], axis=0)
    se = float(residual.std(ddof=1) / math.sqrt(draws))
    half = student(level, draws - 1) * se
    return Estimate(value, se, value - half, value + half, level, 2, draws, "mean")


def quenched_ratio(numerator: ArrayLike, denominator: ArrayLike, *, level: float = 0.95) -> Estimate:
    """Return the mean over draws of numerator / denominator, over the draws whose denominator is not 0.

    It estimates another number than the annealed ratio. Draws without any of the denominator have no ratio:
    ``note`` says how many were left out, and the estimate is then conditional on having some.
    """
    s, m = _per_draw(numerator), _per_draw(denominator)
    if len(s) != len(m):
        raise InputError(f"numerator has {len(s)} draws, denominator {len(m)}; give one number of each per draw")
    seen = m > 0
    if not seen.any():
        return _undefined(len(s), level, "quenched", "no draw has any of the denominator")
    over = mean(s[seen] / m[seen], level=level)
    missing = int((~seen).sum())
    note = f"given at least one in the denominator: {missing} of {len(s)} draws have none" if missing else over.note
    return Estimate(over.value, over.se, over.low, over.high, level, over.sides, int(seen.sum()), "quenched", note)


def index_fractions(counts: ArrayLike, *, level: float = 0.95) -> list[Estimate]:
    """Return the annealed fraction of critical points of each index, sum over draws of N_k / sum of all.

    Intervals come from the odds N_k : rest, an annealed ratio, so they stay within 0 and 1.

    Parameters
    ----------
    counts : (N, D + 1) number of points of each index in each draw.
    """
    table = _table(counts)
    total = table.sum(axis=1)
    orbit = _orbit(table)
    fractions = []
    for k in range(table.shape[1]):
        odds = annealed_ratio(table[:, k], total - table[:, k], level=level, orbit=orbit)
        value = float(table[:, k].sum() / total.sum()) if total.any() else math.nan
        low, high = odds.low / (1 + odds.low), (odds.high / (1 + odds.high) if math.isfinite(odds.high) else 1.0)
        se = odds.se * (1 - value) ** 2  # d fraction / d odds
        fractions.append(Estimate(value, se, low, high, level, odds.sides, len(table), "fraction", odds.note))
    return fractions


def mean_costs(cost_sums: ArrayLike, counts: ArrayLike, *, level: float = 0.95) -> list[Estimate]:
    """Return the annealed mean cost at each index, sum of costs / number of points, with the delta method's error.

    Parameters
    ----------
    cost_sums : (N, D + 1) sum of the costs of a draw's points of each index.
    counts : (N, D + 1) their number.

    An index that fewer than two draws show has no error (nan) and an open interval.
    """
    sums, numbers = _table(cost_sums, signed=True), _table(counts)
    result = []
    for k in range(numbers.shape[1]):
        c, m = sums[:, k], numbers[:, k]
        seen = int(np.count_nonzero(m))
        if seen == 0:
            result.append(_undefined(len(m), level, "mean", "no point of this index was seen"))
            continue
        value = float(c.sum() / m.sum())
        if seen < 2:
            result.append(Estimate(value, math.nan, -math.inf, math.inf, level, 1, len(m), "mean", SINGLE))
            continue
        # with few draws showing the index, the degrees of freedom are theirs, and so is the variance's divisor
        residual = (c - value * m) / m.mean()
        se = math.sqrt(float((residual**2).sum()) / len(m) * seen / (seen - 1) / len(m))
        half = student(level, seen - 1) * se
        result.append(Estimate(value, se, value - half, value + half, level, 2, len(m), "mean"))
    return result


def growth_rate(
    dimension: ArrayLike,
    log_ratio: ArrayLike,
    se: ArrayLike,
    *,
    degrees: ArrayLike | None = None,
    level: float = 0.95,
) -> Estimate:
    """Return the slope per dimension of a weighted straight-line fit of ln ratio, weights 1 / se^2.

    The curve of ln ratio against n is not straight (its slope tends to its limit slowly), so the slope belongs to these
    dimensions and weights: compare it with ``growth_slope`` of the exact curve at the same weights, not with the limit.

    Parameters
    ----------
    dimension, log_ratio, se : (rows,) at least two different dimensions; se is the standard error of ln ratio.
    degrees : (rows,) degrees of freedom of each se (draws - 1); None for large.

    Notes
    -----
    The slope is a weighted sum of the rows, sum_j c_j y_j, so its error is sqrt(sum c_j^2 se_j^2), and Welch and
    Satterthwaite give the degrees of freedom of that sum.
    """
    x, y, s = (_per_draw(v) for v in (dimension, log_ratio, se))
    coefficients = _slope_coefficients(x, s)
    slope = float(coefficients @ y)
    parts = (coefficients * s) ** 2
    error = math.sqrt(parts.sum())
    freedom = math.inf if degrees is None else float(parts.sum() ** 2 / (parts**2 / _per_draw(degrees)).sum())
    half = student(level, freedom) * error
    return Estimate(slope, error, slope - half, slope + half, level, 2, len(x), "slope")


def growth_slope(dimension: ArrayLike, log_ratio: ArrayLike, se: ArrayLike) -> float:
    """Return the slope of the same weighted fit for numbers without error, such as the exact ratios."""
    return float(_slope_coefficients(_per_draw(dimension), _per_draw(se)) @ _per_draw(log_ratio))


def bootstrap(
    statistic: Callable[..., float], *tables: ArrayLike, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Estimate:
    """Return a statistic of several per-draw tables with the bootstrap's percentile interval over draws.

    Parameters
    ----------
    statistic : callable taking the tables (each with draws along axis 0) and returning a number.
    tables : (N, ...) arrays, resampled together.
    """
    arrays = [np.asarray(t, dtype=np.float64) for t in tables]
    n = len(arrays[0])
    value = float(statistic(*arrays))
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, n, size=(resamples, n))
    values = np.array([statistic(*(a[p] for a in arrays)) for p in picks], dtype=np.float64)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return _undefined(n, level, "mean", "no resample has a value")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(values.std(ddof=1)), float(low), float(high), level, 2, n, "mean")


def jackknife(
    statistic: Callable[[Array], float], sums: ArrayLike, *, level: float = 0.95, kind: str = "mean"
) -> Estimate:
    """Return a smooth function of totals over draws with the delete-one jackknife's error and Student's t interval.

    Parameters
    ----------
    statistic : callable from the totals, shape (Q,), to a number; a regression slope from sums of products, say.
    sums : (N, Q) each draw's contribution to the totals.

    Notes
    -----
    se^2 = (N-1)/N sum_i (T_i - mean T)^2, T_i the statistic without draw i (Efron & Stein 1981).
    """
    table = _table(sums, signed=True)
    n, total = len(table), table.sum(axis=0)
    if n < 2:
        return _undefined(n, level, kind, SINGLE)
    value = float(statistic(total))
    without = np.array([statistic(total - row) for row in table])
    se = math.sqrt((n - 1) / n * float(((without - without.mean()) ** 2).sum()))
    half = student(level, n - 1) * se
    return Estimate(value, se, value - half, value + half, level, 2, n, kind)


def student(level: float, degrees: float) -> float:
    """Return Student's two-sided quantile: |t| stays below it with probability ``level``."""
    tail = (1 + level) / 2
    return float(stats.norm.ppf(tail) if math.isinf(degrees) else stats.t.ppf(tail, degrees))


# ---- inside ------------------------------------------------------------------------------------------------------
def _per_draw(values: ArrayLike) -> Array:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or len(x) == 0:
        raise InputError(
            f"per-draw values have shape {x.shape}; give one number a draw, shape (draws,), at least one draw"
        )
    if not np.isfinite(x).all():
        raise InputError("a per-draw value is not finite; give counts or finite numbers")
    return x


def _table(values: ArrayLike, signed: bool = False) -> Array:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or len(x) == 0 or not np.isfinite(x).all() or (not signed and (x < 0).any()):
        raise InputError(
            f"counts have shape {x.shape}; give finite numbers of shape (draws, indices), at least one draw"
        )
    return x


def _undefined(draws: int, level: float, kind: str, note: str) -> Estimate:
    return Estimate(math.nan, math.nan, -math.inf, math.inf, level, 1, draws, kind, note)


def _orbit(*tables: Array) -> int:
    counts = np.concatenate([t.ravel() for t in tables])
    counts = counts[counts > 0]
    if len(counts) == 0 or not np.equal(counts, np.rint(counts)).all():
        return 1
    return int(np.gcd.reduce(counts.astype(np.int64)))


def _log_ratio_error(s: Array, m: Array) -> float:
    return float((s / s.mean() - m / m.mean()).std(ddof=1) / math.sqrt(len(s)))


def _log_interval(x: Array, level: float) -> tuple[float, float]:
    """Distances on the log scale from the mean of x down to and up to the ends of its interval."""
    n, seen = len(x), int(np.count_nonzero(x))
    if seen >= RARE_DRAWS:
        half = student(level, n - 1) * float(x.std(ddof=1) / math.sqrt(n) / x.mean())
        return half, half
    cluster = float((x**2).sum() / x.sum())
    k = float(x.sum()) / cluster
    tail = (1 - level) / 2
    return math.log(2 * k / stats.chi2.ppf(tail, 2 * k)), math.log(stats.chi2.ppf(1 - tail, 2 * k + 2) / (2 * k))


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
    down, _ = _log_interval(other, level) if n > 1 else (math.inf, math.inf)
    bound = float(other.mean()) * math.exp(-down)  # the lower end, at 1 - tail on this side
    if m.any():
        high = unseen / bound if bound > 0 else math.inf
        note = f"the numerator was never seen in {n} draws: an upper bound only"
        return Estimate(0.0, math.nan, 0.0, high, level, 1, n, "annealed", note)
    note = f"the denominator was never seen in {n} draws: a lower bound only"
    return Estimate(math.nan, math.nan, bound / unseen, math.inf, level, 1, n, "annealed", note)


def _slope_coefficients(x: Array, se: Array) -> Array:
    if len(x) != len(se) or len(np.unique(x)) < 2:
        raise InputError(f"a growth rate needs two different dimensions with errors; got {sorted(set(x.tolist()))}")
    if (se <= 0).any():
        raise InputError("a growth rate needs positive errors; leave out rows that have none")
    w = 1 / se**2
    centred = x - np.average(x, weights=w)
    return w * centred / (w * centred**2).sum()
