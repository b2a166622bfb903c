"""The coin-flip picture: the signs of the Hessian's eigenvalues at a critical point as n fair coins.

Goodfellow, Bengio and Courville (2016), section 8.2.3: a minimum is n heads in a row, so exponentially rare. Measured:
the fraction of minima among all critical points, and that of the other indices, in two families with an exact law,
beside coin flips (binomial) and plain random matrices (GOE; Dean and Majumdar 2006), the latter sampled too. And the
book's conditional version, that heads are likelier at low cost: the share of positive eigenvalues at critical points
below the mean cost of minima, beside the exact one (``simcore.theory.conditional``) and fair coins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import canvas
from ..estimates import Estimate, index_fractions, mean
from ..samples import Sample
from ..writers import Column, Table
from .bands import band_counts, band_edges, exact_bands
from .runs import counted, seed_of
from .study import Result, Study
from .verdicts import Claim

SEED = seed_of("coin_flip")
QUICK = {
    "torus_field": {2: 400, 3: 400, 4: 200, 5: 100, 6: 60},
    "spherical_spin": {3: 400, 4: 400, 5: 400, 6: 200, 7: 200, 8: 200},
}
FULL = {
    "torus_field": {2: 4000, 3: 4000, 4: 2000, 5: 1000, 6: 400},
    "spherical_spin": {3: 4000, 4: 4000, 5: 4000, 6: 2000, 7: 2000, 8: 2000, 9: 1000, 10: 1000},
}
MATRICES = 200_000
"""Random matrices sampled for each order."""
ORDERS = (1, 2, 3, 4)

BOOK = "Goodfellow, Bengio & Courville (2016), 8.2.3"
EXACT = {"torus_field": "simcore.theory.gaussian", "spherical_spin": "simcore.theory.spin"}
WORDS = {"torus_field": "isotropic Gaussian field", "spherical_spin": "spherical 3-spin"}


def measure(full: bool, out: Path) -> Result:
    """Enumerate both families, sample plain matrices, and judge who has the law of minima."""
    plan = FULL if full else QUICK
    spin = {"name": "spherical_spin", "p": 3}
    families = [
        counted(out / "runs", {"name": "torus_field"}, plan["torus_field"], seed=SEED),
        counted(out / "runs", spin, plan["spherical_spin"], seed=SEED),
    ]
    low = points_of(out / "runs", plan["spherical_spin"], families[1][-1])
    matrices = {n: positive_definite(n, MATRICES * (5 if full else 1)) for n in ORDERS}
    claims = [claim for family in families for claim in family_claims(family)] + matrix_claims(matrices)
    claims += conditional_claims(families[1][-1], low)
    return Result(table([s for f in families for s in f], matrices), figure(families, matrices), claims)


def family_claims(family: Sequence[Sample]) -> list[Claim]:
    """Return the claims about minima at the family's largest n, and at n = 2 on the torus, where coins are right."""
    last = family[-1]
    d, where = last.dimension, f"{WORDS[last.landscape]}, n = {last.n}"
    exact = float(fractions_of(last.law)[0]) if last.law is not None else float("nan")
    coin, goe = coin_fractions(d)[0], goe_fractions(d)[0]

    def minima(sample: Sample):
        return lambda level: index_fractions(sample.counts, level=level)[0]

    claims = [
        Claim(
            f"{where}: the fraction of minima is the exact one", exact, EXACT[last.landscape], minima(last),
            0.5 * abs(exact - coin), coin,
        ),
        Claim(
            f"{where}: a minimum is D heads in a row, 2^-D", coin, f"simcore.theory.coin_flip; {BOOK}", minima(last),
            0.5 * abs(exact - coin), exact, expected=False,
        ),
        Claim(
            f"{where}: a minimum is as rare as a positive GOE matrix", goe,
            "Dean & Majumdar (2006), simcore.theory.goe", minima(last), 0.5 * abs(exact - goe), exact, expected=False,
        ),
    ]  # fmt: skip
    if family[0].landscape == "torus_field" and family[0].n == 2:
        two = coin_fractions(2)[0]
        claims.append(
            Claim(
                f"{WORDS['torus_field']}, n = 2: a minimum is two heads in a row",
                two, "simcore.theory.coin_flip", minima(family[0]), 0.5 * (two - goe_fractions(2)[0]),
                goe_fractions(2)[0],
            )
        )  # fmt: skip
    return claims


def points_of(runs: Path, draws: Mapping[int, int], sample: Sample) -> pd.DataFrame:
    """Return the critical points behind a sample of the 3-spin."""
    from simcore.sweep import load

    rows = load(runs / f"spherical_spin-{draws[sample.n]}")
    return rows[rows["n"] == sample.n]


