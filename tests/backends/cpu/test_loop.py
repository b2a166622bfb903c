"""Pieces of the search loop, as plain Python: what is packed where, and how flat a point is."""

import numpy as np

from simcore.backends.cpu import loop

N, LANE = 4, 3
RANDOM = np.random.default_rng(1)
H, G = RANDOM.normal(size=(N, N)), RANDOM.normal(size=N)
H = H + H.T


def packed():
    A, g = RANDOM.normal(size=(N * (N + 1) // 2, 8)), RANDOM.normal(size=(N, 8))
    A[:, LANE], g[:, LANE] = H[np.tril_indices(N)], G
    return A.ravel(), g.ravel()


def test_a_lanes_matrix_is_taken_out_whole():
    full = np.empty((N, N))
    loop._lane_matrix.py_func(packed()[0], N, LANE, full)
    np.testing.assert_array_equal(full, H)


def test_flatness_is_that_of_the_lanes_matrix():
    bent, size = loop._flatness.py_func(*packed(), N, LANE)
    np.testing.assert_allclose([bent, size], [np.sum((H @ G) ** 2), np.sum(H**2)], rtol=1e-13)


def test_a_slot_of_the_queue_holds_one_matrix():
    entries = N * (N + 1) // 2
    queue = np.zeros(2 * entries * 8)
    loop._enqueue.py_func(packed()[0], entries, LANE, queue, 13)
    second = queue.reshape(2, entries, 8)
    np.testing.assert_array_equal(second[1, :, 5], H[np.tril_indices(N)])
    assert np.count_nonzero(queue) == entries
