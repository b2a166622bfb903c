"""A linear autoencoder has one minimum, up to changes of basis, and saddles: one class for each subset of eigenvectors.

Baldi and Hornik (1989). Two networks: 4-2-4 with covariance eigenvalues 4, 3, 2, 1, where all 11 classes must be found
with the exact cost, index and number of zero eigenvalues; and the 16-4-16 network of Frye et al. (2019), whose 2,517
classes no moderate number of starts exhausts: there every point that is found must be one of them. A point's subset is
read from its product W = W2 W1, which projects onto the eigenvectors of the subset.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import canvas
from analysis.studies.proportions import counted_exactly, share
from analysis.studies.runs import compute
from analysis.studies.study import Result, Study
from analysis.studies.verdicts import Claim
from analysis.writers import Column, Table
from simcore.networks.linear import LinearNetwork

SMALL = {"name": "linear_network", "widths": [4, 2, 4], "covariance": [4.0, 3.0, 2.0, 1.0]}
LARGE = {"name": "linear_network", "widths": [16, 4, 16], "covariance": list(np.linspace(1.0, 16.0, 16))}
LARGE_SEARCH = {"start_law": "scales", "solver": {"method": "levenberg_marquardt"}}
STARTS = {False: (4000, 600), True: (20000, 40000)}
SAME = 1e-8
"""Largest deviation, relative to the largest eigenvalue, of a cost and of W from its projector."""


def measure(full: bool, out: Path) -> Result:
    """Search both networks and compare every critical point with the exact table."""
    small = matched(SMALL, out / "small", STARTS[full][0])
    large = matched(LARGE, out / "large", STARTS[full][1], **LARGE_SEARCH)
    return Result(class_table(small, large), class_figure(small, large), [*claims("4-2-4", small), *some(large)])


class Matched:
    """One network: its exact classes, the critical points found, and which class each is of (-1 for none)."""

    def __init__(self, network: LinearNetwork, rows: pd.DataFrame) -> None:
        self.network, self.rows = network, rows
        self.classes = network.critical_classes()
        self.critical = rows[rows.status == "critical"].reset_index(drop=True)
        self.label = np.array([self._class_of(row) for row in self.critical.itertuples()], int)

    @property
    def found(self) -> int:
        """Number of classes found."""
        return len(np.unique(self.label[self.label >= 0]))

    def _class_of(self, row: Any) -> int:
        n, p, _ = self.network.widths
        x = np.asarray(row.x)
        product = x[n * p :].reshape(n, p) @ x[: n * p].reshape(p, n)
        inside = np.diag(product) > 0.5
        if np.abs(product - np.diag(inside.astype(float))).max() > SAME:
            return -1
        subset = tuple(i + 1 for i in np.flatnonzero(inside[self._largest_first]))
        place = self._places.get(subset)
        if place is None:
            return -1
        exact = self.classes.iloc[place]
        fits = abs(row.cost - exact.cost) < SAME * self._eigenvalues.max()
        return place if fits and row.index_ == exact["index"] and row.nullity == exact.nullity else -1

    @property
    def _eigenvalues(self) -> np.ndarray:
        return np.diag(np.array(self.network.covariance))

    @property
    def _largest_first(self) -> np.ndarray:
        return np.argsort(-self._eigenvalues)

    @property
    def _places(self) -> dict[tuple[int, ...], int]:
        if not hasattr(self, "_cached"):
            self._cached = {tuple(s): i for i, s in enumerate(self.classes.subset)}
        return self._cached


def matched(table: dict[str, Any], out: Path, starts: int, **search: Any) -> Matched:
    """Search one network and match what is found."""
    from simcore import load

    run = compute(out, [table], draws=1, method="newton", starts=starts, positions=True, **search)
    rows = load(run).rename(columns={"index": "index_"})
    return Matched(LinearNetwork(table["widths"], table["covariance"]), rows)


def claims(words: str, m: Matched) -> list[Claim]:
    """Every class found; no other point; no bad minimum."""
    minima = m.critical[m.critical.index_ == 0]
    bad = int((minima.cost > m.classes.cost.min() + SAME).sum())
    return [
        Claim(
            f"{words}: classes found with the exact cost, index and number of zero eigenvalues",
            float(len(m.classes)), "Baldi & Hornik (1989), simcore.theory.linear", counted_exactly(m.found), 0.5,
        ),
        Claim(
            f"{words}: share of critical points found that belong to no class", 0.0,
            "Baldi & Hornik (1989), simcore.theory.linear", share(int((m.label < 0).sum()), len(m.label)), 0.05,
        ),
        Claim(
            f"{words}: share of the minima found whose cost is above the global minimum", 0.0,
            "Baldi & Hornik (1989), simcore.theory.linear", share(bad, len(minima)), 0.1,
        ),
    ]  # fmt: skip


def some(m: Matched) -> list[Claim]:
    """The claim on the large network: whatever is found is in the table."""
    return [
        Claim(
            "16-4-16: share of critical points found that belong to none of the classes", 0.0,
            "Baldi & Hornik (1989), simcore.theory.linear", share(int((m.label < 0).sum()), len(m.label)), 0.05,
        )
    ]  # fmt: skip


def class_table(small: Matched, large: Matched) -> Table:
    """Return a row a class of the small network, and one that sums up the large one."""
    rows: list[dict[str, Any]] = []
    for place, exact in enumerate(small.classes.itertuples(index=False)):
        mine = small.critical[small.label == place]
        rows.append(
            {
                "network": "4-2-4", "subset": "{" + ", ".join(map(str, exact.subset)) + "}", "rank": int(exact.rank),
                "cost": float(exact.cost), "index": int(small.classes["index"].iloc[place]),
                "nullity": int(exact.nullity), "hits": len(mine),
                "deviation": float((mine.cost - exact.cost).abs().max()) if len(mine) else None,
            }
        )  # fmt: skip
    rows.append(
        {"network": "16-4-16", "subset": f"{large.found} of {len(large.classes)} classes", "hits": len(large.label)}
    )
    columns = [
        Column("network", "network"), Column("subset", "eigenvectors (1 the largest)"), Column("rank", "rank"),
        Column("cost", "exact cost"), Column("index", "index"), Column("nullity", "zero eigenvalues"),
        Column("hits", "hits"), Column("deviation", "largest error of cost", digits=1),
    ]  # fmt: skip
    notes = [
        f"{name}: {len(m.rows)} starts; " + ", ".join(f"{count} {status}" for status, count in counts.items()) + "."
        for name, m in (("4-2-4", small), ("16-4-16", large))
        for counts in [{s: c for s, c in m.rows.status.value_counts().items() if c}]
    ]
    return Table(columns, rows, "Critical points of linear autoencoders against Baldi and Hornik's table", notes)


def class_figure(small: Matched, large: Matched) -> Figure:
    """Return cost against index fraction: every exact class, and those found."""
    with canvas.style():
        figure, axes = canvas.grid(1, 2)
        for axis, m, title in zip(axes[0], (small, large), ("4-2-4", "16-4-16"), strict=True):
            d = m.network.n
            axis.plot(
                m.classes["index"] / d, m.classes.cost, linestyle="none", marker="o", markersize=7 if d < 50 else 2.5,
                markerfacecolor="none", markeredgewidth=0.6, color=canvas.EXACT["color"], label="exact classes",
            )  # fmt: skip
            chosen: Sequence[int] = np.unique(m.label[m.label >= 0])
            found = m.classes.iloc[list(chosen)]
            axis.plot(
                found["index"] / d, found.cost, color="black", marker=".", linestyle="none",
                markersize=5 if d < 50 else 2, label="found",
            )  # fmt: skip
            axis.set_xlabel("index / number of weights")
            axis.set_ylabel("cost")
            axis.set_title(f"{title}: {m.found} of {len(m.classes)} classes")
        canvas.panel_letters(axes)
        canvas.common_legend(figure, axes)
    return figure


STUDY = Study(
    "baldi_hornik_1989",
    "A linear autoencoder has no local minimum but the global one; its other critical points are saddles, a class for "
    "each subset of eigenvectors.",
    "Baldi & Hornik (1989); Frye et al. (2019).",
    measure,
)
