"""What a count of one function's critical points returns, whatever the method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("morse_index", "count", "se", "low", "high", "log_ratio", "log_ratio_se")
"""Columns of ``Counts.counts``."""


@dataclass(frozen=True)
class Counts:
    """Numbers of critical points of one function by index, as ``simcore.estimate_counts`` gives them.

    counts : DataFrame, a row an index from 0 to D
        ``morse_index`` int32; ``count`` N_k, its standard error ``se``, and an interval ``low``, ``high`` of level
        95 %; ``log_ratio`` ln(N_k/N_0) and its standard error ``log_ratio_se``, not a number where no minimum was met.
        In R^n ``count`` and what belongs to it are not numbers: the walk knows shares per unit volume alone.
    total, total_se : float
        Number of critical points and its standard error.
    minima : DataFrame
        The distinct minima met: ``cost``, ``arrivals`` (moves or paths that reached it), ``known`` (bool: in the frozen
        set that the counts rest on) and ``x``; by ascending cost.
    diagnostics : dict
        ``trusted`` (bool) and what it rests on; ``reasons``, a list of what failed. An untrusted result keeps its
        numbers, which are then an indication and nothing more.
    """

    counts: pd.DataFrame
    total: float
    total_se: float
    minima: pd.DataFrame
    diagnostics: dict[str, Any]

    @property
    def trusted(self) -> bool:
        """Whether the diagnostics hold."""
        return bool(self.diagnostics["trusted"])

    def __repr__(self) -> str:
        word = "trusted" if self.trusted else "not trusted: " + "; ".join(self.diagnostics["reasons"])
        return (
            f"Counts(total {self.total:.6g} +- {self.total_se:.2g}, {len(self.minima)} minima met, "
            f"method {self.diagnostics['method']}, {word})"
        )
