"""Linear networks and asymptotic laws: table of a linear autoencoder, learning dynamics, many dimensions."""

import json
import math

import numpy as np
import pytest
from places import DATA
from scipy.integrate import solve_ivp

from simcore.errors import InputError
from simcore.theory.asymptotics import (
    confined_complexity,
    cost_of_index_fraction,
    log_minima_fraction,
    spin_complexity,
    spin_ground_state,
    spin_threshold,
)
from simcore.theory.confined import confined_field_law
from simcore.theory.gaussian import gaussian_field_law
from simcore.theory.linear import linear_autoencoder_table
from simcore.theory.saxe import half_time, mode_strength
from simcore.theory.spin import spherical_spin_law
from simcore.theory.wishart_wigner import critical_energy, index_fraction, lower_edge

TABLE = json.loads((DATA / "exact_laws.json").read_text())


def test_the_autoencoder_of_four_eigenvalues_and_two_hidden_units_agrees_with_the_table():
    values = (4.0, 3.0, 2.0, 1.0)
    frame = linear_autoencoder_table(values, 2)
    known = {tuple(sorted(e["subset"], reverse=True)): e for e in TABLE["linear_autoencoder_4321_p2"]}
    assert len(frame) == len(known) == 11
    for _, row in frame.iterrows():
        entry = known[tuple(sorted((values[i] for i in row["subset"]), reverse=True))]
        assert (row["rank"], row["loss"]) == (entry["rank"], entry["loss"])
        signs = (row["morse_index"], row["zero_directions"], row["positive"])
        assert signs == (entry["n_negative"], entry["n_zero"], entry["n_positive"])


def hessian_signs(values, subset, hidden):
    """Signs of the Hessian's eigenvalues at the balanced critical point of a subset, by differencing the gradient."""
    n = len(values)
    covariance = np.diag(values)
    encoder = np.zeros((hidden, n))
    for unit, i in enumerate(subset):
        encoder[unit, i] = 1.0

    def gradient(parameters):
        w1, w2 = parameters[: hidden * n].reshape(hidden, n), parameters[hidden * n :].reshape(n, hidden)
        error = (w2 @ w1 - np.eye(n)) @ covariance
        return np.concatenate([(w2.T @ error).ravel(), (error @ w1.T).ravel()])

    at = np.concatenate([encoder.ravel(), encoder.T.ravel()])
    assert np.abs(gradient(at)).max() < 1e-14
    step = 1e-4
    columns = [(gradient(at + step * e) - gradient(at - step * e)) / (2 * step) for e in np.eye(len(at))]
    eigenvalues = np.linalg.eigvalsh((np.array(columns) + np.array(columns).T) / 2)
    return int((eigenvalues < -1e-6).sum()), int((np.abs(eigenvalues) <= 1e-6).sum())


@pytest.mark.parametrize("values, hidden", [((5.0, 2.5, 1.0), 1), ((1.0, 2.5, 5.0), 2), ((4.0, 3.0, 1.5, 0.4), 3)])
def test_index_and_zero_directions_are_the_hessians(values, hidden):
    for _, row in linear_autoencoder_table(values, hidden).iterrows():
        assert hessian_signs(values, row["subset"], hidden) == (row["morse_index"], row["zero_directions"])


def test_only_the_global_minimum_has_index_zero():
    frame = linear_autoencoder_table(np.linspace(1, 2, 8) ** 2, 3)
    assert len(frame) == sum(math.comb(8, r) for r in range(4))
    lowest = frame[frame["morse_index"] == 0]
    assert len(lowest) == 1 and lowest["loss"].iloc[0] == frame["loss"].min()


@pytest.mark.parametrize(
    "values, hidden",
    [((1.0, 1.0), 1), ((1.0, -2.0), 1), ((1.0, 2.0), 3), ((1.0, 2.0), 0), ((), 1), ((1.0, math.nan), 1)],
)
def test_impossible_autoencoders_are_refused(values, hidden):
    with pytest.raises(InputError):
        linear_autoencoder_table(values, hidden)


