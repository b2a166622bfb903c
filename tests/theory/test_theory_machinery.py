"""Pfaffians and the weights of eigenvalue counts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import dblquad

from simcore.theory.counting import count_weights, log_normalisation
from simcore.theory.goe import log_mean_distance_product
from simcore.theory.order_statistics import fill
from simcore.theory.pfaffian import log_pfaffian


def skew(random, shape, order, kind):
    a = random.standard_normal((*shape, order, order))
    if kind == "complex":
        a = a + 1j * random.standard_normal(a.shape)
    return a - np.swapaxes(a, -1, -2)


def value(matrices):
    phase, log_modulus = log_pfaffian(matrices)
    return phase * np.exp(log_modulus)


def test_pfaffian_of_order_four():
    a = np.array([[0, 1, 2, 3], [-1, 0, 4, 5], [-2, -4, 0, 6], [-3, -5, -6, 0.0]])
    assert value(a) == pytest.approx(1 * 6 - 2 * 5 + 3 * 4)


@pytest.mark.parametrize("kind", ["real", "complex"])
@pytest.mark.parametrize("order", [2, 6, 12, 14, 30, 62])
def test_pfaffian_squared_is_the_determinant_and_transforms_like_one(order, kind):
    random = np.random.default_rng(order)
    a = skew(random, (3,), order, kind) / math.sqrt(order)
    np.testing.assert_allclose(value(a) ** 2, np.linalg.det(a), rtol=1e-9)
    b = random.standard_normal((order, order)) / math.sqrt(order)
    np.testing.assert_allclose(value(b @ a @ b.T), np.linalg.det(b) * value(a), rtol=1e-8)


def test_pfaffian_with_zero_pivots_and_of_a_singular_matrix():
    a = np.zeros((4, 4))
    a[0, 2], a[1, 3] = 3, 5  # Pf = -a02 a13
    a -= a.T
    assert value(a) == pytest.approx(-15)
    a[1, 3] = a[3, 1] = 0
    assert value(a) == 0


def test_an_odd_order_is_refused():
    with pytest.raises(ValueError, match="even order"):
        log_pfaffian(np.zeros((3, 3)))


@pytest.mark.parametrize("n, expected", [(1, 2 * math.sqrt(math.pi)), (2, 8 * math.sqrt(2 * math.pi) / math.sqrt(2))])
def test_normalisation(n, expected):
    """n = 1: int exp(-x^2/4); n = 2: int |a - b| exp(-(a^2 + b^2)/4) = sqrt(4 pi) 4 sqrt 2 / sqrt 2 in a +- b."""
    if n == 2:
        expected = math.sqrt(4 * math.pi) * 4 * math.sqrt(2)
    assert math.exp(log_normalisation(n)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("y", [-2.0, 0.3])
def test_two_eigenvalues_by_plain_quadrature(y):
    """q_k(y) and P_k(y) at n = 2 against integrals over the plane of the two eigenvalues."""

    def integral(k, distance):
        low = {0: (y, 16), 1: (-16, y), 2: (-16, y)}[k]
        high = {0: (y, 16), 1: (y, 16), 2: (-16, y)}[k]

        def density(b, a):  # a below y for k = 1; elsewhere a < b by symmetry
            weight = abs(a - b) * math.exp(-(a * a + b * b) / 4 - log_normalisation(2))
            return weight * (abs((a - y) * (b - y)) if distance else 1.0)

        if k == 1:
            return 2 * dblquad(density, *low, *high)[0]
        return 2 * dblquad(density, *low, lambda a: a, lambda a: high[1])[0]

    for distance in (True, False):
        weights = np.exp(count_weights(2, [y], distance=distance).log_weight[0])
        np.testing.assert_allclose(weights, [integral(k, distance) for k in range(3)], rtol=1e-7)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 30),
    place=st.floats(-1.1, 1.1),
    log_r=st.floats(-30, 30),
    distance=st.booleans(),
)
def test_a_weight_does_not_depend_on_the_radius_it_was_read_at(n, place, log_r, distance):
    """Another radius means another orthogonal basis, other matrices and other dominant counts: a second computation."""
    y = 2 * math.sqrt(n) * place
    plain = count_weights(n, [y], distance=distance)
    tilted = count_weights(n, [y], log_r=log_r, distance=distance)
    both = (plain.error < 1e-6) & (tilted.error < 1e-6)
    np.testing.assert_allclose(plain.log_weight[both], tilted.log_weight[both], atol=3e-6)
    best = min(plain.error.min(), tilted.error.min())
    assert best < 1e-10  # some count is always known well


@pytest.mark.parametrize("n", [1, 2, 5, 20, 60])
def test_weights_sum_to_the_one_point_function(n):
    y = np.linspace(-2.2, 2.2, 9) * math.sqrt(n)
    weights = count_weights(n, y)
    total = np.logaddexp.reduce(weights.log_weight, axis=1)
    np.testing.assert_allclose(total, log_mean_distance_product(n, y), atol=1e-9)
    plain = np.logaddexp.reduce(count_weights(n, y, distance=False).log_weight, axis=1)
    np.testing.assert_allclose(plain, 0, atol=1e-9)


def test_every_count_is_filled_in_and_log_concave():
    """At the middle level of n = 24 the weights span 120 decades; the mirror image is computed independently."""
    n = 24
    log_weight, error = fill(n, np.zeros(1), None, np.ones(n + 1, dtype=bool))
    assert np.ptp(log_weight) > 150 and error.max() < 1e-6
    np.testing.assert_allclose(log_weight[0], log_weight[0, ::-1], atol=1e-6)
    assert (np.diff(log_weight[0], 2) < 0).all()
