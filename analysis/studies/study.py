"""What a study is, and the one writer of its files."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

import simcore

from .. import canvas
from ..tables import provenance_note
from ..writers import Column, Table
from .verdicts import Claim, judge, write_verdicts


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
    *(Column(key, key, digits=12) for key in ("measured", "low", "high")),
    Column("resolution", "resolution", digits=2),
    Column("verdict", "verdict"),
    Column("kind", "kind"),
    Column("because", "why, where an asserted claim disagrees", "why"),
]


def write_study(study: Study, full: bool, out: Path, studies: int = 1) -> list[dict[str, Any]]:
    """Measure a study, write its six files into ``out`` and return the entries of ``judge``, of ``studies`` studies.

    Files: ``table.md`` (with the verdicts, and the command and machine behind them), ``table.tex``, ``table.csv``,
    ``figure.png``, ``figure.pdf``, ``verdict.json``, and ``reasons.json`` where an asserted claim is excluded; the runs
    behind them stay under ``out`` too, so that a second call resumes.
    """
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    result = study.measure(full, out)
    seconds = time.monotonic() - began
    runs = sorted(path.parent for path in out.rglob("run.json"))
    sources = dict.fromkeys(provenance_note(run, configuration_hash=False) for run in runs)
    table = replace(result.table, notes=[*result.table.notes, *sources])
    entries = judge(result.claims, studies)
    size = "full size" if full else "quick version"
    heading = f"# {study.name} ({size})\n\n{study.claim} {study.source}\n\n"
    verdicts = verdict_table(entries)
    made = made_by(study, full, seconds)
    (out / "table.md").write_text(
        "\n".join([heading + table.markdown(), verdicts.markdown(), made, ""]), encoding="utf-8"
    )
    (out / "table.tex").write_text(table.latex(), encoding="utf-8")
    (out / "table.csv").write_text(table.csv(), encoding="utf-8")
    canvas.save(result.figure, out / "figure.png")
    canvas.save(result.figure, out / "figure.pdf")
    write_verdicts(out, entries)
    return entries


def made_by(study: Study, full: bool, seconds: float) -> str:
    """Return the sentence that says which command, version and machine made a study's files."""
    from simcore import info
    from simcore.sweep.provenance import git_commit

    version, commit = simcore.__version__, git_commit()
    if commit:
        version += f" at commit {commit[:12]}{' with changes' if commit.endswith('+changes') else ''}"
    command = f"simcore reproduce {study.name}{' --full' if full else ''}"
    usable = info.threads()["usable"]
    return (
        f"Made by `{command}`, simcore {version}, in {seconds:.0f} s of wall time (shorter where runs were resumed) on "
        f"{info.processor()['model']}, {usable} processor{'' if usable == 1 else 's'}."
    )


def verdict_table(entries: Sequence[dict[str, Any]]) -> Table:
    """Return the verdicts as a table."""
    caption = (
        "Verdicts: low and high are a 95 % interval, simultaneous over the study (Bonferroni). A false picture is "
        "there to be refuted: that it disagrees is the success."
    )
    return Table(VERDICT_COLUMNS, [shown(entry) for entry in entries], caption)


def shown(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry for a table: its kind in words, numbers with two digits of the interval's width, or four."""
    ends = [entry[key] for key in ("low", "high") if entry[key] is not None]
    width = max(ends) - min(ends) if len(ends) == 2 else 0.0

    def rounded(value: float | None) -> float | None:
        if not value:
            return value
        digits = 4 if not width else max(4, math.floor(math.log10(abs(value))) - math.floor(math.log10(width)) + 2)
        return float(f"{value:.{min(digits, 12)}g}")

    numbers = {key: rounded(entry[key]) for key in ("measured", "low", "high")}
    judged = "asserted" if entry["expected"] else "false picture"
    return {**entry, **numbers, "kind": "" if entry["verdict"] == "measured" else judged}
