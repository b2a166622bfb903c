"""Pfaffians of stacks of skew-symmetric matrices, in log-polar form."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BLOCK = 12  # below this order the pivoted elimination is cheaper than a block step


def log_pfaffian(matrices: NDArray[np.inexact]) -> tuple[NDArray[np.inexact], NDArray[np.float64]]:
    """Return phase and ln|Pf| of skew-symmetric matrices.

    Pf A = Pf(A11) Pf(A22 + A12^T A11^{-1} A12), by halves down to blocks that are eliminated pair by pair with partial
    pivoting. No pivot crosses a block boundary: that suits matrices whose leading even minors are not tiny, such as
    those of the ensembles of this package in a basis of increasing degree.

    Parameters
    ----------
    matrices : (..., m, m) real or complex
        Skew-symmetric, m even; only skew-symmetry up to rounding is assumed.

    Returns
    -------
    phase : (...)
        Pf / |Pf| (0 where the Pfaffian is 0).
    log_modulus : (...) float64
        ln|Pf| (-inf where it is 0).

    References
    ----------
    Wimmer (2012), ACM Trans. Math. Softw. 38, 30, for elimination with pivots; the block form is the Schur complement.
    """
    order = matrices.shape[-1]
    if order % 2:
        raise ValueError(f"a Pfaffian needs an even order, got {order}")
    if order > _BLOCK:
        half = order // 4 * 2
        a, b, c = matrices[..., :half, :half], matrices[..., :half, half:], matrices[..., half:, half:]
        schur = c + np.swapaxes(b, -1, -2) @ np.linalg.solve(a, b)
        schur = 0.5 * (schur - np.swapaxes(schur, -1, -2))
        phase_a, log_a = log_pfaffian(a)
        phase_s, log_s = log_pfaffian(schur)
        return phase_a * phase_s, log_a + log_s
    return _eliminate(matrices)


def _eliminate(matrices: NDArray[np.inexact]) -> tuple[NDArray[np.inexact], NDArray[np.float64]]:
    """Pair by pair elimination with partial pivoting, all matrices of the stack at once."""
    shape, order = matrices.shape[:-2], matrices.shape[-1]
    work = matrices.reshape(-1, order, order).copy()
    rows = np.arange(len(work))
    phase = np.ones(len(work), dtype=work.dtype)
    log_modulus = np.zeros(len(work))
    for k in range(0, order, 2):
        column = np.abs(work[:, k, k + 1 :])
        pivot_row = k + 1 + column.argmax(axis=1)
        swapped = pivot_row != k + 1
        for view in (work, np.swapaxes(work, 1, 2)):  # the same exchange of rows and of columns
            kept = view[rows, k + 1].copy()
            view[:, k + 1] = view[rows, pivot_row]
            view[rows, pivot_row] = kept
        pivot = work[:, k, k + 1]
        size = np.abs(pivot)
        zero = size == 0
        safe = np.where(zero, 1, size)
        phase *= np.where(swapped, -1, 1) * np.where(zero, 0, pivot / safe)
        log_modulus += np.where(zero, -np.inf, np.log(safe))
        if k + 2 < order:
            x = work[:, k, k + 2 :] / np.where(zero, 1, pivot)[:, None]
            y = work[:, k + 1, k + 2 :]
            update = x[:, :, None] * y[:, None, :]
            work[:, k + 2 :, k + 2 :] -= update - np.swapaxes(update, 1, 2)
    return phase.reshape(shape), log_modulus.reshape(shape)
