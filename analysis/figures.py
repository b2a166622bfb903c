"""The figures of one or several runs: ratio, index_cost, spectrum, outcomes, tolerance, coverage, disconnectivity."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simcore.errors import InputError, unknown_name
from simcore.search.audit import ENOUGH_HITS

from . import canvas, disconnectivity
from .estimates import Estimate
from .samples import (
    ESTIMATED,
    ONE_LANDSCAPE,
    Sample,
    as_runs,
    load_samples,
    parameter_names,
    rows_of,
    run_configuration,
)
from .tables import coin_flip_ratio
from .tolerance import tolerance_figure, tolerance_rows, tolerance_sums

SHOWN_POINTS = 4000
"""Points drawn in a scatter: the first so many, enough to see the cloud and little enough for a vector file."""


def run_figure(runs: Sequence[Any] | Any, kind: str = "ratio", out: Path | str | None = None) -> Path:
    """Draw one figure of one or several run directories and return the file's path.

    Parameters
    ----------
    runs : one run directory or several.
    kind : "ratio" (saddles over minima against n), "index_cost" (index fraction against cost), "spectrum" (Hessian
        eigenvalues by index; needs ``spectrum = true``), "outcomes" (how starts ended), "tolerance" (accepted starts,
        index and cost against the acceptance cutoff; ``newton`` runs), "coverage" (saturation and completeness;
        ``enumerate`` and ``ball`` runs), "disconnectivity" (merge trees of minima; ``enumerate`` runs).
    out : file ending in .png, .pdf or .svg; default ``<kind>.pdf`` in the working directory.

    Raises
    ------
    InputError
        For an unknown kind or suffix, or runs that hold no data for this kind.
    """
    if kind not in KINDS:
        raise unknown_name("figure kind", kind, KINDS)
    path = canvas.check_suffix(out or f"{kind}.pdf")
    return canvas.save(draw(runs, kind), path)


def draw(runs: Sequence[Any] | Any, kind: str) -> Figure:
    """Return one figure of one or several run directories, as ``run_figure`` writes it."""
    if kind not in KINDS:
        raise unknown_name("figure kind", kind, KINDS)
    with canvas.style():
        return KINDS[kind](check_runs(runs, kind))


# ---- ratio -------------------------------------------------------------------------------------------------------
def ratio_figure(samples: Sequence[Sample]) -> Figure:
    """Saddles over minima against n, a panel a landscape: distinct points with 95 % intervals, hits, exact, coin flips.

    Below, where an exact law is known: the measured ratio over the exact one.
    """
    families = by_family(samples)
    with canvas.style():
        judged = any(s.law is not None and s.method != "newton" for s in samples)
        heights = {"gridspec_kw": {"height_ratios": [3, 1]}} if judged else {}
        figure, axes = canvas.grid(
            2 if judged else 1, len(families), width=3.6, height=2.2 if judged else 3.0, sharex="col", **heights
        )
        for column, members in enumerate(families.values()):
            ratio_panel(axes[0, column], members)
            if judged:
                _agreement_panel(axes[1, column], members)
            axes[-1, column].set_xlabel(dimension_label(members))
        axes[0, 0].set_ylabel("saddles / minima")
        if judged:
            axes[1, 0].set_ylabel("measured / exact")
        canvas.panel_letters(axes[0])
        canvas.common_legend(figure, axes[0])
    return figure


def dimension_label(members: Sequence[Sample]) -> str:
    """Return the label of an axis of n that says what D is, for coin flips' $2^D - 2$."""
    apart = {s.n - s.dimension for s in members}
    if len(apart) != 1:
        return "dimension $n$"
    less = apart.pop()
    return f"dimension $n$ ($D = n{'' if less == 0 else f' - {less}'}$)"


