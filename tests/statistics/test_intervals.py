"""Intervals against closed forms, textbook formulas and simulated laws; "cannot tell" where draws cannot.

Statistical tests fix their seeds and state their false-alarm rate.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from simcore.errors import InputError
from simcore.statistics import intervals
from simcore.statistics.estimate import LEAST_DIFFERENT, LEAST_DRAWS, Estimate
from simcore.statistics.intervals import annealed_ratio, mean, mean_count, signed_ratio, skewed_reach, student

SYMMETRIC = np.array([-5.0, -3, -2, -1, -0.5, 0.5, 1, 2, 3, 5])
SKEWED = np.array([0.0, 1, 1, 2, 2, 2, 3, 4, 6, 13])


# ---- closed forms ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("level", [0.9, 0.95, 0.995])
def test_the_mean_of_symmetric_draws_has_students_interval(level):
    """Both ends: a 90 % interval in place of 95 %, a divisor N or one tail in place of two would all show."""
    e = mean(SYMMETRIC + 7, level=level)
    half = stats.t.ppf((1 + level) / 2, 9) * SYMMETRIC.std(ddof=1) / math.sqrt(10)
    assert (e.low, e.high) == pytest.approx((7 - half, 7 + half), rel=1e-12)
    assert (e.value, e.sides, e.draws, e.level) == (7.0, 2, 10, level)


def test_a_skewed_mean_reaches_further_on_its_long_side_by_the_formula():
    e = mean(SKEWED)
    n, s, t = 10, SKEWED.std(ddof=1), stats.t.ppf(0.975, 9)
    g = n**2 / ((n - 1) * (n - 2)) * ((SKEWED - SKEWED.mean()) ** 3).mean() / s**3
    tau = t / math.sqrt(n)
    g *= 1.5  # a sample shows too little of it
    b = g * tau**2 / (3 * (1 + tau**2))
    up = b + math.sqrt(tau**2 + b**2) + g / (6 * n)
    assert up > tau  # else this sample would test nothing
    assert e.high == pytest.approx(SKEWED.mean() + s * up, rel=1e-12)
    assert e.low == pytest.approx(SKEWED.mean() - s * tau, rel=1e-12)  # never narrower than Student's
    mirrored = mean(-SKEWED)
    assert (mirrored.low, mirrored.high) == pytest.approx((-e.high, -e.low), rel=1e-12)


def test_the_reach_agrees_with_johnsons_expansion():
    g, n = 0.3, 4000
    tau = 1.96 / math.sqrt(n)
    johnson = g * tau**2 / 3
    excess = float(skewed_reach(g, tau, n)) - tau - g / (6 * n)
    assert excess == pytest.approx(johnson, rel=0.01)


def test_a_ratio_over_a_constant_is_the_interval_of_the_mean_count():
    x = np.concatenate([SKEWED] * 10) + np.arange(100) % 3
    one, many = mean_count(x), annealed_ratio(x, np.full(100, 4.0))
    assert (many.value, many.se) == pytest.approx((one.value / 4, one.se / 4))
    assert (many.low, many.high) == pytest.approx((one.low / 4, one.high / 4), rel=1e-9)


def test_a_ratio_has_the_cube_roots_interval_by_the_formula():
    """Its two ends, from SciPy's skewness and quantile; on the scale of R itself they differ by per cents."""
    rng = np.random.default_rng(1)
    s, m = rng.poisson(9, 25).astype(float), rng.poisson(3, 25).astype(float)
    e = annealed_ratio(s, m, level=0.99)
    x = s / s.mean() - m / m.mean()
    g, tau, d = float(stats.skew(x, bias=False)), stats.t.ppf(0.995, 24) / 5, x.std(ddof=1)
    b = abs(g) * tau**2 / (3 * (1 + tau**2))
    longer = d * (b + math.sqrt(tau**2 + b**2) + abs(g) / 150)
    down, up = (tau * d, longer) if g > 0 else (longer, tau * d)
    assert longer > 1.02 * tau * d  # else the skewness would not be tested
    assert (e.low, e.high) == pytest.approx((e.value * (1 - down / 3) ** 3, e.value * (1 + up / 3) ** 3), rel=1e-12)


