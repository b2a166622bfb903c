"""Where walkers begin: minima found by descents, and points of the middle found by Newton's method."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Outcome
from simcore.errors import RunError
from simcore.formulas.outcome import CRITICAL
from simcore.search.target import Target
from simcore.search.targeted import flow

Array = NDArray[np.float64]

TRIES = 32
"""Starts that a walker may use to find its first point."""
DESCENT = 200
"""Gradient steps of a descent; Newton's method follows."""
DESCENTS = 256
"""Descents whose minima make the frozen set of known points."""
_APART = 2**20  # start number of the first of them: far beyond the walkers' own starts


class Beginning(NamedTuple):
    """Critical points, a row a walker: x (W, n), index (W,), cost (W,)."""

    x: Array
    index: NDArray[np.int64]  # type: ignore[assignment]
    cost: Array


def descend(target: Target, first: int, count: int) -> Outcome:
    """Return where descents from starts ``first`` .. ``first + count - 1`` end."""
    x = target.starts(first, count)
    return target.newton(flow(target, x, np.full(count, -1.0), DESCENT))


def known_minima(target: Target, count: int = DESCENTS) -> Outcome:
    """Return the ends of ``count`` descents that are minima, copies included; their starts serve nothing else."""
    ends = descend(target, _APART, count)
    return _rows(ends, (ends.status == CRITICAL) & (ends.index == 0))


def beginning(target: Target, walker: int) -> tuple[Array, int, float]:
    """Return (x, index, cost) of the point at which a walker begins, a function of its number alone.

    Even walkers begin at the first minimum among the ends of their own descents, odd ones at the first critical point
    that Newton's method finds from their own starts, which is of the middle: so walkers that have not mixed disagree.
    Raises ``RunError`` where neither finds any.
    """
    searches = (target.ordinary, lambda first, count: descend(target, first, count))
    kinds = searches[::-1] if walker % 2 == 0 else searches
    for number, search in enumerate(kinds):
        ends = search(walker * TRIES, TRIES)
        right = ends.status == CRITICAL
        if walker % 2 == 0 and number == 0:
            right &= ends.index == 0
        rows = np.flatnonzero(right)
        if len(rows):
            row = rows[0]
            return ends.x[row].copy(), int(ends.index[row]), float(ends.cost[row])
    raise RunError(
        f"no critical point of draw {target.draw.number} was found from {2 * TRIES} starts, so no walk can begin; "
        "look at find_critical_points for this function first"
    )


def beginnings(target: Target, walkers: range) -> Beginning:
    """Return the beginnings of these walkers."""
    each = [beginning(target, walker) for walker in walkers]
    x, index, cost = zip(*each, strict=True)
    return Beginning(np.array(x), np.array(index, np.int64), np.array(cost))


def _rows(outcome: Outcome, mask: NDArray[np.bool_]) -> Outcome:
    return Outcome(*(column[mask] for column in outcome))  # type: ignore[arg-type]
