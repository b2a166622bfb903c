"""The compiled Newton loop for perceptrons with one hidden layer against its reference twin."""

import numpy as np
import pytest

from simcore.backends import cpu, reference
from simcore.backends.cpu.network import OneHidden, compiled
from simcore.backends.network_problems import Mlp
from simcore.backends.problems import NewtonOptions

OPTIONS = NewtonOptions(1.0, 1e-10, 1e-6, 60, 100.0, 1e-10, 1e-3)


def problem(widths, activation, samples, loss="mse"):
    rng = np.random.default_rng(3)
    inputs, targets = rng.normal(size=(samples, widths[0])), rng.normal(size=(samples, widths[-1]))
    if loss == "cross_entropy":
        targets = np.eye(widths[-1])[targets.argmax(axis=1)]
    return Mlp(widths, activation, loss, inputs, targets, 0.05)


@pytest.mark.parametrize(
    ("widths", "activation"),
    [((1, 2, 1), "tanh"), ((3, 2, 2), "softplus"), ((2, 3, 1), "sigmoid")],
)
def test_compiled_newton_ends_where_the_reference_ends(widths, activation):
    """Few parameters and a penalty: paths are not chaotic, so nearly all starts must end alike."""
    given = problem(widths, activation, 1600)
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
def test_one_compiled_step_is_the_reference_step(activation):
    """After one step x depends on value, gradient and every entry of the Hessian."""
    given = problem((4, 5, 3), activation, 250)
    starts = np.random.default_rng(5).normal(size=(40, given.dimension))
    once = OPTIONS._replace(max_iterations=1, step_cap=1e9, region=1e12)
    fast, slow = cpu.newton(given, starts, once), reference.newton(given, starts, once)
    length = np.abs(slow.x - starts).max(axis=1, keepdims=True)
    assert np.median(np.abs(fast.x - slow.x) / length) < 1e-11
    np.testing.assert_allclose(fast.x, slow.x, atol=1e-6 * length.max())


def test_a_row_does_not_depend_on_its_company():
    given = problem((3, 4, 2), "tanh", 500)
    starts = np.random.default_rng(6).normal(size=(31, given.dimension))
    together, alone = cpu.newton(given, starts, OPTIONS), cpu.newton(given, starts[[7, 30]], OPTIONS)
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(a[[7, 30]], b)


def test_other_networks_stay_as_they_are():
    for given in (
        problem((3, 4, 2), "tanh", 20),
        problem((3, 4, 2), "tanh", 2000, "cross_entropy"),
        problem((3, 4, 4, 2), "tanh", 2000),
    ):
        assert compiled(given) is given
