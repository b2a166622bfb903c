"""The network studies: their reference data recomputed, their estimates, and each study on a few starts."""

import json

import mpmath
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from simcore_analysis.studies import (
    baldi_hornik_1989,
    choromanska_2014,
    deeper_linear,
    pennington_bahri_2017,
    small_network_minima,
    weight_symmetry,
)
from simcore_analysis.studies.dauphin_2014 import sign_of, tied_units, without_means
from simcore_analysis.studies.pennington_bahri_2017 import fitted
from simcore_analysis.studies.proportions import correlation, counted_exactly, share, spread_ratio, up_to_rounding
from simcore_analysis.studies.runs import SEED
from simcore_analysis.studies.study import write_study
from simcore_analysis.studies.verdicts import Claim, judge

import simcore
from simcore import find_critical_points
from simcore.landscapes import registry
from simcore.search.solvers import solver_from_dict


@pytest.mark.parametrize("name", ["one_weight", "plane"])
def test_reference_minima_of_the_sigmoid_unit_at_fifty_digits(name):
    facts = small_network_minima.known()[name]
    with mpmath.workdps(50):
        points = [[mpmath.mpf(v) for v in row] for row in facts["inputs"]]
        targets = [mpmath.mpf(repr(t)) for t in facts["targets"]]
        d = len(points[0])

        def parts(w):
            """Cost, gradient and Hessian from the definition, one point at a time."""
            cost, g, h = mpmath.mpf(0), mpmath.zeros(d, 1), mpmath.zeros(d, d)
            for v, t in zip(points, targets, strict=True):
                s = 1 / (1 + mpmath.exp(-mpmath.fdot(w, v)))
                ds = s * (1 - s)
                cost += (t - s) ** 2
                for i in range(d):
                    g[i] += 2 * (s - t) * ds * v[i]
                    for j in range(d):
                        h[i, j] += 2 * (ds**2 + (s - t) * ds * (1 - 2 * s)) * v[i] * v[j]
            return cost, g, h

        for minimum in facts["minima"]:
            w = mpmath.matrix([mpmath.mpf(repr(v)) for v in minimum["w"]])
            for _ in range(6):
                _, g, h = parts(list(w))
                w = w - mpmath.lu_solve(h, g)
            cost, g, h = parts(list(w))
            assert mpmath.norm(g) < mpmath.mpf(10) ** -40
            np.testing.assert_allclose([float(c) for c in w], minimum["w"], rtol=1e-14)
            assert float(cost) == pytest.approx(minimum["cost"], rel=1e-15)
            np.testing.assert_allclose([float(e) for e in mpmath.eigsy(h)[0]], minimum["eigenvalues"], rtol=1e-12)
            sides = [(mpmath.fdot(list(w), v) > 0) != (t > 0.5) for v, t in zip(points, targets, strict=True)]
            assert sum(sides) == minimum["misclassified"]


def test_shares_have_exact_binomial_intervals():
    e = share(0, 100)(0.95)
    assert e.value == 0 == e.low
    assert e.high == pytest.approx(1 - 0.025 ** (1 / 100))
    e = share(30, 100)(0.9)
    assert stats.binom.sf(29, 100, e.low) == pytest.approx(0.05)
    assert stats.binom.cdf(30, 100, e.high) == pytest.approx(0.05)
    assert share(100, 100)(0.95).high == 1


def test_a_count_agrees_with_itself_alone():
    claims = [Claim("found", 11.0, "", counted_exactly(k), 0.5) for k in (11, 10)]
    assert [entry["verdict"] for entry in judge(claims)] == ["agrees", "disagrees"]
    claims = [Claim("equal", 0.0, "", up_to_rounding(difference), 1e-9) for difference in (1e-13, 1e-3)]
    assert [entry["verdict"] for entry in judge(claims)] == ["agrees", "disagrees"]


