"""Rounds of ordinary starts, each followed by searches from the points found: what enumerations and balls share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Outcome
from simcore.errors import InputError
from simcore.formulas.outcome import STATUSES
from simcore.progress import current
from simcore.search.audit import chao1, coverage, enough_hits
from simcore.search.points import Points
from simcore.search.target import TILE, Target, Workers
from simcore.search.targeted import starts_from, walk_from
from simcore.validate import COUNTERS, whole

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FIRST_ROUND = 512
GROWTH = (1.3, 4.0)
"""Smallest and largest factor by which a round may raise the number of starts."""
KNOWN = 0.5
"""Good-Turing coverage from which on points are searched from. A function with a continuum of critical points that look
isolated never gets there."""
WALKS = 8
"""Short walks after one that gave a new point, at most, until one gives none and every orbit was reached often."""
AT_ONCE = 2**16
"""Starts whose outcomes are held at a time: bounds the memory of long rounds."""


def check_limits(starts: int, max_starts: int, least: int = 1) -> tuple[int, int]:
    """Return (starts, max_starts) after checking them; ``least`` starts must be made."""
    starts = whole("starts", starts, least, COUNTERS)
    max_starts = whole("max_starts", max_starts, 1, COUNTERS)
    if max_starts < starts:
        raise InputError(f"max_starts is {max_starts} and starts is {starts}; give max_starts of at least starts")
    return starts, max_starts


@dataclass
class Rounds:
    """The search of one draw in rounds.

    ordinary : (first, count) -> Outcome, the plain ordinary starts ``first`` .. ``first + count - 1``.
    counted : () -> mask of the points found so far that are asked for.
    explored : () -> mask of the points to search from.
    right : () -> bool, a check on the counted points that must hold besides their hits.
    local : whether a part of the domain is searched: then there may be no point at all, and no flow is followed.
    settled : () -> bool, tried wherever the rest is right: whether a proof says that nothing is missing.
    descended : as ``ordinary``, of starts that begin with a few gradient steps: as many are made, or none.
    walked : whether a draw that looks complete is walked on by arcs before it is called so.
    decidable : whether anything can show the draw complete; where nothing can, hits end the search, unproved.
    """

    target: Target
    points: Points
    workers: Workers
    ordinary: Callable[[int, int], Outcome]
    counted: Callable[[], Mask]
    explored: Callable[[], Mask]
    right: Callable[[], bool]
    local: bool = False
    decidable: bool = True
    descended: Callable[[int, int], Outcome] | None = None
    settled: Callable[[], bool] | None = None
    walked: bool = False
    starts: int = 0
    descended_starts: int = 0
    rounds: int = 0
    targeted_starts: int = 0
    targeted_points: int = 0
    complete: bool = False
    proved: bool = False
    saturation: list[list[int]] = field(default_factory=list)
    walks: int = 0
    _tried: int = -1
    _searched: Mask = field(default_factory=lambda: np.zeros(0, np.bool_))

    def run(self, first_round: int, max_starts: int) -> None:
        """Search until the rule of ``simcore.search.enumerate`` is met or ``max_starts`` is reached."""
        wanted = min(first_round, max_starts)
        while True:
            self._round(wanted)
            if coverage(self.hits()) >= KNOWN:  # before that ordinary starts find points faster
                self._search_from_points()
            least, right = self._least_reached(), self.right()
            sound = self.points.broken == 0 and self.points.degenerate == 0
            # A ball or box may hold no point; the second look guards against calling it empty too early.
            may_be_empty = self.local or not self.decidable
            enough = least >= self.enough if len(self.hits()) else may_be_empty and self.rounds > 1
            self.complete = bool(right and enough and sound)
            if self.complete and self.walked and self._walk():
                self.complete = self.right() and self._least_reached() >= self.enough and self.points.broken == 0
            if right and sound and self.settled is not None and len(self.points) != self._tried:
                self._tried = len(self.points)
                self.proved = self.settled()
                self.complete |= self.proved
            if self.complete or not sound or self.starts >= max_starts or (enough and not self.decidable):
                return
            wanted = min(self._next_total(least, right), max_starts)

    @property
    def enough(self) -> int:
        """Hits that every orbit needs."""
        return enough_hits(self.descended is not None)

    def _next_total(self, least: int, right: bool) -> int:
        """Return how many starts to have made after the next round: what the rarest orbit seems to need, in limits."""
        factor = 2.0 if least >= self.enough else 1.15 * self.enough / max(least, 0.5 if right else 1.0)
        return -(-int(self.starts * min(max(factor, GROWTH[0]), GROWTH[1])) // TILE) * TILE

    def _round(self, wanted: int) -> None:
        for search, plain in ((self.ordinary, True), (self.descended, False)):
            if search is None:
                continue
            for begin in range(self.starts, wanted, AT_ONCE):
                many = min(AT_ONCE, wanted - begin)
                outcome = self.workers.outcomes(partial(block, search, begin), many, self.target.search.block)
                self.points.add_ordinary(outcome, begin, plain=plain)
            self.descended_starts += 0 if plain else wanted - self.starts
        self.starts, self.rounds = wanted, self.rounds + 1
        self.saturation.append([wanted, int((self.hits() > 0).sum())])
        current().say(f"round {self.rounds}: {len(self.points):,} points, {self.starts:,} starts")

    def _search_from_points(self) -> None:
        """Search from every orbit not searched from yet, until that gives nothing new."""
        points = self.points
        while True:
            searched = np.zeros(len(points), np.bool_)
            searched[: len(self._searched)] = self._searched
            leaders = points.orbit == np.arange(len(points))
            new = np.flatnonzero(leaders & self.explored() & ~searched)
            searched[new] = True
            self._searched = searched
            if len(new) == 0:
                return
            before = len(points)
            begin = starts_from(self.target, points.table.x[new], flows=not self.local)
            ended = self.workers.outcomes(
                lambda rows, x=begin: self.target.newton(x[rows]),  # type: ignore[misc]
                len(begin),
                self.target.search.block,
            )
            points.add_targeted(ended)
            self.targeted_starts += len(begin)
            self.targeted_points += len(points) - before

    def _walk(self) -> bool:
        """Walk on the points by arcs; return whether that gave new ones, and gave none any more in the end."""
        points, known = self.points, len(self.points)
        for _ in range(WALKS):
            before = len(points)
            leaders = np.flatnonzero(points.orbit == np.arange(before))
            order = leaders[np.argsort((points.reached + points.arrivals)[leaders], kind="stable")]
            table = points.table
            met = walk_from(self.target, table.x[order], table.index[order], table.cost[order], self.walks)
            self.walks += 1
            if len(met):
                points.add_walked(self.target.newton(met))
            self.targeted_starts += len(met)
            self.targeted_points += len(points) - before
            if len(points) > before:
                self._search_from_points()
            elif before == known or self._least_reached() >= self.enough:
                break
        return len(points) > known

    def hits(self) -> NDArray[np.int64]:
        """Return the ordinary hits of every counted orbit, by starts of both kinds."""
        return self._by_orbit(self.points.reached)

    def _least_reached(self) -> int:
        """Return how often starts or arcs reached the rarest counted orbit, 0 where there is none."""
        reached = self._by_orbit(self.points.reached + self.points.arrivals)
        return int(reached.min()) if len(reached) else 0

    def _by_orbit(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        points = self.points
        total = np.bincount(points.orbit, weights=times, minlength=len(points)).astype(np.int64)
        return total[(points.orbit == np.arange(len(points))) & self.counted()]

    def least_hits(self) -> int:
        """Return the ordinary hits of the rarest counted orbit, 0 where there is none."""
        hits = self.hits()
        return int(hits.min()) if len(hits) else 0

    def audit(self, certified: Mask) -> dict[str, Any]:
        """Return what every audit says (``Enumeration``), but for the Euler sum."""
        hits = self.hits()
        return {
            "distinct": int(self.counted().sum()),
            "orbits": len(hits),
            "starts": self.starts,
            "descended_starts": self.descended_starts,
            "singletons": int((hits == 1).sum()),
            "least_hits": self.least_hits(),
            "coverage": coverage(hits),
            "chao1": chao1(hits),
            "complete": self.complete,
            "certified_fraction": float(certified.mean()) if len(certified) else float("nan"),
            "targeted_starts": self.targeted_starts,
            "targeted_points": self.targeted_points,
            "rounds": self.rounds,
            "broken_images": self.points.broken,
            **{name: int(count) for name, count in zip(STATUSES, self.points.statuses, strict=True)},
            "saturation": self.saturation,
        }


def block(search: Callable[[int, int], Outcome], begin: int, rows: slice) -> Outcome:
    """Search from the starts of some rows of a round that begins at start ``begin``."""
    return search(begin + rows.start, rows.stop - rows.start)