def conditional_claims(sample: Sample, points: pd.DataFrame) -> list[Claim]:
    """Return the claims that heads (positive eigenvalues) are likelier at low cost, and that they stay fair there."""
    law = sample.law
    assert law is not None, "the 3-spin has an exact law"
    edges, d = band_edges(law), sample.dimension
    low = band_counts(sample, points, edges)[:, 0]  # (draws, D + 1)
    heads = d - np.arange(d + 1)
    exact = float(exact_bands(sample, edges)[1][0] @ heads / d)
    tosses = np.stack([low @ heads, low @ (d - heads)], axis=1)

    def share(level: float) -> Estimate:
        return index_fractions(tosses, level=level)[0]

    where = f"{WORDS[sample.landscape]}, n = {sample.n}, critical points below the mean cost of minima ({edges[1]:.3g})"
    half = 0.5 * (exact - 0.5)
    return [
        Claim(
            f"{where}: heads are likelier at low cost, by the exact law: share of positive eigenvalues", exact,
            f"simcore.theory.conditional; {BOOK}", share, half, 0.5,
        ),
        Claim(
            f"{where}: coins are fair at low cost too: share of positive eigenvalues", 0.5,
            "simcore.theory.coin_flip, whatever the cost", share, half, exact, expected=False,
        ),
    ]  # fmt: skip


def matrix_claims(matrices: dict[int, Estimate]) -> list[Claim]:
    """Return the claims about the largest sampled order of plain random matrices."""
    n = max(matrices)
    samples = round(matrices[n].draws)
    goe, coin = goe_fractions(n)[0], coin_fractions(n)[0]

    def measured(level: float) -> Estimate:
        return positive_definite(n, samples, level)

    return [
        Claim(
            f"GOE matrices of order {n} (sampled): all eigenvalues positive with the exact probability", goe,
            "Dean & Majumdar (2006), simcore.theory.goe", measured, 0.5 * goe, 0.0,
        ),
        Claim(
            f"GOE matrices of order {n} (sampled): the signs of their eigenvalues are coin flips", coin,
            "simcore.theory.coin_flip", measured, 0.5 * (coin - goe), goe, expected=False,
        ),
    ]  # fmt: skip


