"""What a sweep computes in one work unit of the methods ``walk`` and ``paths``: rows a (draw, index)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simcore.counts.estimate import estimate_counts
from simcore.counts.result import Counts

if TYPE_CHECKING:
    import pandas as pd

    from simcore.landscapes.base import Landscape


def count_rows(landscape: Landscape, draws: range, **settings: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return (counts, audits) of several draws; ``settings`` are those of ``estimate_counts``.

    ``counts`` has a row a (draw, index): ``draw``, the columns of ``Counts.counts``, and ``trusted``, so that no number
    is read without it. ``audits`` has a row a draw: ``total``, ``total_se``, ``minima`` met, ``trusted``, ``reasons``
    (text) and the numbers of ``Counts.diagnostics``.
    """
    import pandas as pd

    counts, audits = [], []
    for draw in draws:
        found = estimate_counts(landscape, draw=draw, **settings)
        frame = found.counts.assign(trusted=found.trusted)
        frame.insert(0, "draw", np.int64(draw))
        counts.append(frame)
        audits.append({"draw": draw, **audit_row(found)})
    return pd.concat(counts, ignore_index=True), pd.DataFrame(audits)


def audit_row(found: Counts) -> dict[str, Any]:
    """Return the diagnostics of a count as one row: numbers, words and the reasons, no lists."""
    row: dict[str, Any] = {"total": found.total, "total_se": found.total_se, "minima": len(found.minima)}
    for name, value in found.diagnostics.items():
        if name == "reasons":
            row[name] = "; ".join(value)
        elif value is None or isinstance(value, (bool, int, float, str, np.number, np.bool_)):
            row[name] = value
    return row
