"""The tolerance study of a run: what a cutoff on the gradient norm alone would accept.

A start that stops at a minimum of |grad f| has a gradient in the Hessian's near-kernel; however small, it is not a
critical point (Frye et al. 2021). Solid lines are critical points (and degenerate ones) with a gradient norm below the
cutoff; dashed lines every start below it, as a search without further tests would count; markers the gradient-flat
starts among them. Where solid and dashed part, the cutoff matters. Shades are one standard error between draws. Dotted
lines are the exact means over all points: hits are biased, so they need not agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from simcore.errors import InputError
from simcore.landscapes.registry import from_dict

from . import canvas
from .samples import (
    Sample,
    parameter_columns,
    parameter_names,
    rows_of,
    run_configuration,
)

CUTOFFS = np.logspace(-14, 1, 61)
BATCHES = 32
"""Batches of whole draws, between which errors are taken: up to 32 draws are their own batches."""
_CHUNK = 512


def tolerance_rows(run: Any) -> Iterator[pd.DataFrame]:
    """Yield the starts of a newton run shard by shard: its parameters, ``draw, status, morse_index, cost, grad_norm``.

    ``morse_index`` counts the negative Hessian eigenvalues where a start ended, critical or not: where the run stores
    positions it is computed for the others, else it is -1 there.
    """
    from simcore.sweep.read import COMBINATION, iter_shards

    configuration = run_configuration(run)
    if configuration["method"] != "newton":
        raise InputError(f'{run} holds accepted points only; a tolerance figure needs a run with method = "newton"')
    places = ["x", COMBINATION] if configuration["positions"] else []
    wanted = [*parameter_names(run), "draw", "status", "morse_index", "cost", "grad_norm"]
    for rows in iter_shards(run, columns=[*wanted, *places]):
        if places:
            rows["morse_index"] = _everywhere(rows, configuration["seed"], configuration["combinations"])
        yield rows[wanted]


def tolerance_sums(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return what the figure needs of starts, summed part by part, so that memory does not grow with their number.

    A row for each combination of parameters, ``draw`` (modulo ``BATCHES``), ``group`` ("critical", which degenerate
    points are among, "gradient_flat", "other") and ``bin`` (the first of ``CUTOFFS`` that accepts its starts;
    behind the last one where none does): ``number`` of starts, sums of ``cost`` and ``index``, and ``unknown``, the
    starts whose index is not known. Starts whose cost or gradient is not finite count in the group "nowhere" alone.
    """
    binned = [_binned(part) for part in parts]
    if not binned:
        raise InputError("the runs hold no rows; run `simcore run` again to complete them")
    parameters = list(dict.fromkeys(name for part in binned for name in parameter_columns(part)))
    names = [*parameters, "draw", "group", "bin"]
    summed = pd.concat(binned, ignore_index=True)
    return summed.groupby(names, dropna=False, sort=False, observed=True).sum().reset_index()


def _binned(rows: pd.DataFrame) -> pd.DataFrame:
    names = parameter_columns(rows)
    status, norm = rows["status"].astype(str).to_numpy(), rows["grad_norm"].to_numpy(float)
    finite = np.isfinite(norm) & np.isfinite(rows["cost"].to_numpy(float))
    index = rows["morse_index"].to_numpy(np.int64)
    group = np.where(np.isin(status, ("critical", "degenerate")), "critical", "other")
    group = np.where(finite, np.where(status == "gradient_flat", "gradient_flat", group), "nowhere")
    made = rows[names].assign(
        draw=rows["draw"].to_numpy() % BATCHES,
        group=group,
        bin=np.searchsorted(CUTOFFS, np.where(finite, norm, np.inf), side="left"),
        number=1,
        cost=np.where(finite, rows["cost"].to_numpy(float), 0.0),
        index=np.maximum(index, 0),
        unknown=(index < 0).astype(int),
    )
    return made.groupby([*names, "draw", "group", "bin"], dropna=False, sort=False, observed=True).sum().reset_index()


def _everywhere(rows: pd.DataFrame, seed: int, entries: Sequence[dict[str, Any]]) -> NDArray[np.int64]:
    """Index of every start's last point, -1 where the gradient there is not finite; ``entries`` are run.json's."""
    index = rows["morse_index"].to_numpy(np.int64).copy()
    unknown = np.flatnonzero((index < 0) & np.isfinite(rows["grad_norm"].to_numpy()))
    for (number, draw), part in rows.iloc[unknown].groupby(["combination", "draw"], sort=False):
        function = from_dict(dict(entries[number])).draw(seed=seed, draw=int(draw))
        places = part.index.to_numpy()
        for low in range(0, len(places), _CHUNK):
            some = places[low : low + _CHUNK]
            w = np.linalg.eigvalsh(function.hessian(np.stack(rows["x"].loc[some].to_list())))
            zero = 1e-10 * np.linalg.norm(w, axis=1, keepdims=True)  # on a sphere the radial direction is among them
            index[rows.index.get_indexer(some)] = (w < -zero).sum(axis=1)
    return index


