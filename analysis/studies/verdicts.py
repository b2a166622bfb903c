"""Claims, measurements and the verdict rule.

low and high are a 95 % interval, simultaneous over a study (Bonferroni: each of its m claims at 1 - 0.05 / m).
``agrees``: it contains the reference and is narrower than the resolution. ``undecided``: it contains the reference and
is not narrower. ``disagrees``: it excludes the reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from simcore.errors import InputError

from ..estimates import Estimate

FAMILY_LEVEL = 0.95


@dataclass(frozen=True)
class Claim:
    """A published (or exact) statement with the measurement that judges it.

    claim : the statement in a sentence; what ``reference`` is the value of.
    reference : the number that it amounts to; computed, never typed in.
    source : where the reference comes from.
    estimate : callable from a confidence level to the measured Estimate at that level.
    resolution : an interval at least as wide as this decides nothing, in the unit of the reference.
    """

    claim: str
    reference: float
    source: str
    estimate: Callable[[float], Estimate]
    resolution: float


def verdict(low: float, high: float, reference: float, resolution: float) -> str:
    """Return "agrees", "undecided" or "disagrees" for an interval and a reference.

    Rounding (1e-9 of the reference and of the resolution) excludes nothing: some intervals have no width.
    """
    if math.isnan(low) or math.isnan(high) or not math.isfinite(reference):
        return "undecided"
    slack = 1e-9 * max(abs(reference), resolution)
    if not low - slack <= reference <= high + slack:
        return "disagrees"
    return "agrees" if high - low < resolution else "undecided"


def judge(claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """Return the entries of ``verdict.json``, JSON-safe: an open end is null.

    Raises
    ------
    InputError
        If there is no claim or a resolution is not positive.
    """
    if not claims:
        raise InputError("a study without claims has no verdict; give at least one Claim")
    level = 1 - (1 - FAMILY_LEVEL) / len(claims)
    entries = []
    for c in claims:
        if not c.resolution > 0:
            raise InputError(f"the resolution of {c.claim!r} is {c.resolution}; give a positive width")
        e = c.estimate(level)
        entries.append(
            {
                "claim": c.claim,
                "reference": _json(c.reference),
                "source": c.source,
                "measured": _json(e.value),
                "low": _json(e.low),
                "high": _json(e.high),
                "resolution": _json(c.resolution),
                "verdict": verdict(e.low, e.high, c.reference, c.resolution),
            }
        )
    return entries


def _json(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
