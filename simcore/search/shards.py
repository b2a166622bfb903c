"""What a sweep computes in one work unit: rows of several draws, with the column ``draw``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simcore.search import ball
from simcore.search.enumerate import MAX_STARTS, Enumeration, check_enumerable, enumerate_draw
from simcore.search.find import newton_rows
from simcore.search.proved import check_prove
from simcore.search.rounds import FIRST_ROUND, check_limits
from simcore.search.search import Search, check_draws
from simcore.search.target import Target, Workers

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ball_rows", "enumerate_rows", "newton_rows"]


def enumerate_rows(
    search: Search,
    *,
    first_draw: int,
    draws: int,
    starts: int = FIRST_ROUND,
    max_starts: int = MAX_STARTS,
    prove: bool | str = "auto",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (points, audits) of several enumerated draws; the first column of both is ``draw`` (int64).

    ``points`` has a row a distinct point (``Enumeration.points``), ``audits`` a row a draw (``Enumeration.audit``
    without ``saturation``, and of ``proof`` its entries, as ``proof_method``, ``proof_bound``, ``proof_certified``,
    ``proof_work`` (paths or boxes), ``proof_retracked``). Threads take whole draws.
    """
    check_enumerable(search.landscape)
    prove = check_prove(prove)
    limits = check_limits(starts, max_starts, least=0)
    alone = Workers(1)
    return _of_draws(search, first_draw, draws, lambda target: enumerate_draw(target, limits, alone, prove=prove))


def ball_rows(
    search: Search,
    *,
    first_draw: int,
    draws: int,
    starts: int = FIRST_ROUND,
    max_starts: int = ball.MAX_STARTS,
    radius: float | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (points, audits) of the balls of several draws, as ``enumerate_rows``; ``simcore.search.ball`` says what
    is counted. ``audits`` lacks ``centre``."""
    search, where = ball.local(search), ball.ball_of(search.landscape, radius)
    limits = check_limits(starts, max_starts)
    alone = Workers(1)
    return _of_draws(search, first_draw, draws, lambda target: ball.search_ball(target, where, limits, alone))


def _of_draws(
    search: Search, first_draw: int, draws: int, one: Callable[[Target], Enumeration]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    first_draw, draws = check_draws(search.landscape, first_draw, draws)
    numbers = range(first_draw, first_draw + draws)
    with Workers(search.threads) as workers:
        return stacked(numbers, workers.map(lambda number: one(Target.numbered(search, number)), numbers))


def stacked(numbers: range, found: list[Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return points and audits of many draws below one another, with their numbers."""
    import numpy as np
    import pandas as pd

    frames = [one.points for one in found]
    points = pd.concat(frames, ignore_index=True)
    points.insert(0, "draw", np.repeat(np.array(numbers, np.int64), [len(frame) for frame in frames]))
    left_out = ("saturation", "centre", "proof")
    audits = pd.DataFrame([{k: v for k, v in one.audit.items() if k not in left_out} for one in found])
    for name in ("method", "bound", "certified", "work", "retracked"):
        entries = [(one.audit["proof"] or {}) for one in found]
        values = [e.get(name, e.get("paths", e.get("boxes")) if name == "work" else None) for e in entries]
        audits[f"proof_{name}"] = pd.array(values, dtype="string" if name == "method" else "Int64")
    audits.insert(0, "draw", np.array(numbers, np.int64))
    audits["euler_expected"] = audits["euler_expected"].astype("Int64")  # missing where the sum is not fixed
    return points, audits
