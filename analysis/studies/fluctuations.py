"""How much the numbers of critical points fluctuate from one random function to the next.

Subag (2017): in the spherical p-spin model the numbers of critical points below the threshold energy concentrate round
their means as n grows, second moment over first moment squared tends to 1, and pairs of them are orthogonal. What holds
at finite n, and for all minima of the 3-spin, whose energies lie in a wide band there, is measured here by complete
enumeration: Var N / E[N]^2 of all points and of minima against n, Var/mean of minima, the correlation of the counts of
two indices, how far E ln N lies below ln E N (quenched and annealed), and the overlaps q = x.y/n of pairs of minima,
for which independent points of the sphere have E[q^2] = 1/n.
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

from simcore.statistics.intervals import of_draws

from .. import canvas
from ..estimates import Array, Estimate, mean
from ..samples import Sample, load_samples
from ..writers import Column, Table
from .growth import combined, slope_weights
from .proportions import correlation
from .runs import compute, seed_of
from .study import Result, Study
from .verdicts import Claim, measurement

SEED = seed_of("fluctuations")
QUICK = {4: 400, 6: 400, 8: 300, 10: 100}
FULL = {4: 4000, 5: 4000, 6: 4000, 7: 2000, 8: 2000, 9: 1000, 10: 1000, 11: 400, 12: 400}
SUBAG = "Subag (2017)"
NEW = "a new number"


def measure(full: bool, out: Path) -> Result:
    """Enumerate 3-spins with their positions and judge how the counts vary."""
    from simcore.sweep import load

    samples, overlaps = [], {}
    for n, draws in (FULL if full else QUICK).items():
        table = {"name": "spherical_spin", "n": n, "p": 3}
        run = compute(out / "runs" / f"spin-{n}", [table], seed=SEED, draws=draws, positions=True)
        (sample,) = load_samples(run)
        samples.append(sample)
        overlaps[n] = squared_overlaps(load(run), n, sample.draws)
    claims = [*spread_claims(samples), *last_claims(samples[-1], overlaps[samples[-1].n])]
    return Result(fluctuation_table(samples, overlaps), fluctuation_figure(samples, overlaps), claims)


def squared_overlaps(points: pd.DataFrame, n: int, draws: int) -> Array:
    """Return each draw's sum of q^2 over its pairs of minima, and the number of pairs, shape (draws, 2)."""
    sums = np.zeros((draws, 2))
    for draw, rows in points[points["morse_index"] == 0].groupby("draw"):
        x = np.array(list(rows["x"]))
        q = (x @ x.T / n)[np.triu_indices(len(x), 1)]
        sums[int(draw)] = (q @ q, len(q))
    return sums


def relative_variance(counts: Array, level: float = 0.95) -> Estimate:
    """Return ln(Var N / E[N]^2) over draws, jackknifed."""
    return of_draws(lambda x: float(np.log(x.var(ddof=1) / x.mean() ** 2)), counts, level=level, kind="log variance")


def gap(counts: Array, level: float = 0.95) -> Estimate:
    """Return ln E[N] - E[ln N] over the draws that have any: by how much annealed exceeds quenched."""
    seen = counts[counts > 0]
    return of_draws(lambda x: float(np.log(x.mean()) - np.log(x).mean()), seen, level=level, kind="mean")


def mean_square(sums: Array, n: int, level: float = 0.95) -> Estimate:
    """Return n E[q^2] over all pairs of minima, annealed, with its interval over draws."""
    return of_draws(lambda t: float(n * t[:, 0].sum() / t[:, 1].sum()), sums, level=level, kind="annealed")


def spread_claims(samples: Sequence[Sample]) -> list[Claim]:
    """Var N / E[N]^2 against n: its slope per dimension, which must be negative where numbers concentrate."""
    n = [s.n for s in samples]
    claims = []
    for words, counts in (("critical points", [s.counts.sum(axis=1) for s in samples]),
                          ("minima", [s.minima for s in samples])):  # fmt: skip
        logs = [relative_variance(c) for c in counts]
        claims.append(
            measurement(
                f"3-spin, n = {n[0]} to {n[-1]}: slope of ln(Var N / E[N]^2) of the number of {words} per dimension "
                "(negative: it concentrates)", SUBAG, _slope(n, logs),
            )
        )  # fmt: skip
    return claims


def _slope(n: Sequence[int], logs: Sequence[Estimate]) -> Callable[[float], Estimate]:
    return lambda level: combined(slope_weights(n), logs, level)


def last_claims(s: Sample, sums: Array) -> list[Claim]:
    """Return what is measured at the largest n, and the picture of independent counts, which is to be refuted."""
    where = f"3-spin, n = {s.n}"
    total, minima = s.counts.sum(axis=1), s.minima

    def fano(level: float) -> Estimate:
        return of_draws(lambda x: float(x.var(ddof=1) / x.mean()), minima, level=level, kind="ratio")

    return [
        measurement(f"{where}: Var/mean of the number of minima (Poisson: 1)", NEW, fano),
        measurement(
            f"{where}: ln E[N] - E[ln N] of all critical points (annealed over quenched)", f"{NEW}; {SUBAG}",
            lambda level: gap(total, level),
        ),
        measurement(
            f"{where}: ln E[N] - E[ln N] of minima (annealed over quenched)", f"{NEW}; {SUBAG}",
            lambda level: gap(minima, level),
        ),
        Claim(
            f"{where}: numbers of minima and of points of index 1 are unrelated: their correlation between draws", 0.0,
            "independent counts", correlation(minima, s.counts[:, 1]), 0.5, 1.0, expected=False,
        ),
        measurement(
            f"{where}: n times the mean squared overlap of two minima (independent points: 1)", f"{NEW}; {SUBAG}",
            lambda level: mean_square(sums, s.n, level),
        ),
    ]  # fmt: skip


