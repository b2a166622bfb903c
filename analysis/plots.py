"""Plots from Python: the panels of ``simcore figure`` on matplotlib axes, from a run, a DataFrame or an Enumeration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from simcore.errors import InputError
from simcore.formulas.outcome import STATUSES
from simcore.landscapes import registry
from simcore.landscapes.base import Landscape
from simcore.search.enumerate import Enumeration
from simcore.search.graph import MorseGraph, graph_of_enumeration

from . import canvas, figures
from . import disconnectivity as trees
from .figures import by_family, load_rows
from .samples import ONE_LANDSCAPE, Sample, load_samples, rows_of, samples_from_frames, samples_from_starts


def ratio(source: Any, *, ax: Any = None) -> Any:
    """Saddles over minima against n, a panel a family; see ``simcore.plot.ratio``."""
    families = by_family(_samples(source))
    return _drawn(
        ax, list(families.values()), figures.ratio_panel, (3.6, 3.0), "saddles / minima", figures.dimension_label
    )


def index_cost(source: Any, *, ax: Any = None) -> Any:
    """Index fraction against cost, a panel a family, at its largest n; see ``simcore.plot.index_cost``."""
    samples = _samples(source)
    rows = _rows(source, ["morse_index", "cost"], "index_cost")
    chosen = [max(members, key=lambda s: s.n) for members in by_family(samples).values()]
    panel = lambda axis, sample: figures.index_cost_panel(axis, sample, _rows_of(sample, rows))  # noqa: E731
    return _drawn(ax, chosen, panel, (3.9, 3.2), r"index fraction $\alpha = k / D$")


def spectrum(source: Any, *, ax: Any = None) -> Any:
    """Density of the Hessian's eigenvalues by index, a panel a family; see ``simcore.plot.spectrum``."""
    rows = _rows(source, ["morse_index", "eigenvalues"], "spectrum")
    samples = _samples(source)
    if "eigenvalues" not in rows or rows["eigenvalues"].isna().all():
        raise InputError("there are no eigenvalues to plot; search with spectrum=True")
    chosen = [max(members, key=lambda s: s.n) for members in by_family(samples).values()]
    panel = lambda axis, sample: figures.spectrum_panel(axis, sample, _rows_of(sample, rows))  # noqa: E731
    return _drawn(ax, chosen, panel, (3.9, 3.0), r"density $\rho(\lambda)$", legend=False)


def outcomes(source: Any, *, ax: Any = None) -> Any:
    """Share of the starts that ended in each status, a bar a combination; see ``simcore.plot.outcomes``."""
    if not isinstance(source, (pd.DataFrame, Enumeration)):
        source = figures.check_runs(source, "outcomes")
    shown = [s for s in _samples(source) if s.statuses]
    if not shown:
        raise InputError("there are no outcomes of starts to plot; give the rows of find_critical_points")
    return _drawn(ax, [shown], figures.outcomes_panel, (6.0, 1.25 + 0.26 * len(shown)))


def disconnectivity(source: Any, *, ax: Any = None) -> Any:
    """Merge tree of a function's minima over the cost; see ``simcore.plot.disconnectivity``."""
    if isinstance(source, MorseGraph):
        graphs = [(source, "")]
    elif isinstance(source, Enumeration):
        if source.draw is None:
            raise InputError("this enumeration has lost its function (it was loaded); give simcore.morse_graph(...)")
        graphs = [(graph_of_enumeration(source), "")]
    elif isinstance(source, pd.DataFrame):
        raise InputError("a frame does not hold the function to descend on; give a run or simcore.morse_graph(...)")
    else:
        graphs = trees.graphs_of_runs(figures.check_runs(source, "disconnectivity"))
    return _drawn(ax, graphs, lambda axis, one: trees.panel(axis, *one), (3.9, 3.4), "cost $f$")


# ---- sources -----------------------------------------------------------------------------------------------------
def _samples(source: Any) -> list[Sample]:
    if isinstance(source, Enumeration):
        statuses = {key: int(source.audit[key]) for key in STATUSES if source.audit.get(key)}
        return [_sample(source.points.assign(draw=0), "enumerate", statuses, _known(source))]
    if not isinstance(source, pd.DataFrame):
        return load_samples(source)
    frame = _checked(source)
    if "landscape" not in frame:
        if "status" not in frame:
            return [_sample(frame, "enumerate", {})]
        counts = frame["status"].astype(str).value_counts()
        statuses = {status: int(counts[status]) for status in STATUSES if status in counts}
        return [_sample(frame[(frame["status"] == "critical").to_numpy()], "newton", statuses)]
    if "start" in frame:
        return samples_from_starts(frame)
    names = list(frame.columns[: list(frame.columns).index("draw")])
    return samples_from_frames(frame, frame[[*names, "draw"]].drop_duplicates())


