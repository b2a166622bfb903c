"""The paper table of one or several runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from simcore.errors import unknown_name

from .estimates import Estimate
from .samples import ESTIMATED, Sample, as_runs, load_samples, run_provenance
from .writers import FORMATS, Column, Table

DEMO_COLUMNS = (
    "landscape", "n", "functions", "complete", "proved", "critical_points", "minima", "ratio_distinct",
    "ratio_distinct_se", "ratio_exact", "z", "ratio_hits", "ratio_coin_flip",
)  # fmt: skip
"""Columns of ``table.csv``, part of the contract."""

COUNT_COLUMNS = [
    Column("functions", "functions", "functions"),
    Column("complete", "complete", "complete"),
    Column("proved", "proved", "proved"),
    Column("critical_points", "critical points", "critical points"),
    Column("minima", "minima", "minima"),
    Column("ratio_distinct", "saddles/minima", "saddles/minima"),
    Column("ratio_exact", "exact", "exact", digits=5),
    Column("z", "z", "$z$", places=2),
    Column("ratio_hits", "by hits", "by hits", digits=3),
    Column("ratio_coin_flip", "coin flip", "$2^D-2$"),
]

TRUSTED = Column("trusted", "trusted", "trusted")
"""Draws whose estimated counts are trusted: a column where runs are of method walk or paths, blank for others."""


def run_table(runs: Sequence[Any] | Any, format: str = "markdown", columns: Sequence[str] | None = None) -> str:
    """Return the paper table of one or several run directories as text.

    ``enumerate`` and ``ball`` runs: functions, complete and proved draws, totals of distinct critical points and
    minima, annealed ratio of saddles to minima with its standard error (between draws), the exact ratio, z, the ratio
    by hits, and the coin-flip ratio 2^D - 2. z is blank where there are no saddles or a draw is incomplete. ``walk``
    and ``paths`` runs: the same of estimates, with the number of draws whose counts are trusted, and no list that could
    be complete. ``newton`` runs: statuses of the starts, and hits, labelled as such; they hold no counts. Footnotes
    state each run's provenance.

    Parameters
    ----------
    runs : one run directory or several.
    format : "markdown", "latex" or "csv".
    columns : headings of the CSV wanted, in this order, one column each (``ratio_distinct`` is the ratio with its error
        in Markdown and LaTeX, its value alone in CSV); default all. A CSV of estimates that are not all trusted has the
        column ``trusted`` whatever is wanted.

    Raises
    ------
    InputError
        For an unknown format or column, or a directory that is no run.
    """
    if format not in FORMATS:
        raise unknown_name("table format", format, FORMATS)
    tables = run_tables(runs)
    if columns is not None:
        tables = [chosen(spread(table) if format == "csv" else table, columns) for table in tables]
    return "\n".join(csv_of(table) if format == "csv" else table.write(format) for table in tables)


def run_tables(runs: Sequence[Any] | Any) -> list[Table]:
    """Return the tables of ``run_table``: counts, and hits where a run holds hits alone."""
    directories = as_runs(runs)
    notes = [provenance_note(run) for run in directories]
    samples = load_samples(directories)
    tables = []
    counted = [s for s in samples if s.method != "newton"]
    searched = [s for s in samples if s.method == "newton"]
    if counted:
        tables.append(count_table(counted, notes if not searched else []))
    if searched:
        tables.append(hits_table(searched, notes))
    return tables


def chosen(table: Table, columns: Sequence[str]) -> Table:
    """Return a table with these of its columns alone, in this order; ``InputError`` names the choices.

    A column may be any heading of the CSV, ``ratio_distinct_se`` say. Where a CSV (``spread``) of estimates would hide
    that some are not trusted, the column ``trusted`` is added.
    """
    wide = spread(table)
    known = {column.key: column for column in (*wide.columns, *table.columns)}
    for key in columns:
        if key not in known:
            raise unknown_name("column of the table", key, known)
    plain = not any(isinstance(cell, Estimate) for row in table.rows for cell in row.values())
    doubted = any(row.get("trusted") not in (None, row.get("functions")) for row in table.rows)
    hidden = ["trusted"] if plain and doubted and "trusted" not in columns else []
    rows = [{**flat, **row} for flat, row in zip(wide.rows, table.rows, strict=True)]
    return replace(table, columns=[known[key] for key in (*columns, *hidden)], rows=rows)


def count_table(samples: Sequence[Sample], notes: Sequence[str] = ()) -> Table:
    """Return the table of complete counts; one row a combination."""
    rows, remarks = [], []
    for sample in samples:
        ratio, hits = sample.ratio(), sample.ratio_hits()
        complete = int(sample.complete.sum())
        estimated = sample.method in ESTIMATED  # no list, so nothing complete or proved
        exact = sample.ratio_exact
        judged = exact is not None and sample.dimension >= 2 and complete == sample.draws
        rows.append(
            {
                **sample.told,
                "functions": sample.draws,
                "complete": None if estimated else complete,
                "proved": None if estimated else int(sample.proved.sum()),
                "trusted": complete if estimated else None,
                "critical_points": int(sample.counts.sum()),
                "minima": int(sample.minima.sum()),
                "ratio_distinct": ratio,
                "ratio_exact": exact,
                "z": _blank(ratio.z(exact)) if judged and exact is not None else None,
                "ratio_hits": None if math.isnan(hits.value) else hits.value,
                "ratio_coin_flip": coin_flip_ratio(sample.dimension),
            }
        )
        where = f"{sample.label}, n = {sample.n}"
        if estimated:
            remarks.append(
                f"{where}: estimated by method {sample.method!r}; {complete} of {sample.draws} draws are trusted"
                f"{'.' if complete == sample.draws else ', the others are not trusted; no z.'}"
            )
        elif complete < sample.draws:
            unfinished = sample.draws - complete
            remarks.append(
                f"{where}: {unfinished} of {sample.draws} draws are incomplete, so points may be missing; no z."
            )
        if ratio.note and sample.dimension >= 2:
            remarks.append(f"{where}: {ratio.note}.")
    trust = [TRUSTED] if any(s.method in ESTIMATED for s in samples) else []
    columns = [*_parameter_columns(samples), *COUNT_COLUMNS[:3], *trust, *COUNT_COLUMNS[3:]]
    fixed = [
        "Ratios are annealed (mean saddles over mean minima); errors are one standard error between "
        "draws. By hits: shares of starts, biased, not counts.",
    ]
    if any(s.landscape == "gaussian_field" and s.parameters.get("frequencies") == "random" for s in samples):
        fixed.append("Exact ratio of gaussian_field: for its own number of features, by Monte Carlo over frequencies.")
    return Table(columns, rows, "Distinct critical points of random functions", [*fixed, *remarks, *notes])


def hits_table(samples: Sequence[Sample], notes: Sequence[str] = ()) -> Table:
    """Return the table of ``newton`` runs: how starts ended, and hits, never called counts."""
    from simcore.formulas.outcome import STATUSES

    rows = []
    for sample in samples:
        hits = sample.ratio_hits()
        row: dict[str, Any] = {**sample.told, "functions": sample.draws, "starts": int(sample.starts.sum())}
        row |= {status: sample.statuses.get(status, 0) for status in STATUSES}
        row |= {
            "hits_minima": int(sample.hits[:, 0].sum()),
            "hits_saddles": int(sample.hits[:, 1 : sample.dimension].sum()),
            "ratio_hits": hits,
            "ratio_exact": sample.ratio_exact,
            "ratio_coin_flip": coin_flip_ratio(sample.dimension),
        }
        rows.append(row)
    columns = [
        *_parameter_columns(samples),
        Column("functions", "functions"),
        Column("starts", "starts"),
        *(Column(status, status.replace("_", " ")) for status in STATUSES),
        Column("hits_minima", "minima (hits)"),
        Column("hits_saddles", "saddles (hits)"),
        Column("ratio_hits", "saddles/minima (hits)"),
        Column("ratio_exact", "exact"),
        Column("ratio_coin_flip", "coin flip", "$2^D-2$"),
    ]
    fixed = "Hits are starts that ended at a point: biased towards large basins, not counts of points."
    return Table(columns, rows, "Outcomes of Newton starts", [fixed, *notes])


def demo_csv(table: Table) -> str:
    """Return ``table.csv`` with exactly the columns that PRODUCT.md states."""
    rows = [_flat(row) for row in table.rows]
    return Table([Column(name, name) for name in DEMO_COLUMNS], rows).csv()


def csv_of(table: Table) -> str:
    """Return a table's CSV: of a ratio its value, standard error and interval, a column each."""
    return spread(table).csv()


