"""Derivatives of networks against JAX's automatic ones in float64, for random architectures."""

import numpy as np
import pytest

import simcore
from simcore.backends import cpu
from simcore.backends.cpu import network_points
from simcore.backends.network_problems import Mlp

jax = pytest.importorskip("jax", reason="jax is not installed: pip install jax")
jax.config.update("jax_enable_x64", True)
jnp = pytest.importorskip("jax.numpy")

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "softplus": lambda z: jnp.logaddexp(z, 0.0),
    "relu": lambda z: jnp.maximum(z, 0.0),
    "linear": lambda z: z,
}


def loss_of(problem, o):
    if problem.loss == "mse":
        return 0.5 * ((o - problem.targets) ** 2).sum() / len(o)
    return -(problem.targets * jax.nn.log_softmax(o)).sum() / len(o)


def perceptron(problem):
    phi = ACTIVATIONS[problem.activation]

    def cost(x):
        a, at = jnp.asarray(problem.inputs), 0
        for k, (inputs, outputs) in enumerate(zip(problem.widths[:-1], problem.widths[1:], strict=True)):
            w = x[at : at + inputs * outputs].reshape(outputs, inputs)
            z = a @ w.T + x[at + inputs * outputs : at + (inputs + 1) * outputs]
            at += (inputs + 1) * outputs
            a = phi(z) if k < len(problem.widths) - 2 else z
        return loss_of(problem, a) + 0.5 * problem.l2 * x @ x

    return cost


def convolution(landscape, problem):
    phi = ACTIVATIONS[problem.activation]
    side = round(problem.inputs.shape[1] ** 0.5)

    def cost(x):
        a, at = jnp.asarray(problem.inputs).reshape(-1, 1, side, side), 0
        for filters in landscape.filters:
            shape = (filters, a.shape[1], landscape.kernel, landscape.kernel)
            size = int(np.prod(shape))
            w, b = x[at : at + size].reshape(shape), x[at + size : at + size + filters]
            a = jax.lax.conv_general_dilated(a, w, (landscape.stride,) * 2, "VALID")
            a = phi(a + b[None, :, None, None])
            at += size + filters
        flat = a.reshape(len(a), -1)
        outputs = problem.targets.shape[1]
        w = x[at : at + outputs * flat.shape[1]].reshape(outputs, -1)
        return loss_of(problem, flat @ w.T + x[-outputs:]) + 0.5 * problem.l2 * x @ x

    return cost


def elman(landscape, problem):
    phi, h = ACTIVATIONS[problem.activation], landscape.units

    def cost(x):
        w, b = x[: h * (h + 1)].reshape(h, h + 1), x[h * (h + 1) : h * (h + 2)]
        outputs = problem.targets.shape[1]
        v, c = x[h * (h + 2) : -outputs].reshape(outputs, h), x[-outputs:]
        state = jnp.zeros((len(problem.inputs), h))
        for t in range(landscape.length):
            state = phi(jnp.asarray(problem.inputs[:, t : t + 1]) * w[:, 0] + state @ w[:, 1:].T + b)
        return loss_of(problem, state @ v.T + c) + 0.5 * problem.l2 * x @ x

    return cost


def random_case(number):
    """Return a problem and its cost for JAX: perceptrons, and every fifth with shared weights."""
    rng = np.random.default_rng(number)
    activation = list(ACTIVATIONS)[number % 4 if number % 5 >= 3 else number % 5]
    loss = ("mse", "cross_entropy")[number // 2 % 2]
    if number % 5 == 3:
        side, kernel = int(rng.integers(4, 6)), 2
        data = {"kind": "gaussian", "spectrum": [1.0] * side**2, "samples": 11, "targets": "classes", "outputs": 3}
        filters = rng.integers(1, 4, rng.integers(1, 3)).tolist()
        made = simcore.ConvolutionalNetwork(filters, activation, loss, data, 0.1, kernel, int(rng.integers(1, 3)))
        problem = made.draw(seed=number).problem
        return problem, convolution(made, problem)
    if number % 5 == 4:
        made = simcore.RecurrentNetwork(
            int(rng.integers(1, 5)), int(rng.integers(2, 6)), "mean", 13, activation, loss, 0.1
        )
        problem = made.draw(seed=number).problem
        return problem, elman(made, problem)
    widths = tuple(int(w) for w in rng.integers(1, 7, rng.integers(2, 6)))
    widths = (*widths[:-1], max(2, widths[-1]))
    samples = int(rng.integers(1, 40))
    x, y = rng.normal(size=(samples, widths[0])), rng.normal(size=(samples, widths[-1]))
    if loss == "cross_entropy":
        y = np.eye(widths[-1])[y.argmax(axis=1)]
    problem = Mlp(widths, activation, loss, x, y, 0.1)
    return problem, perceptron(problem)


@pytest.mark.long
@pytest.mark.parametrize("number", range(70))
def test_derivatives_are_those_of_jax(number, monkeypatch):
    """To 1e-12 of the largest entry; every other architecture with its samples in lanes."""
    problem, cost = random_case(number)
    monkeypatch.setattr(network_points, "SINGLE_FROM", 10**9 if number % 2 else 1)
    x = np.random.default_rng(1000 + number).normal(size=(2, problem.dimension))
    made = jax.jit(lambda point: (cost(point), jax.grad(cost)(point), jax.hessian(cost)(point)))
    theirs = [np.stack([np.asarray(part[k]) for part in map(made, x)]) for k in range(3)]
    for ours, other in zip(cpu.evaluate(problem, x), theirs, strict=True):
        np.testing.assert_allclose(ours, other, rtol=0, atol=1e-12 * max(1.0, np.abs(other).max()))