def _known(source: Enumeration) -> Landscape | None:
    """Return the landscape of an enumeration, where it still has its function and a family has that name."""
    landscape = None if source.draw is None else source.draw.landscape
    return landscape if landscape is not None and landscape.name in registry.names() else None


def _sample(rows: pd.DataFrame, method: str, statuses: dict[str, int], landscape: Landscape | None = None) -> Sample:
    """Return the Sample of one landscape; where a frame does not name it, D is read off eigenvalues or indices."""
    index = rows["morse_index"].to_numpy(np.int64)
    seen = max(len(rows["eigenvalues"].iloc[0]) if "eigenvalues" in rows and len(rows) else 0, *index, 1)
    dimension = seen if landscape is None else landscape.dimension
    draws, row = np.unique(rows["draw"].to_numpy(), return_inverse=True)
    shape = (max(len(draws), 1), dimension + 1)

    def sums(weights: Any) -> Any:
        return np.bincount(row * shape[1] + index, weights, shape[0] * shape[1]).astype(float).reshape(shape)

    number, cost = sums(np.ones(len(rows))), sums(rows["cost"].to_numpy(float))
    hits = sums(rows["hits"].to_numpy(float)) if "hits" in rows else number
    counts = np.zeros(shape) if method == "newton" else number
    unknown = np.full(shape[0], np.nan)
    parameters: dict[str, Any] = {"landscape": ONE_LANDSCAPE, "n": dimension}
    if landscape is not None:
        own = landscape.to_dict()
        parameters = {"landscape": own.pop("name"), "n": landscape.n, **own}
    return Sample(parameters, dimension, counts, hits, cost, np.zeros(shape[0], bool), unknown, method, statuses)


def _rows(source: Any, columns: Sequence[str], kind: str) -> pd.DataFrame:
    if isinstance(source, Enumeration):
        return source.points
    if isinstance(source, pd.DataFrame):
        frame = _checked(source)
        return frame[(frame["status"] == "critical").to_numpy()] if "status" in frame else frame
    return load_rows(figures.check_runs(source, kind), columns, accepted=True)


def _rows_of(sample: Sample, rows: pd.DataFrame) -> pd.DataFrame:
    return rows_of(sample, rows) if "landscape" in rows else rows


def _checked(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of points or starts, with its column ``draw``; an Enumeration's points are of one draw."""
    if not {"morse_index", "cost"} <= set(frame.columns):
        raise InputError(
            f"a frame with columns {', '.join(map(str, frame.columns))} cannot be plotted; give one of simcore.load, "
            "find_critical_points or an Enumeration's points"
        )
    return frame if "draw" in frame else frame.assign(draw=0)


# ---- drawing -----------------------------------------------------------------------------------------------------
def _drawn(
    ax: Any,
    panels: list[Any],
    draw: Callable[[Axes, Any], None],
    size: tuple[float, float],
    left: str = "",
    below: Callable[[Any], str] | None = None,
    *,
    legend: bool = True,
) -> Any:
    """Draw each panel on its axes, those given or new ones; return one Axes, or an array where there are several."""
    if not panels:
        raise InputError("there is nothing to plot: the source holds no draws")
    with canvas.style():
        if ax is None:
            from matplotlib import pyplot

            width, height = size
            _, axes = pyplot.subplots(
                1, len(panels), figsize=(width * len(panels), height), squeeze=False, layout="constrained"
            )
        else:
            axes = np.atleast_1d(np.asarray(ax, dtype=object)).reshape(1, -1)
            if axes.shape[1] != len(panels):
                raise InputError(
                    f"ax holds {axes.shape[1]} axes, families to plot: {len(panels)}; give one Axes a family"
                )
        for axis, panel in zip(axes[0], panels, strict=True):
            draw(axis, panel)
            if below is not None:
                axis.set_xlabel(below(panel))
        if left:
            axes[0, 0].set_ylabel(left)
        if legend:
            if ax is None:
                canvas.common_legend(axes[0, 0].get_figure(), axes)
            else:
                axes[0, 0].legend(fontsize=8, handler_map=canvas.LARGE_DOTS)
    return axes[0, 0] if len(panels) == 1 else axes[0]
