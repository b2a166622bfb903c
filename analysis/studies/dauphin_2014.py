"""In real networks cost and index rise together: minima lie low, high critical points are saddles.

Dauphin et al. (2014), section 4 and figure 1: critical points of small networks, found from points along trajectories
with noise, lie close to a rising curve of training cost against index fraction, as those of Gaussian fields do (Bray
and Dean 2007). The protocol is theirs; what the paper leaves open is our choice, and it is varied: the kinds of
starts, the noise, the tolerance. It is no replica: theirs were MNIST and CIFAR-10 at 10 x 10, ours is scikit-learn's
digits, one hidden layer of 5 softplus units on 10 whitened principal components, 115 parameters; and ours has an L2
penalty, since without one no start of such a network ends at an isolated critical point.

What must be shown beside it: points where the gradient is merely flat obey the same line, so that the picture alone
proves nothing about criticality; points with tied or dead units, which symmetry forces, are marked and left out of the
judged groups; and the starts themselves, points of trajectories with noise that are not critical at all, already show
the trend in the same range of costs, with a wider scatter.

The network and its data are one fixed function, so the starts are the independent unit: intervals go
over the distinct points that they found, and say how the result would change with other starts, not with other data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simcore.backends.reference_network import layers
from simcore.networks.mlp import MLP
from simcore.networks.starts import TRAJECTORIES, noise_amplitudes

from .. import canvas
from ..estimates import Estimate
from ..samples import Sample, load_samples
from ..writers import Column, Table
from .proportions import correlation, spread_ratio
from .runs import compute, seed_of
from .study import Result, Study
from .verdicts import Claim, measurement

SEED = seed_of("dauphin_2014")
NETWORK = {
    "name": "mlp", "widths": [10, 5, 10], "activation": "softplus", "loss": "mse",
    "data": {"kind": "digits", "pca": 10, "samples": 500}, "l2": 0.01,
}  # fmt: skip
STARTS = {False: 1020, True: 4500}
BARE = {False: 48, True: 96}
"""Starts of the same network without the penalty, to say how few of them are accepted."""
CONTROLS = {False: 300, True: 600}
"""Starts along trajectories whose cost and index are taken before any search."""
FIELDS = {
    False: (({"name": "gaussian_field", "n": 5, "features": 256, "frequencies": "isotropic"}, 60, "ball"),
            ({"name": "spherical_spin", "n": 9, "p": 3}, 20, "enumerate")),
    True: (({"name": "gaussian_field", "n": 5, "features": 256, "frequencies": "isotropic"}, 200, "ball"),
           ({"name": "spherical_spin", "n": 9, "p": 3}, 60, "enumerate")),
}  # fmt: skip
"""Random functions with an exact curve: landscape, draws, and the unbiased way to count their points."""
SOLVER = {"method": "levenberg_marquardt", "max_iterations": 300}
SOURCE = "Dauphin et al. (2014), figure 1"
TIED = 1e-5
"""Two units are tied, or one dead, where their weights agree, or vanish, to this."""
CRITICAL, UNTIED = "all critical points", "no tied or dead unit"
WITHIN = "no tied or dead unit, each source's mean removed"
FLAT = "gradient-flat points alone"
CONTROL = "control: not critical, trajectories with noise, same costs"


def measure(full: bool, out: Path) -> Result:
    """Search, sort what was found, judge the sign of the trend in every group, and what the controls say."""
    from simcore import load

    runs = out / "runs"
    run = compute(
        runs / "digits", [NETWORK], seed=SEED, draws=1, method="newton", starts=STARTS[full], start_law="mixed",
        positions=True, solver=SOLVER,
    )  # fmt: skip
    bare = compute(
        runs / "unregularised", [{**NETWORK, "l2": 0.0}], seed=SEED, draws=1, method="newton", starts=BARE[full],
        start_law="mixed", solver=SOLVER,
    )  # fmt: skip
    rows = described(load(run))
    control = starting_points(rows, CONTROLS[full])
    groups = grouped(rows, control)
    fields = [random_functions(*field, runs) for field in FIELDS[full]]
    figure = index_figure(rows, groups, fields)
    return Result(group_table(rows, groups, load(bare)), figure, [*trend_claims(groups), *control_claims(groups)])


def trend_claims(groups: dict[str, pd.DataFrame]) -> list[Claim]:
    """Cost and index rise together: one question, asked of every group of critical points that is large enough."""
    asked = [CRITICAL, UNTIED, WITHIN] + [g for g in groups if g.startswith(("source", "noise")) and "untied" in g]
    judged = [g for g in asked if len(groups[g]) >= 10 and groups[g].fraction.nunique() > 1]
    each = [correlation(groups[g].fraction, groups[g].data_cost) for g in judged]
    return [
        Claim(
            "training cost and index fraction of critical points rise together: sign of their correlation, the same in "
            f"all {len(judged)} groups of points (by source of the start, by noise, without tied or dead units)",
            1.0, SOURCE, common_sign(each), 0.5, 0.0,
        ),
        measurement(f"correlation of training cost and index fraction; {UNTIED}", SOURCE, each[judged.index(UNTIED)]),
    ]  # fmt: skip


def control_claims(groups: dict[str, pd.DataFrame]) -> list[Claim]:
    """What would hold if the trend were one of critical points alone: the controls would not show it."""
    line = cubic(groups[CRITICAL])
    reason = "a trend that only critical points show"
    claims = [
        Claim(
            f"correlation of training cost and index fraction; {name}", 0.0, reason,
            correlation(groups[name].fraction, groups[name].data_cost), 0.5, 1.0, expected=False,
        )
        for name in (FLAT, CONTROL)
    ]  # fmt: skip
    control, critical = (off_line(groups[name], line) for name in (CONTROL, CRITICAL))

    claims.append(
        Claim(
            "scatter of the index fraction about the line of the critical points, control over critical", 1.0,
            "criticality makes no difference", spread_ratio(control, critical), 0.5, 2.0, expected=False,
        )
    )  # fmt: skip
    return claims


def network() -> MLP:
    """Return the network of the study."""
    return MLP(**{k: v for k, v in NETWORK.items() if k != "name"})


def described(rows: pd.DataFrame) -> pd.DataFrame:
    """Add data cost, training error, index fraction and tied units; flat points get the index at their last point."""
    draw = network().draw(seed=SEED)
    x = np.array(list(rows.x))
    rows = rows.assign(data_cost=draw.data_cost(x), error=draw.error_rate(x), tied=[tied_units(p) for p in x])
    flat = np.flatnonzero(rows.status == "gradient_flat")
    index = rows["morse_index"].to_numpy().astype(float)
    index[flat] = negative(draw, x[flat])
    index[index < 0] = np.nan
    rows["fraction"] = index / network().n
    return rows


def negative(draw: Any, x: np.ndarray) -> np.ndarray:
    """Return the number of negative Hessian eigenvalues at points that need not be critical, shape (S,)."""
    found = [np.linalg.eigvalsh(draw.hessian(x[low : low + 50])) for low in range(0, len(x), 50)]
    return (np.concatenate(found) < 0).sum(axis=1) if found else np.zeros(0)


def tied_units(x: np.ndarray) -> int:
    """Return how many hidden units are dead or equal to an earlier one."""
    (w, b), (v, _) = layers(tuple(NETWORK["widths"]), x[None])
    units = np.concatenate([w[0], b[0][:, None], v[0].T], axis=1)
    count = 0
    for i, unit in enumerate(units):
        earlier = [np.abs(unit - units[j]).max() for j in range(i)]
        count += min([np.abs(unit).max(), *earlier]) < TIED
    return count


def starting_points(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return starts along trajectories, as they were before the search: the control, not critical at all."""
    mlp = network()
    draw = mlp.draw(seed=SEED)
    chosen = rows[rows.source.isin(TRAJECTORIES)].head(count)
    x = np.concatenate(
        [mlp.starts(seed=SEED, draw=0, first=int(start), count=1, law="mixed") for start in chosen.start]
    )
    return pd.DataFrame({
        "data_cost": draw.data_cost(x), "error": draw.error_rate(x), "fraction": negative(draw, x) / mlp.n,
        "source": chosen.source.to_numpy(), "grad_norm": np.linalg.norm(draw.gradient(x), axis=1),
    })  # fmt: skip


