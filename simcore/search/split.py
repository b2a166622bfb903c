"""A draw whose starts are searched in several work units: the units first, then what needs all of them together.

``point``, ``certified`` and ``eigenvalues`` of a row refer to the first start that reached its point, so they can be
given only once all starts of the draw are there. The result is ``find_critical_points`` of all starts, bit for bit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.formulas.outcome import STATUSES
from simcore.search.find import Rows
from simcore.search.search import Search
from simcore.search.target import Target, Workers

if TYPE_CHECKING:
    import pandas as pd


def part_rows(search: Search, *, draw: int, starts: int, first_start: int) -> pd.DataFrame:
    """Return the rows of some starts of one draw, with ``x`` and ``decrement`` (float64, a length in x), and with
    ``point`` -1 and ``certified`` False throughout."""
    target = Target.numbered(search, draw)
    rows = Rows(replace(search, positions=True, spectrum=False), 1, starts)
    with Workers(search.threads) as workers:
        outcome = workers.outcomes(
            lambda b: target.ordinary(first_start + b.start, b.stop - b.start), starts, search.block
        )
    rows.store(slice(0, starts), outcome)
    rows.point[:] = -1
    frame = rows.frame(draw, first_start)
    frame["decrement"] = outcome.decrement
    return frame


def finish_draw(search: Search, parts: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one draw, complete, from those of all its parts one below the other in order of start."""
    import pandas as pd

    starts, number = len(parts), int(parts["draw"].iloc[0])
    rows = Rows(search, 1, starts)
    x = np.stack(parts["x"].to_list())
    column: Any
    for name in ("iterations", "cost", "grad_norm", "index", "nullity"):
        column = getattr(rows, name)
        column[:] = parts["morse_index" if name == "index" else name].to_numpy()
    rows.status[:] = pd.Categorical(parts["status"].astype(str), categories=list(STATUSES)).codes
    if rows.x is not None:
        rows.x[:] = x
    rows.finish(Target.numbered(search, number), slice(0, starts), x, parts["decrement"].to_numpy())
    return rows.frame(number, 0)