def ratio_panel(axis: Axes, members: list[Sample]) -> None:
    """Draw one family's saddles over minima against n."""
    canvas.title(axis, members[0].title)
    members = [s for s in members if s.dimension >= 2]
    axis.set_yscale("log")
    if not members:
        return
    n = np.array([s.n for s in members])
    laws = [(s.n, s.ratio_exact) for s in members if s.ratio_exact is not None]
    alone = {"marker": "_", "markersize": 24} if len(set(n)) == 1 else {}  # a line through one point shows nothing
    if laws:
        axis.plot(*zip(*laws, strict=True), **canvas.EXACT, **alone, label="exact law", zorder=1)
    coins = [coin_flip_ratio(s.dimension) for s in members]
    axis.plot(n, coins, **canvas.COIN, **alone, label="coin flips $2^D-2$", zorder=0)
    hits = [(s.n, s.ratio_hits()) for s in members]
    hits = [(x, e) for x, e in hits if math.isfinite(e.value) and e.value > 0]
    if hits:
        _errorbar(axis, hits, canvas.HITS, "Newton hits (biased)", 2)
    estimated = [s for s in members if s.method in ESTIMATED]
    for label, trusted in (("estimated", True), ("estimated, not trusted", False)):
        some = [(s.n, s.ratio()) for s in estimated if bool(s.complete.all()) == trusted]
        some = [(x, e) for x, e in some if math.isfinite(e.value) and e.value > 0]
        if some:
            barred = any(_known(e) for _, e in some)
            look = {**canvas.DISTINCT, "marker": "s" if trusted else "x"}
            _errorbar(axis, some, look, label + (", 95 % interval" if barred else ", too few draws for an interval"), 3)
    distinct = [(s.n, s.ratio()) for s in members if s.method not in ("newton", *ESTIMATED)]
    bounds = [(x, e) for x, e in distinct if math.isnan(e.value) and e.low > 0]
    distinct = [(x, e) for x, e in distinct if math.isfinite(e.value) and e.value > 0]
    if distinct:
        _errorbar(axis, distinct, canvas.DISTINCT, "distinct points, 95 % interval", 3)
    if bounds:  # no minimum was seen: an arrow from the lower bound
        axis.errorbar(
            [x for x, _ in bounds], [e.low for _, e in bounds], yerr=[0.4 * e.low for _, e in bounds], lolims=True,
            color="black", linestyle="none", label="distinct points, lower bound",
        )  # fmt: skip
    if not hits and not distinct and not bounds and not estimated:
        axis.annotate("no minimum was hit", (0.5, 0.1), xycoords="axes fraction", ha="center", fontsize=8)
    axis.margins(x=0.06)
    canvas.whole_ticks(axis, n)
    canvas.log_ticks(axis)


def _agreement_panel(axis: Axes, members: list[Sample]) -> None:
    shown = [
        (s.n, s.ratio(), s.ratio_exact)
        for s in members
        if s.dimension >= 2 and s.method != "newton" and s.ratio_exact
        if s.method not in ESTIMATED or s.complete.all()
    ]
    axis.axhline(1.0, **canvas.EXACT)
    for n, ratio, exact in shown:
        if math.isfinite(ratio.value):
            error = (
                [[(ratio.value - ratio.low) / exact], [(ratio.high - ratio.value) / exact]] if _known(ratio) else None
            )
            axis.errorbar([n], [ratio.value / exact], yerr=error, **canvas.DISTINCT)
    axis.margins(x=0.06, y=0.12)
    if shown:
        canvas.whole_ticks(axis, [n for n, _, _ in shown])
    else:
        axis.set_ylim(0.8, 1.2)
        if all(s.method == "newton" for s in members):
            why = "hits only: no counts to compare"
        elif all(s.dimension < 2 for s in members):
            why = "no saddles where D < 2"
        elif not any(s.ratio_exact for s in members):
            why = "no exact law to compare with"
        else:
            why = "estimates, not trusted: not compared"
        axis.annotate(why, (0.5, 0.1), xycoords="axes fraction", ha="center", fontsize=8)


