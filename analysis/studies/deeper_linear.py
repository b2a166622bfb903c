"""Deeper linear networks have no bad local minima either, but degenerate saddles at rank-deficient points.

Kawaguchi (2016): every critical point of a deep linear network is a global minimum or a saddle; with more than two
layers some saddles have no negative Hessian eigenvalue, the origin first of all, but only where the product of the
inner layers W_{L-1} ... W_2 has not the full rank of the bottleneck (theorem 2.3). Here autoencoders of depth 3 and 4,
covariance eigenvalues 3, 2, 1 through a bottleneck of two units. Their critical points are searched by three solvers;
each is classified by the rank of W = W_L ... W_1 and of the inner product, index and nullity; its cost must be half a
sum of eigenvalues that W leaves (Trager, Kohn and Bruna 2020: W is critical among matrices of its rank). From every
point above the global minimum saddle-free Newton, started a small step aside, must lead below it: that is what makes a
degenerate point a saddle.
"""

from __future__ import annotations

from functools import reduce
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from simcore.backends.reference_network import linear_layers
from simcore.networks.linear import LinearNetwork
from simcore.networks.symmetry import rank
from simcore.search import dense
from simcore.search.solvers import SaddleFreeNewton

from .. import canvas
from ..writers import Column, Table
from .proportions import share
from .runs import compute, seed_of
from .study import Result, Study
from .verdicts import Claim

SEED = seed_of("deeper_linear")
SPECTRUM = [3.0, 2.0, 1.0]
NETWORKS = {3: [3, 2, 2, 3], 4: [3, 2, 2, 2, 3]}
STARTS = {False: 400, True: 4000}
BOTTLENECK = 2
ASIDE = 0.1
"""Standard deviation of the step aside: far enough that a saddle of third or fourth order is felt."""
SEARCHES = {
    "newton": {"start_law": "normal", "solver": {"method": "pseudo_inverse_newton"}},
    "marquardt": {"start_law": "scales", "solver": {"method": "levenberg_marquardt"}},
    "descent": {"start_law": "normal", "solver": {"method": "saddle_free_newton"}},
}
SOURCE = "Kawaguchi (2016)"


def measure(full: bool, out: Path) -> Result:
    """Search both depths and classify what is found."""
    runs = out / "runs"
    found = {depth: classified(widths, runs / f"depth-{depth}", STARTS[full]) for depth, widths in NETWORKS.items()}
    claims = [claim for depth, rows in found.items() for claim in depth_claims(depth, rows)]
    return Result(class_table(found), class_figure(found), claims)


def classified(widths: list[int], out: Path, starts: int) -> pd.DataFrame:
    """Return the ends that are critical or degenerate: rank, whether the cost is allowed, whether they escape."""
    from simcore import load

    table = {"name": "linear_network", "widths": widths, "covariance": SPECTRUM}
    frames = []
    for name, search in SEARCHES.items():
        number = starts if name != "descent" else starts // 2
        run = compute(out / name, [table], seed=SEED, draws=1, method="newton", starts=number, positions=True, **search)
        frames.append(load(run).assign(search=name))
    rows = pd.concat(frames, ignore_index=True)
    ends = rows[rows.status.isin(["critical", "degenerate"])].reset_index(drop=True)
    network = LinearNetwork(widths, SPECTRUM)
    x = np.array(list(ends.x))
    ends["rank"] = [rank(_product(network, point)) for point in x]
    ends["inner"] = [rank(_product(network, point, inner=True)) for point in x]
    ends["thinnest"] = [min(rank(w[0]) for w in linear_layers(network.widths, point[None])) for point in x]
    ends["thinnest"] = ends[["thinnest", "rank"]].min(axis=1)
    ends["allowed"] = np.abs(ends.cost.to_numpy()[:, None] - allowed_costs()).min(axis=1) < 1e-7
    ends["minimum"] = ends.cost - global_minimum(network) < 1e-7
    ends["escapes"] = escapes(network, x, ends.cost.to_numpy())
    ends.attrs["statuses"] = rows.status.astype(str).value_counts().to_dict()
    return ends


def allowed_costs() -> np.ndarray:
    """Return half the sums of eigenvalues that a matrix of rank up to the bottleneck's can leave."""
    n = len(SPECTRUM)
    left = (s for r in range(n - BOTTLENECK, n + 1) for s in combinations(SPECTRUM, r))
    return np.unique([sum(s) / 2 for s in left])


def _product(network: LinearNetwork, point: np.ndarray, inner: bool = False) -> np.ndarray:
    """Return W_L ... W_1, or without the first and the last layer."""
    weights = [w[0] for w in linear_layers(network.widths, point[None])]
    chosen = weights[1:-1] if inner else weights
    return reduce(lambda product, w: w @ product, chosen)


def global_minimum(network: LinearNetwork) -> float:
    """Return half the sum of the eigenvalues that don't fit through the bottleneck."""
    kept = min(network.widths)
    return 0.5 * sum(sorted(SPECTRUM, reverse=True)[kept:])


