"""The study of the rule of completeness, on lists made by hand: which draws are judged, which of those are wrong."""

import numpy as np
from simcore_analysis.samples import Sample
from simcore_analysis.studies import completeness
from simcore_analysis.studies.completeness import Comparison


def sample(n, totals, complete, proved):
    totals = np.array(totals, float)
    counts = np.column_stack([totals - 2.0, np.full(len(totals), 2.0)])
    given = {"landscape": "spherical_spin", "n": n, "p": 3}
    flags = [np.array(part, bool) for part in (complete, proved)]
    return Sample(given, 1, counts, counts, counts, flags[0], np.full(len(totals), 512.0), proved=flags[1])


ROWS = [
    Comparison(
        sample(4, [6, 6, 8], [1, 1, 1], [1, 1, 0]), sample(4, [6, 4, 6], [1, 0, 1], [0, 0, 0]), np.ones(3, bool)
    ),
    Comparison(
        sample(6, [8, 8, 8, 8], [1, 1, 1, 1], [1, 1, 1, 1]),
        sample(6, [8, 6, 8, 8], [1, 1, 1, 0], [0, 0, 0, 0]),
        np.array([True, True, True, False]),
    ),
]


def test_a_draw_is_judged_where_the_rule_says_complete_and_a_proof_knows():
    assert [list(c.judged) for c in ROWS] == [[True, False, False], [True, True, True, False]]
    assert [list(c.wrong) for c in ROWS] == [[False] * 3, [False, True, False, False]]


def test_claims_count_the_wrong_among_the_judged():
    found = {claim.claim: claim.estimate(0.95).value for claim in completeness.claims_of(ROWS)}
    assert list(found.values()) == [1 / 4, 6 / 7, 3 / 4]
    assert "n = 6" in list(found)[2] and "3-spin" in list(found)[2]


def test_the_table_has_a_row_a_landscape_and_n_and_the_figure_is_drawn():
    rows = completeness.table(ROWS).rows
    assert [(row["n"], row["proved"], row["complete"], row["wrong"]) for row in rows] == [(4, 2, 2, 0), (6, 4, 3, 1)]
    assert 0.6 < rows[1]["at_most"] < 0.99 and rows[0]["points"] == 20 / 3  # 1 of 3: Clopper and Pearson's .865
    figure = completeness.figure(ROWS)
    assert [list(line.get_xdata()) for line in figure.axes[1].get_lines()[:1]] == [[4, 6]]
