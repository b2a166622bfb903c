"""``audit_counts``: are these counts what the exact law says? At a level that holds for any shape of counts.

The draw is the statistical unit. For each index k whose expected total is at least ``LEAST_TOTAL`` points (rarer
indices are pooled into one class), and for all points together:

    counts   c_i, points of the class in draw i, have the law's mean m;
    costs    e_i = sum of costs - mu c_i, mu the law's mean cost of the class, have mean 0,

each by the betting test of ``simcore.statistics.betting``, two-sided (twice the smaller tail). All tests share one
bound: an alarm is a p-value below ``FALSE_ALARM`` divided by their number (Bonferroni), so that the level holds
whatever the dependence between indices.

Power. ``found`` of a comparison is the smallest share of points whose loss is found in nine of ten runs of this size,
and ``power_5`` the probability that a mean 5 % too low is: from the test itself on these draws, scaled to the shifted
mean, with a normal law for the mean of another run, and one standard error fewer rare draws.

Measured level and power: docs/statistics.md.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from simcore.arrays import real_array
from simcore.errors import InputError
from simcore.statistics.betting import caps, log_wealth, tails
from simcore.statistics.intervals import orbit_size

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

FALSE_ALARM = 1e-4
"""Probability, over all tests of a run, that one alarms although the law holds."""

AUDIT_DRAWS = 30
"""Draws below which counts are not compared with a law: so few find nothing but the grossest error."""

LEAST_TOTAL = 50.0
"""Points that the law expects of a class, over all draws, for a test of its own."""

LAW_ERRORS = 5.0
"""Standard errors within which the mean of a law that is itself a Monte Carlo estimate may lie."""


@dataclass(frozen=True)
class Comparison:
    """One comparison with the law.

    what : "count of index 1", "mean cost of index 0", "count of all points", ...
    measured, exact : the mean over draws (of costs: over points), and the law's.
    z : the normal score of p, with the sign of measured - exact: 0 where p is 1, however small the spread of the draws.
    p : two-sided p-value of this comparison alone.
    found : share of points whose loss is found 9 times in 10; nan where none is, and for costs.
    power_5 : probability that a mean count 5 % too low is found; nan for costs.
    """

    what: str
    measured: float
    exact: float
    z: float
    p: float
    found: float = math.nan
    power_5: float = math.nan


@dataclass(frozen=True)
class CountAudit:
    """What ``audit_counts`` found.

    draws : number of draws N.
    tests : the comparisons behind it, empty where nothing could be judged.
    note : why nothing was judged, else "".
    """

    draws: int
    tests: tuple[Comparison, ...] = field(default=(), repr=False)
    note: str = ""

    @property
    def worst(self) -> Comparison | None:
        """The comparison with the smallest p-value."""
        return min(self.tests, key=lambda test: test.p, default=None)

    @property
    def p_value(self) -> float:
        """Family-wise p-value: the smallest times the number of comparisons, at most 1; 1 where nothing was judged."""
        return min(1.0, self.worst.p * len(self.tests)) if self.worst else 1.0

    @property
    def alarm(self) -> bool:
        """Whether ``p_value`` lies below ``FALSE_ALARM`` = 1e-4."""
        return self.p_value < FALSE_ALARM

    @property
    def z(self) -> float:
        """z-score of the comparison with the smallest p-value; nan where nothing was judged."""
        return self.worst.z if self.worst else math.nan

    def __str__(self) -> str:
        if self.worst is None:
            return f"{self.draws} draws: {self.note}"
        w = self.worst
        return (
            f"{self.draws} draws, {len(self.tests)} tests against the exact law, worst {w.what}: {w.measured:.6g} "
            f"against {w.exact:.6g}, z = {w.z:+.2f}, family-wise p = {self.p_value:.2g}{' ALARM' if self.alarm else ''}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe dictionary."""
        return {"draws": self.draws, "p_value": self.p_value, "alarm": self.alarm, "note": self.note} | {
            "tests": [asdict(test) for test in self.tests]
        }


