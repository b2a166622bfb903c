"""What a study is, and the one writer of its files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from analysis import canvas
from analysis.studies.verdicts import Claim, judge
from analysis.tables import provenance_note
from analysis.writers import Column, Table


@dataclass(frozen=True)
class Result:
    """What a study measured: its table, its figure and its claims."""

    table: Table
    figure: Figure
    claims: Sequence[Claim]


@dataclass(frozen=True)
class Study:
    """A published claim that can be measured again.

    name : as on the command line.
    claim : the statement, in a sentence.
    source : who stated it.
    measure : callable (full, directory) -> Result; runs are kept under ``directory``.
    """

    name: str
    claim: str
    source: str
    measure: Callable[[bool, Path], Result] = field(repr=False)


VERDICT_COLUMNS = [
    Column("claim", "claim"),
    Column("reference", "reference", digits=4),
    Column("source", "source"),
    Column("measured", "measured", digits=4),
    Column("low", "low", digits=4),
    Column("high", "high", digits=4),
    Column("resolution", "resolution", digits=2),
    Column("verdict", "verdict"),
]


def write_study(study: Study, full: bool, out: Path) -> list[dict[str, Any]]:
    """Measure a study, write its six files into ``out`` and return the entries of ``verdict.json``.

    Files: ``table.md``, ``table.tex``, ``table.csv``, ``figure.png``, ``figure.pdf``, ``verdict.json``; the runs behind
    them stay under ``out`` too, so that a second call resumes.
    """
    out.mkdir(parents=True, exist_ok=True)
    result = study.measure(full, out)
    runs = sorted(path.parent for path in out.rglob("run.json"))
    sources = dict.fromkeys(provenance_note(run, configuration_hash=False) for run in runs)
    table = replace(result.table, notes=[*result.table.notes, *sources])
    entries = judge(result.claims)
    size = "full size" if full else "quick version"
    heading = f"# {study.name} ({size})\n\n{study.claim} {study.source}\n\n"
    verdicts = verdict_table(entries)
    (out / "table.md").write_text(heading + table.markdown() + "\n" + verdicts.markdown())
    (out / "table.tex").write_text(table.latex())
    (out / "table.csv").write_text(table.csv())
    canvas.save(result.figure, out / "figure.png")
    canvas.save(result.figure, out / "figure.pdf")
    (out / "verdict.json").write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n")
    return entries


def verdict_table(entries: Sequence[dict[str, Any]]) -> Table:
    """Return the verdicts as a table."""
    caption = "Verdicts: low and high are a 95 % interval, simultaneous over the study (Bonferroni)."
    return Table(VERDICT_COLUMNS, list(entries), caption)
