"""Counts per draw of every combination of a run: what estimates, tables and figures work on.

A combination is one set of parameters (landscape, n, p, ...). Draws without any point of some index, or without any
point at all, count: the list of draws comes from the audits (a row a draw), never from the points found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simcore.errors import InputError

from .estimates import Estimate, annealed_ratio, index_fractions, mean_costs, quenched_ratio

Array = NDArray[np.float64]

WAVES = {"features", "frequencies"}
"""Parameters that an isotropic set fixes at every n."""
ESTIMATED = ("walk", "paths")
"""Methods whose counts are estimates."""
LONGEST_SHOWN = 18
"""Characters of a parameter's value beyond which titles leave it out; tables show it."""


ONE_LANDSCAPE = "one landscape"
"""What stands for the landscape's name where a frame does not say which it is."""


@dataclass(frozen=True)
class Sample:
    """Everything that the draws of one combination say about indices, hits and costs.

    parameters : landscape and its parameters, as in a configuration file.
    dimension : D, dimension of the domain; the index runs from 0 to D.
    counts : (N, D + 1) distinct critical points of each index, a row a draw; nan-free. Empty of meaning (all 0) for
        ``newton`` runs, which count hits only.
    hits : (N, D + 1) ordinary starts that ended at points of each index.
    cost_sums : (N, D + 1) sum over distinct points (over starts for ``newton`` runs) of the cost.
    complete : (N,) whether the draw's enumeration is complete, or its estimated counts are trusted.
    starts : (N,) ordinary starts a draw.
    method : "enumerate", "ball" or "newton"; "walk" or "paths", whose counts are estimates.
    statuses : number of starts by status, where the run says.
    proved : (N,) whether a theorem says that the draw's list is complete; empty where the run does not say.
    entry : the landscape's table as run.json holds it, where the sample was read from a run; ``parameters`` are what
        tables show of it, lists as text.
    """

    parameters: dict[str, Any]
    dimension: int
    counts: Array
    hits: Array
    cost_sums: Array
    complete: NDArray[np.bool_]
    starts: Array
    method: str = "enumerate"
    statuses: dict[str, int] = field(default_factory=dict)
    proved: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    entry: dict[str, Any] = field(default_factory=dict)

    @property
    def draws(self) -> int:
        """Number of draws N."""
        return len(self.counts)

    @property
    def landscape(self) -> str:
        """Registry name."""
        return str(self.parameters["landscape"])

    @property
    def n(self) -> int:
        """Number of coordinates."""
        return int(self.parameters["n"])

    @property
    def label(self) -> str:
        """The combination in words, name and parameters but n; combinations that differ in n alone share it."""
        hidden = {"landscape", "n"} | (WAVES if self.parameters.get("frequencies") == "isotropic" else set())
        rest = [f"{k}={_short(v)}" for k, v in self.parameters.items() if k not in hidden]
        return " ".join([self.landscape, *rest])

    @property
    def title(self) -> str:
        """The same for figures: spelt as words, symbols in mathematics."""
        rest = [f"${k} = {_short(v)}$" if len(k) == 1 else f"{k} {_short(v)}" for k, v in self._law_parameters.items()]
        return ", ".join([self.landscape.replace("_", " "), *rest])

    @property
    def told(self) -> dict[str, Any]:
        """The parameters as a published table shows them: of a data file its name, not where it lies on a machine."""
        return {k: _without_folders(v) for k, v in self.parameters.items()}

    @property
    def _law_parameters(self) -> dict[str, Any]:
        """Parameters that a title shows: not n, not the waves of an isotropic set, which n fixes, no matrices."""
        hidden = {"landscape", "n"} | (WAVES if self.parameters.get("frequencies") == "isotropic" else set())
        return {k: v for k, v in self.parameters.items() if k not in hidden and len(str(v)) <= LONGEST_SHOWN}

    @property
    def minima(self) -> Array:
        """(N,) points of index 0 of each draw."""
        return self.counts[:, 0]

    @property
    def saddles(self) -> Array:
        """(N,) points with 0 < index < D of each draw."""
        return self.counts[:, 1 : self.dimension].sum(axis=1)

    def ratio(self, level: float = 0.95) -> Estimate:
        """Annealed ratio of saddles to minima among distinct points; an exact 0 where D < 2 leaves no room for any."""
        if self.dimension < 2:
            return Estimate(0.0, 0.0, 0.0, 0.0, level, 2, self.draws, "annealed", "no index between 0 and D")
        return annealed_ratio(self.saddles, self.minima, level=level)

    def ratio_quenched(self, level: float = 0.95) -> Estimate:
        """Quenched ratio: mean over the draws with minima of saddles / minima."""
        return quenched_ratio(self.saddles, self.minima, level=level)

    def ratio_hits(self, level: float = 0.95) -> Estimate:
        """Ratio by hits: starts that ended at saddles over starts that ended at minima, each draw weighted equally.

        Draws may have had different numbers of starts, so shares of a draw's hits are averaged. Biased: not a count.
        """
        if self.dimension < 2 and self.hits.any():
            return Estimate(0.0, 0.0, 0.0, 0.0, level, 2, self.draws, "annealed", "no index between 0 and D")
        share = self.hits / np.maximum(self.hits.sum(axis=1, keepdims=True), 1)
        return annealed_ratio(share[:, 1 : self.dimension].sum(axis=1), share[:, 0], level=level)

    def fractions(self, level: float = 0.95) -> list[Estimate]:
        """Annealed fraction of distinct points at each index."""
        return index_fractions(self.counts, level=level)

    def costs(self, level: float = 0.95) -> list[Estimate]:
        """Mean cost of distinct points at each index (annealed: points pooled over draws)."""
        return mean_costs(self.cost_sums, self.counts if self.method != "newton" else self.hits, level=level)

    @cached_property
    def law(self) -> pd.DataFrame | None:
        """Exact law of this combination (``simcore.expected_counts``), or None where none is known.

        For random waves with random frequencies it is the law of their own number, by Monte Carlo over frequencies
        (relative error about 0.1 %): given its frequencies such a field is only nearly isotropic.
        """
        finite = self.parameters.get("frequencies") == "random"
        try:
            return self.built.expected_counts(finite_features=finite)
        except InputError:
            return None

    @cached_property
    def built(self) -> Any:
        """The landscape itself: from run.json's table where the sample was read from a run."""
        from simcore.landscapes.registry import from_dict

        return from_dict(self.entry) if self.entry else build_landscape(self.parameters)

    @property
    def ratio_exact(self) -> float | None:
        """Exact ratio of mean numbers, saddles over minima; 0 where D < 2, None where no law is known."""
        return None if self.law is None else ratio_of_law(self.law)


