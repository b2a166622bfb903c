"""Which start a lane works on: the pool of starts that keeps a tile full."""

from __future__ import annotations

import numpy as np

from simcore.backends.cpu.tile import LANES
from simcore.compilation import jit

IDLE = -1
"""Owner of a lane that has no start left to take; it holds the last start's point and its results are ignored."""
ENDED = -2
"""Owner of a lane whose start has ended and that waits for the next one."""


@jit
def fill(starts):
    """Return (X, owner, steps, settled, running) of a fresh tile: X of n rows of 24, the first starts in its lanes."""
    n = starts.shape[1]
    X = np.empty(n * LANES)
    owner = np.full(LANES, ENDED, np.int64)
    steps = np.zeros(LANES)
    settled = np.zeros(LANES, np.int64)
    none = 0 * n  # a variable, so that Numba does not compile ``refill`` once more for literal numbers
    taken, _ = refill(starts, none, none + LANES, X, owner, steps, settled, none, none + LANES)
    return X, owner, steps, settled, taken


@jit
def refill(starts, first, last, X, owner, steps, settled, taken, running):
    """Give the next starts to the ended lanes among first .. last - 1; return (taken, running), the new counts."""
    count, n = starts.shape
    for lane in range(first, last):
        if owner[lane] == ENDED:
            source = min(taken, count - 1)
            owner[lane] = taken if taken < count else IDLE
            steps[lane] = 0.0
            settled[lane] = 0
            for i in range(n):
                X[i * LANES + lane] = starts[source, i]
            running -= int(taken >= count)
            taken = min(taken + 1, count)
    return taken, running