def grouped(rows: pd.DataFrame, control: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the groups of distinct points whose trend is measured."""
    critical = rows[rows.status == "critical"].drop_duplicates("point")
    flat = rows[rows.status == "gradient_flat"]
    untied = critical[critical.tied == 0]
    groups = {CRITICAL: critical, UNTIED: untied, WITHIN: without_means(untied)}
    for name in critical.source.astype(str).unique():
        groups[f"source: {name}"] = critical[critical.source == name]
        groups[f"source: {name}, untied"] = untied[untied.source == name]
    walked = untied[untied.source.isin(TRAJECTORIES)]
    size = np.array(
        [noise_amplitudes(network(), str(r.source), SEED, 0, np.array([r.start]))[0] for r in walked.itertuples()]
    )
    for low, high in ((1e-4, 1e-3), (1e-3, 1e-2), (1e-2, 1e-1)):
        groups[f"noise {low:g} to {high:g}, untied"] = walked[(size >= low) & (size < high)]
    for cutoff in (1e-5, 1e-4, 1e-3):
        groups[f"flat points with |g| < {cutoff:g} taken for critical"] = pd.concat(
            [critical, flat[flat.grad_norm < cutoff]]
        )
    groups[FLAT] = flat
    in_range = control.data_cost.between(critical.data_cost.min(), critical.data_cost.max())
    groups[CONTROL] = control[in_range]
    return groups


def without_means(points: pd.DataFrame) -> pd.DataFrame:
    """Return points with each source's mean cost, error and index fraction moved to the mean of all."""
    columns = ["data_cost", "error", "fraction"]
    means = points.groupby("source", observed=True)[columns].transform("mean")
    return points.assign(**{c: points[c] - means[c] + points[c].mean() for c in columns})


def cubic(points: pd.DataFrame) -> np.ndarray:
    """Return the cubic of the index fraction in the cost, by least squares."""
    return np.polyfit(points.data_cost, points.fraction, 3)


def off_line(points: pd.DataFrame, line: np.ndarray) -> np.ndarray:
    """Return how far the index fractions lie from a cubic in the cost."""
    return (points.fraction - np.polyval(line, points.data_cost)).to_numpy()


def sign_of(estimate: Callable[[float], Estimate]) -> Callable[[float], Estimate]:
    """Return the sign of a number, certain where its interval leaves 0 out, else anything from -1 to 1."""

    def sign(level: float) -> Estimate:
        e = estimate(level)
        certain = e.low > 0 or e.high < 0
        value = float(np.sign(e.value))
        return Estimate(value, 0.0, value if certain else -1.0, value if certain else 1.0, level, 2, e.draws, "sign")

    return sign


def common_sign(estimates: Sequence[Callable[[float], Estimate]]) -> Callable[[float], Estimate]:
    """Return the sign that several numbers share, certain where all their intervals leave 0 out (Bonferroni).

    The sign of the first where they disagree, with anything from -1 to 1 as its interval.
    """

    def sign(level: float) -> Estimate:
        each = [sign_of(estimate)(1 - (1 - level) / len(estimates)) for estimate in estimates]
        low, high = min(e.low for e in each), max(e.high for e in each)
        return Estimate(each[0].value, 0.0, low, high, level, 2, min(e.draws for e in each), "sign")

    return sign


def group_table(rows: pd.DataFrame, groups: dict[str, pd.DataFrame], bare: pd.DataFrame) -> Table:
    """Return a row a group: how starts ended, how many points, their ranges, the correlation, the scatter."""
    line = cubic(groups[CRITICAL])
    table = []
    for name, points in groups.items():
        enough = len(points) >= 3 and points.fraction.nunique() > 1 and points.data_cost.nunique() > 1
        trend = correlation(points.fraction, points.data_cost)(0.95) if enough else None
        table.append(
            {
                "group": name, **ends_of(rows, name), "points": len(points),
                "tied": int((points.tied > 0).sum()) if "tied" in points else None,
                **(ranges_of(points) if len(points) and name != WITHIN else {}),
                "correlation": trend, "interval": f"{trend.low:.4f} to {trend.high:.4f}" if trend else None,
                "error": correlation(points.fraction, points.error)(0.95) if enough else None,
                "scatter": float(off_line(points, line).std()) if len(points) else None,
            }
        )  # fmt: skip
    columns = [
        Column("group", "group"), Column("starts", "starts"), Column("critical", "critical"),
        Column("gradient_flat", "gradient-flat", "flat"), Column("other", "other status", "other"),
        Column("points", "points"), Column("tied", "with tied or dead units", "tied"),
        Column("fraction", "index fraction", "$k/P$"), Column("cost", "training cost", "$f$"),
        Column("correlation", "correlation with cost", "$\\rho$"), Column("interval", "95 % interval"),
        Column("error", "correlation with training error", "$\\rho_\\mathrm{error}$"),
        Column("scatter", "scatter about the line", "scatter", digits=2),
    ]  # fmt: skip
    accepted = rows[rows.status == "critical"]
    notes = [
        f"{len(rows)} starts: {statuses_of(rows)}; {accepted.point.nunique()} distinct points modulo unit "
        "permutations.",
        f"The same network without L2, {len(bare)} starts: {statuses_of(bare)}.",
        f"Critical: |g| at most {accepted.grad_norm.max():.1g}; not critical: at least "
        f"{rows.grad_norm[rows.status != 'critical'].min():.1g}. L2-regularised ({NETWORK['l2']:g}); costs are without "
        "the penalty.",
        "Points are counted once each. Errors and intervals: jackknife over points found from independent starts; "
        "network and data are fixed. Training error: share of images misclassified. Scatter: standard deviation of "
        "the index fraction about the cubic in the cost fitted to all critical points.",
        thresholds(groups[CRITICAL]),
    ]
    return Table(columns, table, "Index against training cost, digits, 10-5-10 softplus network, L2-regularised", notes)


def statuses_of(rows: pd.DataFrame) -> str:
    """Say how many starts ended in each status."""
    return ", ".join(f"{c} {s}" for s, c in rows.status.value_counts().items() if c)


def ends_of(rows: pd.DataFrame, group: str) -> dict[str, int]:
    """Return how the starts of all sources, or of one, ended; nothing for other groups."""
    source = group.removeprefix("source: ")
    mine = rows if group == CRITICAL else rows[rows.source == source]
    if not len(mine):
        return {}
    ends = {status: int((mine.status == status).sum()) for status in ("critical", "gradient_flat")}
    return {"starts": len(mine), **ends, "other": len(mine) - sum(ends.values())}


def ranges_of(points: pd.DataFrame) -> dict[str, str]:
    """Return the ranges of index fraction and cost in words."""
    fraction, cost = points.fraction, points.data_cost
    return {
        "fraction": f"{fraction.min():.3f} to {fraction.max():.3f}",
        "cost": f"{cost.min():.3f} to {cost.max():.3f}",
    }


def thresholds(critical: pd.DataFrame) -> str:
    """Say how the mean index depends on which eigenvalues are taken for zero."""
    w = spectra_of(critical)
    largest = np.abs(w).max(axis=1, keepdims=True)
    means = [f"{(w < -c * largest).sum(axis=1).mean():.2f} ({c:g})" for c in (0, 1e-6, 1e-4, 1e-3, 1e-2)]
    softest = float((np.abs(w) / largest).min())
    return (
        "Mean index where eigenvalues up to a share (in brackets) of the largest are taken for zero: "
        f"{', '.join(means)}; the smallest share of any eigenvalue is {softest:.1g}."
    )


def spectra_of(points: pd.DataFrame) -> np.ndarray:
    """Return the Hessian's eigenvalues at points, ascending, shape (points, P)."""
    draw, x = network().draw(seed=SEED), np.array(list(points.x))
    return np.concatenate([np.linalg.eigvalsh(draw.hessian(x[low : low + 50])) for low in range(0, len(x), 50)])


def index_figure(
    rows: pd.DataFrame, groups: dict[str, pd.DataFrame], fields: list[tuple[Sample, pd.DataFrame]]
) -> Figure:
    """Return the network's picture, controls, spectra at three costs, and random functions with exact curves."""
    with canvas.style():
        figure, axes = canvas.grid(2, 3, width=2.9, height=2.7)
        scatter(axes[0, 0], groups[CRITICAL])
        controls(axes[0, 1], groups)
        low, high = axes[0, 0].get_ylim()
        for axis in axes[0, :2]:
            axis.set_ylim(low, high + 0.35 * (high - low))  # room for the legends
        spectra(axes[0, 2], groups[CRITICAL])
        for axis, (sample, points) in zip(axes[1], fields, strict=False):
            random_function(axis, sample, points)
        gradients(axes[1, 2], rows)
        for axis in axes.ravel():
            axis.legend(loc="best" if axis is axes[1, 2] else "upper left", handletextpad=0.4, fontsize=8)
        canvas.panel_letters(axes)
    return figure


def scatter(axis: Axes, critical: pd.DataFrame) -> None:
    """Plot critical points, those with tied or dead units open."""
    for mask, fill, label in (
        (critical.tied > 0, "white", "critical, units tied or dead"),
        (critical.tied == 0, "black", "critical"),
    ):
        some = critical[mask]
        axis.plot(some.fraction, some.data_cost, "o", color="black", markerfacecolor=fill, markersize=2.5,
                  markeredgewidth=0.4, label=label)  # fmt: skip
    axis.set_xlabel("index fraction $k / P$")
    axis.set_ylabel("training cost $f$")
    axis.set_title("network, L2-regularised")


def controls(axis: Axes, groups: dict[str, pd.DataFrame]) -> None:
    """Plot what is not critical in the same range of costs, and the critical points' line."""
    flat, control, critical = groups[FLAT], groups[CONTROL], groups[CRITICAL]
    axis.plot(flat.fraction, flat.data_cost, "^", color="#999999", markersize=2.5, label="gradient-flat")
    axis.plot(control.fraction, control.data_cost, "x", color="#c46a1b", markersize=3.5, label="trajectories + noise")
    cost = np.linspace(critical.data_cost.min(), critical.data_cost.max(), 100)
    axis.plot(np.polyval(cubic(critical), cost), cost, color="black", label="line of the critical points")
    axis.set_xlabel("index fraction $k / P$")
    axis.set_ylabel("training cost $f$")
    axis.set_title("controls, not critical")


def spectra(axis: Axes, critical: pd.DataFrame) -> None:
    """Plot the eigenvalues at a low, a middle and a high critical point, cumulatively."""
    ordered = critical.sort_values("data_cost")
    chosen = ordered.iloc[[0, len(ordered) // 2, len(ordered) - 1]]
    for w, cost, colour, line in zip(spectra_of(chosen), chosen.data_cost, canvas.SEQUENCE, canvas.LINES, strict=False):
        share = np.arange(1, len(w) + 1) / len(w)
        axis.step(w, share, where="post", color=colour, linestyle=line, label=f"$f = {cost:.2f}$")
    axis.axvline(0, color="#999999", linewidth=0.6)
    axis.set_xscale("symlog", linthresh=1e-2)
    axis.set_xticks([-0.1, -0.01, 0, 0.01, 0.1, 1], ["$-0.1$", "", "0", "", "0.1", "1"])
    axis.set_xlabel(r"Hessian eigenvalue $\lambda$")
    axis.set_ylabel(r"share of eigenvalues $\leq \lambda$")
    axis.set_title("spectra at three costs")


def random_functions(table: dict[str, Any], draws: int, method: str, out: Path) -> tuple[Sample, pd.DataFrame]:
    """Return the counts and the critical points of random functions with an exact law."""
    from simcore import load

    run = compute(out / str(table["name"]), [table], seed=SEED, draws=draws, method=method)
    return load_samples(run)[0], load(run)


def random_function(axis: Axes, sample: Sample, points: pd.DataFrame) -> None:
    """Plot critical points, measured mean costs by index with 95 % intervals, and the exact mean costs."""
    d, law = sample.dimension, sample.law
    assert law is not None, "both families have an exact law"
    axis.plot(points["morse_index"] / d, points.cost, "o", color="#b5b5b5", markersize=1.5, label="critical points")
    exact = law.sort_values("morse_index")
    axis.plot(exact["morse_index"] / d, exact.mean_cost, **canvas.EXACT, label="exact mean")
    costs = [(k / d, e) for k, e in enumerate(sample.costs()) if np.isfinite(e.high - e.low)]
    error = [[e.value - e.low for _, e in costs], [e.high - e.value for _, e in costs]]
    axis.errorbar(
        [k for k, _ in costs], [e.value for _, e in costs], yerr=error, **canvas.DISTINCT, markersize=3,
        label="measured mean, 95 %",
    )  # fmt: skip
    low, high = axis.get_ylim()
    axis.set_ylim(low, high + 0.3 * (high - low))
    axis.set_xlabel("index fraction $k / D$")
    axis.set_ylabel("cost $f$" if sample.landscape == "gaussian_field" else "energy per spin $f$")
    words = {"gaussian_field": "Gaussian field", "spherical_spin": "spherical 3-spin"}[sample.landscape]
    axis.set_title(f"{words}, $n = {sample.n}$")


def gradients(axis: Axes, rows: pd.DataFrame) -> None:
    """Plot the gradient norms at the end: accepted and rejected are far apart."""
    bins = np.arange(-18, 1.01, 0.5)
    for status, style in (("critical", {"color": "black"}), ("gradient_flat", {"color": "#999999", "hatch": "//"})):
        norm = np.maximum(rows.grad_norm[rows.status == status].to_numpy(), 1e-18)
        axis.hist(np.log10(norm), bins=bins, histtype="step", label=status.replace("_", "-"), **style)
    axis.set_xlabel(r"$\log_{10} |\nabla f|$ at the end")
    axis.set_ylabel("starts")
    axis.set_title("accepted and flat")


STUDY = Study(
    "dauphin_2014",
    "In neural networks cost and index rise together: critical points of high cost are saddles with many descending "
    "directions, minima lie low.",
    "Dauphin et al. (2014).",
    measure,
)