def test_mode_strength_agrees_with_the_table_and_with_the_differential_equation():
    for entry in TABLE["saxe"]:
        s, u0 = entry["s"], entry["u0"]
        np.testing.assert_allclose(mode_strength(entry["t"], s, u0), entry["u"], rtol=1e-12)
        assert half_time(s, u0) == pytest.approx(entry["t_half"], rel=1e-13)
        assert mode_strength(half_time(s, u0, tau=3.0), s, u0, tau=3.0) == pytest.approx(s / 2, rel=1e-12)
        path = solve_ivp(lambda t, u, s=s: 2 * u * (s - u) / 1.5, (0, 2), [u0], rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(path.y[0], mode_strength(path.t, s, u0, tau=1.5), rtol=1e-7)
    assert mode_strength(1e6, 2.0, 0.1) == 2.0


def test_impossible_modes_are_refused():
    for s, u0, tau in ((0.0, 0.1, 1.0), (1.0, -0.1, 1.0), (1.0, 0.1, math.inf)):
        with pytest.raises(InputError):
            mode_strength(1.0, s, u0, tau=tau)
    with pytest.raises(InputError, match="at or above"):
        half_time(1.0, 1.0)


def test_thresholds_of_the_spin_model_agree_with_the_table():
    known = TABLE["p_spin_thresholds"]
    assert spin_threshold(3) == pytest.approx(known["E_inf"], rel=1e-14)
    for k in range(3):
        assert spin_ground_state(3, k) == pytest.approx(known[f"E_{k}"], abs=1e-11)
    for row in known["table"]:
        assert spin_complexity(row["u"], 3) == pytest.approx(row["total"], abs=1e-12)
        for k in range(3):
            assert spin_complexity(row["u"], 3, k) == pytest.approx(row[f"k{k}"], abs=1e-12)


def test_growth_of_the_ratio_tends_to_one_per_dimension():
    exact = {n: gaussian_field_law(n)["log_fraction"][0] for n in (70, 100)}
    slope = (exact[70] - exact[100]) / 30
    expected = (log_minima_fraction(70) - log_minima_fraction(100)) / 30
    assert slope == pytest.approx(expected, abs=0.02) and math.log(2) < slope < 1


def test_cost_against_index_approaches_the_limiting_curve():
    distance = []
    for n in (8, 20, 50):
        law = gaussian_field_law(n)
        curve = cost_of_index_fraction((law["morse_index"] + 0.5) / (n + 1))
        distance.append(np.abs(law["mean_cost"] / math.sqrt(n) - curve)[n // 4])
    assert distance[0] > distance[1] > distance[2] and distance[2] < 0.04
    np.testing.assert_allclose(cost_of_index_fraction([0, 0.5, 1], kappa=1.5), [-3, 0, 3], atol=1e-9)
    with pytest.raises(InputError):
        cost_of_index_fraction(1.2)


def test_complexities_are_approached_from_finite_sizes():
    total, minima = confined_complexity(0.4)
    laws = {n: confined_field_law(n, 0.4) for n in (10, 20, 40)}
    gap = [laws[n].attrs["log_total"] / n - total for n in laws]
    gap_minima = [laws[n]["log_mean_count"][0] / n - minima for n in laws]
    assert gap[0] > gap[1] > gap[2] > 0 and gap_minima[0] > gap_minima[1] > gap_minima[2] > 0
    growth = (laws[40].attrs["log_total"] - laws[20].attrs["log_total"]) / 20
    assert growth == pytest.approx(total, abs=0.02)
    assert confined_complexity(1.3) == (0.0, 0.0)
    # All critical points of the 3-spin model: (1/N) ln N_total -> ln(2)/2.
    rate = (spherical_spin_law(51, 3).attrs["log_total"] - spherical_spin_law(41, 3).attrs["log_total"]) / 10
    assert rate == pytest.approx(float(spin_complexity(0.0, 3)), abs=0.02)


@pytest.mark.parametrize("phi", [0.0, 0.1, 0.25, 0.5, 0.9, 1.0])
def test_the_spectrum_of_the_random_matrix_model_reaches_zero_at_the_critical_energy(phi):
    """The closed form of E_c against the edge of the resolvent's cubic, which does not use it."""
    critical = critical_energy(phi)
    assert lower_edge(max(critical, 0.0), phi) == pytest.approx(0.0, abs=1e-7)
    assert index_fraction(0.98 * max(critical, 0.0), phi) == 0.0
    if critical > 1e-3:
        near, far = (index_fraction(critical * (1 + d), phi) for d in (1e-4, 4e-4))
        assert math.log(far / near, 4) == pytest.approx(1.5, abs=0.002)


@pytest.mark.parametrize(("energy", "phi"), [(0.1, 0.25), (0.45, 0.5), (0.3, 1.0)])
def test_sampled_wishart_plus_wigner_matrices_have_the_index_fraction(energy, phi):
    n, rng = 600, np.random.default_rng(7)
    factor = rng.normal(size=(n, round(n / phi)))
    wigner = rng.normal(size=(n, n))
    h = factor @ factor.T / factor.shape[1] + math.sqrt(energy / n) * (wigner + wigner.T)
    w = np.linalg.eigvalsh(h)
    assert (w < 0).mean() == pytest.approx(index_fraction(energy, phi), abs=0.004)  # eigenvalues are rigid: about 1 / n
    assert w[0] == pytest.approx(lower_edge(energy, phi), abs=0.06)


@pytest.mark.parametrize(("energy", "phi"), [(0.1, -0.1), (0.1, 1.5), (-1.0, 0.5), (math.inf, 0.5)])
def test_the_random_matrix_model_refuses_what_it_is_not_for(energy, phi):
    with pytest.raises(InputError, match="give"):
        index_fraction(energy, phi)
