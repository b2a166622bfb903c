"""The step rule: one body for every width."""

from __future__ import annotations

from simcore.compilation import jit
from simcore.formulas.intrinsics import minimum, sqrt


@jit(inline=True)
def capped_fraction(square, cap):
    """Return min(1, cap/|d|), the fraction of a step d with |d|^2 = square that a cap allows.

    |d| = 0 gives 1 (the quotient is infinite), NaN gives 1: what is not finite is judged by the outcome rule, not here.
    """
    return minimum(cap / sqrt(square), 1.0)
