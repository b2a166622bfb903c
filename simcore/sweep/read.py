"""Reading a run: ``load`` for a table, ``iter_shards`` for bounded memory.

Parameter columns come first: ``landscape`` (category) and every parameter that a landscape of the run has (n, p, m,
features, ...), missing where a landscape does not have it; then the method's own columns (``simcore.sweep.schema``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcore.errors import InputError, unknown_name
from simcore.sweep.agenda import expected_draws
from simcore.sweep.config import Configuration, canonical_json
from simcore.sweep.plan import Shard, by_combination, missing
from simcore.sweep.provenance import read_run
from simcore.sweep.schema import check_kind
from simcore.sweep.store import RunDirectory, read_columns, read_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

COMBINATION = "combination"
"""A column that may be asked for beside those of the table: the number of the row's combination in run.json."""


def load(run: str | Path, *, columns: Sequence[str] | None = None, kind: str | None = None) -> pd.DataFrame:
    """Return the rows of a run as one table, ordered by combination, draw, then start or point.

    Parameters
    ----------
    run : path
        The run directory.
    columns : list of str
        Only these of the parameter and data columns, in this order; None for all. ``combination`` may be among them:
        the row's place in the list ``combinations`` of run.json, which holds its parameters as they were given.
    kind : str
        "starts" for newton runs; "points" (the default, a row a distinct point) or "audits" (a row a draw) for the
        others.

    Returns
    -------
    DataFrame; ``.attrs["run"]`` holds ``method``, ``seed``, ``draws`` (per combination), ``complete`` and ``versions``.
    A run that is not finished yields the shards that are.

    Raises
    ------
    InputError
        For a directory that is no run, an unknown column or kind.
    RunError
        For a shard that is missing, can't be read or does not match its checksum.
    """
    reader = _Reader(run, columns, kind)
    frame = reader.frame()
    frame.attrs["run"] = reader.summary()
    return frame


def iter_shards(
    run: str | Path, *, columns: Sequence[str] | None = None, kind: str | None = None
) -> Iterator[pd.DataFrame]:
    """Yield a run's rows shard by shard, each a DataFrame as ``load`` gives it, in the same order.

    A shard has at most about 130,000 rows of starts, whatever the run's size. Raises as ``load`` does.
    """
    yield from _Reader(run, columns, kind).frames()


def data_columns(run: str | Path, kind: str | None = None) -> list[str]:
    """Return the names of a run's own columns, those after the parameters, for a kind of rows as in ``load``."""
    return _Reader(run, None, kind).data_columns()


def run_information(run: str | Path) -> dict[str, Any]:
    """Return run.json: configuration, seed, versions, machine, sessions; ``InputError`` where there is no run."""
    return read_run(RunDirectory(run))[0]