def test_a_ratio_that_may_be_zero_begins_there():
    s, m = np.repeat([0.0, 1, 2, 90], [4, 3, 4, 1]), np.arange(1.0, 13)
    e = annealed_ratio(s, m, level=0.999)
    assert e.tells and e.low == 0 and e.high > 10 * e.value


def test_a_mean_cost_that_few_draws_carry_has_their_degrees_of_freedom():
    """Fifteen draws with one point and five with three: Kish's number is 30^2 / 60 = 15, so t has 14 degrees."""
    assert intervals.effective_number(np.full(12, 3.0)) == pytest.approx(12)
    m = np.repeat([1.0, 3.0], [15, 5])
    assert intervals.effective_number(m) == pytest.approx(15)
    symmetric = np.tile([-1.0, 1.0], 10)  # without skewness, so that what is left is the doubt about it
    plain, few = signed_ratio(3 + symmetric, np.ones(20)), signed_ratio(3 * m + symmetric, m)
    for e, degrees in ((plain, 19), (few, 14)):
        tau = stats.t.ppf(0.975, degrees) / math.sqrt(20)
        residual = 3 * m + symmetric - e.value * m if e is few else symmetric
        g = float(stats.skew(residual, bias=False))
        doubt = math.sqrt(6 / 20)
        up, down = (skewed_reach(1.5 * (doubt + sign * g), tau, 20) for sign in (1, -1))
        assert min(up, down) > 1.05 * tau
        root = math.sqrt(20) * e.se
        assert (e.high - e.value, e.value - e.low) == pytest.approx((up * root, down * root), rel=1e-9)
    lopsided = np.repeat([1.0, 9.0], [15, 5])
    few = signed_ratio(3 * lopsided + symmetric, lopsided)
    assert not few.tells and "20 count as 8.6 of the 10" in few.note


def test_the_standard_error_of_a_ratio_is_the_delta_methods():
    s, m = np.tile([4.0, 10, 6, 8, 12, 5], 3), np.tile([1.0, 2, 1, 2, 3, 1], 3)
    ratio = annealed_ratio(s, m)
    residual = s - ratio.value * m  # the textbook ratio estimator's linearisation
    assert ratio.value == pytest.approx(4.5) and ratio.kind == "annealed" and ratio.draws == 18
    assert ratio.se == pytest.approx(residual.std(ddof=1) / math.sqrt(18) / m.mean())


def test_bonetts_interval_of_a_standard_deviation():
    x = np.random.default_rng(2).standard_normal(20)
    e = intervals.standard_deviation(x)
    z, t = stats.norm.ppf(0.975), stats.t.ppf(0.975, 19)
    centre = stats.trim_mean(x, 1 / (2 * math.sqrt(16)))
    kurtosis = 20 * ((x - centre) ** 4).sum() / ((x - x.mean()) ** 2).sum() ** 2
    c = 20 / (20 - z)
    half = t * c * math.sqrt((kurtosis - 17 / 20) / 19)
    assert (e.low**2, e.high**2) == pytest.approx(
        (c * x.var(ddof=1) * math.exp(-half), c * x.var(ddof=1) * math.exp(half))
    )
    scaled = intervals.standard_deviation(3 * x + 5)
    assert (scaled.value, scaled.low, scaled.high) == pytest.approx((3 * e.value, 3 * e.low, 3 * e.high))


def test_a_prevalence_has_clopper_and_pearsons_interval():
    """Each end is the share at which the observed tail has probability 2.5 %, by the binomial's own sum."""
    e = intervals.proportion(3, 20)
    assert stats.binom.sf(2, 20, e.low) == pytest.approx(0.025)
    assert stats.binom.cdf(3, 20, e.high) == pytest.approx(0.025)
    assert intervals.proportion(0, 20).low == 0 and intervals.proportion(20, 20).high == 1
    assert intervals.proportion(0, 20).high == pytest.approx(1 - 0.025 ** (1 / 20))
    with pytest.raises(InputError, match="21 successes of 20"):
        intervals.proportion(21, 20)


