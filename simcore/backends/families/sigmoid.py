"""One sigmoid unit."""

from __future__ import annotations

from simcore.backends.families.network_bounds import terms_of
from simcore.backends.family import Family, Without, add
from simcore.backends.network_problems import Sigmoid
from simcore.backends.reference_network import evaluate_sigmoid

SIGMOID = add(
    Family(
        problem=Sigmoid,
        evaluate=evaluate_sigmoid,
        products=Without("a few weights: a Hessian costs no more"),
        bounds=terms_of,
        flops=Without("a few weights: NumPy's overhead, not flops, is its cost"),
        cpu=Without("a few weights: searches decompose Hessians in batches"),
        cuda=Without("a few weights"),
        pool=Without("a few weights"),
    )
)
