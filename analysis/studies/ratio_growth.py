"""The ratio of saddle points to minima grows exponentially with the dimension, in many classes of random functions.

The claim of Goodfellow, Bengio and Courville (2016), section 8.2.3, after Dauphin et al. (2014). Four classes whose
exact law is known at every n are enumerated completely: isotropic Gaussian fields (on the torus) and spherical p-spins,
p = 3, 4, 5; beyond lists of points the arc walk counts fields and 3-spins (``simcore.counts``). The control is the
2-spin, whose critical points are the eigenvectors of a random matrix: two of every index, so its ratio is D - 1, the
number of indices between minima and maxima, and grows as a power. Exponential growth is tested as such (``growth.py``):
ln(ratio) must bend upwards against ln(D - 1), where a power law is straight, as it does by the exact law; and the exact
law is followed to n = 200, where the local slope of ln(ratio) per dimension tends to a constant, 1 for the fields and
(p - 2)/p for p-spins (the complexity of all critical points less that of the minima; Auffinger, Ben Arous and Cerny
2013), 0 for p = 2. Two pictures that are put in the law's place are to be refuted: coin flips for the eigenvalues'
signs and plain random matrices.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .. import canvas
from ..estimates import Estimate, annealed_ratio, log_means
from ..samples import Sample, ratio_of_law
from ..tables import coin_flip_ratio
from ..writers import Column, Table
from .growth import bend_weights, combined, local_slopes, misfit
from .proportions import counted_exactly
from .runs import counted, seed_of
from .study import Result, Study
from .verdicts import Claim

BOOK = "Goodfellow, Bengio & Courville (2016), 8.2.3"
SEED = seed_of("ratio_growth")
FAR = (50, 100, 200)
"""Dimensions whose slopes, between neighbours, say where the exact law goes."""
SHOWN = (12, 15, 20, 30, 50, 70, 100, 140, 200)
"""Dimensions beyond enumeration at which the exact law is drawn."""
DATA = Path(__file__).parent.parent / "data" / "log_ratios.json"
"""ln(saddles/minima) at ``SHOWN``, by ``simcore.theory``: the law at n = 200 takes seconds for each class."""


@dataclass(frozen=True)
class FunctionClass:
    """One class of random functions.

    landscape : its table in a configuration file.
    words : its name in a sentence.
    quick, full : draws for each n, fewer at large n, where a draw takes longer and its ratio fluctuates less.
    limit : the slope of ln(ratio) per dimension as n grows.
    walked : draws counted by the arc walk for each n beyond, quick and full.
    """

    landscape: dict[str, Any]
    words: str
    quick: Mapping[int, int] = field(repr=False)
    full: Mapping[int, int] = field(repr=False)
    limit: float
    walked: tuple[Mapping[int, int], Mapping[int, int]] = ({}, {})

    @property
    def degree(self) -> int | None:
        """The p of a p-spin, None for the field."""
        return self.landscape.get("p")

    @property
    def grows(self) -> bool:
        """Whether the ratio grows exponentially by the exact law."""
        return self.limit > 0


def spin(p: int, quick: Mapping[int, int], full: Mapping[int, int], *walked: Mapping[int, int]) -> FunctionClass:
    """Return the class of spherical p-spins; ``walked`` are none, or quick and full."""
    first, last = walked or ({}, {})
    table = {"name": "spherical_spin", "p": p}
    return FunctionClass(table, f"spherical {p}-spin", quick, full, (p - 2) / p, (first, last))


CLASSES = (
    FunctionClass(
        {"name": "torus_field"}, "isotropic Gaussian field", {2: 600, 3: 600, 4: 600, 5: 250},
        {2: 4000, 3: 4000, 4: 4000, 5: 2000, 6: 600}, 1.0, ({7: 10}, {7: 16, 8: 16}),
    ),
    spin(3, {3: 300, 4: 300, 5: 300, 6: 300, 7: 300, 8: 300, 10: 80},
         {3: 4000, 4: 4000, 5: 4000, 6: 4000, 7: 2000, 8: 2000, 9: 1000, 10: 1000, 11: 400, 12: 400},
         {15: 10, 20: 10}, {16: 16, 20: 16, 30: 16}),
    spin(4, {3: 800, 4: 800, 5: 800, 6: 800}, {3: 4000, 4: 4000, 5: 4000, 6: 2000, 7: 600, 8: 200}),
    spin(5, {3: 200, 4: 200, 5: 200, 6: 200}, {3: 4000, 4: 4000, 5: 2000, 6: 1000, 7: 200}),
    spin(2, {3: 40, 4: 40, 5: 40, 6: 40, 8: 40, 10: 40}, dict.fromkeys((3, 4, 5, 6, 8, 10, 12), 400)),
)  # fmt: skip
"""Quick plans: the curvature's interval is narrower than half of it in every class, by the spreads of a pilot."""
MOVES = 24_000, 96_000
"""Moves of a walk, quick and full: 25 round trips or more at the largest n, fixed so that no stopping rule enters."""


