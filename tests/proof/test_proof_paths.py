"""Counts by random paths: exact with all of them, unbiased with some, and diagnostics that see jumps."""

import numpy as np
import pytest
from scipy.stats import beta

import simcore
from simcore.proof import bezout
from simcore.proof.paths import _Sample, count_by_paths


def proved(draw):
    found = simcore.enumerate_critical_points(draw, starts=0, prove=True)
    assert found.audit["proved"]
    return found


def test_all_paths_give_the_exact_count():
    draw = simcore.SphericalSpin(n=9, p=3).draw(seed=1)
    found = proved(draw)
    counts, total, error, minima, diagnostics = count_by_paths(draw, seed=0, paths=10**6)
    expected = found.points.groupby("morse_index").size().reindex(range(9), fill_value=0).to_numpy()
    assert (counts["count"].to_numpy() == pytest.approx(expected)) and total == pytest.approx(len(found.points))
    assert error == 0 and (counts["se"] == 0).all() and diagnostics["trusted"] and diagnostics["paths"] == 511
    assert (counts["low"] == counts["count"]).all() and (counts["high"] == counts["count"]).all()
    lowest = found.points[found.points["morse_index"] == 0].sort_values("cost")
    assert np.abs(minima["cost"].to_numpy() - lowest["cost"].to_numpy()).max() < 1e-12
    ratio = np.log(expected / expected[0])
    assert counts["log_ratio"].to_numpy() == pytest.approx(ratio)


@pytest.mark.parametrize("n", [3, 6])
def test_a_few_paths_that_are_all_of_them_are_trusted(n):
    draw = simcore.SphericalSpin(n=n, p=3).draw(seed=1)
    found = simcore.estimate_counts(draw, method="paths")
    assert found.trusted and found.diagnostics["reasons"] == [] and found.total == len(proved(draw).points)
    assert found.counts["morse_index"].dtype == np.int32 and found.diagnostics["method"] == "paths"


@pytest.mark.parametrize("moves", [2, 10, 60])
def test_a_few_of_many_paths_are_not_trusted_and_have_an_error(moves):
    """Between none and twenty real zeros are met: whatever they say is worth little, and never without an error."""
    draw = simcore.SphericalSpin(n=10, p=3).draw(seed=2)
    for seed in range(5):
        found = simcore.estimate_counts(draw, method="paths", moves=moves, seed=seed)
        assert found.diagnostics["real"] < 20 and not found.trusted and found.total_se > 0
        assert (found.counts["se"] > 0).all()
        assert "real zeros met, fewer than 20" in repr(found)


def test_a_sample_all_alike_has_the_error_of_half_a_case():
    sample = object.__new__(_Sample)
    sample.solver = bezout.Homotopy(simcore.SphericalSpin(n=6, p=3).draw(seed=4).problem)
    sample.ends = np.zeros((9, 12))
    share = 0.5 / 10
    expected = 63 * 2 * np.sqrt(share * (1 - share) / 9 * (1 - 9 / 63))
    assert sample.estimate(np.zeros(9), 2.0) == (0.0, pytest.approx(expected))
    assert sample.estimate(np.full(9, 2.0), 2.0) == (126.0, pytest.approx(expected))


def test_samples_are_unbiased_with_their_error():
    """24 samples of 200 of 1,023 paths: z = mean error over its standard error has variance 1/24; |z| < 3.9 fails once
    in 10,000, and the errors' own size within a factor of two."""
    draw = simcore.SphericalSpin(n=10, p=3).draw(seed=2)
    exact = len(proved(draw).points)
    results = [count_by_paths(draw, seed=seed, paths=200) for seed in range(24)]
    totals, errors = np.array([r[1] for r in results]), np.array([r[2] for r in results])
    assert abs(np.mean(totals) - exact) < 3.9 * np.sqrt(np.mean(errors**2) / 24)
    assert 0.5 < np.std(totals) / np.mean(errors) < 2.0
    counts = results[0][0]
    assert (counts["count"].to_numpy() == counts["count"].to_numpy()[::-1]).all()  # a point and its mirror
    assert counts["count"].sum() == pytest.approx(totals[0])
    assert (counts["low"] <= counts["count"]).all() and (counts["count"] <= counts["high"]).all()