def audit_counts(
    counts: ArrayLike,
    law: pd.DataFrame,
    *,
    cost_sums: ArrayLike | None = None,
    volumes: ArrayLike | None = None,
) -> CountAudit:
    """Return whether counts of critical points are what an exact law says, at a family-wise false-alarm rate of 1e-4.

    The level holds for skewed, discrete and degenerate counts (1 + a rare event, all draws alike): see
    ``simcore.statistics.audit``. ``.p_value`` is family-wise, ``.alarm`` is ``p_value < 1e-4``, ``.z`` belongs to the
    comparison with the smallest p-value, ``.tests`` lists all with their power.

    Parameters
    ----------
    counts : array-like or DataFrame, shape (draws, indices)
        Number of distinct points of each Morse index in each draw, index 0 first; all draws complete.
    law : DataFrame
        The frame of ``simcore.expected_counts``, a row an index, as many rows as ``counts`` has columns.
    cost_sums : array-like, shape (draws, indices), optional
        Sum of the costs of these points: the law's mean costs are then tested too.
    volumes : array-like, shape (draws,), optional
        Volume in which each draw's points were counted, where the law is per unit volume; default 1.

    Returns
    -------
    CountAudit. With fewer than 30 draws nothing is judged: ``p_value`` is 1, ``z`` nan, and ``note`` says so.

    Raises
    ------
    InputError
        If counts are negative or not finite, or shapes do not fit each other.
    """
    points = _table("counts", counts)
    draws, indices = points.shape
    costs = None if cost_sums is None else _table("cost_sums", cost_sums)
    sizes = np.ones(draws) if volumes is None else real_array("volumes", volumes)
    if "mean_count" not in getattr(law, "columns", ()):
        raise InputError("law has no column mean_count; give the frame of simcore.expected_counts")
    if len(law) != indices:
        raise InputError(
            f"counts have {indices} indices, law {len(law)}; give a column of counts for each row of the law"
        )
    if (points < 0).any():
        raise InputError("a count is negative; give numbers of points")
    if (costs is not None and costs.shape != points.shape) or sizes.shape != (draws,) or (sizes <= 0).any():
        raise InputError(f"cost_sums must have the shape {points.shape} of counts, volumes {draws} positive numbers")
    if draws < AUDIT_DRAWS:
        return CountAudit(draws, note=f"too few draws to be judged, {AUDIT_DRAWS} are needed")
    tests = compare(points, costs, law, sizes)
    return CountAudit(draws, tuple(tests), "" if tests else f"no index is expected {LEAST_TOTAL:g} times")


def compare(
    points: Array, costs: Array | None, law: pd.DataFrame, volumes: Array, *, families: int = 1, power: bool = True
) -> list[Comparison]:
    """Return the comparisons of counts (draws, D + 1) and summed costs with a law; see the module's docstring.

    ``families`` : how many such families of tests share the bound, for the power that is stated; ``power`` False
    states none, which is faster.
    """
    law = law.sort_values("morse_index") if "morse_index" in law.columns else law
    mean = law["mean_count"].to_numpy(dtype=float)
    error = law["mean_count_se"].to_numpy(dtype=float) if "mean_count_se" in law.columns else np.zeros(len(mean))
    cost = law["mean_cost"].to_numpy(dtype=float) if "mean_cost" in law.columns else np.full(len(mean), np.nan)
    # Counts per unit of volume, so that the law's mean is every draw's; all volumes of a run are equal or nearly so.
    rate = points / volumes[:, None]
    unit = orbit_size(points) / float(volumes.mean())
    classes = classes_of(mean * volumes.sum())
    if len(classes) > 1:
        classes.append(list(range(len(mean))))
    priced = [k for (k, *more) in classes if not more and np.isfinite(cost[k]) and not error.any()]
    priced = [] if costs is None else priced
    bound = FALSE_ALARM / max(1, len(classes) + len(priced)) / families if power else 0.0
    tests = []
    for members in classes:
        exact, se = float(mean[members].sum()), float(np.sqrt((error[members] ** 2).sum()))
        tests.append(
            count_test(f"count of {_name(members, len(mean))}", rate[:, members].sum(1), exact, unit, se, bound)
        )
    if costs is not None:
        tests += [
            cost_test(f"mean cost of index {k}", costs[:, k], points[:, k], float(cost[k]))
            for k in priced
        ]  # fmt: skip
    return tests


def classes_of(totals: Array) -> list[list[int]]:
    """Return the indices that are tested alone, then the pooled rare ones, from the law's expected totals."""
    classes = [[k] for k in range(len(totals)) if totals[k] >= LEAST_TOTAL]
    rare = [k for k in range(len(totals)) if totals[k] < LEAST_TOTAL]
    if totals[rare].sum() >= LEAST_TOTAL:
        classes.append(rare)
    return classes