def fluctuation_table(samples: Sequence[Sample], overlaps: dict[int, Array]) -> Table:
    """Return a row an n: means, relative variances, correlation of neighbouring indices, overlaps."""
    rows: list[dict[str, Any]] = []
    for s in samples:
        total = s.counts.sum(axis=1)
        rows.append(
            {
                "n": s.n, "functions": s.draws, "complete": int(s.complete.sum()), "points": mean(total),
                "minima": mean(s.minima), "variance": _exponential(relative_variance(total)),
                "variance_minima": _exponential(relative_variance(s.minima)), "gap": gap(total),
                "gap_minima": gap(s.minima), "correlation": correlation(s.minima, s.counts[:, 1])(0.95),
                "overlap": mean_square(overlaps[s.n], s.n),
            }
        )  # fmt: skip
    columns = [
        Column("n", "n", "$n$"), Column("functions", "functions"), Column("complete", "complete"),
        Column("points", "critical points"), Column("variance", "Var N / E[N]^2", "$\\mathrm{Var} N/E[N]^2$"),
        Column("gap", "ln E N - E ln N"), Column("minima", "minima"),
        Column("variance_minima", "Var N / E[N]^2 of minima", "minima"),
        Column("gap_minima", "ln E N - E ln N of minima", "minima"),
        Column("correlation", "correlation of minima and index 1"), Column("overlap", "n E[q^2] of pairs of minima"),
    ]  # fmt: skip
    notes = ["Errors: one standard error between draws. Overlaps: over all pairs of distinct minima of a draw."]
    return Table(columns, rows, "Fluctuations of the numbers of critical points of the spherical 3-spin", notes)


def _exponential(e: Estimate) -> Estimate:
    value, low, high = (math.exp(v) for v in (e.value, e.low, e.high))
    return Estimate(value, value * e.se, low, high, e.level, e.sides, e.draws, "ratio", e.note)


def fluctuation_figure(samples: Sequence[Sample], overlaps: dict[int, Array]) -> Figure:
    """Return relative variances, annealed less quenched, the correlation matrix of the indices, and overlaps."""
    n = [s.n for s in samples]
    with canvas.style():
        figure, axes = canvas.grid(2, 2, width=3.5, height=2.8)
        kinds = (("all critical points", [s.counts.sum(axis=1) for s in samples], canvas.DISTINCT),
                 ("minima", [s.minima for s in samples], canvas.HITS))  # fmt: skip
        for words, counts, look in kinds:
            _points(axes[0, 0], n, [_exponential(relative_variance(c)) for c in counts], look, words)
            _points(axes[0, 1], n, [gap(c) for c in counts], look, words)
        axes[0, 0].set(yscale="log", ylabel=r"$\mathrm{Var}\,N\,/\,E[N]^2$", title="relative variance")
        canvas.log_ticks(axes[0, 0])
        axes[0, 1].set(ylabel=r"$\ln E[N] - E[\ln N]$", title="annealed over quenched")
        axes[0, 1].set_ylim(bottom=0)
        _points(axes[1, 1], n, [mean_square(overlaps[k], k) for k in n], canvas.DISTINCT, "pairs of minima")
        axes[1, 1].axhline(1.0, **canvas.COIN, label="independent points")
        axes[1, 1].set(ylabel=r"$n\,E[q^2]$", title="overlaps of minima")
        for axis in (axes[0, 0], axes[0, 1], axes[1, 1]):
            axis.set_xlabel("dimension $n$")
            axis.margins(y=0.25)
            canvas.whole_ticks(axis, n)
            axis.legend(loc="best")
        _matrix(axes[1, 0], samples[-1])
        canvas.panel_letters(axes)
    return figure


def _points(axis: Axes, n: Sequence[int], estimates: Sequence[Estimate], look: dict[str, Any], label: str) -> None:
    axis.errorbar(n, [e.value for e in estimates], yerr=canvas.bars(estimates), **look, label=label)


def _matrix(axis: Axes, s: Sample) -> None:
    with np.errstate(invalid="ignore"):
        table = np.corrcoef(s.counts.T)
    image = axis.imshow(table, vmin=-1, vmax=1, cmap="RdBu_r", origin="lower")
    axis.figure.colorbar(image, ax=axis, shrink=0.85)
    axis.set(xlabel="index $k$", ylabel="index $l$", title=f"correlation of $N_k$, $N_l$, $n = {s.n}$")


STUDY = Study(
    "fluctuations",
    "The numbers of critical points concentrate round their means as the dimension grows.",
    f"{SUBAG}, for energies below the threshold; here for all points and all minima at finite n.",
    measure,
)
