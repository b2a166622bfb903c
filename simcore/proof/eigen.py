"""Degree 2: the critical points of x'Ax on the sphere are the eigenvectors, and an eigensolver's residuals prove it.

If |A v - lambda v| <= e |v| for a real symmetric A, an eigenvalue of A lies within e of lambda (A has an orthonormal
basis of eigenvectors: Parlett, *The Symmetric Eigenvalue Problem*, theorem 4.5.1). n pairs with disjoint intervals
[lambda - e, lambda + e] therefore hold n different eigenvalues, which are all; each is simple, so the critical points
on |x|^2 = n are exactly the 2n points +-sqrt(n) v, and all are nondegenerate.

Rounding: A's entries are coefficients, halved off the diagonal: exact. A v - lambda v computed in doubles errs by at
most (n + 2) u (|A|_F + |lambda|) |v|, for any order of the sums (Higham 2002, section 3.5).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Spin
from simcore.proof.certificate import SPARE, UNIT

Array = NDArray[np.float64]


def eigenvectors(problem: Spin) -> tuple[Array, Array, int]:
    """Return (unit eigenvectors (n, n) as rows, bounds on their errors (n,), how many are proved to be alone)."""
    n = problem.n
    matrix = np.zeros((n, n))
    matrix[np.triu_indices(n)] = problem.coefficients
    matrix = (matrix + matrix.T) / 2
    values, vectors = np.linalg.eigh(matrix)
    size = SPARE * np.linalg.norm(matrix)
    norms = np.linalg.norm(vectors, axis=0)
    rounding = (n + 2) * UNIT * (size + np.abs(values))
    errors = SPARE * (np.linalg.norm(matrix @ vectors - vectors * values, axis=0) / norms + rounding)
    gaps = np.diff(values)
    apart = gaps > SPARE * (errors[1:] + errors[:-1]) if n > 1 else np.ones(0, np.bool_)
    alone = np.concatenate([[True], apart]) & np.concatenate([apart, [True]])
    nearest = np.minimum(np.concatenate([[np.inf], gaps]), np.concatenate([gaps, [np.inf]]))
    with np.errstate(divide="ignore"):
        radius = np.where(alone, 2 * errors / nearest, np.inf)  # sin of the angle to the eigenvector, twice over
    return (vectors / norms).T, radius, int(alone.sum())