def count_test(
    what: str, values: Array, exact: float, unit: float = 1.0, exact_error: float = 0.0, bound: float = 0.0
) -> Comparison:
    """Return the two-sided betting test of a mean count.

    Parameters
    ----------
    values : (N,) counts a draw.
    exact, exact_error : the law's mean and its standard error, 0 where it is exact: the mean within ``LAW_ERRORS`` of
        these that suits the draws best is tested.
    unit : what a count changes by at least.
    bound : p-value below which the test will alarm: power is stated for it; 0 for none.
    """
    mean = float(values.mean())
    slack = LAW_ERRORS * exact_error
    tested = min(max(mean, exact - slack), exact + slack)
    different, tally = np.unique(values, return_counts=True)
    low, high = tails(different, tally[None].astype(float), tested, unit)
    p = min(1.0, 2 * min(float(low[0]), float(high[0])))
    if math.isclose(mean, tested, rel_tol=1e-9):
        p = 1.0
    found, power = power_of(different, tally.astype(float), exact, unit, bound) if bound else (math.nan, math.nan)
    return Comparison(what, mean, exact, _score(p, mean - exact), p, found, power)


def cost_test(what: str, sums: Array, counts: Array, exact: float) -> Comparison:
    """Return the two-sided betting test that sums of costs are ``exact`` times counts on average.

    Caps on both sides lie beyond the draws by the spread of the draws.
    """
    excess = sums - exact * counts
    measured = float(sums.sum() / max(counts.sum(), 1.0))
    if abs(float(excess.mean())) <= 1e-12 * float(counts.mean()):
        return Comparison(what, measured, exact, 0.0, 1.0)  # mirrored points cancel: what is left is rounding
    low, high = tails(excess, np.ones((1, len(excess))), 0.0, 0.0, signed=True)
    p = min(1.0, 2 * float(min(low[0], high[0])))
    return Comparison(what, measured, exact, _score(p, float(excess.mean())), p)


def power_of(values: Array, tally: Array, exact: float, unit: float, bound: float) -> tuple[float, float]:
    """Return the loss of points that is found 9 times in 10, and the probability that a loss of 5 % is.

    Parameters
    ----------
    values, tally : (V,) different values of a draw and how many draws have each.
    exact : the law's mean.
    bound : p-value (two-sided) below which the test alarms.

    A loss delta shifts draws to x_i (m / x-bar)(1 - delta); the loss that is found every other time is where their p is
    the bound; the mean of another run varies round that by s / sqrt N, as a normal law. Where few draws differ from the
    most common value, how many do is luck, and the cap depends on it: the same is worked out with one standard error
    fewer of them, and the larger loss counts, so that rare events promise no power that another run lacks.
    """
    n, mean = float(tally.sum()), float(values @ tally / tally.sum())
    if mean <= 0 or exact <= 0:
        return math.nan, 0.0
    noise = math.sqrt(float(tally @ (values - mean) ** 2) / n) / mean / math.sqrt(n)
    loss = float(np.max([_loss_found(values, some, exact, unit, bound) for some in (tally, _fewer(tally))]))
    if math.isnan(loss):
        return math.nan, 0.0
    found = loss + float(special.ndtri(0.9)) * noise
    power = float(special.ndtr((0.05 - loss) / noise)) if noise else float(loss <= 0.05)
    return (found if found < 1 else math.nan), power


def _loss_found(values: Array, tally: Array, exact: float, unit: float, bound: float) -> float:
    """Return the loss at which p is the bound; nan where none is."""
    n = tally.sum()
    scaled = values * (exact * n / (values @ tally))
    price, low, high = 4 * math.sqrt(n + 1), 0.0, 1.0

    def p_at(loss: float) -> float:
        left = scaled * (1 - loss)
        return price * float(np.exp(-log_wealth(left, tally[None], exact, caps(left, tally[None], exact, unit)))[0])

    if p_at(high) >= bound:
        return math.nan
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if p_at(middle) < bound else (middle, high)
    return high


def _fewer(tally: Array) -> Array:
    """Return the tally with one standard error fewer draws that differ from the most common value."""
    most = int(np.argmax(tally))
    rest = float(tally.sum() - tally[most])
    fewer = tally * (1 - 1 / math.sqrt(rest)) if rest else tally.copy()
    fewer[most] = tally.sum() - fewer.sum() + fewer[most]
    return fewer


def _score(p: float, difference: float) -> float:
    return 0.0 if p >= 1 else math.copysign(float(special.ndtri(max(p, 1e-300) / 2)), difference)


def _name(members: list[int], indices: int) -> str:
    if len(members) == indices:
        return "all points"
    return f"index {members[0]}" if len(members) == 1 else f"indices {', '.join(map(str, members))}"


def _table(name: str, values: ArrayLike) -> Array:
    x = real_array(name, values, "give numbers of shape (draws, indices)")
    if x.ndim != 2 or len(x) == 0 or not np.isfinite(x).all():
        raise InputError(
            f"{name} have shape {x.shape}; give finite numbers of shape (draws, indices), at least one draw"
        )
    return x
