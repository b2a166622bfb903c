"""Networks with L2: all classes of critical points, audited by the sum of (-1)^index times orbit, which is 1."""

from itertools import permutations, product
from types import SimpleNamespace

import numpy as np
import pytest

import simcore
from simcore.arcs.rule import ARRIVED
from simcore.backends.problems import Outcome
from simcore.backends.reference_network import layers
from simcore.formulas.outcome import CRITICAL, DEGENERATE
from simcore.networks.symmetry import orbit_size
from simcore.search import coercive

DATA = {"kind": "gaussian", "spectrum": [1.0, 1.0], "targets": "normal", "outputs": 1, "samples": 30}


def network(activation="tanh", hidden=2, l2=1e-2):
    return simcore.MLP(widths=(2, hidden, 1), activation=activation, loss="mse", data=DATA, l2=l2)


def images(problem, x):
    """Return all images of x by brute force, as a set of rounded tuples."""
    (w, b), (v, c) = ((m[0], q[0]) for m, q in layers(problem.widths, x[None]))
    found = set()
    signs = (1.0, -1.0) if problem.activation == "tanh" else (1.0,)
    for order in permutations(range(len(b))):
        for flip in product(signs, repeat=len(b)):
            sign, place = np.array(flip), list(order)
            parts = [(w[place] * sign[:, None]).ravel(), b[place] * sign, (v[:, place] * sign).ravel(), c]
            found.add(tuple(np.round(np.concatenate(parts), 6) + 0.0))
    return found


@pytest.mark.parametrize("activation", ["tanh", "softplus"])
def test_orbits_are_as_large_as_their_lists_of_images(activation):
    """Generic points, two equal units, units equal up to a sign, units that are zero."""
    draw = network(activation, hidden=3).draw(seed=1)
    generator = np.random.default_rng(1)
    for case in range(6):
        x = generator.standard_normal(draw.landscape.n)
        (w, b), (v, _) = layers(draw.problem.widths, x[None])
        if case in (1, 2, 4):
            sign = -1.0 if case == 2 else 1.0
            w[0, 1], b[0, 1], v[0, :, 1] = sign * w[0, 0], sign * b[0, 0], sign * v[0, :, 0]
        if case in (3, 4, 5):
            for unit in (2,) if case < 5 else (0, 1, 2):
                w[0, unit], b[0, unit], v[0, :, unit] = 0.0, 0.0, 0.0
        x = np.concatenate([part.ravel() for pair in layers(draw.problem.widths, x[None]) for part in pair])
        x = np.concatenate([w[0].ravel(), b[0], v[0].ravel(), x[-1:]])
        assert orbit_size(draw.problem, x) == len(images(draw.problem, x))


def test_classes_sum_to_one_and_hold_what_multi_start_finds():
    """tanh 2-2-1 with L2 1e-3: 30 samples, where multi-start found half of the classes. The list is complete, each
    point critical, and holds every class of an independent search from other starts."""
    landscape = network(l2=1e-3)
    found = simcore.enumerate_critical_points(landscape, seed=1, starts=256, threads=1)
    audit, points = found.audit, found.points
    assert audit["complete"], audit
    assert audit["euler_sum"] == int((points.orbit * (-1.0) ** points.morse_index).sum()) == 1
    assert audit["distinct"] == len(points) > audit["by_starts"]
    assert audit["least_reached"] >= 2
    draw = landscape.draw(seed=1)
    x = found.positions
    assert np.abs(draw.gradient(x)).max() < 1e-8
    index = (np.linalg.eigvalsh(draw.hessian(x)) < 0).sum(axis=1)
    np.testing.assert_array_equal(index, points.morse_index)
    held = simcore.find_critical_points(draw, starts=80, seed=77, positions=True)
    held = held[held.status == "critical"]
    canonical, mine = draw.canonical(np.stack(held.x.to_list())), draw.canonical(x)
    for row in canonical:
        assert np.abs(mine - row).max(axis=1).min() < 1e-5


# ---- the rule of completeness, each condition alone ----------------------------------------------------------------
def rounds_until_complete(monkeypatch, *, euler=1, first=0, status=CRITICAL):
    """Rounds of two moves, one to each of two classes, until the list is called complete; 0 where it never is."""

    class Classes:
        def __init__(self, target):
            self.table, self.orbit, self.euler_sum = SimpleNamespace(count=2), np.ones(2, np.int64), euler
            self.hits, self.reached = np.zeros(2, np.int64), np.zeros(2, np.int64)
            self.first = np.array([0, first])

        def add(self, x, index, cost, decrement, moves):
            return np.arange(len(x)) if moves else np.zeros(0, np.int64)

    outcome = Outcome.empty(1, 1)
    outcome.status[:] = status
    one = np.full((1, 2), ARRIVED, np.int8)
    made = SimpleNamespace(status=one, x=np.zeros((1, 2, 1)), index=np.zeros((1, 2), int), cost=np.zeros((1, 2)))
    monkeypatch.setattr(coercive, "Classes", Classes)
    monkeypatch.setattr(coercive, "_round", lambda *_: made)
    monkeypatch.setattr(coercive, "_frame", lambda *_: ([0, 1], np.ones(2, bool)))
    workers = SimpleNamespace(threads=1, outcomes=lambda search, count, least: outcome)
    target = SimpleNamespace(search=SimpleNamespace(block=1))
    _, audit = coercive.enumerate_classes(target, 1, 40, workers)
    return audit["rounds"] if audit["complete"] else 0


def test_every_class_must_be_reached_twice(monkeypatch):
    assert rounds_until_complete(monkeypatch) == 2


def test_the_newest_class_must_be_older_than_half_of_the_moves(monkeypatch):
    """It was found at move 4: eight moves are not enough, ten are."""
    assert rounds_until_complete(monkeypatch, first=4) == 5


def test_a_wrong_sum_or_a_degenerate_end_is_never_complete(monkeypatch):
    assert rounds_until_complete(monkeypatch, euler=-1) == 0
    assert rounds_until_complete(monkeypatch, status=DEGENERATE) == 0
