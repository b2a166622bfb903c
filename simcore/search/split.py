"""A draw whose starts are searched in several work units: the units first, then what needs all of them together.

``point``, ``certified`` and ``eigenvalues`` of a row refer to the first start that reached its point, so they can be
given only once all starts of the draw are there. The result is ``find_critical_points`` of all starts, bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.formulas.outcome import STATUSES
from simcore.search.find import _DrawJob, _Rows
from simcore.search.solvers import Solver
from simcore.search.target import Target, Workers, settings, thread_count

if TYPE_CHECKING:
    import pandas as pd

    from simcore.landscapes.base import Landscape


def part_rows(
    landscape: Landscape,
    *,
    draw: int,
    starts: int,
    first_start: int,
    seed: int,
    solver: Solver | None = None,
    backend: str = "cpu",
    start_law: str | None = None,
    threads: int | None = 1,
) -> pd.DataFrame:
    """Return the rows of some starts of one draw, with ``x`` and ``decrement`` (float64, a length in x), and with
    ``point`` -1 and ``certified`` False throughout."""
    chosen = settings(landscape, seed=seed, solver=solver, backend=backend, start_law=start_law)
    target = Target.of(chosen, landscape.draw(seed=chosen.seed, draw=draw))
    rows = _Rows(landscape, 1, starts, True, False)
    with Workers(thread_count(threads)) as workers:
        outcome = workers.outcomes(
            lambda b: target.search(first_start + b.start, b.stop - b.start), starts, chosen.block
        )
    rows.store(slice(0, starts), outcome)
    rows.point[:] = -1
    frame = rows.frame(draw, first_start, *landscape.sources(chosen.law, first_start, starts))
    frame["decrement"] = outcome.decrement
    return frame


def finish_draw(
    landscape: Landscape,
    parts: pd.DataFrame,
    *,
    seed: int,
    solver: Solver | None = None,
    backend: str = "cpu",
    start_law: str | None = None,
    positions: bool = False,
    spectrum: bool = False,
) -> pd.DataFrame:
    """Return the rows of one draw, complete, from those of all its parts one below the other in order of start."""
    import pandas as pd

    chosen = settings(landscape, seed=seed, solver=solver, backend=backend, start_law=start_law)
    starts, number = len(parts), int(parts["draw"].iloc[0])
    rows = _Rows(landscape, 1, starts, positions, spectrum)
    job = _DrawJob(chosen, None, number, 0, rows, slice(0, starts))
    x = np.stack(parts["x"].to_list())
    column: Any
    for name in ("iterations", "cost", "grad_norm", "index", "nullity"):
        column = getattr(rows, name)
        column[:] = parts["morse_index" if name == "index" else name].to_numpy()
    rows.status[:] = pd.Categorical(parts["status"].astype(str), categories=list(STATUSES)).codes
    if rows.x is not None:
        rows.x[:] = x
    job._x[:], job._decrement[:] = x, parts["decrement"].to_numpy()
    job._finish(Target.of(chosen, landscape.draw(seed=chosen.seed, draw=number)))
    return rows.frame(number, 0, *landscape.sources(chosen.law, 0, starts))
