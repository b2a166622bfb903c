"""Even a network without hidden units can have a local minimum of high cost, and data can have no minimum at all.

Sontag and Sussmann (1989), Brady et al. (1989): one sigmoid unit trained by squared error. Two data sets, whose minima
are known to 20 digits (``analysis/data/sigmoid_unit.json``): one weight and two points; and four linearly separable
points in the plane, where the bad minimum misclassifies one. The same four points with targets 0 and 1 have no
finite critical point: for a separating weight w* every term of w*.grad f = -2 sum (t_i - s_i) s_i' (w*.x_i) is
negative. Starts run away, and a search must say so rather than report a minimum.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simcore.networks.sigmoid_unit import SigmoidUnit

from .. import canvas
from ..writers import Column, Table
from .proportions import counted_exactly, share
from .runs import compute, seed_of
from .study import Result, Study
from .verdicts import Claim

SEED = seed_of("small_network_minima")
STARTS = {False: 1500, True: 15000}
DATA = Path(__file__).parent.parent / "data" / "sigmoid_unit.json"
PATHS = 30
"""Searches drawn in the figure."""
SETS = {"one_weight": "one weight, two points", "plane": "four points in the plane"}


def known() -> dict[str, Any]:
    """Return the data sets and their minima."""
    return json.loads(DATA.read_text())


def measure(full: bool, out: Path) -> Result:
    """Search each data set from the default starts and compare minima with the known ones."""
    facts, starts, runs = known(), STARTS[full], out / "runs"
    found = {name: searched(facts[name], facts[name]["targets"], runs / name, starts) for name in SETS}
    runaway = searched(facts["plane"], saturated(facts).targets, runs / "runaway", starts)
    claims = [claim for name in SETS for claim in minimum_claims(name, facts[name], minima_of(found[name]))]
    accepted = runaway.status.isin(["critical", "degenerate"])
    along = slopes(facts, runaway)
    words = "separable points, targets 0 and 1"
    claims += [
        Claim(
            f"{words}: share of starts that end at a critical point", 0.0, "none is finite: w*.grad f < 0",
            share(int(accepted.sum()), starts), 0.02, 1.0,
        ),
        Claim(
            f"{words}: share of ends where the cost falls along the separating weight w*", 1.0, "w*.grad f < 0",
            share(int((along < 0).sum()), starts), 0.02, 0.0,
        ),
    ]  # fmt: skip
    return Result(minimum_table(facts, found, runaway), minimum_figure(facts), claims)


def saturated(facts: dict[str, Any]) -> SigmoidUnit:
    """Return the unit on the four points of the plane with their targets rounded to 0 and 1."""
    return SigmoidUnit(facts["plane"]["inputs"], [float(round(t)) for t in facts["plane"]["targets"]])


def slopes(facts: dict[str, Any], runaway: pd.DataFrame) -> np.ndarray:
    """Return w*.grad f where searches ended, shape (S,); w*, the global minimum for targets .1 and .9, separates."""
    separating = np.array(facts["plane"]["minima"][0]["w"])
    return saturated(facts).draw(seed=SEED).gradient(np.array(list(runaway.x))) @ separating


def searched(facts: dict[str, Any], targets: Sequence[float], out: Path, starts: int) -> pd.DataFrame:
    """Return the rows of one run."""
    from simcore import load

    table = {"name": "sigmoid_unit", "inputs": facts["inputs"], "targets": [float(t) for t in targets]}
    return load(
        compute(out, [table], seed=SEED, draws=1, method="newton", starts=starts, positions=True, spectrum=True)
    )


def minima_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the distinct minima, lowest first, with their hits."""
    critical = rows[(rows.status == "critical") & (rows["morse_index"] == 0)]
    points = critical.groupby("point", observed=True)
    return points.first().assign(hits=points.size()).sort_values("cost", ignore_index=True)


def minimum_claims(name: str, facts: dict[str, Any], found: pd.DataFrame) -> list[Claim]:
    """Both minima and no other, with cost, curvature and misclassified points."""
    words, where = SETS[name], f"analysis/data/{DATA.name}"
    claims = [Claim(f"{words}: number of minima", float(len(facts["minima"])), where, counted_exactly(len(found)), 0.5)]
    unit = SigmoidUnit(facts["inputs"], facts["targets"])
    for i, (minimum, kind) in enumerate(zip(facts["minima"], ("global", "bad"), strict=True)):
        row = found.iloc[i] if i < len(found) else None
        wrong = float("nan") if row is None else float(unit.misclassified(np.asarray(row.x))[0])
        cost = float("nan") if row is None else float(row.cost)
        claims += [
            Claim(f"{words}: cost of the {kind} minimum", minimum["cost"], where, counted_exactly(cost), 1e-9),
            Claim(
                f"{words}: points misclassified at the {kind} minimum", float(minimum["misclassified"]), where,
                counted_exactly(wrong), 0.5,
            ),
        ]  # fmt: skip
        for k, exact in enumerate(minimum["eigenvalues"]):
            value = float("nan") if row is None else float(row.eigenvalues[k])
            claims.append(
                Claim(
                    f"{words}: Hessian eigenvalue {k + 1} at the {kind} minimum", exact, where, counted_exactly(value),
                    1e-9 * max(1.0, exact),
                )
            )  # fmt: skip
    return claims


