"""The block's linear algebra against NumPy, on random symmetric matrices and on singular ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simcore.backends.cuda import device, ldlt
from simcore.backends.cuda.device import cuda

LANES, WARPS = 2, 2
factor, back_substitute, eliminate, tridiagonalise, count_below = ldlt.routines(LANES, WARPS)


def solve(system, size, vectors, full, pivoted, d):
    lane, warp = cuda.threadIdx.x, cuda.threadIdx.y
    if pivoted:
        for chosen in range(LANES):
            eliminate(full, system, size, chosen, d, lane, warp)
    else:
        part = size * LANES
        factor(system, size, vectors[:part], vectors[part:], lane, warp)
        back_substitute(system, size, vectors[:part], d, lane, warp)


def inertia(system, size, vectors, shifts, counts):
    lane, warp = cuda.threadIdx.x, cuda.threadIdx.y
    part = size * LANES
    diagonal, below = vectors[:part], vectors[part : 2 * part]
    tridiagonalise(system, size, diagonal, below, vectors[2 * part : 3 * part], vectors[3 * part :], lane, warp)
    if warp == 0:
        for k in range(len(shifts)):
            counts[k * LANES + lane] = count_below(diagonal, below, size, shifts[k], lane)


solve, inertia = device.kernel(solve), device.kernel(inertia)


def packed(matrices: Any, right: Any) -> Any:
    """Return the augmented systems as the kernels store them: lower triangles by rows, then right-hand sides."""
    size = matrices.shape[1]
    rows, columns = np.tril_indices(size)
    flat = np.concatenate([matrices[:, rows, columns], right, np.zeros((LANES, 1))], axis=1)
    return device.to_device(flat.T.ravel())


def solution(matrices: Any, right: Any, *, pivoted: bool) -> Any:
    size = matrices.shape[1]
    d = device.empty(size * LANES, np.float64)
    vectors = device.empty((1 + ldlt.COLUMNS) * size * LANES, np.float64)
    full = device.empty(size * (size + 1), np.float64)
    device.launch(solve, 1, (LANES, WARPS), (packed(matrices, right), size, vectors, full, pivoted, d))
    return device.to_host(d).reshape(size, LANES).T


def counts_below(matrices: Any, shifts: list[float]) -> Any:
    size = matrices.shape[1]
    counts = device.empty(len(shifts) * LANES, np.int64)
    vectors = device.empty(4 * size * LANES, np.float64)
    arguments = (packed(matrices, matrices[:, 0]), size, vectors, device.to_device(np.array(shifts)), counts)
    device.launch(inertia, 1, (LANES, WARPS), arguments)
    return device.to_host(counts).reshape(len(shifts), LANES).T


def symmetric(size: int, seed: int) -> tuple[Any, Any]:
    generator = np.random.default_rng(seed)
    matrices = generator.normal(size=(LANES, size, size))
    return matrices + matrices.swapaxes(1, 2), generator.normal(size=(LANES, size))


@pytest.mark.parametrize("pivoted", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 8, 9])
def test_solutions(size: int, pivoted: bool) -> None:
    matrices, right = symmetric(size, size)
    expected = np.linalg.solve(matrices, right[..., np.newaxis])[..., 0]
    np.testing.assert_allclose(solution(matrices, right, pivoted=pivoted), expected, rtol=1e-10, atol=1e-12)


def test_row_exchanges_solve_what_plain_factors_cannot() -> None:
    matrices = np.array([[[0.0, 2.0], [2.0, 0.0]], [[0.0, 1.0], [1.0, 3.0]]])
    right = np.array([[2.0, 4.0], [1.0, 5.0]])
    assert not np.isfinite(solution(matrices, right, pivoted=False)).all()
    np.testing.assert_array_equal(solution(matrices, right, pivoted=True), [[2.0, 1.0], [2.0, 1.0]])


@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_sturm_counts_are_the_eigenvalues_below(size: int) -> None:
    matrices, _ = symmetric(size, 10 + size)
    eigenvalues = np.linalg.eigvalsh(matrices)
    shifts = [-3.0, -0.5, 0.0, 0.4, 2.0]
    expected = [[int((w < shift).sum()) for shift in shifts] for w in eigenvalues]
    np.testing.assert_array_equal(counts_below(matrices, shifts), expected)


def test_null_eigenvalues_lie_between_the_thresholds() -> None:
    generator = np.random.default_rng(4)
    basis = np.linalg.qr(generator.normal(size=(LANES, 5, 5)))[0]
    matrices = basis * np.array([-2.0, 0.0, 0.0, 1.0, 3.0]) @ basis.swapaxes(1, 2)
    np.testing.assert_array_equal(counts_below(matrices, [-1e-9, 1e-9]), [[1, 3], [1, 3]])


def test_a_shift_that_is_an_eigenvalue_counts_it_as_below() -> None:
    """The convention of the host's kernel, for each place in the sequence at which a term may vanish."""
    matrices = np.array([np.diag([1.0, 2.0, 3.0]), np.diag([2.0, 1.0, 1.0])])
    np.testing.assert_array_equal(counts_below(matrices, [1.0, 2.0, 3.0]), [[1, 2, 3], [2, 3, 3]])


def test_reflections_of_rows_that_are_nearly_reduced_keep_their_digits() -> None:
    """With the other sign of beta |u|^2 is a difference of nearly equal numbers: relative errors of 1e-6 for entries
    of 1e-5 beside 1, where orthogonal reflections err by rounding."""
    matrices, _ = symmetric(5, 3)
    matrices[:, 4, :3] *= 1e-5
    matrices[:, :3, 4] *= 1e-5
    matrices[:, 3, 4] = matrices[:, 4, 3] = [1.0, -1.0]
    eigenvalues = np.linalg.eigvalsh(matrices)
    shifts = [w + error for w in eigenvalues.ravel() for error in (-1e-10, 1e-10)]
    expected = [[int((w < shift).sum()) for shift in shifts] for w in eigenvalues]
    np.testing.assert_array_equal(counts_below(matrices, shifts), expected)
