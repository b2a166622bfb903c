"""The outcome rule at its limits, and activations at their kinks."""

import numpy as np
import pytest

from simcore.formulas import verdict
from simcore.formulas.exponential import unit
from simcore.formulas.outcome import CRITICAL, DEGENERATE, GRADIENT_FLAT, LEFT_DOMAIN, MAX_ITERATIONS, NOT_FINITE


@pytest.mark.parametrize("tolerance", [1e-3, 0.2])
def test_flat_is_a_ratio_of_norms(tolerance):
    """|Hg| = c |H| |g| with c just below and just above the tolerance; the squares are what the rule is given."""
    h_square, g_square = 9.0, 0.25
    for factor, expected in ((0.999, True), (1.001, False)):
        hg_square = (factor * tolerance) ** 2 * h_square * g_square
        assert verdict.flat(False, hg_square, h_square, g_square, tolerance) == expected
    assert not verdict.flat(True, 0.0, h_square, g_square, tolerance)


def test_the_order_of_verdicts():
    """Arguments: finite, outside, small, short, settled, last."""
    rule = verdict.verdict
    assert rule(False, True, True, True, 0, True) == NOT_FINITE
    assert rule(True, True, True, True, 0, True) == LEFT_DOMAIN
    assert rule(True, False, True, True, 0, True) == CRITICAL
    assert rule(True, False, True, False, 0, True) == MAX_ITERATIONS
    assert rule(True, False, False, True, 0, False) == verdict.GO_ON
    assert rule(True, False, True, False, verdict.SETTLED - 1, False) == verdict.GO_ON
    assert rule(True, False, True, False, verdict.SETTLED, False) == MAX_ITERATIONS


def test_nullity_decides_where_the_gradient_is_small():
    assert verdict.confirmed(CRITICAL, True, 1, 0) == DEGENERATE
    assert verdict.confirmed(CRITICAL, True, 1, 1) == CRITICAL
    assert verdict.confirmed(MAX_ITERATIONS, True, 2, 1) == DEGENERATE
    assert verdict.confirmed(MAX_ITERATIONS, False, 2, 1) == MAX_ITERATIONS
    assert verdict.exhausted(True) == GRADIENT_FLAT
    assert verdict.exhausted(False) == MAX_ITERATIONS


def test_relu_takes_the_left_side_at_its_kink():
    from simcore.formulas.exponential import RELU

    for z, expected in (
        (-1.0, (0.0, 0.0, 0.0)),
        (0.0, (0.0, 0.0, 0.0)),
        (-0.0, (0.0, 0.0, 0.0)),
        (2.0, (2.0, 1.0, 0.0)),
    ):
        np.testing.assert_array_equal(unit(RELU, z, 0.0, 0.0), expected)
