"""A linear autoencoder has one minimum, up to changes of basis, and saddles: one class for each subset of eigenvectors.

Baldi and Hornik (1989). Two networks: 4-2-4 with covariance eigenvalues 4, 3, 2, 1, where all 11 classes must be found;
and the 16-4-16 network of Frye et al. (2019), whose 2,517 classes no moderate number of starts exhausts: how many are
found is reported by rank. Every end of a search is matched in both. A point's subset is read from its product
W = W2 W1 alone, which projects onto the eigenvectors of the subset; its cost, index and number of zero eigenvalues are
then compared with the exact ones of that subset. Descents are searched apart, for minima above the global one.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simcore.networks.linear import LinearNetwork

from .. import canvas
from ..writers import Column, Table
from .proportions import counted_exactly, share, up_to_rounding
from .runs import compute, seed_of
from .study import Result, Study
from .verdicts import Claim

SEED = seed_of("baldi_hornik_1989")
SMALL = {"name": "linear_network", "widths": [4, 2, 4], "covariance": [4.0, 3.0, 2.0, 1.0]}
LARGE = {"name": "linear_network", "widths": [16, 4, 16], "covariance": list(np.linspace(1.0, 16.0, 16))}
LARGE_SEARCH = {"start_law": "scales", "solver": {"method": "levenberg_marquardt"}}
DESCENT = {"start_law": "normal", "solver": {"method": "saddle_free_newton"}}
STARTS = {False: (4000, 600, 150), True: (20000, 6000, 1000)}
"""Of the small network, of the large one, and of descents in each."""
SAME = 1e-8
"""Largest deviation of an entry of W from its projector."""
SOURCE = "Baldi & Hornik (1989), simcore.theory.linear"


def measure(full: bool, out: Path) -> Result:
    """Search both networks and compare every end with the exact table."""
    small, large, descents = STARTS[full]
    found = {
        "4-2-4": Matched(SMALL, {"search": (small, {}), "descents": (descents, DESCENT)}, out / "runs" / "4-2-4"),
        "16-4-16": Matched(
            LARGE, {"search": (large, LARGE_SEARCH), "descents": (descents, DESCENT)}, out / "runs" / "16-4-16"
        ),
    }
    first = found["4-2-4"]
    complete = Claim(
        "4-2-4: classes (subsets of at most 2 of 4 eigenvectors) found", float(len(first.classes)), SOURCE,
        counted_exactly(int(first.found.sum())), 0.5,
    )  # fmt: skip
    claims = [complete, *(claim for words, m in found.items() for claim in point_claims(words, m))]
    return Result(class_table(found), class_figure(found), claims)


class Matched:
    """One network: its exact classes, the ends of its searches, and which class each is of (-1 for none)."""

    def __init__(self, table: dict[str, Any], searches: dict[str, tuple[int, dict[str, Any]]], out: Path) -> None:
        self.network = LinearNetwork(table["widths"], table["covariance"])
        self.classes = self.network.critical_classes()
        self.statuses: dict[str, dict[str, int]] = {}
        frames = []
        for name, (starts, search) in searches.items():
            rows = searched(table, out / name, starts, **search)
            self.statuses[name] = {str(s): int(c) for s, c in rows.status.value_counts().items() if c}
            frames.append(rows[rows.status.isin(["critical", "degenerate"])])
        self.ends = pd.concat(frames, ignore_index=True)
        self.label = np.array([self._class_of(np.asarray(x)) for x in self.ends.x], int)

    def _class_of(self, x: np.ndarray) -> int:
        n, p, _ = self.network.widths
        product = x[n * p :].reshape(n, p) @ x[: n * p].reshape(p, n)
        inside = np.diag(product) > 0.5
        if np.abs(product - np.diag(inside.astype(float))).max() > SAME:
            return -1
        largest_first = np.argsort(-np.diag(np.array(self.network.covariance)))
        return self._places.get(tuple(i + 1 for i in np.flatnonzero(inside[largest_first])), -1)

    @cached_property
    def _places(self) -> dict[tuple[int, ...], int]:
        return {tuple(s): i for i, s in enumerate(self.classes.subset)}

    @cached_property
    def hits(self) -> np.ndarray:
        """Return how many ends each class has, shape (classes,)."""
        return np.bincount(self.label[self.label >= 0], minlength=len(self.classes))

    @property
    def found(self) -> np.ndarray:
        """Return which classes have an end, shape (classes,)."""
        return self.hits > 0

    @cached_property
    def compared(self) -> pd.DataFrame:
        """Return a row a matched end: its class, relative error of its cost, whether index and nullity are exact."""
        ends, exact = self.ends[self.label >= 0], self.classes.iloc[self.label[self.label >= 0]]
        return pd.DataFrame({
            "label": self.label[self.label >= 0],
            "rank": exact["rank"].to_numpy(),
            "cost_error": np.abs(ends.cost.to_numpy() / exact.cost.to_numpy() - 1),
            "index_differs": ends["morse_index"].to_numpy() != exact["morse_index"].to_numpy(),
            "nullity_differs": ends.nullity.to_numpy() != exact.nullity.to_numpy(),
        })  # fmt: skip


def searched(table: dict[str, Any], out: Path, starts: int, **search: Any) -> pd.DataFrame:
    """Return the rows of one run."""
    from simcore import load

    return load(compute(out, [table], seed=SEED, draws=1, method="newton", starts=starts, positions=True, **search))


def point_claims(words: str, m: Matched) -> list[Claim]:
    """No end outside the classes; cost, index and zero eigenvalues those of its class; no bad minimum."""
    c = m.compared
    minima = m.ends[m.ends["morse_index"] == 0]
    bad = int((minima.cost > (1 + SAME) * m.classes.cost.min()).sum())
    outside = int((m.label < 0).sum())
    return [
        Claim(
            f"{words}: share of the critical points found that belong to no class", 0.0, SOURCE,
            share(outside, len(m.label)), 0.05, 1.0,
        ),
        Claim(
            f"{words}: largest relative error of a point's cost", 0.0, f"half the eigenvalues left out; {SOURCE}",
            up_to_rounding(float(c.cost_error.max())), 1e-9,
        ),
        Claim(
            f"{words}: share of the points whose index is not the exact one of their class", 0.0, SOURCE,
            share(int(c.index_differs.sum()), len(c)), 0.05, 1.0,
        ),
        Claim(
            f"{words}: share of the points whose number of zero eigenvalues is not 2pr - r^2", 0.0, SOURCE,
            share(int(c.nullity_differs.sum()), len(c)), 0.05, 1.0,
        ),
        Claim(
            f"{words}: share of the minima found whose cost is above the global minimum", 0.0, SOURCE,
            share(bad, len(minima)), 0.1, 1.0,
        ),
    ]  # fmt: skip


def class_table(found: dict[str, Matched]) -> Table:
    """Return a row a class of the small network, and a row a rank of the large one."""
    rows = []
    for words, m in found.items():
        exact, c = m.classes, m.compared
        one_by_one = len(exact) < 20
        for key, members in exact.groupby(exact.index if one_by_one else "rank"):
            mine = c[c.label == key] if one_by_one else c[c["rank"] == key]
            subset = "{" + ", ".join(map(str, members.subset.iloc[0])) + "}" if one_by_one else "all of this rank"
            rows.append(
                {
                    "network": words, "subset": subset, "rank": int(members["rank"].iloc[0]),
                    "cost": _range(members.cost), "morse_index": _range(members["morse_index"]),
                    "nullity": _range(members.nullity), "classes": len(members),
                    "found": int(m.found[members.index].sum()), "hits": len(mine),
                    "error": float(mine.cost_error.max()) if len(mine) else None,
                    "index_differs": int(mine.index_differs.sum()), "nullity_differs": int(mine.nullity_differs.sum()),
                }
            )  # fmt: skip
    columns = [
        Column("network", "network"), Column("subset", "eigenvectors (1 the largest)", "subset"),
        Column("rank", "rank", "$r$"), Column("cost", "exact cost"), Column("morse_index", "exact index"),
        Column("nullity", "exact zero eigenvalues", "nullity"), Column("classes", "classes"),
        Column("found", "found"), Column("hits", "hits"),
        Column("error", "largest relative error of cost", "error", digits=1), Column("index_differs", "other index"),
        Column("nullity_differs", "other nullity"),
    ]  # fmt: skip
    notes = [f"{words}: {int(m.found.sum())} of {len(m.classes)} classes found." for words, m in found.items()]
    notes.append("Hits: ends of searches in a class, biased towards classes that are easily reached.")
    for words, m in found.items():
        for name, counts in m.statuses.items():
            ends = ", ".join(f"{count} {status}" for status, count in counts.items())
            notes.append(f"{words}, {name}: {sum(counts.values())} starts; {ends}.")
    return Table(columns, rows, "Critical points of linear autoencoders against Baldi and Hornik's table", notes)


def _range(values: pd.Series) -> str:
    low, high = values.min(), values.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def class_figure(found: dict[str, Matched]) -> Figure:
    """Return cost against index fraction, every exact class and those found, and the classes found by rank."""
    with canvas.style():
        figure, axes = canvas.grid(1, len(found) + 1, width=2.9, height=2.7)
        for axis, (words, m) in zip(axes[0], found.items(), strict=False):
            few = len(m.classes) < 20
            alpha = m.classes["morse_index"] / m.network.n
            axis.plot(
                alpha, m.classes.cost, linestyle="none", marker="o", markersize=7 if few else 3.5,
                markerfacecolor="none", markeredgewidth=0.6, color=canvas.EXACT["color"], label="exact classes",
            )  # fmt: skip
            axis.plot(
                alpha[m.found], m.classes.cost[m.found], color="black", marker=".", linestyle="none",
                markersize=5 if few else 2.5, label="found",
            )  # fmt: skip
            axis.set_xlabel("index fraction $k / P$")
            axis.set_ylabel("cost $f$")
            axis.set_title(f"{words}: {int(m.found.sum())} of {len(m.classes)}")
        _by_rank(axes[0, -1], m)
        axes[0, -1].set_title(f"{words}, by rank")
        canvas.panel_letters(axes)
        canvas.common_legend(figure, axes)
    return figure


def _by_rank(axis: Axes, m: Matched) -> None:
    ranks = np.unique(m.classes["rank"])
    exact = [int((m.classes["rank"] == r).sum()) for r in ranks]
    found = [int(m.found[m.classes["rank"] == r].sum()) for r in ranks]
    axis.bar(ranks, exact, width=0.8, facecolor="none", edgecolor=canvas.EXACT["color"])
    axis.bar(ranks, found, width=0.5, color="black")
    axis.set_yscale("log")
    axis.set_ylim(0.5, 3 * max(exact))
    for r, number, of in zip(ranks, found, exact, strict=True):
        axis.annotate(f"{number} of {of}", (r, of), (0, 2), textcoords="offset points", ha="center", fontsize=6.5)
    axis.set_xlim(ranks[0] - 0.65, ranks[-1] + 0.65)
    axis.set_xticks(ranks)
    axis.set_xlabel("rank $r$ of $W_2 W_1$")
    axis.set_ylabel("classes")


STUDY = Study(
    "baldi_hornik_1989",
    "A linear autoencoder has no local minimum but the global one; its other critical points are saddles, a class for "
    "each subset of eigenvectors.",
    "Baldi & Hornik (1989); Frye et al. (2019).",
    measure,
)
