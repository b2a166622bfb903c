"""The exact laws against closed cases, an independent table, topology, and direct sampling of random matrices."""

import json
import math

import numpy as np
import pytest
from places import DATA
from scipy.linalg import eigvalsh_tridiagonal
from scipy.stats import norm

from simcore.errors import InputError
from simcore.landscapes.frequencies import isotropic_frequencies
from simcore.theory.coin_flip import coin_flip_law
from simcore.theory.confined import confined_field_law
from simcore.theory.frames import log_saddles_over_minima
from simcore.theory.gaussian import gaussian_field_law, torus_field_law, torus_moments
from simcore.theory.goe import goe_density, goe_law
from simcore.theory.spin import spherical_spin_law

TABLE = json.loads((DATA / "exact_laws.json").read_text())


def bound(comparisons, family_wise=1e-4):
    """Largest |z| allowed so that a correct law fails a test of this many comparisons with probability family_wise."""
    return norm.isf(family_wise / 2 / comparisons)


def alternating_sum(law):
    return float(np.sum(law["mean_count"] * (-1.0) ** law["morse_index"]))


# ---- against the table -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 12])
def test_gaussian_field_agrees_with_the_table_at_every_index(n):
    law, known = gaussian_field_law(n), TABLE["gaussian_field"][str(n)]
    assert law.attrs["unit"] == "per unit volume" and law.attrs["complete"]
    assert law.attrs["total"] == pytest.approx(known["density_total"], rel=1e-12)
    np.testing.assert_allclose(law["fraction"], known["fraction"], rtol=1e-9)
    np.testing.assert_allclose(law["mean_cost"], known["mean_f"], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(law["sd_cost"], known["sd_f"], rtol=1e-8)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 12, 20, 50, 100])
def test_minima_of_gaussian_field_agree_with_the_table_up_to_a_hundred_dimensions(n):
    law, known = gaussian_field_law(n), TABLE["gaussian_field_minima"][str(n)]
    assert law.attrs["log_total"] == pytest.approx(known["log_density_total"], abs=1e-11)
    assert law["log_mean_count"][0] == pytest.approx(known["log_density_min"], abs=2e-9)
    assert law["log_fraction"][0] == pytest.approx(known["log_fraction_min"], abs=2e-9)
    assert law["mean_cost"][0] == pytest.approx(known["mean_f_min"], abs=2e-9)
    assert law["sd_cost"][0] == pytest.approx(known["sd_f_min"], abs=2e-9)
    if n > 1:
        assert log_saddles_over_minima(law) == pytest.approx(known["log_saddles_over_minima"], abs=2e-9)


@pytest.mark.parametrize("key", list(TABLE["spherical_spin"]))
def test_spherical_spin_agrees_with_the_table(key):
    p, n = map(int, key.split(","))
    law, known = spherical_spin_law(n, p), TABLE["spherical_spin"][key]
    np.testing.assert_allclose(law["mean_count"], known["N_k"], rtol=1e-11)
    np.testing.assert_allclose(law["mean_cost"], known["mean_u"], rtol=0, atol=1e-11)
    np.testing.assert_allclose(law["sd_cost"], known["sd_u"], rtol=1e-10)
    assert law.attrs["total"] == pytest.approx(known["total_1pt"], rel=1e-11)


@pytest.mark.parametrize("key", list(TABLE["confined_field"]))
def test_confined_field_agrees_with_the_table(key):
    n, m = key.split(",")
    law, known = confined_field_law(int(n), float(m)), TABLE["confined_field"][key]
    np.testing.assert_allclose(law["mean_count"], known["N_k"], rtol=1e-10, atol=1e-14)  # the table's own rounding
    assert law.attrs["total"] == pytest.approx(known["total"], rel=1e-11)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_plain_goe_agrees_with_closed_forms(n):
    assert goe_law(n)["fraction"][0] == pytest.approx(float(TABLE["goe_all_positive"][str(n)]["value"]), rel=1e-9)


# ---- closed cases ------------------------------------------------------------------------------------------------


def test_one_dimension_is_the_rice_formula():
    # Zeros of f' per unit length: sqrt(E f''^2 / E f'^2) / pi.
    assert gaussian_field_law(1).attrs["total"] == pytest.approx(math.sqrt(3) / math.pi, rel=1e-12)


def test_the_plane_has_minima_saddles_and_maxima_as_one_two_one():
    np.testing.assert_allclose(gaussian_field_law(2)["fraction"], [0.25, 0.5, 0.25], rtol=1e-12)


def test_three_dimensions_agree_with_bardeen_bond_kaiser_szalay():
    fraction = gaussian_field_law(3)["fraction"]
    root = 6 * math.sqrt(6)
    assert fraction[1] / fraction[0] == pytest.approx((29 + root) / (29 - root), rel=1e-11)


