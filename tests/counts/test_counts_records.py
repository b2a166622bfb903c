"""What a count keeps of its moves: classes, burn-in, labels of minima and of their mirror images."""

import numpy as np
import pytest

import simcore
from simcore.arcs.chains import Moves
from simcore.arcs.rule import ARRIVED, ESCAPED, IRREVERSIBLE
from simcore.counts.estimator import Classes
from simcore.counts.records import BURN_IN, Minima, Record
from simcore.search.search import Search
from simcore.search.target import Target


def moves(index, accepted, status=None):
    """Moves of walkers (W, M) that arrived, unless told otherwise, at these indices."""
    index, accepted = np.array(index, np.int16), np.array(accepted, bool)
    status = np.full(index.shape, ARRIVED, np.int8) if status is None else np.array(status, np.int8)
    cost = np.arange(index.size, dtype=float).reshape(index.shape)
    return Moves(status, np.zeros_like(index), index, accepted, cost, np.zeros((*index.shape, 2)))


def record(walkers, classes=Classes(2, 1, False)):  # noqa: B008 (a tuple)
    return Record(np.arange(walkers), np.ones(walkers, int), classes, np.full(walkers, -1))


def test_the_first_sixteenth_is_left_out():
    """33 moves: two are burnt. A walker at index 1 proposes 0 twice, then 2 for ever, and never accepts."""
    kept = record(1)
    kept.add(moves([[0, 0, *[2] * 31]], [[False] * 33]), np.full((1, 33), -1))
    assert BURN_IN == 16
    tally = kept.tallies()[0]
    assert tally[1, 2] == 31 and tally.sum() == 31


def test_a_label_comes_with_acceptance_and_stays_until_the_next():
    """Proposed are minimum 0 (known), a saddle and minimum 1 (not known); accepted the first and the last."""
    kept = record(1)
    kept.add(moves([[0, 1, 0, 1]], [[True, False, True, False]]), np.array([[0, -1, 1, -1]]))
    assert kept.visits().tolist() == [[0, 0, 1, 1]]
    assert kept.history().tolist() == [[1, 0, 0, 0]]
    tally = kept.tallies()[0]  # from index 1 to the known (class 3), thence to 1, to the other minimum; thence to 1
    assert {(a, b): n for (a, b), n in np.ndenumerate(tally) if n} == {(1, 3): 1, (3, 1): 1, (3, 0): 1, (0, 1): 1}
    assert kept.distinct_moves == 2


def test_arcs_that_fail_propose_to_stay():
    kept = record(2)
    status = [[ARRIVED, ESCAPED], [IRREVERSIBLE, ESCAPED]]
    kept.add(moves([[2, 1], [0, 1]], [[False, False], [False, False]], status), np.full((2, 2), -1))
    assert kept.tallies()[0, 1].tolist() == [0, 1, 1, 0, 0] and kept.tallies()[1, 1].tolist() == [0, 2, 0, 0, 0]
    assert kept.summary() == {"irreversible": 0.25, "escaped": 0.5, "failed": 0.0}
    assert kept.cost_number.tolist() == [0, 0, 1]  # of what arrived alone


def test_the_mirror_image_of_a_maximum_is_its_minimum():
    """f(-x) = -f(x): a maximum at x has the label of the minimum at -x, whose cost is the other way round."""
    function = simcore.SphericalSpin(4, 3).draw(seed=2)
    target = Target.of(Search.of(function.landscape, seed=2, threads=1), function)
    points = simcore.enumerate_critical_points(function, threads=1).points
    x, index, cost = np.stack(points["x"]), points["morse_index"].to_numpy(), points["cost"].to_numpy()
    low, high = np.flatnonzero(index == 0), np.flatnonzero(index == function.landscape.dimension)
    met = Minima(target, None)
    labels = met.labels(x, index, cost)
    assert len(low) >= 2 and met.table.count == len(low) == len(high)
    assert (labels[(index > 0) & (index < function.landscape.dimension)] == -1).all()
    for top in high:
        assert labels[top] == labels[low[np.linalg.norm(x[low] + x[top], axis=1).argmin()]]
    np.testing.assert_allclose(met.table.cost, cost[low][np.argsort(labels[low])], rtol=1e-12)
    assert met.classes(3) == Classes(3, 0, True)


@pytest.mark.parametrize(("label", "special"), [(0, 3), (1, 0), (-1, 0)])
def test_known_minima_are_a_class_of_their_own(label, special):
    assert record(1)._class(np.array([0]), np.array([label])).tolist() == [special]
