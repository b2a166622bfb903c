"""Which start a lane takes: all in order, once each, and the last one's point where none is left."""

import numpy as np

from simcore.backends.cpu.lanes import ENDED, IDLE, fill, refill
from simcore.backends.cpu.tile import LANES


def test_more_starts_than_lanes_are_taken_in_order():
    starts = np.arange(2.0 * (LANES + 3)).reshape(-1, 2)
    X, owner, steps, settled, running = fill(starts)
    assert running == LANES and list(owner) == list(range(LANES))
    np.testing.assert_array_equal(X.reshape(2, LANES).T, starts[:LANES])
    taken, steps[:] = LANES, 5.0
    for ended in (7, 2, 11, 3):
        owner[ended] = ENDED
        taken, running = refill(starts, 0, LANES, X, owner, steps, settled, taken, running)
    assert [owner[k] for k in (7, 2, 11, 3)] == [LANES, LANES + 1, LANES + 2, IDLE]
    assert taken == len(starts) and running == LANES - 1
    np.testing.assert_array_equal(X.reshape(2, LANES)[:, [7, 2, 11, 3]].T, starts[[-3, -2, -1, -1]])
    assert (steps == 0.0).sum() == 4


def test_lanes_without_a_start_hold_the_last_one():
    starts = np.array([[1.0], [2.0]])
    X, owner, _, _, running = fill(starts)
    assert running == 2 and list(owner) == [0, 1] + [IDLE] * (LANES - 2)
    assert list(X) == [1.0] + [2.0] * (LANES - 1)
