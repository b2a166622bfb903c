"""Reading a run: ``load`` for a table, ``iter_shards`` for bounded memory.

Parameter columns come first: ``landscape`` (category) and every parameter that a landscape of the run has (n, p, m,
features, ...), missing where a landscape does not have it; then the method's own columns (``simcore.sweep.schema``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simcore.errors import InputError, RunError, unknown_name
from simcore.sweep.agenda import expected_draws
from simcore.sweep.config import Configuration, canonical_json
from simcore.sweep.plan import Shard, by_combination, missing
from simcore.sweep.provenance import read_run
from simcore.sweep.schema import check_kind, to_arrow, unified
from simcore.sweep.store import RunDirectory, read_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def load(run: str | Path, *, columns: Sequence[str] | None = None, kind: str | None = None) -> pd.DataFrame:
    """Return the rows of a run as one table, ordered by combination, draw, then start or point.

    Parameters
    ----------
    run : path
        The run directory.
    columns : list of str
        Only these of the parameter and data columns, in this order; None for all. Fewer columns read less.
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
        For a shard that is missing or can't be read.
    """
    import pandas as pd

    reader = _Reader(run, columns, kind)
    frames = list(reader.frames())
    frame = pd.concat(frames, ignore_index=True) if frames else reader.empty()
    for name in reader.categories & set(frame.columns):
        frame[name] = frame[name].astype("category")  # shards may know different words
    frame.attrs["run"] = reader.summary()
    return frame


def iter_shards(
    run: str | Path, *, columns: Sequence[str] | None = None, kind: str | None = None
) -> Iterator[pd.DataFrame]:
    """Yield a run's rows shard by shard, each a DataFrame as ``load`` gives it, in the same order.

    A shard has at most about 130,000 rows of starts, whatever the run's size. Raises as ``load`` does.
    """
    yield from _Reader(run, columns, kind).frames()


def run_information(run: str | Path) -> dict[str, Any]:
    """Return run.json: configuration, seed, versions, machine, sessions; ``InputError`` where there is no run."""
    return read_run(RunDirectory(run))[0]


class _Reader:
    """One reading of a run."""

    def __init__(self, run: str | Path, columns: Sequence[str] | None, kind: str | None) -> None:
        self.run = RunDirectory(run)
        self.document, self.configuration = read_run(self.run)
        self.kind = check_kind(self.configuration.method, kind)
        shards = self.run.shards()
        held = [shard for shard in shards if self.kind in self.run.record(shard)["files"]]
        # Within a combination rows are ordered by draw, then start.
        self.shards = sorted(held, key=lambda s: (s.combination, s.first_draw, s.first_start))
        self.parameters = parameter_names(self.configuration)
        self.values = {name: parameter_values(self.configuration, name) for name in self.parameters}
        self.columns = None if columns is None else self._checked(list(columns))
        self.categories = {"landscape", "status", "source"} | {
            name for name in self.parameters if self._parameter_type(name) == "category"
        }

    def frames(self) -> Iterator[pd.DataFrame]:
        """Yield the shards' rows."""
        for shard in self.shards:
            yield self._frame(shard, read_table(self.run.file(self.kind, shard), self._wanted()))

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
        known = ["landscape", *self.parameters, *self._data_columns()]
        for name in columns:
            if name not in known:
                raise unknown_name(f"column of {self.run.path}", name, known)
        if not columns:
            raise InputError(f"columns is empty; name some of {', '.join(known)}, or leave it out for all")
        return columns

    def _data_columns(self) -> list[str]:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        if not self.shards:
            return ["draw"]
        path = self.run.file(self.kind, self.shards[0])
        try:
            return list(parquet.read_schema(path).names)
        except (OSError, pa.ArrowException, ValueError) as error:
            line = (str(error).splitlines() or [""])[0]
            raise RunError(f"{path} can't be read: {line}; run simcore verify to see what is damaged") from None

    def _wanted(self) -> list[str] | None:
        if self.columns is None:
            return None
        mine = {"landscape", *self.parameters}
        # With parameters alone one column is still needed, for the number of rows.
        return [name for name in self.columns if name not in mine] or ["draw"]

    def _frame(self, shard: Shard, table: pa.Table) -> pd.DataFrame:
        import pandas as pd

        columns: dict[str, Any] = {"landscape": self.configuration.combinations[shard.combination]["name"]}
        columns |= {name: self.values[name][shard.combination] for name in self.parameters}
        wanted = self.columns or [*columns, *table.column_names]
        rows = table.to_pandas(ignore_metadata=True)
        made = {}
        for name in wanted:
            if name in columns:
                values = [columns[name]] if len(rows) else []
                kind = "category" if name == "landscape" else self._parameter_type(name)
                series = pd.Series(values, dtype=object).astype(kind)
                made[name] = series.repeat(len(rows)).reset_index(drop=True)
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


__all__ = ["iter_shards", "load", "run_information", "to_arrow", "unified"]