def minimum_table(facts: dict[str, Any], found: dict[str, pd.DataFrame], runaway: pd.DataFrame) -> Table:
    """Return a row a minimum found, and how all starts ended."""
    rows = []
    for name, words in SETS.items():
        unit = SigmoidUnit(facts[name]["inputs"], facts[name]["targets"])
        for row in minima_of(found[name]).itertuples():
            near = min(facts[name]["minima"], key=lambda m, cost=row.cost: abs(m["cost"] - cost))
            rows.append(
                {
                    "data": words, "cost": float(row.cost), "exact": near["cost"],
                    "eigenvalues": ", ".join(f"{v:.6g}" for v in row.eigenvalues),
                    "misclassified": int(unit.misclassified(np.asarray(row.x))[0]), "hits": int(row.hits),
                    "weights": ", ".join(f"{v:.6g}" for v in row.x),
                }
            )  # fmt: skip
    columns = [
        Column("data", "data"), Column("cost", "cost", digits=12), Column("exact", "exact cost", digits=12),
        Column("eigenvalues", "Hessian eigenvalues"), Column("misclassified", "misclassified"),
        Column("hits", "hits"), Column("weights", "weights"),
    ]  # fmt: skip
    tables = [(SETS[name], found[name]) for name in SETS] + [("separable, targets 0 and 1", runaway)]
    notes = []
    for words, frame in tables:
        counts = {status: count for status, count in frame.status.value_counts().items() if count}
        notes.append(f"{words}: {len(frame)} starts; " + ", ".join(f"{c} {s}" for s, c in counts.items()) + ".")
    return Table(columns, rows, "Minima of one sigmoid unit", notes)


def minimum_figure(facts: dict[str, Any]) -> Figure:
    """Return the cost of one weight, the line between the two minima in the plane, and paths that run away."""
    with canvas.style():
        figure, axes = canvas.grid(1, 3, width=2.9, height=2.6)
        _cost_of_one_weight(axes[0, 0], facts["one_weight"])
        _line_between(axes[0, 1], facts["plane"])
        _runaway(axes[0, 2], facts)
        canvas.panel_letters(axes)
    return figure


def _minima(axis: Axes, places: Sequence[float], facts: dict[str, Any]) -> None:
    for place, minimum, look, kind in zip(
        places, facts["minima"], (canvas.DISTINCT, {**canvas.HITS, "color": "black"}), ("global", "bad"), strict=True
    ):
        label = f"{kind} minimum, {minimum['misclassified']} misclassified"
        axis.plot([place], [minimum["cost"]], **look, markersize=6, label=label)
    axis.set_ylabel("cost $f$")
    axis.set_ylim(0, 1.35)
    axis.legend(loc="upper right")


def _cost_of_one_weight(axis: Axes, facts: dict[str, Any]) -> None:
    w = np.concatenate([np.linspace(-1, -0.2, 100), np.linspace(-0.2, 0.2, 600), np.linspace(0.2, 5, 200)])
    axis.plot(w, SigmoidUnit(facts["inputs"], facts["targets"]).draw(seed=0).value(w[:, None]), **canvas.EXACT)
    _minima(axis, [m["w"][0] for m in facts["minima"]], facts)
    axis.set_xlabel("weight $w$")
    axis.set_title("one weight, two points")


def _line_between(axis: Axes, facts: dict[str, Any]) -> None:
    good, bad = (np.array(m["w"]) for m in facts["minima"])
    t = np.linspace(-0.3, 1.3, 400)
    draw = SigmoidUnit(facts["inputs"], facts["targets"]).draw(seed=0)
    axis.plot(t, draw.value(good + t[:, None] * (bad - good)), **canvas.EXACT)
    _minima(axis, [0.0, 1.0], facts)
    axis.set_xlabel("$t$, weights $w_0 + t\\,(w_1 - w_0)$")
    axis.set_title("four points in the plane")


def _runaway(axis: Axes, facts: dict[str, Any]) -> None:
    """Saddle-free Newton's paths on separable points with targets 0 and 1, from the default starts."""
    from simcore import trajectory

    paths = trajectory(saturated(facts), method="saddle_free_newton", steps=60, starts=PATHS, seed=SEED, positions=True)
    paths["length"] = [float(np.linalg.norm(x)) for x in paths.x]
    for i, (_, path) in enumerate(paths.groupby("start")):
        axis.plot(path.length, path.cost, color="#777777", linewidth=0.6, label=None if i else f"{PATHS} searches")
    last = paths[paths.step == paths.step.max()]
    axis.plot(last.length, last.cost, **canvas.DISTINCT, markersize=2.5, label="after 60 steps")
    axis.set_yscale("log")
    axis.set_xlabel("length of the weights $|w|$")
    axis.set_ylabel("cost $f$")
    axis.set_title("targets 0 and 1: runaway")
    axis.legend(loc="lower left")


STUDY = Study(
    "small_network_minima",
    "Even a network without hidden units can have a local minimum of high cost; separable data with saturated targets "
    "have none at all.",
    "Sontag & Sussmann (1989); Brady, Raghavan & Slawny (1989); Auer, Herbster & Warmuth (1996).",
    measure,
)
