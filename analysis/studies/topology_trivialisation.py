"""Confinement removes all but one critical point: topology trivialisation at m = 1.

Fyodorov (2004): a Gaussian field in a parabola (mu/2)|x|^2, mu = m sqrt(n), has exponentially many critical points for
m < 1 and, as n grows, one minimum for m > 1. Every draw is enumerated completely (Euler sum 1), or counted by the arc
walk at the largest n, and compared with the exact law at finite n, where the transition is smooth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .. import canvas
from ..estimates import Estimate, growth_rate, growth_slope, log_means, mean, mean_count
from ..samples import Sample, load_samples
from ..writers import Column, Table
from .runs import compute, seed_of
from .study import Result, Study
from .verdicts import Claim

SEED = seed_of("topology_trivialisation")
QUICK: dict[str, Any] = {"n": [1, 2, 3, 5], "m": [0.5, 0.75, 1.0, 1.25, 1.5, 2.0], "draws": 400}
FULL: dict[str, Any] = {"n": [1, 2, 3, 4, 5, 6], "m": [0.5, 0.75, 1.0, 1.25, 1.5, 2.0], "draws": 2000}
WALKED: dict[str, Any] = {"n": [7], "m": [0.5], "draws": 8}
"""What is counted by the arc walk (``simcore.counts``), by so many moves a draw, for table and figure. Claims rest on
the lists, since numbers of points are skewed and few functions are walked on:"""
MOVES = 16_000
JUDGED = ((1, 0.5), (2, 0.5), (2, 1.0), (5, 0.5), (5, 1.0), (5, 1.5))
"""Combinations (n, m) whose mean counts are judged one by one."""

FAR = (20, 50)
"""Dimensions at which the exact law alone is asked."""
FYODOROV = "Fyodorov (2004)"
EXACT = "simcore.theory.confined"


def measure(full: bool, out: Path) -> Result:
    """Count the grid of (n, m) and judge counts, growth and trivialisation."""
    plan = FULL if full else QUICK
    landscape = {"name": "confined_field", "n": plan["n"], "m": plan["m"]}
    run = compute(out / "runs" / f"grid-{plan['draws']}", [landscape], seed=SEED, draws=plan["draws"])
    far = landscape | {"n": WALKED["n"], "m": WALKED["m"]}
    walks = compute(out / "runs" / "walk", [far], seed=SEED, draws=WALKED["draws"], method="walk", moves=MOVES)
    listed, walked = ({(s.n, float(s.parameters["m"])): s for s in load_samples(part)} for part in (run, walks))
    samples = listed | walked
    return Result(table(list(samples.values())), figure(samples), claims_of(listed))


def claims_of(samples: dict[tuple[int, float], Sample]) -> list[Claim]:
    """Return the claims: mean counts, their growth below the transition, and what is left above it."""
    from simcore.theory.asymptotics import confined_complexity

    claims = []
    for n, m in JUDGED:
        s = samples[n, m]
        for what, exact, count, rate in zip(
            ("critical points", "minima"), (exact_total(s), exact_minima(s)), (s.counts.sum(axis=1), s.minima),
            confined_complexity(m), strict=True,
        ):  # fmt: skip
            limit = math.exp(n * rate)  # what the law of large n, exp(n times complexity), would give here
            claims.append(
                Claim(
                    f"n = {n}, m = {m:g}: mean number of {what} is the exact one", exact, EXACT, _mean(count),
                    min(0.4 * exact, 0.5 * abs(exact - limit)), limit,
                )
            )  # fmt: skip
    claims += growth_claims([s for (_, m), s in sorted(samples.items()) if m == min(key[1] for key in samples)])
    n, m = max((n, m) for n, m in samples if samples[n, m].draws == max(s.draws for s in samples.values()))
    total = exact_total(samples[n, m])
    claims.append(
        Claim(
            f"n = {n}, m = {m:g}: one critical point is left already", 1.0, f"the limit of large n taken for n = {n}",
            _mean(samples[n, m].counts.sum(axis=1)), 0.5 * (total - 1), total, expected=False,
        )
    )  # fmt: skip
    return [*claims, *limit_claims()]


def limit_claims() -> list[Claim]:
    """Return the claims about large n, on the exact law at n = ``FAR``: what is left above m = 1, growth below."""
    from simcore.theory.asymptotics import confined_complexity
    from simcore.theory.confined import confined_field_law

    low, high = FAR
    below, above = 0.5, 1.5
    left = float(confined_field_law(high, above)["mean_count"].sum())
    totals = [float(confined_field_law(n, below)["mean_count"].sum()) for n in FAR]
    rate, limit = math.log(totals[1] / totals[0]) / (high - low), confined_complexity(below)[0]

    def within(value: float, reference: float) -> Callable[[float], Estimate]:
        low, high = sorted((value, reference))
        return lambda level: Estimate(value, 0.0, low, high, level, kind="bound")

    return [
        Claim(
            f"exact law, n = {high}, m = {above:g}: one critical point is left", 1.0, f"{FYODOROV}, m > 1",
            within(left, 1.0), 0.05,
        ),
        Claim(
            f"exact law, m = {below:g}, n = {low} to {high}: critical points grow exponentially, by the rate of "
            "large n",
            limit, f"{FYODOROV}, simcore.theory.asymptotics", within(rate, limit), 0.1 * limit,
        ),
    ]  # fmt: skip


def growth_claims(family: Sequence[Sample]) -> list[Claim]:
    """Return the claims about the growth of the total with n at one m < 1."""
    from simcore.theory.asymptotics import confined_complexity

    m = float(family[0].parameters["m"])
    n = [s.n for s in family]
    logs = [log_means([(1, s.counts.sum(axis=1))]) for s in family]
    se = [e.se for e in logs]
    same = growth_slope(n, [math.log(exact_total(s)) for s in family], se)
    limit = confined_complexity(m)[0]

    def rate(level: float) -> Estimate:
        values, degrees, skewness = zip(*((e.value, e.draws - 1, e.skewness) for e in logs), strict=True)
        return growth_rate(n, values, se, degrees=degrees, skewness=skewness, level=level)

    where = f"m = {m:g}, n = {n[0]}..{n[-1]}: critical points grow exponentially"
    return [
        Claim(f"{where}, by the exact rate per dimension", same, f"the same weighted fit on the exact law ({EXACT})",
              rate, 0.5 * abs(same - limit), limit),
        Claim(f"{where}, by the rate of large n already", limit, f"{FYODOROV}, simcore.theory.asymptotics", rate,
              0.5 * abs(same - limit), same, expected=False),
    ]  # fmt: skip


def exact_total(sample: Sample) -> float:
    """Return the exact mean number of critical points."""
    return float(_law(sample)["mean_count"].sum())


def exact_minima(sample: Sample) -> float:
    """Return the exact mean number of minima."""
    return float(_law(sample)["mean_count"].iloc[0])


def table(samples: Sequence[Sample]) -> Table:
    """Return a row for each (n, m)."""
    rows = []
    for s in samples:
        total, minima = mean_count(s.counts.sum(axis=1)), mean_count(s.minima)
        alone = mean(s.counts.sum(axis=1) == 1)
        done = bool(s.complete.all())
        rows.append(
            {
                "n": s.n, "m": float(s.parameters["m"]), "functions": s.draws, "complete": int(s.complete.sum()),
                "critical_points": total, "critical_points_exact": exact_total(s),
                "z_total": total.z(exact_total(s)) if done and total.se > 0 else None,
                "minima": minima, "minima_exact": exact_minima(s),
                "z_minima": minima.z(exact_minima(s)) if done and minima.se > 0 else None, "alone": alone.value,
            }
        )  # fmt: skip
    columns = [
        Column("n", "n", "$n$"), Column("m", "m", "$m$"), Column("functions", "functions"),
        Column("complete", "complete, or trusted"), Column("critical_points", "critical points"),
        Column("critical_points_exact", "exact", places=4), Column("z_total", "z", "$z$", places=2),
        Column("minima", "minima"), Column("minima_exact", "exact", places=4),
        Column("z_minima", "z", "$z$", places=2), Column("alone", "one point only", digits=3),
    ]  # fmt: skip
    notes = [
        "Mean numbers a function, with one standard error between functions; the last column is the share of functions "
        f"with a single critical point. n = {WALKED['n'][0]}: counted by the arc walk."
    ]
    return Table(columns, rows, "Critical points of a Gaussian field in a parabola, mu = m sqrt(n)", notes)


def figure(samples: dict[tuple[int, float], Sample]) -> Figure:
    """Return mean numbers of critical points (left) and of minima (right) against m, a curve an n."""
    from simcore.theory.confined import confined_field_law

    dimensions = sorted({n for n, _ in samples})
    grid = np.linspace(min(m for _, m in samples), max(m for _, m in samples), 25)
    with canvas.style():
        figure, axes = canvas.grid(1, 2, width=3.8, height=3.2)
        for j, n in enumerate(dimensions):
            laws = [confined_field_law(n, float(m)) for m in grid]
            members = [s for (k, _), s in sorted(samples.items()) if k == n]
            color, mark = canvas.SEQUENCE[j % 7], canvas.MARKERS[j % 7]
            exact: tuple[Callable, Callable] = (lambda t: t["mean_count"].sum(), lambda t: t["mean_count"].iloc[0])
            for axis, count, law in zip(
                axes[0], (lambda s: s.counts.sum(axis=1), lambda s: s.minima), exact, strict=True
            ):
                line = canvas.LINES[j % 5]
                axis.plot(grid, [law(t) for t in laws], color=color, linestyle=line, linewidth=1)
                means = [mean_count(count(s)) for s in members]
                axis.errorbar(
                    [float(s.parameters["m"]) for s in members], [e.value for e in means],
                    yerr=canvas.bars(means), color=color, marker=mark,
                    linestyle="none", markerfacecolor="white",
                )  # fmt: skip
                axis.plot([], [], color=color, marker=mark, linestyle=line, markerfacecolor="white", label=f"$n = {n}$")
        _far_curves(axes[0], grid)
        for axis, what in zip(axes[0], ("critical points", "minima"), strict=True):
            axis.axvline(1.0, color="#999999", linewidth=0.6)
            axis.axhline(1.0, color="#999999", linewidth=0.6)
            axis.set_yscale("log")
            axis.set_xlabel(r"confinement $m = \mu / \sqrt{n}$")
            axis.set_ylabel(f"mean number of {what}")
            canvas.log_ticks(axis)
        figure.supxlabel("points: measured, 95 % intervals; lines: exact law", fontsize=8.5)
        canvas.panel_letters(axes)
        canvas.common_legend(figure, axes, columns=7)
    return figure


def _far_curves(axes: np.ndarray, grid: np.ndarray) -> None:
    """Draw the exact law at dimensions beyond enumeration, where the transition at m = 1 is sharper."""
    from simcore.theory.confined import confined_field_law

    coarse = np.linspace(grid[0], grid[-1], 11)
    for n, line in zip(FAR, ("-", "--"), strict=True):
        counts = [confined_field_law(n, float(m))["mean_count"].to_numpy(float) for m in coarse]
        for axis, values in zip(axes, ([c.sum() for c in counts], [c[0] for c in counts]), strict=True):
            highest = axis.get_ylim()[1]
            axis.plot(coarse, values, color="#999999", linestyle=line, linewidth=1, label=f"$n = {n}$", zorder=0)
            axis.set_ylim(0.9, highest)


def _law(sample: Sample):
    law = sample.law
    assert law is not None, "a confined field with isotropic frequencies has an exact law"
    return law.sort_values("morse_index")


def _mean(values: np.ndarray) -> Callable[[float], Estimate]:
    return lambda level: mean_count(values, level=level)


STUDY = Study(
    "topology_trivialisation",
    "Confinement removes all but one critical point: below m = 1 their number grows exponentially with the dimension, "
    "above it one minimum is left.",
    f"{FYODOROV}; Fyodorov & Williams (2007).",
    measure,
)
