"""Each condition of a search's rule alone says no."""

from __future__ import annotations

import numpy as np
import pytest

import simcore
from simcore.landscapes.waves import TorusField, WaveDraw
from simcore.search import audit, ball, enumerate, targeted
from simcore.search.search import Search
from simcore.search.target import Target

IGNORED = pytest.mark.filterwarnings("ignore::simcore.IncompleteWarning")


def target_of(draw, backend="reference"):
    return Target.of(Search.of(draw.landscape, seed=1, backend=backend), draw)


@IGNORED
def test_a_wrong_euler_sum_is_never_complete(monkeypatch):
    """All points are hit often and nothing new is found; only the sum is wrong."""
    right = simcore.enumerate_critical_points(TorusField(2), seed=3, starts=512, prove=False, threads=1)
    assert right.audit["complete"] and right.audit["least_hits"] >= 4
    monkeypatch.setattr(enumerate, "euler_sum", lambda index: audit.euler_sum(index) + 2)
    wrong = simcore.enumerate_critical_points(TorusField(2), seed=3, starts=512, max_starts=512, prove=False, threads=1)
    assert wrong.audit["least_hits"] == right.audit["least_hits"]
    assert not wrong.audit["complete"]


@IGNORED
def test_every_orbit_needs_four_hits():
    """With one round and few starts draws end with 1, 2 and 3 hits of the rarest orbit: none of them is complete."""
    seen = set()
    for draw in range(40):
        found = simcore.enumerate_critical_points(
            TorusField(3), draw=draw, seed=5, starts=144, max_starts=144, prove=False, threads=1
        ).audit
        seen.add(found["least_hits"])
        assert found["complete"] == (
            found["least_hits"] >= 4 and found["euler_sum"] == 0 and found["degenerate"] == found["broken_images"] == 0
        )
        if found["least_hits"] < 4:
            assert not found["complete"]
    assert {1, 2, 3} <= seen
    assert audit.ENOUGH_HITS == 4


@pytest.mark.parametrize(("n", "capped"), [(2, True), (5, True), (60, False)])
def test_a_ball_searches_with_a_local_step_cap(n, capped):
    landscape = simcore.GaussianField(n)
    chosen = ball.local(Search.of(landscape, seed=1, solver=simcore.Newton(), backend="reference"))
    rule = landscape.scales.step_cap
    assert chosen.options.step_cap == min(rule, ball.LOCAL_CAP)
    assert (chosen.options.step_cap < rule) == capped
    given = ball.local(Search.of(landscape, seed=1, solver=simcore.Newton(step_cap=0.25), backend="reference"))
    assert given.options.step_cap == 0.25


class Bowl(WaveDraw):
    """f = cos x + 2 cos y: at 0 a maximum with eigenvalues -1 and -2, at (0, pi) a saddle, -1 and 2, at (pi, pi) a
    minimum, 1 and 2."""

    @property
    def problem(self):
        from simcore.backends.problems import Waves

        return Waves(np.eye(2), np.array([1.0, 2.0]), np.zeros(2), 0.0, 2 * np.pi)

    @property
    def symmetries(self):
        return ()


def test_searches_start_both_ways_along_both_soft_directions():
    draw = Bowl(TorusField(2), 0, 0)
    target = target_of(draw)
    length = draw.landscape.scales.length
    reaches = [sign * reach * length for reach in targeted.REACHES for sign in (1, -1)]
    saddle = np.array([[1.0, 0.0]]) * 0 + np.array([[0.0, np.pi]])
    around = targeted.starts_from(target, saddle, flows=False) - saddle
    around = np.sort(np.mod(around + np.pi, 2 * np.pi) - np.pi, axis=0)
    expected = [[r, 0.0] for r in reaches] + [[0.0, r] for r in reaches]
    np.testing.assert_allclose(around, np.sort(np.array(expected), axis=0), atol=1e-12)
    # A minimum has no way down, a maximum none up: the softest mode alone.
    for point in ([[np.pi, np.pi]], [[0.0, 0.0]]):
        around = targeted.starts_from(target, np.array(point), flows=False) - np.array(point)
        around = np.mod(around + np.pi, 2 * np.pi) - np.pi
        np.testing.assert_allclose(np.sort(around[:, 0]), np.sort(reaches), atol=1e-12)
        np.testing.assert_allclose(around[:, 1], 0, atol=1e-12)


def test_a_step_of_the_flow_is_twice_the_gradient_over_the_hessians_norm_and_no_longer_than_its_reach():
    target = target_of(Bowl(TorusField(2), 0, 0))
    x = np.array([[3.0, 2.8], [2.9, 3.3]])
    gradient, norm = -np.sin(x) * [1, 2], np.sqrt(np.cos(x[:, 0]) ** 2 + 4 * np.cos(x[:, 1]) ** 2)
    for way in (-1.0, 1.0):
        there = targeted.flow(target, x, np.full(2, way), 1, reach=9.0)
        np.testing.assert_allclose(there, x + way * 2 * gradient / norm[:, None], rtol=1e-12)
    short = targeted.flow(target, x, np.full(2, -1.0), 1, reach=1e-3)
    np.testing.assert_allclose(
        np.linalg.norm(short - x, axis=1), 1e-3 * target.search.landscape.scales.length, rtol=1e-9
    )


def test_flows_from_a_saddle_end_at_all_four_neighbours():
    target = target_of(Bowl(TorusField(2), 0, 0))
    every = targeted.starts_from(target, np.array([[0.0, np.pi]]))
    ends = every[-4:]  # two descents, two ascents
    value = target.draw.value(ends)
    assert (value[:2] < -2.9).all() and (value[2:] > 2.9).all()
    low, high = np.mod(ends[:2] - np.pi, 2 * np.pi), np.mod(ends[2:] + np.pi, 2 * np.pi) - np.pi
    assert np.abs(np.mod(low + np.pi, 2 * np.pi) - np.pi).max() < 0.5
    assert np.abs(high).max() < 0.5
