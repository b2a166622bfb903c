"""When a sweep with a ``target_error`` stops: looked at only after 64, 128, 256, ... draws.

With S_i, M_i the saddles and minima of draw i (distinct points, or hits in newton runs) and N draws, the delta method
gives
    Var ln R = Var(S_i / S-bar - M_i / M-bar) / N
for R = S-bar / M-bar. The draw is the statistical unit; ``simcore.statistics.intervals`` computes the intervals.

A rule that looked after every draw would stop where the error happens to look small; looks at doubled numbers are few,
and 64 draws are enough for the variance between draws to be known to about a fifth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIRST_LOOK = 64
"""Draws before the first look."""


def looks(most: int, target_error: float | None) -> Iterator[int]:
    """Yield the numbers of draws after which the error is looked at, ``most`` last; only ``most`` without a target."""
    look = FIRST_LOOK
    while target_error is not None and look < most:
        yield look
        look *= 2
    yield most


def relative_error(saddles: NDArray[np.float64], minima: NDArray[np.float64]) -> float:
    """Return se(R) / R of the annealed ratio by the delta method, divisor N - 1; inf where either kind was never seen.

    Parameters
    ----------
    saddles, minima : (N,) points (or hits) of each draw, draws without any included.
    """
    import numpy as np  # here, since a configuration is read without it

    draws = len(saddles)
    if draws < 2 or not saddles.any() or not minima.any():
        return math.inf
    return float(np.std(saddles / saddles.mean() - minima / minima.mean(), ddof=1) / math.sqrt(draws))
