"""The ratio of saddle points to minima grows exponentially with the dimension.

The claim of Goodfellow, Bengio and Courville (2016), section 8.2.3, after Dauphin et al. (2014). Two classes of random
functions whose exact law is known at every n are enumerated completely: isotropic Gaussian fields (on the torus) and
the spherical 3-spin. Judged: the growth rate, the ratio itself, and three pictures that are often put in the law's
place: coin flips for the eigenvalues' signs, plain random matrices, and raw hits of Newton's method.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .. import canvas
from ..estimates import Estimate, annealed_ratio, growth_rate, growth_slope, log_means
from ..figures import ratio_figure
from ..samples import Sample, ratio_of_law
from ..tables import coin_flip_ratio
from ..writers import Column, Table
from .runs import counted
from .study import Result, Study
from .verdicts import Claim

QUICK = {
    "torus_field": {2: 400, 3: 400, 4: 200, 5: 100},
    "spherical_spin": {4: 400, 5: 400, 6: 200, 7: 200, 8: 200, 9: 100, 10: 100},
}
FULL = {
    "torus_field": {2: 4000, 3: 4000, 4: 2000, 5: 1000, 6: 400},
    "spherical_spin": {4: 4000, 5: 4000, 6: 2000, 7: 2000, 8: 2000, 9: 1000, 10: 1000, 11: 400, 12: 400},
}
"""Draws per n, so that larger n, whose ratio fluctuates less from draw to draw, do not take all the time."""

WORDS = {"torus_field": "isotropic Gaussian field", "spherical_spin": "spherical 3-spin"}
BOOK = "Goodfellow, Bengio & Courville (2016), 8.2.3"


def measure(full: bool, out: Path) -> Result:
    """Enumerate both families and judge the claims."""
    plan = FULL if full else QUICK
    families = [
        counted(out / "runs", {"name": "torus_field"}, plan["torus_field"]),
        counted(out / "runs", {"name": "spherical_spin", "p": 3}, plan["spherical_spin"]),
    ]
    claims = [claim for family in families for claim in family_claims(family)]
    samples = [s for family in families for s in family]
    return Result(growth_table(samples), growth_figure(samples), claims)


def family_claims(family: Sequence[Sample]) -> list[Claim]:
    """Return the five claims about one family, sorted by n; D >= 2, with minima and saddles, in each."""
    law = {"torus_field": "simcore.theory.gaussian", "spherical_spin": "simcore.theory.spin"}[family[0].landscape]
    words = WORDS[family[0].landscape]
    last = family[-1]
    n = np.array([s.n for s in family], float)
    exact = np.array([math.log(s.ratio_exact or math.nan) for s in family])
    log_ratios = [log_means([(1, s.saddles), (-1, s.minima)]) for s in family]
    same_fit = growth_slope(n, exact, [e.se for e in log_ratios])
    top_exact, coin, goe = (
        float(last.ratio_exact or math.nan),
        coin_flip_ratio(last.dimension),
        goe_ratio(last.dimension),
    )

    def ratio(level: float) -> Estimate:
        return annealed_ratio(last.saddles, last.minima, level=level)

    where = f"{words}, n = {last.n}"
    return [
        Claim(
            f"{words}: the ratio grows exponentially, ln(saddles/minima) by the exact rate per dimension, "
            f"n = {family[0].n}..{last.n}",
            same_fit, f"the same weighted fit on the exact ratios ({law})",
            _rate(n, log_ratios), 0.1 * same_fit,
        ),
        Claim(f"{where}: saddles/minima is the exact ratio", top_exact, law, ratio, 0.4 * top_exact),
        Claim(f"{where}: coin flips give saddles/minima", float(coin), f"2^D - 2; {BOOK}", ratio, 0.4 * coin),
        Claim(
            f"{where}: plain GOE matrices give saddles/minima", goe, "Dean & Majumdar (2006), simcore.theory.goe",
            ratio, 0.4 * goe,
        ),
        Claim(
            f"{words}: hits overstate the ratio by a factor that does not grow with n (rate of its logarithm is 0)",
            0.0, "hits taken for counts", _rate(n, [hit_excess(s) for s in family]), 0.1 * same_fit,
        ),
    ]  # fmt: skip


def hit_excess(sample: Sample) -> Estimate:
    """Return ln of (ratio by hits / ratio by distinct points), from the same draws."""
    share = sample.hits / sample.hits.sum(axis=1, keepdims=True)
    saddles = share[:, 1 : sample.dimension].sum(axis=1)
    return log_means([(1, saddles), (-1, share[:, 0]), (-1, sample.saddles), (1, sample.minima)])


def goe_ratio(dimension: int) -> float:
    """Return saddles / minima if the Hessian were a plain GOE matrix."""
    from simcore.theory.goe import goe_law

    return ratio_of_law(goe_law(dimension))


def growth_table(samples: Sequence[Sample]) -> Table:
    """Return a row a combination: the ratio beside its exact value and the three pictures."""
    rows = []
    for s in samples:
        ratio, excess = s.ratio(), hit_excess(s)
        factor = math.exp(excess.value)
        rows.append(
            {
                "landscape": s.landscape, "n": s.n, "functions": s.draws, "complete": int(s.complete.sum()),
                "minima": int(s.minima.sum()), "ratio_distinct": ratio, "ratio_exact": s.ratio_exact,
                "z": ratio.z(s.ratio_exact) if s.complete.all() and s.ratio_exact is not None else None,
                "ratio_quenched": s.ratio_quenched(), "ratio_hits": s.ratio_hits(),
                "hits_over_distinct": Estimate(
                    factor, factor * excess.se, math.exp(excess.low), math.exp(excess.high), draws=s.draws
                ),
                "ratio_coin_flip": coin_flip_ratio(s.dimension), "ratio_goe": goe_ratio(s.dimension),
            }
        )  # fmt: skip
    columns = [
        Column("landscape", "landscape"), Column("n", "n", "$n$"), Column("functions", "functions"),
        Column("complete", "complete"), Column("minima", "minima"),
        Column("ratio_distinct", "saddles/minima (annealed)"), Column("ratio_exact", "exact"),
        Column("z", "z", "$z$", places=2), Column("ratio_quenched", "quenched"), Column("ratio_hits", "by hits"),
        Column("hits_over_distinct", "hits/distinct"), Column("ratio_coin_flip", "coin flips", "$2^D-2$"),
        Column("ratio_goe", "plain GOE", digits=4),
    ]  # fmt: skip
    notes = [
        "Annealed: mean saddles over mean minima; quenched: mean ratio over draws with minima, another number. "
        "Errors: one standard error between draws."
    ]
    return Table(columns, rows, "Saddle points per minimum against dimension", notes)


def growth_figure(samples: Sequence[Sample]) -> Figure:
    """Return the ratio figure with the plain GOE ratio added."""
    figure = ratio_figure(samples)
    families: dict[str, list[Sample]] = {}
    for s in samples:
        families.setdefault(s.label, []).append(s)
    with canvas.style():
        for axis, members in zip(figure.axes, families.values(), strict=False):
            low, high = axis.get_ylim()
            axis.plot(
                [s.n for s in members], [goe_ratio(s.dimension) for s in members], **canvas.GOE, label="plain GOE"
            )
            axis.set_ylim(low, 4 * high)
        canvas.common_legend(figure, np.array(figure.axes[: len(families)]))
    return figure


def _rate(n: np.ndarray, logs: Sequence[Estimate]) -> Callable[[float], Estimate]:
    degrees = [e.draws - 1 for e in logs]
    return lambda level: growth_rate(n, [e.value for e in logs], [e.se for e in logs], degrees=degrees, level=level)


STUDY = Study(
    "ratio_growth",
    "In many classes of random functions the expected ratio of saddle points to local minima grows exponentially with "
    "dimension.",
    f"{BOOK}; Dauphin et al. (2014).",
    measure,
)
