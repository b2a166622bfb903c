"""All eigenvalues of eight tridiagonal matrices, and |T|^-1 b, against NumPy's."""

import numpy as np

from simcore.backends.cpu.spectral import saddle_free


def test_eigenvalues_in_lanes_where_matrices_fall_apart():
    """Zero couplings, equal and zero eigenvalues, one lane unlike the others: w, and |T|^-1 b, as NumPy has them."""
    rng, n = np.random.default_rng(1), 12
    diagonal, off, b = rng.normal(size=(n, 8)), rng.normal(size=(n, 8)), rng.normal(size=(n, 8))
    off[0] = 0.0
    off[5, :4], off[:, 4], diagonal[:, 5], off[7:, 6], diagonal[3:, 7] = 0.0, 0.0, 1.0, 1e-17, 0.0
    out, w, e = (np.empty(n * 8) for _ in range(3))
    saddle_free(diagonal.ravel(), off.ravel(), n, b.ravel(), 1e-4, 3.0, out, w, e, np.empty(64), np.empty(2, np.int64))
    for lane in range(8):
        matrix = np.diag(diagonal[:, lane]) + np.diag(off[1:, lane], 1) + np.diag(off[1:, lane], -1)
        exact, q = np.linalg.eigh(matrix)
        top = np.abs(exact).max()
        np.testing.assert_allclose(np.sort(w.reshape(n, 8)[:, lane]), exact, rtol=0, atol=1e-14 * top)
        sign = np.where(np.arange(n) < 3, -1.0, 1.0)
        if exact[3] - exact[2] > 1e-9:  # else which of equal modes is climbed is not determined
            step = q @ (sign * (q.T @ b[:, lane]) / np.maximum(np.abs(exact), 1e-4 * top))
            np.testing.assert_allclose(out.reshape(n, 8)[:, lane], step, rtol=0, atol=1e-10 * np.abs(step).max())
