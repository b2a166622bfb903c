"""What a network's family offers by the kernel: Hessian-vector products, gradients on samples of each start's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simcore.backends.cpu.network_points import products
from simcore.backends.network_problems import Chain, Mlp
from simcore.backends.problems import Array


class Passes:
    """A network's cost at points, by the kernel's passes; H g comes with the gradient where it is wanted at once."""

    def __init__(self, problem: Mlp | Chain, x: Array, at_once: bool = False) -> None:
        self.problem, self.x = problem, x
        self.value, self.gradient, bent = products(problem, x, order=2 if at_once else 1)
        self._bent = bent if at_once else None

    def times(self, v: Array) -> Array:
        """Return H v, shape (S, n)."""
        if v is self.gradient and self._bent is not None:
            return self._bent
        return products(self.problem, self.x, v)[2]


def sample_gradient(problem: Mlp | Chain, x: Array, chosen: NDArray[np.int64]) -> Array:
    """Return the gradient of each start's mean cost over its own samples, by the kernel."""
    return products(problem, x, order=1, chosen=chosen)[1]
