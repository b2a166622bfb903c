"""The compiled kernels for perceptrons with one hidden layer against their reference twins."""

import numpy as np
import pytest

from simcore.backends import cpu, reference
from simcore.backends.cpu import network_single
from simcore.backends.cpu.network import OneHidden, compiled
from simcore.backends.network_problems import Mlp
from simcore.backends.problems import NewtonOptions
from simcore.networks.mlp import MLP
from simcore.search import dense
from simcore.search.solvers import LevenbergMarquardt
from simcore.search.target import Target, settings

OPTIONS = NewtonOptions(1.0, 1e-10, 1e-6, 60, 100.0, 1e-10, 1e-3)


def problem(widths, activation, samples, loss="mse"):
    rng = np.random.default_rng(3)
    inputs, targets = rng.normal(size=(samples, widths[0])), rng.normal(size=(samples, widths[-1]))
    if loss == "cross_entropy":
        targets = np.eye(widths[-1])[targets.argmax(axis=1)]
    return Mlp(widths, activation, loss, inputs, targets, 0.05)


@pytest.fixture(params=["lanes", "single"])
def kernel(request, monkeypatch):
    """Both kernels do any number of parameters: each is made to do all."""
    monkeypatch.setattr(network_single, "LEAST", 1 if request.param == "single" else 10**9)
    return request.param


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus", "relu", "linear"])
@pytest.mark.parametrize(("widths", "samples"), [((3, 4, 2), 50), ((1, 9, 1), 37), ((5, 3, 4), 130), ((2, 1, 6), 9)])
def test_compiled_derivatives_are_the_reference_ones(kernel, widths, samples, activation):
    given = problem(widths, activation, samples)
    x = np.random.default_rng(8).normal(size=(9, given.dimension))
    for fast, slow in zip(cpu.evaluate(given, x), reference.evaluate(given, x), strict=True):
        np.testing.assert_allclose(fast, slow, rtol=0, atol=1e-14 * np.abs(slow).max())


@pytest.mark.parametrize(
    ("widths", "activation"),
    [((1, 2, 1), "tanh"), ((3, 2, 2), "softplus"), ((2, 3, 1), "sigmoid")],
)
def test_compiled_newton_ends_where_the_reference_ends(kernel, widths, activation):
    """Few parameters and a penalty: paths are not chaotic, so nearly all starts must end alike."""
    given = problem(widths, activation, 400)
    assert isinstance(compiled(given), OneHidden)
    starts = 0.3 * np.random.default_rng(4).normal(size=(30, given.dimension))  # more than a tile: lanes are refilled
    fast, slow = cpu.newton(given, starts, OPTIONS), reference.newton(given, starts, OPTIONS)
    same = (fast.status == slow.status) & (np.abs(fast.x - slow.x).max(axis=1) < 1e-6)
    assert same.mean() > 0.8
    both = same & (fast.status == 0)
    assert both.sum() > 5
    np.testing.assert_array_equal(fast.index[both], slow.index[both])
    np.testing.assert_allclose(fast.cost[both], slow.cost[both], rtol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "softplus", "relu", "linear"])
def test_one_compiled_step_is_the_reference_step(kernel, activation):
    """After one step x depends on value, gradient and every entry of the Hessian."""
    given = problem((4, 5, 3), activation, 250)
    starts = np.random.default_rng(5).normal(size=(40, given.dimension))
    once = OPTIONS._replace(max_iterations=1, step_cap=1e9, region=1e12)
    fast, slow = cpu.newton(given, starts, once), reference.newton(given, starts, once)
    length = np.abs(slow.x - starts).max(axis=1, keepdims=True)
    assert np.median(np.abs(fast.x - slow.x) / length) < 1e-11
    np.testing.assert_allclose(fast.x, slow.x, atol=1e-6 * length.max())


def test_a_row_does_not_depend_on_its_company(kernel):
    given = problem((3, 4, 2), "tanh", 100)
    starts = np.random.default_rng(6).normal(size=(31, given.dimension))
    together, alone = cpu.newton(given, starts, OPTIONS), cpu.newton(given, starts[[7, 30]], OPTIONS)
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(a[[7, 30]], b)


def test_a_singular_hessian_is_degenerate_not_an_error(kernel):
    """Two equal inputs without a penalty: the cost depends on their weights' sum alone."""
    given = problem((2, 1, 1), "linear", 20)
    twice = given._replace(inputs=np.repeat(given.inputs[:, :1], 2, axis=1), l2=0.0)
    starts = np.random.default_rng(9).normal(size=(8, given.dimension))
    outcome = cpu.newton(twice, starts, OPTIONS)
    assert np.isin(outcome.status, (1, 2, 3)).all()
    assert not (outcome.status == 0).any()


def test_other_networks_stay_as_they_are():
    for given in (problem((3, 4, 2), "tanh", 20, "cross_entropy"), problem((3, 4, 4, 2), "tanh", 20)):
        assert compiled(given) is given


# ---- Levenberg-Marquardt ---------------------------------------------------------------------------------------------
def network(activation, l2=0.02):
    data = {"kind": "teacher", "widths": [2, 2, 1], "samples": 30, "noise": 0.3}
    return MLP((2, 4, 1), activation, "mse", data, l2)


@pytest.mark.parametrize("activation", ["tanh", "softplus"])
@pytest.mark.parametrize("solver", [LevenbergMarquardt(), LevenbergMarquardt(step_cap=0.3, max_iterations=60)])
def test_the_compiled_walk_ends_where_the_plain_one_ends(activation, solver):
    """Small networks with a penalty: rounding seldom decides where a walk leads, so nearly all starts must agree."""
    given = network(activation)
    draw = given.draw(seed=4)
    starts = given.starts(seed=4, draw=0, first=0, count=60)  # more than two tiles: lanes are refilled
    chosen = settings(given, seed=4, solver=solver, backend="cpu", start_law=None)
    fast, slow = Target.of(chosen, draw).newton(starts), dense.search(draw, starts, solver)
    same = (fast.status == slow.status) & (np.abs(fast.x - slow.x).max(axis=1) < 1e-5)
    assert same.mean() > 0.9
    assert (fast.iterations[same] == slow.iterations[same]).mean() > 0.9
    both = same & (fast.status == 0)
    assert both.sum() > 10
    np.testing.assert_array_equal(fast.index[both], slow.index[both])


def test_a_walk_does_not_depend_on_its_company():
    given = network("tanh")
    starts = given.starts(seed=5, draw=0, first=0, count=31)
    chosen = settings(given, seed=5, solver=None, backend="cpu", start_law=None)
    target = Target.of(chosen, given.draw(seed=5))
    together, alone = target.newton(starts), target.newton(starts[[7, 30]])
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(a[[7, 30]], b)