def positive_definite(n: int, count: int, level: float = 0.95) -> Estimate:
    """Return the share of ``count`` GOE_n matrices (variance 1 off the diagonal, 2 on it) that are positive definite.

    Sampled in blocks with a generator of the study's seed, so that the same call gives the same share.
    """
    rng = np.random.default_rng([SEED, n])
    positive = []
    for block in np.array_split(np.arange(count), max(1, count // 20_000)):
        a = rng.standard_normal((len(block), n, n))
        positive.append(np.linalg.eigvalsh((a + a.transpose(0, 2, 1)) / np.sqrt(2))[:, 0] > 0)
    hits = np.concatenate(positive).astype(float)
    share = index_fractions(np.stack([hits, 1 - hits], axis=1), level=level)[0]
    return Estimate(
        share.value, mean(hits).se, share.low, share.high, level, share.sides, count, "fraction", share.note
    )


def fractions_of(law) -> np.ndarray:
    """Return a law's fractions by index, shape (D + 1,)."""
    return law.sort_values("morse_index")["fraction"].to_numpy(float)


def coin_fractions(dimension: int) -> np.ndarray:
    """Return the binomial law of heads."""
    from simcore.theory.coin_flip import coin_flip_law

    return fractions_of(coin_flip_law(dimension))


def goe_fractions(dimension: int) -> np.ndarray:
    """Return the law of the number of negative eigenvalues of GOE."""
    from simcore.theory.goe import goe_law

    return fractions_of(goe_law(dimension))


def table(samples: Sequence[Sample], matrices: dict[int, Estimate]) -> Table:
    """Return the fraction of minima of each combination beside the three laws."""
    rows = []
    for s in samples:
        minima = s.fractions()[0]
        exact = float(fractions_of(s.law)[0]) if s.law is not None else None
        rows.append(
            {
                "law": WORDS[s.landscape], "n": s.n, "D": s.dimension, "functions": s.draws,
                "complete": int(s.complete.sum()), "points": int(s.counts.sum()), "minima_fraction": minima,
                "exact": exact, "z": minima.z(exact) if exact is not None and s.complete.all() else None,
                "coin_flip": float(coin_fractions(s.dimension)[0]), "goe": float(goe_fractions(s.dimension)[0]),
            }
        )  # fmt: skip
    for n, share in matrices.items():
        exact = float(goe_fractions(n)[0])
        rows.append(
            {
                "law": "plain GOE matrices (sampled)", "n": n, "D": n, "functions": share.draws,
                "minima_fraction": share, "exact": exact, "z": share.z(exact), "goe": exact,
                "coin_flip": float(coin_fractions(n)[0]),
            }
        )  # fmt: skip
    columns = [
        Column("law", "functions of"), Column("n", "n", "$n$"), Column("D", "D", "$D$"),
        Column("functions", "draws"), Column("complete", "complete"), Column("points", "critical points"),
        Column("minima_fraction", "fraction of minima"), Column("exact", "exact", digits=5),
        Column("z", "z", "$z$", places=2), Column("coin_flip", "coin flips", "$2^{-D}$", digits=4),
        Column("goe", "plain GOE", digits=4),
    ]  # fmt: skip
    notes = [
        "Fractions are annealed (mean minima over mean critical points); errors: one standard error between draws."
    ]
    return Table(columns, rows, "Fraction of minima among critical points", notes)


def figure(families: Sequence[Sequence[Sample]], matrices: dict[int, Estimate]) -> Figure:
    """Return the fraction of minima against D (left) and the index law at the largest n (right), a row a family."""
    with canvas.style():
        figure, axes = canvas.grid(len(families), 2, width=3.7, height=2.7)
        for row, family in enumerate(families):
            _minima_panel(axes[row, 0], family, matrices if row == 0 else {})
            _index_panel(axes[row, 1], family[-1])
            axes[row, 0].set_title(family[0].title)
            axes[row, 1].set_title(f"{family[-1].title}, $n = {family[-1].n}$")
        axes[-1, 0].set_xlabel("dimension $D$ of the domain")
        axes[-1, 1].set_xlabel("index fraction $k / D$")
        canvas.panel_letters(axes)
        canvas.common_legend(figure, axes)
    return figure


def _minima_panel(axis: Axes, family: Sequence[Sample], matrices: dict[int, Estimate]) -> None:
    d = np.array([s.dimension for s in family])
    grid = np.arange(min(d.min(), *matrices, d.max()) if matrices else d.min(), d.max() + 1)
    axis.plot(grid, [coin_fractions(int(x))[0] for x in grid], **canvas.COIN, label="coin flips")
    axis.plot(grid, [goe_fractions(int(x))[0] for x in grid], **canvas.GOE, label="plain GOE")
    exact = [(s.dimension, fractions_of(s.law)[0]) for s in family if s.law is not None]
    axis.plot(*zip(*exact, strict=True), **canvas.EXACT, label="exact law")
    _points(axis, d, [s.fractions()[0] for s in family], canvas.DISTINCT, "distinct points, 95 % interval")
    if matrices:
        look = {**canvas.HITS, "marker": "D", "color": "#777777"}
        _points(axis, list(matrices), list(matrices.values()), look, "GOE, sampled")
    axis.set_yscale("log")
    axis.set_ylim(top=1.0)
    canvas.whole_ticks(axis, grid)
    axis.set_ylabel("fraction of minima $p_0$")


def _index_panel(axis: Axes, sample: Sample) -> None:
    alpha = np.arange(sample.dimension + 1) / sample.dimension
    axis.plot(alpha, coin_fractions(sample.dimension), **canvas.COIN, label="coin flips")
    axis.plot(alpha, goe_fractions(sample.dimension), **canvas.GOE, label="plain GOE")
    if sample.law is not None:
        axis.plot(alpha, fractions_of(sample.law), **canvas.EXACT, label="exact law")
    fractions = sample.fractions()
    _points(axis, alpha, fractions, canvas.DISTINCT, "distinct points, 95 % interval")
    axis.set_yscale("log")
    axis.set_ylim(bottom=0.1 * min(f.low for f in fractions if f.low > 0))
    axis.set_ylabel("fraction $p_k$")


def _points(axis: Axes, x, estimates: Sequence[Estimate], look: dict, label: str) -> None:
    y = np.array([e.value for e in estimates])
    error = np.abs(np.array([[e.value - e.low, e.high - e.value] for e in estimates]).T)
    axis.errorbar(x, y, yerr=error, label=label, zorder=3, **look)


STUDY = Study(
    "coin_flip",
    "The signs of the Hessian's eigenvalues at a critical point are like fair coins, so that minima are exponentially "
    "rare: n heads in a row.",
    f"{BOOK}.",
    measure,
)
