"""``Estimate``: a number with its interval, or the declared answer that the draws cannot tell."""

from __future__ import annotations

import math
from dataclasses import dataclass

LEAST_DRAWS = 10
"""Draws below which no interval is given: the spread of fewer says too little about what was not seen."""

LEAST_DIFFERENT = 7
"""Draws that must differ from the most common one; with fewer, what varies is a rare event and the spread is luck."""


@dataclass(frozen=True)
class Estimate:
    """A number with its error.

    value : the estimate; nan where it is undefined (a ratio whose denominator was never seen).
    se : standard error, same unit; nan where the data give none.
    low, high : interval at ``level``; infinite (or 0) on an open side.
    level : probability that the interval covers the truth, 0.95 say.
    sides : 2; 1 for a one-sided interval; 0 where the draws cannot tell, and both sides are open.
    draws : number of draws behind it.
    kind : "annealed", "quenched", "mean", "fraction", "slope", "sd": what is estimated.
    skewness : of the estimate's own sampling law, where something is made of it; else 0.
    note : a sentence where something needs saying, else ""; it begins with "cannot tell" where ``sides`` is 0.
    """

    value: float
    se: float
    low: float
    high: float
    level: float = 0.95
    sides: int = 2
    draws: int = 0
    kind: str = "mean"
    note: str = ""
    skewness: float = 0.0

    @property
    def tells(self) -> bool:
        """Whether the draws say anything: False is the declared result "cannot tell", with an open interval."""
        return self.sides > 0

    @property
    def relative_error(self) -> float:
        """se / value; 0 for an exact zero, nan where undefined."""
        if self.value == 0 and self.se == 0:
            return 0.0
        return self.se / abs(self.value) if self.value else math.nan

    def z(self, exact: float) -> float:
        """Return (value - exact) / se; 0 where both agree without spread, nan where the draws cannot tell."""
        difference = self.value - exact
        if abs(difference) <= 1e-12 * max(abs(exact), 1.0):
            return 0.0
        if not self.tells:
            return math.nan
        if self.se == 0:
            return math.copysign(math.inf, difference)
        return difference / self.se

    def covers(self, exact: float) -> bool:
        """Whether the interval contains ``exact``; an interval without spread does up to rounding."""
        slack = 1e-9 * max(abs(exact), 1.0)
        return self.low - slack <= exact <= self.high + slack


def cannot_tell(
    value: float, se: float, level: float, draws: int, kind: str, why: str, *, low: float = -math.inf
) -> Estimate:
    """Return the declared result that the draws cannot tell: both sides open (``low`` where the unit has a bound)."""
    return Estimate(value, se, low, math.inf, level, 0, draws, kind, f"cannot tell: {why}")
