"""One sigmoid unit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simcore.backends.families.network_bounds import terms_of
from simcore.backends.family import Array, Family, Without, add
from simcore.backends.network_problems import Sigmoid
from simcore.backends.reference_network import activate, evaluate_sigmoid


def sample_gradient(problem: Sigmoid, x: Array, chosen: NDArray[np.int64]) -> Array:
    """Return samples / batch times the sum over the chosen ones: the cost is a sum, not a mean."""
    inputs, targets = problem.inputs[chosen], problem.targets[chosen]
    z = (inputs @ x[:, :, None])[:, :, 0]
    s, slope, _ = activate("sigmoid", z)
    weight = 2 * problem.multiplicity[chosen] * (s - targets) * slope * (len(problem.inputs) / chosen.shape[1])
    gradient: Array = (weight[:, None, :] @ inputs)[:, 0]
    return gradient


SIGMOID = add(
    Family(
        problem=Sigmoid,
        evaluate=evaluate_sigmoid,
        products=Without("a few weights: a Hessian costs no more"),
        sample_gradient=sample_gradient,
        bounds=terms_of,
        flops=Without("a few weights: NumPy's overhead, not flops, is its cost"),
        cpu=Without("a few weights: searches decompose Hessians in batches"),
        cuda=Without("a few weights"),
        pool=Without("a few weights"),
    )
)
