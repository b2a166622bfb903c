"""The audit of one combination of a run: what is not judged and why, and the power that its line states."""

import math

import numpy as np
import pandas as pd

import simcore
from simcore.statistics.audit import AUDIT_DRAWS, Comparison
from simcore.statistics.combination import Audit, Counts, audit


def gathered(complete, euler_sum=0, **more):
    """Return Poisson counts of a circle with that many draws, and their audits."""
    draws = len(complete)
    counts = Counts.empty(draws, 1)
    law = simcore.expected_counts(simcore.TorusField(1))["mean_count"].to_numpy()
    counts.points[:] = np.random.default_rng(3).poisson(law, (draws, 2))
    counts.certified, counts.total = 3, 4
    table = {"complete": complete, "euler_sum": euler_sum, "euler_expected": 0, **more}
    counts.audits.append(pd.DataFrame(table, index=range(draws)))
    return counts


def test_only_complete_draws_are_judged_and_only_enough_of_them():
    landscape = simcore.TorusField(1)
    whole = audit(landscape, gathered([True] * AUDIT_DRAWS), "circle")
    assert whole.tests and whole.note == "" and whole.complete == whole.euler_right == AUDIT_DRAWS
    assert whole.certified_fraction == 0.75
    one_missing = audit(landscape, gathered([False] + [True] * (AUDIT_DRAWS - 1)), "circle")
    assert not one_missing.tests and one_missing.note.startswith("1 draws are incomplete")
    few = audit(landscape, gathered([True] * (AUDIT_DRAWS - 1)), "circle")
    assert not few.tests and few.note == f"too few draws to be judged, {AUDIT_DRAWS} are needed"


def test_euler_sums_and_proofs_are_counted_draw_by_draw():
    found = audit(simcore.TorusField(1), gathered([True] * 3, [0, 2, 0], proved=[True, False, True]), "circle")
    assert (found.draws, found.euler_right, found.proved) == (3, 2, 2)
    assert "2 proved, Euler sum right in 2" in found.line(1e-5)
    unknown = audit(simcore.TorusField(1), gathered([True] * 3, euler_expected=math.nan), "circle")
    assert unknown.euler_right is None and "Euler" not in unknown.line(1e-5)


def test_the_line_states_the_power_of_the_best_test():
    tests = [
        Comparison("a", 1.0, 1.0, 0.0, 0.5, found=0.25, power_5=0.3),
        Comparison("b", 1.0, 1.0, 0.0, 0.5, found=0.1, power_5=0.7),
        Comparison("a cost", 1.0, 1.0, 0.0, 0.5),
    ]
    words = "a loss of 10 % of points would be found 9 times in 10, of 5 % with probability 0.7"
    assert Audit("x", 60, 60, 60, 1.0, tests).power() == words
    assert "no loss of points for sure" in Audit("x", 60, 60, 60, 1.0, tests[2:]).power()
