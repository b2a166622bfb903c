"""Weight-space symmetry: one critical point of a network stands for many.

Goodfellow, Bengio and Courville (2016), section 8.2.2. Exchanging the n units of one hidden layer gives n! copies, m
layers (n!)^m; a tanh unit may change its signs, so one hidden layer of h tanh units has 2^h h! copies of every
generic critical point (Hecht-Nielsen 1990; Chen, Lu and Hecht-Nielsen 1993). A rectified unit may be rescaled, (w, b)
-> c (w, b), v -> v/c: every minimum lies on hyperbolas and has one zero Hessian eigenvalue a unit.

Copies are counted by searching: random starts of small networks on data of random teachers; the ends at the minimum
that is reached most often are told apart as plain vectors, without the symmetry group, and counted. Each copy is then
compared with the first: cost and spectrum must agree to rounding. The law of the starts has the symmetry too, so all
copies are as likely, and the hits of each say how likely one was missed.

For rectified units every end of a search is looked at where each unit is on for some samples and off for others (a unit
that is never on, or always, is no generic one and has more zero eigenvalues). There the direction of each rescaling
must be null, and the fewest zero eigenvalues must be one a unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simcore.backends.reference_network import layers, layout
from simcore.errors import RunError
from simcore.networks.mlp import MLP
from simcore.search.solvers import SaddleFreeNewton

from .. import canvas
from ..writers import Column, Table
from .proportions import counted_exactly, up_to_rounding
from .runs import compute, seed_of
from .study import Result, Study
from .verdicts import Claim

SEED = seed_of("weight_symmetry")
BOOK = "Goodfellow, Bengio & Courville (2016), 8.2.2"
SAME = 1e-6
"""Largest distance of two ends that are one copy; copies of these minima are above 0.1 apart."""


@dataclass(frozen=True)
class Case:
    """One network whose copies are counted: hidden widths, activation, number of starts, group size in words."""

    hidden: tuple[int, ...]
    activation: str
    starts: int
    formula: str

    @property
    def expected(self) -> int:
        """Size of the group: a factorial a layer, and two signs a tanh unit."""
        size = math.prod(math.factorial(h) for h in self.hidden)
        return size * 2 ** sum(self.hidden) if self.activation == "tanh" else size


QUICK = (
    Case((1,), "tanh", 30, "2^1 1!"),
    Case((2,), "tanh", 150, "2^2 2!"),
    Case((3,), "tanh", 1000, "2^3 3!"),
    Case((4,), "tanh", 9000, "2^4 4!"),
    Case((2,), "softplus", 40, "2!"),
    Case((3,), "softplus", 150, "3!"),
    Case((2, 2), "softplus", 150, "(2!)^2"),
    Case((2, 2), "tanh", 1200, "2^4 (2!)^2"),
)
FULL = (
    *(Case(c.hidden, c.activation, 3 * c.starts, c.formula) for c in QUICK),
    Case((3, 3), "softplus", 3000, "(3!)^2"),
)
RELU = (2, 3, 4)  # with one unit every search of these data ends where it is always or never at work


def measure(full: bool, out: Path) -> Result:
    """Count copies and zero eigenvalues."""
    cases = FULL if full else QUICK
    copies = [counted_copies(case, out / "runs") for case in cases]
    zeros = [zero_eigenvalues(h, out / "runs") for h in RELU]
    claims = []
    for case, row in zip(cases, copies, strict=True):
        words = f"{'-'.join(map(str, case.hidden))} {case.activation} {'unit' if case.hidden == (1,) else 'units'}"
        claims.append(
            Claim(
                f"{words}: copies of one minimum found by searching", float(case.expected), f"{case.formula}; {BOOK}",
                counted_exactly(row["copies"]), 0.5,
            )
        )  # fmt: skip
        claims.append(
            Claim(
                f"{words}: largest difference of cost and spectrum between copies, relative", 0.0,
                "copies are the same function", up_to_rounding(row["difference"]), 1e-9,
            )
        )  # fmt: skip
    for row in zeros:
        words = f"{row['units']} rectified {'unit' if row['units'] == 1 else 'units'}"
        claims += [
            Claim(
                f"{words}: fewest zero Hessian eigenvalues with each unit on for some samples and off for others",
                float(row["units"]), f"one a unit; {BOOK}", counted_exactly(row["copies"]), 0.5,
            ),
            Claim(
                f"{words}: largest |H t| / (|H| |t|), t the direction of a unit's rescaling", 0.0, BOOK,
                up_to_rounding(row["difference"]), 1e-9,
            ),
        ]  # fmt: skip
    return Result(symmetry_table(copies, zeros), symmetry_figure(), claims)


def network(hidden: tuple[int, ...], activation: str) -> dict[str, Any]:
    """Return a network whose teacher is as large as itself; enough noise and samples to make minima generic."""
    widths = [2, *hidden, 1]
    l2 = 0.0 if activation == "relu" else 1e-3
    data = {"kind": "teacher", "widths": widths, "samples": 60, "activation": activation, "scale": 2.0, "noise": 0.1}
    return {"name": "mlp", "widths": widths, "activation": activation, "loss": "mse", "data": data, "l2": l2}


def searched(table: dict[str, Any], starts: int, out: Path) -> Any:
    """Return the ends of saddle-free Newton's searches where the gradient vanishes, with positions."""
    from simcore import load

    solver = {"method": "saddle_free_newton", "max_iterations": 400}
    label = "-".join(map(str, table["widths"]))
    run = compute(
        out / f"{table['activation']}-{label}", [table], seed=SEED, draws=1, method="newton", starts=starts,
        positions=True, start_law="gaussian_1", solver=solver,
    )  # fmt: skip
    rows = load(run)
    return rows[rows.status.isin(["critical", "degenerate"])]


