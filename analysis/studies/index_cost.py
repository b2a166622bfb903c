"""Eigenvalues are likelier positive at low cost: minima are low, high critical points saddles, the highest maxima.

Goodfellow, Bengio and Courville (2016), section 8.2.3, after Bray and Dean (2007). Measured: the mean cost at each
index and the slope of the index fraction against the cost, in three families with an exact law at finite n; beside them
Bray and Dean's curve for n large. For the spins also the conditional law itself, P(index | cost) in bands of cost,
beside the exact one (``simcore.theory.conditional``): below the mean cost of minima most points are minima, above that
of maxima most are maxima. A 3-spin's points at cost f and -f mirror each other in every draw; a 4-spin's do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import canvas
from ..estimates import Estimate, index_fractions, jackknife
from ..figures import index_cost_panel
from ..samples import Sample, load_samples
from ..writers import Column, Table
from .bands import band_counts, band_edges, band_names, exact_bands
from .runs import compute, seed_of
from .study import Result, Study
from .verdicts import Claim

SEED = seed_of("index_cost")
QUICK = [
    ({"name": "torus_field", "n": 5}, 100), ({"name": "spherical_spin", "n": 9, "p": 3}, 150),
    ({"name": "spherical_spin", "n": 6, "p": 4}, 400),
]  # fmt: skip
FULL = [
    ({"name": "torus_field", "n": 6}, 400), ({"name": "spherical_spin", "n": 12, "p": 3}, 400),
    ({"name": "spherical_spin", "n": 7, "p": 4}, 2000),
]  # fmt: skip
EXACT = {"torus_field": "simcore.theory.gaussian", "spherical_spin": "simcore.theory.spin"}
GIVEN = "simcore.theory.conditional"


def measure(full: bool, out: Path) -> Result:
    """Enumerate one n of each family and judge costs by index."""
    from simcore.sweep import load

    samples, frames = [], []
    for landscape, draws in FULL if full else QUICK:
        name = "-".join(str(v) for v in landscape.values())
        run = compute(out / "runs" / name, [landscape], seed=SEED, draws=draws)
        samples += load_samples(run)
        frames.append(load(run))
    claims = [c for s, frame in zip(samples, frames, strict=True) for c in family_claims(s, frame)]
    return Result(table(samples, frames), figure(samples, frames), claims)


def family_claims(sample: Sample, points: pd.DataFrame) -> list[Claim]:
    """Return the claims about one combination."""
    law, d = _law(sample), sample.dimension
    where, source = f"{words_of(sample)}, n = {sample.n}", EXACT[sample.landscape]
    centre = law["mean_cost"].to_numpy(float)

    def cost(k: int):
        return lambda level: sample.costs(level)[k]

    claims = [
        Claim(
            f"{where}: mean cost at index {k} is E[f given index {k}]", float(centre[k]), source, cost(k),
            *_from_next(centre, k),
        )
        for k in sorted({0, 1, d})
    ]  # fmt: skip
    exact_slope = slope_of_law(law)
    sums = moment_sums(sample, points)
    claims.append(
        Claim(
            f"{where}: the index fraction rises with the cost by the exact slope of its regression", exact_slope,
            source,
            lambda level: jackknife(slope_of_sums, sums, level=level, kind="slope"), 0.1 * exact_slope, 0.0,
        )
    )  # fmt: skip
    claims.append(
        Claim(
            f"{where}: index and cost are unrelated (slope 0)", 0.0, "independence",
            lambda level: jackknife(slope_of_sums, sums, level=level, kind="slope"), 0.5 * exact_slope, exact_slope,
            expected=False,
        )
    )  # fmt: skip
    if sample.landscape == "torus_field":
        limit = float(large_n_cost(sample.n, np.array([0.0]))[0])
        claims.append(
            Claim(
                f"{where}: minima lie where Bray and Dean's curve for large n puts them", limit,
                "Bray & Dean (2007), simcore.theory.asymptotics", cost(0), 0.5 * abs(limit - centre[0]),
                float(centre[0]), expected=False,
            )
        )  # fmt: skip
    else:
        claims += conditional_claims(where, sample, points)
    return claims


def _from_next(centre: np.ndarray, k: int) -> tuple[float, float]:
    """Return half the distance to the nearest mean cost of a neighbouring index, and that cost."""
    rival = min((centre[j] for j in (k - 1, k + 1) if 0 <= j < len(centre)), key=lambda c: abs(c - centre[k]))
    return 0.5 * abs(float(rival - centre[k])), float(rival)


def words_of(sample: Sample) -> str:
    """Return a family in words."""
    return f"spherical {sample.parameters['p']}-spin" if "p" in sample.parameters else "isotropic Gaussian field"


def conditional_claims(where: str, sample: Sample, points: pd.DataFrame) -> list[Claim]:
    """Return the claims about P(index | cost) in the lowest and the highest band; the rival is the next band's law."""
    edges = band_edges(_law(sample))
    counts, (_, exact) = band_counts(sample, points, edges), exact_bands(sample, edges)
    overall = _law(sample)["fraction"].to_numpy(float)
    claims = []
    for band, following, k, words in (
        (0, 1, 0, f"of the points below the mean cost of minima ({edges[1]:.3g}) are minima"),
        (-1, -2, -1, f"of the points above the mean cost of maxima ({edges[-2]:.3g}) are maxima"),
    ):
        reference, rival, plain = float(exact[band, k]), float(exact[following, k]), float(overall[k])
        share = _fraction(counts[:, band], k)
        claims += [
            Claim(
                f"{where}: P(index | cost): share {words}", reference, GIVEN, share, 0.5 * (reference - rival), rival
            ),
            Claim(
                f"{where}: the index does not depend on the cost: share {words}, as of all points",
                plain,
                "independence",
                share,
                0.5 * (reference - plain),
                reference,
                expected=False,
            ),
        ]
    return claims


