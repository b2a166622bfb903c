"""Rounds on points that are made up: which starts a round makes, what ends a search, when a proof is tried."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from simcore.search.rounds import Rounds


class Found:
    """So many points after each round (the last number for all later ones), every one an orbit reached ``reach``
    times."""

    broken = 0

    def __init__(self, *counts, reach=9, degenerate=0):
        self.counts, self.reach, self.degenerate = list(counts), reach, degenerate
        self.made, self.count, self.statuses = [], 0, np.zeros(6, np.int64)

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
        return np.full(self.count, self.reach)

    @property
    def arrivals(self):
        return np.zeros(self.count, np.int64)


def rounds_of(points, settled=None):
    """Return the rounds of 64 starts, at most 20,000, over these points, all counted and none searched from."""
    rounds = Rounds(
        target=SimpleNamespace(search=SimpleNamespace(block=64)),
        points=points,
        workers=SimpleNamespace(outcomes=lambda search, count, block: search(slice(0, count))),
        ordinary=lambda first, count: (first, count),
        counted=lambda: np.ones(len(points), bool),
        explored=lambda: np.zeros(len(points), bool),
        right=lambda: True,
        settled=settled,
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
    rounds = rounds_of(points, settled)
    assert tried == [3, 4, 5] and rounds.proved and rounds.complete and rounds.rounds == 5
