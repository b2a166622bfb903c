"""The costs that training reaches, like the energies of a spin glass's minima, concentrate in a band as size grows.

Choromanska et al. (2014), figures 3 and 4: networks with one hidden layer of 25 to 500 rectified units, trained from
many random starts; beside them minima of the spherical 3-spin model. Both histograms narrow and move down with size.
For the spin model the exact law at finite n says how fast, and minima are counted once each by complete enumeration,
where the paper descends from random starts. The networks here see scikit-learn's digits, 10 principal components, by
stochastic gradient descent with batches of 32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import canvas
from analysis.estimates import Estimate, bootstrap, mean_costs
from analysis.studies.dauphin_2014 import sign_of
from analysis.studies.runs import SEED, compute
from analysis.studies.study import Result, Study
from analysis.studies.verdicts import Claim
from analysis.writers import Column, Table

WIDTHS = {False: (25, 50, 100), True: (25, 50, 100, 250, 500)}
RUNS = {False: 60, True: 1000}
STEPS = {False: 400, True: 4000}
SPINS = {False: {4: 100, 6: 100, 8: 100}, True: {4: 1000, 6: 1000, 8: 1000, 10: 500, 12: 200}}
"""Draws per n."""
SOURCE = "Choromanska et al. (2014), figures 3 and 4"


def measure(full: bool, out: Path) -> Result:
    """Train the networks, enumerate the spin model, and judge how both move with size."""
    trained = {h: trained_costs(h, RUNS[full], STEPS[full], out) for h in WIDTHS[full]}
    spins = {n: spin_minima(n, draws, out) for n, draws in SPINS[full].items()}
    claims = network_claims(trained) + [claim for n, points in spins.items() for claim in spin_claims(n, points)]
    return Result(size_table(trained, spins), size_figure(trained, spins), claims)


def trained_costs(hidden: int, runs: int, steps: int, out: Path) -> np.ndarray:
    """Return the training costs that descents from ``runs`` starts end at, kept in a file."""
    from simcore import trajectory
    from simcore.networks.mlp import MLP

    kept = out / f"trained-{hidden}-{runs}-{steps}.npy"
    if not kept.exists():
        network = MLP((10, hidden, 10), "relu", "cross_entropy", {"kind": "digits", "pca": 10, "samples": 500})
        rows = trajectory(
            network, method="sgd", step_size=0.1, steps=steps, starts=runs, seed=SEED, start_law="gaussian_0.3",
            every=steps,
        )  # fmt: skip
        np.save(kept, rows[rows.step == steps].cost.to_numpy())
    return np.load(kept, allow_pickle=False)


def spin_minima(n: int, draws: int, out: Path) -> pd.DataFrame:
    """Return the minima of complete enumerations, a row a minimum: draw, cost."""
    from simcore import load

    table = {"name": "spherical_spin", "n": n, "p": 3}
    points = load(compute(out / f"spin-{n}", [table], draws=draws))
    return points.loc[points["index"] == 0, ["draw", "cost"]]


def network_claims(trained: dict[int, np.ndarray]) -> list[Claim]:
    """Mean and width of the costs fall with the number of hidden units."""
    sizes = np.log(list(trained))
    costs = np.array(list(trained.values())).T  # a row a run

    def slope(statistic: Callable[[np.ndarray], np.ndarray], table: np.ndarray) -> float:
        return float(np.polyfit(sizes, statistic(table), 1)[0])

    mean = partial(slope, lambda t: t.mean(axis=0))
    spread = partial(slope, lambda t: np.log(t.std(axis=0, ddof=1)))
    words = f"hidden units {', '.join(map(str, trained))}"
    return [
        Claim(f"{words}: sign of the change of {what} with size", -1.0, SOURCE, sign_of(_resampled(s, costs)), 1.0)
        for what, s in (("the mean trained cost", mean), ("the spread of trained costs", spread))
    ]


def _resampled(statistic: Callable[[np.ndarray], float], table: np.ndarray) -> Callable[[float], Estimate]:
    return lambda level: bootstrap(statistic, table, level=level)


def exact_minima(n: int) -> tuple[float, float]:
    """Return the exact mean and standard deviation of the energy per spin of minima."""
    from simcore.landscapes.spin import SphericalSpin

    row = SphericalSpin(n, 3).expected_counts().iloc[0]
    return float(row.mean_cost), float(row.sd_cost)


def moments(points: pd.DataFrame) -> np.ndarray:
    """Return per draw the number of minima, the sum of their costs and of their squares, shape (draws, 3)."""
    groups = points.groupby("draw").cost
    return np.column_stack([groups.size(), groups.sum(), groups.apply(lambda c: float((c * c).sum()))]).astype(float)


def pooled_spread(table: np.ndarray) -> float:
    """Return the standard deviation of all minima's costs from per-draw moments."""
    count, first, second = table.sum(axis=0)
    return float(np.sqrt(max(second / count - (first / count) ** 2, 0.0)))