def ratio_of_law(law: pd.DataFrame) -> float:
    """Return saddles / minima of an exact law (columns ``index, fraction``); D is its largest index."""
    law = law.sort_values("morse_index")
    fraction = law["fraction"].to_numpy(float)
    return float(fraction[1:-1].sum() / fraction[0])


def build_landscape(parameters: dict[str, Any]) -> Any:
    """Return the landscape of a combination's parameters (``landscape`` is the registry name).

    For a frame that knows no run (``simcore.load``'s, filtered, joined or read from a file): its cells show lists as
    JSON text (``simcore.sweep.read.parameter_values``), and n of a network, where it is no parameter. Runs are resolved
    by their own run.json (``Sample.entry``).
    """
    from simcore.landscapes import registry

    known = registry.parameters(parameters["landscape"])
    settings = {k: _decoded(v) for k, v in parameters.items() if k != "landscape" and (k in known or k != "n")}
    return registry.from_dict({"name": parameters["landscape"], **settings})


def samples_from_frames(
    points: pd.DataFrame,
    audits: pd.DataFrame,
    method: str = "enumerate",
    *,
    drop_unaudited: bool = False,
    entries: Sequence[dict[str, Any]] | None = None,
) -> list[Sample]:
    """Return one Sample a combination, in the order of first appearance in ``audits``.

    Parameters
    ----------
    points : a row a distinct point: parameter columns, ``draw, morse_index, cost, hits``; or sums of these over points
        with the same draw and index, and their ``number``.
    audits : a row a draw: the same parameter columns, ``draw, complete, starts``; its draws are the sample.
    method : "enumerate" or "ball".
    drop_unaudited : leave out points of draws without an audit, which a run that is still going may have just gained.

    Raises
    ------
    InputError
        If a draw of ``points`` is not in ``audits``, or an index lies outside 0..D.
    """
    names = parameter_columns(audits) if entries is None else ["combination"]
    groups = dict(_groups(points, names))
    samples = []
    for key, audit in _groups(audits, names):
        parameters, entry, dimension = _resolved(names, key, entries)
        draws = audit["draw"].to_numpy()
        frame = groups.pop(key, points.iloc[:0])
        row = pd.Index(draws).get_indexer(frame["draw"])
        if drop_unaudited:
            frame, row = frame[row >= 0], row[row >= 0]
        if (row < 0).any():
            raise InputError(
                f"points of {parameters} belong to draws without an audit; run `simcore verify` on the run"
            )
        index = frame["morse_index"].to_numpy(np.int64)
        if len(index) and (index.min() < 0 or index.max() > dimension):
            raise InputError(f"points of {parameters} have an index outside 0..{dimension}; run `simcore verify`")
        cells = row * (dimension + 1) + index
        shape = (len(draws), dimension + 1)

        number = frame["number"].to_numpy(np.float64) if "number" in frame else np.ones(len(frame))
        counts, hits, costs = (
            _cell_sums(cells, weights, shape)
            for weights in (number, frame["hits"].to_numpy(np.float64), frame["cost"].to_numpy(np.float64))
        )
        starts = audit["starts"].to_numpy(np.float64) if "starts" in audit else np.full(len(draws), np.nan)
        complete = audit["complete"].to_numpy(bool) if "complete" in audit else np.zeros(len(draws), bool)
        statuses = _status_counts(audit)
        proved = audit["proved"].to_numpy(bool) if "proved" in audit else np.zeros(len(draws), bool)
        samples.append(
            Sample(parameters, dimension, counts, hits, costs, complete, starts, method, statuses, proved, entry)
        )
    if groups and not drop_unaudited:
        raise InputError(f"points of {next(iter(groups))} have no audits; run `simcore verify` on the run")
    return samples