def _fraction(counts: np.ndarray, k: int) -> Callable[[float], Estimate]:
    return lambda level: index_fractions(counts, level=level)[k]


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
    notes = [
        "Means are over all points of an index (annealed); errors: one standard error between draws.",
        *[band_note(s, frame) for s, frame in zip(samples, frames, strict=True) if s.landscape == "spherical_spin"],
    ]
    return Table(columns, rows, "Cost of critical points by index", notes)


def band_note(sample: Sample, points: pd.DataFrame) -> str:
    """Say how the indices share the bands of cost: minima, maxima and mean index fraction, measured (exact)."""
    edges = band_edges(_law(sample))
    counts, (_, exact) = band_counts(sample, points, edges).sum(axis=0), exact_bands(sample, edges)
    alpha = np.arange(sample.dimension + 1) / sample.dimension
    parts = []
    for name, row, law in zip(band_names(edges), counts, exact, strict=True):
        seen = row / max(row.sum(), 1)
        pairs = ((seen[0], law[0]), (seen[-1], law[-1]), (seen @ alpha, law @ alpha))
        parts.append(f"{name}: {', '.join(f'{a:.3f} ({b:.3f})' for a, b in pairs)}, {row.sum():.0f} points")
    return (
        f"{words_of(sample)}, n = {sample.n}, by bands of cost, share of minima, share of maxima and mean index "
        f"fraction, measured (exact): {'; '.join(parts)}."
    )


def figure(samples: Sequence[Sample], frames: Sequence[pd.DataFrame]) -> Figure:
    """Return index against cost with Bray and Dean's curve for the field; below, P(index | cost) of the spins."""
    spins = [pair for pair in zip(samples, frames, strict=True) if pair[0].landscape == "spherical_spin"]
    with canvas.style():
        result, axes = canvas.grid(2, 3, width=3.1, height=2.8)
        for axis, sample, points in zip(axes[0], samples, frames, strict=True):
            index_cost_panel(axis, sample, points)
            axis.set_title(f"{words_of(sample)}, $n = {sample.n}$")
            if sample.landscape == "torus_field":
                alpha = np.linspace(0, 1, 101)
                axis.plot(large_n_cost(sample.n, alpha), alpha, **canvas.COIN, label="Bray & Dean, $n$ large")
        axes[0, 0].set_ylabel(r"index fraction $\alpha = k / D$")
        for axis, pair in zip(axes[1], spins, strict=False):
            _conditional_panel(axis, *pair)
        axes[1, 2].set_axis_off()
        pairs = (axes[0, 0].get_legend_handles_labels(), axes[1, 0].get_legend_handles_labels())
        handles, labels = ([*above, *below] for above, below in zip(*pairs, strict=True))
        axes[1, 2].legend(handles, labels, loc="center left", labelspacing=0.35)
        canvas.panel_letters(axes.ravel()[:5])
    return result


def _conditional_panel(axis: Axes, sample: Sample, points: pd.DataFrame) -> None:
    """Draw the exact P(index | cost) of minima, saddles and maxima, and what was measured in bands of cost."""
    from simcore.theory.conditional import spin_index_given_energy

    edges = band_edges(_law(sample))
    counts, cost = band_counts(sample, points, edges), points["cost"].to_numpy(float)
    grid = np.linspace(cost.min(), cost.max(), 161)
    law = spin_index_given_energy(sample.n, grid, int(sample.parameters["p"]))
    band = np.clip(np.searchsorted(edges, cost, side="right") - 1, 0, len(edges) - 2)
    places = [cost[band == b].mean() for b in range(len(edges) - 1)]
    kinds = (("minima", slice(0, 1), 0), ("saddles", slice(1, sample.dimension), 1), ("maxima", slice(-1, None), 2))
    exact = exact_bands(sample, edges)[1]
    for words, part, j in kinds:
        look = {"color": canvas.SEQUENCE[j]}
        axis.plot(grid, law[:, part].sum(axis=1), **look, linestyle=canvas.LINES[j], label=f"{words}, exact")
        chosen = counts[:, :, part].sum(axis=2)
        shares = [
            index_fractions(np.stack([chosen[:, b], counts[:, b].sum(axis=1) - chosen[:, b]], axis=1))[0]
            for b in range(len(places))
        ]
        axis.errorbar(
            places, [e.value for e in shares], yerr=canvas.bars(shares), **look,
            marker=canvas.MARKERS[j], linestyle="none",
            markersize=4, markerfacecolor="white", label=f"{words}, measured in bands",
        )  # fmt: skip
        axis.plot(places, exact[:, part].sum(axis=1), "_", **look, markersize=11)
    axis.plot([], [], "_", color="#444444", markersize=11, label="exact, same bands")
    axis.set(xlabel="energy per spin $f = H/n$", ylabel="$P($index$\\,|\\,f)$", ylim=(-0.03, 1.03))
    axis.set_title(f"{words_of(sample)}, $n = {sample.n}$")


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
