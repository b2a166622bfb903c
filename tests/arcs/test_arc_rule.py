"""The units of the arc walk's rules: steps in correlation lengths, u as long as a typical gradient."""

import pytest

from simcore.arcs.rule import arc_rule


def test_u_is_as_long_as_a_typical_gradient_and_steps_are_parts_of_a_length():
    rule = arc_rule(0.5, 3.0, 9, 6.28, 0.1)
    assert 9 * rule.sigma**2 == pytest.approx(3.0**2)
    assert (rule.unit, rule.first, rule.longest, rule.tolerance, rule.period) == (0.5, 0.05, 0.25, 0.1, 6.28)
