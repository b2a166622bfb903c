"""Certificates of small networks: the bounds behind them hold, and points that have none get none."""

import numpy as np
import pytest

from simcore import find_critical_points
from simcore.backends import cpu, reference
from simcore.backends.families import network_bounds
from simcore.backends.families.network_bounds import REACH, bounded, bounds
from simcore.networks.linear import LinearNetwork
from simcore.networks.mlp import MLP
from simcore.networks.sigmoid_unit import SigmoidUnit

SMOOTH = ["tanh", "sigmoid", "softplus", "linear"]
UNIT = SigmoidUnit([[2.0, 2.0, 1.0], [3.0, -1.0, 1.0], [0.0, 2.0, 1.0], [4.0, 4.0, 1.0]], [0.1, 0.9, 0.9, 0.1])


def network(activation, widths=(2, 3, 2), samples=7, l2=0.01):
    rng = np.random.default_rng(2)
    data = rng.normal(size=(samples, widths[0])), rng.normal(size=(samples, widths[-1]))
    return MLP(widths, activation, "mse", data, l2)


@pytest.mark.parametrize("landscape", [*map(network, SMOOTH), UNIT], ids=[*SMOOTH, "unit"])
def test_the_hessian_changes_no_faster_than_the_bound(landscape):
    """Along random directions and along the worst found by climbing; a bound that is far too large would fail, too."""
    rng = np.random.default_rng(3)
    draw = landscape.draw(seed=0)
    x = rng.normal(size=(12, landscape.n)) * np.repeat([0.3, 1.0, 3.0], 4)[:, None]
    lipschitz = bounds(draw.problem, x).lipschitz
    worst = np.zeros(len(x))
    v = rng.normal(size=x.shape)
    for _ in range(30):
        v /= np.linalg.norm(v, axis=1, keepdims=True)
        forward, backward = draw.hessian(x + 0.5 * REACH * v), draw.hessian(x - 0.5 * REACH * v)
        change = (forward - backward) / REACH
        worst = np.maximum(worst, np.linalg.norm(change, 2, axis=(1, 2)))
        v = np.einsum("sij,sj->si", change, v) + 0.05 * rng.normal(
            size=x.shape
        )  # D^3 f [v, v, .]: climbs |D^3 f[v,v,v]|
    assert (worst <= lipschitz * (1 + 1e-6)).all()
    assert (worst > 1e-3 * lipschitz).any()


def long_gradient(problem, x):
    """Gradient of a tanh network with 64-bit mantissas."""
    (d, h, c), t = problem.widths, np.longdouble
    x, v, y = x.astype(t), problem.inputs.astype(t), problem.targets.astype(t)
    w1, b1 = x[: h * d].reshape(h, d), x[h * d : h * (d + 1)]
    w2, b2 = x[h * (d + 1) : -c].reshape(c, h), x[-c:]
    a = np.tanh(v @ w1.T + b1)
    error = (a @ w2.T + b2 - y) / t(len(v))
    back = (error @ w2) / np.cosh(v @ w1.T + b1) ** 2
    parts = [(back.T @ v).ravel(), back.sum(axis=0), (error.T @ a).ravel(), error.sum(axis=0)]
    return np.concatenate(parts) + t(problem.l2) * x


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long double is no wider than double here")
@pytest.mark.parametrize("widths", [(2, 3, 2), (6, 8, 1)])
def test_rounding_stays_below_its_bound(widths):
    problem = network("tanh", widths, samples=40).draw(seed=0).problem
    x = np.random.default_rng(4).normal(size=(20, problem.dimension)) * np.repeat([0.3, 3.0], 10)[:, None]
    allowed = bounds(problem, x).gradient
    for backend in (cpu, reference):
        gradient = backend.evaluate(problem, x)[1]
        errors = [float(np.linalg.norm(g - long_gradient(problem, p))) for g, p in zip(gradient, x, strict=True)]
        assert (np.array(errors) <= allowed).all()
        assert max(errors) > 1e-4 * allowed.max()


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus"])
def test_isolated_points_of_penalised_networks_are_certified(activation):
    rows = find_critical_points(network(activation), starts=40, seed=1)
    critical = rows[rows.status == "critical"]
    assert len(critical) > 10
    assert critical.certified.mean() > 0.9
    assert not rows.certified[rows.status != "critical"].any()


def test_both_minima_of_a_sigmoid_unit_are_certified():
    rows = find_critical_points(UNIT, starts=60, seed=1)
    critical = rows[rows.status == "critical"]
    assert critical.certified.all()
    assert critical.point.nunique() == 2


def test_points_that_are_not_isolated_are_never_certified():
    linear = LinearNetwork((4, 2, 4), [4.0, 3.0, 2.0, 1.0])
    rotated = network("linear")  # with L2 a linear network keeps rotations of its hidden layer
    for landscape in (linear, rotated):
        rows = find_critical_points(landscape, starts=40, seed=1)
        assert not rows.certified[rows.nullity != 0].any()


def test_networks_without_a_bound_are_named():
    for activation, widths, loss in (("relu", (2, 2, 1), "mse"), ("tanh", (2, 2, 2, 1), "mse")):
        data = {"kind": "teacher", "widths": [2, 1], "samples": 5}
        assert not bounded(MLP(widths, activation, loss, data, 0.1).draw(seed=0).problem)
    assert bounded(network("tanh").draw(seed=0).problem)
    assert set(network_bounds.SLOPES) == set(SMOOTH)