def test_the_sign_of_a_correlation_is_uncertain_where_there_is_none():
    rng = np.random.default_rng(1)
    x = rng.normal(size=200)
    for y, low in ((x + 0.1 * rng.normal(size=200), 1.0), (rng.normal(size=200), -1.0)):
        e = sign_of(correlation(x, y))(0.95)
        assert (e.low, e.high) == (low, 1.0)
    assert sign_of(correlation(x, -x + 0.1 * rng.normal(size=200)))(0.95).high == -1.0


def test_an_exponent_is_recovered():
    energy = np.linspace(0.3, 0.6, 200)
    fraction = 2.0 * np.maximum(energy - 0.35, 0) ** 1.5 + 1e-3 * np.random.default_rng(1).normal(size=200)
    assert fitted(fraction, energy)[2] == pytest.approx(1.5, abs=0.1)


def test_an_exponent_is_recovered_from_draws_with_onsets_of_their_own():
    """Four draws whose onsets differ by far more than their points scatter: the minimisers of each say where it is."""
    rng = np.random.default_rng(1)
    saddles, minima = [], []
    for draw, onset in enumerate((0.2, 0.3, 0.4, 0.5)):
        energy = onset + np.linspace(0.01, 0.3, 40)
        fraction = 2.0 * (energy - onset) ** 1.5 + 1e-3 * rng.normal(size=40)
        saddles.append(pd.DataFrame({"draw": draw, "fraction": np.maximum(fraction, 0), "energy": energy}))
        minima.append(pd.DataFrame({"draw": draw, "morse_index": 0, "energy": onset + 1e-3 * rng.normal(size=5)}))
    found = pennington_bahri_2017.Found(0.5, pd.concat(saddles), pd.concat(minima))
    assert found.exponent().value == pytest.approx(1.5, abs=0.1)
    assert found.critical().value == pytest.approx(0.35, abs=0.01)
    assert found.left_out == 0


def test_images_not_trained_on_are_reduced_as_those_that_are():
    inputs, labels = choromanska_2014.unseen()
    network = choromanska_2014.network(1)
    seen, one_hot = network.data.load()
    assert inputs.shape == (choromanska_2014.IMAGES - choromanska_2014.SAMPLES, 10)
    assert len(seen) == choromanska_2014.SAMPLES
    inputs, labels = inputs[::4], labels[::4]
    nearest = ((inputs[:, None] - seen) ** 2).sum(axis=2).argmin(axis=1)  # a reduction of another kind would mix digits
    assert (one_hot[nearest].argmax(axis=1) == labels.argmax(axis=1)).mean() > 0.9


@pytest.mark.parametrize("hidden", [25, 500])
def test_starts_of_every_width_are_functions_of_the_same_size(hidden):
    network = choromanska_2014.network(hidden)
    x = choromanska_2014.starts(hidden, 3, 40)
    np.testing.assert_array_equal(x[5:], choromanska_2014.starts(hidden, 8, 35))
    outputs = network.draw(seed=SEED).outputs(x)
    # half of W_1 x + b_1 passes a rectified unit: variance (1 + 1 / 10) / 2 + 1 / h; the tolerance is 6 standard errors
    assert outputs.std() == pytest.approx(np.sqrt(0.55 + 1 / hidden), rel=6 / np.sqrt(2 * 40 * 10))


def test_the_directions_of_rescaling_keep_a_rectified_network_the_same_function():
    rng = np.random.default_rng(3)
    point = rng.normal(size=4 * 3 + 1)
    network = simcore.MLP((2, 3, 1), "relu", "mse", (rng.normal(size=(20, 2)), rng.normal(size=(20, 1))))
    draw = network.draw(seed=0)
    t = weight_symmetry.rescalings(3, point)
    assert np.linalg.matrix_rank(t) == 3
    np.testing.assert_allclose(t @ draw.gradient(point[None])[0], 0, atol=1e-13)
    step = 1e-6 * t
    np.testing.assert_allclose(draw.value(point + step), draw.value(point[None])[0], rtol=1e-11)


