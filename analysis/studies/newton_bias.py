"""Counting what Newton's method finds overstates the ratio of saddles to minima, for 3-spins ever more as n grows.

Every function is enumerated completely, and searched again by Newton's method under several step rules; the hits of
each rule are compared with the distinct points of the very same functions and with the exact law. The bias is a matter
of basins: their mean size against the index, and against the cost among minima, is measured too.

Symbols: cap, the step cap in units of 1/sqrt(n) correlation lengths; basin of index k, (share of hits at index k) over
(share of distinct points at index k), 1 for every k if hits were counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from simcore.landscapes import registry

from .. import canvas
from ..estimates import Estimate, annealed_ratio, growth_rate, jackknife, log_means
from ..samples import Sample, load_samples
from ..tables import coin_flip_ratio
from ..writers import Column, Table
from .runs import compute, seed_of
from .study import Result, Study
from .verdicts import Claim, measurement

SEED = seed_of("newton_bias")
CAPS = (1.85, 3.7, math.inf)
"""Step caps c of the rules, in c / sqrt(n) correlation lengths; inf is Newton's method as it is in textbooks."""

QUICK = {"torus_field": dict.fromkeys((2, 3, 4, 5), 100), "spherical_spin": dict.fromkeys((4, 6, 8, 10), 80)}
FULL = {
    "torus_field": {2: 2000, 3: 2000, 4: 1000, 5: 500, 6: 200},
    "spherical_spin": {4: 2000, 5: 2000, 6: 1000, 7: 1000, 8: 500, 9: 500, 10: 300, 11: 200, 12: 200},
}
STARTS = 512
OURS = "our own claim"
WORDS = {"torus_field": "isotropic Gaussian field", "spherical_spin": "spherical 3-spin"}
EXACT = {"torus_field": "simcore.theory.gaussian", "spherical_spin": "simcore.theory.spin"}


@dataclass(frozen=True)
class Comparison:
    """One combination: its complete enumeration and the same functions' hits under each step rule."""

    counted: Sample
    hits: dict[float, Sample]
    points: pd.DataFrame

    def basins(self, cap: float) -> list[Estimate | None]:
        """ln of the mean basin of each index relative to all points'; None where hits or points are missing."""
        counts, hits = self.counted.counts, self.hits[cap].hits
        basins: list[Estimate | None] = []
        for k in range(self.counted.dimension + 1):
            if not counts[:, k].any() or not hits[:, k].any():
                basins.append(None)
                continue
            terms = [(1, hits[:, k]), (-1, hits.sum(axis=1)), (-1, counts[:, k]), (1, counts.sum(axis=1))]
            basins.append(log_means(terms))
        return basins

    def excess(self, cap: float, level: float = 0.95) -> Estimate:
        """ln of (ratio by hits / ratio by distinct points), from the same draws."""
        hits, s = self.hits[cap].hits, self.counted
        saddles = hits[:, 1 : s.dimension].sum(axis=1)
        return log_means([(1, saddles), (-1, hits[:, 0]), (-1, s.saddles), (1, s.minima)], level=level)

    def deep_minima(self, level: float = 0.95) -> Estimate:
        """Mean cost of minima weighted by hits minus the plain mean, over the exact standard deviation."""
        minima = self.points[self.points["morse_index"] == 0]
        draw, cost, hits = (minima[c].to_numpy(float) for c in ("draw", "cost", "hits"))
        # weights of a draw add up to its number of minima, so that draws with more starts do not weigh more
        per_draw = np.bincount(draw.astype(int), weights=hits, minlength=self.counted.draws)
        weight = hits * self.counted.minima[draw.astype(int)] / np.maximum(per_draw[draw.astype(int)], 1)
        terms = (weight, weight * cost, np.ones_like(cost), cost)
        sums = np.stack([np.bincount(draw.astype(int), t, self.counted.draws) for t in terms], axis=1)
        law = self.counted.law
        assert law is not None
        width = float(law.sort_values("morse_index")["sd_cost"].iloc[0])
        return jackknife(lambda t: float((t[1] / t[0] - t[3] / t[2]) / width), sums, level=level)


def measure(full: bool, out: Path) -> Result:
    """Enumerate and search both families, and judge hits by the exact law."""
    plan = FULL if full else QUICK
    families = [compare(out / "runs", name, plan[name]) for name in plan]
    claims = [claim for family in families for claim in family_claims(family)]
    rows = [c for family in families for c in family]
    return Result(table(rows), figure(families), claims)