def _errorbar(axis: Axes, points: list, look: dict[str, Any], label: str, order: int) -> None:
    """Draw values with their intervals; one draw alone has a value and no interval, so no bar."""
    x = [p for p, _ in points]
    y = [e.value for _, e in points]
    below = [e.value - max(e.low, 0) if _known(e) else math.nan for _, e in points]
    above = [e.high - e.value if _known(e) else math.nan for _, e in points]
    axis.errorbar(x, y, yerr=[below, above], label=label, zorder=order, **look)


def _known(e: Estimate) -> bool:
    """Whether both ends of an interval are known."""
    return math.isfinite(e.low) and math.isfinite(e.high)


# ---- index against cost ------------------------------------------------------------------------------------------
def index_cost_figure(samples: Sequence[Sample], points: pd.DataFrame) -> Figure:
    """Index fraction against cost, a panel a landscape, at its largest n.

    Parameters
    ----------
    samples : the combinations.
    points : their rows (parameter columns, ``morse_index``, ``cost``); starts in place of points for ``newton`` runs.
    """
    chosen = [max(members, key=lambda s: s.n) for members in by_family(samples).values()]
    with canvas.style():
        figure, axes = canvas.grid(1, len(chosen), width=3.9, height=3.2)
        for axis, sample in zip(axes[0], chosen, strict=True):
            index_cost_panel(axis, sample, rows_of(sample, points))
        axes[0, 0].set_ylabel(r"index fraction $\alpha = k / D$")
        canvas.panel_letters(axes)
        canvas.common_legend(figure, axes)
    return figure


def index_cost_panel(axis: Axes, sample: Sample, rows: pd.DataFrame) -> None:
    """Draw one combination's index fractions against costs."""
    index, cost = rows["morse_index"].to_numpy(np.int64), rows["cost"].to_numpy(np.float64)
    d = max(sample.dimension, 1)
    # spread each index's row of points over a strip so that they do not hide each other; golden-ratio steps, no chance
    strip = 0.5 * ((np.arange(len(index)) * 0.6180339887) % 1.0 - 0.5) / d
    thin = slice(0, SHOWN_POINTS)
    what = f"{'hits' if sample.method == 'newton' else 'distinct points'}, spread within their row"
    axis.scatter(
        cost[thin],
        (index / d + strip)[thin],
        s=2.5,
        color="#b5b5b5",
        linewidths=0,
        label=what,
        zorder=0,
        rasterized=True,
    )
    law = sample.law
    if law is not None:
        alpha = law["morse_index"].to_numpy() / d
        centre, width = law["mean_cost"].to_numpy(float), law["sd_cost"].to_numpy(float)
        axis.plot(centre, alpha, **canvas.EXACT, zorder=2, label=r"exact mean $E[f \mid k]$")
        axis.fill_betweenx(
            alpha, centre - width, centre + width, color=canvas.EXACT["color"], alpha=0.18, linewidth=0,
            label="exact standard deviation", zorder=1,
        )  # fmt: skip
    present = np.unique(index)
    means = np.array([cost[index == k].mean() for k in present])
    spread = np.array([cost[index == k].std() for k in present])
    lowest = cost.min() if len(cost) and cost.min() >= 0 else -np.inf  # a cost without negative values has no such bars
    axis.errorbar(
        means, present / d, xerr=[np.minimum(spread, means - lowest), spread], **canvas.DISTINCT, markersize=4,
        linewidth=1, zorder=3,
        label="mean and standard deviation",
    )  # fmt: skip
    if lowest >= 0:
        axis.set_xlim(left=0.0 if lowest < 0.5 * cost.max() else None)
    axis.set_xlabel("cost $f$" if sample.landscape != "spherical_spin" else "energy per spin $f = H/n$")
    canvas.title(axis, heading(sample))
    top = max(1, *present) if law is None else d
    axis.set_ylim((-0.5) / d, (top + 0.5) / d)
    axis.set_yticks([tick for tick in axis.get_yticks() if -1e-9 <= tick <= 1 + 1e-9])


