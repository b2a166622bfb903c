"""Where walkers begin: even ones at a minimum of their own descents, odd ones wherever Newton's method leads."""

from types import SimpleNamespace

import numpy as np
import pytest

from simcore.backends.problems import Outcome
from simcore.counts import beginnings
from simcore.errors import RunError
from simcore.formulas.outcome import CRITICAL, MAX_ITERATIONS


def ends(index, status):
    """Ends of searches, the first start's first; their numbers stand in x and cost."""
    outcome = Outcome.empty(len(index), 1)
    outcome.index[:], outcome.status[:] = index, status
    outcome.x[:, 0] = outcome.cost[:] = np.arange(len(index))
    return outcome


def target(monkeypatch, by_descents, by_newton):
    asked = []
    monkeypatch.setattr(beginnings, "descend", lambda _, first, count: asked.append((first, count)) or by_descents)
    made = SimpleNamespace(ordinary=lambda first, count: asked.append((first, count)) or by_newton, asked=asked)
    made.draw = SimpleNamespace(number=7)
    return made


def test_even_walkers_begin_at_a_minimum_and_odd_ones_at_any_point(monkeypatch):
    made = target(
        monkeypatch,
        ends([0, 1, 0, 0], [MAX_ITERATIONS, CRITICAL, CRITICAL, CRITICAL]),
        ends([0, 3, 0], [MAX_ITERATIONS, CRITICAL, CRITICAL]),
    )
    found = beginnings.beginnings(made, range(4))
    assert found.index.tolist() == [0, 3, 0, 3]
    assert found.cost.tolist() == found.x[:, 0].tolist() == [2.0, 1.0, 2.0, 1.0]
    assert made.asked == [(beginnings.TRIES * walker, beginnings.TRIES) for walker in range(4)]  # starts of their own


def test_where_one_search_finds_nothing_the_other_serves(monkeypatch):
    saddle, nothing = ends([2], [CRITICAL]), ends([0], [MAX_ITERATIONS])
    assert beginnings.beginning(target(monkeypatch, saddle, saddle), 0)[1] == 2  # no minimum: Newton's first point
    assert beginnings.beginning(target(monkeypatch, saddle, nothing), 1)[1] == 2
    with pytest.raises(RunError, match=r"draw 7 .* from 64 starts"):
        beginnings.beginning(target(monkeypatch, nothing, nothing), 0)