def test_public_counts_are_within_their_errors_of_proved_ones():
    """Twelve functions, 300 of 1,023 paths each: the squared errors in units of their standard errors add up to chi^2
    with 12 degrees of freedom, outside of (2.2, 32.9) once in 500 (a little more often, the estimates not being quite
    normal)."""
    z = []
    for number in range(12):
        draw = simcore.SphericalSpin(n=10, p=3).draw(seed=14, draw=number)
        found = simcore.estimate_counts(draw, method="paths", moves=300)
        assert found.diagnostics["paths"] == 300 and found.counts["count"].sum() == pytest.approx(found.total)
        z.append((found.total - len(proved(draw).points)) / found.total_se)
    assert 2.2 < np.sum(np.square(z)) < 32.9
    assert abs(np.mean(z)) < 3.3 / np.sqrt(12)


def test_a_target_error_decides():
    draw = simcore.SphericalSpin(n=12, p=3).draw(seed=3)
    _, total, error, _, diagnostics = count_by_paths(draw, seed=0, target_error=0.2)
    assert error <= 0.2 * total and diagnostics["paths"] < 4095
    again = count_by_paths(draw, seed=0, target_error=0.2, threads=2)
    assert again[1] == total and again[4] == diagnostics


def test_jumps_are_seen(monkeypatch):
    """Sloppy tracking makes paths jump; the closer look says so and trust is withdrawn."""
    monkeypatch.setattr(bezout, "LEVELS", ((0.5, 0.6), *bezout.LEVELS[1:]))
    draw = simcore.SphericalSpin(n=10, p=3).draw(seed=4)
    diagnostics = count_by_paths(draw, seed=0, paths=400)[4]
    assert diagnostics["jumped"] > 8 and diagnostics["jump_rate"] > 0.02 and not diagnostics["trusted"]


def test_intervals_are_clopper_and_pearsons_for_a_finite_number_of_paths():
    """An index other than its mirror image is met once a path: its limits are those of the binomial share, drawn
    towards the count by sqrt(1 - sampled/all)."""
    draw = simcore.SphericalSpin(n=8, p=3).draw(seed=4)
    counts, _, _, _, diagnostics = count_by_paths(draw, seed=0, paths=24)
    size, every = diagnostics["paths"] - diagnostics["lost"], diagnostics["all_paths"]
    shrink = np.sqrt(1 - size / every)
    times = np.rint(counts["count"] * size / every).astype(int)
    assert size == 24 and every == 255 and {0, 1, 2} <= {min(t, 2) for t in times}
    for row, k in zip(counts.itertuples(), times, strict=True):
        low = beta.ppf(0.025, k, size - k + 1) if k else 0.0
        high = beta.ppf(0.975, k + 1, size - k)
        assert row.low - row[2] == pytest.approx(shrink * (every * low - row[2]), abs=1e-9)
        assert row.high - row[2] == pytest.approx(shrink * (every * high - row[2]), abs=1e-9)


def test_the_rate_of_jumps_is_an_upper_bound_of_95_percent():
    """Three of fifty paths end elsewhere at the closer look, one of them nowhere."""
    sample = object.__new__(_Sample)
    solver = bezout.Homotopy(simcore.SphericalSpin(n=6, p=3).draw(seed=4).problem)
    sample.solver, sample.paths, sample.real = solver, np.arange(50), np.zeros(50, bool)
    sample.ends = np.random.default_rng(1).normal(size=(50, 12))

    def elsewhere(paths, level):
        ends = sample.ends[paths].copy()
        ends[np.isin(paths, (7, 9))] += 1e-3
        ends[paths == 11] = np.nan
        return ends

    sample._ends = elsewhere
    found = sample.diagnostics(np.random.default_rng(2), 100.0, 1.0)
    assert (found["jumped"], found["retracked"], found["lost"]) == (3, 50, 0)
    assert found["jump_rate"] == pytest.approx(beta.ppf(0.95, 4, 47)) and not found["trusted"]
    assert [reason.split()[0] for reason in found["reasons"]] == ["0", "up"]


@pytest.mark.parametrize(
    "draw", [simcore.TorusField(3).draw(seed=1), simcore.SphericalSpin(5, p=4).draw(seed=1)], ids=repr
)
def test_other_functions_are_refused(draw):
    with pytest.raises(simcore.InputError, match="method 'paths'"):
        count_by_paths(draw, seed=0)


def test_arguments_are_checked():
    draw = simcore.SphericalSpin(n=6, p=3).draw(seed=1)
    for wrong in ({"paths": 1}, {"target_error": -1.0}, {"target_error": 0.1, "max_paths": 0}):
        with pytest.raises(simcore.InputError):
            count_by_paths(draw, seed=0, **wrong)
