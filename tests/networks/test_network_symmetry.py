"""Symmetric copies of a point have the same cost, spectrum and canonical form; orbits have the stated dimension."""

from itertools import permutations, product
from math import factorial

import numpy as np
import pytest

from simcore import find_critical_points
from simcore.backends.reference_network import layers
from simcore.networks.linear import LinearNetwork
from simcore.networks.mlp import MLP
from simcore.search.solvers import SaddleFreeNewton

TEACHER = {"kind": "teacher", "widths": [2, 2, 2], "samples": 40, "noise": 0.3}
CLASSES = {"kind": "gaussian", "spectrum": [1.0, 2.0], "samples": 40, "targets": "classes", "outputs": 2}


def assembled(weights, biases):
    return np.concatenate([part.ravel() for pair in zip(weights, biases, strict=True) for part in pair])


def taken_apart(widths, x):
    pairs = layers(widths, x[None])
    return [w[0].copy() for w, _ in pairs], [b[0].copy() for _, b in pairs]


def permuted(widths, x, orders, signs=None):
    """Copy of x with the units of each hidden layer reordered and, for odd activations, their signs changed."""
    weights, biases = taken_apart(widths, x)
    for k, order in enumerate(orders):
        s = np.ones(len(order)) if signs is None else np.asarray(signs[k], float)
        weights[k] = weights[k][list(order)] * s[:, None]
        biases[k] = biases[k][list(order)] * s
        weights[k + 1] = weights[k + 1][:, list(order)] * s
    return assembled(weights, biases)


@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_two_layers_of_linear_units_turned_each_by_itself_have_one_canonical_form(l2):
    """With weight decay the group is O(2) x O(3), one factor a layer; without it all invertible matrices."""
    mlp = MLP((2, 2, 3, 2), "linear", "mse", TEACHER, l2)
    draw, source = mlp.draw(seed=1), np.random.default_rng(5)
    x = source.normal(size=mlp.n)
    weights, biases = taken_apart(mlp.widths, x)
    for k, h in enumerate((2, 3)):
        turn = np.linalg.qr(source.normal(size=(h, h)))[0] if l2 else source.normal(size=(h, h))
        weights[k], biases[k] = turn @ weights[k], turn @ biases[k]
        weights[k + 1] = weights[k + 1] @ np.linalg.inv(turn)
    other = assembled(weights, biases)
    assert np.abs(other - x).max() > 0.1
    np.testing.assert_allclose(draw.value(other), draw.value(x), rtol=1e-12)
    one, two = draw.canonical(np.array([x, other]))
    np.testing.assert_allclose(one, two, atol=1e-9)
    np.testing.assert_allclose(draw.value(one), draw.value(x), rtol=1e-9)


@pytest.mark.parametrize("h", [1, 2, 3])
def test_tanh_units_have_all_their_copies_and_one_canonical_form(h):
    mlp = MLP((2, h, 2), "tanh", "mse", TEACHER, 0.01)
    draw, x = mlp.draw(seed=1), np.random.default_rng(h).normal(size=mlp.n)
    copies = [
        permuted(mlp.widths, x, [order], [signs])
        for order in permutations(range(h))
        for signs in product((1, -1), repeat=h)
    ]
    assert len(np.unique(np.round(copies, 9), axis=0)) == 2**h * factorial(h)
    np.testing.assert_allclose(draw.value(np.array(copies)), draw.value(x), rtol=1e-13)
    spectra = np.linalg.eigvalsh(draw.hessian(np.array(copies)))
    np.testing.assert_allclose(spectra, np.tile(spectra[0], (len(copies), 1)), atol=1e-13 * np.abs(spectra).max())
    canonical = draw.canonical(np.array(copies))
    np.testing.assert_allclose(canonical, np.tile(canonical[0], (len(copies), 1)), atol=1e-14)
    assert draw.value(canonical)[0] == pytest.approx(draw.value(x), rel=1e-13)


def test_layers_are_permuted_independently():
    mlp = MLP((2, 2, 3, 2), "softplus", "mse", TEACHER, 0.01)
    draw, x = mlp.draw(seed=1), np.random.default_rng(2).normal(size=mlp.n)
    copies = np.array(
        [permuted(mlp.widths, x, orders) for orders in product(permutations(range(2)), permutations(range(3)))]
    )
    assert len(np.unique(np.round(copies, 9), axis=0)) == 2 * 6
    np.testing.assert_allclose(draw.value(copies), draw.value(x), rtol=1e-13)
    canonical = draw.canonical(copies)
    np.testing.assert_allclose(canonical, np.tile(canonical[0], (12, 1)), atol=1e-14)


def test_different_points_keep_different_canonical_forms():
    mlp = MLP((2, 3, 2), "tanh", "mse", TEACHER, 0.0)
    x = np.random.default_rng(3).normal(size=mlp.n)
    turned = permuted(mlp.widths, x, [(0, 1, 2)], [(1, 1, 1)])
    turned[0] *= -1.0  # one weight alone is no symmetry
    a, b = mlp.draw(seed=1).canonical(np.array([x, turned]))
    assert np.abs(a - b).max() > 0.1


