"""The estimator of relative counts: its elimination, its folding and the level of its errors, on chains that are
known."""

import numpy as np
import pytest

from simcore.counts.diagnostics import disagreement, minima_arrivals, rank_rhat, round_trips
from simcore.counts.estimator import Classes, jackknife, log_counts, log_ratio, log_stationary


def reversible(generator, sizes):
    """Return a symmetric proposal between classes of these sizes, as probabilities of leaving each class's points."""
    K = len(sizes)
    flow = generator.random((K, K)) * np.minimum.outer(sizes, sizes) / K
    flow = 0.5 * (flow + flow.T)
    np.fill_diagonal(flow, 0.0)
    P = flow / sizes[:, None]
    P /= max(1.0, P.sum(axis=1).max())
    return P + np.diag(1.0 - P.sum(axis=1))


def test_elimination_agrees_with_a_dense_solve():
    generator = np.random.default_rng(1)
    for size in (1, 2, 5, 30):
        P = generator.random((size, size))
        P /= P.sum(axis=1, keepdims=True)
        system = np.vstack([P.T - np.eye(size), np.ones(size)])
        expected = np.linalg.lstsq(system, np.append(np.zeros(size), 1.0), rcond=None)[0]
        found = np.exp(log_stationary(P * 1000.0))
        np.testing.assert_allclose(found / found.sum(), expected, rtol=1e-10)


def test_elimination_keeps_digits_that_a_dense_solve_loses():
    """A ladder whose law is a power of 1e-6 a rung, eight rungs: 48 decades."""
    q = 1e-6
    P = np.diag(np.full(8, q), 1) + np.diag(np.full(8, 1.0 - q), -1)
    P[0, 0], P[8, 8] = 1.0 - q, q
    law = log_stationary(P)
    np.testing.assert_allclose(np.diff(law), np.log(q / (1.0 - q)), rtol=1e-12)


def test_classes_never_left_have_no_estimate():
    counts = np.array([[5.0, 5.0, 1.0], [5.0, 5.0, 0.0], [0.0, 0.0, 0.0]])
    law = log_stationary(counts)
    assert np.isneginf(law[2])
    assert law[1] - law[0] == pytest.approx(np.log((5 / 11) / (5 / 10)))  # N_0 5/11 = N_1 5/10


def test_the_jackknife_has_a_value_and_an_error_an_index():
    """Two walkers on two classes, by hand: N_1/N_0 is the flow out of 0 over the flow out of 1, per visit."""
    tallies = np.zeros((2, 4, 4))
    tallies[0, :2, :2] = [[8.0, 2.0], [1.0, 9.0]]  # shares left 0.2 and 0.1: N_1/N_0 = 2
    tallies[1, :2, :2] = [[5.0, 5.0], [1.0, 9.0]]  # 0.5 and 0.1: 5
    found = jackknife(tallies, Classes(1, 0, False))
    assert [len(part) for part in found[:4]] == [2, 2, 2, 2]
    both = np.log((7 / 20) / (2 / 20))
    assert found.log_relative.tolist() == pytest.approx([0.0, both])
    assert found.log_relative_se.tolist() == pytest.approx([0.0, 0.5 * np.log(5 / 2)])  # half the gap of two walkers
    assert found.log_total - found.log_count[0] == pytest.approx(np.log1p(np.exp(both)))


def test_the_jackknife_of_three_walkers_by_hand():
    """ln(N_1/N_0) is ln of the share left of 0 over that of 1; sqrt(2/3 sum of squares) round the mean without one."""
    tallies = np.zeros((3, 4, 4))
    for walker, (up, down) in enumerate(((2.0, 1.0), (5.0, 1.0), (1.0, 4.0))):
        tallies[walker, :2, :2] = [[10.0 - up, up], [down, 10.0 - down]]
    without = np.log([6.0 / 5.0, 3.0 / 5.0, 7.0 / 2.0])
    expected = np.sqrt(2 / 3 * ((without - without.mean()) ** 2).sum())
    found = jackknife(tallies, Classes(1, 0, False))
    assert found.log_relative[1] == pytest.approx(np.log(8.0 / 6.0))
    assert found.log_relative_se[1] == pytest.approx(expected, rel=1e-12)


def test_counts_relative_to_minima_need_minima():
    """An index that was never left has ln N = -inf; without minima nothing is relative to them."""
    tally = np.zeros((1, 5, 5))
    tally[0, :3, :3] = [[3.0, 1.0, 0.0], [1.0, 3.0, 0.0], [0.0, 0.0, 0.0]]
    found = jackknife(np.concatenate([tally, tally]), Classes(2, 0, False))
    assert found.log_relative[1] == pytest.approx(0.0) and np.isneginf(found.log_relative[2])
    shifted = np.roll(tally, (1, 1), (1, 2))
    assert np.isnan(jackknife(np.concatenate([shifted, shifted]), Classes(2, 0, False)).log_relative).all()


def test_even_and_odd_walkers_are_compared_from_four_on():
    source = np.random.default_rng(6)
    tallies = np.zeros((5, 5, 5))
    tallies[:, :3, :3] = source.integers(5, 50, (5, 3, 3))
    assert np.isnan(disagreement(tallies[:3], Classes(2, 0, False)))
    four = disagreement(tallies[:4], Classes(2, 0, False))
    pairs = [jackknife(tallies[first:4:2], Classes(2, 0, False)) for first in (0, 1)]
    error = np.hypot(pairs[0].log_ratio_se, pairs[1].log_ratio_se)
    assert four == pytest.approx(abs(pairs[0].log_ratio - pairs[1].log_ratio) / error) and four > 0


