"""When ``target_error`` is met: the relative standard error of the annealed ratio of saddles to minima.

With S_i, M_i the saddles and minima of draw i (distinct points, or hits in newton runs) and N draws, the delta method
gives
    Var ln R = Var(S_i / S-bar - M_i / M-bar) / N
for R = S-bar / M-bar. The draw is the statistical unit. Symbols as in ``analysis.estimates``, which computes the
intervals.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simcore.sweep.config import Configuration
from simcore.sweep.plan import Shard
from simcore.sweep.store import RunDirectory, read_table

if TYPE_CHECKING:
    import pandas as pd


def ratio_error(
    run: RunDirectory, configuration: Configuration, combination: int, draws: int, shards: list[Shard]
) -> float:
    """Return the relative standard error from the first ``draws`` draws; inf while it is undefined, 0 without saddles.

    A dimension of 1 has no index between 0 and 1, so no ratio: one look is enough.
    """
    dimension = configuration.landscape(combination).dimension
    if dimension < 2:
        return 0.0
    saddles, minima = np.zeros(draws), np.zeros(draws)
    newton = configuration.method == "newton"
    for shard in shards:
        files = run.record(shard)["files"]
        kind = next(kind for kind in ("starts", "parts", "points") if kind in files)
        rows = read_table(
            run.file(kind, shard), files[kind], ["draw", "morse_index", *(["status"] if newton else [])]
        ).to_pandas()
        rows = rows[rows["draw"] < draws]
        if newton:
            rows = rows[rows["status"] == "critical"]
        add_counts(rows, dimension, saddles, minima)
    return relative_error(saddles, minima)


def add_counts(rows: pd.DataFrame, dimension: int, saddles: NDArray[np.float64], minima: NDArray[np.float64]) -> None:
    """Add each draw's saddles (0 < index < D) and minima to arrays of length draws."""
    draw, index = rows["draw"].to_numpy(), rows["morse_index"].to_numpy()
    saddles += np.bincount(draw[(index > 0) & (index < dimension)], minlength=len(saddles))
    minima += np.bincount(draw[index == 0], minlength=len(minima))


def relative_error(saddles: NDArray[np.float64], minima: NDArray[np.float64]) -> float:
    """Return se(R) / R by the delta method; inf where either kind was never seen."""
    draws = len(saddles)
    if draws < 2 or not saddles.any() or not minima.any():
        return math.inf
    return float(np.std(saddles / saddles.mean() - minima / minima.mean(), ddof=1) / math.sqrt(draws))
