"""Rounds on points that are made up: which starts a round makes, what ends a search, when a proof is tried."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from simcore.search import rounds as module
from simcore.search.rounds import Rounds


class Found:
    """So many points after each round (the last number for all later ones), each an orbit reached ``reach`` times."""

    broken = 0

    def __init__(self, *counts, reach=9, degenerate=0):
        self.counts, self.reach, self.degenerate = list(counts), reach, degenerate
        self.made, self.count, self.statuses = [], 0, np.zeros(6, np.int64)
        self.met = np.zeros(99, np.int64)  # by arcs

    def __len__(self):
        return self.count

    def add_ordinary(self, outcome, first, *, plain):
        assert outcome[0] == first and plain
        self.made += range(first, first + outcome[1])
        self.count = self.counts.pop(0) if len(self.counts) > 1 else self.counts[0]

    @property
    def orbit(self):
        return np.arange(self.count)

    @property
    def reached(self):
        return np.resize(self.reach, self.count)

    @property
    def arrivals(self):
        return self.met[: self.count]

    @property
    def table(self):
        return SimpleNamespace(**dict.fromkeys(("x", "index", "cost"), np.arange(self.count)))

    def add_walked(self, labels):
        self.count = max(self.count, 1 + max(labels))
        self.met += np.bincount(labels, minlength=99)


def rounds_of(points, **options):
    """Return the rounds of 64 starts, at most 20,000, over these points, all counted and none searched from."""
    rounds = Rounds(
        target=SimpleNamespace(search=SimpleNamespace(block=64), newton=lambda labels: labels),
        points=points,
        workers=SimpleNamespace(outcomes=lambda search, count, block: search(slice(0, count))),
        ordinary=lambda first, count: (first, count),
        counted=lambda: np.ones(len(points), bool),
        explored=lambda: np.zeros(len(points), bool),
        right=lambda: True,
        **options,
    )
    rounds.run(64, 20_000)
    return rounds


def test_every_start_is_made_once():
    points = Found(3, reach=1)
    rounds = rounds_of(points)
    assert points.made == list(range(20_000)) and rounds.starts == 20_000 and rounds.rounds > 2
    assert not rounds.complete


def test_enough_hits_end_a_search_and_a_degenerate_end_ends_it_unproved():
    done, flat = rounds_of(Found(3)), rounds_of(Found(3, degenerate=1))
    assert (done.complete, done.starts) == (True, 64)
    assert (flat.complete, flat.starts) == (False, 64)


def test_a_proof_is_tried_again_for_each_new_point_and_for_nothing_else():
    tried = []

    def settled():
        tried.append(len(points))
        return len(points) == 5

    points = Found(3, 3, 4, 4, 5, reach=1)
    rounds = rounds_of(points, settled=settled)
    assert tried == [3, 4, 5] and rounds.proved and rounds.complete and rounds.rounds == 5


def walks(monkeypatch, points, *met):
    """Return the rounds that walk, whose walks meet these points (the last ones for ever), and where walks began."""
    met, began = list(met), []

    def walk_from(target, x, index, cost, number):
        assert number == len(began)
        began.append(x.tolist())
        return met.pop(0) if len(met) > 1 else met[0]

    monkeypatch.setattr(module, "walk_from", walk_from)
    return rounds_of(points, walked=True), began


def test_a_walk_begins_at_what_was_reached_least_and_one_that_meets_nothing_new_is_the_last(monkeypatch):
    points = Found(4, reach=[5, 9, 4, 7])
    points.met[0] = 3
    rounds, began = walks(monkeypatch, points, [0, 3])
    assert began == [[2, 3, 0, 1]] and rounds.complete and rounds.walks == 1
    assert (rounds.targeted_starts, rounds.targeted_points) == (2, 0)


def test_walks_go_on_until_a_new_point_was_met_often(monkeypatch):
    rounds, began = walks(monkeypatch, Found(2, reach=[9, 9, 0]), [2, 0], [2])
    assert began == [[0, 1], [2, 1, 0], [2, 1, 0], [2, 1, 0]]  # four arrivals; 0 was met too
    assert rounds.complete and rounds.rounds == 1
    assert (rounds.targeted_starts, rounds.targeted_points) == (5, 1)


def test_a_new_point_that_walks_hardly_meet_keeps_the_list_open(monkeypatch):
    rounds, began = walks(monkeypatch, Found(2, 3, reach=[9, 9, 0]), [2], [0])
    assert len(began) == module.WALKS and not rounds.complete and rounds.rounds > 1