def measure(full: bool, out: Path) -> Result:
    """Count all classes, by lists of points and beyond them by walks, and judge how their ratios grow."""
    found = {}
    for c in CLASSES:
        runs = out / "runs" / (f"p{c.degree}" if c.degree else "field")
        listed = counted(runs, c.landscape, c.full if full else c.quick, seed=SEED)
        walked = counted(runs / "walk", c.landscape, c.walked[full], seed=SEED, method="walk", moves=MOVES[full])
        found[c.words] = [*listed, *walked]
    claims = [claim for c in CLASSES for claim in (class_claims if c.grows else control_claims)(c, found[c.words])]
    return Result(growth_table(found), growth_figure(found), claims)


# ---- the exact law -----------------------------------------------------------------------------------------------
@cache
def stored() -> dict[str, dict[str, float]]:
    """Return the exact ln(saddles/minima) at ``SHOWN``, by class and n."""
    return json.loads(DATA.read_text())["log_ratio"]


@cache
def exact_log_ratio(name: str, n: int, p: int | None = None) -> float:
    """Return ln(saddles/minima) of the exact law; ln(n - 2) for the 2-spin, two critical points of every index."""
    from simcore.theory.tables import log_saddles_over_minima

    if p == 2:
        return math.log(n - 2)
    known = stored()[f"{name} {p}" if p else name]
    if str(n) in known:
        return float(known[str(n)])
    value = log_saddles_over_minima(name, n, p)
    assert value is not None, "a dimension of two or more has saddles"
    return float(value)


def exact(c: FunctionClass, n: int) -> float:
    """Return ln(saddles/minima) of the class by its exact law."""
    return exact_log_ratio(c.landscape["name"], n, c.degree)


def exact_slope(c: FunctionClass, low: int, high: int) -> float:
    """Return the exact growth of ln(ratio) per dimension between two dimensions."""
    return (exact(c, high) - exact(c, low)) / (high - low)


def doubling(c: FunctionClass) -> float:
    """Return the exact slope between n = 100 and 200 over that between 50 and 100: 1 if exponential, 1/2 if a power."""
    low, middle, high = FAR
    return exact_slope(c, middle, high) / exact_slope(c, low, middle)


def goe_ratio(dimension: int) -> float:
    """Return saddles / minima if the Hessian were a plain GOE matrix."""
    from simcore.theory.goe import goe_law

    return ratio_of_law(goe_law(dimension))


# ---- claims ------------------------------------------------------------------------------------------------------
def log_ratios(family: Sequence[Sample]) -> list[Estimate]:
    """Return ln of the annealed ratio at each n."""
    return [log_means([(1, s.saddles), (-1, s.minima)]) for s in family]


def bend(family: Sequence[Sample]) -> Callable[[float], Estimate]:
    """Return the measured curvature of ln(ratio) against x = ln(D - 1), the coefficient of x^2."""
    weights = bend_weights(np.log([s.dimension - 1 for s in family]))
    return lambda level: combined(weights, log_ratios(family), level)


def exact_bend(c: FunctionClass, n: Sequence[int]) -> float:
    """Return the same fit on the exact ratios."""
    dimension = np.array(n) - (1 if c.degree else 0)
    return float(bend_weights(np.log(dimension - 1)) @ [exact(c, k) for k in n])


