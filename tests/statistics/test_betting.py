"""The betting test: bounds attained (binomial, normal), its martingale, and its level on laws made to break tests."""

import math

import numpy as np
import pytest
from scipy import stats

from simcore.statistics.betting import STEPS, caps, dispersion, log_wealth, tails


def one(values, mean, cap):
    different, tally = np.unique(np.asarray(values, float), return_counts=True)
    return float(log_wealth(different, tally[None].astype(float), mean, np.array([cap]))[0])


def test_draws_that_are_all_alike_have_the_binomials_exponent():
    """All of 40 draws are 1 and the law has 1 or 3, 3 with probability q: P = (1 - q)^40 exactly."""
    for q in (0.05, 0.3, 0.6):
        assert one(np.ones(40), 1 + 2 * q, 3.0) == pytest.approx(-40 * math.log(1 - q), rel=1e-9)


def test_two_values_have_the_divergence_between_two_coins():
    """Seven of 40 draws are 3: 40 times the Kullback-Leibler divergence of 7/40 from q, with the cap at 3."""
    x = np.ones(40)
    x[:7] = 3
    p, q = 7 / 40, 0.4
    exact = 40 * (p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q)))
    assert one(x, 1 + 2 * q, 3.0) == pytest.approx(exact, rel=1e-9)


def test_many_draws_have_the_normal_exponent():
    x = np.random.default_rng(1).normal(10, 1, 100_000)
    z = 5.0
    mean = x.mean() + z * x.std() / math.sqrt(len(x))
    assert one(x, mean, 30.0) == pytest.approx(z**2 / 2, rel=0.02)


def test_wealth_is_the_best_of_a_grid_of_stakes():
    x = np.array([1.0, 1, 2, 4, 7])
    stakes = np.linspace(0, 1 / (9 - 4.5), 200_001)[:-1]
    best = max(np.log1p(stakes[:, None] * (4.5 - x)).sum(axis=1))
    assert one(x, 4.5, 9.0) == pytest.approx(best, rel=1e-5)
    assert one(x, 2.5, 9.0) == 0.0  # the draws' mean of 3 is not below 2.5


def test_the_caps_are_the_stated_ones():
    values, tallies = np.array([1.0, 2, 6]), np.array([[9.0, 0, 0], [5, 4, 0], [3, 3, 3]])
    sd = math.sqrt((4 + 1 + 9) / 3)  # of three draws each of 1, 2, 6: their mean lies 2 above the smallest
    found = caps(values, tallies, 1.5, 1.0)
    assert found == pytest.approx([1.5 + STEPS[0], 2 + STEPS[1], 6 + max(STEPS[2], 5 * sd / 2)])
    assert caps(values, tallies, 1.5, 2.0)[0] == pytest.approx(1.5 + 2 * STEPS[0])


def test_a_mean_that_rests_on_few_draws_gets_a_farther_cap():
    """37 draws of 0 and 3 of 20: sd / (mean - 0) = sqrt(37 / 3) times the spread of 20; but 1 where draws scatter."""
    values, tallies = np.array([0.0, 20]), np.array([[37.0, 3]])
    assert dispersion(values, tallies) == pytest.approx([math.sqrt(37 / 3)])
    assert caps(values, tallies, 2.0, 1.0) == pytest.approx([20 + 20 * math.sqrt(37 / 3)])
    assert dispersion(values, np.array([[3.0, 37], [40, 0], [0, 40]])) == pytest.approx(1.0)
    assert dispersion(values + 100, tallies) == pytest.approx([math.sqrt(37 / 3)])


def test_both_tails_and_their_price():
    """Each tail costs 2 sqrt(N + 1); too high a mean needs no cap but 0."""
    x, m = np.array([2.0, 3, 4]), np.array([[5.0, 5, 5]])
    low, high = tails(x, m, 5.0, 1.0)
    k = one(np.repeat(x, 5), 5.0, 5.0 + max(2.0, 3))
    assert low[0] == pytest.approx(min(1, 2 * math.sqrt(16) * math.exp(-k))) and high[0] == 1.0
    low, high = tails(x, m, 1.0, 1.0)
    k = float(log_wealth(-x, m, -1.0, np.zeros(1))[0])
    assert high[0] == pytest.approx(2 * 4 * math.exp(-k)) and low[0] == 1.0 and k > 10


def test_twice_too_many_points_in_every_draw_are_found():
    """200 draws of 2 where the law has mean 1: were it right, at most half of the draws could have 2 (Markov)."""
    _, high = tails(np.array([2.0]), np.array([[200.0]]), 1.0, 1.0)
    assert high[0] == pytest.approx(2 * math.sqrt(201) * 0.5**200, rel=1e-6)


LAWS = {
    "1 + rare pair": (np.array([1.0, 3]), np.array([0.95, 0.05])),
    "1 + rarer pair": (np.array([1.0, 3]), np.array([0.985, 0.015])),
    "1 + rare four": (np.array([1.0, 5]), np.array([0.97, 0.03])),
    "1 + rare clusters of four": (1 + 4 * np.arange(40.0), np.append(0.9, 0.1 * 0.5 ** np.arange(1, 40))),
    "all alike": (np.array([2.0]), np.array([1.0])),
    "geometric": (np.arange(60.0), 0.25 * 0.75 ** np.arange(60)),
    "Poisson": (np.arange(40.0), stats.poisson.pmf(np.arange(40), 4)),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("draws", [30, 60, 200])
def test_the_level_holds_for_skewed_discrete_and_degenerate_laws(law, draws):
    """100,000 samples at a p-value of 1e-3: 100 expected were the test exact; more than 140 has probability 1e-4."""
    values, probability = LAWS[law]
    probability = probability / probability.sum()
    tallies = np.random.default_rng(3).multinomial(draws, probability, size=100_000).astype(float)
    mean = float(values @ probability)
    far = np.abs(tallies @ values / draws - mean) >= 2.3 * math.sqrt((values - mean) ** 2 @ probability / draws)
    low, high = tails(values, tallies[far], mean, 1.0)  # the others are too near for such a p-value
    assert (2 * np.minimum(low, high) < 1e-3).sum() <= 140
