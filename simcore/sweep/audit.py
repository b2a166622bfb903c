"""The scientific audit of an ``enumerate`` or ``ball`` run: are its counts what the exact law says?

The draw is the statistical unit. For each combination with at least ``LEAST_DRAWS`` draws, all complete, and for each
index k whose expected total is at least ``LEAST_TOTAL`` points (rarer indices are pooled into one class):

    counts   c_i, points of the class in draw i, against the law's mean m:         t = (c-bar - m) / (s_c / sqrt N)
    costs    e_i = sum of costs - mu c_i, mu the law's mean cost of the class:     t = e-bar / (s_e / sqrt N)

with Student's t on N - 1 degrees of freedom. Counts are skewed, and t with a skewed sample errs on the low side; so a
count must alarm on the logarithmic scale too, t' = ln(c-bar / m) c-bar sqrt N / s_c, which errs on the high side: the
p-value is the larger of the two. From ``LEAST_CHI_SQUARE`` draws a class up, all counts together: Hotelling's T^2,
which is chi-square with the between-draw covariance in place of a known one, by its F distribution, over the directions
that symmetries and the Euler sum leave free.

All p-values of a run share one bound: an alarm is a p-value below ``FALSE_ALARM`` divided by their number (Bonferroni).
Measured false-alarm rates: tests/sweep/test_sweep_audit.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simcore.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from simcore.landscapes.base import Landscape

FALSE_ALARM = 1e-4
"""Probability, over all tests of a run, that one alarms although the law holds."""

LEAST_DRAWS = 30
LEAST_TOTAL = 50.0
LEAST_CHI_SQUARE = 20

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Test:
    """One comparison: what, the measured mean, the exact one, its z-score (t) and two-sided p-value."""

    what: str
    measured: float
    exact: float
    z: float
    p: float


@dataclass
class Audit:
    """The audit of one combination."""

    landscape: str
    draws: int
    complete: int
    euler_right: int | None
    certified_fraction: float
    tests: list[Test] = field(default_factory=list)
    note: str = ""

    def line(self, bound: float) -> str:
        """Return one line; ``bound`` is the p-value below which a test alarms."""
        euler = "" if self.euler_right is None else f", Euler sum right in {self.euler_right}"
        text = f"{self.landscape}: {self.draws} draws, {self.complete} complete{euler}"
        text += f", {100 * self.certified_fraction:.2f} % of points certified"
        if self.tests:
            worst = min(self.tests, key=lambda test: test.p)
            text += f"; {len(self.tests)} tests against the exact law, worst {worst.what}: "
            text += f"{worst.measured:.6g} against {worst.exact:.6g}, z = {worst.z:+.2f}, p = {worst.p:.2g}"
            text += " ALARM" if worst.p < bound else ""
        return text + (f"; {self.note}" if self.note else "")

    def to_dict(self) -> dict[str, Any]:
        """Return the audit as a JSON-safe dictionary."""
        return {**self.__dict__, "tests": [test.__dict__ for test in self.tests]}


@dataclass
class Counts:
    """What the audit needs of one combination, gathered shard by shard: per draw and index, points and summed costs."""

    points: Array
    costs: Array
    audits: list[pd.DataFrame] = field(default_factory=list)
    certified: int = 0
    total: int = 0

    @classmethod
    def empty(cls, draws: int, dimension: int) -> Counts:
        """Return counts of no points."""
        return cls(np.zeros((draws, dimension + 1)), np.zeros((draws, dimension + 1)))

    def add(self, rows: pd.DataFrame) -> None:
        """Add a shard's points: columns draw, index, cost, certified."""
        draws, indices = self.points.shape
        place = rows["draw"].to_numpy() * indices + rows["morse_index"].to_numpy()
        self.points += np.bincount(place, minlength=draws * indices).reshape(draws, indices)
        self.costs += np.bincount(place, rows["cost"].to_numpy(), minlength=draws * indices).reshape(draws, indices)
        self.certified += int(rows["certified"].sum())
        self.total += len(rows)


def audit(landscape: Landscape, counts: Counts, name: str) -> Audit:
    """Compare one combination's counts with its exact law; counts that can't be judged say why."""
    import pandas as pd

    audits = pd.concat(counts.audits, ignore_index=True)
    complete = audits["complete"].to_numpy(dtype=bool)
    expected = pd.to_numeric(audits["euler_expected"]).to_numpy(dtype=float)
    euler = None
    if not np.isnan(expected).any():
        euler = int((audits["euler_sum"].to_numpy(dtype=float) == expected).sum())
    result = Audit(name, len(audits), int(complete.sum()), euler, counts.certified / max(counts.total, 1))
    if not complete.all():
        missing = len(audits) - result.complete
        result.note = f"{missing} draws are incomplete, so counts are biased low: z-scores are not judged"
    elif len(audits) < LEAST_DRAWS:
        result.note = f"too few draws for z-scores, {LEAST_DRAWS} are needed"
    else:
        law = _law(landscape)
        if law is None:
            result.note = "no exact law is known"
        else:
            result.tests = compare(counts.points, counts.costs, law, _volumes(audits))
    return result


