"""The tolerance figure: means below each cutoff, and their errors between draws."""

import numpy as np
import pandas as pd
import pytest
from simcore_analysis.tolerance import CUTOFFS, means, tolerance_sums


def starts(norm, draw, cost):
    return pd.DataFrame(
        {
            "landscape": "x",
            "n": 1,
            "draw": draw,
            "status": "critical",
            "morse_index": 0,
            "cost": cost,
            "grad_norm": norm,
        }
    )


def test_means_below_a_cutoff_are_those_of_the_starts_below_it():
    rng = np.random.default_rng(7)
    norm, draw, cost = 10.0 ** rng.uniform(-14, 1, 300), rng.integers(0, 5, 300), rng.normal(size=300)
    some, mean, _ = means(tolerance_sums([starts(norm, draw, cost)]), "cost")
    for c in (13, 40, 60):
        assert some[c] and mean[some[:c].sum()] == pytest.approx(cost[norm <= CUTOFFS[c]].mean())


def test_the_error_is_between_draws_not_between_starts():
    """Two draws of 50 equal starts each, at 0 and at 1: the mean is 1/2 and its error 1/2, however many starts."""
    part = tolerance_sums([starts(np.full(100, 1e-12), np.repeat([0, 1], 50), np.repeat([0.0, 1.0], 50))])
    _, mean, error = means(part, "cost")
    assert mean[-1] == 0.5 and error[-1] == pytest.approx(0.5)
    _, _, alone = means(tolerance_sums([starts(np.full(4, 1e-12), 0, np.arange(4.0))]), "cost")
    assert np.isnan(alone).all()  # one draw has no error