def spin_claims(n: int, points: pd.DataFrame) -> list[Claim]:
    """Mean and spread of the minima's energies are the exact ones."""
    mean, spread = exact_minima(n)
    table = moments(points)
    source = "Auffinger, Ben Arous & Cerny (2013), simcore.theory.spin"
    return [
        Claim(
            f"3-spin, n = {n}: mean energy per spin of minima", mean, source,
            lambda level: mean_costs(table[:, 1:2], table[:, :1], level=level)[0], 0.15,
        ),
        Claim(
            f"3-spin, n = {n}: standard deviation of the energies of minima", spread, source,
            lambda level: bootstrap(pooled_spread, table, level=level), 0.15,
        ),
    ]  # fmt: skip


def size_table(trained: dict[int, np.ndarray], spins: dict[int, pd.DataFrame]) -> Table:
    """Return a row a size: mean and standard deviation of costs, and the exact ones for spins."""
    rows: list[dict[str, Any]] = []
    for hidden, costs in trained.items():
        rows.append(
            {"model": "network", "size": hidden, "count": len(costs), "mean": float(costs.mean()),
             "spread": float(costs.std(ddof=1)), "low": float(costs.min()), "high": float(costs.max())}
        )  # fmt: skip
    for n, points in spins.items():
        mean, spread = exact_minima(n)
        rows.append(
            {"model": "spherical 3-spin", "size": n, "count": len(points), "mean": float(points.cost.mean()),
             "spread": float(points.cost.std()), "low": float(points.cost.min()), "high": float(points.cost.max()),
             "exact_mean": mean, "exact_spread": spread}
        )  # fmt: skip
    columns = [
        Column("model", "model"), Column("size", "hidden units or n"), Column("count", "runs or minima"),
        Column("mean", "mean cost", digits=4), Column("exact_mean", "exact", digits=4),
        Column("spread", "standard deviation", digits=3), Column("exact_spread", "exact deviation", digits=3),
        Column("low", "lowest", digits=3), Column("high", "highest", digits=3),
    ]  # fmt: skip
    return Table(columns, rows, "Trained costs of networks and energies of the minima of the 3-spin model")


def size_figure(trained: dict[int, np.ndarray], spins: dict[int, pd.DataFrame]) -> Figure:
    """Return both families of histograms."""
    with canvas.style():
        figure, axes = canvas.grid(1, 2)
        energies = {n: points.cost.to_numpy() for n, points in spins.items()}
        families = (
            (axes[0, 0], trained, "hidden units", "training cost"),
            (axes[0, 1], energies, "n =", "energy per spin"),
        )
        for axis, members, word, label in families:
            everything = np.concatenate(list(members.values()))
            bins = np.linspace(everything.min(), everything.max(), 41)
            for (size, costs), colour, line in zip(members.items(), canvas.SEQUENCE, canvas.LINES, strict=False):
                axis.hist(costs, bins=bins, density=True, histtype="step", color=colour, linestyle=line,
                          label=f"{word} {size}")  # fmt: skip
            axis.set_xlabel(label)
            axis.set_ylabel("density")
            axis.legend()
        axes[0, 0].set_title("networks after training")
        axes[0, 1].set_title("minima of the 3-spin model")
        canvas.panel_letters(axes)
    return figure


STUDY = Study(
    "choromanska_2014",
    "Trained costs of networks, like the energies of a spin glass's minima, fall and concentrate in a band as size "
    "grows.",
    "Choromanska et al. (2014).",
    measure,
)
