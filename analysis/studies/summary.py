"""One table of the verdicts of several studies, a row a claim, and its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..writers import Column, Table
from .study import VERDICT_COLUMNS, shown
from .verdicts import FAMILY_LEVEL

ASSERTED = ("agree", "undecided", "disagree")
PICTURES = ("refuted", "undecided", "not refuted")
CAPTION = "Verdicts on published claims; 95 % intervals, simultaneous over each study"
SHARED = (
    "Every study draws its functions from a seed of its own, so that no two count the same ones. Those that train "
    "networks on digits share the images: their results are not independent of each other."
)
HIDDEN = ("source", "resolution")
"""Columns of a study's own table that the summary leaves out."""


def summary_table(verdicts: Mapping[str, Sequence[dict[str, Any]]], failed: Sequence[str] = ()) -> Table:
    """Return the table of all claims: ``verdicts`` are the entries of ``judge``, by study.

    Within a study the claims that its source asserts come first, then what is measured, then pictures to be refuted.

    failed : studies that could not be measured; a row each says so.
    """
    columns = [Column("study", "study"), *(c for c in VERDICT_COLUMNS if c.key not in HIDDEN)]
    rows = [
        {"study": name, **shown(entry)}
        for name, entries in verdicts.items()
        for entry in sorted(entries, key=_order)  # stable
    ]
    everything = [entry for entries in verdicts.values() for entry in entries]
    asserted, pictures, measured = tally(everything)
    notes = [
        f"Asserted by their sources: {_words(ASSERTED, asserted)}; false pictures: {_words(PICTURES, pictures)}; "
        f"measured without a reference: {measured}; studies: {len(verdicts)}.",
        f"By study, asserted ({'/'.join(ASSERTED)}), false pictures ({'/'.join(PICTURES)}), measured: "
        + "; ".join(f"{name} {_short(entries)}" for name, entries in verdicts.items())
        + ".",
        multiplicity(verdicts),
        SHARED,
    ]
    rows += [{"study": name, "claim": "could not be measured", "verdict": "failed"} for name in failed]
    return Table(columns, rows, CAPTION, notes)


def tally(entries: Sequence[dict[str, Any]]) -> tuple[list[int], list[int], int]:
    """Return how many asserted claims agree, are undecided, disagree; how many false pictures are refuted, are
    undecided, are not refuted; and how many numbers were measured without a reference.
    """
    counts = Counter((entry["verdict"], entry["expected"]) for entry in entries if entry["verdict"] != "measured")
    asserted = [counts[kind, True] for kind in ("agrees", "undecided", "disagrees")]
    pictures = [counts[kind, False] for kind in ("disagrees", "undecided", "agrees")]
    return asserted, pictures, sum(entry["verdict"] == "measured" for entry in entries)


def multiplicity(verdicts: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """Say how many exclusions chance would explain, and how many outlive intervals simultaneous over all studies."""
    excluded = [e for entries in verdicts.values() for e in entries if e["verdict"] == "disagrees" and e["expected"]]
    judged = sum(any(e["verdict"] != "measured" for e in entries) for entries in verdicts.values())
    said = (
        f"Intervals are simultaneous over each study, not over all: were every asserted claim true, chance would "
        f"exclude some in at most {(1 - FAMILY_LEVEL) * judged:.2g} of the {judged} studies on average."
    )
    if not all("beyond" in e for e in excluded):
        return said  # a file of an older version does not hold it
    beyond = sum(e["beyond"] for e in excluded)
    return (
        f"{said} With intervals simultaneous over all studies {beyond} of the {len(excluded)} asserted claims that "
        f"disagree still do."
    )


def write_summary(table: Table, out: Path) -> None:
    """Write ``summary.md``, ``summary.tex`` and ``summary.csv`` into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "summary.md").write_text(table.markdown(), encoding="utf-8")
    (out / "summary.tex").write_text(replace(table, rows=_grouped(table.rows)).latex(long=True), encoding="utf-8")
    (out / "summary.csv").write_text(table.csv(), encoding="utf-8")


def _order(entry: Mapping[str, Any]) -> int:
    return 1 if entry["verdict"] == "measured" else 0 if entry["expected"] else 2


def _words(kinds: Sequence[str], counts: Sequence[int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in zip(kinds, counts, strict=True))


def _short(entries: Sequence[dict[str, Any]]) -> str:
    asserted, pictures, measured = tally(entries)
    return f"{'/'.join(map(str, asserted))}, {'/'.join(map(str, pictures))}, {measured}"


def _grouped(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with each study's name in the first of them only."""
    before = [None, *(row["study"] for row in rows[:-1])]
    return [
        {**row, "study": "" if row["study"] == last else row["study"]} for row, last in zip(rows, before, strict=True)
    ]
