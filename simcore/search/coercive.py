"""All critical points of a small network's cost with a penalty: classes modulo permutations and signs of its units.

With L2 above 0 the cost grows in all directions, so over all critical points the sum of (-1)^index is 1 (Morse): over
classes, each counted as often as it has images, sum of (-1)^index * orbit = 1. Multi-start alone misses half of the
classes of a network with a dozen parameters, and no estimate of unseen species notices; arcs between critical points
(``simcore.arcs``) find them. So multi-start is followed by walks from every class, until

1. the sum over classes is 1;
2. every class was reached by at least ``ENOUGH`` moves of the walks or by as many starts;
3. the newest class is old: it was found in the first half of all moves;
4. no start ended at a degenerate point.

Together they are a rule, not a proof: two missed classes of one fold cancel in the sum.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simcore.arcs.chains import Chains
from simcore.arcs.rule import ARRIVED, ESCAPED, arc_rule
from simcore.formulas.outcome import CRITICAL, STATUSES
from simcore.search.audit import coverage
from simcore.search.certify import derivatives_at, prove
from simcore.search.distinct import PointTable
from simcore.search.frames import VARIABLES
from simcore.search.target import Target, Workers

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

ENOUGH = 2
"""Moves or starts that must have reached every class."""
WALKERS = 48
"""Walkers of a round, begun at the classes that were reached least."""
MOVES = 32
"""Moves of each in a round."""
MOST_MOVES = 200_000
"""Moves after which a list that is not complete is given up."""
TOLERANCE = 0.05
"""Longest correction of a step: networks' curves turn more sharply than random functions' do."""


class Classes:
    """Classes found so far: representatives in a ``PointTable``, how often starts and moves reached each."""

    def __init__(self, target: Target) -> None:
        chosen = target.search
        self.target = target
        self.table = PointTable(chosen.landscape, chosen.options.decrement_tolerance, target.cost_unit)
        self.hits = np.zeros(0, np.int64)
        self.reached = np.zeros(0, np.int64)
        self.first = np.zeros(0, np.int64)  # moves at the end of the round that found it; 0 for a start
        self.orbit = np.zeros(0, np.int64)

    def add(self, x: Array, index: NDArray, cost: Array, decrement: Array, moves: int) -> NDArray[np.int64]:
        """Absorb points (rows, n), found after so many moves; return their classes."""
        before = self.table.count
        labels = self.table.absorb(self.target.canonical(x), index, cost, decrement)
        new = self.table.count - before
        orbit = [self.target.draw.orbit_size(row) for row in self.table.x[before:]]
        self.orbit = np.concatenate([self.orbit, np.array(orbit, np.int64)])
        self.first = np.concatenate([self.first, np.full(new, moves, np.int64)])
        none = np.zeros(new, np.int64)
        self.hits, self.reached = np.concatenate([self.hits, none]), np.concatenate([self.reached, none])
        return labels

    @property
    def euler_sum(self) -> int:
        """Sum over classes of (-1)^index times orbit."""
        return int(((1 - 2 * (self.table.index & 1)) * self.orbit).sum())


def enumerate_classes(
    target: Target, starts: int, most_moves: int, workers: Workers
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return (points, audit): a row a class, by cost, with ``orbit``; see the module for the rule of ``complete``."""
    classes = Classes(target)
    outcome = workers.outcomes(
        lambda rows: target.ordinary(rows.start, rows.stop - rows.start), starts, target.search.block
    )
    rows = np.flatnonzero(outcome.status == CRITICAL)
    labels = classes.add(outcome.x[rows], outcome.index[rows], outcome.cost[rows], outcome.decrement[rows], 0)
    classes.hits += np.bincount(labels, minlength=classes.table.count)
    statuses = np.bincount(outcome.status, minlength=len(STATUSES))
    by_starts, sum_by_starts = classes.table.count, classes.euler_sum

    moves = escaped = rounds = 0
    sound = statuses[STATUSES.index("degenerate")] == 0
    complete = False
    while classes.table.count and moves < most_moves and not complete:
        made = _round(target, classes, rounds, workers)
        rounds += 1
        arrived = made.status == ARRIVED
        escaped += int((made.status == ESCAPED).sum())
        x, index, cost = made.x[arrived], made.index[arrived].astype(np.int64), made.cost[arrived]
        moves += made.status.size
        labels = classes.add(x, index, cost, np.zeros(len(x)), moves)
        classes.reached += np.bincount(labels, minlength=classes.table.count)
        seen = bool((classes.reached + classes.hits >= ENOUGH).all())
        old = bool((2 * classes.first < moves).all())
        complete = bool(sound and classes.euler_sum == 1 and seen and old)
    frame, certified = _frame(target, classes)
    hits = classes.hits
    audit: dict[str, Any] = {
        "distinct": len(frame),
        "orbits": len(frame),
        "points": int(classes.orbit.sum()),
        "starts": starts,
        "descended_starts": 0,
        "singletons": int((hits == 1).sum()),
        "least_hits": int(hits.min()) if len(hits) else 0,
        "coverage": coverage(hits),
        "euler_sum": classes.euler_sum,
        "euler_expected": 1,
        "complete": complete,
        "proved": False,
        "proof": None,
        "certified_fraction": float(certified.mean()) if len(certified) else float("nan"),
        "by_starts": by_starts,
        "euler_sum_by_starts": sum_by_starts,
        "walk_moves": moves,
        "newest_class": int(classes.first.max(initial=0)),
        "least_reached": int((classes.reached + hits).min()) if len(hits) else 0,
        "escaped": escaped / max(1, moves),
        "rounds": rounds,
        "broken_images": 0,
        **{name: int(count) for name, count in zip(STATUSES, statuses, strict=True)},
    }
    return frame, audit


def _round(target: Target, classes: Classes, number: int, workers: Workers) -> Any:
    """Walk from the classes that were reached least, the newest of equals first; return the moves.

    Plain walks, without weights: they found new classes of networks faster than walks that are flat in the index.
    """
    table, landscape = classes.table, target.search.landscape
    count = min(WALKERS, table.count) if table.count >= 24 else min(24, WALKERS)
    reached = classes.reached + classes.hits
    order = np.lexsort((-np.arange(table.count), reached))
    order = np.resize(order, count)
    scales = landscape.scales
    rule = arc_rule(scales.length, scales.gradient * target.scale, landscape.dimension, 0.0, TOLERANCE)
    rule = rule._replace(largest=50.0, steps=3000.0)
    streams = [landscape.stream(f"classes:{number}:{walker}") for walker in range(count)]
    address = (target.search.seed, target.draw.number)
    chains = Chains(
        target.problem, landscape.dimension, table.x[order], table.index[order], table.cost[order], rule,
        np.zeros(landscape.dimension + 1), address, streams, threads=workers.threads,
    )  # fmt: skip
    return chains.advance(MOVES, workers.map)


def _frame(target: Target, classes: Classes) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    import pandas as pd

    order = np.argsort(classes.table.cost, kind="stable")
    x, index = classes.table.x[order], classes.table.index[order]
    at = derivatives_at(target, x)
    certified = prove(target, x, index, at).certified
    columns: dict[str, Any] = {
        "point": np.arange(len(order)),
        "cost": at.value,
        "morse_index": index.astype(np.int32),
        "nullity": np.zeros(len(order), np.int32),
        "grad_norm": at.slope,
        "hits": classes.hits[order],
        "certified": certified,
        "orbit": classes.orbit[order],
    }
    if target.search.positions:
        columns["x"] = list(x)
    frame = pd.DataFrame(columns)
    frame.attrs[VARIABLES] = target.search.landscape.n
    return frame, certified