def class_claims(c: FunctionClass, family: Sequence[Sample]) -> list[Claim]:
    """Return the claims about a class whose ratio grows exponentially, its samples sorted by n."""
    law = f"exact law, simcore.theory.{'spin' if c.degree else 'gaussian'}"
    n, last = [s.n for s in family], family[-1]
    curved, top, coin = exact_bend(c, n), math.exp(exact(c, last.n)), float(coin_flip_ratio(last.dimension))
    goe = goe_ratio(last.dimension)

    def ratio(level: float) -> Estimate:
        return annealed_ratio(last.saddles, last.minima, level=level)

    def close(level: float) -> Estimate:
        value = doubling(c)
        return Estimate(value, 0.0, min(1.0, value), max(1.0, value), level, kind="bound")

    where, span = f"{c.words}, n = {last.n}", f"{c.words}, n = {n[0]} to {n[-1]}"
    return [
        Claim(f"{where}: saddles/minima is the exact ratio", top, law, ratio, _half(top, coin), coin),
        Claim(
            f"{span}: ln(saddles/minima) bends upwards against ln(D - 1) as by the exact law",
            curved, f"the same fit on the {law}", bend(family), _half(curved, 0.0), 0.0,
        ),
        Claim(
            f"{c.words}: the exact law grows exponentially: its slope per dimension between n = 100 and 200 over that "
            "between 50 and 100 (a power: 1/2)",
            1.0, f"exponential growth; {law}", close, _half(1.0, 0.5), 0.5,
        ),
        Claim(
            f"{span}: the ratio grows as a power (ln(saddles/minima) straight in ln(D - 1), curvature 0)",
            0.0, "power law", bend(family), _half(curved, 0.0), curved, expected=False,
        ),
        Claim(
            f"{where}: coin flips give saddles/minima", coin, f"2^D - 2; {BOOK}", ratio, _half(coin, top), top,
            expected=False,
        ),
        Claim(
            f"{where}: plain GOE matrices give saddles/minima", goe, "Dean & Majumdar (2006), simcore.theory.goe",
            ratio, _half(goe, top), top, expected=False,
        ),
    ]  # fmt: skip


def control_claims(c: FunctionClass, family: Sequence[Sample]) -> list[Claim]:
    """Return the claims about the control: its ratio is n - 2 in every draw, and it passes for no exponential."""
    n = [s.n for s in family]
    off = max(float(np.abs(s.saddles / np.maximum(s.minima, 1) - (s.n - 2)).max()) for s in family)
    same = spin(3, {}, {})
    curved, value = exact_bend(same, n), doubling(c)
    return [
        Claim(
            f"{c.words}, n = {n[0]} to {n[-1]}: saddles/minima is n - 2 in every draw: largest difference", 0.0,
            "two critical points of every index", counted_exactly(off, sum(s.draws for s in family)), 0.5, 1.0,
        ),
        Claim(
            f"{c.words}, n = {n[0]} to {n[-1]}: the ratio grows as a power (ln(saddles/minima) straight in ln(D - 1), "
            "curvature 0)", 0.0, "ratio D - 1", bend(family), _half(curved, 0.0), curved,
        ),
        Claim(
            f"{c.words}, n = {n[0]} to {n[-1]}: ln(saddles/minima) bends upwards against ln(D - 1) as a 3-spin's does",
            curved, "the same fit on the exact law of the 3-spin", bend(family), _half(curved, 0.0), 0.0,
            expected=False,
        ),
        Claim(
            f"{c.words}: the ratio grows exponentially: its slope per dimension between n = 100 and 200 over that "
            "between 50 and 100",
            1.0, "exponential growth", counted_exactly(value), _half(1.0, 0.5), 0.5, expected=False,
        ),
    ]  # fmt: skip


def _half(reference: float, rival: float) -> float:
    """Return the widest resolution that tells a reference from its nearest rival."""
    return 0.5 * abs(reference - rival)