def test_known_minima_that_were_never_met_leave_counts_relative():
    tally = np.zeros((4, 4))
    tally[:2, :2] = [[8.0, 2.0], [1.0, 9.0]]
    np.testing.assert_allclose(log_counts(tally, Classes(1, 3, False)), np.log([0.5, 1.0]), rtol=1e-12)


def test_known_minima_make_counts_absolute():
    """Three of four minima are known, D = 2: N = 4, 6, 2 is found from exact flows, mirrored or not."""
    sizes = np.array([1.0, 6.0, 2.0, 3.0])  # index 0 not known, index 1, index 2, known minima
    P = reversible(np.random.default_rng(3), sizes)
    tally = np.zeros((5, 5))
    tally[:4, :4] = sizes[:, None] * P  # as many visits as points
    found = np.exp(log_counts(tally, Classes(2, 3, False)))
    np.testing.assert_allclose(found, [4.0, 6.0, 2.0], rtol=1e-12)
    assert log_ratio(np.log(found)) == pytest.approx(np.log(1.5))
    # f(-x) = -f(x), N = 4, 6, 4 and A = 3: counts of one side alone are folded onto both
    sizes = np.array([1.0, 6.0, 1.0, 3.0, 3.0])
    image = [2, 1, 0, 4, 3]
    flow = np.random.default_rng(4).random((5, 5))
    flow = flow + flow.T
    flow = 0.02 * (flow + flow[np.ix_(image, image)])
    tally = flow + np.diag(sizes - flow.sum(axis=1))
    np.testing.assert_allclose(np.exp(log_counts(tally, Classes(2, 3, True))), [4.0, 6.0, 4.0], rtol=1e-12)
    share = np.random.default_rng(5).random((5, 5))  # of each move and its mirror image some were made on either side
    share = 0.5 * (1 + share - share[np.ix_(image, image)])
    np.testing.assert_allclose(np.exp(log_counts(share * tally, Classes(2, 3, True))), [4.0, 6.0, 4.0], rtol=1e-12)


def simulate(generator, P, weight, moves, start):
    """Return the proposals tallied by a Metropolis walk between classes, and its path."""
    K = len(P)
    tally, at, path = np.zeros((K, K)), start, np.empty(moves + 1, int)
    path[0] = at
    cumulative = P.cumsum(axis=1)
    chances = generator.random((moves, 2))
    for m, (a, b) in enumerate(chances):
        to = min(int(np.searchsorted(cumulative[at], a)), K - 1)
        tally[at, to] += 1
        if b < weight[to] / weight[at]:
            at = to
        path[m + 1] = at
    return tally, path


SIZES = np.array([2.0, 10.0, 30.0, 10.0, 2.0])


def ladder():
    P = np.zeros((5, 5))
    for k in range(4):
        rate = 0.4 * min(SIZES[k], SIZES[k + 1])
        P[k, k + 1], P[k + 1, k] = rate / SIZES[k], rate / SIZES[k + 1]
    return P + np.diag(1.0 - P.sum(axis=1))


def test_errors_between_walkers_hold_their_level():
    """200 counts by 16 walkers each: z is Student's t of about 15 degrees. Mean z within 4 sd of 0, rms within 15 % of
    1.07, share beyond t's 95 % point between .01 and .11 (binomial, each beyond 1e-3)."""
    generator = np.random.default_rng(7)
    P, weight = ladder(), 1.0 / SIZES
    pad = np.zeros((7, 7))
    truth = np.log(50.0 / 2.0)
    z = []
    for _ in range(200):
        tallies = []
        for walker in range(16):
            tally, _ = simulate(generator, P, weight, 150, 0 if walker % 2 else 2)
            full = pad.copy()
            full[:5, :5] = tally
            tallies.append(full)
        found = jackknife(np.array(tallies), Classes(4, 0, False))
        z.append((found.log_ratio - truth) / found.log_ratio_se)
    z = np.array(z)
    assert abs(z.mean()) < 4 / np.sqrt(200)
    assert 0.85 * 1.07 < np.sqrt((z**2).mean()) < 1.15 * 1.07
    assert 0.01 <= (abs(z) > 2.13).mean() <= 0.11


def test_round_trips_and_arrivals_are_counted():
    law = np.log(SIZES)
    history = np.array([[0, 1, 2, 3, 2, 1, 0, 1, 2, 1, 2], [2, 3, 4, 3, 2, 2, 2, 2, 2, 2, 2]])
    # walker 0: minimum, middle, minimum, middle; walker 1 sees the maximum, which is no minimum but for odd functions
    assert round_trips(history, Classes(4, 0, False), law) == 1
    assert round_trips(history, Classes(4, 0, True), law) == 2
    assert round_trips(history, Classes(4, 0, False), np.array([-np.inf] * 4 + [0.0])) is None
    visits = np.array([[0, 0, -1, 0, 1], [-1, -1, -1, 2, 2]], np.int32)
    arrivals, first = minima_arrivals(visits, 4)
    assert arrivals.tolist() == [2, 1, 1, 0]
    assert first.tolist() == [0, 4, 3, 5]


def test_rhat_sees_walkers_that_stay_apart():
    generator = np.random.default_rng(5)
    mixed = generator.integers(0, 10, (16, 400))
    assert rank_rhat(mixed) < 1.02
    apart = mixed + np.where(np.arange(16)[:, None] % 2 == 0, 10, 0)
    assert rank_rhat(apart) > 1.6  # two halves of a normal law: about 1/sqrt(1 - 2/pi) = 1.66
    assert rank_rhat(np.zeros((4, 100))) == 1.0
