"""Disconnectivity graphs: the merge tree of a function's minima, drawn over the cost (Becker & Karplus 1997)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from simcore.errors import InputError
from simcore.search.graph import MorseGraph, morse_graph

from . import canvas
from .samples import Sample, load_samples, run_configuration

MOST_MINIMA = 2000
"""Minima of a graph that is drawn: more make a black area."""


def tree_lines(nodes: pd.DataFrame, barriers: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the lines of a merge tree and where its minima stand.

    Returns
    -------
    lines : (L, 2, 2), ends (place, cost): a vertical line for each branch, a horizontal one for each merger.
    leaves : (M, 2), place and cost of each minimum, by place 0, 1, ...; branches that join are neighbours.
    """
    minima = nodes[nodes["morse_index"] == 0]
    cost = dict(zip(minima["point"].tolist(), minima["cost"].tolist(), strict=True))
    # members: leaves of a component from left to right; top: where its vertical line has got to
    members: dict[int, list[int]] = {m: [m] for m in cost}
    joins: list[tuple[int, int, float]] = []
    for row in barriers.itertuples(index=False):
        child, parent = int(row.minimum), int(row.parent)
        joins.append((child, parent, float(row.cost)))
        members[parent] = [*members[parent], *members.pop(child)]
    order = [m for root in sorted(members, key=lambda m: cost[m]) for m in members[root]]
    place = {m: float(x) for x, m in enumerate(order)}
    at = {m: (place[m], cost[m]) for m in order}  # the upper end of the branch that a component's lowest minimum names
    lines = []
    for child, parent, level in joins:
        (x, low), (y, other) = at[child], at[parent]
        lines += [((x, low), (x, level)), ((y, other), (y, level)), ((x, level), (y, level))]
        at[parent] = ((x + y) / 2, level)
    reach = max([*cost.values(), *(level for _, _, level in joins)], default=0.0)
    rise = 0.04 * (reach - min(cost.values(), default=0.0)) or 1.0
    lines += [((x, low), (x, reach + rise)) for x, low in (at[root] for root in members)]
    leaves = np.array([(place[m], cost[m]) for m in order], float).reshape(-1, 2)
    return np.array(lines, float).reshape(-1, 2, 2), leaves


def panel(axis: Axes, graph: MorseGraph, title: str = "") -> None:
    """Draw one graph; the lowest minimum is marked."""
    lines, leaves = tree_lines(graph.nodes, graph.barriers)
    if not len(leaves):
        raise InputError("the graph has no minimum, so there is no tree to draw")
    if len(leaves) > MOST_MINIMA:
        raise InputError(
            f"the graph has {len(leaves)} minima, of which no tree can be read; at most {MOST_MINIMA} are drawn"
        )
    axis.add_collection(LineCollection(list(lines), colors="black", linewidths=0.8 if len(leaves) < 200 else 0.4))
    axis.plot(*leaves.T, "o", markersize=3 if len(leaves) < 60 else 1.2, color=canvas.EXACT["color"], label="minima")
    lowest = leaves[leaves[:, 1].argmin()]
    axis.plot(*lowest, **{**canvas.HITS, "markersize": 6}, label="lowest minimum")
    axis.margins(x=0.04, y=0.05)
    axis.autoscale_view()
    axis.set_xticks([])
    axis.set_xlabel(f"{len(leaves):,} minima, neighbours where they join")
    if not graph.audit["ok"]:
        axis.annotate("audit not passed", (0.02, 0.02), xycoords="axes fraction", fontsize=8)
    if title:
        canvas.title(axis, title)


def graphs_of_runs(runs: Sequence[Any]) -> list[tuple[MorseGraph, str]]:
    """Return the graph of draw 0 of each family at its largest n, which is enumerated again, and a title."""
    graphs = []
    for run in runs:
        configuration = run_configuration(run)
        families: dict[str, Sample] = {}
        for sample in load_samples([run]):
            if sample.label not in families or sample.n > families[sample.label].n:
                families[sample.label] = sample
        for sample in families.values():
            graph = morse_graph(sample.built, draw=0, seed=configuration["seed"])
            graphs.append((graph, f"{sample.title}, $n = {sample.n}$, draw 0"))
    return graphs


def figure(runs: Sequence[Any]) -> Figure:
    """Disconnectivity graphs, a panel a family."""
    graphs = graphs_of_runs(runs)
    with canvas.style():
        drawn, axes = canvas.grid(1, len(graphs), width=3.9, height=3.4)
        for axis, (graph, title) in zip(axes[0], graphs, strict=True):
            panel(axis, graph, title)
        axes[0, 0].set_ylabel("cost $f$")
        canvas.panel_letters(axes)
        canvas.common_legend(drawn, axes)
    return drawn