@pytest.mark.parametrize("p", [2, 3, 4, 9])
def test_two_spins_have_a_closed_total(p):
    assert spherical_spin_law(2, p).attrs["total"] == pytest.approx(2 * math.sqrt(3 * p - 2), rel=1e-11)


@pytest.mark.parametrize("n", [2, 3, 6, 17, 51])
def test_a_quadratic_form_has_two_critical_points_of_every_index(n):
    law = spherical_spin_law(n, 2)
    np.testing.assert_allclose(law["mean_count"], 2.0, rtol=1e-9)


def test_the_circle_draw_is_a_cosine_with_rayleigh_amplitude():
    # One wave: one minimum at -R and one maximum at R, R Rayleigh: mean sqrt(pi/2), variance 2 - pi/2.
    law = torus_field_law(1)
    np.testing.assert_allclose(law["mean_count"], 1.0, rtol=1e-12)
    np.testing.assert_allclose(law["mean_cost"], [-math.sqrt(math.pi / 2), math.sqrt(math.pi / 2)], rtol=1e-12)
    np.testing.assert_allclose(law["sd_cost"], math.sqrt(2 - math.pi / 2), rtol=1e-11)


def test_torus_moments_are_those_of_the_frequencies():
    for n in range(2, 8):
        k, w = isotropic_frequencies(n)
        k = k.astype(float)
        l2, l22 = torus_moments(n)
        assert l2 == pytest.approx(w @ k[:, 0] ** 2, rel=1e-12)
        assert l22 == pytest.approx(w @ (k[:, 0] ** 2 * k[:, 1] ** 2), rel=1e-12)
    assert torus_moments(1)[0] == 1.0


@pytest.mark.parametrize("n, total", [(2, 4.8368), (3, 13.4972), (4, 42.2090)])
def test_torus_totals(n, total):
    law = torus_field_law(n)
    assert law.attrs["unit"] == "per draw"
    assert law.attrs["total"] == pytest.approx(total, rel=1e-5)
    np.testing.assert_allclose(law["fraction"], gaussian_field_law(n)["fraction"], rtol=1e-12)


def test_coin_flips_are_binomial_and_exact_only_up_to_the_plane():
    np.testing.assert_allclose(coin_flip_law(5)["fraction"] * 32, [1, 5, 10, 10, 5, 1], rtol=1e-13)
    assert log_saddles_over_minima(coin_flip_law(400)) == pytest.approx(400 * math.log(2), rel=1e-12)
    excess = [1 / (gaussian_field_law(n)["fraction"][0] * 2**n) - 1 for n in (1, 2, 3, 4, 6, 8)]
    np.testing.assert_allclose(excess, [0, 0, 0.014, 0.05, 0.16, 0.34], atol=0.01)


def test_ratios_of_the_gaussian_field():
    ratios = [math.exp(log_saddles_over_minima(gaussian_field_law(n))) for n in (2, 3, 4, 5, 8, 12)]
    np.testing.assert_allclose(ratios, [2, 6.1102, 14.698, 32.878, 339.14, 8048.1], rtol=4e-5)  # the digits in print
    assert log_saddles_over_minima(gaussian_field_law(1)) is None


# ---- structure ---------------------------------------------------------------------------------------------------

LAWS = [
    *[(f"gaussian {n}", gaussian_field_law, (n,), 0) for n in (1, 2, 7, 16, 31, 50)],
    *[(f"torus {n}", torus_field_law, (n,), 0) for n in (1, 2, 7, 50)],
    *[(f"spin {n} {p}", spherical_spin_law, (n, p), 1 + (-1) ** (n - 1)) for n in (2, 7, 12, 40) for p in (2, 3, 20)],
    *[(f"confined {n} {m}", confined_field_law, (n, m), 1) for n in (1, 4, 11) for m in (0.1, 0.9, 2.0)],
]


@pytest.mark.parametrize("name, function, arguments, euler", LAWS, ids=[row[0] for row in LAWS])
def test_indices_sum_to_the_one_point_total_and_alternately_to_the_euler_characteristic(
    name, function, arguments, euler
):
    """Both sums are known without the Pfaffian: the total from the density of GOE_{n+1}, the other from topology."""
    law = function(*arguments)
    assert law["fraction"].sum() == pytest.approx(1, abs=1e-10)
    assert alternating_sum(law) == pytest.approx(euler, abs=1e-9 * law.attrs["total"])
    assert law.attrs["relative_error"] < 1e-7
    assert list(law.columns[:5]) == ["morse_index", "mean_count", "fraction", "mean_cost", "sd_cost"]
    if "confined" not in name:
        np.testing.assert_allclose(law["mean_count"], law["mean_count"][::-1], rtol=1e-10)
        np.testing.assert_allclose(law["mean_cost"], -law["mean_cost"][::-1], atol=1e-9)