def tolerance_figure(samples: Sequence[Sample], starts: pd.DataFrame) -> Figure:
    """Share of starts accepted, mean index fraction and mean cost against the cutoff on the gradient norm.

    ``starts`` is what ``tolerance_sums`` makes of them; each panel shows every combination of parameters.
    """
    names = [f"{sample.title}, $n = {sample.n}$" for sample in samples]
    columns = max(1, min(3, 140 // (max(map(len, names)) + 8)))
    with canvas.style():
        figure, axes = canvas.grid(1, 3, width=3.2, height=2.8 + 0.19 * ((len(names) + 3) // columns + 1))
        for j, sample in enumerate(samples):
            rows = rows_of(sample, starts)
            total = rows["number"].sum()
            every = rows[(rows["group"] != "nowhere").to_numpy()]
            look = {"color": canvas.line_look(j)["color"]}
            for part, line in ((every[(every["group"] == "critical").to_numpy()], "-"), (every, "--")):
                number = _below(part, "number")
                label = names[j] if line == "-" else None
                axes[0, 0].plot(CUTOFFS, number / total, label=label, linestyle=line, **look)
                shown = [(axes[0, 2], "cost", 1)]
                if not part["unknown"].any():
                    shown.append((axes[0, 1], "index", max(sample.dimension, 1)))
                for axis, column, unit in shown:
                    some, mean, error = (
                        values / unit if values.dtype == float else values for values in means(part, column)
                    )
                    axis.plot(CUTOFFS[some], mean, linestyle=line, **look)
                    if line == "-":
                        axis.fill_between(CUTOFFS[some], mean - error, mean + error, alpha=0.18, linewidth=0, **look)
            if sample.law is not None and len(sample.law) == sample.dimension + 1:
                share = sample.law["fraction"].to_numpy(float)
                exact = {"linewidth": 0.8, "dashes": (1, 1), **look}
                alpha = sample.law["morse_index"].to_numpy() / max(sample.dimension, 1)
                axes[0, 1].axhline(float(share @ alpha), **exact)
                axes[0, 2].axhline(float(share @ sample.law["mean_cost"].to_numpy(float)), **exact)
            flat = every[(every["group"] == "gradient_flat").to_numpy()]
            if len(flat):
                marks = {"marker": canvas.MARKERS[j % 7], "markerfacecolor": "white", "linestyle": "none", **look}
                axes[0, 0].plot(CUTOFFS[::4], _below(flat, "number")[::4] / total, **marks)
        quantities = (
            "share of starts accepted",
            r"mean index fraction $\langle k \rangle / D$",
            r"mean cost $\langle f \rangle$",
        )
        for axis, title in zip(axes[0], quantities, strict=True):
            axis.set_xscale("log")
            axis.set_xlabel(r"cutoff on the gradient norm $|\nabla f|$")
            axis.set_ylabel(title)
        axes[0, 0].set_ylim(-0.02, 1.02)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        lines = [("-", "critical points hit; shade: one standard error"), ("--", "every start below the cutoff")]
        if any(s.law is not None for s in samples):
            lines.append((":", "exact mean over points, not hits"))
        grey = {"color": "#444444", "markerfacecolor": "white"}
        handles += [Line2D([], [], linestyle=line, **grey) for line, _ in lines]
        handles += [Line2D([], [], linestyle="none", marker="o", **grey)]
        labels += [*(text for _, text in lines), "gradient-flat starts"]
        figure.legend(handles, labels, loc="outside upper center", ncols=columns)
    return figure


def _below(part: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """Return the sum of a column over the starts that each of ``CUTOFFS`` accepts."""
    sums = np.bincount(part["bin"].to_numpy(int), part[column].to_numpy(float), len(CUTOFFS) + 1)
    return np.cumsum(sums, dtype=np.float64)[:-1]


def means(part: pd.DataFrame, column: str) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Return which of ``CUTOFFS`` accept any start, the mean of a column over those that they accept, and its standard
    error between draws (delta method for a ratio of sums; not a number for one draw)."""
    batch = np.unique(part["draw"].to_numpy(), return_inverse=True)[1]
    batches, bins = int(batch.max(initial=-1)) + 1, len(CUTOFFS) + 1

    def summed(name: str) -> NDArray[np.float64]:
        cell = batch * bins + part["bin"].to_numpy(int)
        return (
            np.bincount(cell, part[name].to_numpy(float), batches * bins).reshape(batches, bins).cumsum(axis=1)[:, :-1]
        )

    number, values = summed("number"), summed(column)
    total = number.sum(axis=0)
    some = total > 0
    mean = values.sum(axis=0)[some] / total[some]
    apart = values[:, some] - mean * number[:, some]
    factor = batches / (batches - 1) if batches > 1 else np.nan
    return some, mean, np.sqrt(factor * (apart**2).sum(axis=0)) / total[some]
