"""What a sweep computes in one work unit: rows of several draws, with the column ``draw``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simcore.search import ball
from simcore.search.enumerate import MAX_STARTS, Enumeration, check_enumerable, enumerate_draw
from simcore.search.find import find_critical_points
from simcore.search.proved import check_prove
from simcore.search.rounds import FIRST_ROUND, check_limits
from simcore.search.solvers import Solver
from simcore.search.target import Target, Workers, check_draws, settings, thread_count

if TYPE_CHECKING:
    import pandas as pd

    from simcore.landscapes.base import Landscape


def newton_rows(
    landscape: Landscape,
    *,
    first_draw: int,
    draws: int,
    starts: int,
    first_start: int = 0,
    seed: int,
    solver: Solver | None = None,
    backend: str = "cpu",
    start_law: str | None = None,
    positions: bool = False,
    spectrum: bool = False,
    threads: int | None = 1,
) -> pd.DataFrame:
    """Return the rows of draws first_draw .. first_draw + draws - 1: ``find_critical_points`` by its columns."""
    return find_critical_points(
        landscape,
        draws=draws,
        first_draw=first_draw,
        starts=starts,
        first_start=first_start,
        seed=seed,
        solver=solver,
        backend=backend,
        start_law=start_law,
        positions=positions,
        spectrum=spectrum,
        threads=threads,
    )


def enumerate_rows(
    landscape: Landscape,
    *,
    first_draw: int,
    draws: int,
    seed: int,
    starts: int = FIRST_ROUND,
    max_starts: int = MAX_STARTS,
    solver: Solver | None = None,
    backend: str = "cpu",
    start_law: str | None = None,
    prove: bool | str = "auto",
    positions: bool = False,
    spectrum: bool = False,
    threads: int | None = 1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (points, audits) of several enumerated draws; the first column of both is ``draw`` (int64).

    ``points`` has a row a distinct point (``Enumeration.points``), ``audits`` a row a draw (``Enumeration.audit``
    without ``saturation``, and of ``proof`` its entries, as ``proof_method``, ``proof_bound``, ``proof_certified``,
    ``proof_work`` (paths or boxes), ``proof_retracked``). Threads take whole draws.
    """
    chosen = settings(landscape, seed=seed, solver=solver, backend=backend, start_law=start_law)
    check_enumerable(landscape)
    prove = check_prove(prove)
    limits = check_limits(starts, max_starts, least=1 if prove is False else 0)
    first_draw, draws = check_draws(landscape, first_draw, draws)
    alone = Workers(1)

    def one(number: int) -> Enumeration:
        target = Target.of(chosen, landscape.draw(seed=chosen.seed, draw=number))
        return enumerate_draw(target, limits, alone, prove=prove, positions=positions, spectrum=spectrum)

    numbers = range(first_draw, first_draw + draws)
    with Workers(thread_count(threads)) as workers:
        return stacked(numbers, workers.map(one, numbers))


def ball_rows(
    landscape: Landscape,
    *,
    first_draw: int,
    draws: int,
    seed: int,
    radius: float | None = None,
    starts: int = FIRST_ROUND,
    max_starts: int = ball.MAX_STARTS,
    solver: Solver | None = None,
    backend: str = "cpu",
    start_law: str | None = None,
    positions: bool = False,
    spectrum: bool = False,
    threads: int | None = 1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (points, audits) of the balls of several draws, as ``enumerate_rows``; ``simcore.search.ball`` says what
    is counted. ``audits`` lacks ``centre``."""
    chosen = ball.ball_settings(landscape, seed=seed, solver=solver, backend=backend, start_law=start_law)
    where = ball.ball_of(landscape, radius)
    limits = check_limits(starts, max_starts)
    first_draw, draws = check_draws(landscape, first_draw, draws)
    alone = Workers(1)

    def one(number: int) -> Enumeration:
        target = Target.of(chosen, landscape.draw(seed=chosen.seed, draw=number))
        return ball.search_ball(target, where, limits, alone, positions=positions, spectrum=spectrum)

    numbers = range(first_draw, first_draw + draws)
    with Workers(thread_count(threads)) as workers:
        return stacked(numbers, workers.map(one, numbers))


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
