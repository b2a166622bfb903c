"""The tolerance study of a run: what a cutoff on the gradient norm alone would accept.

A start that stops at a minimum of |grad f| has a gradient in the Hessian's near-kernel; however small, it is not a
critical point (Frye et al. 2021). Solid lines are critical points (and degenerate ones) with a gradient norm below the
cutoff; dashed lines every start below it, as a search without further tests would count; markers the gradient-flat
starts among them. Where solid and dashed part, the cutoff matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from simcore.errors import InputError

from . import canvas
from .samples import Sample, build_landscape, combination, parameter_columns, rows_of, run_configuration

CUTOFFS = np.logspace(-14, 1, 61)
_CHUNK = 512


def tolerance_rows(run: Any) -> pd.DataFrame:
    """Return the starts of a newton run with ``status, morse_index, cost, grad_norm``.

    ``index`` counts the negative Hessian eigenvalues where a start ended, critical or not: where the run stores
    positions it is computed for the others, else it is -1 there.
    """
    from simcore.sweep import load

    configuration = run_configuration(run)
    if configuration["method"] != "newton":
        raise InputError(f'{run} holds accepted points only; a tolerance figure needs a run with method = "newton"')
    rows = load(run)
    if configuration["positions"]:
        rows["morse_index"] = _everywhere(rows, configuration["seed"])
    return rows[[*parameter_columns(rows), "draw", "status", "morse_index", "cost", "grad_norm"]]


def _everywhere(rows: pd.DataFrame, seed: int) -> NDArray[np.int64]:
    """Index of every start's last point, -1 where the gradient there is not finite."""
    index = rows["morse_index"].to_numpy(np.int64).copy()
    unknown = np.flatnonzero((index < 0) & np.isfinite(rows["grad_norm"].to_numpy()))
    names = parameter_columns(rows)
    for key, part in rows.iloc[unknown].groupby([*names, "draw"], dropna=False, sort=False, observed=True):
        landscape = build_landscape(combination(names, key[:-1]))
        function = landscape.draw(seed=seed, draw=int(key[-1]))
        places = part.index.to_numpy()
        for low in range(0, len(places), _CHUNK):
            some = places[low : low + _CHUNK]
            w = np.linalg.eigvalsh(function.hessian(np.stack(rows["x"].loc[some].to_list())))
            zero = 1e-10 * np.linalg.norm(w, axis=1, keepdims=True)  # on a sphere the radial direction is among them
            index[rows.index.get_indexer(some)] = (w < -zero).sum(axis=1)
    return index


def tolerance_figure(samples: Sequence[Sample], starts: pd.DataFrame) -> Figure:
    """Share of starts accepted, mean index fraction and mean cost against the cutoff on the gradient norm.

    ``starts`` has the columns of ``tolerance_rows``; each panel shows every combination of parameters.
    """
    names = [f"{sample.title}, $n = {sample.n}$" for sample in samples]
    columns = max(1, min(3, 140 // (max(map(len, names)) + 8)))
    with canvas.style():
        figure, axes = canvas.grid(1, 3, width=3.2, height=2.8 + 0.19 * ((len(names) + 3) // columns + 1))
        for j, sample in enumerate(samples):
            rows = rows_of(sample, starts)
            frame = rows[np.isfinite(rows["grad_norm"]) & np.isfinite(rows["cost"])].sort_values("grad_norm")
            status = frame["status"].astype(str).to_numpy()
            flat, critical = status == "gradient_flat", (status == "critical") | (status == "degenerate")
            look = {"color": canvas.line_look(j)["color"]}
            for mask, line in ((critical, "-"), (np.ones(len(frame), bool), "--")):
                part = frame[mask]
                number = np.searchsorted(part["grad_norm"].to_numpy(), CUTOFFS, side="right")
                label = names[j] if line == "-" else None
                axes[0, 0].plot(CUTOFFS, number / len(rows), label=label, linestyle=line, **look)
                some, last = number > 0, number[number > 0] - 1
                mean = np.cumsum(part["cost"].to_numpy())[last] / number[some]
                axes[0, 2].plot(CUTOFFS[some], mean, linestyle=line, **look)
                index = part["morse_index"].to_numpy()
                if (index >= 0).all():
                    mean = np.cumsum(index / max(sample.dimension, 1))[last] / number[some]
                    axes[0, 1].plot(CUTOFFS[some], mean, linestyle=line, **look)
            if flat.any():
                number = np.searchsorted(frame["grad_norm"].to_numpy()[flat], CUTOFFS, side="right")
                marks = {"marker": canvas.MARKERS[j % 7], "markerfacecolor": "white", "linestyle": "none", **look}
                axes[0, 0].plot(CUTOFFS[::4], number[::4] / len(rows), **marks)
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
        grey = {"color": "#444444", "markerfacecolor": "white"}
        handles += [Line2D([], [], linestyle=line, **grey) for line in ("-", "--")]
        handles += [Line2D([], [], linestyle="none", marker="o", **grey)]
        labels += ["critical points", "every start below the cutoff", "gradient-flat starts"]
        figure.legend(handles, labels, loc="outside upper center", ncols=columns)
    return figure
