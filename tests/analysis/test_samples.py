"""Hits of draws with unequal numbers of starts: each draw weighs the same."""

import numpy as np
import pytest
from simcore_analysis.samples import Sample


def sample(hits):
    hits = np.array(hits, float)
    counts = np.ones_like(hits)
    parameters = {"landscape": "torus_field", "n": 2}
    return Sample(parameters, 2, counts, hits, counts, np.ones(len(hits), bool), hits.sum(axis=1))


def test_a_ratio_by_hits_averages_shares_not_hits():
    """Two draws, one with a hundred times the starts: shares (.25, .5, .25) and (.5, .25, .25) give .75/.75 = 1, where
    pooled hits would give 205/155."""
    unequal = sample([[1, 2, 1], [200, 100, 100]] * 8)
    assert unequal.ratio_hits().value == pytest.approx(0.75 / 0.75, rel=1e-12)
    equal = sample([[100, 200, 100], [200, 100, 100]] * 8)
    assert equal.ratio_hits().value == pytest.approx(unequal.ratio_hits().value, rel=1e-12)


def test_a_draw_without_hits_weighs_nothing_and_breaks_nothing():
    assert sample([[0, 0, 0], [1, 2, 1], [1, 2, 1]] * 8).ratio_hits().value == pytest.approx(2.0)
