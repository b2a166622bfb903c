"""What ``complete`` is worth is said in words and numbers, and an incomplete enumeration warns."""

import math
import re
import warnings

import numpy as np
import pytest
from places import ROOT

import simcore
from simcore.search import summary

WIDTH = 0.03


def hilly(x):
    return np.sin(x).sum() + np.cos(x[0] - x[1])


def hilly_gradient(x):
    return np.cos(x) - np.sin(x[0] - x[1]) * np.array([1.0, -1.0])


def hilly_hessian(x):
    return -np.diag(np.sin(x)) - np.cos(x[0] - x[1]) * np.array([[1.0, -1.0], [-1.0, 1.0]])


def _bump(x):
    """Return the bump -exp(-r^2 / 2 w^2) at (1, 2), r^2 = sum 4 sin^2((x - c)/2), with gradient and Hessian."""
    half = (x - np.array([1.0, 2.0])) / 2
    height = -math.exp(-4 * (np.sin(half) ** 2).sum() / (2 * WIDTH**2))
    slope = -np.sin(2 * half) / WIDTH**2  # of the exponent
    return height, height * slope, height * (np.outer(slope, slope) - np.diag(np.cos(2 * half)) / WIDTH**2)


def bumpy():
    return simcore.CustomLandscape(
        lambda x: hilly(x) + _bump(x)[0],
        lambda x: hilly_gradient(x) + _bump(x)[1],
        lambda x: hilly_hessian(x) + _bump(x)[2],
        simcore.Torus(2),
        2,
    )


def test_a_bump_that_is_missed_is_inside_the_bound_that_the_audit_states():
    found = simcore.enumerate_critical_points(bumpy(), seed=1, starts=512, threads=1)
    audit = found.audit
    assert audit["complete"], "the rule can't see it: that is what the words are for"
    missed = np.linalg.norm(found.positions - np.array([1.0, 2.0]), axis=1).min()
    assert missed > 3 * WIDTH, "the bump's minimum was found; make it narrower"
    assert audit["blind_below"] == pytest.approx(3 / audit["starts"])
    said = f"basins that take less than about 3/starts = {3 / audit['starts']:.2g} of the starts may be missing"
    assert said in audit["note"]
    assert "no error rate is known for a function of your own" in audit["note"]
    assert said in found.summary()
    assert said in repr(found)


def test_three_over_the_starts_is_a_bound_at_95_percent():
    for starts in (512, 10_000):
        assert (1 - summary.blind_below(starts)) ** starts == pytest.approx(0.05, rel=0.02)
    assert math.isnan(summary.blind_below(0))


def test_a_random_family_states_its_measured_rate():
    found = simcore.enumerate_critical_points(simcore.TorusField(2), seed=1, threads=1)
    assert "empirical rule, not a proof; of 9,847 complete draws" in found.audit["note"] or found.audit.get("proved")
    tensor = np.random.default_rng(1).normal(size=(4, 4, 4))
    own = simcore.enumerate_critical_points(simcore.SphericalSpin.from_couplings(tensor), threads=1)
    assert "function of your own" in own.audit["note"] or own.audit.get("proved")


def test_the_stated_rate_is_that_of_the_results():
    table = (ROOT / "results" / "proof" / "table.md").read_text(encoding="utf-8")
    complete, wrong, bound = re.search(
        r"All together: ([\d,]+) draws, .*?`complete` was wrong in (\d+),\s+a rate below ([\d.e-]+) at 95 %", table
    ).groups()
    assert (int(complete.replace(",", "")), int(wrong), float(bound)) == (
        summary.COMPARED, summary.FOUND_WRONG, summary.WRONG_AT_MOST,
    )  # fmt: skip
    families = set(re.findall(r"^\| (\w+), n = \d", table, re.MULTILINE))
    assert families == set(summary.MEASURED)


def audit(**changes):
    good = {
        "complete": True, "starts": 512, "degenerate": 0, "broken_images": 0, "euler_sum": 0, "euler_expected": 0,
        "least_hits": 9, "coverage": 1.0, "certified_fraction": 1.0,
    }  # fmt: skip
    return good | changes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"euler_sum": 2}, "the Euler sum is 2, not 0; give more max_starts"),
        ({"least_hits": 1}, "a point was hit 1 times only; give more max_starts"),
        ({"degenerate": 3}, "3 starts ended at degenerate points; take it as"),
        ({"broken_images": 1}, "a stated symmetry does not hold"),
        ({"euler_expected": None}, "no Euler characteristic fixes"),
        ({}, "searches from its points gave new ones"),
    ],
)
def test_the_warning_says_why(changes, words):
    draw = simcore.TorusField(2).draw(seed=1)
    with pytest.warns(simcore.IncompleteWarning, match="incomplete after 512 starts") as caught:
        summary.warn_if_incomplete(audit(complete=False, **changes), draw)
    assert words in str(caught[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary.warn_if_incomplete(audit(), draw)


def test_an_incomplete_enumeration_warns_and_its_note_says_so():
    with pytest.warns(simcore.IncompleteWarning, match="SphericalSpin.*draw=0.*is incomplete after 48 starts"):
        found = simcore.enumerate_critical_points(
            simcore.SphericalSpin(9, p=4), seed=1, starts=48, max_starts=48, threads=1
        )
    assert found.audit["note"].startswith("incomplete: points may be missing")
    assert "INCOMPLETE" in found.summary()


def test_a_proof_needs_no_other_words():
    assert summary.annotated(audit(proved=True), simcore.TorusField(2).draw(seed=1))["note"] == (
        "proved: nothing can be missing"
    )


def test_an_enumeration_fits_a_screen_and_gives_its_positions():
    found = simcore.enumerate_critical_points(simcore.TorusField(3), seed=2, threads=1)
    assert len(repr(found).splitlines()) <= 6
    assert found.positions.shape == (len(found.points), 3)
    assert found.positions[0].tolist() == list(found.points["x"][0])
    without = simcore.enumerate_critical_points(simcore.TorusField(3), seed=2, positions=False, threads=1)
    with pytest.raises(simcore.InputError, match="positions=True"):
        without.positions  # noqa: B018
