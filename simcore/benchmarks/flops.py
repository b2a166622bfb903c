"""Useful flops: what the mathematics needs, by formula, whatever a kernel does to get it.

A sine and a cosine count nothing, a multiply-add counts 2, and a Hessian counts its lower triangle. Padding, copies,
wasted lanes and a second factorisation are the kernel's own business and not useful.
"""

from __future__ import annotations

from typing import Any

from simcore.backends import families
from simcore.backends.families import Without
from simcore.backends.network_problems import Chain, Mlp


def newton_iteration(problem: Any) -> float | None:
    """Return the useful flops of one Newton iteration of one start, by its family's formula; None where it has none."""
    formula = families.of(problem).flops
    return None if isinstance(formula, Without) else formula(problem)


def network_hessian(problem: Mlp | Chain) -> float:
    """Return the useful flops of value, gradient and Hessian of a network of P parameters on N samples.

    N P(P+1) + 6 N P: one multiply-add an entry of the packed Hessian and sample, whatever the number of layers and
    outputs, and the two passes of the gradient. It is what the product J'J costs for one output.
    """
    parameters, samples = problem.dimension, len(problem.inputs)
    return samples * (parameters * (parameters + 1.0) + 6.0 * parameters)


def ldlt(n: int) -> float:
    """Return the useful flops of one LDL^T factorisation of a symmetric n x n matrix, n^3/3."""
    return n**3 / 3.0


def sincos() -> float:
    """Return the useful flops of one sine and cosine: none by the convention above; the case reports ns a pair."""
    return 0.0
