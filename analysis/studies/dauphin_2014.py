"""In real networks cost and index rise together: minima lie low, high critical points are saddles.

Dauphin et al. (2014), section 4 and figure 1: critical points of small networks, found from points along trajectories
with noise, lie close to a rising curve of training cost against index fraction, as those of Gaussian fields do (Bray
and Dean 2007). The protocol is theirs; what the paper leaves open is our choice, and it is varied: the kinds of
starts, the noise, the tolerance. It is no replica: theirs were MNIST and CIFAR-10 at 10 x 10, ours is scikit-learn's
digits, one hidden layer of 5 softplus units on 10 whitened principal components, 115 parameters; and ours has an L2
penalty, since without one no start of such a network ends at an isolated critical point.

What must be shown beside it: points where the gradient is merely flat obey the same line, so that the picture alone
proves nothing about criticality; points with tied or dead units, which symmetry forces, are marked; and the starts
themselves, not critical at all, already show the trend in the same range of costs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import canvas
from analysis.estimates import Estimate
from analysis.studies.proportions import correlation
from analysis.studies.runs import SEED, compute
from analysis.studies.study import Result, Study
from analysis.studies.verdicts import Claim
from analysis.writers import Column, Table
from simcore.backends.reference_network import layers
from simcore.networks.mlp import MLP
from simcore.networks.starts import TRAJECTORIES, noise_amplitudes

NETWORK = {
    "name": "mlp", "widths": [10, 5, 10], "activation": "softplus", "loss": "mse",
    "data": {"kind": "digits", "pca": 10, "samples": 500}, "l2": 0.01,
}  # fmt: skip
STARTS = {False: 1020, True: 4500}
SOLVER = {"method": "levenberg_marquardt", "max_iterations": 300}
SOURCE = "Dauphin et al. (2014), figure 1"
TIED = 1e-5
"""Two units are tied, or one dead, where their weights agree, or vanish, to this."""


def measure(full: bool, out: Path) -> Result:
    """Search, sort what was found, and judge the sign of the trend in every group."""
    from simcore import load

    run = compute(
        out / "digits", [NETWORK], draws=1, method="newton", starts=STARTS[full], start_law="mixed", positions=True,
        solver=SOLVER,
    )  # fmt: skip
    rows = described(load(run))
    control = starting_points(rows)
    groups = grouped(rows, control)
    judged = ["all critical points", "no tied or dead unit"]
    judged += [name for name in groups if name.startswith(("source:", "noise "))]
    claims = [
        Claim(
            f"sign of the correlation of training cost and index fraction; {name}", 1.0, SOURCE,
            sign_of(correlation(groups[name].fraction, groups[name].data_cost)), 1.0,
        )
        for name in judged
        if len(groups[name]) >= 10 and groups[name].fraction.nunique() > 1
    ]  # fmt: skip
    return Result(group_table(rows, groups), index_figure(rows, control, out), claims)


def network() -> MLP:
    """Return the network of the study."""
    return MLP(**{k: v for k, v in NETWORK.items() if k != "name"})


def described(rows: pd.DataFrame) -> pd.DataFrame:
    """Add data cost, training error, index fraction and tied units; flat points get the index at their last point."""
    draw = network().draw(seed=SEED)
    x = np.array(list(rows.x))
    rows = rows.assign(data_cost=draw.data_cost(x), error=draw.error_rate(x), tied=[tied_units(p) for p in x])
    flat = np.flatnonzero(rows.status == "gradient_flat")
    index = rows["index"].to_numpy().astype(float)
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


def starting_points(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the starts along trajectories, as they were before the search: the control, not critical at all."""
    mlp = network()
    draw = mlp.draw(seed=SEED)
    chosen = rows[rows.source.isin(TRAJECTORIES)].head(200)
    x = np.concatenate(
        [mlp.starts(seed=SEED, draw=0, first=int(start), count=1, law="mixed") for start in chosen.start]
    )
    return pd.DataFrame({
        "data_cost": draw.data_cost(x), "fraction": negative(draw, x) / mlp.n, "source": chosen.source.to_numpy(),
        "grad_norm": np.linalg.norm(draw.gradient(x), axis=1),
    })  # fmt: skip


