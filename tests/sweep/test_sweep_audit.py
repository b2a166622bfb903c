"""The scientific audit: silent on the exact law, loud on points that are missing.

False-alarm rates are measured on simulated draws whose law is known exactly; seeds are fixed.
"""

import numpy as np
import pandas as pd
import pytest

import simcore
from simcore.sweep.audit import FALSE_ALARM, Counts, Test, audit, bound, compare, count_test
from simcore.sweep.verify import verify_run

Test.__test__ = False


def law(means, costs=None):
    means = np.asarray(means, float)
    costs = np.linspace(-1, 1, len(means)) if costs is None else np.asarray(costs, float)
    return pd.DataFrame({"morse_index": range(len(means)), "mean_count": means, "mean_cost": costs})


def simulate(source, draws, means, dispersion=0.0):
    """Return counts and summed costs; overdispersed counts come from a random factor of the draw (mean 1)."""
    factor = source.gamma(1 / dispersion, dispersion, (draws, 1)) if dispersion else np.ones((draws, 1))
    points = source.poisson(np.asarray(means) * factor).astype(float)
    costs = np.linspace(-1, 1, len(means)) * points + 0.3 * np.sqrt(points) * source.standard_normal(points.shape)
    return points, costs


def false_alarms(runs, draws, means, dispersion, level, seed):
    source = np.random.default_rng(seed)
    alarms = 0
    for _ in range(runs):
        tests = compare(*simulate(source, draws, means, dispersion), law(means), np.ones(draws))
        alarms += min(test.p for test in tests) < level / len(tests)
    return alarms


CASES = [
    (30, [2.0, 4.0, 2.0], 0.0),
    (30, [2.0, 4.0, 2.0], 0.5),
    (100, [0.6, 3.0, 5.0, 0.6], 0.3),
    (400, [0.2, 1.0, 0.2], 0.0),
]


@pytest.mark.parametrize("draws, means, dispersion", CASES)
def test_false_alarms_are_rarer_than_stated(draws, means, dispersion):
    """At a family-wise level of 1 % instead of 1e-4, so that 1,000 runs can tell: 10 expected, 25 would be p = 5e-5."""
    assert false_alarms(1000, draws, means, dispersion, 0.01, 1) <= 25


@pytest.mark.long
@pytest.mark.parametrize("draws, means, dispersion", CASES)
def test_false_alarms_at_the_stated_level(draws, means, dispersion):
    """At 1e-4 itself, 50,000 runs: 5 expected; 15 or more has probability 2e-4 if the level holds."""
    assert false_alarms(50_000, draws, means, dispersion, FALSE_ALARM, 2) < 15


def test_missing_points_alarm():
    """A fifth of all saddles missing, 400 draws."""
    source = np.random.default_rng(3)
    means = np.array([2.0, 6.0, 2.0])
    points, costs = simulate(source, 400, means)
    points = np.where(np.arange(3) == 1, source.binomial(points.astype(int), 0.8), points).astype(float)
    tests = compare(points, costs, law(means), np.ones(400))
    alarms = [test.what for test in tests if test.p < FALSE_ALARM / len(tests)]
    assert "count of index 1" in alarms and "count of index 0" not in alarms


def test_zero_spread_is_judged_by_equality():
    assert count_test("a", np.full(40, 2.0), 2.0).p == 1.0
    assert count_test("a", np.full(40, 2.0), 2.5).p == 0.0


def test_rare_indices_are_pooled_and_very_rare_ones_left_out():
    means = [0.01, 0.4, 3.0, 0.4, 0.01]
    points, costs = simulate(np.random.default_rng(4), 100, means)
    names = [test.what for test in compare(points, costs, law(means), np.ones(100))]
    assert names[0] == "count of index 2" and "count of indices 0, 1, 3, 4" in names


def test_volumes_scale_the_law():
    source = np.random.default_rng(5)
    points, costs = simulate(source, 200, [5.0, 10.0])
    tests = compare(points, costs, law([0.5, 1.0]), np.full(200, 10.0))
    assert min(test.p for test in tests) > 1e-3


