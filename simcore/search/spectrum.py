"""Eigenvalues and soft directions of Hessians, in the tangent space."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simcore.landscapes.base import Sphere
from simcore.search.target import Target

Array = NDArray[np.float64]

CHUNK = 4096  # points evaluated at a time: bounds the memory of their Hessians


def tangent_hessians(target: Target, x: Array, hessian: Array) -> Array:
    """Return Hessians in an orthonormal basis of the tangent space, (S, D, D), of ambient ones, (S, n, n)."""
    if not isinstance(target.settings.landscape.domain, Sphere):
        return hessian
    mirrored = _reflect(x, _reflect(x, hessian).swapaxes(1, 2))
    return mirrored[:, 1:, 1:]


def to_ambient(target: Target, x: Array, vectors: Array) -> Array:
    """Return tangent vectors (S, D, k), in the basis of ``tangent_hessians``, in ambient coordinates, (S, n, k)."""
    if not isinstance(target.settings.landscape.domain, Sphere):
        return vectors
    padded = np.concatenate([np.zeros((len(x), 1, vectors.shape[2])), vectors], axis=1)
    return _reflect(x, padded)


def spectra(target: Target, x: Array) -> Array:
    """Return the Hessian's eigenvalues at points x of shape (S, n), ascending, (S, D); NaN where it is not finite."""
    result = np.full((len(x), target.settings.landscape.dimension), np.nan)
    for begin in range(0, len(x), CHUNK):
        here = x[begin : begin + CHUNK]
        hessian = tangent_hessians(target, here, target.evaluate(here)[2])
        finite = np.isfinite(hessian).all(axis=(1, 2))
        result[begin : begin + CHUNK][finite] = np.linalg.eigvalsh(hessian[finite])
    return result


def _reflect(x: Array, columns: Array) -> Array:
    """Apply to ``columns`` (S, n, k) the Householder reflection that takes x to a multiple of the first axis."""
    mirror = x / np.linalg.norm(x, axis=1, keepdims=True)
    mirror[:, 0] += np.where(mirror[:, 0] < 0, -1.0, 1.0)
    mirror /= np.linalg.norm(mirror, axis=1, keepdims=True)
    along = np.einsum("si,sik->sk", mirror, columns)
    return columns - 2.0 * mirror[:, :, np.newaxis] * along[:, np.newaxis, :]
