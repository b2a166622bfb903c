"""What ``complete`` means, in words and numbers, and an enumeration on a screen.

Without a proof ``complete`` is an empirical rule (``simcore.search.enumerate``). It rests on ordinary starts, so it is
blind to a critical point whose basin they never met: of N starts none falls into a basin of share q with probability
(1 - q)^N, which is 5 % at q = 3/N (the rule of three, Hanley & Lippman-Hand 1983). For the random families whose lists
were compared with proofs its error rate is measured; for a function of the user's own nothing is known beyond that
bound.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simcore.errors import IncompleteWarning
from simcore.landscapes.base import Draw
from simcore.search.audit import enough_hits

if TYPE_CHECKING:
    import pandas as pd

MEASURED = ("confined_field", "spherical_spin", "torus_field")
"""Families whose lists were compared with proofs (``benchmarks/proof_audit.py``)."""
COMPARED, FOUND_WRONG, WRONG_AT_MOST = 9_847, 1, 4.8e-4
"""Complete draws of them all, how many lacked a point, and the upper 95 % bound on that rate
(``results/proof/table.md``)."""


def blind_below(starts: int) -> float:
    """Return 3 / starts: the share of starts below which a basin may never have been met; NaN without starts."""
    return 3.0 / starts if starts else float("nan")


def is_own(draw: Draw) -> bool:
    """Return whether the function is the user's own, not one that simcore drew: it has no (seed, draw) to its name."""
    return draw.landscape.name == "custom" or "seed" not in draw.to_dict()


def annotated(audit: Mapping[str, Any], draw: Draw) -> dict[str, Any]:
    """Return the audit with ``blind_below`` (a number) and ``note`` (one line): what its ``complete`` is worth."""
    blind = 0.0 if audit.get("proved") else blind_below(audit["starts"])
    return {**audit, "blind_below": blind, "note": _note(audit, blind, draw)}


def _note(audit: Mapping[str, Any], blind: float, draw: Draw) -> str:
    if audit.get("proved"):
        return "proved: nothing can be missing"
    rule = "complete is an empirical rule, not a proof" if audit["complete"] else "incomplete: points may be missing"
    bound = f"basins that take less than about 3/starts = {blind:.2g} of the starts may be missing"
    if not audit["complete"]:
        return f"{rule}; {bound}"
    if not is_own(draw) and draw.landscape.name in MEASURED and "radius" not in audit:
        return (
            f"{rule}; of {COMPARED:,} complete draws of such families that were compared with a proof {FOUND_WRONG} "
            f"lacked a point (rate below {WRONG_AT_MOST:.1e} at 95 %)"
        )
    kind = "a function of your own" if is_own(draw) else f"{draw.landscape.name} by this method"
    return f"{rule}; no error rate is known for {kind}, and {bound}"


def warn_if_incomplete(audit: Mapping[str, Any], draw: Draw) -> None:
    """Warn (``simcore.IncompleteWarning``) that points may be missing, and say why and what to do."""
    if audit["complete"]:
        return
    expected, found = audit["euler_expected"], audit["euler_sum"]
    reasons = {
        f"{audit['degenerate']} starts ended at degenerate points": audit["degenerate"] > 0,
        "a stated symmetry does not hold": audit["broken_images"] > 0,
        f"the Euler sum is {found}, not {expected}": expected is not None and found != expected,
        f"a point was hit {audit['least_hits']} times only": audit["least_hits"]
        < enough_hits(audit.get("descended_starts", 0) > 0),
        "no Euler characteristic fixes the number of points there": expected is None and "radius" not in audit,
    }
    why = "; ".join(text for text, holds in reasons.items() if holds) or "the searches from its points gave new ones"
    hopeless = audit["degenerate"] or audit["broken_images"] or (expected is None and "radius" not in audit)
    cure = "take it as what the starts found" if hopeless else "give more max_starts"
    name = repr(draw)
    name = name if len(name) <= 100 else f"{name[:97]}..."
    warnings.warn(
        f"the enumeration of {name} is incomplete after {audit['starts']} starts: {why}; {cure}",
        IncompleteWarning,
        stacklevel=3,
    )


def summary(points: pd.DataFrame, audit: Mapping[str, Any]) -> str:
    """Return a few lines: how many points of each index, whether that is all, and what this rests on."""
    counts = points["morse_index"].value_counts().sort_index()
    shown = [f"{int(index)}: {int(count)}" for index, count in counts.items()]
    if len(shown) > 12:
        shown = [*shown[:6], "...", *shown[-5:]]
    verdict = "proved" if audit.get("proved") else "complete" if audit["complete"] else "INCOMPLETE"
    expected = "not fixed" if audit["euler_expected"] is None else audit["euler_expected"]
    lines = [
        f"{len(points)} critical points, {verdict}",
        f"points by index: {', '.join(shown) or 'none'}",
        f"Euler sum {audit['euler_sum']} (expected: {expected}), fewest hits of a point {audit['least_hits']}, "
        f"coverage {audit['coverage']:.6g}, certified {audit['certified_fraction']:.3g}, starts {audit['starts']}",
    ]
    return "\n".join([*lines, *([audit["note"]] if "note" in audit else [])])
