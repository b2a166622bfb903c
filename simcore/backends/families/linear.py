"""Deep linear networks: population cost, exact Hessian-vector products. Critical points come in orbits, so none is
certified.

The product is Pearlmutter's R-operator, R{q} = dq/de of q(x + e v) at e = 0, sent through the forward and the backward
pass. Row i of a result depends on row i of the input alone: every matrix product runs over one start's matrices.

Source: Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994) 147.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simcore.backends.family import Array, Family, Without, add
from simcore.backends.network_problems import Linear
from simcore.backends.reference_network import evaluate_linear, linear_layers


def _sums(a: Array) -> Array:
    """Return the sum over everything but the first axis."""
    return a.reshape(len(a), -1).sum(axis=1)


class DeepLinear:
    """Cost, gradient and Hessian-vector products of a deep linear network at points x, shape (S, n).

    With P_k = W_k ... W_1 and D_L = (P_L - T) S, D_{k-1} = W_k^T D_k: df/dW_k = D_k P_{k-1}^T; the product sends
    R P_k = V_k P_{k-1} + W_k R P_{k-1} and R D_{k-1} = V_k^T D_k + W_k^T R D_k through the same passes.
    """

    def __init__(self, problem: Linear, x: Array, at_once: bool = False) -> None:
        self.problem = problem
        self.weights = linear_layers(problem.widths, x)
        first = np.eye(problem.widths[0])[None]
        self.below: list[Array] = [np.repeat(first, len(x), axis=0)]
        for w in self.weights:
            self.below.append(w @ self.below[-1])
        error = self.below[-1] - problem.target
        slope = error @ problem.covariance[None]
        self.value = 0.5 * _sums(slope * error)
        self.deltas: list[Any] = [None] * len(self.weights)
        parts: list[Any] = [None] * len(self.weights)
        for k in range(len(self.weights) - 1, -1, -1):
            self.deltas[k] = slope
            parts[k] = (slope @ self.below[k].swapaxes(1, 2)).reshape(len(x), -1)
            slope = self.weights[k].swapaxes(1, 2) @ slope
        self.gradient = np.concatenate(parts, axis=1)

    def times(self, v: Array) -> Array:
        """Return H v, shape (S, n), for v of the same shape."""
        directions = linear_layers(self.problem.widths, v)
        moved = [np.zeros_like(self.below[0])]
        for w, dw, before in zip(self.weights, directions, self.below[:-1], strict=True):
            moved.append(dw @ before + w @ moved[-1])
        slope = moved[-1] @ self.problem.covariance[None]
        parts: list[Any] = [None] * len(directions)
        for k in range(len(directions) - 1, -1, -1):
            block = slope @ self.below[k].swapaxes(1, 2) + self.deltas[k] @ moved[k].swapaxes(1, 2)
            parts[k] = block.reshape(len(v), -1)
            slope = directions[k].swapaxes(1, 2) @ self.deltas[k] + self.weights[k].swapaxes(1, 2) @ slope
        return np.concatenate(parts, axis=1)


LINEAR = add(
    Family(
        problem=Linear,
        evaluate=evaluate_linear,
        products=DeepLinear,
        sample_gradient=Without("the cost is that of the population: no samples"),
        bounds=Without("critical points are not isolated"),
        flops=Without("searches decompose Hessians: the dense search is not timed by flops"),
        cpu=Without("Hessians of at most a few hundred parameters, decomposed by LAPACK"),
        cuda=Without("searches decompose Hessians on the host"),
        pool=Without("searches decompose Hessians on the host"),
    )
)
