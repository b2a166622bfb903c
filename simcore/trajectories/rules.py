"""The step rules: from the gradient, or the Hessian, to the next step d (tangent on the sphere)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from simcore.backends import eigensteps
from simcore.backends.problems import Array
from simcore.trajectories.batches import Batches
from simcore.trajectories.derivatives import Function, Local, batch_gradient
from simcore.trajectories.settings import Walk

NULL = 1e-10
"""Eigenvalues within this fraction of the largest are left out of Newton steps, and counted as zero in ``index``."""


class Rule:
    """State of one method for S starts. ``step`` is called once a step, in order."""

    parallel = False  # whether d is -step_size times the full gradient
    full = True  # whether the full gradient is needed at steps that are not recorded
    second = False  # whether the Hessian is needed

    def __init__(self, walk: Walk, function: Function, x: Array, batches: Batches | None) -> None:
        self.walk, self.function, self.batches = walk, function, batches
        self.tangent = function.problem.domain.tangent

    def step(self, number: int, x: Array, here: Local | None, hessian: Array | None) -> Array:
        """Return the step from x, shape (S, n)."""
        raise NotImplementedError


class GradientDescent(Rule):
    """d = -step_size g."""

    parallel = True

    def step(self, number: int, x: Array, here: Local | None, hessian: Array | None) -> Array:
        assert here is not None
        return -self.walk.step_size * here.gradient


class Momentum(Rule):
    """d <- momentum d - step_size g (Polyak); on the sphere the old d is projected on the tangent space first."""

    def __init__(self, walk: Walk, function: Function, x: Array, batches: Batches | None) -> None:
        super().__init__(walk, function, x, batches)
        self.velocity = np.zeros_like(x)

    def step(self, number: int, x: Array, here: Local | None, hessian: Array | None) -> Array:
        slope = self.slope(number, x, here)
        self.velocity = self.walk.momentum * self.tangent(x, self.velocity) - self.walk.step_size * slope
        return self.velocity

    def slope(self, number: int, x: Array, here: Local | None) -> Array:
        assert here is not None
        return here.gradient


class StochasticDescent(Momentum):
    """Momentum with the gradient of the step's minibatch in place of g."""

    full = False

    def slope(self, number: int, x: Array, here: Local | None) -> Array:
        assert self.batches is not None
        return batch_gradient(self.function, x, self.batches.at(number))


class Adam(Rule):
    """Kingma & Ba (2015), algorithm 1, by ambient coordinates; on the sphere the step is projected."""

    def __init__(self, walk: Walk, function: Function, x: Array, batches: Batches | None) -> None:
        super().__init__(walk, function, x, batches)
        self.first, self.second_moment = np.zeros_like(x), np.zeros_like(x)

    def step(self, number: int, x: Array, here: Local | None, hessian: Array | None) -> Array:
        assert here is not None
        one, two = self.walk.betas
        self.first = one * self.first + (1 - one) * here.gradient
        self.second_moment = two * self.second_moment + (1 - two) * here.gradient**2
        mean, square = self.first / (1 - one ** (number + 1)), self.second_moment / (1 - two ** (number + 1))
        return self.tangent(x, -self.walk.step_size * mean / (np.sqrt(square) + self.walk.epsilon))


class Newton(Rule):
    """d = -step_size H^+ g, shortened to the cap; H^+ leaves out eigenvalues within ``NULL`` of the largest."""

    second = True

    def step(self, number: int, x: Array, here: Local | None, hessian: Array | None) -> Array:
        assert here is not None and hessian is not None
        finite = np.asarray(np.isfinite(hessian).all(axis=(1, 2)) & np.isfinite(here.gradient).all(axis=1))
        w, q = np.linalg.eigh(np.where(finite[:, None, None], hessian, 0.0))
        c = self.rule(w, eigensteps.project(q, np.where(finite[:, None], here.gradient, 0.0)))
        d = eigensteps.rotated(q, eigensteps.capped(self.walk.step_size * c, self.walk.step_cap))
        return np.where(finite[:, None], self.tangent(x, d), np.nan)

    def rule(self, w: Array, a: Array) -> Array:
        return eigensteps.pseudo_inverse(w, a, NULL)


class SaddleFreeNewton(Newton):
    """d = -step_size |H|^-1 g, shortened to the cap (Dauphin et al. 2014); |w| raised to floor max|w|."""

    def rule(self, w: Array, a: Array) -> Array:
        return eigensteps.saddle_free(w, a, 0, self.walk.floor)


RULES: dict[str, Callable[..., Rule]] = {
    "gradient_descent": GradientDescent,
    "sgd": StochasticDescent,
    "momentum": Momentum,
    "adam": Adam,
    "newton": Newton,
    "saddle_free_newton": SaddleFreeNewton,
}
