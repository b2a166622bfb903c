"""Networks with L2: all classes of critical points, audited by the sum of (-1)^index times orbit, which is 1."""

from itertools import permutations, product

import numpy as np
import pytest

import simcore
from simcore.backends.reference_network import layers
from simcore.networks.symmetry import orbit_size

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
    held = simcore.find_critical_points(draw, starts=200, seed=77, positions=True)
    held = held[held.status == "critical"]
    canonical, mine = draw.canonical(np.stack(held.x.to_list())), draw.canonical(x)
    for row in canonical:
        assert np.abs(mine - row).max(axis=1).min() < 1e-5
