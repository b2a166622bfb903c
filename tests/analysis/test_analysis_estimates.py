"""Estimators against known answers, and the coverage of their intervals in simulation.

Statistical tests fix their seed. Coverage of a nominal 95 % interval is measured on 4,000 simulated experiments (its
standard error is 0.34 %) and must lie within 93 to 97 %: were the true coverage 95 %, a false alarm would have
probability below 1e-8.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simcore_analysis import estimates
from simcore_analysis.estimates import Estimate

from simcore.errors import InputError

EXPERIMENTS = 4000


def test_annealed_ratio_is_mean_over_mean_with_the_delta_methods_error():
    s, m = np.array([4.0, 10, 6, 8, 12, 5]), np.array([1.0, 2, 1, 2, 3, 1])
    ratio = estimates.annealed_ratio(s, m)
    residual = s - ratio.value * m  # the textbook ratio estimator's linearisation
    assert ratio.kind == "annealed" and ratio.draws == 6
    assert ratio.value == pytest.approx(45 / 10)
    assert ratio.se == pytest.approx(residual.std(ddof=1) / math.sqrt(6) / m.mean())
    half = estimates.student(0.95, 5) * ratio.se / ratio.value
    assert (ratio.low, ratio.high) == pytest.approx((4.5 * math.exp(-half), 4.5 * math.exp(half)))


def test_quenched_ratio_is_another_number_and_says_which_draws_have_none():
    s, m = np.array([4.0, 10, 6, 8, 12, 5]), np.array([1.0, 2, 0, 2, 3, 1])
    quenched = estimates.quenched_ratio(s, m)
    assert quenched.kind == "quenched"
    assert quenched.value == pytest.approx(np.mean([4, 5, 4, 4, 5]))
    assert quenched.draws == 5
    assert "1 of 6 draws have none" in quenched.note


def test_ratio_without_spread_has_no_error_and_agrees_with_itself():
    ratio = estimates.annealed_ratio(np.full(40, 12.0), np.full(40, 2.0))
    assert (ratio.value, ratio.se, ratio.low, ratio.high) == (6.0, 0.0, 6.0, 6.0)
    assert ratio.z(6.0) == 0.0
    assert ratio.z(5.0) == math.inf
    assert ratio.covers(6.0)
    assert not ratio.covers(5.0)


def test_no_minima_gives_a_one_sided_bound_and_not_infinity():
    ratio = estimates.annealed_ratio(np.full(50, 30.0) + np.arange(50) % 3, np.zeros(50), orbit=1)
    assert ratio.sides == 1
    assert math.isnan(ratio.value)
    assert math.isnan(ratio.se)
    assert 0 < ratio.low < 31 / (1 - 0.025 ** (1 / 50))
    assert ratio.low == pytest.approx(31 / (1 - 0.025 ** (1 / 50)), rel=0.05)
    assert ratio.high == math.inf
    assert "lower bound" in ratio.note
    none = estimates.annealed_ratio(np.zeros(50), np.full(50, 3.0))
    assert none.value == 0
    assert none.low == 0
    assert 0 < none.high < 1
    assert math.isnan(estimates.annealed_ratio(np.zeros(5), np.zeros(5)).value)


def test_a_bound_allows_for_points_that_come_in_orbits():
    saddles = 2.0 * np.arange(1, 41)
    pairs = estimates.annealed_ratio(saddles, np.zeros(40))
    singles = estimates.annealed_ratio(saddles, np.zeros(40), orbit=1)
    assert pairs.low == pytest.approx(singles.low / 2)


def test_few_draws_with_minima_widen_the_interval_upwards():
    minima = np.zeros(60)
    minima[:2] = 1
    ratio = estimates.annealed_ratio(np.random.default_rng(0).poisson(50, 60), minima)
    assert "rare" in ratio.note
    assert ratio.high / ratio.value > ratio.value / ratio.low  # a Poisson count of 2 may well be 0.25, not 10
    assert ratio.high / ratio.value == pytest.approx(2 / 0.2422, rel=0.02)  # Garwood's lower end for a count of 2
    assert ratio.value / ratio.low == pytest.approx(7.2247 / 2, rel=0.02)  # and its upper end


def test_fractions_add_up_and_stay_within_0_and_1():
    counts = np.random.default_rng(1).poisson([0.05, 2, 5, 2, 0], size=(40, 5)).astype(float)
    fractions = estimates.index_fractions(counts)
    assert sum(f.value for f in fractions) == pytest.approx(1)
    assert all(0 <= f.low <= f.value <= f.high <= 1 for f in fractions)
    assert fractions[4].value == 0
    assert 0 < fractions[4].high < 0.05


def test_mean_costs_pool_points_and_know_when_they_know_nothing():
    counts = np.array([[1, 3, 0], [2, 1, 0], [1, 2, 1]], float)
    sums = np.array([[-1.0, 0.3, 0], [-2.2, 0.1, 0], [-0.9, 0.0, 1.5]])
    low, middle, high = estimates.mean_costs(sums, counts)
    assert low.value == pytest.approx(-4.1 / 4)
    assert middle.value == pytest.approx(0.4 / 6)
    assert middle.se > 0
    assert high.value == 1.5
    assert math.isnan(high.se)
    assert high.low == -math.inf
    assert math.isnan(estimates.mean_costs(sums * 0, counts * 0)[0].value)


def test_growth_rate_is_the_weighted_least_squares_slope():
    n, y, se = np.array([3.0, 4, 5, 6]), np.array([1.8, 2.7, 3.5, 4.3]), np.array([0.02, 0.03, 0.05, 0.08])
    slope = estimates.growth_rate(n, y, se)
    w = 1 / se**2
    design = np.vstack([np.ones(4), n]).T
    covariance = np.linalg.inv(design.T @ (w[:, None] * design))
    assert slope.value == pytest.approx((covariance @ design.T @ (w * y))[1])
    assert slope.se == pytest.approx(math.sqrt(covariance[1, 1]))
    assert estimates.growth_slope(n, 0.9 * n - 1, se) == pytest.approx(0.9)
    wider = estimates.growth_rate(n, y, se, degrees=np.full(4, 29.0))
    assert wider.low < slope.low < slope.high < wider.high


def test_bootstrap_agrees_with_the_delta_method():
    rng = np.random.default_rng(2)
    m = rng.poisson(4, 200).astype(float)
    s = rng.poisson(20, 200) + 3 * m
    delta = estimates.annealed_ratio(s, m)
    boot = estimates.bootstrap(lambda a, b: a.mean() / b.mean(), s, m)
    assert boot.value == pytest.approx(delta.value)
    assert boot.se == pytest.approx(delta.se, rel=0.1)  # 2,000 resamples: 1.6 % noise, and 1 / N


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: estimates.annealed_ratio([1, 2], [1]), "2 draws, denominator 1"),
        (lambda: estimates.annealed_ratio([], []), "at least one draw"),
        (lambda: estimates.annealed_ratio([1, math.nan], [1, 1]), "not finite"),
        (lambda: estimates.annealed_ratio([1, -2], [1, 1]), "negative"),
        (lambda: estimates.growth_rate([3, 3], [1, 2], [0.1, 0.1]), "two different dimensions"),
        (lambda: estimates.growth_rate([3, 4], [1, 2], [0.1, 0.0]), "positive errors"),
        (lambda: estimates.index_fractions([1, 2]), "shape"),
    ],
)
def test_bad_input_says_what_was_given_and_what_is_allowed(call, message):
    with pytest.raises(InputError, match=message):
        call()


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), min_size=2, max_size=40), st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_ratio_scales_with_its_numerator_and_forgets_the_order_of_draws(pairs, factor):
    s, m = np.array(pairs, float).T
    one = estimates.annealed_ratio(s, m, orbit=1)
    many = estimates.annealed_ratio(factor * s, m, orbit=1)
    back = estimates.annealed_ratio(s[::-1], m[::-1], orbit=1)
    if math.isfinite(one.se) and one.se > 1e-6:
        assert many.value == pytest.approx(factor * one.value)
        assert many.se == pytest.approx(factor * one.se)
    for a, b in ((one.value, back.value), (one.low, back.low), (one.high, back.high)):
        assert a == pytest.approx(b, nan_ok=True)
    assert not one.value < one.low
    assert not one.value > one.high


# ---- coverage ----------------------------------------------------------------------------------------------------
def _coverage(make, truth: float, estimate, experiments: int = EXPERIMENTS) -> float:
    return float(np.mean([estimate(*make()).covers(truth) for _ in range(experiments)]))


@pytest.mark.parametrize(("draws", "minima"), [(30, 0.3), (30, 1.5), (100, 1.5)])
def test_ratio_intervals_cover_at_their_level_with_dependent_counts(draws, minima):
    """Counts of a draw share a random intensity: points of one draw are not independent."""
    rng = np.random.default_rng(20260101)

    def make():
        shared = rng.gamma(8, 1 / 8, draws)
        return rng.poisson(6 * minima * shared), rng.poisson(minima * shared)

    assert 0.93 < _coverage(make, 6.0, estimates.annealed_ratio) < 0.97


def test_points_counted_as_independent_would_not_cover():
    """The error bar of pooled points, blind to draws: what the draw as the unit is for."""
    rng = np.random.default_rng(20260101)
    covered = 0
    for _ in range(1000):
        pairs = 4 * rng.poisson(0.5, 30), 4 * rng.poisson(3.0, 30)  # orbits of four
        m, s = pairs[0].sum(), pairs[1].sum()
        covered += abs(math.log(s / m / 6)) < 1.96 * math.sqrt(1 / s + 1 / m)
    assert covered / 1000 < 0.85


@pytest.mark.parametrize("minima", [0.01, 0.03, 0.1])
def test_rare_minima_are_covered_at_least_at_the_level(minima):
    """Few or no minima at all in 30 draws: bounds may be wide, two-sided or one-sided, but must not lie."""
    rng = np.random.default_rng(20260102)
    covered = _coverage(
        lambda: (rng.poisson(5.0, 30), rng.poisson(minima, 30)), 5.0 / minima, estimates.annealed_ratio, 2000
    )
    assert covered > 0.945


def test_fraction_and_cost_intervals_cover():
    rng = np.random.default_rng(20260103)
    hits = np.zeros(2)
    for _ in range(2000):
        counts = rng.poisson([0.5, 3.0, 2.0], size=(30, 3)).astype(float)
        shift = rng.normal(0, 0.3, (30, 1))  # costs of one draw move together
        sums = counts * (np.array([-1.0, 0, 1]) + shift) + rng.normal(size=(30, 3)) * np.sqrt(counts)
        hits[0] += estimates.index_fractions(counts)[0].covers(0.5 / 5.5)
        hits[1] += estimates.mean_costs(sums, counts)[0].covers(-1.0)
    assert (hits / 2000 > 0.93).all()
    assert (hits / 2000 < 0.97).all()


def test_growth_rate_intervals_cover():
    rng = np.random.default_rng(20260104)
    n = np.arange(3, 8)
    exact = np.exp(0.8 * n - 1)
    covered = 0
    for _ in range(1500):
        rows = [estimates.annealed_ratio(rng.poisson(2 * r, 30), rng.poisson(2.0, 30)) for r in exact]
        slope = estimates.growth_rate(
            n, np.log([r.value for r in rows]), [r.relative_error for r in rows], degrees=[29] * 5
        )
        covered += slope.covers(0.8)
    assert 0.93 < covered / 1500 < 0.97


def test_estimate_defaults_say_nothing_they_do_not_know():
    assert Estimate(0.0, 0.0, 0.0, 0.0).relative_error == 0
    assert math.isnan(Estimate(0.0, math.nan, 0.0, 1.0).relative_error)