def _law(landscape: Landscape) -> pd.DataFrame | None:
    random = getattr(landscape, "frequencies", None) == "random"
    try:
        return landscape.expected_counts(finite_features=True) if random else landscape.expected_counts()
    except InputError:
        return None


def _volumes(audits: pd.DataFrame) -> Array:
    """Return the volume that each draw's counts belong to: a ball's, or 1 for a whole domain."""
    if "volume" in audits.columns:
        return audits["volume"].to_numpy(dtype=float)
    return np.ones(len(audits))


def compare(points: Array, costs: Array, law: pd.DataFrame, volumes: Array) -> list[Test]:
    """Return the tests of counts (draws, D + 1) and summed costs against a law, see the module's docstring."""
    draws = len(points)
    mean = law["mean_count"].to_numpy(dtype=float)
    error = law["mean_count_se"].to_numpy(dtype=float) if "mean_count_se" in law.columns else np.zeros(len(mean))
    # Counts per unit of volume, so that the law's mean is every draw's; all volumes of a run are equal or nearly so.
    rate = points / volumes[:, None]
    classes = [[k] for k in range(len(mean)) if mean[k] * volumes.sum() >= LEAST_TOTAL]
    rare = [k for k in range(len(mean)) if [k] not in classes]
    if mean[rare].sum() * volumes.sum() >= LEAST_TOTAL:
        classes.append(rare)
    tests = []
    for members in classes:
        name = f"index {members[0]}" if len(members) == 1 else f"indices {', '.join(map(str, members))}"
        exact, se = float(mean[members].sum()), float(np.sqrt((error[members] ** 2).sum()))
        tests.append(count_test(f"count of {name}", rate[:, members].sum(1), exact, se))
        cost = law["mean_cost"].to_numpy(dtype=float)[members]
        if len(members) == 1 and np.isfinite(cost).all() and not error.any():
            tests.append(cost_test(f"mean cost of {name}", costs[:, members[0]], points[:, members[0]], float(cost[0])))
    if draws >= LEAST_CHI_SQUARE * max(len(classes), 5) and len(classes) > 1 and not error.any():
        columns = np.stack([rate[:, members].sum(1) for members in classes], axis=1)
        if np.ptp(columns, axis=0).any():  # else every draw has the same counts, and each was compared above
            tests.append(chi_square_test(columns, np.array([mean[members].sum() for members in classes])))
    return tests


def count_test(what: str, values: Array, exact: float, exact_error: float = 0.0) -> Test:
    """Return Student's test of a mean of counts, on the linear and the logarithmic scale."""
    from scipy import stats

    mean, error = float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values)))
    error = math.hypot(error, exact_error)
    if error == 0.0:
        same = math.isclose(mean, exact, rel_tol=1e-9)
        return Test(what, mean, exact, 0.0 if same else math.copysign(math.inf, mean - exact), 1.0 if same else 0.0)
    linear = (mean - exact) / error
    logarithmic = math.log(mean / exact) * mean / error
    p = 2 * max(stats.t.sf(abs(linear), len(values) - 1), stats.t.sf(abs(logarithmic), len(values) - 1))
    return Test(what, mean, exact, linear if abs(linear) < abs(logarithmic) else logarithmic, float(p))


def cost_test(what: str, sums: Array, counts: Array, exact: float) -> Test:
    """Return Student's test that sums of costs are ``exact`` times counts on average."""
    from scipy import stats

    excess = sums - exact * counts
    error = float(excess.std(ddof=1) / math.sqrt(len(excess)))
    measured = float(sums.sum() / max(counts.sum(), 1.0))
    if max(error, abs(float(excess.mean()))) <= 1e-12 * float(counts.mean()):
        return Test(what, measured, exact, 0.0, 1.0)  # mirrored points cancel: what is left is rounding
    z = float(excess.mean() / error)
    return Test(what, measured, exact, z, float(2 * stats.t.sf(abs(z), len(excess) - 1)))


def chi_square_test(values: Array, exact: Array) -> Test:
    """Return Hotelling's test of a vector of means; ``values`` is (draws, classes).

    Directions without spread (the Euler sum, mirrored indices) are left out; they are checked exactly elsewhere.
    """
    from scipy import stats

    draws = len(values)
    scale = values.std(axis=0, ddof=1)
    used = scale > 0
    scaled, target = values[:, used] / scale[used], exact[used] / scale[used]
    eigenvalues, vectors = np.linalg.eigh(np.atleast_2d(np.cov(scaled, rowvar=False)))
    free = eigenvalues > 1e-9 * max(float(eigenvalues[-1]), 1e-300)
    along = (scaled.mean(0) - target) @ vectors[:, free] / np.sqrt(eigenvalues[free])
    statistic, rank = float(draws * (along**2).sum()), int(free.sum())
    p = stats.f.sf(statistic * (draws - rank) / (rank * (draws - 1)), rank, draws - rank)
    return Test(f"all counts, chi-square on {rank}", statistic, float(rank), math.sqrt(statistic), float(p))


def bound(audits: list[Audit]) -> float:
    """Return the p-value below which a test of these audits alarms."""
    return FALSE_ALARM / max(1, sum(len(one.tests) for one in audits))
