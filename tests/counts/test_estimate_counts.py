"""``estimate_counts`` against enumerations and closed cases, and what it says of runs that are too short."""

import numpy as np
import pytest

import simcore


def log_saddles(frame):
    counts = frame["count"].to_numpy()
    return np.log(counts[1:-1].sum() / counts[0])


def test_counts_agree_with_an_enumeration():
    """3-spin n = 10, three functions: every index within 4.5 standard errors (some 30 comparisons, t of 15 degrees:
    false-alarm rate 1 %), the minima all met, totals within 4."""
    landscape = simcore.SphericalSpin(n=10, p=3)
    for draw in range(3):
        found = simcore.estimate_counts(landscape, draw=draw, seed=1, threads=1)
        known = simcore.enumerate_critical_points(landscape, draw=draw, seed=1)
        truth = np.bincount(known.points.morse_index, minlength=10)
        frame = found.counts
        assert found.trusted, found.diagnostics["reasons"]
        assert list(frame.columns) == ["morse_index", "count", "se", "low", "high", "log_ratio", "log_ratio_se"]
        np.testing.assert_array_equal(frame.morse_index, np.arange(10))
        assert len(found.minima) == truth[0]
        lowest = np.sort(known.points.cost[known.points.morse_index == 0])
        np.testing.assert_allclose(found.minima.cost, lowest, atol=1e-9)
        some = frame.se > 0
        assert (abs(frame["count"] - truth)[some] < 4.5 * frame.se[some]).all()
        np.testing.assert_allclose(frame["count"][~some], truth[~some])
        assert abs(found.total - truth.sum()) < 4 * found.total_se
        np.testing.assert_allclose(frame.log_ratio, np.log(frame["count"] / frame["count"][0]), atol=1e-9)


def test_a_run_that_is_too_short_is_not_trusted():
    """3-spin n = 20 with 1,600 moves: a round trip takes 570."""
    found = simcore.estimate_counts(simcore.SphericalSpin(n=20, p=3), seed=1, moves=1600, threads=1)
    assert found.diagnostics["trusted"] is False
    assert any("round trips" in reason for reason in found.diagnostics["reasons"])
    assert "not trusted" in repr(found)
    assert found.diagnostics["moves"] == 1600


@pytest.mark.long
def test_a_tenth_of_the_moves_is_not_trusted_at_fifty():
    """3-spin n = 50, where a round trip takes some 9,000 moves, with 24,000: `results/counts` has three more draws."""
    found = simcore.estimate_counts(simcore.SphericalSpin(n=50, p=3), seed=2, moves=24_000, walkers=24, threads=1)
    assert not found.trusted
    assert any("round trips" in reason for reason in found.diagnostics["reasons"])


def test_few_walkers_are_not_trusted():
    found = simcore.estimate_counts(simcore.SphericalSpin(n=6, p=3), seed=1, moves=4000, walkers=4, threads=1)
    assert not found.trusted
    assert found.diagnostics["walkers"] == 4


def test_one_critical_point_is_counted_and_trusted():
    """Confinement m = 3 leaves one minimum: from it every arc escapes."""
    found = simcore.estimate_counts(simcore.ConfinedField(n=3, m=3.0), seed=1, threads=1)
    assert found.trusted
    assert found.counts["count"].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert (found.total, found.total_se) == (1.0, 0.0)
    assert len(found.minima) == 1


def test_eigenvectors_of_a_symmetric_matrix():
    """p = 2: critical points are +- the eigenvectors, two of every index 0 .. n-1."""
    found = simcore.estimate_counts(simcore.SphericalSpin(n=5, p=2), seed=1, target_error=0.05, threads=1)
    assert found.trusted, found.diagnostics["reasons"]
    counts = found.counts
    assert (abs(counts["count"] - 2.0) <= 4.5 * counts.se + 1e-9).all()
    assert len(found.minima) == 2


def test_same_counts_for_any_number_of_threads():
    landscape = simcore.TorusField(n=4)
    one, two = (simcore.estimate_counts(landscape, seed=2, moves=3200, threads=t) for t in (1, 2))
    np.testing.assert_array_equal(one.counts.to_numpy(), two.counts.to_numpy())
    np.testing.assert_array_equal(one.minima.arrivals, two.minima.arrivals)
    assert repr(one) == repr(two)


def test_functions_without_isolated_points_or_derivatives_are_refused():
    """Before anything is searched: no walk of single points exists there."""
    data = {"kind": "gaussian", "spectrum": [1.0, 1.0], "targets": "normal", "outputs": 1, "samples": 8}
    for activation, l2 in (("tanh", 0.0), ("linear", 0.1), ("relu", 0.1)):
        with pytest.raises(simcore.InputError, match="mlp"):
            simcore.estimate_counts(simcore.MLP(widths=(2, 2, 1), activation=activation, loss="mse", data=data, l2=l2))


def test_bad_input_is_refused_in_one_line():
    landscape = simcore.TorusField(n=3)
    for given, word in (
        ({"method": "walks"}, "walk"),
        ({"moves": 10, "target_error": 0.1}, "target_error"),
        ({"walkers": 1}, "walkers"),
        ({"target_error": 0.0}, "target_error"),
        ({"moves": 0}, "moves"),
    ):
        with pytest.raises(simcore.InputError, match=word):
            simcore.estimate_counts(landscape, **given)


def test_the_next_look_is_where_the_error_should_do(monkeypatch):
    """Errors fall as 1/sqrt(moves): 1.2 times the target asks for 1.1 (1.2)^2 = 1.584 times the moves; never for less
    than 1.3 or more than 2 times as many, and where the diagnostics do not hold for 1.5 times."""
    from types import SimpleNamespace

    from simcore.counts import estimate, walks

    def looks(errors, trusted=True):
        made = []

        class Fixed:
            def __init__(self, targets, walkers, threads, pool):
                self.record = SimpleNamespace(units=range(walkers), moves=0)

            def first_look(self):
                return 1000

            def advance(self, moves):
                self.record.moves += moves
                made.append(self.record.moves)

            def look(self):
                error = errors[len(made) - 1]
                return SimpleNamespace(log_ratio=1.0, log_ratio_se=error), {"trusted": trusted}

            def alone(self):
                return False

            def result(self, found, diagnostics):
                return made

        monkeypatch.setattr(walks, "Walk", Fixed)
        limits = estimate.Limits(0.1, None, 10**6)
        search = estimate.Search.of(simcore.SphericalSpin(3, 3), seed=1, threads=1)
        return estimate.count_by_walk(search.landscape, None, 0, search, limits, 16, estimate.Workers(1))

    assert looks([0.12, 0.1]) == [1000, 1584]
    assert looks([0.101, 0.09]) == [1000, 1300]
    assert looks([0.3, float("nan"), 0.09]) == [1000, 2000, 4000]
    assert looks([0.09, 0.024], trusted=False) == [1000, 1500]