def grouped(rows: pd.DataFrame, control: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the groups of distinct points whose trend is measured."""
    critical = rows[rows.status == "critical"].drop_duplicates("point")
    flat = rows[rows.status == "gradient_flat"]
    groups = {"all critical points": critical, "no tied or dead unit": critical[critical.tied == 0]}
    for name in critical.source.astype(str).unique():
        groups[f"source: {name}"] = critical[critical.source == name]
    walked = critical[critical.source.isin(TRAJECTORIES)]
    size = np.concatenate(
        [
            [],
            *(
                noise_amplitudes(network(), str(row.source), SEED, 0, np.array([row.start]))
                for row in walked.itertuples()
            ),
        ]
    )
    for low, high in ((1e-4, 1e-3), (1e-3, 1e-2), (1e-2, 1e-1)):
        groups[f"noise {low:g} to {high:g}"] = walked[(size >= low) & (size < high)]
    for cutoff in (1e-5, 1e-4, 1e-3):
        groups[f"flat points with |g| < {cutoff:g} taken for critical"] = pd.concat(
            [critical, flat[flat.grad_norm < cutoff]]
        )
    groups["gradient-flat points alone"] = flat
    in_range = control.data_cost.between(critical.data_cost.min(), critical.data_cost.max())
    groups["control: starts in the same range of costs"] = control[in_range]
    return groups


def sign_of(estimate: Callable[[float], Estimate]) -> Callable[[float], Estimate]:
    """Return the sign of a number, certain where its interval leaves 0 out, else anything from -1 to 1."""

    def sign(level: float) -> Estimate:
        e = estimate(level)
        certain = e.low > 0 or e.high < 0
        value = float(np.sign(e.value))
        return Estimate(value, 0.0, value if certain else -1.0, value if certain else 1.0, level, 2, e.draws, "sign")

    return sign


def residual(points: pd.DataFrame, line: np.ndarray) -> float:
    """Return the standard deviation of index fractions about a cubic in the cost."""
    return float(np.std(points.fraction - np.polyval(line, points.data_cost)))


def group_table(rows: pd.DataFrame, groups: dict[str, pd.DataFrame]) -> Table:
    """Return a row a group: how many points, their ranges, the correlation, the scatter about the line."""
    critical = groups["all critical points"]
    line = np.polyfit(critical.data_cost, critical.fraction, 3)
    table = []
    for name, points in groups.items():
        enough = len(points) >= 3 and points.fraction.nunique() > 1 and points.data_cost.nunique() > 1
        table.append(
            {
                "group": name, "points": len(points),
                "tied": int((points.tied > 0).sum()) if "tied" in points else None,
                "low": float(points.fraction.min()) if len(points) else None,
                "high": float(points.fraction.max()) if len(points) else None,
                "cheapest": float(points.data_cost.min()) if len(points) else None,
                "dearest": float(points.data_cost.max()) if len(points) else None,
                "correlation": correlation(points.fraction, points.data_cost)(0.95) if enough else None,
                "scatter": residual(points, line) if len(points) else None,
            }
        )  # fmt: skip
    columns = [
        Column("group", "group"), Column("points", "points"), Column("tied", "with tied or dead units"),
        Column("low", "lowest index fraction", digits=3), Column("high", "highest", digits=3),
        Column("cheapest", "lowest cost", digits=3), Column("dearest", "highest cost", digits=3),
        Column("correlation", "correlation"), Column("scatter", "scatter about the line", digits=2),
    ]  # fmt: skip
    accepted = rows[rows.status == "critical"]
    statuses = ", ".join(f"{c} {s}" for s, c in rows.status.value_counts().items() if c)
    notes = [
        f"{len(rows)} starts: {statuses}; {accepted.point.nunique()} distinct points modulo unit permutations.",
        f"Critical: |g| at most {accepted.grad_norm.max():.1g}; not critical: at least "
        f"{rows.grad_norm[rows.status != 'critical'].min():.1g}. L2-regularised (0.01); costs are without the penalty.",
        "Points are counted once each; scatter: standard deviation of the index fraction about the cubic fitted to all "
        "critical points.",
    ]
    by_source = rows.groupby(["source", "status"], observed=True).size()
    for name in by_source.index.get_level_values(0).unique():
        notes.append(f"{name}: " + ", ".join(f"{c} {s}" for s, c in by_source[name].items() if c) + ".")
    return Table(columns, table, "Index against training cost, digits, 10-5-10 softplus network", notes)


def index_figure(rows: pd.DataFrame, control: pd.DataFrame, out: Path) -> Figure:
    """Return the network's picture, its control, spectra at three costs, and two random functions with exact curves."""
    critical = rows[rows.status == "critical"].drop_duplicates("point")
    flat = rows[rows.status == "gradient_flat"]
    with canvas.style():
        figure, axes = canvas.grid(2, 3, width=2.9, height=2.6)
        scatter(axes[0, 0], critical)
        axes[0, 0].set_title("network (L2-regularised)")
        axes[0, 1].plot(
            control.fraction, control.data_cost, "x", color="#c46a1b", markersize=3, label="starts, not critical"
        )
        axes[0, 1].plot(flat.fraction, flat.data_cost, "^", color="#999999", markersize=2.5, label="gradient flat")
        axes[0, 1].set_ylim(axes[0, 0].get_ylim())
        axes[0, 1].set_xlabel("index / parameters")
        axes[0, 1].set_title("controls")
        spectra(axes[0, 2], critical)
        random_function(axes[1, 0], {"name": "torus_field", "n": 4}, "Gaussian field, n = 4", out)
        random_function(axes[1, 1], {"name": "spherical_spin", "n": 9, "p": 3}, "spherical 3-spin, n = 9", out)
        gradients(axes[1, 2], rows)
        canvas.panel_letters(axes)
        canvas.common_legend(figure, axes)
    return figure


def scatter(axis: Any, critical: pd.DataFrame) -> None:
    """Plot critical points, those with tied or dead units open."""
    for mask, fill, label in (
        (critical.tied == 0, "black", "critical"),
        (critical.tied > 0, "none", "critical, units tied"),
    ):
        some = critical[mask]
        axis.plot(some.fraction, some.data_cost, "o", color="black", markerfacecolor=fill, markersize=2.5,
                  markeredgewidth=0.4, label=label)  # fmt: skip
    axis.set_xlabel("index / parameters")
    axis.set_ylabel("training cost")


def spectra(axis: Any, critical: pd.DataFrame) -> None:
    """Plot the eigenvalues at a low, a middle and a high critical point, cumulatively."""
    draw = network().draw(seed=SEED)
    ordered = critical.sort_values("data_cost")
    for place, colour, line in zip((0, len(ordered) // 2, -1), canvas.SEQUENCE, canvas.LINES, strict=False):
        row = ordered.iloc[place]
        w = np.linalg.eigvalsh(draw.hessian(np.asarray(row.x)))
        axis.plot(w, np.arange(1, len(w) + 1) / len(w), color=colour, linestyle=line, label=f"cost {row.data_cost:.2f}")
    axis.set_xscale("symlog", linthresh=1e-2)
    axis.set_xlabel("Hessian eigenvalue")
    axis.set_ylabel("fraction below")
    axis.set_title("spectra")


def random_function(axis: Any, table: dict[str, Any], title: str, out: Path) -> None:
    """Plot the critical points of enumerated random functions and the exact mean cost at each index."""
    from simcore import load
    from simcore.landscapes.registry import from_dict

    points = load(compute(out / str(table["name"]), [table], draws=10))
    landscape = from_dict(table)
    exact = landscape.expected_counts()
    axis.plot(points["index"] / landscape.dimension, points.cost, "o", color="#999999", markersize=1.5)
    axis.plot(exact["index"] / landscape.dimension, exact.mean_cost, **canvas.EXACT, label="exact mean")
    axis.set_xlabel("index / dimension")
    axis.set_ylabel("cost")
    axis.set_title(title)


def gradients(axis: Any, rows: pd.DataFrame) -> None:
    """Plot the gradient norms at the end: accepted and rejected are far apart."""
    bins = np.arange(-18, 1.01, 0.5)
    for status, style in (("critical", {"color": "black"}), ("gradient_flat", {"color": "#999999", "hatch": "//"})):
        norm = np.maximum(rows.grad_norm[rows.status == status].to_numpy(), 1e-18)
        axis.hist(np.log10(norm), bins=bins, histtype="step", **style)
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
