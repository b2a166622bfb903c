"""Pieces of the proofs: labels of different zeros, eigenvectors of degree 2, layouts of tensors, matrices in lanes."""

import itertools
import math

import numba
import numpy as np
import pytest

import simcore
from simcore.proof import distinct, eigen, lanes, linear, tensor


def labels(x, r, alone, cut):
    projection = x[:, 0].copy()
    small = np.flatnonzero(r <= cut)
    order, found = small[np.argsort(projection[small])], np.full(len(x), -1)
    count = distinct.separate(x, r, alone, order, projection, np.flatnonzero(r > cut), cut, 1e-15, found)
    return count, list(found)


def test_balls_that_do_not_touch_hold_different_zeros():
    x = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    assert labels(x, np.full(3, 1e-6), np.full(3, 1e-3), 1e-3)[0] == 3
    assert labels(x, np.array([1e-6, 0.6, 1e-6]), np.full(3, 1e-3), 1e-3) == (3, [0, 2, 1])  # a wide one, last
    assert labels(x, np.full(3, 0.3), np.full(3, 0.5), 1.0)[0] == 3


def test_a_ball_within_a_zeros_own_is_the_same_zero_and_else_counts_for_nothing():
    x = np.array([[0.0, 0.0], [1e-7, 0.0], [1.0, 0.0]])
    assert labels(x, np.full(3, 1e-6), np.full(3, 1e-3), 1e-3) == (2, [0, 0, 1])
    assert labels(x, np.full(3, 1e-6), np.full(3, 1e-8), 1e-3) == (2, [0, -1, 1])
    between = np.array([[0.0, 0.0], [2.0, 0.0], [1.0, 0.0]])  # the wide ball touches two
    assert labels(between, np.array([1e-6, 1e-6, 1.5]), np.full(3, 0.5), 1e-3) == (2, [0, 1, -1])


def test_the_nearest_point_within_the_tolerance_matches():
    z = np.array([[1.0, 0.0], [1.0, 1e-5], [0.0, 1.0]])
    projection = z[:, 0].copy()
    order, found = np.argsort(projection, kind="stable"), np.empty(3, np.int64)
    x = np.array([[1.0, 8e-6], [0.0, 1.0 + 1e-4], [0.6, 0.6]])
    distinct.match(x, 2e-5, z, projection[order], order, x[:, 0].copy(), found)
    assert list(found) == [1, -1, -1]


def test_eigenvectors_are_proved_alone_unless_values_meet():
    problem = simcore.SphericalSpin(5, p=2).draw(seed=1).problem
    vectors, radius, alone = eigen.eigenvectors(problem)
    matrix = np.zeros((5, 5))
    matrix[np.triu_indices(5)] = problem.coefficients
    matrix = (matrix + matrix.T) / 2
    values = np.einsum("ki,ij,kj->k", vectors, matrix, vectors)
    np.testing.assert_allclose(matrix @ vectors.T, vectors.T * values, atol=1e-13)
    assert alone == 5 and (radius < 1e-10).all()
    twice = np.diag([1.0, 1.0, 2.0, 3.0, 4.0])[np.triu_indices(5)]
    _, radius, alone = eigen.eigenvectors(problem._replace(coefficients=twice))
    assert alone == 3 and np.isinf(radius).sum() == 2


def test_coefficients_stand_in_blocks_of_four_rows():
    rows = np.arange(10.0).reshape(5, 2)
    blocks = linear.packed(rows).reshape(2, 2, linear.BLOCK)
    np.testing.assert_array_equal(blocks[0].T, rows[:4])
    np.testing.assert_array_equal(blocks[1].T, [[8.0, 9.0], [0, 0], [0, 0], [0, 0]])


def test_tables_lead_from_a_multiset_and_one_more_index_to_the_level_above():
    assert tensor.tables(3, 3) is None, "one contraction leads to the matrix"
    for n, p in itertools.product((2, 3), (4, 5)):
        rows, first, sizes = tensor.tables(n, p)
        assert list(sizes) == [math.comb(n + q - 1, q) for q in range(p)]
        for q in range(2, p - 1):
            above = tensor.multisets(n, q + 1)
            for place, s in enumerate(tensor.multisets(n, q)):
                for index in range(n):
                    assert sorted(above[rows[first[q] + place, index]]) == sorted((*s, index))
    assert tensor.multisets(2, 2) == [(0, 0), (0, 1), (1, 1)]


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_room_for_lanes_begins_where_a_cache_line_does(kind):
    for shape in ((3,), (15, 40), (2, 7)):
        room = lanes.zeroed(kind, *shape)
        assert room.shape == shape and room.dtype == kind and room.flags.c_contiguous and not room.any()
        assert room.ctypes.data % lanes.LINE == 0


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_lanes_are_those_of_the_numbers_precision(kind):
    """Every lane is multiplied and added once, rounded once, in its own precision; what lies behind is left alone."""

    @numba.njit
    def multiply(a, b, c):
        lanes.store(c, 0, lanes.fma(lanes.load(a, 0), lanes.load(b, 0), lanes.broadcast(a, 1)))
        return lanes.width(a)

    random = np.random.default_rng(0)
    a, b, c = (random.normal(size=40).astype(kind) for _ in range(3))
    before = c.copy()
    width = multiply(a, b, c)
    assert width >= 4
    exact = a[:width].astype(np.longdouble) * b[:width] + a[1]
    np.testing.assert_array_equal(c[:width], exact.astype(kind))
    np.testing.assert_array_equal(c[width:], before[width:])


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_complex_lanes_calculate_as_complex_numbers_do(kind):
    """Each operation against NumPy's, of the same precision, in every lane; what lies behind is left alone."""

    @numba.njit
    def calculate(a, out):
        step = 2 * lanes.width(a)
        x, y, z = lanes.take(a, 0), lanes.take(a, step), lanes.take(a, 2 * step)
        lanes.put(out, 0, x + y)
        lanes.put(out, step, x - y)
        lanes.put(out, 2 * step, -(x * y))
        lanes.put(out, 3 * step, 3.0 * x)
        lanes.put(out, 4 * step, lanes.fma(x, y, z))
        lanes.put(out, 5 * step, lanes.fma(lanes.real(x), y, z))
        lanes.put(out, 6 * step, lanes.turned(lanes.pair(lanes.imag(x), lanes.real(y))))
        lanes.put(out, 7 * step, linear.inverse(x))
        lanes.put(out, 8 * step, lanes.nothing(a))
        return lanes.width(a)

    random = np.random.default_rng(1)
    a, out = random.normal(size=6 * 16).astype(kind), np.full(20 * 16, 7.0, kind)
    w = calculate(a, out)
    x, y, z = (a[2 * w * k : 2 * w * k + w] + 1j * a[2 * w * k + w : 2 * w * (k + 1)] for k in range(3))
    due = (x + y, x - y, -x * y, 3 * x, x * y + z, x.real * y + z, 1j * (x.imag + 1j * y.real), 1 / x, 0 * x)
    for k, wanted in enumerate(due):
        found = out[2 * w * k : 2 * w * k + w] + 1j * out[2 * w * k + w : 2 * w * (k + 1)]
        np.testing.assert_allclose(found, wanted, rtol=0, atol=16 * np.finfo(kind).eps * (1 + abs(wanted).max()))
    assert (out[18 * w :] == 7.0).all()
