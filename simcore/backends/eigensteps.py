"""Steps of Newton's family, most in the Hessian's eigenbasis, batched over starts in plain NumPy.

With H = Q diag(w) Q^T and a = Q^T g a rule returns coefficients c, shape (S, D), of the step d = Q c. Levenberg and
Marquardt's step needs no eigenbasis.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from simcore.backends.problems import Array


def largest(w: Array) -> Array:
    """Return max |w| of each start, shape (S, 1), at least the smallest positive float."""
    return np.maximum(np.abs(w).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)


def pseudo_inverse(w: Array, a: Array, cutoff: float, floor: float = 0.0) -> Array:
    """Return c = -a/w on the modes with |w| > cutoff max|w| and |w| > floor, 0 on the others."""
    seen = np.abs(w) > np.maximum(cutoff * largest(w), floor)
    return np.where(seen, -a / np.where(seen, w, 1.0), 0.0)


def saddle_free(w: Array, a: Array, index: int, floor: float) -> Array:
    """Return c = -a / max(|w|, floor max|w|), with the sign turned on the ``index`` lowest modes (climbed)."""
    c: Any = -a / np.maximum(np.abs(w), floor * largest(w))
    c[:, :index] *= -1.0
    return c


def levenberg_marquardt(h: Array, g: Array, damping: Array) -> Array:
    """Return the step -(H^2 + damping)^-1 H g, shape (S, D), damping of shape (S,): -Re (H + i sqrt(damping))^-1 g.

    The complex solve costs a quarter of a diagonalisation, and its error grows with the condition of H, not of H^2.
    """
    d = np.arange(h.shape[1])
    shifted = h.astype(np.complex128)
    shifted[:, d, d] += 1j * np.sqrt(np.maximum(damping, 1e-300))[:, None]
    step: Any = -np.linalg.solve(shifted, g[:, :, None])[:, :, 0].real
    return step


def capped(c: Array, cap: float) -> Array:
    """Return c shortened to length ``cap`` where it is longer."""
    length = np.sqrt((c * c).sum(axis=1, keepdims=True))
    return np.where(length > cap, c * (cap / np.where(length > 0, length, 1.0)), c)


def rotated(q: Array, c: Array) -> Array:
    """Return Q c, shape (S, n), start by start."""
    return (q @ c[:, :, None])[:, :, 0]


def project(q: Array, g: Array) -> Array:
    """Return Q^T g, shape (S, D), start by start."""
    return (g[:, None, :] @ q)[:, 0]
