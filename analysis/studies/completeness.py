"""The empirical rule of completeness against proofs: how often is a list called complete that is not?

Without a proof a draw is ``complete`` when its Euler sum is right, every orbit has four hits by ordinary starts (eight
where half of them descend, as for spherical spins) and searches from all points bring nothing new
(``simcore.search.enumerate``). Here every draw is listed twice, by that rule alone and
with a proof (``simcore.proof``), by landscape and n. The rule is wrong where it says complete and the proof knows more
points: all points of the search are critical points, so that fewer of them means a point missed.

Beside it a picture to be refuted: that starts alone would do, i.e. that the points hit by the first 512 plain starts
are all there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from simcore.statistics.intervals import proportion

from .. import canvas
from ..samples import Sample, load_samples
from ..writers import Column, Table
from .proportions import share
from .runs import compute, seed_of
from .study import Result, Study
from .verdicts import Claim, measurement

SEED = seed_of("completeness")
QUICK: dict[str, dict[int, int]] = {
    "spherical_spin": {4: 150, 6: 150, 8: 100},
    "torus_field": {2: 200, 3: 200},
    "confined_field": {2: 100},
}
FULL: dict[str, dict[int, int]] = {
    "spherical_spin": {4: 2000, 6: 2000, 8: 1000, 10: 500, 12: 100},
    "torus_field": {1: 2000, 2: 2000, 3: 2000, 4: 1000},
    "confined_field": {2: 1000, 3: 500},
}
MORE: dict[str, dict[str, Any]] = {"spherical_spin": {"p": 3}, "confined_field": {"m": 0.5}}
WORDS = {"spherical_spin": "spherical 3-spin", "torus_field": "Gaussian field on a torus",
         "confined_field": "confined Gaussian field, m = 0.5"}  # fmt: skip
STARTS = 512
OURS = "our own claim (simcore.search.enumerate)"


@dataclass(frozen=True)
class Comparison:
    """One combination: the same draws with a proof (their hits by ``STARTS`` plain starts) and by the rule."""

    proved: Sample
    searched: Sample
    seen: NDArray[np.bool_]

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Draws that the rule calls complete and that are proved."""
        return self.searched.complete & self.proved.proved

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Those of them with a point missing."""
        return self.judged & (self.searched.counts.sum(axis=1) < self.proved.counts.sum(axis=1))


def measure(full: bool, out: Path) -> Result:
    """List all draws twice and compare."""
    plan = FULL if full else QUICK
    rows = [row for name in plan for row in compare(out / "runs", name, plan[name])]
    return Result(table(rows), figure(rows), claims_of(rows))


def compare(out: Path, name: str, draws: dict[int, int]) -> list[Comparison]:
    """Compute (or resume) the runs of one family and return a comparison an n."""
    from simcore.sweep import load

    found: dict[int, Comparison] = {}
    for number in dict.fromkeys(draws.values()):
        family = [{"name": name, **MORE.get(name, {}), "n": [n for n in draws if draws[n] == number]}]
        common: dict[str, Any] = {"draws": number, "seed": SEED}
        proved = compute(out / f"{name}-{number}-proved", family, prove=True, starts=STARTS, **common)
        searched = compute(out / f"{name}-{number}-searched", family, prove=False, **common)
        others = {sample.n: sample for sample in load_samples([searched])}
        points = load(proved, columns=["n", "draw", "hits"])
        for sample in load_samples([proved]):
            missed = points[(points["n"] == sample.n) & (points["hits"] == 0)]
            seen = ~np.isin(np.arange(sample.draws), missed["draw"])
            found[sample.n] = Comparison(sample, others[sample.n], seen)
    return [found[n] for n in sorted(found)]


def claims_of(rows: Sequence[Comparison]) -> list[Claim]:
    """Return the claims: the rule is never wrong, lists are proved, and starts alone do not do."""
    wrong, judged = sum(int(c.wrong.sum()) for c in rows), sum(int(c.judged.sum()) for c in rows)
    draws, proved = sum(c.proved.draws for c in rows), sum(int(c.proved.proved.sum()) for c in rows)
    claims = [
        Claim(
            "all families: of the draws that the rule calls complete, none lacks a point", 0.0, OURS,
            share(wrong, judged), 0.01, 0.02,
        ),
        measurement("all families: share of draws whose list is proved", OURS, share(proved, draws)),
    ]  # fmt: skip
    for c in rows:
        if c is not max((r for r in rows if r.proved.landscape == c.proved.landscape), key=lambda r: r.proved.n):
            continue
        where = f"{WORDS[c.proved.landscape]}, n = {c.proved.n}"
        claims.append(
            measurement(
                f"{where}: share of draws of which {STARTS} plain starts see every point", OURS,
                share(int(c.seen.sum()), c.proved.draws),
            )
        )  # fmt: skip
    return claims


def table(rows: Sequence[Comparison]) -> Table:
    """Return a row a landscape and n."""
    lines = []
    for c in rows:
        wrong, judged = int(c.wrong.sum()), int(c.judged.sum())
        lines.append(
            {
                "landscape": c.proved.landscape, "n": c.proved.n, "functions": c.proved.draws, "proved":
                int(c.proved.proved.sum()), "complete": int(c.searched.complete.sum()), "wrong": wrong, "at_most":
                proportion(wrong, judged, level=0.9).high, "points": float(c.proved.counts.sum(axis=1).mean()),
                "starts": float(np.median(c.searched.starts)), "seen": float(c.seen.mean()),
            }
        )  # fmt: skip
    columns = [
        Column("landscape", "landscape"), Column("n", "n", "$n$"), Column("functions", "functions"),
        Column("proved", "proved"), Column("complete", "complete by the rule"), Column("wrong", "of these wrong"),
        Column("at_most", "rate at most (95 %)", r"rate at most (95 \%)", digits=2),
        Column("points", "points", digits=4), Column("starts", "starts, median", digits=6),
        Column("seen", f"seen by {STARTS} starts", digits=3),
    ]  # fmt: skip
    notes = [
        "Every draw is listed twice: with a proof that no point is missing, and by the empirical rule alone. Bounds "
        "are Clopper and Pearson's, one-sided. Last column: the share of draws all of whose points are hit by "
        f"{STARTS} plain Newton starts."
    ]
    return Table(columns, lines, "The rule of completeness against proofs", notes)


def figure(rows: Sequence[Comparison]) -> Figure:
    """Return, against n, the upper bound on the rule's error rate (left) and the share of draws that starts alone
    see."""
    with canvas.style():
        figure, axes = canvas.grid(1, 2, width=3.8, height=3.2)
        names = list(dict.fromkeys(c.proved.landscape for c in rows))
        for j, name in enumerate(names):
            mine = [c for c in rows if c.proved.landscape == name]
            look: dict[str, Any] = {
                "color": canvas.SEQUENCE[j % 7], "marker": canvas.MARKERS[j % 7], "linestyle": canvas.LINES[j % 5],
                "markerfacecolor": "white", "label": WORDS[name],
            }  # fmt: skip
            n = [c.proved.n for c in mine]
            bounds = [proportion(int(c.wrong.sum()), int(c.judged.sum()), level=0.9).high for c in mine]
            axes[0, 0].plot(n, bounds, **look)
            axes[0, 1].plot(n, [c.seen.mean() for c in mine], **{**look, "label": None})
        axes[0, 0].set_yscale("log")
        axes[0, 0].set_ylabel("rate of wrong lists, 95 % bound")
        canvas.log_ticks(axes[0, 0])
        axes[0, 1].set_ylabel(f"draws seen whole by {STARTS} starts")
        axes[0, 1].set_ylim(0, 1.05)
        for axis in axes[0]:
            axis.set_xlabel("$n$")
        canvas.panel_letters(axes)
        canvas.common_legend(figure, axes, columns=3)
    return figure


STUDY = Study(
    "completeness",
    "A list that the rule calls complete lacks no critical point; a proof decides.",
    "simcore's own claim",
    measure,
)