def test_simultaneous_levels_are_bonferronis():
    assert intervals.bonferroni(0.95, 10) == pytest.approx(0.995)
    assert intervals.bonferroni(0.95, 1) == 0.95
    assert student(0.95, 9) == pytest.approx(2.262157, rel=1e-6)
    assert student(0.95, math.inf) == pytest.approx(1.959964, rel=1e-6)


def test_a_jackknifed_mean_is_the_mean():
    plain = mean(SKEWED)
    sums = np.stack([np.ones(10), SKEWED], axis=1)
    for e in (intervals.jackknife(lambda t: t[1] / t[0], sums), intervals.of_draws(np.mean, SKEWED)):
        assert (e.value, e.se, e.low, e.high) == pytest.approx((plain.value, plain.se, plain.low, plain.high))


def test_log_means_of_one_ratio_and_of_a_ratio_with_itself():
    rng = np.random.default_rng(3)
    s, m = rng.poisson(20, 50), rng.poisson(4, 50)
    one, ratio = intervals.log_means([(1, s), (-1, m)]), annealed_ratio(s, m)
    assert (one.value, one.se) == pytest.approx((math.log(ratio.value), ratio.relative_error))
    e = s / s.mean() - m / m.mean()  # the mean of 50 is as skewed as one draw over sqrt 50
    assert one.skewness == pytest.approx(stats.skew(e, bias=False) / math.sqrt(50), rel=1e-9)
    same = intervals.log_means([(1, s), (-1, m), (-1, s), (1, m)])
    assert (same.value, same.se) == pytest.approx((0, 0), abs=1e-12)
    with pytest.raises(InputError, match="positive mean"):
        intervals.log_means([(1, s), (-1, 0 * m)])


# ---- cannot tell -------------------------------------------------------------------------------------------------
def test_below_ten_draws_nothing_is_told():
    """Measured coverage of nominal 95 % was 79.7 % with 5 draws of a torus field in four dimensions."""
    x = np.array([28.0, 32, 40, 36, 44, 30, 38, 34, 42])
    for e in (
        mean(x),
        mean_count(x),
        annealed_ratio(x, x % 7 + 1),
        intervals.standard_deviation(x),
        signed_ratio(x, x % 5 + 1),
    ):
        assert not e.tells and e.sides == 0 and math.isinf(e.high) and e.low in (0.0, -math.inf)
        assert e.note.startswith("cannot tell: too few draws, 9 of the 10")
        assert math.isnan(e.z(1.0)) and e.covers(1e9)
    more = np.append(x, 46)
    assert mean(more).tells and annealed_ratio(more, more % 7 + 1).tells


@pytest.mark.parametrize("different", [0, 1, LEAST_DIFFERENT - 1])
def test_mostly_constant_draws_cannot_tell(different):
    x = np.ones(20)
    x[:different] += 2 * np.arange(1, different + 1)
    for e in (mean(x), mean_count(x), annealed_ratio(x, x), intervals.log_means([(1, x)])):
        assert not e.tells and ("are alike" if different == 0 else f"only {different} of 20") in e.note
    x[: different + LEAST_DIFFERENT] += 1
    assert mean(x).tells


def test_a_frozen_denominator_cannot_tell_a_ratio_with_few_draws():
    """Torus fields in four dimensions: ten of ten draws had 2 minima in 4 % of samples, and the ratio 18 for 14."""
    saddles = np.array([32.0, 46, 40, 36, 38, 34, 32, 42, 36, 30])
    e = annealed_ratio(saddles, np.full(10, 2.0))
    assert not e.tells and "denominator is the same in all 10 draws" in e.note
    assert annealed_ratio(np.tile(saddles, 10), np.full(100, 2.0)).tells


def test_ratio_without_spread_agrees_with_itself_and_judges_nothing_else():
    """A ratio that never varied among 40 draws may yet vary: infinity is no z-score."""
    ratio = annealed_ratio(np.full(40, 12.0), np.full(40, 2.0))
    assert (ratio.value, ratio.se) == (6.0, 0.0) and not ratio.tells
    assert ratio.z(6.0) == 0.0 and math.isnan(ratio.z(5.0))


