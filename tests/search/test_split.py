"""A draw in parts: no part knows points, and all parts together are the rows of the whole."""

import pandas as pd

import simcore
from simcore.search.search import Search
from simcore.search.split import finish_draw, part_rows


def test_parts_have_no_points_and_together_are_the_whole():
    landscape = simcore.TorusField(1)
    search = Search.of(landscape, seed=2, backend="reference", positions=True)
    parts = [part_rows(search, draw=3, starts=count, first_start=first) for first, count in ((0, 5), (5, 7))]
    for part in parts:
        assert (part["point"] == -1).all() and not part["certified"].any() and (part["decrement"] >= 0).all()
    whole = simcore.find_critical_points(
        landscape, draws=1, first_draw=3, starts=12, seed=2, backend="reference", positions=True
    )
    assert whole["point"].max() > 0
    pd.testing.assert_frame_equal(finish_draw(search, pd.concat(parts, ignore_index=True)), whole, check_exact=True)
