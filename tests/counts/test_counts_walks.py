"""One count by the arc walk: its weights, its intervals, when its list of minima is closed."""

import numpy as np
import pytest
from scipy import stats

import simcore
from simcore.counts.walks import Walk
from simcore.search.search import Search
from simcore.search.target import Target, Workers


def walk_of(landscape, walkers=4):
    search = Search.of(landscape, seed=1, threads=1)
    return Walk([Target.of(search, landscape.draw(seed=1, draw=0))], walkers, 1, Workers(1))


@pytest.fixture(scope="module")
def walk():
    made = walk_of(simcore.SphericalSpin(4, 3))
    made.advance(40)
    return made


def test_weights_make_the_exact_law_flat(walk):
    """Metropolis weights are the reciprocals of the law's counts, whatever constant they share."""
    assert walk.weights_from == "exact law"
    law = simcore.SphericalSpin(4, 3).expected_counts()["mean_count"].to_numpy()
    np.testing.assert_allclose(np.exp(walk.weight) * law, 1.0, rtol=1e-12)


def test_intervals_are_students_for_the_walkers(walk):
    estimate, _ = walk.look()
    frame, _, _ = walk._counts(estimate)
    some = frame[frame["se"] > 0]
    assert len(some)
    factor = np.exp(stats.t.ppf(0.975, 3) * some["se"] / some["count"])
    np.testing.assert_allclose(some["high"], some["count"] * factor, rtol=1e-12)
    np.testing.assert_allclose(some["low"], some["count"] / factor, rtol=1e-12)


@pytest.mark.parametrize(("first", "closed"), [(19, True), (20, False)])
def test_a_minimum_that_is_new_in_the_second_half_keeps_the_list_open(walk, monkeypatch, first, closed):
    """Two minima, one of them known; each walker comes to both, the new one at move ``first`` of 40."""
    visits = np.zeros((4, 40), np.int32)
    visits[:, first:] = 1
    monkeypatch.setattr(walk.record, "visits", lambda: visits)
    monkeypatch.setattr(walk.minima, "known", 1)
    monkeypatch.setattr(walk.minima.table, "count", 2)
    assert walk.look()[1]["minima_closed"] is closed


def test_a_minimum_met_three_times_keeps_the_list_open(walk, monkeypatch):
    visits = np.zeros((4, 40), np.int32)
    visits[0] = -1
    monkeypatch.setattr(walk.record, "visits", lambda: visits)
    monkeypatch.setattr(walk.minima.table, "count", 1)
    found = walk.look()[1]
    assert found["minima_closed"] is False and found["minima_met"] == 1 and found["minima_coverage"] == 1.0


@pytest.mark.parametrize(("dimension", "moves"), [(3, 1000), (15, 1000), (16, 1024), (31, 3844), (32, 4000)])
def test_the_first_look_comes_after_four_times_the_squared_dimension(walk, monkeypatch, dimension, moves):
    monkeypatch.setattr(walk, "dimension", dimension)
    assert walk.first_look() == moves


@pytest.mark.parametrize(("dimension", "moves"), [(3, 64), (20, 400), (40, 1000)])
def test_a_unit_of_24_walkers_is_looked_at_four_times_as_early(walk, monkeypatch, dimension, moves):
    monkeypatch.setattr(walk, "free", True)
    monkeypatch.setattr(walk, "dimension", dimension)
    assert walk.first_look() == moves