def test_without_the_means_of_their_sources_points_keep_the_trend_within_alone():
    rng = np.random.default_rng(4)
    source = np.repeat(["a", "b"], 50)
    cost = np.where(source == "a", 0.0, 5.0) + rng.normal(size=100)
    fraction = np.where(source == "a", 0.0, 5.0) - 0.5 * (cost - np.where(source == "a", 0.0, 5.0))
    points = pd.DataFrame({"source": source, "data_cost": cost, "error": cost, "fraction": fraction})
    assert np.corrcoef(points.data_cost, points.fraction)[0, 1] > 0.5
    moved = without_means(points)
    assert np.corrcoef(moved.data_cost, moved.fraction)[0, 1] == pytest.approx(-1)


def test_a_ratio_of_two_spreads_has_an_interval_that_holds_it():
    rng = np.random.default_rng(5)
    e = spread_ratio(3 * rng.normal(size=300), rng.normal(size=300))(0.99)
    assert e.low < 3 < e.high < 4
    assert e.low > 2


def test_tied_and_dead_units_are_counted():
    rng = np.random.default_rng(2)
    w, b, v = rng.normal(size=(5, 10)), rng.normal(size=5), rng.normal(size=(10, 5))

    def point():
        return np.concatenate([w.ravel(), b, v.ravel(), np.zeros(10)])

    assert tied_units(point()) == 0
    w[3], b[3], v[:, 3] = w[1], b[1], v[:, 1]
    assert tied_units(point()) == 1
    w[0], b[0], v[:, 0] = 0, 0, 0
    assert tied_units(point()) == 2


@pytest.fixture
def in_process(monkeypatch):
    """Let studies search in this process instead of running sweeps; return a function that sets a module's plan."""

    def searched(out, landscapes, *, draws, seed, method, starts, solver=None, **search):
        assert method == "newton"
        return find_critical_points(
            registry.from_dict(landscapes[0]), draws=draws, starts=starts, seed=seed, threads=1,
            solver=solver_from_dict(dict(solver or {})), **search,
        )  # fmt: skip

    def plan(module, **values):
        monkeypatch.setattr(module, "compute", searched)
        for name, value in values.items():
            monkeypatch.setattr(module, name, value)
        return module.STUDY

    monkeypatch.setattr(simcore, "load", lambda rows: rows)
    return plan


def test_baldi_hornik_on_few_starts(in_process, tmp_path):
    entries = write_study(in_process(baldi_hornik_1989, STARTS={False: (600, 8, 6)}), False, tmp_path)
    verdicts = {entry["claim"]: entry["verdict"] for entry in entries}
    found = next(claim for claim in verdicts if claim.endswith("eigenvectors) found"))
    assert verdicts[found] == "agrees"
    assert "disagrees" not in verdicts.values()
    files = {"table.md", "table.tex", "table.csv", "figure.png", "figure.pdf", "verdict.json"}
    assert {p.name for p in tmp_path.glob("*.*")} >= files
    assert [e["claim"] for e in json.loads((tmp_path / "verdict.json").read_text())] == [e["claim"] for e in entries]


def test_deeper_linear_on_few_starts(in_process, tmp_path):
    entries = write_study(in_process(deeper_linear, STARTS={False: 20}), False, tmp_path)
    assert "disagrees" not in [entry["verdict"] for entry in entries]


def test_weight_symmetry_on_the_smallest_networks(in_process, tmp_path):
    cases = tuple(case for case in weight_symmetry.QUICK if case.hidden in ((1,), (2,)))
    entries = write_study(in_process(weight_symmetry, QUICK=cases, RELU=(2,)), False, tmp_path)
    assert {entry["verdict"] for entry in entries} == {"agrees"}


def test_small_network_minima_on_few_starts(in_process, tmp_path):
    entries = write_study(in_process(small_network_minima, STARTS={False: 400}), False, tmp_path)
    assert {entry["verdict"] for entry in entries} == {"agrees"}
