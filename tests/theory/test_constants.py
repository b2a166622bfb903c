"""Constants of asymptotic laws and variances of finite ones: each against finite n, or against plain simulation."""

import math

import numpy as np
import pytest

from simcore.theory import finite_features
from simcore.theory.asymptotics import log_minima_fraction
from simcore.theory.finite_features import confined_finite_features_law
from simcore.theory.tables import law


def test_the_remainder_of_the_fraction_of_minima_is_a_logarithm():
    """Over doublings a remainder c ln n + O(1/sqrt n) changes by ever less; a wrong n^(1/4) term makes it more."""
    sizes = (20, 40, 80, 160)
    exact = [float(law("gaussian_field", n)["log_fraction"].iloc[0]) for n in sizes]
    remainder = np.array(exact) - log_minima_fraction(sizes)
    steps = np.abs(np.diff(remainder))
    assert (np.diff(steps) < 0).all()
    assert 0.2 < steps[-1] < 0.25
    assert float(log_minima_fraction(16)) == pytest.approx(
        -16 + 16 * math.sqrt(2) / 3 - 2 * 2 ** (7 / 4) / 3, rel=1e-14
    )


def test_the_kinetic_part_of_a_cost_has_the_moments_of_its_quadratic_form(monkeypatch):
    """|grad V|^2 / 2 mu with grad V ~ N(0, S), S = W'W/M: mean sum s_i / 2 mu, variance sum s_i^2 / 2 mu^2, s_i the
    eigenvalues of the set's own S; of the control, S = 1."""
    n, m, features, mu = 2, 0.5, 6, 0.5 * math.sqrt(2)
    seen = []
    plain = finite_features._with_kinetic
    monkeypatch.setattr(finite_features, "_with_kinetic", lambda *given: seen.append(given[1:]) or plain(*given))
    monkeypatch.setattr(finite_features, "_confined", finite_features._confined.__wrapped__)  # no cache
    confined_finite_features_law(n, m, features, frequency_draws=100)
    assert len(seen) == 200
    for draw in range(5):
        w = np.random.default_rng([finite_features._SEED, n, features, draw]).standard_normal((features, n))
        s = np.linalg.eigvalsh(w.T @ w / features)
        np.testing.assert_allclose(seen[2 * draw], (s.sum() / (2 * mu), (s**2).sum() / (2 * mu**2)), rtol=1e-12)
        np.testing.assert_allclose(seen[2 * draw + 1], (n / (2 * mu), n / (2 * mu**2)), rtol=1e-12)


def test_moments_of_a_sum_with_an_independent_term():
    """c = f + T: E c = E f + mean, E c^2 = E f^2 + 2 mean E f + mean^2 + variance."""
    sums = np.array([[2.0], [3.0], [7.0]])  # weights, of f, of f^2
    np.testing.assert_allclose(
        finite_features._with_kinetic(sums, 0.5, 0.25), [[2.0], [3 + 0.5 * 2], [7 + 2 * 0.5 * 3 + (0.25 + 0.25) * 2]]
    )


@pytest.mark.parametrize("n", [1000, 1001, 3000])
def test_coin_flips_are_binomial_on_both_sides_of_the_change_of_formula(n):
    """Whole-number binomials up to 1,000 coins, gamma functions beyond: both are C(n, k) / 2^n and sum to 1."""
    frame = law("coin_flip", n)
    for k in (0, 1, n // 3, n // 2, n):
        exact = math.log(math.comb(n, k)) - n * math.log(2)
        assert frame["log_fraction"][k] == pytest.approx(exact, rel=1e-10, abs=1e-8)
    assert frame["fraction"].sum() == pytest.approx(1, abs=1e-8)