def test_sigmoid_units_reflect_without_penalty_and_not_with_it():
    for l2, same in ((0.0, True), (0.1, False)):
        mlp = MLP((2, 2, 2), "sigmoid", "mse", TEACHER, l2)
        draw, x = mlp.draw(seed=1), np.random.default_rng(4).normal(size=mlp.n)
        weights, biases = taken_apart(mlp.widths, x)
        weights[0][1] *= -1
        biases[0][1] *= -1
        biases[1] += weights[1][:, 1]
        weights[1][:, 1] *= -1
        copy = assembled(weights, biases)
        assert (draw.value(copy) == pytest.approx(draw.value(x), rel=1e-12)) is same
        assert np.allclose(*draw.canonical(np.array([x, copy])), atol=1e-13) is same


def test_rectified_units_rescale_along_a_hyperbola():
    mlp = MLP((2, 2, 2), "relu", "mse", TEACHER, 0.0)
    draw, x = mlp.draw(seed=1), np.random.default_rng(5).normal(size=mlp.n)
    weights, biases = taken_apart(mlp.widths, x)
    scale = np.array([3.0, 0.2])
    copy = assembled([weights[0] * scale[:, None], weights[1] / scale], [biases[0] * scale, biases[1]])
    assert draw.value(copy) == pytest.approx(draw.value(x), rel=1e-13)
    np.testing.assert_allclose(*draw.canonical(np.array([x, copy])), atol=1e-13)
    assert list(draw.symmetry_dimension(x[None])) == [2]


@pytest.mark.parametrize(
    ("activation", "loss", "data", "expected"),
    [("relu", "mse", TEACHER, 2), ("tanh", "mse", TEACHER, 0), ("linear", "mse", TEACHER, 6)],
)
def test_nullity_of_a_minimum_is_the_dimension_of_its_orbit(activation, loss, data, expected):
    """Linear: GL(2) and two shifts of the hidden bias; relu: one zero eigenvalue per hidden unit."""
    mlp = MLP((2, 2, 2), activation, loss, data, 0.0)
    rows = find_critical_points(mlp, starts=24, seed=4, solver=SaddleFreeNewton(), positions=True, threads=1)
    found = rows[rows.status == "critical"]
    assert len(found) >= 2
    assert (found.nullity == expected).all()
    draw = mlp.draw(seed=4)
    for x in found.x:
        w = np.sort(np.abs(np.linalg.eigvalsh(draw.hessian(x))))
        assert (w < 1e-9 * w[-1]).sum() == expected


def test_softmax_outputs_share_a_vector():
    mlp = MLP((2, 2, 2), "softplus", "cross_entropy", CLASSES, 0.0)
    draw, x = mlp.draw(seed=1), np.random.default_rng(6).normal(size=mlp.n)
    weights, biases = taken_apart(mlp.widths, x)
    copy = assembled([weights[0], weights[1] + [0.3, -2.0]], [biases[0], biases[1] + 5.0])
    assert draw.value(copy) == pytest.approx(draw.value(x), rel=1e-12)
    np.testing.assert_allclose(*draw.canonical(np.array([x, copy])), atol=1e-13)
    assert list(draw.symmetry_dimension(x[None])) == [3]
    assert list(MLP((2, 2, 2), "softplus", "cross_entropy", CLASSES, 0.1).draw(seed=1).symmetry_dimension(x[None])) == [
        0
    ]


@pytest.mark.parametrize("widths", [(4, 2, 4), (3, 2, 2, 3)])
def test_a_linear_network_may_change_hidden_bases(widths):
    linear = LinearNetwork(widths, [4.0, 3.0, 2.0, 1.0][: widths[0]])
    draw, rng = linear.draw(seed=0), np.random.default_rng(7)
    x = rng.normal(size=linear.n)
    weights = [w[0] for w in _linear(widths, x)]
    for k in range(len(weights) - 1):
        change = rng.normal(size=(len(weights[k]), len(weights[k])))
        weights[k], weights[k + 1] = change @ weights[k], weights[k + 1] @ np.linalg.inv(change)
    copy = np.concatenate([w.ravel() for w in weights])
    assert draw.value(copy) == pytest.approx(draw.value(x), rel=1e-11)
    np.testing.assert_allclose(*draw.canonical(np.array([x, copy])), atol=1e-10)
    assert list(draw.symmetry_dimension(x[None])) == [sum(h * h for h in widths[1:-1])]


def _linear(widths, x):
    from simcore.backends.reference_network import linear_layers

    return linear_layers(widths, x[None])


def test_an_orbit_shrinks_with_the_rank():
    linear = LinearNetwork((3, 2, 3), [3.0, 2.0, 1.0])
    draw, x = linear.draw(seed=0), np.zeros((3, linear.n))
    x[1, :3], x[1, 6:12:2] = [1, 0, 0], [1, 0, 0]  # r = 1: 2pr - r^2 = 3
    x[2, :6], x[2, 6:] = [1, 0, 0, 0, 1, 0], [1, 0, 0, 1, 0, 0]  # r = 2: 4
    assert list(draw.symmetry_dimension(x)) == [0, 3, 4]
