"""Eigenvalues of Hessians, in the tangent space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simcore.search.target import Target

Array = NDArray[np.float64]

CHUNK = 4096  # points evaluated at a time: bounds the memory of their Hessians


def spectra(target: Target, x: Array) -> Array:
    """Return the Hessian's eigenvalues at points x of shape (S, n), ascending, (S, D); NaN where it is not finite."""
    result = np.full((len(x), target.search.landscape.dimension), np.nan)
    for begin in range(0, len(x), CHUNK):
        here = x[begin : begin + CHUNK]
        hessian = target.domain.tangent_hessian(here, target.evaluate(here)[2])
        finite = np.isfinite(hessian).all(axis=(1, 2))
        result[begin : begin + CHUNK][finite] = np.linalg.eigvalsh(hessian[finite])
    return result
