"""Distinct points as an enumeration collects them: hits, first arrivals, orbits, statuses."""

import numpy as np
import pytest

import simcore
from simcore.backends.problems import Outcome
from simcore.formulas.outcome import CRITICAL, DEGENERATE, MAX_ITERATIONS
from simcore.search.points import NEVER, Points
from simcore.search.search import Search
from simcore.search.target import Target, Workers


@pytest.fixture
def found():
    """Points of f = sum of J x x x on the sphere, n = 3, and the outcome of 40 starts; f(-x) = -f(x)."""
    law = simcore.SphericalSpin(3)
    draw = law.draw(seed=3)
    target = Target.of(Search.of(law, seed=3, threads=1), draw)
    outcome = target.newton(law.starts(seed=3, draw=0, first=0, count=40))
    with Workers(1) as workers:
        yield Points(target, workers), outcome


def some(outcome: Outcome, rows) -> Outcome:
    return Outcome(*(np.ascontiguousarray(part[rows]) for part in outcome))


def test_hits_are_counted_and_images_are_not_hit(found):
    points, outcome = found
    critical = np.flatnonzero(outcome.status == CRITICAL)
    points.add_ordinary(outcome, 100)
    assert points.hits.sum() == points.reached.sum() == len(critical) and points.broken == 0
    reached = points.first < NEVER
    assert (reached == (points.hits > 0)).all() and points.first[reached].min() == 100 + critical[0]
    assert points.statuses.sum() == 40 and points.statuses[CRITICAL] == len(critical)
    size = np.bincount(points.orbit)
    assert set(size[size > 0]) == {2} and (points.orbit <= np.arange(len(points))).all()
    np.testing.assert_allclose(points.table.x[: len(points)].sum(axis=0), 0.0, atol=1e-6)  # each with its opposite


def test_searches_of_other_kinds_bring_points_without_hits(found):
    points, outcome = found
    points.add_targeted(outcome)
    known = len(points)
    assert known and not points.hits.any() and not points.statuses.any() and (points.first == NEVER).all()
    points.add_ordinary(outcome, 0, plain=False)
    assert len(points) == known and not points.hits.any() and points.reached.sum() > 0
    points.add_walked(outcome)
    assert points.arrivals.sum() == points.reached.sum()
    points.add_ordinary(outcome, 0)
    points.forget_hits()
    assert not points.hits.any() and not points.statuses.any() and len(points) == known


def test_degenerate_ends_are_counted_and_no_points(found):
    points, outcome = found
    ended = some(outcome, slice(0, 3))
    ended.status[:] = DEGENERATE, MAX_ITERATIONS, DEGENERATE
    points.add_ordinary(ended, 0)
    assert points.degenerate == 2 and len(points) == 0 and points.statuses[DEGENERATE] == 2
    points.add_ordinary(ended, 3, plain=False)
    assert points.degenerate == 4 and points.statuses[DEGENERATE] == 2  # those that descended first count as well
