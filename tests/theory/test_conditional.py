"""P(index | energy) of the spherical spin model: against the law of the indices, and against sampled matrices."""

import numpy as np
import pytest

from simcore.errors import InputError
from simcore.theory.conditional import spin_index_given_energy, spin_index_in_bands
from simcore.theory.spin import spherical_spin_law


@pytest.mark.parametrize(("n", "p"), [(2, 3), (5, 2), (6, 4), (9, 3), (20, 3)])
def test_bands_add_up_to_the_law_of_the_indices(n, p):
    shares, fractions = spin_index_in_bands(n, [-np.inf, -1.1, -0.3, 0.0, 0.4, np.inf], p)
    law = spherical_spin_law(n, p).sort_values("morse_index")["fraction"].to_numpy(float)
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(fractions.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(shares @ fractions, law, atol=1e-12)


def test_a_narrow_band_is_the_law_at_its_energy():
    given = spin_index_given_energy(7, [-0.9], 3)
    _, band = spin_index_in_bands(7, [-0.9 - 1e-4, -0.9 + 1e-4], 3)
    np.testing.assert_allclose(band, given, atol=1e-6)


def test_the_law_against_sampled_hessians():
    """H = G - y with weight |det H|, 2e5 matrices: shares to 4 standard errors (the seed is fixed)."""
    n, p, energy, count = 5, 3, -0.7, 200_000
    a = np.random.default_rng(5).standard_normal((count, n - 1, n - 1))
    levels = np.linalg.eigvalsh((a + a.transpose(0, 2, 1)) / np.sqrt(2)) - energy * np.sqrt(p * n / (p - 1))
    weight, index = np.abs(levels).prod(axis=1), (levels < 0).sum(axis=1)
    exact = spin_index_given_energy(n, [energy], p)[0]
    for k in range(n):
        hit = index == k
        share = weight[hit].sum() / weight.sum()
        se = np.sqrt(((hit - share) ** 2 * weight**2).sum()) / weight.sum()
        assert abs(share - exact[k]) < 4 * se + 1e-6


def test_minima_are_likeliest_far_below_and_maxima_far_above():
    law = spin_index_given_energy(8, [-1.7, 0.0, 1.7], 3)
    assert law[0, 0] > 0.99 and law[2, -1] > 0.99
    assert law[1, 0] < 1e-3
    np.testing.assert_allclose(law[0], law[2][::-1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("n", "edges", "p"),
    [(1, [0, 1], 3), (5, [1, 0], 3), (5, [0.5], 3), (99, [0, 1], 3), *((5, [0, 1], p) for p in (1, True, 2.5))],
)
def test_what_has_no_law_is_refused(n, edges, p):
    with pytest.raises(InputError):
        spin_index_in_bands(n, edges, p)