# ---- table and figure --------------------------------------------------------------------------------------------
def growth_table(found: Mapping[str, Sequence[Sample]]) -> Table:
    """Return a row for each class and n: the ratio and the local slope beside their exact values, and the pictures."""
    rows, notes = [], []
    for c in CLASSES:
        family = found[c.words]
        logs, n = log_ratios(family), [s.n for s in family]
        slopes: list[Estimate | None] = [None, *local_slopes(n, logs)]
        for j, s in enumerate(family):
            ratio, top = s.ratio(), math.exp(exact(c, s.n))
            rows.append(
                {
                    "class": c.words, "n": s.n, "way": WAYS[s.method], "functions": s.draws,
                    "complete": int(s.complete.sum()),
                    "minima": int(s.minima.sum()), "ratio": ratio, "exact": top,
                    "z": ratio.z(top) if s.complete.all() else None, "quenched": s.ratio_quenched(),
                    "slope": slopes[j], "slope_exact": exact_slope(c, n[j - 1], s.n) if j else None,
                    "coin_flip": coin_flip_ratio(s.dimension), "goe": goe_ratio(s.dimension),
                }
            )  # fmt: skip
        notes.append(fit_note(c, n, logs))
    columns = [
        Column("class", "class"), Column("n", "n", "$n$"), Column("way", "counted by"),
        Column("functions", "functions"), Column("complete", "complete, or trusted"), Column("minima", "minima"),
        Column("ratio", "saddles/minima (annealed)"), Column("exact", "exact"),
        Column("z", "z", "$z$", places=2), Column("quenched", "quenched"),
        Column("slope", "slope of ln ratio per n, from the row above"), Column("slope_exact", "exact", digits=4),
        Column("coin_flip", "coin flips", "$2^D-2$"), Column("goe", "plain GOE", digits=4),
    ]  # fmt: skip
    about = (
        "Annealed: mean saddles over mean minima; quenched: mean ratio over draws with minima, another number. "
        "Errors: one standard error between draws. D = n, n - 1 for spins."
    )
    return Table(columns, rows, "Saddle points per minimum against dimension", [about, *notes])


WAYS = {"enumerate": "lists", "walk": "arc walk"}


def fit_note(c: FunctionClass, n: Sequence[int], logs: Sequence[Estimate]) -> str:
    """Say how an exponential and a power fit the measured ratios, and where the exact law's slope goes."""
    dimension = np.array(n) - (1 if c.degree else 0)
    (rate, chi, degrees), (power, power_chi, _) = misfit(n, logs), misfit(np.log(dimension - 1), logs)
    quality = f" (chi-square {chi:.3g})", f" (chi-square {power_chi:.3g} at {degrees} degrees of freedom)"
    exponential, algebraic = quality if math.isfinite(chi) else ("", " (no spread between draws)")
    low, middle, high = FAR
    return (
        f"{c.words}: exponential fit, rate {rate:.3f} a dimension{exponential}; power fit in D - 1, exponent "
        f"{power:.2f}{algebraic}; exact slope {exact_slope(c, low, middle):.4f} between n = {low} and {middle}, "
        f"{exact_slope(c, middle, high):.4f} between {middle} and {high}, limit {c.limit:.4g}."
    )


LOOKS = {
    c.words: {"color": canvas.SEQUENCE[k], "marker": canvas.MARKERS[k], "line": canvas.LINES[k]}
    for k, c in enumerate(CLASSES)
}


def growth_figure(found: Mapping[str, Sequence[Sample]]) -> Figure:
    """Return two classes beside coin flips and GOE; all classes to n = 200; their local slopes."""
    with canvas.style():
        figure, axes = canvas.grid(2, 2, width=3.7, height=3.0)
        for axis, c in zip(axes[0], CLASSES[:2], strict=True):
            _picture_panel(axis, c, found[c.words])
        _far_panel(axes[1, 0], found)
        _slope_panel(axes[1, 1], found)
        canvas.panel_letters(axes)
    return figure


def _measured(axis: Axes, c: FunctionClass, x: Sequence[float], estimates: Sequence[Estimate], **more: Any) -> None:
    look = LOOKS[c.words]
    axis.errorbar(
        x, [e.value for e in estimates], yerr=canvas.bars(estimates), color=look["color"], marker=look["marker"],
        linestyle="none", markerfacecolor="white", **more,
    )  # fmt: skip


