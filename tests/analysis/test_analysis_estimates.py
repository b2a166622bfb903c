"""Fractions, mean costs and growth rates against known answers, and the coverage of their intervals in simulation.

The intervals themselves: tests/statistics/test_intervals.py. Statistical tests fix their seed.
"""

import math

import numpy as np
import pytest
from simcore_analysis import estimates

from simcore.errors import InputError
from simcore.statistics.intervals import skewed_reach


def test_fractions_add_up_and_stay_within_0_and_1():
    counts = np.random.default_rng(1).poisson([0.05, 2, 5, 2, 0], size=(40, 5)).astype(float)
    fractions = estimates.index_fractions(counts)
    assert sum(f.value for f in fractions) == pytest.approx(1)
    assert all(0 <= f.low <= f.value <= f.high <= 1 for f in fractions)
    assert fractions[4].value == 0
    assert 0 < fractions[4].high < 0.05


def test_a_fraction_is_the_odds_turned_round():
    counts = np.random.default_rng(2).poisson([2, 5, 3], size=(30, 3)).astype(float)
    fraction = estimates.index_fractions(counts, level=0.99)[0]
    odds = estimates.annealed_ratio(counts[:, 0], counts[:, 1:].sum(axis=1), level=0.99)
    for end in ("value", "low", "high"):
        assert getattr(fraction, end) == pytest.approx(getattr(odds, end) / (1 + getattr(odds, end)))
    assert fraction.se == pytest.approx(odds.se / (1 + odds.value) ** 2)


def test_mean_costs_pool_points():
    counts = np.array([[1, 3, 0], [2, 1, 0], [1, 2, 1]], float)
    sums = np.array([[-1.0, 0.3, 0], [-2.2, 0.1, 0], [-0.9, 0.0, 1.5]])
    low, middle, high = estimates.mean_costs(sums, counts)
    assert low.value == pytest.approx(-4.1 / 4)
    assert middle.value == pytest.approx(0.4 / 6)
    assert middle.se > 0
    assert high.value == 1.5
    assert not high.tells and high.low == -math.inf
    assert math.isnan(estimates.mean_costs(sums * 0, counts * 0)[0].value)


def test_degrees_of_freedom_of_a_mean_cost_are_those_of_the_draws_that_show_the_index():
    """Twelve of 60 draws show it: symmetric costs, one point each, so the interval is Student's on 11 degrees, longer
    by the doubt about their skewness, sqrt(6 / 12)."""
    counts, sums = np.zeros((60, 2)), np.zeros((60, 2))
    counts[:12, 1], sums[:12, 1] = 1, [-6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6]
    cost = estimates.mean_costs(sums, counts)[1]
    deviation, tau = np.std(sums[:12, 1], ddof=1), 2.2009852 / math.sqrt(12)
    half = deviation * skewed_reach(1.5 * math.sqrt(0.5), tau, 12)
    assert cost.draws == 12 and cost.se == pytest.approx(deviation / math.sqrt(12)) and half > tau * deviation
    assert (cost.low, cost.high) == pytest.approx((-half, half), rel=1e-6)


def test_growth_rate_is_the_weighted_least_squares_slope():
    n, y, se = np.array([3.0, 4, 5, 6]), np.array([1.8, 2.7, 3.5, 4.3]), np.array([0.02, 0.03, 0.05, 0.08])
    slope = estimates.growth_rate(n, y, se)
    w = 1 / se**2
    design = np.vstack([np.ones(4), n]).T
    covariance = np.linalg.inv(design.T @ (w[:, None] * design))
    assert slope.value == pytest.approx((covariance @ design.T @ (w * y))[1])
    assert slope.se == pytest.approx(math.sqrt(covariance[1, 1]))
    assert slope.high - slope.low == pytest.approx(2 * 1.959964 * slope.se, rel=1e-6)
    assert estimates.growth_slope(n, 0.9 * n - 1, se) == pytest.approx(0.9)


