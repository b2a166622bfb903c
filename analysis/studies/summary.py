"""One table of the verdicts of several studies, a row a claim, and its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..writers import Column, Table
from .study import VERDICT_COLUMNS, shown

KINDS = ("agrees", "undecided", "disagrees")
CAPTION = "Verdicts on published claims; 95 % intervals, simultaneous over each study"


def summary_table(verdicts: Mapping[str, Sequence[dict[str, Any]]], failed: Sequence[str] = ()) -> Table:
    """Return the table of all claims: ``verdicts`` are the entries of ``verdict.json``, by study.

    failed : studies that could not be measured; a row each says so.
    """
    columns = [Column("study", "study"), *(c for c in VERDICT_COLUMNS if c.key not in ("source", "resolution"))]
    rows = [{"study": name, **shown(entry)} for name, entries in verdicts.items() for entry in entries]
    words = ", ".join(f"{count} {kind}" for kind, count in zip(KINDS, _tally(rows), strict=True))
    each = ", ".join(f"{name} {'/'.join(map(str, _tally(entries)))}" for name, entries in verdicts.items())
    notes = [f"Claims: {words}; studies: {len(verdicts)}.", f"By study, {'/'.join(KINDS)}: {each}."]
    rows += [{"study": name, "claim": "could not be measured", "verdict": "failed"} for name in failed]
    return Table(columns, rows, CAPTION, notes)


def _tally(entries: Sequence[dict[str, Any]]) -> list[int]:
    """Return how many entries agree, are undecided, disagree."""
    counts = Counter(entry["verdict"] for entry in entries)
    return [counts[kind] for kind in KINDS]


def write_summary(table: Table, out: Path) -> None:
    """Write ``summary.md``, ``summary.tex`` and ``summary.csv`` into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "summary.md").write_text(table.markdown(), encoding="utf-8")
    (out / "summary.tex").write_text(replace(table, rows=_grouped(table.rows)).latex(long=True), encoding="utf-8")
    (out / "summary.csv").write_text(table.csv(), encoding="utf-8")


def _grouped(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with each study's name in the first of them only."""
    before = [None, *(row["study"] for row in rows[:-1])]
    return [
        {**row, "study": "" if row["study"] == last else row["study"]} for row, last in zip(rows, before, strict=True)
    ]
