"""The law of a Gaussian field of finitely many random waves."""

import math

import numpy as np
import pytest
from scipy.stats import norm

import simcore
from simcore.errors import InputError
from simcore.theory.finite_features import confined_finite_features_law, finite_features_law
from simcore.theory.gaussian import gaussian_field_law


@pytest.mark.parametrize("n, features", [(1, 3), (2, 6), (3, 40)])
def test_agrees_with_kac_rice_as_it_stands(n, features):
    """No whitening, no control variate: frequencies, coefficients, Hessian. False-alarm rate 1e-4 a test."""
    random = np.random.default_rng(features)
    count = 100_000
    w = random.standard_normal((count, features, n))
    a = random.standard_normal((count, features)) / math.sqrt(features)
    hessian = -np.einsum("sm,smi,smj->sij", a, w, w)
    gradient = np.einsum("smi,smj->sij", w, w) / features
    eigenvalues = np.linalg.eigvalsh(hessian)
    weight = np.abs(eigenvalues.prod(axis=1)) / np.sqrt(np.linalg.det(gradient)) * (2 * math.pi) ** (-n / 2)
    index, cost = (eigenvalues < 0).sum(axis=1), a.sum(axis=1)
    law = finite_features_law(n, features, frequency_draws=400)
    z = []
    for k in range(n + 1):
        terms = weight * (index == k)
        error = math.hypot(terms.std() / math.sqrt(count), law["mean_count_se"][k])
        z.append((terms.mean() - law["mean_count"][k]) / error)
        centred = terms * (cost - law["mean_cost"][k])
        z.append(centred.mean() / (centred.std() / math.sqrt(count)))
    # The law's own error of the mean cost is not in the denominator; 1.3 allows for it.
    assert np.abs(z).max() < 1.3 * norm.isf(1e-4 / 2 / len(z))


@pytest.mark.parametrize("n, m, features", [(1, 0.5, 3), (2, 0.5, 6), (3, 1.0, 40)])
def test_a_confined_field_agrees_with_kac_rice_as_it_stands(n, m, features):
    """As above, integrated over x: mu^-n E |det(mu I + Hess V)|. False-alarm rate 1e-4 a test."""
    random = np.random.default_rng(100 + features)
    count, mu = 100_000, m * math.sqrt(n)
    w = random.standard_normal((count, features, n))
    a, b = random.standard_normal((2, count, features)) / math.sqrt(features)
    eigenvalues = mu - np.linalg.eigvalsh(np.einsum("sm,smi,smj->sij", a, w, w))
    gradient = np.einsum("sm,smi->si", b, w)
    weight = np.abs(eigenvalues.prod(axis=1)) / mu**n
    index, cost = (eigenvalues < 0).sum(axis=1), a.sum(axis=1) + (gradient**2).sum(axis=1) / (2 * mu)
    law = confined_finite_features_law(n, m, features, frequency_draws=400)
    z = []
    for k in range(n + 1):
        terms = weight * (index == k)
        z.append((terms.mean() - law["mean_count"][k]) / math.hypot(terms.std() / count**0.5, law["mean_count_se"][k]))
        centred = terms * (cost - law["mean_cost"][k])
        z.append(centred.mean() / (centred.std() * math.sqrt(1 / count + 1 / 400)))  # the law's own sets at the worst
    assert np.abs(z).max() < norm.isf(1e-4 / 2 / len(z))
    euler = (law["mean_count"] * (-1.0) ** law["morse_index"]).sum()
    assert abs(euler - 1) < 5 * np.sqrt((law["mean_count_se"] ** 2).sum())


def test_a_confined_field_of_many_features_reaches_the_exact_law():
    law = simcore.expected_counts(simcore.ConfinedField(3, 0.5, 5_000, "random"), finite_features=True)
    exact = simcore.expected_counts(simcore.ConfinedField(3, 0.5, 5_000, "random"))
    assert law.attrs["unit"] == exact.attrs["unit"] == "per draw"
    assert (np.abs(law["mean_count"] - exact["mean_count"]) < 6 * law["mean_count_se"]).all()
    np.testing.assert_allclose(law["mean_count"], exact["mean_count"], rtol=0.005)
    np.testing.assert_allclose(law["mean_cost"], exact["mean_cost"], atol=0.01)
    np.testing.assert_allclose(law["sd_cost"], exact["sd_cost"], atol=0.01)


@pytest.mark.parametrize("n, deficit", [(2, 0.05), (3, 0.08), (5, 0.16)])
def test_few_features_lower_the_density(n, deficit):
    """Known sizes of the effect at 64 features, to about a hundredth (deficits were measured by another program)."""
    law = finite_features_law(n, 64, frequency_draws=300)
    ratio = law["mean_count"].sum() / gaussian_field_law(n).attrs["total"]
    assert 1 - ratio == pytest.approx(deficit, abs=0.012 + 4 * law.attrs["total_se"] / law.attrs["total"])


def test_many_features_reach_the_exact_law():
    law, exact = finite_features_law(3, 20_000, frequency_draws=100), gaussian_field_law(3)
    z = (law["mean_count"] - exact["mean_count"]) / law["mean_count_se"]
    assert np.abs(law["mean_count"] / exact["mean_count"] - 1).max() < 0.005
    assert np.abs(z).max() < 6
    np.testing.assert_allclose(law["mean_cost"], exact["mean_cost"], atol=0.01)
    np.testing.assert_allclose(law["sd_cost"], exact["sd_cost"], atol=0.01)


def test_precision_reproducibility_and_shape():
    law = finite_features_law(6, 512, frequency_draws=200)
    assert list(law["morse_index"]) == list(range(7))
    assert (law["mean_count_se"] / law["mean_count"]).max() < 0.02
    assert law["fraction"].sum() == pytest.approx(1)
    assert law.equals(finite_features_law(6, 512, frequency_draws=200))
    assert law.attrs["unit"] == "per unit volume"


def test_isotropic_frequencies_are_exact():
    law, exact = finite_features_law(4, 1024, "isotropic"), gaussian_field_law(4)
    np.testing.assert_array_equal(law["mean_count"], exact["mean_count"])
    assert (law["mean_count_se"] == 0).all()
    # n = 4: single type m = 2, l2 = 1/2, Var f = 2/3.
    np.testing.assert_allclose(law["sd_cost"] ** 2, exact["sd_cost"] ** 2 - 1 / 3, rtol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: finite_features_law(0, 10),
        lambda: finite_features_law(21, 100),
        lambda: finite_features_law(3, 2),
        lambda: finite_features_law(3, 64, "cubic"),
        lambda: finite_features_law(3, 64, frequency_draws=1),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(InputError):
        call()
