"""Critical points of a linear autoencoder with one hidden layer: Baldi and Hornik's table.

Law. L(W1, W2) = (1/2) E|x - W2 W1 x|^2, x in R^n with covariance eigenvalues l_1, ..., l_n (distinct), p <= n hidden
units. Critical manifolds stand one to one with subsets S of eigenvectors, r = |S| <= p; with T the complement,

    loss = (1/2) sum_T l_i,
    index = #{(i in T, j in S): l_i > l_j} + (p - r)(n - r),
    zero directions = 2 p r - r^2   (the orbit of the hidden layer's changes of basis at rank r).

Every index-0 manifold is the global minimum: no local minimum is bad (Baldi and Hornik 1989, Neural Networks 2, 53).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from simcore.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS = 2_000_000


def linear_autoencoder_table(eigenvalues: Sequence[float], hidden: int) -> pd.DataFrame:
    """Return every class of critical points of a linear autoencoder, a row a subset of eigenvectors.

    Parameters
    ----------
    eigenvalues : sequence of n floats
        Eigenvalues of the covariance of x: positive and distinct, in any order.
    hidden : int
        Width p of the hidden layer, 1..n.

    Returns
    -------
    DataFrame
        ``subset`` (tuple of positions in ``eigenvalues``), ``rank`` r, ``loss``, ``morse_index`` (negative Hessian
        eigenvalues), ``zero_directions``, ``positive`` (the remaining 2 n p - index - zero_directions eigenvalues).
        Ordered by rank, then by loss.

    Raises
    ------
    InputError
        If the eigenvalues are not positive and distinct, hidden is out of range, or there are more than 2,000,000
        subsets.
    """
    import pandas as pd

    values = np.asarray(eigenvalues, dtype=float)
    n = values.size
    if values.ndim != 1 or n == 0 or not np.all(np.isfinite(values)) or np.any(values <= 0):
        raise InputError("eigenvalues of a covariance are a list of positive numbers; some are not")
    if len(np.unique(values)) != n:
        raise InputError("two eigenvalues are equal; the table is for distinct eigenvalues: separate them")
    if isinstance(hidden, bool) or not isinstance(hidden, (int, np.integer)) or not 1 <= hidden <= n:
        raise InputError(f"hidden is {hidden!r}; the hidden layer of an autoencoder of {n} inputs has 1 to {n} units")
    if sum(_choose(n, r) for r in range(hidden + 1)) > _MOST_ROWS:
        raise InputError(f"n = {n}, hidden = {hidden} has more than {_MOST_ROWS} subsets; take a smaller network")

    larger = values[:, None] > values[None, :]  # larger[i, j]: l_i > l_j
    total = values.sum()
    rows = []
    for r in range(hidden + 1):
        for chosen in combinations(range(n), r):
            inside = np.zeros(n, dtype=bool)
            inside[list(chosen)] = True
            swaps = int(larger[np.ix_(~inside, inside)].sum())
            index = swaps + (hidden - r) * (n - r)
            zero = 2 * hidden * r - r * r
            loss = 0.5 * (total - values[inside].sum())
            rows.append((chosen, r, loss, index, zero, 2 * n * hidden - index - zero))
    frame = pd.DataFrame(rows, columns=["subset", "rank", "loss", "morse_index", "zero_directions", "positive"])
    return frame.sort_values(["rank", "loss"], kind="stable", ignore_index=True)


def _choose(n: int, r: int) -> int:
    from math import comb

    return comb(n, r)