class _Reader:
    """One reading of a run: shards become Arrow tables, and those a table of pandas, with the parameters in front."""

    def __init__(self, run: str | Path, columns: Sequence[str] | None, kind: str | None) -> None:
        self.run = RunDirectory(run)
        self.document, self.configuration = read_run(self.run)
        self.kind = check_kind(self.configuration.method, kind)
        found = ((shard, record["files"].get(self.kind)) for shard, record in self.run.records())
        self.facts = {shard: facts for shard, facts in found if facts is not None}
        # Within a combination rows are ordered by draw, then start.
        self.shards = sorted(self.facts, key=attrgetter("combination", "first_draw", "first_start"))
        self.parameters = parameter_names(self.configuration)
        self.values = {name: parameter_values(self.configuration, name) for name in self.parameters}
        self.values["landscape"] = [entry["name"] for entry in self.configuration.combinations]
        self.columns = None if columns is None else self._checked(list(columns))

    def frames(self) -> Iterator[pd.DataFrame]:
        """Yield the shards' rows."""
        for shard in self.shards:
            yield self._frame([self._table(shard)], [shard.combination])

    def frame(self) -> pd.DataFrame:
        """Return all rows; the shards' tables are joined once, not their frames one by one."""
        if not self.shards:
            return self.empty()
        return self._frame([self._table(shard) for shard in self.shards], [s.combination for s in self.shards])

    def empty(self) -> pd.DataFrame:
        """Return a table without rows."""
        import pandas as pd

        return pd.DataFrame(columns=self.columns or ["landscape", *self.parameters, "draw"])

    def summary(self) -> dict[str, Any]:
        """Return what a reader of the table should know of the run."""
        configuration = self.configuration
        draws, complete, held = [], True, by_combination(self.shards)
        for c in range(len(configuration.combinations)):
            draws.append(expected_draws(self.run, configuration, c, held[c]))
            complete &= next(missing(configuration, c, draws[-1], held[c]), None) is None
        return {
            "path": str(self.run.path),
            "method": configuration.method,
            "kind": self.kind,
            "seed": configuration.seed,
            "backend": self.document["backend"],
            "draws": draws,
            "complete": complete,
            "versions": list(self.document["versions"]),
        }

    def _checked(self, columns: list[str]) -> list[str]:
        known = ["landscape", *self.parameters, *self.data_columns(), COMBINATION]
        for name in columns:
            if name not in known:
                raise unknown_name(f"column of {self.run.path}", name, known)
        if not columns:
            raise InputError(f"columns is empty; name some of {', '.join(known)}, or leave it out for all")
        return columns

    def data_columns(self) -> list[str]:
        if not self.shards:
            return ["draw"]
        first = self.shards[0]
        return read_columns(self.run.file(self.kind, first), self.facts[first])

    def _table(self, shard: Shard) -> pa.Table:
        wanted = None
        if self.columns is not None:
            # With parameters alone one column is still needed, for the number of rows.
            wanted = [name for name in self.columns if name not in self.values and name != COMBINATION] or ["draw"]
        return read_table(self.run.file(self.kind, shard), self.facts[shard], wanted).replace_schema_metadata()

    def _frame(self, tables: list[pa.Table], combinations: list[int]) -> pd.DataFrame:
        """Return the rows of some shards; ``combinations`` are theirs. The tables are emptied on the way."""
        import numpy as np
        import pandas as pd
        import pyarrow as pa

        number = np.repeat(combinations, [len(table) for table in tables])
        # An audit that is undefined in one shard may be a number in another.
        table = pa.concat_tables(tables, promote_options="permissive") if len(tables) > 1 else tables[0]
        tables.clear()
        names = self.columns or ["landscape", *self.parameters, *table.column_names]
        rows = table.to_pandas(ignore_metadata=True, self_destruct=True, split_blocks=True)
        made: dict[str, Any] = {}
        for name in names:
            if name == COMBINATION:
                made[name] = number
            elif name in self.values:
                values = pd.Series(self.values[name], dtype=object)
                kind = "category" if name == "landscape" else self._parameter_type(name)
                made[name] = values.astype(kind).take(number).reset_index(drop=True)
            else:
                made[name] = rows[name]
        return pd.DataFrame(made)

    def _parameter_type(self, name: str) -> str:
        """Return the pandas type of a parameter's column: nullable where some landscape does not have it."""
        values = self.values[name]
        given = [value for value in values if value is not None]
        if all(isinstance(value, bool) for value in given):
            return "boolean"
        if all(isinstance(value, int) and not isinstance(value, bool) for value in given):
            return "int64" if len(given) == len(values) else "Int64"
        if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in given):
            return "float64"
        return "category"


def parameter_names(configuration: Configuration) -> list[str]:
    """Return ``n`` and every parameter of the run's landscapes, in the order in which they first appear."""
    names = dict.fromkeys(["n", *(key for entry in configuration.combinations for key in entry if key != "name")])
    return list(names)


def parameter_values(configuration: Configuration, name: str) -> list[Any]:
    """Return a parameter of each combination as a table shows it: lists as JSON text, None where it has none.

    ``n`` is the number of variables also where it is no parameter, as of networks.
    """
    found = [entry.get(name) for entry in configuration.combinations]
    if name == "n":
        found = [configuration.landscape(c).n if value is None else value for c, value in enumerate(found)]
    return [canonical_json(value) if isinstance(value, (list, tuple, dict)) else value for value in found]
