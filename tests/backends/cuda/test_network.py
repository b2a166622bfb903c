"""Perceptrons on the device: derivatives against the reference, and a search through them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import simcore
from simcore.backends import cuda, reference
from simcore.backends.cuda.search import evaluate
from simcore.backends.cuda.shape import Shape
from simcore.backends.network_problems import Linear, Mlp
from simcore.errors import InputError

NETWORKS = [
    ((2, 2, 1), "tanh", "mse", 0.0),
    ((2, 3, 2, 2), "tanh", "cross_entropy", 0.1),
    ((1, 2, 2, 1), "sigmoid", "mse", 0.01),
    ((2, 2), "linear", "mse", 0.0),
    ((3, 2, 2), "softplus", "cross_entropy", 0.3),
    ((2, 3, 1), "relu", "mse", 0.0),
]


def network(widths: tuple[int, ...], activation: str, loss: str, l2: float, samples: int = 6) -> Mlp:
    generator = np.random.default_rng(5)
    targets = generator.normal(size=(samples, widths[-1]))
    if loss == "cross_entropy":
        targets = np.eye(widths[-1])[generator.integers(0, widths[-1], samples)]
    return Mlp(widths, activation, loss, generator.normal(size=(samples, widths[0])), targets, l2)


@pytest.mark.parametrize("case", NETWORKS, ids=str)
def test_derivatives_are_the_references(case: Any) -> None:
    problem = network(*case)
    x = np.random.default_rng(6).normal(size=(3, problem.dimension))
    ours, theirs = cuda.evaluate(problem, x), reference.evaluate(problem, x)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    for a, b in zip(ours, evaluate(problem, x, Shape(2, 2, 8)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "landscape",
    [
        simcore.ConvolutionalNetwork(
            [2, 1], "tanh", "cross_entropy", kernel=2, stride=1, l2=0.1,
            data={"kind": "gaussian", "spectrum": [1.0] * 9, "samples": 5, "targets": "classes", "outputs": 2},
        ),
        simcore.RecurrentNetwork(2, 3, samples=6, l2=0.1),
    ],
    ids=lambda landscape: landscape.name,
)  # fmt: skip
def test_shared_weights_on_the_device(landscape: Any) -> None:
    problem = landscape.draw(seed=1).problem
    x = np.random.default_rng(6).normal(size=(2, problem.dimension))
    for a, b in zip(cuda.evaluate(problem, x), reference.evaluate(problem, x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_the_newton_loop_takes_perceptrons() -> None:
    problem = network((1, 1, 1), "tanh", "mse", 0.05, samples=5)
    landscape = simcore.TorusField(n=problem.dimension)
    options = simcore.Newton().options(landscape)._replace(step_cap=0.5, region=np.inf)
    starts = np.random.default_rng(7).normal(size=(6, problem.dimension))
    ours, theirs = cuda.newton(problem, starts, options), reference.newton(problem, starts, options)
    short = np.maximum(ours.iterations, theirs.iterations) <= 30
    assert short.any()
    np.testing.assert_array_equal(ours.status[short], theirs.status[short])
    np.testing.assert_array_equal(ours.index[short], theirs.index[short])
    np.testing.assert_allclose(ours.x[short], theirs.x[short], atol=1e-8)


def test_searches_of_perceptrons_take_their_derivatives_from_the_device() -> None:
    landscape = simcore.MLP(
        widths=(1, 2, 1),
        activation="tanh",
        loss="mse",
        data={"kind": "teacher", "widths": [1, 2, 1], "samples": 5, "noise": 0.1},
        l2=0.01,
    )
    table = {
        backend: simcore.find_critical_points(landscape, draws=1, starts=4, seed=3, backend=backend, threads=1)
        for backend in ("cuda", "reference")
    }
    assert list(table["cuda"].status) == list(table["reference"].status)
    assert list(table["cuda"]["morse_index"]) == list(table["reference"]["morse_index"])
    np.testing.assert_allclose(table["cuda"].cost, table["reference"].cost, atol=1e-9)


def test_other_networks_are_evaluated_on_the_host_and_have_no_kernel() -> None:
    problem = Linear((2, 1, 2), np.eye(2), np.eye(2))
    x = np.ones((1, problem.dimension))
    np.testing.assert_array_equal(cuda.evaluate(problem, x)[2], reference.evaluate(problem, x)[2])
    with pytest.raises(InputError, match="no kernel for Linear"):
        cuda.newton(problem, x, simcore.Newton().options(simcore.TorusField(n=2)))
