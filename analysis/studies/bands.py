"""Critical points in bands of cost: how likely each index is, once the cost is known.

Bands are bounded by exact mean costs: below the mean cost of minima, up to that of index 1, up to 0, and their mirror
images, up to beyond the mean cost of maxima. References are ``simcore.theory.conditional``'s.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from ..estimates import Array
from ..samples import Sample


def band_edges(law: pd.DataFrame) -> Array:
    """Return the bands' edges, (7,), from the exact law of a spin model with D >= 3: -inf, ..., inf."""
    costs = law.sort_values("morse_index")["mean_cost"].to_numpy(float)
    return np.array([-np.inf, costs[0], costs[1], 0.0, costs[-2], costs[-1], np.inf])


def band_names(edges: Array) -> list[str]:
    """Return each band in words, as "-1.2 to -0.86"."""
    inner = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges[1:-1])]
    return [f"below {edges[1]:.3g}", *inner, f"above {edges[-2]:.3g}"]


def band_counts(sample: Sample, points: pd.DataFrame, edges: Array) -> Array:
    """Return the number of points of each draw in each band of cost with each index, shape (N, bands, D + 1)."""
    bands = len(edges) - 1
    band = np.clip(np.searchsorted(edges, points["cost"].to_numpy(float), side="right") - 1, 0, bands - 1)
    cell = (points["draw"].to_numpy(int), band, points["morse_index"].to_numpy(int))
    counts = np.zeros((sample.draws, bands, sample.dimension + 1))
    np.add.at(counts, cell, 1.0)
    return counts


def exact_bands(sample: Sample, edges: Array) -> tuple[Array, Array]:
    """Return the exact share of each band, (bands,), and the fraction of each index in it, (bands, D + 1)."""
    from simcore.theory.conditional import spin_index_in_bands

    return spin_index_in_bands(sample.n, edges, int(sample.parameters["p"]))
