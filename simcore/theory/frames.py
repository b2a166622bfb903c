"""The DataFrame in which every law is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

COLUMNS = ("morse_index", "mean_count", "fraction", "mean_cost", "sd_cost", "log_mean_count", "log_fraction")


CONVERGED = 25.0  # ln of the last listed term over the sum, below which the rest of a sum over indices is rounding


def law_frame(
    *,
    index: NDArray[np.int64],
    dimension: int,
    log_mean_count: Array,
    log_total: float,
    mean_cost: Array,
    sd_cost: Array,
    unit: str,
    relative_error: float,
    law: Mapping[str, Any],
) -> pd.DataFrame:
    """Return a law as a DataFrame, a row an index.

    Columns: ``morse_index`` int64; ``mean_count`` in ``attrs["unit"]``, ``fraction`` of all critical points,
    ``mean_cost``, ``sd_cost`` float64 (NaN where the quantity does not exist); ``log_mean_count``, ``log_fraction``
    natural logarithms, which stay finite where the others underflow. ``attrs``: ``unit``, ``dimension`` D, ``total``
    (and ``log_total``) mean number over all indices, ``complete`` (False where only the lowest and highest indices are
    listed), ``relative_error`` (an estimate for mean_count) and the parameters of the law. What is 0 within that error
    (mean costs by symmetry, ln 1) is 0.
    """
    import pandas as pd

    log_fraction = _settled(log_mean_count - log_total, relative_error)
    log_mean_count, mean_cost = _settled(log_mean_count, relative_error), _settled(mean_cost, relative_error * sd_cost)
    columns = (index, np.exp(log_mean_count), np.exp(log_fraction), mean_cost, sd_cost, log_mean_count, log_fraction)
    frame = pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
    frame.attrs.update(
        unit=unit,
        dimension=dimension,
        total=float(np.exp(log_total)),
        log_total=float(log_total),
        complete=bool(len(index) == dimension + 1),
        relative_error=float(relative_error),
        **law,
    )
    return frame


def _settled(values: Array, error: Array | float) -> Array:
    """Return the values, 0 where they are 0 within their own error: the rounding of a cancellation is no digit."""
    return np.where(np.abs(values) <= error, 0.0, values)


def log_saddles_over_minima(frame: pd.DataFrame) -> float | None:
    """Return ln(mean saddles / mean minima) of a law, saddles being 0 < index < D; None where D < 2 (no saddles)."""
    dimension = frame.attrs["dimension"]
    if dimension < 2:
        return None
    log_count = frame.set_index("morse_index")["log_mean_count"]
    if frame.attrs["complete"]:
        return float(np.logaddexp.reduce(log_count.loc[1 : dimension - 1]) - log_count.loc[0])
    listed = log_count[(log_count.index > 0) & (log_count.index < dimension // 2)].to_numpy()
    direct = np.logaddexp.reduce(listed)
    if listed[-1] < direct - CONVERGED:  # strong confinement: total - minima would cancel
        return float(direct - log_count.loc[0])
    # Where maxima are not listed (confined fields) they are far rarer than minima, a tiny share of the total.
    log_ends = np.logaddexp(log_count.loc[0], log_count.get(dimension, -np.inf)) - frame.attrs["log_total"]
    return float(frame.attrs["log_total"] + np.log1p(-np.exp(log_ends)) - log_count.loc[0])