# ---- whole runs --------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """An enumeration of 60 draws of a torus field and a spin model."""
    out = tmp_path_factory.mktemp("audit") / "run"
    tables = {
        "seed": 21,
        "landscape": [{"name": "torus_field", "n": [1, 2]}, {"name": "spherical_spin", "n": 4, "p": 3}],
        "search": {"method": "enumerate", "draws": 60, "starts": 96},
    }
    from simcore.sweep import run_sweep

    assert int(run_sweep(tables, out, workers=0)) == 0
    return out


def test_a_sound_run_passes_its_audit(run):
    report = verify_run(run)
    assert report.ok, report.text()
    assert [one.complete for one in report.audits] == [60, 60, 60]
    assert all(one.euler_right == 60 and one.certified_fraction > 0.99 and one.tests for one in report.audits)


def gathered(run, combination, keep=None):
    points = simcore.load(run)
    audits = simcore.load(run, kind="audits")
    name, n = [("torus_field", 1), ("torus_field", 2), ("spherical_spin", 4)][combination]
    landscape = simcore.SphericalSpin(4, p=3) if name == "spherical_spin" else simcore.TorusField(n)
    mine = points[(points["landscape"] == name) & (points["n"] == n)]
    counts = Counts.empty(60, landscape.dimension)
    counts.add(mine if keep is None else mine[keep(mine)])
    counts.audits.append(audits[(audits["landscape"] == name) & (audits["n"] == n)])
    return landscape, counts


def test_a_run_without_its_rarely_hit_points_fails(run):
    """Throw away the points with the fewest hits, as a careless search does."""
    landscape, counts = gathered(run, 2, lambda points: points["hits"] > points["hits"].quantile(0.3))
    result = audit(landscape, counts, "spin")
    assert min(test.p for test in result.tests) < bound([result])
    whole = audit(*gathered(run, 2), "spin")
    assert min(test.p for test in whole.tests) > bound([whole])


def test_incomplete_draws_are_not_judged(run):
    landscape, counts = gathered(run, 1)
    counts.audits[0] = counts.audits[0].assign(complete=[False] + 59 * [True])
    result = audit(landscape, counts, "torus")
    assert not result.tests and "1 draws are incomplete" in result.line(1e-5)


def test_too_few_draws_are_not_judged(tmp_path):
    from simcore.sweep import run_sweep

    tables = {
        "seed": 1,
        "landscape": [{"name": "torus_field", "n": 1}],
        "search": {"method": "enumerate", "draws": 29, "starts": 32},
    }
    run_sweep(tables, tmp_path / "run", workers=0)
    report = verify_run(tmp_path / "run")
    assert report.ok and not report.audits[0].tests and "too few draws for z-scores, 30 are needed" in report.text()


def test_hits_are_not_audited(tmp_path):
    from simcore.sweep import run_sweep

    tables = {
        "seed": 1,
        "landscape": [{"name": "torus_field", "n": 2}],
        "search": {"method": "newton", "draws": 40, "starts": 32},
    }
    run_sweep(tables, tmp_path / "run", workers=0)
    report = verify_run(tmp_path / "run")
    assert report.ok and not report.audits and "can't be audited" in report.text()


def test_counts_that_never_vary_are_judged_too():
    """A torus field in one dimension is one wave: two points a draw, always."""
    means = [1.0, 1.0]
    points = np.ones((200, 2))
    costs = np.linspace(-1, 1, 2) + 0.1 * np.random.default_rng(1).standard_normal(points.shape)
    tests = compare(points, costs, law(means), np.ones(200))
    assert {test.what for test in tests} >= {"count of index 0", "count of index 1"}
    assert all(test.p > 1e-6 for test in tests)
    tests = compare(2 * points, 2 * costs, law(means), np.ones(200))
    assert [test.p for test in tests if test.what.startswith("count")] == [0.0, 0.0]