def escapes(network: LinearNetwork, x: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Return whether descent from a small step aside ends lower, shape (N,); three steps are tried."""
    draw = network.draw(seed=SEED)
    lower = np.zeros(len(x), bool)
    rng = np.random.default_rng(SEED)
    for _ in range(3):
        left = np.flatnonzero(~lower)
        if len(left):
            aside = x[left] + ASIDE * rng.normal(size=(len(left), x.shape[1]))
            lower[left] = dense.search(draw, aside, SaddleFreeNewton()).cost < cost[left] - 1e-6
    return lower


def depth_claims(depth: int, rows: pd.DataFrame) -> list[Claim]:
    """What Kawaguchi's theorem says of the points found."""
    above = rows[~rows.minimum]
    minima = rows[(rows.status == "critical") & (rows["morse_index"] == 0)]
    bad = int((~minima.minimum).sum())
    words = f"depth {depth}"
    flat = above[above["morse_index"] == 0]
    return [
        Claim(
            f"{words}: share of the non-degenerate minima found that are not global", 0.0, SOURCE,
            share(bad, len(minima)), 0.1, 1.0,
        ),
        Claim(
            f"{words}: share of the points above the global minimum from which a lower point is reached", 1.0, SOURCE,
            share(int(above.escapes.sum()), len(above)), 0.05, 0.0,
        ),
        Claim(
            f"{words}: share of the saddles without negative eigenvalue whose inner layers' product is rank-deficient",
            1.0, f"{SOURCE}, theorem 2.3", share(int((flat.inner < BOTTLENECK).sum()), len(flat)), 0.05, 0.0,
        ),
        Claim(
            f"{words}: share of the points whose cost is half a sum of eigenvalues", 1.0, "Trager, Kohn & Bruna (2020)",
            share(int(rows.allowed.sum()), len(rows)), 0.05, 0.0,
        ),
    ]  # fmt: skip


def kind_of(row: Any) -> str:
    """Name a class of points."""
    if row.minimum:
        return "global minimum"
    if row.index_ > 0:
        return "strict saddle" if row.status == "critical" else "saddle with extra zero eigenvalues"
    return "saddle without negative eigenvalue"


def class_table(found: dict[int, pd.DataFrame]) -> Table:
    """Return a row a class: depth, cost, rank, index, nullity, status."""
    rows = []
    for depth, ends in found.items():
        keys = ["cost", "rank", "inner", "morse_index", "nullity", "status"]
        groups = ends.assign(cost=ends.cost.round(6), status=ends.status.astype(str)).groupby(keys)
        for values, members in groups:
            first = members.iloc[0].rename({"morse_index": "index_"})
            rows.append(
                {**dict(zip(keys, values, strict=True)), "depth": depth, "kind": kind_of(first), "hits": len(members),
                 "escapes": int(members.escapes.sum())}
            )  # fmt: skip
    columns = [
        Column("depth", "depth"), Column("kind", "kind"), Column("cost", "cost"),
        Column("rank", "rank of W", "rank $W$"),
        Column("inner", "rank of the inner layers' product", "inner rank"), Column("morse_index", "index"),
        Column("nullity", "zero eigenvalues", "nullity"), Column("status", "status"), Column("hits", "hits"),
        Column("escapes", "lower point reached", "lower"),
    ]  # fmt: skip
    degenerate = pd.concat([ends[ends.status == "degenerate"] for ends in found.values()])
    deficient = int((degenerate.thinnest < BOTTLENECK).sum())
    notes = [
        "W = W_L ... W_1; inner layers: W_{L-1} ... W_2. Lower point reached: hits from which descent, started a step "
        f"of standard deviation {ASIDE:g} aside, ends lower.",
        f"Degenerate: more zero eigenvalues than the symmetry makes; {deficient} of {len(degenerate)} such points are "
        "rank-deficient in a layer or in the layers' product.",
        *(
            f"Depth {depth}: " + ", ".join(f"{c} {s}" for s, c in ends.attrs["statuses"].items()) + "."
            for depth, ends in found.items()
        ),
    ]
    plain = [{k: v.item() if isinstance(v, np.generic) else v for k, v in row.items()} for row in rows]
    caption = "Critical points found of deep linear autoencoders, 3-2-..-3, eigenvalues 3, 2, 1"
    return Table(columns, plain, caption, notes)


KINDS = (
    ("global minimum", {"marker": "*", "markersize": 9, "color": "black"}),
    ("strict saddle", {"marker": "o", "color": "black", "markersize": 5}),
    (
        "saddle with extra zero eigenvalues",
        {"marker": "s", "color": "#1f5fa8", "markerfacecolor": "none", "markersize": 9},
    ),
    (
        "saddle without negative eigenvalue",
        {"marker": "D", "color": "#c46a1b", "markerfacecolor": "none", "markersize": 7, "markeredgewidth": 1.5},
    ),
)


def class_figure(found: dict[int, pd.DataFrame]) -> Figure:
    """Return cost against index, a marker a kind, and the costs that are allowed."""
    with canvas.style():
        figure, axes = canvas.grid(1, len(found), sharey=True)
        for axis, (depth, ends) in zip(axes[0], found.items(), strict=True):
            for cost in allowed_costs():
                axis.axhline(
                    cost, color=canvas.EXACT["color"], linewidth=0.5, zorder=0, label="half a sum of eigenvalues"
                )
            kinds = ends.rename(columns={"morse_index": "index_"}).apply(kind_of, axis=1)
            for kind, look in KINDS:
                some = ends[kinds == kind].drop_duplicates(["morse_index", "nullity", "rank"])
                axis.plot(some["morse_index"], some.cost, linestyle="none", label=kind, **look)
            axis.set_xticks(range(int(ends["morse_index"].max()) + 1))
            axis.set_xlabel("index $k$")
            axis.set_title(f"depth {depth}: {'-'.join(map(str, NETWORKS[depth]))}")
        axes[0, 0].set_ylabel("cost $f$")
        canvas.panel_letters(axes)
        canvas.common_legend(figure, axes, columns=3)
    return figure


STUDY = Study(
    "deeper_linear",
    "Every critical point of a deeper linear network is a global minimum or a saddle; saddles without negative "
    "eigenvalue occur at rank-deficient points alone.",
    "Kawaguchi (2016); Trager, Kohn & Bruna (2020).",
    measure,
)