@pytest.mark.parametrize("n", [1, 2, 9, 20, 50])
def test_plain_goe_sums_to_one(n):
    law = goe_law(n)
    assert law["fraction"].sum() == pytest.approx(1, abs=1e-10)
    # ln P_0 -> -(ln 3/4) n^2, from below
    assert law["log_fraction"][0] / n**2 < -math.log(3) / 4


def test_density_of_goe_integrates_to_its_order():
    y = np.linspace(-40, 40, 4001)
    for order in (1, 2, 5, 51, 200):
        assert goe_density(order, y).sum() * (y[1] - y[0]) == pytest.approx(order, rel=1e-12)


def test_beyond_fifty_dimensions_only_the_outer_indices_are_listed():
    law = gaussian_field_law(100)
    assert not law.attrs["complete"] and list(law["morse_index"]) == [*range(6), *range(95, 101)]
    assert list(confined_field_law(60, 0.5)["morse_index"]) == list(range(6))


def test_the_listed_and_the_complete_ways_meet(monkeypatch):
    """n = 48 computed as if it were beyond the complete range: another grid, other radii, the total by another way."""
    complete = gaussian_field_law(48)
    ratio = log_saddles_over_minima(complete)
    from simcore.theory import gaussian, order_statistics

    monkeypatch.setattr(order_statistics, "ALL_INDICES_UP_TO", 10)
    gaussian._unit_field.cache_clear()
    listed = gaussian_field_law(48)
    gaussian._unit_field.cache_clear()
    assert not listed.attrs["complete"]
    both = complete.set_index("morse_index").loc[listed["morse_index"]]
    np.testing.assert_allclose(listed["log_mean_count"], both["log_mean_count"], atol=1e-9)
    assert log_saddles_over_minima(listed) == pytest.approx(ratio, rel=1e-10)


@pytest.mark.parametrize("n, m", [(2, 40.0), (3, 25.0)])
def test_one_minimum_is_left_where_the_confinement_is_very_strong(n, m):
    law = confined_field_law(n, m)
    assert law.attrs["total"] == pytest.approx(1, abs=1e-9)
    assert law["fraction"][0] == pytest.approx(1, abs=1e-9)
    assert alternating_sum(law) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("n, m", [(20, 3.0), (50, 2.0)])
def test_strong_confinement_keeps_every_index_and_the_euler_sum(n, m):
    """Counts down to e^-349: far outside the shares of one radius, so found by searching for radii."""
    law = confined_field_law(n, m)
    assert law["log_mean_count"].iloc[-1] < -190 and (np.diff(law["log_mean_count"]) < 0).all()
    assert alternating_sum(law) == pytest.approx(1, abs=1e-9)
    assert law.attrs["relative_error"] < 1e-7


@pytest.mark.parametrize(
    "call",
    [
        lambda: gaussian_field_law(0),
        lambda: gaussian_field_law(201),
        lambda: gaussian_field_law(2.5),
        lambda: torus_field_law(True),
        lambda: spherical_spin_law(0, 3),
        lambda: spherical_spin_law(4, 1),
        lambda: confined_field_law(3, 0.0),
        lambda: confined_field_law(3, math.nan),
        lambda: goe_law(-1),
        lambda: coin_flip_law(0),
    ],
)
def test_bad_sizes_are_refused(call):
    with pytest.raises(InputError):
        call()


# ---- direct sampling (fixed seeds; false-alarm rate 1e-4 a test) -------------------------------------------------


def goe(random, n, count):
    a = random.standard_normal((count, n, n))
    return (a + np.swapaxes(a, 1, 2)) / math.sqrt(2)


@pytest.mark.statistical
@pytest.mark.parametrize("n", [2, 3, 4])
def test_gaussian_field_by_weighted_random_matrices(n):
    """Kac-Rice as it stands: H = G - f I, weights |det H|."""
    random = np.random.default_rng(20_0 + n)
    count = 200_000
    f = random.standard_normal(count)
    eigenvalues = np.linalg.eigvalsh(goe(random, n, count)) - f[:, None]
    weight = np.abs(eigenvalues.prod(axis=1)) * (2 * math.pi) ** (-n / 2)
    index = (eigenvalues < 0).sum(axis=1)
    law = gaussian_field_law(n)
    z = []
    for k in range(n + 1):
        terms = weight * (index == k)
        z.append((terms.mean() - law["mean_count"][k]) / (terms.std() / math.sqrt(count)))
        costs = terms * (f - law["mean_cost"][k])
        z.append(costs.mean() / (costs.std() / math.sqrt(count)))
        squares = terms * ((f - law["mean_cost"][k]) ** 2 - law["sd_cost"][k] ** 2)
        z.append(squares.mean() / (squares.std() / math.sqrt(count)))
    assert np.abs(z).max() < bound(len(z))


