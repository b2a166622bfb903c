"""Merging the ends of searches into points: planted duplicates, wraps, pairs that only look like one point."""

from __future__ import annotations

import numpy as np
import pytest

from simcore.landscapes.spin import SphericalSpin
from simcore.landscapes.waves import GaussianField, TorusField
from simcore.search.distinct import FLOOR, MARGIN, PointTable


def table(landscape, limit=1e-6):
    return PointTable(landscape, limit * landscape.scales.length)


def absorb(points, x, index=0, cost=1.0, decrement=0.0, **options):
    rows = len(x)
    full = [np.broadcast_to(v, (rows,)) for v in (index, cost, decrement)]
    return points.absorb(np.asarray(x, float), *full, **options)


@pytest.mark.parametrize("landscape", [TorusField(4), GaussianField(4), SphericalSpin(4)], ids=lambda x: x.name)
def test_planted_duplicates_join_the_first_and_nothing_else_does(landscape):
    rng = np.random.default_rng(3)
    length = landscape.scales.length
    x = rng.uniform(0, 2 * np.pi, (5000, 4))
    copies = rng.integers(5000, size=20000)
    noise = rng.normal(size=(20000, 4))
    noise *= 0.4 * FLOOR * length / np.linalg.norm(noise, axis=1, keepdims=True)
    points = table(landscape)
    assert (absorb(points, x) == np.arange(5000)).all()
    assert (absorb(points, x[copies] + noise) == copies).all()
    assert points.count == 5000
    np.testing.assert_array_equal(points.x, x)


@pytest.mark.parametrize("gap", [-1e-9, 0.0, 1e-9])
def test_points_either_side_of_the_seam_of_a_torus_are_one(gap):
    points = table(TorusField(3))
    x = [[2 * np.pi - 1e-9, 1.0, 0.0], [1e-9 + gap, 1.0, 2 * np.pi - 1e-9], [np.pi, 1.0, 0.0]]
    assert absorb(points, x).tolist() == [0, 0, 1]


def test_the_seam_means_nothing_in_free_space():
    assert absorb(table(GaussianField(2)), [[0.0, 0.0], [2 * np.pi, 0.0]]).tolist() == [0, 1]


def test_near_degenerate_pairs_of_different_index_stay_apart():
    x = [[1.0, 1.0], [1.0 + 1e-9, 1.0], [1.0, 1.0]]
    assert absorb(table(GaussianField(2)), x, index=[0, 1, 0]).tolist() == [0, 1, 0]


def test_points_of_different_cost_stay_apart():
    assert absorb(table(GaussianField(2)), [[1.0, 1.0], [1.0, 1.0]], cost=[1.0, 1.001]).tolist() == [0, 1]


def test_the_reach_is_the_stated_one():
    reach = MARGIN * (2e-7 + 3e-7) + FLOOR
    for factor, expected in ((0.999, 0), (1.001, 1)):
        points = table(GaussianField(2))
        x = [[1.0, 1.0], [1.0, 1.0 + factor * reach]]
        assert absorb(points, x, decrement=[2e-7, 3e-7])[1] == expected


def test_exact_ends_a_ten_millionth_of_a_length_apart_are_two_points():
    for gap, expected in ((0.999e-7, 0), (1.001e-7, 1)):
        assert absorb(table(GaussianField(2)), [[1.0, 1.0], [1.0, 1.0 + gap]])[1] == expected


def test_an_end_joins_the_nearest_representative():
    x = [[0.0, 0.0], [3 * FLOOR, 0.0], [1.9 * FLOOR, 0.0]]
    assert absorb(table(GaussianField(2)), x, decrement=[0.0, 0.0, 0.3 * FLOOR]).tolist() == [0, 1, 1]


def test_blocks_and_later_ends_change_nothing():
    rng = np.random.default_rng(5)
    x = rng.uniform(0, 2 * np.pi, (40, 3))[rng.integers(40, size=3000)] + rng.normal(size=(3000, 3)) * 3e-8
    whole = absorb(table(TorusField(3)), x)
    pieces = table(TorusField(3))
    parts = [absorb(pieces, x[begin : begin + 7]) for begin in range(0, 3000, 7)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    np.testing.assert_array_equal(whole[:500], absorb(table(TorusField(3)), x[:500]))
    _, first = np.unique(whole, return_index=True)
    assert (np.diff(first) > 0).all(), "points are numbered by the first end that reaches them"


def test_looking_up_leaves_the_table_as_it_is():
    points = table(TorusField(2))
    absorb(points, [[1.0, 2.0]])
    assert absorb(points, [[1.0, 2.0], [2.0, 1.0]], insert=False).tolist() == [0, -1]
    assert points.count == 1


def test_a_brute_force_merge_agrees():
    rng = np.random.default_rng(8)
    landscape = TorusField(2)
    centres = rng.uniform(0, 2 * np.pi, (60, 2))
    x = np.mod(centres[rng.integers(60, size=800)] + rng.normal(size=(800, 2)) * 6e-8, 2 * np.pi)
    index, decrement = rng.integers(2, size=800), rng.uniform(0, 2e-8, 800)
    representatives: list[int] = []
    expected = []
    for i in range(800):
        best = None
        for number, j in enumerate(representatives):
            gap = np.abs(x[i] - x[j])
            distance = np.linalg.norm(np.minimum(gap, 2 * np.pi - gap))
            reach = MARGIN * (decrement[i] + decrement[j]) + FLOOR * landscape.scales.length
            if index[i] == index[j] and distance <= reach and (best is None or distance < best[0]):
                best = (distance, number)
        if best is None:
            representatives.append(i)
        expected.append(len(representatives) - 1 if best is None else best[1])
    assert absorb(table(landscape), x, index=index, decrement=decrement).tolist() == expected