def counted_copies(case: Case, out: Path) -> dict[str, Any]:
    """Count the copies of the minimum that most starts reach."""
    table = network(case.hidden, case.activation)
    rows = searched(table, case.starts, out)
    rows = rows[rows.status == "critical"]
    generic = rows[[_is_generic(case, np.asarray(x)) for x in rows.x]]
    point = generic.point.value_counts().index[0]
    mine = generic[generic.point == point]
    x = np.array(list(mine.x))
    first = distinct(x)
    draw = MLP(**{k: v for k, v in table.items() if k != "name"}).draw(seed=SEED)
    spectra = np.linalg.eigvalsh(draw.hessian(x[first]))
    cost = draw.value(x[first])
    difference = max(
        float(np.abs(spectra - spectra[0]).max() / np.abs(spectra[0]).max()), float(np.abs(cost / cost[0] - 1).max())
    )
    return {
        "network": "-".join(map(str, table["widths"])), "activation": case.activation, "formula": case.formula,
        "expected": case.expected, "copies": len(first), "hits": len(mine), "cost": float(cost[0]),
        "difference": difference, "units": sum(case.hidden), "fewest": int(hits_of(x, first).min()),
    }  # fmt: skip


def _is_generic(case: Case, x: np.ndarray) -> bool:
    """Whether no two units of a layer are equal (up to sign) and none is dead: such points have fewer copies."""
    for w, b in layers((2, *case.hidden, 1), x[None])[:-1]:
        side = np.concatenate([w[0], b[0][:, None]], axis=1)
        signs = (1, -1) if case.activation == "tanh" else (1,)
        for i in range(len(side)):
            others = [s * side[j] for j in range(i) for s in signs] + [np.zeros(side.shape[1])]
            if min(np.abs(side[i] - other).max() for other in others) < 1e-3:
                return False
    return True


def distinct(x: np.ndarray) -> list[int]:
    """Return the rows of x, shape (N, n), that are the first of their kind: no earlier row within ``SAME``."""
    kept: list[int] = []
    for i, point in enumerate(x):
        if not kept or np.abs(x[kept] - point).max(axis=1).min() > SAME:
            kept.append(i)
    return kept


def hits_of(x: np.ndarray, first: list[int]) -> np.ndarray:
    """Return how many rows of x, shape (N, n), lie at each of its rows ``first``."""
    nearest = [int(np.abs(x[first] - point).max(axis=1).argmin()) for point in x]
    return np.bincount(nearest, minlength=len(first))


def zero_eigenvalues(units: int, out: Path) -> dict[str, Any]:
    """Count zero Hessian eigenvalues of a rectified network wherever a search ended with every unit at work."""
    table = network((units,), "relu")
    table["data"] = {**table["data"], "samples": 200}
    rows = searched(table, 60 * units, out)
    draw = MLP(**{k: v for k, v in table.items() if k != "name"}).draw(seed=SEED)
    x = np.array(list(rows.x))
    w, b = layers((2, units, 1), x)[0]
    active = (np.einsum("nd,shd->snh", draw.problem.inputs, w) + b[:, None] > 0).mean(axis=1)
    working = ((active > 0) & (active < 1)).all(axis=1)
    rows, x = rows[working], x[working]
    if not len(rows):
        raise RunError(f"no search of 2-{units}-1 ended with every unit at work; give it more starts")
    largest = 0.0
    for point, hessian in zip(x, draw.hessian(x), strict=True):
        t = rescalings(units, point)
        moved = np.linalg.norm(hessian @ t.T, axis=0) / np.linalg.norm(t, axis=1)
        largest = max(largest, float(moved.max() / np.linalg.norm(hessian, 2)))
    return {
        "network": f"2-{units}-1", "activation": "relu", "formula": "one zero eigenvalue a unit", "expected": units,
        "copies": int(rows.nullity.min()), "hits": len(rows), "cost": float(rows.cost.min()), "difference": largest,
        "units": units,
    }  # fmt: skip