def _picture_panel(axis: Axes, c: FunctionClass, family: Sequence[Sample]) -> None:
    n = [s.n for s in family]
    listed, walked = ([s for s in family if s.method == method] for method in WAYS)
    axis.plot(n, [math.exp(exact(c, k)) for k in n], **canvas.EXACT, label="exact law")
    axis.plot(n, [coin_flip_ratio(s.dimension) for s in family], **canvas.COIN, label="coin flips, $2^D-2$")
    axis.plot(n, [goe_ratio(s.dimension) for s in family], **canvas.GOE, label="plain GOE")
    ratios = [s.ratio() for s in family]
    looks = ({**canvas.DISTINCT, "label": "lists of points, 95 %"}, {**canvas.WALKED, "label": walk_label(walked)})
    for some, look in zip((listed, walked), looks, strict=True):
        if some:
            found = [s.ratio() for s in some]
            axis.errorbar([s.n for s in some], [e.value for e in found], yerr=canvas.bars(found), **look)
    highest = max(coin_flip_ratio(family[-1].dimension), ratios[-1].value)
    axis.set(
        yscale="log", ylim=(0.5 * ratios[0].value, 300 * highest), xlabel="dimension $n$", ylabel="saddles / minima"
    )
    axis.set_title(c.words)
    canvas.whole_ticks(axis, n)
    axis.legend(loc="upper left")


def walk_label(walked: Sequence[Sample]) -> str:
    """Return what a legend says of counts by the walk, with the words where some are not trusted."""
    trusted = all(bool(s.complete.all()) for s in walked)
    return "arc walk, 95 %" if trusted else "arc walk (some not trusted), 95 %"


def _far_panel(axis: Axes, found: Mapping[str, Sequence[Sample]]) -> None:
    for c in CLASSES:
        family, look = found[c.words], LOOKS[c.words]
        n = sorted({s.n for s in family} | set(SHOWN))
        axis.plot(n, [exact(c, k) / math.log(10) for k in n], color=look["color"], linestyle=look["line"], linewidth=1)
        logs = [Estimate(*(v / math.log(10) for v in (e.value, e.se, e.low, e.high))) for e in log_ratios(family)]
        _measured(axis, c, [s.n for s in family], logs, label=c.words, markersize=4)
    axis.set(xscale="log", xlabel="dimension $n$", ylabel=r"$\log_{10}$(saddles / minima)", yscale="log")
    axis.set_xticks([3, 5, 10, 20, 50, 100, 200], ["3", "5", "10", "20", "50", "100", "200"])
    axis.minorticks_off()
    canvas.log_ticks(axis)
    axis.set_title("lines: exact, to $n = 200$")
    axis.legend(loc="upper left", fontsize=7.5)


def _slope_panel(axis: Axes, found: Mapping[str, Sequence[Sample]]) -> None:
    for c in CLASSES:
        family, look = found[c.words], LOOKS[c.words]
        small = [s.n for s in family]
        slopes = local_slopes(small, log_ratios(family))
        _measured(axis, c, [0.5 * (a + b) for a, b in pairwise(small)], slopes, markersize=4)
        n = sorted({*small, *SHOWN})
        pairs = list(pairwise(n))
        axis.plot(
            [0.5 * (a + b) for a, b in pairs], [exact_slope(c, a, b) for a, b in pairs], color=look["color"],
            linestyle=look["line"], linewidth=1,
        )  # fmt: skip
        axis.plot([220, 300], [c.limit, c.limit], color=look["color"], linewidth=1.4)
    axis.set(xscale="log", xlabel="dimension $n$", ylabel=r"slope of $\ln$(saddles / minima)")
    axis.set_xticks([3, 5, 10, 20, 50, 100, 260], ["3", "5", "10", "20", "50", "100", r"$\infty$"])
    axis.minorticks_off()
    axis.set_ylim(bottom=-0.05)
    axis.set_title("slope per dimension, and its limit")


STUDY = Study(
    "ratio_growth",
    "In many classes of random functions the expected ratio of saddle points to local minima grows exponentially with "
    "dimension.",
    f"{BOOK}; Dauphin et al. (2014).",
    measure,
)
