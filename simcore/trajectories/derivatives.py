"""What a path needs to know of a function at its points: value, gradient, H v, and the Hessian where it is asked for.

``Function`` asks the family: the compiled engine's exact Hessian where it has operations, the reference's for
sigmoid units and users' functions; exact Hessian-vector products, without the Hessian, for networks (compiled), deep
linear networks and waves of many variables. On the sphere all are Riemannian, tangential, in ambient coordinates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends import cpu, families
from simcore.backends.families import Without
from simcore.backends.family import Local
from simcore.backends.problems import Array


class Full:
    """The function at points where its Hessian, (S, n, n), is at hand."""

    def __init__(self, value: Array, gradient: Array, hessian: Array) -> None:
        self.value, self.gradient, self.hessian = value, gradient, hessian

    def times(self, v: Array) -> Array:
        return (self.hessian @ v[:, :, None])[:, :, 0]


class Function:
    """One function, prepared for evaluation at many points."""

    def __init__(self, problem: Any) -> None:
        self.problem, self.family = problem, families.of(problem)

    def at(self, x: Array, product: bool = False) -> Local:
        """Return the function at points x, shape (S, n); row i of everything depends on row i of x alone.

        product : whether H g will be asked for.
        """
        return self.family.local(self.problem, x, product) or Full(*evaluate(self.problem, x))

    def hessian(self, x: Array, here: Local | None = None) -> Array:
        """Return the Hessian (S, n, n) at x, taken from ``here`` where it holds it."""
        return here.hessian if isinstance(here, Full) else evaluate(self.problem, x)[2]


def evaluate(problem: Any, x: Array) -> tuple[Array, Array, Array]:
    """Return value (S,), gradient (S, n) and Hessian (S, n, n), by the compiled engine where it knows the function."""
    return cpu.evaluate(problem, x)


def samples(problem: Any) -> int:
    """Return the number of training samples behind the function; 0 where there are none."""
    return 0 if isinstance(families.of(problem).sample_gradient, Without) else len(problem.inputs)


def batch_gradient(function: Function, x: Array, chosen: NDArray[np.int64]) -> Array:
    """Return the gradient (S, n) of each start's cost on its own samples, numbers ``chosen`` of shape (S, batch)."""
    return function.family.gradient_on_samples(function.problem, x, chosen)
