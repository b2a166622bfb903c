"""What forbids trust in a count: each rule alone says no, and each measure is worked by hand."""

from statistics import NormalDist, fmean, variance

import numpy as np
import pytest

from simcore.counts.diagnostics import judge, rank_rhat, round_trips
from simcore.counts.estimator import Classes, Estimate

SOUND = {
    "walkers": 16, "round_trips": 25, "irreversible": 0.03, "rhat": 1.3, "disagreement": 4.0, "minima_closed": False,
    "minima_coverage": 0.95,
}  # fmt: skip


def estimate(**changed):
    none = np.zeros(0)
    given = {"log_ratio": 1.0, "log_ratio_se": 0.1, "log_total": 1.0, "log_total_se": 0.1} | changed
    return Estimate(none, none, none, none, **given)


@pytest.mark.parametrize("mirrored", [True, False])
def test_on_a_circle_journeys_lead_from_minima_to_maxima(mirrored):
    """Where both are as many there is no other middle, and walkers that go to and fro make a journey in two moves."""
    history = np.tile([0, 1], (24, 5))
    assert round_trips(history, Classes(1, 1, mirrored), np.zeros(2)) == 24 * 4
    assert round_trips(0 * history, Classes(1, 1, mirrored), np.zeros(2)) == 0


def test_at_its_limits_a_count_is_trusted():
    assert judge(SOUND, estimate()) == []
    assert judge(SOUND | {"minima_closed": True, "minima_coverage": 0.1}, estimate()) == []
    assert judge(SOUND | {"minima_closed": None, "minima_coverage": float("nan")}, estimate()) == []
    assert judge(SOUND | {"disagreement": float("nan")}, estimate()) == []
    assert judge(SOUND, estimate(log_ratio=float("nan"), log_ratio_se=float("nan"))) == []  # no saddles: the total's


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"walkers": 15}, "15 walkers"),
        ({"round_trips": 24}, "24 round trips"),
        ({"round_trips": None}, "0 round trips"),
        ({"irreversible": 0.0301}, "irreversible"),
        ({"rhat": 1.3001}, "R-hat"),
        ({"rhat": float("nan")}, "R-hat"),
        ({"disagreement": 4.01}, "4.0 standard errors"),
        ({"minima_coverage": 0.9499}, "not closed"),
        ({"minima_coverage": float("nan")}, "not closed"),
    ],
)
def test_each_rule_alone_forbids_trust(changed, word):
    (reason,) = judge(SOUND | changed, estimate())
    assert word in reason


def test_without_an_error_nothing_is_trusted():
    assert judge(SOUND, estimate(log_ratio_se=float("inf"))) == ["no error can be had between walkers"]
    assert len(judge(SOUND, estimate(log_ratio=float("nan"), log_total_se=float("nan")))) == 1


def test_rhat_by_hand():
    """Two walkers of five moves, the last of which is left out: four chains of two, ranks 1 to 8 with a tie."""
    series = np.array([[3.0, 1.0, 4.0, 1.5, 99.0], [9.0, 2.0, 6.0, 6.0, -99.0]])
    ranks = [[4.0, 1.0], [5.0, 2.0], [8.0, 3.0], [6.5, 6.5]]
    z = [[NormalDist().inv_cdf((r - 3 / 8) / (8 + 1 / 4)) for r in chain] for chain in ranks]
    within = fmean(variance(chain) for chain in z)
    between = 2 * variance([fmean(chain) for chain in z])
    assert rank_rhat(series) == pytest.approx(((within / 2 + between / 2) / within) ** 0.5, rel=1e-12)
