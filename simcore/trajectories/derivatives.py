"""What a path needs to know of a function at its points: value, gradient, H v, and the Hessian where it is asked for.

``Function`` asks the family: the compiled engine's exact Hessian where it has operations, the reference's for
sigmoid units and users' functions; exact Hessian-vector products, without the Hessian, for networks (compiled), deep
linear networks and waves of many variables. On the sphere all are Riemannian, tangential, in ambient coordinates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends import cpu, families, reference_network
from simcore.backends.cpu import network_points
from simcore.backends.families import Without
from simcore.backends.family import Local
from simcore.backends.network_problems import Chain, Linear, Mlp, Sigmoid
from simcore.backends.problems import Array
from simcore.trajectories.networks import DeepLinear


class Full:
    """The function at points where its Hessian, (S, n, n), is at hand."""

    def __init__(self, value: Array, gradient: Array, hessian: Array) -> None:
        self.value, self.gradient, self.hessian = value, gradient, hessian

    def times(self, v: Array) -> Array:
        return (self.hessian @ v[:, :, None])[:, :, 0]


class Network:
    """A network's cost at points, by the kernel's passes; H g comes with the gradient where it is wanted at once."""

    def __init__(self, problem: Mlp | Chain, x: Array, product: bool) -> None:
        self.problem, self.x = problem, x
        self.value, self.gradient, bent = network_points.products(problem, x, order=2 if product else 1)
        self.bent = bent if product else None

    def times(self, v: Array) -> Array:
        if v is self.gradient and self.bent is not None:
            return self.bent
        return network_points.products(self.problem, self.x, v)[2]


class Function:
    """One function, prepared for evaluation at many points."""

    def __init__(self, problem: Any) -> None:
        self.problem, self.family = problem, families.of(problem)

    def at(self, x: Array, product: bool = False) -> Local:
        """Return the function at points x, shape (S, n); row i of everything depends on row i of x alone.

        product : whether H g will be asked for.
        """
        if isinstance(self.problem, (Mlp, Chain)):
            return Network(self.problem, x, product)
        if isinstance(self.problem, Linear):
            return DeepLinear(self.problem, x)
        if not isinstance(self.family.products, Without):
            found = self.family.products(self.problem, x)
            if found is not None:
                return found
        return Full(*evaluate(self.problem, x))

    def hessian(self, x: Array, here: Local | None = None) -> Array:
        """Return the Hessian (S, n, n) at x, taken from ``here`` where it holds it."""
        return here.hessian if isinstance(here, Full) else evaluate(self.problem, x)[2]


def evaluate(problem: Any, x: Array) -> tuple[Array, Array, Array]:
    """Return value (S,), gradient (S, n) and Hessian (S, n, n), by the compiled engine where it knows the function."""
    return cpu.evaluate(problem, x)


def samples(problem: Any) -> int:
    """Return the number of training samples behind the function; 0 where there are none."""
    return len(problem.inputs) if isinstance(problem, (Mlp, Chain, Sigmoid)) else 0


def batch_gradient(function: Function, x: Array, chosen: NDArray[np.int64]) -> Array:
    """Return the gradient (S, n) of each start's cost on its own samples, numbers ``chosen`` of shape (S, batch).

    Its mean over batches is the gradient of the whole cost: for a sigmoid unit, whose cost is a sum, it is multiplied
    by samples / batch.
    """
    problem = function.problem
    if isinstance(problem, (Mlp, Chain)):
        return network_points.products(problem, x, order=1, chosen=chosen)[1]
    inputs, targets = problem.inputs[chosen], problem.targets[chosen]
    z = (inputs @ x[:, :, None])[:, :, 0]
    s, slope, _ = reference_network.activate("sigmoid", z)
    weight = 2 * problem.multiplicity[chosen] * (s - targets) * slope * (len(problem.inputs) / chosen.shape[1])
    return (weight[:, None, :] @ inputs)[:, 0]