def spread(table: Table) -> Table:
    """Return a table as its CSV shows it: an Estimate is the columns key, key_se, key_low and key_high."""
    columns: list[Column] = []
    for column in table.columns:
        columns.append(column)
        if any(isinstance(row.get(column.key), Estimate) for row in table.rows):
            columns += [Column(f"{column.key}{end}", "") for end in ("_se", "_low", "_high")]
    return replace(table, columns=columns, rows=[_flat(row) for row in table.rows])


def coin_flip_ratio(dimension: int) -> int:
    """Return saddles over minima if the eigenvalues' signs were fair coins: (2^D - 2) / 1; 0 where D < 2."""
    return max(2**dimension - 2, 0)


def provenance_note(run: Any, *, configuration_hash: bool = True) -> str:
    """Return one sentence from ``run.json``: versions, method, seed, backend, commits, hash of the configuration."""
    facts = run_provenance(run)
    configuration = facts["configuration"]
    versions = ", ".join(facts.get("versions", []))
    parts = [f"simcore {versions}", f"method {configuration['method']}", f"seed {configuration['seed']}"]
    if facts.get("backend"):
        parts.append(f"backend {facts['backend']}")
    commits = {s.get("software", {}).get("commit", "") for s in facts.get("sessions", [])} - {""}
    parts += [f"commit {c[:12]}{'+changes' if c.endswith('+changes') else ''}" for c in sorted(commits)]
    if configuration_hash and facts.get("configuration_hash"):
        parts.append(f"configuration {facts['configuration_hash'][:12]}")
    return "Data: " + ", ".join(parts) + "."


def _parameter_columns(samples: Sequence[Sample]) -> list[Column]:
    names: list[str] = []
    for sample in samples:
        names += [name for name in sample.parameters if name not in names]
    return [Column(name, name, f"${name}$" if len(name) == 1 else "") for name in names]


def _blank(z: float) -> float | None:
    """A z-score, or a blank where there is none (a one-sided bound has no standard error)."""
    return z if math.isfinite(z) else None


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row with each Estimate spread over key, key_se, key_low and key_high."""
    flat: dict[str, Any] = {}
    for key, cell in row.items():
        if isinstance(cell, Estimate):
            flat |= {key: cell.value, f"{key}_se": cell.se, f"{key}_low": cell.low, f"{key}_high": cell.high}
        else:
            flat[key] = cell
    return flat