def samples_from_starts(starts: pd.DataFrame, *, entries: Sequence[dict[str, Any]] | None = None) -> list[Sample]:
    """Return one Sample a combination from a ``newton`` run's rows (a row a start): hits only, counts are 0.

    Only rows of status ``critical`` are hits. A draw's distinct points are known only as far as starts reached them, so
    no count is made from them. Rows may be sums over starts of equal draw, status and index, with their ``number``.
    """
    names = parameter_columns(starts) if entries is None else ["combination"]
    samples = []
    for key, frame in _groups(starts, names):
        parameters, entry, dimension = _resolved(names, key, entries)
        draws, row = np.unique(frame["draw"].to_numpy(), return_inverse=True)
        number = frame["number"].to_numpy(np.float64) if "number" in frame else np.ones(len(frame))
        status = frame["status"].astype(str).to_numpy()
        critical = status == "critical"
        shape = (len(draws), dimension + 1)
        cells = row[critical] * (dimension + 1) + frame["morse_index"].to_numpy(np.int64)[critical]
        hits = _cell_sums(cells, number[critical], shape)
        costs = _cell_sums(cells, frame["cost"].to_numpy(np.float64)[critical], shape)
        statuses = {str(name): int(number[status == name].sum()) for name in np.unique(status)}
        starts_a_draw = _cell_sums(row, number, (len(draws), 1))[:, 0]
        nothing = np.zeros(shape)
        incomplete = np.zeros(len(draws), bool)
        samples.append(
            Sample(
                parameters, dimension, nothing, hits, costs, incomplete, starts_a_draw, "newton", statuses, entry=entry
            )
        )
    return samples


