"""Eigenvalues are likelier positive at low cost: minima are low, high critical points are saddles.

Goodfellow, Bengio and Courville (2016), section 8.2.3, after Bray and Dean (2007). Measured: the mean cost at each
index and the slope of the index fraction against the cost, in two families with an exact law at finite n; beside them
Bray and Dean's curve for n large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .. import canvas
from ..estimates import jackknife
from ..figures import index_cost_figure
from ..samples import Sample, load_samples
from ..writers import Column, Table
from .runs import compute
from .study import Result, Study
from .verdicts import Claim

QUICK = [({"name": "torus_field", "n": 5}, 100), ({"name": "spherical_spin", "n": 9, "p": 3}, 150)]
FULL = [({"name": "torus_field", "n": 6}, 400), ({"name": "spherical_spin", "n": 12, "p": 3}, 400)]
EXACT = {"torus_field": "simcore.theory.gaussian", "spherical_spin": "simcore.theory.spin"}
WORDS = {"torus_field": "isotropic Gaussian field", "spherical_spin": "spherical 3-spin"}


def measure(full: bool, out: Path) -> Result:
    """Enumerate one n of each family and judge costs by index."""
    from simcore.sweep import load

    samples, frames = [], []
    for landscape, draws in FULL if full else QUICK:
        run = compute(out / "runs" / f"{landscape['name']}-{landscape['n']}", [landscape], draws=draws)
        samples += load_samples(run)
        frames.append(load(run))
    claims = [c for s, frame in zip(samples, frames, strict=True) for c in family_claims(s, frame)]
    return Result(table(samples, frames), figure(samples, frames), claims)


def family_claims(sample: Sample, points: pd.DataFrame) -> list[Claim]:
    """Return the claims about one combination."""
    law, d = _law(sample), sample.dimension
    where, source = f"{WORDS[sample.landscape]}, n = {sample.n}", EXACT[sample.landscape]
    centre, width = law["mean_cost"].to_numpy(float), law["sd_cost"].to_numpy(float)

    def cost(k: int):
        return lambda level: sample.costs(level)[k]

    claims = [
        Claim(
            f"{where}: mean cost at index {k} is E[f given index {k}]", float(centre[k]), source, cost(k), width[k] / 2
        )
        for k in sorted({0, 1, (d - 1) // 2, d})  # at d / 2 it is 0 by symmetry on the sphere, for odd p
    ]
    exact_slope = slope_of_law(law)
    sums = moment_sums(sample, points)
    claims.append(
        Claim(
            f"{where}: the index fraction rises with the cost by the exact slope of its regression", exact_slope,
            source,
            lambda level: jackknife(slope_of_sums, sums, level=level, kind="slope"), 0.1 * exact_slope,
        )
    )  # fmt: skip
    claims.append(
        Claim(
            f"{where}: index and cost are unrelated (slope 0)", 0.0, "independence",
            lambda level: jackknife(slope_of_sums, sums, level=level, kind="slope"), 0.1 * exact_slope,
        )
    )  # fmt: skip
    if sample.landscape == "torus_field":
        limit = float(large_n_cost(sample.n, np.array([0.0]))[0])
        claims.append(
            Claim(
                f"{where}: minima lie where Bray and Dean's curve for large n puts them", limit,
                "Bray & Dean (2007), simcore.theory.asymptotics", cost(0), width[0] / 2,
            )
        )  # fmt: skip
    return claims


def moment_sums(sample: Sample, points: pd.DataFrame) -> np.ndarray:
    """Return each draw's number of points and sums of alpha, f, alpha f, f^2 over them, shape (N, 5)."""
    draw = points["draw"].to_numpy()
    alpha = points["morse_index"].to_numpy(float) / sample.dimension
    f = points["cost"].to_numpy(float)
    terms = (np.ones_like(f), alpha, f, alpha * f, f * f)
    return np.stack([np.bincount(draw, weights=t, minlength=sample.draws) for t in terms], axis=1)


def slope_of_sums(total: np.ndarray) -> float:
    """Return the slope of alpha on f by least squares, Cov(alpha, f) / Var f, from the sums of ``moment_sums``."""
    number, alpha, f, product, square = total
    return float((product - alpha * f / number) / (square - f * f / number))