# ---- rare and never seen -----------------------------------------------------------------------------------------
def test_no_minima_gives_a_one_sided_bound_and_not_infinity():
    ratio = annealed_ratio(np.full(50, 30.0) + np.arange(50) % 3, np.zeros(50), orbit=1)
    assert ratio.sides == 1 and math.isnan(ratio.value) and math.isnan(ratio.se)
    assert 0 < ratio.low < 31 / (1 - 0.025 ** (1 / 50))
    assert ratio.low == pytest.approx(31 / (1 - 0.025 ** (1 / 50)), rel=0.05)
    assert ratio.high == math.inf and "lower bound" in ratio.note
    none = annealed_ratio(np.zeros(50), np.full(50, 3.0))
    assert none.value == none.low == 0 and 0 < none.high < 1
    assert not annealed_ratio(np.zeros(50), np.zeros(50)).tells


def test_a_bound_allows_for_points_that_come_in_orbits():
    saddles = 2.0 * np.arange(1, 41)
    pairs, singles = annealed_ratio(saddles, np.zeros(40)), annealed_ratio(saddles, np.zeros(40), orbit=1)
    assert pairs.low == pytest.approx(singles.low / 2)


def test_few_draws_with_minima_widen_the_interval_upwards():
    minima = np.zeros(60)
    minima[:2] = 1
    ratio = annealed_ratio(np.random.default_rng(0).poisson(50, 60), minima)
    assert "rare" in ratio.note
    assert ratio.high / ratio.value == pytest.approx(2 / 0.2422, rel=0.02)  # Garwood's lower end for a count of 2
    assert ratio.value / ratio.low == pytest.approx(7.2247 / 2, rel=0.02)  # and its upper end


def test_mean_count_bounds_a_rare_excess():
    many = mean_count(np.arange(40.0))  # no rare excess: symmetric draws, on the cube root's scale
    assert many.value == 19.5 and many.se == mean(np.arange(40.0)).se
    reach = stats.t.ppf(0.975, 39) * many.se / 19.5 / 3
    assert (many.low, many.high) == pytest.approx((19.5 * (1 - reach) ** 3, 19.5 * (1 + reach) ** 3))
    alike = mean_count(np.ones(50))
    assert (alike.value, alike.low, alike.sides) == (1.0, 1.0, 1)
    assert alike.high == pytest.approx(2 - 0.05 ** (1 / 50))
    few = np.ones(100)
    few[:2] = 3
    rare = mean_count(few)
    assert rare.value == pytest.approx(1.04)
    assert rare.low == pytest.approx(1 + 0.04 * 0.2422 / 2, rel=1e-3)  # Garwood, two clusters of two
    assert rare.high == pytest.approx(1 + 0.04 * 7.2247 / 2, rel=1e-3)


def test_quenched_ratio_is_another_number_and_says_which_draws_have_none():
    s, m = np.tile([4.0, 10, 6, 8, 12, 5], 3), np.tile([1.0, 2, 0, 2, 3, 1], 3)
    quenched = intervals.quenched_ratio(s, m)
    assert quenched.kind == "quenched" and quenched.draws == 15
    assert quenched.value == pytest.approx(np.mean([4, 5, 4, 4, 5]))
    assert "3 of 18 draws have none" in quenched.note


# ---- input, invariance -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: annealed_ratio([1, 2], [1]), "2 draws, denominator 1"),
        (lambda: annealed_ratio([], []), "at least one draw"),
        (lambda: annealed_ratio([1, math.nan], [1, 1]), "not finite"),
        (lambda: annealed_ratio([1, -2], [1, 1]), "negative"),
        (lambda: mean_count([1, -2]), "negative"),
        (lambda: signed_ratio([1, 2], [1, 0]), "not positive"),
        (lambda: mean([[1, 2]]), "shape"),
        (lambda: mean(["a"]), "text"),
        (lambda: intervals.bonferroni(0.95, 0), "at least one"),
        (lambda: intervals.of_draws(np.mean, [1.0], [1.0, 2.0]), "same draws"),
        (lambda: intervals.jackknife(np.sum, [1.0]), "shape"),
    ],
)
def test_bad_input_says_what_was_given_and_what_is_allowed(call, message):
    with pytest.raises(InputError, match=message):
        call()


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), min_size=2, max_size=40), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_ratio_scales_with_its_numerator_and_forgets_the_order_of_draws(pairs, factor):
    s, m = np.array(pairs, float).T
    one, many = annealed_ratio(s, m, orbit=1), annealed_ratio(factor * s, m, orbit=1)
    back = annealed_ratio(s[::-1], m[::-1], orbit=1)
    if math.isfinite(one.se) and one.se > 1e-6:
        assert (many.value, many.se) == pytest.approx((factor * one.value, factor * one.se))
    for a, b in ((one.value, back.value), (one.low, back.low), (one.high, back.high)):
        assert a == pytest.approx(b, nan_ok=True)
    assert not one.value < one.low and not one.value > one.high