def rescalings(units: int, point: np.ndarray) -> np.ndarray:
    """Return the direction of (w, b) -> c (w, b), v -> v/c at c = 1 for each unit of 2-units-1, shape (units, P)."""
    (first, bias), (last, _) = layout((2, units, 1))
    t = np.zeros((units, len(point)))
    for i in range(units):
        own = [first.start + 2 * i, first.start + 2 * i + 1, bias.start + i]
        t[i, own] = point[own]
        t[i, last.start + i] = -point[last.start + i]
    return t


def symmetry_table(copies: list[dict[str, Any]], zeros: list[dict[str, Any]]) -> Table:
    """Return a row a network."""
    columns = [
        Column("network", "network"), Column("activation", "activation"), Column("formula", "formula"),
        Column("expected", "expected"), Column("copies", "found"), Column("hits", "ends"),
        Column("fewest", "fewest at one copy"),
        Column("cost", "cost"), Column("difference", "difference", digits=1),
    ]  # fmt: skip
    notes = [
        "Found: copies of the minimum reached most often, told apart as plain vectors; for relu, the fewest zero "
        "eigenvalues. Ends: searches that ended there; for relu, with each unit on for some samples and off for the "
        "others.",
        "Difference: largest of cost and Hessian eigenvalues between copies, relative; for relu, the largest "
        "|H t| / (|H| |t|), t the direction of a unit's rescaling. Lowest cost for relu.",
    ]
    return Table(columns, [*copies, *zeros], "Copies of one minimum by weight-space symmetry", notes)


def symmetry_figure() -> Figure:
    """Return the cost over the two weights of a rectified and of a tanh unit, and where searches ended."""
    rng = np.random.default_rng(SEED)
    v = rng.normal(size=(50, 1))
    with canvas.style():
        figure, axes = canvas.grid(1, 2, width=3.2, height=3.0)
        for axis, activation in zip(axes[0], ("relu", "tanh"), strict=True):
            target = np.maximum(v, 0) if activation == "relu" else 1.2 * np.tanh(1.5 * v)
            _contours(axis, MLP((1, 1, 1), activation, "mse", (v, target)))
            axis.set_title(f"one {activation} unit")
        c = np.linspace(1 / LIMIT, LIMIT, 200)
        axes[0, 0].plot(c, 1 / c, **canvas.EXACT, zorder=1, label="equivalent weights: $w v = 1$")
        axes[0, 1].plot(
            [1.5, -1.5], [1.2, -1.2], "+", markersize=13, **MIRRORED, label="two copies, $(w, v)$ and $-(w, v)$"
        )
        canvas.panel_letters(axes)
        canvas.common_legend(figure, axes, columns=3)
    return figure


LIMIT = 3.0
MIRRORED = {"color": canvas.EXACT["color"], "markeredgewidth": 1.2}


def _contours(axis: Axes, network: MLP) -> None:
    """Draw the cost at biases 0 and the zero-cost ends of searches; the biases vanish there."""
    from simcore import find_critical_points

    grid = np.linspace(-LIMIT, LIMIT, 241)
    w1, w2 = np.meshgrid(grid, grid)
    x = np.zeros((w1.size, 4))
    x[:, 0], x[:, 2] = w1.ravel(), w2.ravel()
    cost = network.draw(seed=0).value(x).reshape(w1.shape)
    levels = np.quantile(cost, [0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85])
    axis.contour(w1, w2, cost, levels=levels, colors="#999999", linewidths=0.6, zorder=0)
    ends = find_critical_points(
        network, starts=120, seed=SEED, start_law="gaussian_1", positions=True, threads=1,
        solver=SaddleFreeNewton(max_iterations=400),
    )  # fmt: skip
    best = np.array(list(ends.x[ends.cost < 1e-12]))
    axis.plot(best[:, 0], best[:, 2], **canvas.DISTINCT, markersize=3, label="minima found by searching", zorder=2)
    axis.set_xlim(-LIMIT, LIMIT)
    axis.set_ylim(-LIMIT, LIMIT)
    axis.set_xlabel("incoming weight $w$")
    axis.set_ylabel("outgoing weight $v$")


STUDY = Study(
    "weight_symmetry",
    "Exchanging hidden units gives (n!)^m equivalent critical points, sign changes 2^h h! for tanh, and rescaling a "
    "rectified unit a whole hyperbola of them.",
    f"{BOOK}; Hecht-Nielsen (1990).",
    measure,
)