def samples_from_counts(
    counts: pd.DataFrame, method: str, *, entries: Sequence[dict[str, Any]] | None = None
) -> list[Sample]:
    """Return one Sample a combination from a ``walk`` or ``paths`` run's rows (a row a draw and index).

    ``counts`` of the Sample are estimates, and ``complete`` says which draws' are trusted; there are no hits and no
    costs. In R^n, where the walk knows shares alone, counts are relative to one minimum a draw.
    """
    names = parameter_columns(counts) if entries is None else ["combination"]
    samples = []
    for key, frame in _groups(counts, names):
        parameters, entry, dimension = _resolved(names, key, entries)
        shape = (-1, dimension + 1)
        number = frame["count"].to_numpy(np.float64).reshape(shape)
        relative = np.exp(frame["log_ratio"].to_numpy(np.float64)).reshape(shape)
        number = np.nan_to_num(np.where(np.isnan(number), relative, number))
        trusted = frame["trusted"].to_numpy(bool).reshape(shape)[:, 0]
        nothing = np.zeros(number.shape)
        starts = np.full(len(number), np.nan)
        samples.append(Sample(parameters, dimension, number, nothing, nothing, trusted, starts, method, entry=entry))
    return samples


def load_samples(runs: Sequence[Any] | Any) -> list[Sample]:
    """Return the Samples of one or several run directories, in their order; runs are never merged.

    Reads shard by shard and keeps sums a draw, so that memory does not grow with the number of points or starts.
    """
    from simcore.sweep.read import COMBINATION, data_columns, load

    samples: list[Sample] = []
    for run in as_runs(runs):
        configuration = run_configuration(run)
        method, entries = configuration["method"], configuration["combinations"]
        if method == "newton":
            samples += samples_from_starts(_sums(run, ["status", "morse_index"], ["cost"]), entries=entries)
        elif method in ESTIMATED:
            counts = load(run, columns=[COMBINATION, *data_columns(run)])
            samples += samples_from_counts(counts, method, entries=entries)
        else:
            # before the points: the run may still be going, and gain draws meanwhile
            audits = load(run, kind="audits", columns=[COMBINATION, *data_columns(run, "audits")])
            points = _sums(run, ["morse_index"], ["cost", "hits"])
            samples += samples_from_frames(points, audits, method, drop_unaudited=True, entries=entries)
    return samples


def parameter_names(run: Any) -> list[str]:
    """Return the parameter columns of a run's rows: ``landscape`` and every parameter that a landscape of it has."""
    names: dict[str, None] = {"landscape": None, "n": None}
    for combination in run_configuration(run)["combinations"]:
        names |= dict.fromkeys(key for key in combination if key != "name")
    return list(names)


def _sums(run: Any, keys: list[str], sums: list[str]) -> pd.DataFrame:
    """Rows of a run summed over equal combination, draw and ``keys``, with their number in the column ``number``."""
    from simcore.sweep.read import COMBINATION, iter_shards

    names = [COMBINATION, "draw", *keys]
    parts = []
    for shard in iter_shards(run, columns=[*names, *sums]):
        parts.append(_summed(shard.assign(number=1), names, [*sums, "number"]))
    if not parts:
        raise InputError(f"{run} holds no rows; run `simcore run` again to complete it")
    return _summed(pd.concat(parts, ignore_index=True), names, [*sums, "number"])


def _summed(frame: pd.DataFrame, names: list[str], sums: list[str]) -> pd.DataFrame:
    words = {name: str for name in ("status",) if name in names}  # categories may differ between shards
    grouped = frame.astype(words).groupby(names, dropna=False, sort=False, observed=True)
    return grouped[sums].sum().reset_index()


def as_runs(runs: Any) -> list[Any]:
    """Return a list of run directories from one or several."""
    return list(runs) if isinstance(runs, Iterable) and not isinstance(runs, (str, bytes)) else [runs]