def compare(out: Path, name: str, draws: dict[int, int]) -> list[Comparison]:
    """Compute (or resume) the runs of one family: enumerations, and Newton searches of the same draws by every rule.

    Dimensions with the same number of draws share a run, except under a finite cap, whose length depends on n.
    """
    from simcore.sweep import load

    family: dict[str, Any] = {"name": name} | ({"p": 3} if name == "spherical_spin" else {})
    newton: dict[str, Any] = {"method": "newton", "starts": STARTS}
    counted: dict[int, Sample] = {}
    hits: dict[int, dict[float, Sample]] = {n: {} for n in draws}
    points: dict[int, pd.DataFrame] = {}
    for number in dict.fromkeys(draws.values()):
        together = [{**family, "n": [n for n in draws if draws[n] == number]}]
        run = compute(out / f"{name}-{number}", together, seed=SEED, draws=number)
        rows = load(run)
        for sample in load_samples(run):
            counted[sample.n], points[sample.n] = sample, rows[rows["n"] == sample.n]
        solver: dict[str, Any] = {"method": "newton", "step_cap": "inf"}
        free = compute(out / f"{name}-{number}-cap-inf", together, seed=SEED, draws=number, solver=solver, **newton)
        for sample in load_samples(free):
            hits[sample.n][math.inf] = sample
    for n, number in draws.items():
        alone = {**family, "n": n}
        for cap in CAPS:
            if math.isfinite(cap):
                solver = {"method": "newton", "step_cap": step_cap(alone, cap)}
                run = compute(
                    out / f"{name}-n{n}-cap-{cap:g}", [alone], seed=SEED, draws=number, solver=solver, **newton
                )
                (hits[n][cap],) = load_samples(run)
    return [Comparison(counted[n], hits[n], points[n]) for n in sorted(draws)]


def step_cap(landscape: dict[str, Any], cap: float) -> float:
    """Return c / sqrt(n) correlation lengths as a length in x; ``landscape`` is a table of a configuration."""
    return cap / math.sqrt(landscape["n"]) * registry.from_dict(landscape).scales.length


def family_claims(family: Sequence[Comparison]) -> list[Claim]:
    """Return the claims about one family: hits are not counts under any rule, distinct points are."""
    last = family[-1]
    s = last.counted
    exact, source = float(s.ratio_exact or math.nan), EXACT[s.landscape]
    coin = float(coin_flip_ratio(s.dimension))
    where = f"{WORDS[s.landscape]}, n = {s.n}"
    claims = [
        Claim(
            f"{where}: the ratio by distinct points is the exact one", exact, source,
            lambda level: annealed_ratio(s.saddles, s.minima, level=level), 0.5 * abs(exact - coin), coin,
        )
    ]  # fmt: skip
    for cap in CAPS:
        claims.append(
            Claim(
                f"{where}: the ratio by hits, {rule(cap)}, is the exact one", exact, f"hits taken for counts; {source}",
                last.hits[cap].ratio_hits, 0.5 * exact, 2 * exact, expected=False,
            )
        )  # fmt: skip
    for cap in CAPS[1:]:
        excess = [c.excess(cap) for c in family]
        span = f"{WORDS[s.landscape]}, n = {family[0].counted.n} to {s.n}"
        claims += [
            measurement(f"{where}: ratio by hits, {rule(cap)}, over that of distinct points", OURS, _factor(last, cap)),
            measurement(
                f"{span}: growth of the logarithm of that factor per dimension, {rule(cap)}",
                OURS,
                _rate(family, excess),
            ),
        ]
    claims.append(
        Claim(
            f"{where}: minima are hit whatever their cost (shift of their mean cost by hits, in exact sd, is 0)",
            0.0, "hits taken for counts", last.deep_minima, 0.5, -1.0, expected=False,
        )
    )  # fmt: skip
    return claims


def rule(cap: float) -> str:
    """A step rule in words."""
    return "no step cap" if math.isinf(cap) else f"step cap {cap:g}/sqrt(n) correlation lengths"


