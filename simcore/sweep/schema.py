"""What the files of a run hold: columns, types and units, and how rows from a search become an Arrow table.

Kinds of rows: "starts" (newton runs, a row a start), "points" (enumerate and ball runs, a row a distinct point),
"counts" (walk and paths runs, a row a draw and index), "audits" (all but newton runs, a row a draw).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simcore.errors import RunError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

SCHEMA_VERSION = 2
"""Raised whenever a file written now could not be read by an older version of simcore.

2: Morse indices stand in the column ``morse_index``. In version 1 it was ``index``, which a DataFrame's attribute of
that name hides: ``(rows.index == 0).sum()`` counted row labels.
"""

KINDS = {
    "newton": ("starts",),
    "enumerate": ("points", "audits"),
    "ball": ("points", "audits"),
    "walk": ("counts", "audits"),
    "paths": ("counts", "audits"),
}
"""Kinds of rows that a method yields; the first is what ``load`` returns unless asked for another."""

FOLDERS = KINDS | {"newton": ("starts", "parts")}
"""Folders of files that a method writes; parts are halfway to starts (``simcore.sweep.merge``)."""

UNITS = {
    "draw": "number of the function within its combination, from 0",
    "start": "number of the start within its draw, from 0",
    "status": "how the start ended",
    "iterations": "Newton steps",
    "cost": "f, in the landscape's normalisation",
    "grad_norm": "norm of the (Riemannian) gradient of f",
    "morse_index": "negative eigenvalues of the Hessian; -1 undefined",
    "nullity": "eigenvalues within the zero tolerance; -1 undefined",
    "point": "number of the distinct point within its draw, by first arrival; -1 not critical",
    "certified": "a Newton-Kantorovich test proved the point and its index",
    "source": "start law",
    "hits": "ordinary starts that ended at the point",
    "decrement": "Newton decrement, a length in x",
    "x": "coordinates",
    "eigenvalues": "Hessian eigenvalues, ascending",
    "distinct": "distinct critical points found",
    "starts": "ordinary starts searched",
    "descended_starts": "starts that made gradient steps first",
    "proved": "a theorem says that no point is missing",
    "proof_method": "eigenvectors, bezout, kushnirenko or exclusion; missing where no proof was tried",
    "proof_bound": "most isolated zeros there can be",
    "proof_certified": "zeros certified",
    "proof_work": "paths followed, or boxes examined",
    "proof_retracked": "paths followed more than once",
    "singletons": "points hit once",
    "coverage": "Good-Turing estimate of the mass of basins seen",
    "euler_sum": "sum of (-1)^index over the points found",
    "euler_expected": "Euler characteristic of the domain",
    "complete": "every rule of completeness held",
    "certified_fraction": "share of points with a certificate",
    "count": "estimated number of critical points",
    "se": "standard error of the count",
    "low": "lower end of its interval of 95 %",
    "high": "upper end of its interval of 95 %",
    "log_ratio": "ln of the count over that of index 0",
    "log_ratio_se": "standard error of log_ratio",
    "trusted": "the diagnostics of the count held",
    "total": "estimated number of critical points of all indices",
    "total_se": "standard error of the total",
    "reasons": "which diagnostics failed",
    "round_trips": "journeys of walkers from a minimum to the middle and back",
}

TYPES = {
    **dict.fromkeys(("draw", "start", "point", "hits", "euler_expected", "round_trips"), "int64"),
    **dict.fromkeys(("proof_bound", "proof_certified", "proof_work", "proof_retracked"), "int64"),
    **dict.fromkeys(("iterations", "morse_index", "nullity"), "int32"),
    **dict.fromkeys(("proof_method", "reasons", "weights", "method"), "string"),
    **dict.fromkeys(("log_saddles_over_minima", "log_saddles_over_minima_se", "mean_cost_z", "target_error"), "double"),
    "minima_closed": "bool",
}
"""Arrow types of the columns that may lack values or are narrower than NumPy makes them; those of ``_WORDS`` are
dictionaries of strings, of ``_LISTS`` lists of float64; every other column is bool, int64 or float64 as it comes."""

_WORDS = ("status", "source")
_LISTS = ("x", "eigenvalues")


def check_kind(method: str, kind: str | None) -> str:
    """Return the kind of rows wanted, the method's main one for None; ``InputError`` names the choices."""
    from simcore.errors import unknown_name

    if kind is None:
        return KINDS[method][0]
    if kind not in KINDS[method]:
        raise unknown_name(f"kind of rows of runs of method {method!r}", kind, KINDS[method])
    return kind


def to_arrow(frame: pd.DataFrame, metadata: dict[str, str]) -> pa.Table:
    """Return the rows as an Arrow table of fixed column types, units in each field's metadata."""
    import pyarrow as pa

    arrays, types = [], []
    for name in frame.columns:
        array = _array(name, frame[name])
        arrays.append(array)
        types.append(pa.field(name, array.type, metadata={"unit": UNITS.get(name, "")}))
    return pa.Table.from_arrays(arrays, schema=pa.schema(types, metadata=metadata))


def _array(name: str, column: pd.Series) -> pa.Array:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    if name in _LISTS:
        rows = [np.asarray(row, dtype=np.float64) for row in column]
        ends = np.cumsum([0, *(len(row) for row in rows)])
        if ends[-1] > np.iinfo(np.int32).max:
            raise RunError(f"the column {name} of one shard holds {ends[-1]} numbers, more than a file takes")
        values = np.concatenate(rows) if rows else np.empty(0)
        return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(values, pa.float64()))
    if name in _WORDS:
        words = column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("category")
        codes = pa.array(words.cat.codes.to_numpy(), pa.int8())
        return pa.DictionaryArray.from_arrays(codes, pa.array(list(map(str, words.cat.categories)), pa.string()))
    if name in TYPES:
        kind, missing = pa.type_for_alias(TYPES[name]), pd.isna(column).to_numpy()
        if not missing.any() and column.dtype != object:
            return pa.array(column.to_numpy(), kind)
        return pa.array([None if lacks else value for value, lacks in zip(column, missing, strict=True)], kind)
    values = column.to_numpy()
    if values.dtype.kind not in "biuf":
        raise RunError(f"the column {name} holds {values.dtype} values, for which simcore.sweep.schema has no type")
    if values.dtype.kind in "iu":
        return pa.array(values, pa.int64())
    return pa.array(values, pa.bool_() if values.dtype.kind == "b" else pa.float64())
