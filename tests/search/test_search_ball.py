"""The ball estimator: what is inside, how it is found, and that its counts are unbiased."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import simcore
from simcore.errors import InputError
from simcore.search.ball import EXPECTED, ball_critical_points, ball_of
from simcore.search.search import Search
from simcore.search.shards import ball_rows


def test_the_ball_holds_the_expected_number():
    where = ball_of(simcore.GaussianField(3), None)
    density = simcore.GaussianField(3).expected_counts()["mean_count"].sum()
    assert where.expected == pytest.approx(EXPECTED)
    assert where.volume == pytest.approx(4 / 3 * math.pi * where.radius**3)
    assert where.volume * density == pytest.approx(EXPECTED)
    assert where.start_radius > where.radius


def test_points_are_inside_and_certified_and_the_audit_says_where():
    landscape = simcore.GaussianField(4, features=100)
    found = ball_critical_points(landscape, draw=3, seed=2, threads=1, spectrum=True)
    centre = np.array(found.audit["centre"])
    x = np.stack(found.points["x"].to_list())
    assert (np.linalg.norm(x - centre, axis=1) <= found.audit["radius"]).all()
    assert found.audit["complete"]
    assert found.audit["least_hits"] >= 4
    assert found.audit["distinct"] == len(found.points)
    assert found.points["point"].tolist() == list(range(len(x)))
    assert found.points["certified"].all()
    f = landscape.draw(seed=2, draw=3)
    np.testing.assert_allclose(f.gradient(x), 0, atol=1e-12)
    eigenvalues = np.stack(found.points["eigenvalues"].to_list())
    assert ((eigenvalues < 0).sum(axis=1) == found.points["morse_index"]).all()
    # every critical point that a dense search of the same region finds inside is there
    box = 2.5 * np.random.default_rng(1).uniform(-1, 1, (4000, 4)) + centre
    from simcore.backends import cpu

    outcome = cpu.newton(f.problem, box, simcore.Newton(step_cap=0.4).options(landscape))
    ends = outcome.x[(outcome.status == 0) & (np.linalg.norm(outcome.x - centre, axis=1) < found.audit["radius"])]
    assert len(ends) > 100
    assert np.linalg.norm(ends[:, None] - x[None], axis=2).min(axis=1).max() < 1e-6


def test_threads_and_batches_change_nothing_and_centres_differ():
    landscape = simcore.GaussianField(3, frequencies="isotropic")
    one = ball_critical_points(landscape, draw=2, seed=7, threads=1)
    three = ball_critical_points(landscape, draw=2, seed=7, threads=3)
    pd.testing.assert_frame_equal(one.points, three.points, check_exact=True)
    assert one.audit == three.audit
    points, audits = ball_rows(Search.of(landscape, seed=7, threads=2, positions=True), first_draw=1, draws=3)
    mine = points[points["draw"] == 2].drop(columns="draw").reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, one.points, check_exact=True)
    assert audits["draw"].tolist() == [1, 2, 3]
    assert "centre" not in audits
    other = ball_critical_points(landscape, draw=3, seed=7, threads=1)
    assert np.abs(np.subtract(one.audit["centre"], other.audit["centre"])).max() > 0.1


@pytest.mark.filterwarnings("ignore::simcore.IncompleteWarning")
def test_a_small_budget_is_reported_and_a_radius_is_obeyed():
    landscape = simcore.GaussianField(5, features=100)
    found = ball_critical_points(landscape, seed=1, radius=1.0, starts=24, max_starts=24, threads=1)
    assert found.audit["radius"] == 1.0
    assert not found.audit["complete"]
    empty = ball_critical_points(landscape, seed=1, radius=1e-3, starts=24, threads=1)
    assert len(empty.points) == 0
    assert list(empty.points.columns) == list(found.points.columns)
    assert empty.audit["complete"]


@pytest.mark.parametrize(
    ("landscape", "message"),
    [
        (simcore.TorusField(2), "not a stationary random field"),
        (simcore.ConfinedField(2, 0.5), "not a stationary random field"),
        (simcore.SphericalSpin(4), "not a stationary random field"),
        (
            simcore.CustomLandscape(np.sum, np.ones_like, lambda x: np.zeros((2, 2)), simcore.Space(2), 2),
            "not a stationary random field",
        ),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_other_landscapes_are_refused(landscape, message):
    with pytest.raises(InputError, match=message):
        ball_critical_points(landscape)


def test_bad_arguments_are_named():
    for arguments, message in (
        ({"radius": -1.0}, "radius is -1.0"),
        ({"radius": "big"}, "radius is 'big'"),
        ({"start_law": "box"}, "has its own starts"),
        ({"starts": 0}, "starts is 0"),
    ):
        with pytest.raises(InputError, match=message):
            ball_critical_points(simcore.GaussianField(2), **arguments)


@pytest.mark.parametrize(
    ("landscape", "draws"),
    [
        (simcore.GaussianField(2, features=64), 150),
        (simcore.GaussianField(2, frequencies="isotropic"), 150),
        (simcore.GaussianField(3, frequencies="isotropic"), 150),
    ],
    ids=["random2", "isotropic2", "isotropic3"],
)
def test_counts_are_unbiased_for_every_index(landscape, draws):
    """|z| < 5 for each index and the total, errors between draws; seed fixed: a false alarm in 1e5 runs."""
    points, audits = ball_rows(Search.of(landscape, seed=2025), first_draw=0, draws=draws)
    assert audits["complete"].all()
    table = pd.crosstab(points["draw"], points["morse_index"]).reindex(range(draws), fill_value=0)
    law = landscape.expected_counts(finite_features=True).set_index("morse_index")
    volume = audits["volume"][0]
    for index in [*law.index, "total"]:
        mean, own = (
            law[name].sum() if index == "total" else law[name][index] for name in ("mean_count", "mean_count_se")
        )
        sample = table.sum(axis=1) if index == "total" else table[index]
        error = math.hypot(sample.std() / math.sqrt(draws), own * volume)
        assert abs(sample.mean() - mean * volume) < 5 * error, (index, sample.mean(), mean * volume, error)


@pytest.mark.long
@pytest.mark.parametrize("n", [2, 3, 5, 8])
@pytest.mark.parametrize("frequencies", ["random", "isotropic"])
def test_five_thousand_points(n, frequencies):
    """Found over expected within 2 % or 3 standard errors; chi-square of the fractions, p > 0.001; one run of 8 cases
    fails by chance in about 1 of 40."""
    landscape = simcore.GaussianField(n, features=256, frequencies=frequencies)
    draws = 560
    points, audits = ball_rows(Search.of(landscape, seed=31), first_draw=0, draws=draws)
    assert len(points) >= 5000
    assert audits["complete"].all()
    table = pd.crosstab(points["draw"], points["morse_index"]).reindex(
        index=range(draws), columns=range(n + 1), fill_value=0
    )
    law = landscape.expected_counts(finite_features=True).set_index("morse_index")
    expected = law["mean_count"].sum() * audits["volume"][0]
    total = table.sum(axis=1)
    error = total.std() / math.sqrt(draws) / expected
    assert abs(total.mean() / expected - 1) < max(0.02, 3 * error)
    # Points cluster: the covariance of (counts - fraction * total) is that between draws.
    excess = table.to_numpy() - np.outer(total, law["fraction"])
    mean, covariance = excess.mean(axis=0), np.cov(excess.T) / draws
    statistic = mean @ np.linalg.pinv(covariance, rcond=1e-8) @ mean
    assert scipy.stats.chi2.sf(statistic, n) > 0.001