def test_students_t_is_as_wide_as_the_row_with_the_fewest_draws_asks():
    """Welch and Satterthwaite would take about 27 degrees here: t = 2.05 in place of 2.26."""
    n, y, se = np.array([3.0, 4, 5, 6]), np.array([1.8, 2.7, 3.5, 4.3]), np.full(4, 0.05)
    slope = estimates.growth_rate(n, y, se, degrees=[9, 29, 9, 9])
    assert slope.high - slope.low == pytest.approx(2 * 2.262157 * slope.se, rel=1e-6)


def test_a_slope_has_the_skewness_of_its_rows():
    """Equal errors at n = 1, 2, 3: the slope is (y_3 - y_1) / 2, so equal skewness cancels and opposite one adds up."""
    n, y, se = [1.0, 2, 3], [0.0, 1, 2], [0.1] * 3
    plain, even = (estimates.growth_rate(n, y, se, degrees=[39] * 3, skewness=g) for g in (0.0, [0.4] * 3))
    assert (even.low, even.high) == pytest.approx((plain.low, plain.high))
    skewed = estimates.growth_rate(n, y, se, degrees=[39] * 3, skewness=[-0.4, 0, 0.4])
    t, g = 2.0226909, 2 * 0.4 / 2**1.5
    b = g * t**2 / (3 * (1 + t**2 / 40))
    up = b + math.sqrt(t**2 + b**2) + g / 6
    assert skewed.low == pytest.approx(plain.low)
    assert skewed.high - 1 == pytest.approx(skewed.se * up, rel=1e-6) and up > 1.1 * t


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: estimates.growth_rate([3, 3], [1, 2], [0.1, 0.1]), "two different dimensions"),
        (lambda: estimates.growth_rate([3, 4], [1, 2], [0.1, 0.0]), "positive errors"),
        (lambda: estimates.index_fractions([1, 2]), "shape"),
    ],
)
def test_bad_input_says_what_was_given_and_what_is_allowed(call, message):
    with pytest.raises(InputError, match=message):
        call()


# ---- coverage ----------------------------------------------------------------------------------------------------
def test_points_counted_as_independent_would_not_cover():
    """The error bar of pooled points, blind to draws: what the draw as the unit is for."""
    rng = np.random.default_rng(20260101)
    covered = 0
    for _ in range(1000):
        pairs = 4 * rng.poisson(0.5, 30), 4 * rng.poisson(3.0, 30)  # orbits of four
        m, s = pairs[0].sum(), pairs[1].sum()
        covered += abs(math.log(s / m / 6)) < 1.96 * math.sqrt(1 / s + 1 / m)
    assert covered / 1000 < 0.85


def test_fraction_and_cost_intervals_cover():
    """1,000 experiments: a coverage of 95 % would fall outside 0.925 .. 0.985 with probability below 1e-3."""
    rng = np.random.default_rng(20260103)
    hits = np.zeros(2)
    for _ in range(1000):
        counts = rng.poisson([0.7, 3.0, 2.0], size=(30, 3)).astype(float)
        shift = rng.normal(0, 0.3, (30, 1))  # costs of one draw move together
        sums = counts * (np.array([-1.0, 0, 1]) + shift) + rng.normal(size=(30, 3)) * np.sqrt(counts)
        hits[0] += estimates.index_fractions(counts)[0].covers(0.7 / 5.7)
        hits[1] += estimates.mean_costs(sums, counts)[0].covers(-1.0)
    assert (hits / 1000 > 0.925).all()
    assert (hits / 1000 < 0.985).all()


@pytest.mark.parametrize("draws", [10, 30])
def test_growth_rate_intervals_cover(draws):
    """600 experiments; a coverage of 95 % would fall below 0.922 with probability 2e-3. Measured: results/coverage."""
    rng = np.random.default_rng(20260104)
    n = np.arange(3, 8)
    exact = np.exp(0.8 * n - 1)
    covered = 0
    for _ in range(600):
        rows = [estimates.annealed_ratio(rng.poisson(4 * r, draws), rng.poisson(4.0, draws)) for r in exact]
        slope = estimates.growth_rate(
            n, np.log([r.value for r in rows]), [r.relative_error for r in rows], degrees=[draws - 1] * 5
        )
        covered += slope.covers(0.8)
    assert 0.922 < covered / 600 < 0.99
