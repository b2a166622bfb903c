"""Degree 2: eigenvectors are proved by their residuals, and not where the intervals of two eigenvalues meet."""

import numpy as np
import pytest

from simcore.backends.problems import Spin
from simcore.proof import eigen

PROBLEM = Spin(2, 2, np.array([1.0, 0.0, 2.0]))  # x'Ax, A = diag(1, 2)


def turned(monkeypatch, angle):
    """An eigensolver whose vectors are off by an angle: |A v - lambda v| is sin(angle) times the gap, 1."""
    c, s = np.cos(angle), np.sin(angle)
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: (np.array([1.0, 2.0]), np.array([[c, -s], [s, c]])))


def test_the_entries_off_the_diagonal_are_halved():
    vectors, radius, alone = eigen.eigenvectors(Spin(2, 2, np.array([0.0, 2.0, 0.0])))  # 2 x y: A = [[0, 1], [1, 0]]
    assert alone == 2 and (radius < 1e-14).all()
    np.testing.assert_allclose(np.abs(vectors), np.sqrt(0.5), rtol=1e-14)


@pytest.mark.parametrize(("angle", "alone"), [(0.48, 2), (0.53, 0)])
def test_disjoint_intervals_prove_and_others_do_not(monkeypatch, angle, alone):
    """2 sin(angle) against the gap: 0.92 and 1.01."""
    turned(monkeypatch, angle)
    assert eigen.eigenvectors(PROBLEM)[2] == alone


def test_the_radius_holds_the_eigenvector(monkeypatch):
    turned(monkeypatch, 0.3)
    vectors, radius, _ = eigen.eigenvectors(PROBLEM)
    error = np.linalg.norm(vectors - np.eye(2), axis=1)
    assert (error <= radius).all() and (radius <= 2.1 * error).all()


def test_a_double_eigenvalue_is_never_alone():
    _, radius, alone = eigen.eigenvectors(Spin(3, 2, np.array([1.0, 0.0, 0.0, 1.0, 0.0, 3.0])))
    assert alone == 1 and np.isfinite(radius).tolist() == [False, False, True]
