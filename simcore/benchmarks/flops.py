"""Useful flops: what the mathematics needs, by formula, whatever a kernel does to get it.

A sine and a cosine count nothing, a multiply-add counts 2, and a Hessian counts its lower triangle. Padding, copies,
wasted lanes and a second factorisation are the kernel's own business and not useful.
"""

from __future__ import annotations

from math import comb
from typing import Any

from simcore.backends.network_problems import Mlp
from simcore.backends.problems import Spin, Waves


def newton_iteration(problem: Any) -> float | None:
    """Return the useful flops of one Newton iteration of one start; None where no formula is defined.

    Waves (M waves in n dimensions): M (4n + n(n+1)) + n^3/3 + 2n^2: phases 2Mn, gradient 2Mn, packed Hessian M n(n+1),
    LDL^T n^3/3, two triangular solves 2n^2.

    Spin (degree p in n variables): sum_{q=3..p} 2n C(n+q-2, q-1) + 2n^2 + 2n + n^3/3 + 4n^2: the contractions of the
    coefficients down to the packed Hessian (n^2 (n+1) for p = 3), gradient, value, LDL^T, and the solves of two
    right-hand sides (the gradient and x).

    Mlp (P parameters, N samples, C outputs): N C P(P+1) + 6 N P + P^3/3 + 2P^2: the packed Gauss-Newton product of the
    outputs' derivatives, forward and backward passes, LDL^T and solves. The second derivatives of the outputs are of
    lower order and not counted.
    """
    if isinstance(problem, Waves):
        waves, n = problem.frequencies.shape
        return waves * (4.0 * n + n * (n + 1)) + ldlt(n) + 2.0 * n * n
    if isinstance(problem, Spin):
        n = problem.n
        contractions = sum(2.0 * n * comb(n + q - 2, q - 1) for q in range(3, problem.p + 1))
        return contractions + 2.0 * n * n + 2.0 * n + ldlt(n) + 4.0 * n * n
    if isinstance(problem, Mlp):
        parameters, (samples, outputs) = problem.dimension, problem.targets.shape
        passes = samples * (outputs * parameters * (parameters + 1.0) + 6.0 * parameters)
        return passes + ldlt(parameters) + 2.0 * parameters**2
    return None


def ldlt(n: int) -> float:
    """Return the useful flops of one LDL^T factorisation of a symmetric n x n matrix, n^3/3."""
    return n**3 / 3.0


def sincos() -> float:
    """Return the useful flops of one sine and cosine: none by the convention above; the case reports ns a pair."""
    return 0.0