def slope_of_law(law: pd.DataFrame) -> float:
    """Return the exact slope Cov(alpha, f) / Var f, both by conditioning on the index."""
    p, k = law["fraction"].to_numpy(float), law["morse_index"].to_numpy(float)
    centre, width = law["mean_cost"].to_numpy(float), law["sd_cost"].to_numpy(float)
    alpha = k / k.max()
    mean = (p * centre).sum()
    covariance = (p * alpha * centre).sum() - (p * alpha).sum() * mean
    return float(covariance / ((p * (width**2 + centre**2)).sum() - mean**2))


def large_n_cost(n: int, alpha: np.ndarray) -> np.ndarray:
    """Return Bray and Dean's cost of a torus field at index fractions alpha: sqrt(n) times their curve."""
    from simcore.landscapes.frequencies import second_moment
    from simcore.theory.asymptotics import cost_of_index_fraction

    kappa = math.sqrt(3 * float(second_moment(n)))  # l2 / sqrt(l22), l22 = l2 / 3
    return math.sqrt(n) * cost_of_index_fraction(alpha, kappa=kappa)


def table(samples: Sequence[Sample], frames: Sequence[pd.DataFrame]) -> Table:
    """Return a row an index: measured mean cost and spread beside the exact ones."""
    rows: list[dict[str, Any]] = []
    for sample, points in zip(samples, frames, strict=True):
        law, costs, fractions = _law(sample), sample.costs(), sample.fractions()
        for k, exact in enumerate(law.sort_values("morse_index").itertuples()):
            spread = points.loc[points["morse_index"] == k, "cost"].std(ddof=0)
            rows.append(
                {
                    "landscape": sample.landscape, "n": sample.n, "functions": sample.draws,
                    "complete": int(sample.complete.sum()), "morse_index": k, "points": int(sample.counts[:, k].sum()),
                    "fraction": fractions[k], "fraction_exact": float(exact.fraction),
                    "mean_cost": costs[k] if abs(costs[k].value) > 1e-12 else 0.0,  # 0 by symmetry
                    "mean_cost_exact": float(exact.mean_cost),
                    "z": costs[k].z(float(exact.mean_cost)) if sample.complete.all() else None,
                    "sd_cost": float(spread), "sd_cost_exact": float(exact.sd_cost),
                }
            )  # fmt: skip
    columns = [
        Column("landscape", "landscape"), Column("n", "n", "$n$"), Column("functions", "functions"),
        Column("complete", "complete"), Column("morse_index", "index", "$k$"), Column("points", "points"),
        Column("fraction", "fraction"), Column("fraction_exact", "exact", digits=4), Column("mean_cost", "mean cost"),
        Column("mean_cost_exact", "exact", places=4), Column("z", "z", "$z$", places=2),
        Column("sd_cost", "sd of cost", places=3), Column("sd_cost_exact", "exact", places=3),
    ]  # fmt: skip
    notes = ["Means are over all points of an index (annealed); errors: one standard error between draws."]
    return Table(columns, rows, "Cost of critical points by index", notes)


def figure(samples: Sequence[Sample], frames: Sequence[pd.DataFrame]) -> Figure:
    """Return the index-cost figure with Bray and Dean's curve on the Gaussian field's panel."""
    result = index_cost_figure(samples, pd.concat(frames, ignore_index=True))
    with canvas.style():
        for axis, sample in zip(result.axes, samples, strict=False):
            if sample.landscape == "torus_field":
                alpha = np.linspace(0, 1, 101)
                axis.plot(large_n_cost(sample.n, alpha), alpha, **canvas.COIN, label="Bray & Dean, $n$ large")
                axis.legend(loc="upper left", fontsize=8)
    return result


def _law(sample: Sample) -> pd.DataFrame:
    law = sample.law
    assert law is not None, "both families of this study have an exact law"
    return law.sort_values("morse_index")


STUDY = Study(
    "index_cost",
    "Eigenvalues of the Hessian are likelier positive at low cost: minima are low, critical points of high cost are "
    "saddles, and very high ones maxima.",
    "Goodfellow, Bengio & Courville (2016), 8.2.3; Bray & Dean (2007).",
    measure,
)
