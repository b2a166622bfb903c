"""What a path needs to know of a function at its points: value, gradient, H v, and the Hessian where it is asked for.

``at`` chooses by the kind of function: the compiled engine's exact Hessian for random waves, spins, sigmoid units and
users' functions; exact Hessian-vector products, without the Hessian, for perceptrons and deep linear networks, and for
waves of many variables. On the sphere all are Riemannian, tangential, in ambient coordinates.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from simcore.backends import cpu, reference
from simcore.backends.network_problems import Linear, Mlp, Sigmoid
from simcore.backends.problems import Array, Spin, Waves
from simcore.trajectories.networks import DeepLinear, Perceptron

MANY = 32  # variables from which the product H v of random waves is cheaper than the compiled Hessian


class Local(Protocol):
    """A function at S points: ``value`` (S,), ``gradient`` (S, n), and ``times(v)`` = H v for v of shape (S, n)."""

    value: Array
    gradient: Array

    def times(self, v: Array) -> Array: ...


class Full:
    """The function at points where its Hessian, (S, n, n), is at hand."""

    def __init__(self, value: Array, gradient: Array, hessian: Array) -> None:
        self.value, self.gradient, self.hessian = value, gradient, hessian

    def times(self, v: Array) -> Array:
        return (self.hessian @ v[:, :, None])[:, :, 0]


class ManyWaves:
    """Random waves of many variables: with p = W x, H v = mu v - W^T (wave * (W v))."""

    def __init__(self, problem: Waves, x: Array) -> None:
        w, self.confinement = problem.frequencies, problem.confinement
        self.w = w[None]
        phase = (self.w @ x[:, :, None])[:, :, 0]
        cosine, sine = np.cos(phase), np.sin(phase)
        self.wave = problem.cosine * cosine + problem.sine * sine
        slope = problem.sine * cosine - problem.cosine * sine
        self.value = self.wave.sum(axis=1) + 0.5 * self.confinement * (x * x).sum(axis=1)
        self.gradient = (slope[:, None, :] @ self.w)[:, 0] + self.confinement * x

    def times(self, v: Array) -> Array:
        along = self.wave * (self.w @ v[:, :, None])[:, :, 0]
        return self.confinement * v - (along[:, None, :] @ self.w)[:, 0]


def at(problem: Any, x: Array) -> Local:
    """Return the function at points x, shape (S, n); row i of everything depends on row i of x alone."""
    if isinstance(problem, Mlp):
        return Perceptron(problem, x)
    if isinstance(problem, Linear):
        return DeepLinear(problem, x)
    if isinstance(problem, Waves) and x.shape[1] >= MANY:
        return ManyWaves(problem, x)
    return Full(*evaluate(problem, x))


def evaluate(problem: Any, x: Array) -> tuple[Array, Array, Array]:
    """Return value (S,), gradient (S, n) and Hessian (S, n, n), by the compiled engine where it knows the function."""
    if isinstance(problem, (Waves, Spin)):
        return cpu.evaluate(problem, x)
    return reference.evaluate(problem, x)


def hessian(problem: Any, x: Array, here: Local | None = None) -> Array:
    """Return the Hessian (S, n, n) at x, taken from ``here`` where it holds it."""
    if isinstance(here, Full):
        return here.hessian
    return evaluate(problem, x)[2]


def samples(problem: Any) -> int:
    """Return the number of training samples behind the function; 0 where there are none."""
    return len(problem.inputs) if isinstance(problem, (Mlp, Sigmoid)) else 0


def batch_gradient(problem: Any, x: Array, chosen: Array) -> Array:
    """Return the gradient (S, n) of each start's cost on its own samples, numbers ``chosen`` of shape (S, batch).

    Its mean over batches is the gradient of the whole cost: for a sigmoid unit, whose cost is a sum, it is multiplied
    by samples / batch.
    """
    inputs, targets = problem.inputs[chosen], problem.targets[chosen]
    if isinstance(problem, Mlp):
        return Perceptron(problem, x, inputs, targets).gradient
    z = (inputs @ x[:, :, None])[:, :, 0]
    s, slope, _ = reference.reference_network.activate("sigmoid", z)
    weight = 2 * problem.multiplicity[chosen] * (s - targets) * slope * (len(problem.inputs) / chosen.shape[1])
    return (weight[:, None, :] @ inputs)[:, 0]