# ---- spectrum ----------------------------------------------------------------------------------------------------
def spectrum_figure(samples: Sequence[Sample], points: pd.DataFrame) -> Figure:
    """Density of the Hessian's eigenvalues at minima, saddles of middle index and maxima, a panel a landscape."""
    if "eigenvalues" not in points or points["eigenvalues"].isna().all():
        raise InputError("the run holds no eigenvalues; run it with spectrum = true under [search]")
    chosen = [max(members, key=lambda s: s.n) for members in by_family(samples).values()]
    with canvas.style():
        figure, axes = canvas.grid(1, len(chosen), width=3.9, height=3.0)
        for axis, sample in zip(axes[0], chosen, strict=True):
            spectrum_panel(axis, sample, rows_of(sample, points))
        axes[0, 0].set_ylabel(r"density $\rho(\lambda)$")
        canvas.panel_letters(axes)
    return figure


def spectrum_panel(axis: Axes, sample: Sample, rows: pd.DataFrame) -> None:
    """Draw one combination's densities of Hessian eigenvalues."""
    index = rows["morse_index"].to_numpy()
    values = np.stack([np.asarray(v, float) for v in rows["eigenvalues"]])
    bins = int(np.clip(2 * np.cbrt(values.size), 12, 80))
    edges = np.linspace(values.min(), values.max(), bins + 1)
    d = sample.dimension
    groups = {"all": index >= 0, "minima": index == 0, f"index {d // 2}": index == d // 2}
    groups["maxima"] = index == d
    for j, (name, mask) in enumerate(groups.items()):
        if mask.any():
            axis.hist(
                values[mask].ravel(), edges, density=True, histtype="step", color=canvas.SEQUENCE[j],
                linestyle=canvas.LINES[j], label=f"{name}: {int(mask.sum()):,}",
            )  # fmt: skip
    axis.axvline(0, color="#999999", linewidth=0.6)
    axis.set_xlabel(r"Hessian eigenvalue $\lambda$")
    canvas.title(axis, heading(sample))
    axis.set_ylim(top=1.5 * axis.get_ylim()[1])
    what = "hits of starts, how many" if sample.method == "newton" else "critical points, how many"
    axis.legend(loc="upper left", ncols=2, fontsize=7.5, title=what, title_fontsize=7.5)


# ---- outcomes ----------------------------------------------------------------------------------------------------
def outcomes_figure(samples: Sequence[Sample]) -> Figure:
    """Share of the starts that ended in each status, a bar a combination."""
    shown = [s for s in samples if s.statuses]
    if not shown:
        raise InputError('the run records no outcomes of starts; run it with method = "newton"')
    with canvas.style():
        figure, axes = canvas.grid(1, 1, width=6.0, height=1.25 + 0.26 * len(shown))
        axis = axes[0, 0]
        outcomes_panel(axis, shown)
        figure.legend(*axis.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def outcomes_panel(axis: Axes, shown: Sequence[Sample]) -> None:
    """Draw the shares of statuses, a bar a combination."""
    from simcore.formulas.outcome import STATUSES

    hatches = ("", "////", "....", "xxxx", "\\\\\\\\", "++++")
    shades = ("#d9d9d9", "#ffffff", "#bdd7ee", "#f6cfae", "#ffffff", "#8c8c8c")
    left = np.zeros(len(shown))
    total = np.array([sum(s.statuses.values()) for s in shown], dtype=float)
    for status, hatch, shade in zip(STATUSES, hatches, shades, strict=True):
        if not any(s.statuses.get(status) for s in shown):
            continue
        share = np.array([s.statuses.get(status, 0) for s in shown]) / total
        axis.barh(
            np.arange(len(shown)), share, left=left, hatch=hatch, color=shade, edgecolor="black", linewidth=0.5,
            label=status.replace("_", " "),
        )  # fmt: skip
        left += share
    for row, sample in enumerate(shown):
        failed = 1 - sample.statuses.get("critical", 0) / total[row]
        percent = f"{100 * failed:{'.2g' if failed < 0.095 else '.0f'}} %"
        axis.annotate(percent, (1.01, row), va="center", fontsize=8, annotation_clip=False)
    axis.annotate("not critical", (1.01, 1.0), xycoords="axes fraction", va="bottom", fontsize=8)
    axis.set_yticks(np.arange(len(shown)), [heading(s) for s in shown])
    axis.invert_yaxis()
    axis.set_xlim(0, 1)
    axis.set_xlabel("share of starts")


# ---- completeness ------------------------------------------------------------------------------------------------
def coverage_figure(samples: Sequence[Sample], points: pd.DataFrame, audits: pd.DataFrame) -> Figure:
    """How nearly all points were found, at each landscape's largest n: saturation (left), hits per point (right).

    The saturation curve is exact rarefaction: after a share t of the starts a point with h hits has been seen with
    probability 1 - (1 - t)^h. The legend states Good and Turing's coverage, averaged over draws, and how many draws
    are complete. Points without a hit were found by targeted searches or symmetry.
    """
    largest = [max(members, key=lambda s: s.n) for members in by_family(samples).values()]
    with canvas.style():
        figure, axes = canvas.grid(1, 2, width=3.8, height=3.1)
        share = np.logspace(-3, 0, 60)
        for j, sample in enumerate(largest):
            hits = rows_of(sample, points)["hits"].to_numpy(np.float64)
            value, number = np.unique(hits, return_counts=True)
            seen = ((1 - (1 - share[:, None]) ** value) * number).sum(axis=1) / number.sum()
            look = canvas.line_look(j)
            coverage = rows_of(sample, audits)["coverage"].mean()
            facts = f"{int(sample.complete.sum())} of {sample.draws} draws complete, coverage {coverage:.5g}"
            axes[0, 0].plot(share, seen, label=f"{sample.title}, $n = {sample.n}$: {facts}", **look)
            below = np.concatenate([[0.0], np.cumsum(number) / number.sum()])
            axes[0, 1].step(np.concatenate([[0.5], value]), below, where="post", **look)
        axes[0, 0].set_xscale("log")
        axes[0, 0].set_xlabel("share $t$ of the starts")
        axes[0, 0].set_ylabel("share of the found points seen")
        axes[0, 1].axvline(ENOUGH_HITS, color="#999999", linewidth=0.7)
        axes[0, 1].annotate(f"{ENOUGH_HITS} hits", (ENOUGH_HITS, 0.97), fontsize=8, ha="right", va="top", rotation=90)
        axes[0, 1].set_xscale("log")
        axes[0, 1].set_xlabel("ordinary hits $h$")
        axes[0, 1].set_xlim(left=0.5)
        axes[0, 1].set_ylabel(r"share with $\leq h$ hits")
        canvas.panel_letters(axes)
        canvas.common_legend(figure, axes, columns=1)
    return figure


# ---- inside ------------------------------------------------------------------------------------------------------
def heading(sample: Sample) -> str:
    """Return a combination in words with its n; nothing more than a name where a frame does not say which it is."""
    return sample.title if sample.landscape == ONE_LANDSCAPE else f"{sample.title}, $n = {sample.n}$"


def by_family(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Combinations that differ in n alone, sorted by n, keyed by their label."""
    families: dict[str, list[Sample]] = {}
    for sample in samples:
        families.setdefault(sample.label, []).append(sample)
    if not families:
        raise InputError("the runs hold no draws; run `simcore run` again to complete them")
    return {label: sorted(members, key=lambda s: s.n) for label, members in families.items()}


def load_rows(
    runs: list[Any], columns: Sequence[str], *, kind: str | None = None, accepted: bool = False
) -> pd.DataFrame:
    """Rows of several runs, only the parameters, ``draw`` and these columns; ``accepted``: critical starts alone."""
    from simcore.sweep import load

    frames = []
    for run in runs:
        newton = run_configuration(run)["method"] == "newton"
        wanted = [*parameter_names(run), "draw", *columns, *(["status"] if newton and accepted else [])]
        frame = load(run, columns=wanted, kind=kind)
        if newton and accepted:
            frame = frame[(frame["status"] == "critical").to_numpy()]
        frames.append(frame)
    return _merged(runs, frames)


def _merged(runs: list[Any], frames: list[pd.DataFrame]) -> pd.DataFrame:
    """The rows of several runs, one below the other, parameter columns first."""
    if len(frames) == 1:
        return frames[0]
    merged = pd.concat(frames, ignore_index=True)
    parameters = list(dict.fromkeys(name for run in runs for name in parameter_names(run)))
    return merged[[*parameters, *(c for c in merged if c not in parameters)]]


def check_runs(runs: Sequence[Any] | Any, kind: str) -> list[Any]:
    """Return a list of the runs; ``InputError`` where one holds nothing for this kind of figure."""
    listed = as_runs(runs)
    for run in listed:
        configuration = run_configuration(run)
        method, needed = configuration["method"], METHODS_OF_KIND[kind]
        if method not in needed:
            holds = (
                "hits only" if method == "newton" else "counts by index only" if method in ESTIMATED else "points only"
            )
            raise InputError(
                f'{run} is a run of method "{method}" and holds {holds}; the figure {kind} needs one of method '
                f"{' or '.join(json.dumps(name) for name in needed)}; make such a run, or choose among "
                f"{', '.join(name for name, methods in METHODS_OF_KIND.items() if method in methods)}"
            )
        if kind == "spectrum" and not configuration["spectrum"]:
            raise InputError(f"{run} holds no eigenvalues; run it with spectrum = true under [search]")
    return listed


KINDS: dict[str, Callable[[list[Any]], Figure]] = {
    "ratio": lambda runs: ratio_figure(load_samples(runs)),
    "index_cost": lambda runs: index_cost_figure(
        load_samples(runs), load_rows(runs, ["morse_index", "cost"], accepted=True)
    ),
    "spectrum": lambda runs: spectrum_figure(
        load_samples(runs), load_rows(runs, ["morse_index", "eigenvalues"], accepted=True)
    ),
    "outcomes": lambda runs: outcomes_figure(load_samples(runs)),
    "tolerance": lambda runs: tolerance_figure(
        load_samples(runs), tolerance_sums(part for run in runs for part in tolerance_rows(run))
    ),
    "coverage": lambda runs: coverage_figure(
        load_samples(runs), load_rows(runs, ["hits"]), load_rows(runs, ["coverage"], kind="audits")
    ),
    "disconnectivity": disconnectivity.figure,
}

_LISTS = ("enumerate", "ball")
METHODS_OF_KIND: dict[str, tuple[str, ...]] = {
    "ratio": (*_LISTS, "newton", *ESTIMATED),
    "index_cost": (*_LISTS, "newton"),
    "spectrum": (*_LISTS, "newton"),
    "outcomes": (*_LISTS, "newton"),
    "tolerance": ("newton",),
    "coverage": _LISTS,
    "disconnectivity": ("enumerate",),
}
"""The methods of runs that hold what a figure shows."""

FIGURES_OF_METHOD = {
    "enumerate": ("ratio", "index_cost", "coverage"),
    "ball": ("ratio", "index_cost", "coverage"),
    "newton": ("ratio", "index_cost", "outcomes"),
    "walk": ("ratio",),
    "paths": ("ratio",),
}
"""The figures that a report shows, by the method of the run."""