def table(rows: Sequence[Comparison]) -> Table:
    """Return a row for each combination and step rule."""
    lines: list[dict[str, Any]] = []
    for c in rows:
        s = c.counted
        for cap in CAPS:
            h = c.hits[cap]
            excess = c.excess(cap)
            factor = math.exp(excess.value)
            over = Estimate(factor, factor * excess.se, math.exp(excess.low), math.exp(excess.high))
            basins = c.basins(cap)
            lines.append(
                {
                    "landscape": s.landscape, "n": s.n, "functions": s.draws, "complete": int(s.complete.sum()),
                    "cap": "none" if math.isinf(cap) else f"{cap:g}", "starts": int(h.starts.sum()),
                    "critical": h.statuses.get("critical", 0) / h.starts.sum(),
                    "ratio_hits": h.ratio_hits(), "ratio_distinct": s.ratio(), "ratio_exact": s.ratio_exact,
                    "hits_over_distinct": over,
                    "basin_minima": None if basins[0] is None else math.exp(basins[0].value),
                    "ratio_coin_flip": coin_flip_ratio(s.dimension),
                }
            )  # fmt: skip
    columns = [
        Column("landscape", "landscape"), Column("n", "n", "$n$"), Column("functions", "functions"),
        Column("complete", "complete"), Column("cap", "cap c", "cap $c$"), Column("starts", "starts"),
        Column("critical", "critical", digits=3), Column("ratio_hits", "saddles/minima (hits)"),
        Column("ratio_distinct", "distinct"), Column("ratio_exact", "exact"),
        Column("hits_over_distinct", "hits/distinct"), Column("basin_minima", "basin of a minimum", digits=3),
        Column("ratio_coin_flip", "coin flips", "$2^D-2$"),
    ]  # fmt: skip
    notes = [
        "Step cap c/sqrt(n) correlation lengths. Critical: share of the starts. Basin of a minimum: its hits relative "
        "to an average critical point's. Hits and distinct points come from the same functions; errors: one standard "
        "error between draws.",
    ]
    return Table(columns, lines, "Newton's hits against distinct critical points", notes)


def figure(families: Sequence[Sequence[Comparison]]) -> Figure:
    """Return, a row a family: ratios against n (left); at the largest n, mean basin against the index (right)."""
    with canvas.style():
        figure, axes = canvas.grid(len(families), 2, width=3.7, height=2.8)
        for row, family in enumerate(families):
            left, right = axes[row]
            n = [c.counted.n for c in family]
            left.plot(n, [c.counted.ratio_exact for c in family], **canvas.EXACT, label="exact law")
            _errors(left, n, [c.counted.ratio() for c in family], canvas.DISTINCT, "distinct points")
            last = family[-1].counted
            alpha = np.arange(last.dimension + 1) / last.dimension
            for j, cap in enumerate(CAPS):
                name = "hits, no step cap" if math.isinf(cap) else rf"hits, cap ${cap:g}/\sqrt{{n}}$"
                look = {
                    "color": canvas.SEQUENCE[j + 1], "marker": canvas.MARKERS[j + 1], "markerfacecolor": "white",
                    "linestyle": canvas.LINES[j + 1], "linewidth": 0.9,
                }  # fmt: skip
                _errors(left, n, [c.hits[cap].ratio_hits() for c in family], look, name)
                shown = [(a, b) for a, b in zip(alpha, family[-1].basins(cap), strict=True) if b is not None]
                x = [a for a, _ in shown]
                y = np.array([math.exp(b.value) for _, b in shown])
                ends = np.array([[math.exp(b.low), math.exp(b.high)] for _, b in shown])
                right.errorbar(x, y, yerr=np.abs(ends.T - y), **look, label=name)
            left.set_yscale("log")
            right.set_yscale("log")
            right.axhline(1.0, **canvas.EXACT, zorder=0)
            canvas.log_ticks(left)
            canvas.log_ticks(right)
            canvas.whole_ticks(left, n)
            left.set_title(last.title)
            right.set_title(f"{last.title}, $n = {last.n}$")
            left.set_ylabel("saddles / minima")
            right.set_ylabel("relative basin per point")
        axes[-1, 0].set_xlabel("dimension $n$")
        axes[-1, 1].set_xlabel("index fraction $k / D$")
        canvas.panel_letters(axes)
        canvas.common_legend(figure, axes)
    return figure


def _errors(axis, n: Sequence[int], estimates: Sequence[Estimate], look: dict, label: str) -> None:
    good = [(x, e) for x, e in zip(n, estimates, strict=True) if math.isfinite(e.value) and e.value > 0]
    error = np.array([[e.value - e.low, min(e.high, 1e300) - e.value] for _, e in good])
    axis.errorbar([x for x, _ in good], [e.value for _, e in good], yerr=error.T, label=label, **look)


def _factor(c: Comparison, cap: float):
    def factor(level: float) -> Estimate:
        e = c.excess(cap, level)
        value, low, high = (math.exp(v) for v in (e.value, e.low, e.high))
        return Estimate(value, value * e.se, low, high, level, e.sides, e.draws, "annealed")

    return factor


def _rate(family: Sequence[Comparison], logs: Sequence[Estimate]):
    n = [c.counted.n for c in family]
    values, errors, degrees, skewness = zip(*((e.value, e.se, e.draws - 1, e.skewness) for e in logs), strict=True)
    return lambda level: growth_rate(n, values, errors, degrees=degrees, skewness=skewness, level=level)


STUDY = Study(
    "newton_bias",
    "Counting what Newton's method finds overstates the ratio of saddle points to minima, whatever the step rule: by a "
    "factor that grows with n for the 3-spin, and between 1.1 and 1.6 for isotropic fields of n = 2 to 6.",
    f"{OURS}; the exact laws judge it.",
    measure,
)
