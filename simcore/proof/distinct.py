"""Which certified zeros are proved to be different ones.

Two certified points x, z with radii r, s hold different zeros where |x - z| > r + s. Instead of all pairs, points are
sorted by a projection a.x, |a| = 1: |a.x - a.z| <= |x - z|, so only neighbours in that order need a look.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simcore.compilation import jit

Array = NDArray[np.float64]


@jit(inner=True)
def _distance(x, i, z, k):
    total = 0.0
    for l in range(x.shape[1]):  # noqa: E741
        total += (x[i, l] - z[k, l]) ** 2
    return np.sqrt(total)


@jit(inner=True)
def _place(line, value):
    """Return how many entries of an ascending array are below a value."""
    low, high = 0, len(line)
    while low < high:
        middle = (low + high) // 2
        if line[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@jit
def separate(x, r, alone, order, projection, wide, cut, rounding, labels):
    """Give points proved to hold different zeros different labels; return how many there are.

    ``order`` sorts the points with r <= cut by their projections, which err by at most ``rounding``; ``wide`` are those
    with larger radii. A point becomes the representative of a label where it lies further than 1.01 (r + s) from every
    representative so far. One that touches a single representative, and whose whole ball lies closer to it than any
    second zero (``alone``), holds the same zero and gets that label; any other keeps -1 and counts for nothing.
    """
    count = 0
    chosen = np.zeros(len(x), np.bool_)
    line = projection[order]
    for i in range(len(order) + len(wide)):
        large = i >= len(order)
        m = wide[i - len(order)] if large else order[i]
        reach = 1.01 * (r[m] + cut) + rounding
        low, high = i, i
        if large:
            low, high = _place(line, projection[m] - reach), _place(line, projection[m] + reach)
        else:
            while low > 0 and line[i] - line[low - 1] <= reach:
                low -= 1
        others = i - len(order) if large else 0
        touched, which, gap = 0, -1, 0.0
        for t in range(high - low + others):
            k = order[low + t] if t < high - low else wide[t - (high - low)]
            if chosen[k]:
                distance = _distance(x, m, x, k)
                if not distance > 1.01 * (r[m] + r[k]):
                    touched, which, gap = touched + 1, k, distance
        if touched == 0:
            labels[m] = count
            chosen[m] = True
            count += 1
        elif touched == 1 and gap + r[m] < 0.99 * alone[which]:
            labels[m] = labels[which]
    return count


@jit
def match(x, tolerance, z, line, order, projection, found):
    """Set found[i] to the nearest of the points z within tolerance |x_i| of x_i, else -1; ``line`` = sorted a.z."""
    for i in range(len(x)):
        size = 0.0
        for l in range(x.shape[1]):  # noqa: E741
            size += x[i, l] ** 2
        best = tolerance * np.sqrt(size)
        found[i] = -1
        t = _place(line, projection[i] - best)
        while t < len(line) and line[t] <= projection[i] + best:
            distance = _distance(x, i, z, order[t])
            if distance <= best:
                best, found[i] = distance, order[t]
            t += 1
