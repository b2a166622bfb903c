"""What the stopping rule (``simcore.statistics.stopping``) needs of a run: saddles and minima of each draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simcore.statistics.stopping import relative_error
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
