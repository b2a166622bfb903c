"""Claims, measurements and the verdict rule.

low and high are a 95 % interval, simultaneous over a study (Bonferroni: each of its m claims at 1 - 0.05 / m).
``agrees``: it contains the reference and is narrower than the resolution. ``undecided``: it contains the reference and
is not narrower. ``disagrees``: it excludes the reference. ``measured``: there is no reference, only a number, such as
how often something happens that a source calls frequent; nothing is judged then.

A claim is asserted by its source (``expected`` True), or it is a picture that is to be refuted (``expected`` False),
whose ``disagrees`` is the success. A resolution is at most half the distance from the reference to its nearest rival,
the value that another law, or the absence of any effect, would give: an interval that is narrower and contains the
reference excludes the rival.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simcore.errors import InputError

from ..estimates import Estimate

FAMILY_LEVEL = 0.95
KEYS = ("claim", "reference", "source", "measured", "low", "high", "resolution", "verdict", "expected")
"""Of an entry of ``verdict.json``, in this order."""
UNSAMPLED = ("bound", "range", "count")
"""Kinds of estimates without sampling error: their resolution is a numerical precision and needs no rival."""
NO_REASON = "No cause is known: by chance alone some claim of a study is excluded in up to 5 % of studies."


@dataclass(frozen=True)
class Claim:
    """A published (or exact) statement with the measurement that judges it.

    claim : the statement in a sentence; what ``reference`` is the value of.
    reference : the number that it amounts to; computed, never typed in. None where the source states no number: then
        the claim is measured, not judged.
    source : where the reference comes from, with its section where it is literal.
    estimate : callable from a confidence level to the measured Estimate at that level.
    resolution : an interval at least as wide as this decides nothing, in the unit of the reference; None without one.
    rival : the nearest value that another law would give; the resolution is at most half the distance to it.
    expected : True where the source asserts the claim, False for a picture that is to be refuted.
    because : a sentence that is shown where an asserted claim is excluded: why it is.
    """

    claim: str
    reference: float | None
    source: str
    estimate: Callable[[float], Estimate]
    resolution: float | None = None
    rival: float | None = None
    expected: bool = True
    because: str = ""


def measurement(claim: str, source: str, estimate: Callable[[float], Estimate]) -> Claim:
    """Return a claim without a reference: a prevalence, or a new number, given with its interval."""
    return Claim(claim, None, source, estimate)


def verdict(low: float, high: float, reference: float | None, resolution: float | None) -> str:
    """Return "agrees", "undecided", "disagrees", or "measured" where there is no reference.

    Rounding (1e-9 of the reference and of the resolution) excludes nothing: some intervals have no width.
    """
    if reference is None or resolution is None:
        return "measured"
    if math.isnan(low) or math.isnan(high) or not math.isfinite(reference):
        return "undecided"
    slack = 1e-9 * max(abs(reference), resolution)
    if not low - slack <= reference <= high + slack:
        return "disagrees"
    return "agrees" if high - low < resolution else "undecided"


def judge(claims: Sequence[Claim], studies: int = 1) -> list[dict[str, Any]]:
    """Return an entry a claim, JSON-safe: an open end is null.

    An entry holds ``KEYS``, then ``because``, the sentence for an asserted claim that is excluded, else "", and
    ``beyond``, whether the reference is excluded too by the interval that is simultaneous over ``studies`` studies of
    as many claims.

    Raises
    ------
    InputError
        If there is no claim, a resolution is missing, not positive, or wider than half the distance to the rival, or a
        sampled claim names no rival.
    """
    if not claims:
        raise InputError("a study without claims has no verdict; give at least one Claim")
    tail = (1 - FAMILY_LEVEL) / len(claims)
    entries = []
    for c in claims:
        e = c.estimate(1 - tail)
        _check(c, e)
        found = verdict(e.low, e.high, c.reference, c.resolution)
        beyond = False
        if found == "disagrees":
            wide = e if studies == 1 else c.estimate(1 - tail / studies)
            beyond = verdict(wide.low, wide.high, c.reference, c.resolution) == "disagrees"
        entries.append(
            {
                "claim": c.claim,
                "reference": _json(c.reference),
                "source": c.source,
                "measured": _json(e.value),
                "low": _json(e.low),
                "high": _json(e.high),
                "resolution": _json(c.resolution),
                "verdict": found,
                "expected": c.expected,
                "because": (c.because or NO_REASON) if found == "disagrees" and c.expected else "",
                "beyond": beyond,
            }
        )
    return entries


def _check(c: Claim, e: Estimate) -> None:
    if c.reference is None:
        if c.resolution is not None or c.rival is not None:
            raise InputError(f"{c.claim!r} has no reference; leave out its resolution and its rival")
        return
    if c.resolution is None or not c.resolution > 0:
        raise InputError(f"the resolution of {c.claim!r} is {c.resolution}; give a positive width")
    if c.rival is None:
        if e.kind not in UNSAMPLED:
            raise InputError(f"{c.claim!r} is judged from a sample and names no rival; give the nearest other value")
        return
    most = 0.5 * abs(c.reference - c.rival)
    if c.resolution > most * (1 + 1e-9):
        raise InputError(
            f"the resolution of {c.claim!r} is {c.resolution:g}; give at most half the distance to its rival, {most:g}"
        )


def _json(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def write_verdicts(out: Path, entries: Sequence[dict[str, Any]]) -> None:
    """Write a study's ``verdict.json``, ``KEYS`` of each entry; the sentences of excluded asserted claims and whether
    they are excluded over all studies too go into ``reasons.json`` beside it, by claim, where there are any.
    """
    reasons = {
        e["claim"]: {"because": e["because"], "beyond": e["beyond"]}
        for e in entries
        if e["verdict"] == "disagrees" and e["expected"]
    }
    for name, document in (("verdict", [{key: e[key] for key in KEYS} for e in entries]), ("reasons", reasons)):
        path = out / f"{name}.json"
        if document:
            path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        else:
            path.unlink(missing_ok=True)


def read_verdicts(directory: Path, known: Sequence[str] = ()) -> dict[str, list[dict[str, Any]]]:
    """Return the entries of every study one level below a directory, as ``write_verdicts`` was given them: ``known``
    studies first, in order. Files of an older version have no reasons.
    """
    found = {path.parent.name: path.parent for path in sorted(directory.glob("*/verdict.json"))}
    order = [name for name in known if name in found] + [name for name in found if name not in known]
    return {name: _entries(found[name]) for name in order}


def _entries(study: Path) -> list[dict[str, Any]]:
    entries = json.loads((study / "verdict.json").read_text(encoding="utf-8"))
    path = study / "reasons.json"
    reasons = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return [entry | reasons.get(entry["claim"], {}) for entry in entries]