def run_configuration(run: Any) -> dict[str, Any]:
    """Return the configuration that a run directory's ``run.json`` records."""
    return run_provenance(run)["configuration"]


def run_provenance(run: Any) -> dict[str, Any]:
    """Return ``run.json`` of a run directory; ``InputError`` where there is none."""
    from simcore.sweep.read import run_information

    return run_information(run)


def parameter_columns(frame: pd.DataFrame) -> list[str]:
    """Return the parameter columns: those before ``draw``."""
    columns = list(frame.columns)
    if "draw" not in columns or "landscape" not in columns:
        raise InputError(f"columns {columns} have no landscape and draw; give a frame of simcore.load")
    return columns[: columns.index("draw")]


def rows_of(sample: Sample, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a frame that belong to one combination."""
    mask = np.ones(len(frame), bool)
    for name in parameter_columns(frame):
        value = sample.parameters.get(name)
        column = frame[name]
        mask &= column.isna().to_numpy() if value is None else (column == value).fillna(False).to_numpy(bool)
    return frame[mask]


def _groups(frame: pd.DataFrame, names: list[str]) -> Iterable[tuple[tuple, pd.DataFrame]]:
    """Groups by parameters in order of first appearance; missing values are None in the key."""
    if frame.empty:
        return
    grouped = frame.groupby(names, dropna=False, sort=False, observed=True)
    for key, part in grouped:
        yield tuple(None if _missing(v) else _plain(v) for v in key), part


def _resolved(
    names: list[str], key: tuple, entries: Sequence[dict[str, Any]] | None
) -> tuple[dict[str, Any], dict[str, Any], int]:
    """A group's parameters as tables show them, run.json's own table of them, and the dimension of its domain.

    Rows of a run carry the number of their combination and are resolved by ``entries``; of a frame without a run the
    parameter columns are all there is.
    """
    if entries is None:
        parameters = combination(names, key)
        return parameters, {}, int(build_landscape(parameters).dimension)
    from simcore.landscapes.registry import from_dict
    from simcore.sweep.config import canonical_json

    entry = dict(entries[int(key[0])])
    landscape = from_dict(entry)
    shown = {k: canonical_json(v) if isinstance(v, (list, dict)) else v for k, v in entry.items() if v is not None}
    return {"landscape": shown.pop("name"), "n": landscape.n, **shown}, entry, int(landscape.dimension)


def combination(names: list[str], key: tuple) -> dict[str, Any]:
    """A combination's parameters; whole numbers that a column with gaps had turned into floats are whole again."""
    from simcore.landscapes import registry

    given = {name: _plain(value) for name, value in zip(names, key, strict=True) if not _missing(value)}
    known = registry.parameters(given["landscape"]).values()
    whole = {parameter.name for parameter in known if parameter.annotation == "int"}
    return {k: int(v) if k in whole and isinstance(v, float) else v for k, v in given.items()}


def _cell_sums(cells: NDArray[np.int64], weights: Array, shape: tuple[int, int]) -> Array:
    """Sums of weights over cells (draw x (D + 1) + index), as a table (draws, D + 1)."""
    sums: Array = np.bincount(cells, weights=weights, minlength=shape[0] * shape[1]).astype(np.float64)
    return sums.reshape(shape)


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def _decoded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) and value[:1] in ("[", "{") else value


def _without_folders(value: Any) -> Any:
    """A parameter's text with every absolute path cut down to the file's name."""
    if isinstance(value, str):
        return re.sub(r'"(?:[A-Za-z]:)?[/\\\\][^"]*[/\\\\]([^"/\\\\]+)"', r'"\1"', value)
    return value


def _plain(value: Any) -> Any:
    """A JSON value: numpy scalars become Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _status_counts(audit: pd.DataFrame) -> dict[str, int]:
    from simcore.formulas.outcome import STATUSES

    return {s: int(audit[s].sum()) for s in STATUSES if s in audit}