def tridiagonal_eigenvalues(random, order, count):
    """Eigenvalues of GOE_order by the tridiagonal model of Dumitriu and Edelman, sorted."""
    diagonal = math.sqrt(2) * random.standard_normal((count, order))
    chi = np.sqrt(random.chisquare(np.arange(order - 1, 0, -1), size=(count, order - 1)))
    return np.stack([eigvalsh_tridiagonal(d, e) for d, e in zip(diagonal, chi, strict=True)])


@pytest.mark.statistical
@pytest.mark.parametrize("n, p", [(6, 3), (9, 4)])
def test_spherical_spin_by_order_statistics(n, p):
    """Auffinger, Ben Arous and Cerny's formula as it stands: order statistics of GOE_n, no determinants."""
    count = 20_000
    levels = tridiagonal_eigenvalues(np.random.default_rng(100 * n + p), n, count)
    weight = 2 * math.sqrt(2 / p) * (p - 1) ** (n / 2) * np.exp(-(p - 2) / (4 * p) * levels**2)
    law = spherical_spin_law(n, p)
    u = levels * math.sqrt((p - 1) / (p * n)) - law["mean_cost"].to_numpy()
    z = []
    for terms in (weight - law["mean_count"].to_numpy(), weight * u, weight * (u**2 - law["sd_cost"].to_numpy() ** 2)):
        z.extend(terms.mean(axis=0) / (terms.std(axis=0) / math.sqrt(count)))
    assert np.abs(z).max() < bound(len(z))


def test_gaussian_fractions_by_order_statistics():
    """N_k proportional to E_{GOE_{n+1}} exp(-l_{k+1}^2/4): ratios of neighbouring indices at n = 5."""
    n, count = 5, 20_000
    weight = np.exp(-(tridiagonal_eigenvalues(np.random.default_rng(5), n + 1, count) ** 2) / 4)
    fraction = gaussian_field_law(n)["fraction"].to_numpy()
    terms = weight[:, 1:] * fraction[:-1] - weight[:, :-1] * fraction[1:]
    z = terms.mean(axis=0) / (terms.std(axis=0) / math.sqrt(count))
    assert np.abs(z).max() < bound(n)


@pytest.mark.statistical
@pytest.mark.parametrize("n, m", [(2, 0.5), (3, 1.0)])
def test_confined_field_by_weighted_random_matrices(n, m):
    """Counts and costs from the joint law of value, gradient and Hessian at x: f = V + (mu/2)|x|^2, grad V = -mu x."""
    random = np.random.default_rng(7 * n)
    count, mu = 200_000, m * math.sqrt(n)
    value = random.standard_normal(count)
    x = random.standard_normal((count, n)) / mu
    eigenvalues = np.linalg.eigvalsh(goe(random, n, count)) - value[:, None] + mu
    weight = np.abs(eigenvalues.prod(axis=1)) * mu**-n
    index = (eigenvalues < 0).sum(axis=1)
    cost = value + mu / 2 * (x**2).sum(axis=1)
    law = confined_field_law(n, m)
    z = []
    for k in range(n + 1):
        here = weight * (index == k)
        for terms in (
            here - law["mean_count"][k],
            here * (cost - law["mean_cost"][k]),
            here * ((cost - law["mean_cost"][k]) ** 2 - law["sd_cost"][k] ** 2),
        ):
            z.append(terms.mean() / (terms.std() / math.sqrt(count)))
    assert np.abs(z).max() < bound(len(z))


def test_plain_goe_by_sampling():
    count = 40_000
    negative = (tridiagonal_eigenvalues(np.random.default_rng(4), 4, count) < 0).sum(axis=1)
    expected = goe_law(4)["fraction"].to_numpy()
    observed = np.bincount(negative, minlength=5) / count
    z = (observed - expected) / np.sqrt(expected * (1 - expected) / count)
    assert np.abs(z).max() < bound(5)


@pytest.mark.parametrize("p", [2, 3, 6])
def test_one_spin_has_the_two_points_of_its_sphere(p):
    law = spherical_spin_law(1, p)
    assert law["morse_index"].tolist() == [0]
    assert law["mean_count"][0] == pytest.approx(2)
    assert (law["mean_cost"][0], law["sd_cost"][0]) == (0, 1)  # f(+-1) = +-J with J standard normal