# ---- coverage on simulated laws ----------------------------------------------------------------------------------
def coverage(make, truth: float, interval, experiments: int) -> float:
    return float(np.mean([interval(*make()).covers(truth) for _ in range(experiments)]))


@pytest.mark.parametrize(("draws", "level", "least"), [(10, 0.95, 0.94), (30, 0.95, 0.94), (12, 0.995, 0.99)])
def test_ratio_intervals_cover_dependent_counts(draws, level, least):
    """Counts of a draw share a random intensity. 800 experiments: were the coverage the level, falling 2 standard
    errors below ``least`` would have probability below 1e-3."""
    rng = np.random.default_rng(20260101)

    def make():
        shared = rng.gamma(8, 1 / 8, draws)
        return rng.poisson(15 * shared), rng.poisson(2.5 * shared)

    measured = coverage(make, 6.0, lambda s, m: annealed_ratio(s, m, level=level), 800)
    assert measured > least - 2 * math.sqrt(least * (1 - least) / 800)
    assert measured < 0.985 or level > 0.95


def test_ratios_of_rare_clusters_are_covered():
    """1 + 2 K points, K mostly 0, as confined fields at m = 1 in five dimensions: saddles come in few draws, many at
    once. With 40 draws Fieller's nominal 99.5 % covered 97.5 %; 2,000 experiments: less than 98.5 % of an interval that
    covers 99.5 % has probability below 1e-6."""
    rng = np.random.default_rng(20260105)
    share = np.array([258, 91, 28, 13, 7, 2, 1]) / 400
    truth = share @ np.arange(7) / (share @ np.arange(1, 8))

    def make():
        k = rng.choice(7, 40, p=share)
        return k, k + 1

    assert coverage(make, truth, lambda s, m: annealed_ratio(s, m, level=0.995), 2000) > 0.985


@pytest.mark.parametrize("law", ["exponential", "two-point"])
def test_means_of_skewed_and_discrete_draws_are_covered(law):
    """Nominal 99.44 % of a skewed mean with 12 draws: the percentile bootstrap covered .93."""
    rng = np.random.default_rng(20260102)
    draw = {"exponential": lambda: (rng.exponential(1, 12),), "two-point": lambda: (1.0 + 2 * (rng.random(12) < 0.5),)}
    truth = {"exponential": 1.0, "two-point": 2.0}[law]
    measured = coverage(draw[law], truth, lambda x: mean(x, level=0.9944), 2000)
    assert measured > {"exponential": 0.97, "two-point": 0.99}[law]


def test_standard_deviations_are_covered():
    """Nominal 99.44 % with 12 normal draws: the percentile bootstrap covered .865."""
    rng = np.random.default_rng(20260103)
    measured = coverage(
        lambda: (rng.standard_normal(12),), 1.0, lambda x: intervals.standard_deviation(x, level=0.9944), 2000
    )
    assert measured > 0.985


@pytest.mark.parametrize("minima", [0.01, 0.03, 0.1])
def test_rare_minima_are_covered_at_least_at_the_level(minima):
    """Few or no minima at all in 30 draws: bounds may be wide, two-sided or one-sided, but must not lie."""
    rng = np.random.default_rng(20260104)
    assert coverage(lambda: (rng.poisson(5.0, 30), rng.poisson(minima, 30)), 5.0 / minima, annealed_ratio, 500) > 0.93


def test_estimate_defaults_say_nothing_they_do_not_know():
    assert Estimate(0.0, 0.0, 0.0, 0.0).relative_error == 0
    assert math.isnan(Estimate(0.0, math.nan, 0.0, 1.0).relative_error)
    assert LEAST_DRAWS == 10
