"""The tolerance figure: means below each cutoff, and their errors between draws."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from simcore_analysis.tolerance import BATCHES, CUTOFFS, _everywhere, means, tolerance_sums

import simcore


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


def test_starts_are_summed_by_group_batch_and_cutoff_whatever_part_they_came_in():
    """A start at a cutoff is accepted by it, one beyond the last by none; what is not finite counts nowhere."""
    status = ["critical", "degenerate", "gradient_flat", "max_iterations", "critical", "critical", "critical"]
    norm = np.array([CUTOFFS[5], 1e-14, CUTOFFS[9] * 1.01, 100.0, CUTOFFS[5], np.nan, 1e-3])
    rows = starts(norm, [0, 1, 2, 3, BATCHES, 4, 5], [1.0, 2, 3, 4, 5, 6, np.inf])
    rows = rows.assign(status=status, morse_index=[1, 2, 3, -1, 4, 5, 6])
    sums = tolerance_sums([rows.iloc[:3], rows.iloc[3:]])
    assert {"landscape", "n"} <= set(sums.columns)
    columns = ["draw", "group", "bin", "number", "cost", "index", "unknown"]
    assert sorted(map(tuple, sums[columns].to_numpy().tolist())) == [
        (0, "critical", 5, 2, 6.0, 5, 0),
        (1, "critical", 0, 1, 2.0, 2, 0),
        (2, "gradient_flat", 10, 1, 3.0, 3, 0),
        (3, "other", len(CUTOFFS), 1, 4.0, 0, 1),
        (4, "nowhere", len(CUTOFFS), 1, 0.0, 5, 0),
        (5, "nowhere", len(CUTOFFS), 1, 0.0, 6, 0),
    ]


def test_the_error_is_between_draws_not_between_starts():
    """Two draws of 50 equal starts each, at 0 and at 1: the mean is 1/2 and its error 1/2, however many starts."""
    part = tolerance_sums([starts(np.full(100, 1e-12), np.repeat([0, 1], 50), np.repeat([0.0, 1.0], 50))])
    _, mean, error = means(part, "cost")
    assert mean[-1] == 0.5 and error[-1] == pytest.approx(0.5)
    _, _, alone = means(tolerance_sums([starts(np.full(4, 1e-12), 0, np.arange(4.0))]), "cost")
    assert np.isnan(alone).all()  # one draw has no error


def test_a_soft_mode_is_no_null_mode():
    """In one dimension the one eigenvalue is its own scale: a millionth either side of an inflection has index 0 or
    1, however flat the function is there; where the gradient is not finite the index stays unknown."""
    function = simcore.TorusField(1).draw(seed=3, draw=0)

    def bend(x):
        return float(function.hessian(np.array([x]))[0, 0])

    grid = np.linspace(0.0, 2 * np.pi, 200)
    turns = [brentq(bend, a, b, xtol=1e-15) for a, b in pairwise(grid) if bend(a) * bend(b) < 0]
    x = np.repeat(turns, 2) + np.tile([-1e-7, 1e-7], len(turns))
    w = np.array([bend(place) for place in x])
    assert len(turns) >= 2 and (np.abs(w) < 1e-5).all()
    rows = starts(np.ones(len(x)), 0, 0.0).assign(combination=0, morse_index=-1, x=list(x[:, None]))
    entries = [{"name": "torus_field", "n": 1}]
    assert list(_everywhere(rows, 3, entries)) == list((w < 0).astype(int))
    rows.loc[0, "grad_norm"] = np.nan
    assert _everywhere(rows, 3, entries)[0] == -1
