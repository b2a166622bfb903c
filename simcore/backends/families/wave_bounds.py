"""The certificate's terms of sums of waves, compiled; derived in ``simcore.search.certify``."""

from __future__ import annotations

import math

from simcore.backends.family import UNIT
from simcore.compilation import jit


@jit
def bound_waves(frequencies, cosine, sine, confinement, x, slope, size, gap, residual, sigma):
    """Set the bounds on |F| and sigma of every row, rounding included; return the bound on |D^3 f|."""
    waves, n = frequencies.shape
    first, second, third, longest = 0.0, 0.0, 0.0, 0.0  # sums of A |w|^k, the largest |w|_1
    for m in range(waves):
        square, total = 0.0, 0.0
        for i in range(n):
            square += frequencies[m, i] ** 2
            total += abs(frequencies[m, i])
        amplitude, norm = math.hypot(cosine[m], sine[m]), math.sqrt(square)
        first += amplitude * norm
        second += amplitude * square
        third += amplitude * square * norm
        longest = max(longest, total)
    for k in range(x.shape[0]):
        extent, square = 0.0, 0.0
        for i in range(n):
            extent = max(extent, abs(x[k, i]))
            square += x[k, i] ** 2
        # Relative error of one term of a sum over waves, times sqrt 2 since |c| + |s| <= sqrt 2 A.
        relative = math.sqrt(2.0) * UNIT * (waves + 16 + (n + 3) * (longest * extent + 4))
        bend = 4 * UNIT * abs(confinement)
        residual[k] = slope[k] + (relative * first + bend * math.sqrt(square))
        sigma[k] = gap[k] - 10 * n * UNIT * size[k] - (relative * second + bend * math.sqrt(n))
    return third
