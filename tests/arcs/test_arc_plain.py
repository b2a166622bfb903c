"""The readable twin of the arc walk by itself: its cubic, a step that passes two points, what must lead back."""

import numpy as np
import pytest

from simcore.arcs import plain
from simcore.arcs.rule import ARRIVED, IRREVERSIBLE, REVERSIBLE, Rule
from simcore.domains import Space

RULE = Rule(2.0, 0.1, 0.5, 0.15, 5.0, 1000.0, 1.0, 0.0)


def test_the_weights_are_those_of_the_cubic_with_these_ends_and_slopes():
    cubic, h = np.polynomial.Polynomial([0.3, -1.2, 0.7, 2.1]), 0.25
    b, a, b_slope, a_slope = cubic(0.0), cubic(1.0), cubic.deriv()(0.0) / h, cubic.deriv()(1.0) / h
    for q in (0.0, 0.2, 0.5, 0.9, 1.0):
        old, old_slope, slope = plain.hermite(q)
        assert a + old * (b - a) + h * (old_slope * b_slope + slope * a_slope) == pytest.approx(cubic(q), abs=1e-14)


def follow(gradient, start, u):
    """Follow one arc of a function of one variable, its gradient a polynomial."""
    walk = plain.arc(Space(1), np.array([start]), np.array([u]), RULE)
    x = next(walk)
    while True:
        there = gradient(x[0]), gradient.deriv()(x[0])
        local = plain.Local(gradient.integ()(x[0]), np.array([there[0]]), np.array([[there[1]]]), np.eye(1))
        try:
            x = walk.send(local)
        except StopIteration as end:
            return end.value


def test_an_arc_ends_at_the_first_return_of_s_though_a_step_passes_two_more_points():
    """s = f'/u is positive from 1 to 1.02, negative to 1.04 and positive again to 3; the first step is 0.1 long."""
    gradient = np.polynomial.Polynomial.fromroots([1.0, 1.02, 1.04, 3.0])
    status, end, index, _ = follow(gradient, 1.0, -1.0)
    assert status == ARRIVED and end[0] == pytest.approx(1.02, abs=1e-9) and index == 0
    status, back, index, _ = follow(gradient, 1.02, -1.0)
    assert status == ARRIVED and back[0] == pytest.approx(1.0, abs=1e-9) and index == 1


@pytest.mark.parametrize(
    ("missed", "index", "status"),
    [(0.99, 1, ARRIVED), (1.01, 1, IRREVERSIBLE), (0.0, 2, IRREVERSIBLE)],
    ids=["just back", "not back", "same parity"],
)
def test_a_move_counts_where_its_arc_leads_back_and_changes_the_parity(monkeypatch, missed, index, status):
    there, x = np.array([4.0]), np.array([1.0])
    ends = [(ARRIVED, there, index, 7.0), (ARRIVED, x + missed * REVERSIBLE * RULE.unit, 0, 5.0)]

    def arc(*_):
        return ends.pop(0)
        yield

    monkeypatch.setattr(plain, "arc", arc)
    walk = plain.walker(Space(1), plain.State(x, 0, 5.0), range(1), np.zeros(3), RULE, (1, 2, 3))
    with pytest.raises(StopIteration) as done:
        next(walk)
    state, (move,) = done.value.value
    assert move.status == status
    assert (state.cost, move.accepted, move.cost) == ((7.0, True, 7.0) if status == ARRIVED else (5.0, False, 5.0))


def test_acceptance_is_metropolis(monkeypatch):
    """Weights 1 and e^-40: what is a thousand times rarer than any uniform is refused, the way back never."""
    x = np.array([1.0])
    for index, accepted in ((1, False), (0, True)):
        ends = [(ARRIVED, np.array([4.0]), index, 7.0), (ARRIVED, x, 1 - index, 5.0)]

        def arc(*_, ends=ends):
            return ends.pop(0)
            yield

        monkeypatch.setattr(plain, "arc", arc)
        weight = np.array([0.0, -40.0])
        walk = plain.walker(Space(1), plain.State(x, 1 - index, 5.0), range(1), weight, RULE, (1, 2, 3))
        with pytest.raises(StopIteration) as done:
            next(walk)
        assert done.value.value[1][0].accepted is accepted
