"""What stochastic gradient descent meets on its way: a saddle near the start, soon escaped, and few obstacles.

The claims of Goodfellow, Vinyals and Saxe (2015) and figure 8.2 of Goodfellow, Bengio and Courville (2016). Small
networks are trained on digits by minibatches from small random weights. Looked at: the cost on the straight line from
start to solution, along the path, and along the path of full-batch descent from the same start (which has no noise of
minibatches); the plane of the path's two leading directions; the nearest saddle that Levenberg-Marquardt's damped
Newton steps find from points early on the path, with its index, cost and distance, and how long the path stays near its
cost. An obstacle is a rise of the cost by more than a hundredth of the whole fall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import MaxNLocator

import simcore
from simcore.backends.network_problems import Mlp
from simcore.formulas.outcome import CRITICAL
from simcore.search import dense
from simcore.trajectories.derivatives import Function

from .. import canvas
from ..estimates import Array, mean
from ..writers import Column, Table
from .origin_saddle import origin_claims, origin_of
from .paths import BOOK, points_of
from .proportions import share
from .runs import seed_of
from .study import Result, Study
from .verdicts import Claim, measurement

SEED = seed_of("goodfellow_2015")
PAPER = f"Goodfellow, Vinyals & Saxe (2015); {BOOK}, 8.2.3"
COSTS = {"mse": "mean squares", "cross_entropy": "cross-entropy"}
STEP = 0.3
WIDTHS = (10, 5, 10)
EVERY = 8  # steps between records
DECAY = 1e-3
OBSTACLE = 0.01  # a rise, as a share of the whole fall, that counts
NEAR = 0.05  # a path is at the saddle while its cost is within this share of the whole fall of the saddle's
LINE = np.linspace(-0.25, 1.5, 141)
EARLY = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24)  # records from which saddles are searched: the first 200 steps


@dataclass(frozen=True)
class Run:
    """One training: records along its path, the straight line, and the saddle found early on it (or None)."""

    draw: Any
    step: Array
    cost: Array
    norm: Array
    index: Array
    x: Array  # (records, n)
    line: Array  # cost at start + LINE (end - start)
    calm: Array  # (records,) cost along full-batch descent from the same start
    saddle: Array | None
    saddle_cost: float
    saddle_index: int
    saddle_distance: float  # smallest, from the early part of the path

    @property
    def fall(self) -> float:
        return float(self.cost[0] - self.cost[-1])

    @property
    def away(self) -> float:
        """Distance of the saddle from the early part of the path, over the distance from start to end."""
        return self.saddle_distance / float(np.linalg.norm(self.x[-1] - self.x[0]))

    @property
    def line_rise(self) -> float:
        """Largest rise on the line from start to end, over the whole fall."""
        inside = self.line[(LINE >= 0) & (LINE <= 1)]
        return rise(inside) / self.fall

    @property
    def path_rise(self) -> float:
        """Largest rise along the path above an earlier record, over the whole fall."""
        return rise(self.cost) / self.fall

    @property
    def calm_rise(self) -> float:
        """The same for full-batch descent."""
        return rise(self.calm) / self.fall

    @property
    def time_near(self) -> float:
        """Share of the steps spent at the saddle: cost within ``NEAR`` of its; nan where none was found."""
        if self.saddle is None:
            return float("nan")
        return float((np.abs(self.cost - self.saddle_cost) < NEAR * self.fall).mean())


def rise(cost: Array) -> float:
    """Return the largest rise of a sequence above an earlier value."""
    return float((cost - np.minimum.accumulate(cost)).max())


def runs_of(loss: str, full: bool) -> list[Run]:
    """Train from many starts and look for each path's saddle."""
    starts, samples, steps = (48, 1000, 4000) if full else (12, 300, 1600)
    network = simcore.MLP(
        widths=list(WIDTHS), activation="tanh", loss=loss, data={"kind": "digits", "pca": 10, "samples": samples},
        l2=DECAY,
    )  # fmt: skip
    walk: dict[str, Any] = {
        "step_size": STEP, "steps": steps, "every": EVERY, "starts": starts, "seed": SEED,
        "start_law": "gaussian_0.1",
    }  # fmt: skip
    frame = simcore.trajectory(network, method="sgd", batch_size=32, positions=True, index=True, **walk)
    calm = simcore.trajectory(network, method="gradient_descent", **walk)["cost"].to_numpy().reshape(starts, -1)
    draw = network.draw(seed=SEED)
    columns = [frame[c].to_numpy().reshape(starts, -1) for c in ("step", "cost", "grad_norm", "morse_index")]
    return [_run(draw, *parts) for parts in zip(*columns, points_of(frame), calm, strict=True)]


def _run(draw: Any, step: Array, cost: Array, norm: Array, index: Array, x: Array, calm: Array) -> Run:
    line = costs(draw.problem, x[0] + LINE[:, None] * (x[-1] - x[0]))
    found = dense.search(draw, x[list(EARLY)], simcore.LevenbergMarquardt(max_iterations=300))
    distance = np.array([np.linalg.norm(x[: EARLY[-1] + 1] - point, axis=1).min() for point in found.x])
    saddles = (found.status == CRITICAL) & (found.index > 0) & (found.index < draw.landscape.n)
    if not saddles.any():
        return Run(draw, step, cost, norm, index, x, line, calm, None, np.nan, -1, np.nan)
    k = int(np.where(saddles, distance, np.inf).argmin())
    saddle = (found.x[k], float(found.cost[k]), int(found.index[k]), float(distance[k]))
    return Run(draw, step, cost, norm, index, x, line, calm, *saddle)


def costs(problem: Mlp, x: Array) -> Array:
    """Return the cost at points (S, n), a few at a time."""
    function = Function(problem)
    return np.concatenate([function.at(part).value for part in np.array_split(x, max(1, len(x) // 256))])


# ---- the plane ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Plane:
    """The plane through a path's end along its two leading directions: cost on a grid, the path and saddle on it."""

    first: Array
    second: Array
    cost: Array  # (second, first)
    path: Array  # (records, 2)
    saddle: Array | None
    explained: float  # share of the path's variance that lies in the plane

    def holds(self, point: Array) -> bool:
        """Return whether a point of the plane lies on the grid."""
        sides = zip(point, (self.first, self.second), strict=True)
        return all(bool(side[0] <= place <= side[-1]) for place, side in sides)


def plane_of(run: Run, size: int = 61) -> Plane:
    """Return the plane of a run."""
    centred = run.x - run.x[-1]
    _, strengths, directions = np.linalg.svd(centred - centred.mean(axis=0), full_matrices=False)
    basis = directions[:2]
    path = centred @ basis.T
    basis, path = basis * np.sign(path[0])[:, None] * -1, path * np.sign(path[0]) * -1  # the start at lower left
    low, high = path.min(axis=0), path.max(axis=0)
    margin = 0.25 * (high - low)
    first, second = (np.linspace(low[k] - margin[k], high[k] + margin[k], size) for k in (0, 1))
    mesh = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    cost = costs(run.draw.problem, run.x[-1] + mesh @ basis).reshape(size, size)
    saddle = None if run.saddle is None else (run.saddle - run.x[-1]) @ basis.T
    return Plane(first, second, cost, path, saddle, float((strengths[:2] ** 2).sum() / (strengths**2).sum()))


# ---- the study ---------------------------------------------------------------------------------------------------
def measure(full: bool, out: Path) -> Result:
    """Train, look along lines and planes, find the saddles, and judge the claims."""
    runs = {loss: runs_of(loss, full) for loss in COSTS}
    claims = [claim for loss, members in runs.items() for claim in run_claims(loss, members)]
    for loss, members in runs.items():
        early = EARLY[-1] + 1
        origin = origin_of(members[0].draw, WIDTHS, [r.x for r in members], [r.norm for r in members], early)
        claims += origin_claims(COSTS[loss], origin, f"{BOOK}, figure 8.2")
    planes = {
        loss: plane_of(next((r for r in members if r.saddle is not None), members[0])) for loss, members in runs.items()
    }
    return Result(table(runs, planes), figure(runs, planes), claims)


def run_claims(loss: str, runs: Sequence[Run]) -> list[Claim]:
    """Return what is measured of one cost function, each a share of starts: the sources say "few" and "quickly"."""
    near = [r for r in runs if r.saddle is not None]
    shares = (
        ("on the straight line from start to solution there is no obstacle", [r.line_rise < OBSTACLE for r in runs]),
        ("on the path of training there is no obstacle", [r.path_rise < OBSTACLE for r in runs]),
        ("full-batch descent from the same start meets no obstacle", [r.calm_rise < OBSTACLE for r in runs]),
        ("a saddle is found from points early on the path", [r.saddle is not None for r in runs]),
        ("less than a tenth of training is spent at that saddle's cost", [r.time_near < 0.1 for r in near]),
    )
    return [
        measurement(f"{COSTS[loss]}: {words}: share of starts", PAPER, share(sum(map(bool, hits)), len(hits)))
        for words, hits in shares
        if hits
    ]


def table(runs: dict[str, list[Run]], planes: dict[str, Plane]) -> Table:
    """Return a row a cost function: rises on line and path, the saddle, the time near it."""
    rows = []
    for loss, members in runs.items():
        near = [r for r in members if r.saddle is not None]
        row: dict[str, Any] = {
            "cost": COSTS[loss], "starts": len(members), "start": mean([r.cost[0] for r in members]),
            "end": mean([r.cost[-1] for r in members]),
            "line_obstacles": sum(r.line_rise >= OBSTACLE for r in members),
            "path_obstacles": sum(r.path_rise >= OBSTACLE for r in members),
            "line_rise": max(r.line_rise for r in members), "path_rise": max(r.path_rise for r in members),
            "calm_rise": max(r.calm_rise for r in members),
            "saddles": len(near), "explained": planes[loss].explained,
        }  # fmt: skip
        if len(near) > 1:
            row |= {
                "morse_index": " ".join(map(str, sorted({r.saddle_index for r in near}))),
                "saddle_cost": mean([r.saddle_cost for r in near]),
                "distance": mean([r.saddle_distance for r in near]), "away": mean([r.away for r in near]),
                "time": mean([r.time_near for r in near]),
            }  # fmt: skip
        rows.append(row)
    columns = [
        Column("cost", "cost"), Column("starts", "starts"), Column("start", "cost at the start"),
        Column("end", "cost at the end"),
        Column("line_obstacles", "lines with obstacles"), Column("line_rise", "largest rise, line", digits=2),
        Column("path_obstacles", "paths with obstacles"), Column("path_rise", "largest rise, path", digits=2),
        Column("calm_rise", "largest rise, full batch", digits=2),
        Column("saddles", "saddles found"), Column("morse_index", "their indices"), Column("saddle_cost", "their cost"),
        Column("distance", "distance from the path"), Column("away", "over start to end"),
        Column("time", "share of training near"), Column("explained", "variance of the path in its plane", digits=3),
    ]  # fmt: skip
    notes = [
        f"Networks 10-5-10, tanh, weight decay {DECAY:g}, on digits. Rises over the whole fall of the cost; an "
        f"obstacle is one above {OBSTACLE:g}. Saddles: the nearest to the first {EARLY[-1] * EVERY} steps of each path "
        f"among those that Levenberg-Marquardt searches from {len(EARLY)} of their points reach. Near: cost within "
        f"{NEAR:g} of the fall of the saddle's. Errors: one standard error between starts.",
        "Where a path of minibatches has obstacles and full-batch descent from the same start has none, they are the "
        "minibatches' noise at a constant step, not walls of the cost.",
    ]
    return Table(columns, rows, "What training meets on its way", notes)


# ---- figure ------------------------------------------------------------------------------------------------------
LOOKS = {"mse": {"color": canvas.EXACT["color"]}, "cross_entropy": {"color": canvas.HITS["color"], "linestyle": "--"}}
PATH = {"color": "#c43b1b", "path_effects": [Stroke(linewidth=3.2, foreground="white"), Normal()]}
START = {"marker": "o", "color": "white", "markeredgecolor": "black", "markersize": 5.5, "linestyle": "none"}
END = {"marker": "*", "color": "black", "markeredgecolor": "white", "markersize": 11, "linestyle": "none"}
SADDLE = {"marker": "X", "color": "black", "markeredgecolor": "white", "markersize": 8.5, "linestyle": "none"}


def figure(runs: dict[str, list[Run]], planes: dict[str, Plane]) -> Figure:
    """Return the surface with the path on it, the same from above, lines, cost and saddle, norm and index by step."""
    with canvas.style():
        panels = Figure(figsize=(10.6, 6.4), layout="constrained")
        grid = panels.add_gridspec(2, 3, width_ratios=[1.15, 1, 1])
        surface = panels.add_subplot(grid[0, 0], projection="3d")
        flat = [panels.add_subplot(grid[place]) for place in ((0, 1), (0, 2), (1, 0), (1, 1), (1, 2))]
        _surface_panel(surface, planes["mse"])
        _plane_panel(flat[0], planes["mse"])
        _plane_panel(flat[1], planes["cross_entropy"])
        _line_panel(flat[2], runs)
        _cost_panel(flat[3], runs)
        _index_panel(flat[4], runs)
        surface.set_title("(a) mean squares: cost on the plane of the path", loc="left")
        flat[0].set_title(f"{COSTS['mse']}, from above")
        flat[1].set_title(f"{COSTS['cross_entropy']}, from above")
        for letter, axis in zip("bcdef", flat, strict=True):
            axis.set_title(f"({letter}) {axis.get_title()}", loc="left")
            axis.set_title("", loc="center")
    return panels


def _surface_panel(axis: Any, plane: Plane) -> None:
    axis.computed_zorder = False
    look = {"cmap": "Blues_r", "rstride": 2, "cstride": 2, "linewidth": 0.15, "edgecolor": "#5a7896", "alpha": 0.85}
    axis.plot_surface(*np.meshgrid(plane.first, plane.second), plane.cost, zorder=1, **look)
    heights = [_height(plane, p) for p in plane.path]
    axis.plot(*plane.path.T, heights, linewidth=1.8, zorder=3, **PATH)
    marks = [(plane.path[0], START), (plane.path[-1], END)]
    if plane.saddle is not None and plane.holds(plane.saddle):
        marks.append((plane.saddle, SADDLE))
    for place, mark in marks:
        axis.plot(*place, _height(plane, place), zorder=4, **mark)
    axis.view_init(elev=34, azim=-62)
    axis.set_xlabel("1st direction", labelpad=-4)
    axis.set_ylabel("2nd direction", labelpad=-2)
    axis.zaxis.set_rotate_label(False)
    axis.set_zlabel("cost", labelpad=-1, rotation=90)
    axis.set_box_aspect((1, 1, 0.75), zoom=0.94)
    axis.tick_params(labelsize=7, pad=-2)
    for side in (axis.xaxis, axis.yaxis, axis.zaxis):
        side.set_major_locator(MaxNLocator(5))


def _height(plane: Plane, point: Array) -> float:
    """Cost on the plane below a point of the path, by the grid's nearest value along both directions (bilinear)."""
    from scipy.interpolate import RegularGridInterpolator

    return float(RegularGridInterpolator((plane.second, plane.first), plane.cost)(point[::-1])[0])


def _plane_panel(axis: Axes, plane: Plane) -> None:
    levels = np.unique(np.quantile(plane.cost, np.linspace(0, 1, 18)))
    axis.contourf(plane.first, plane.second, plane.cost, levels=levels, cmap="Blues_r", alpha=0.75)
    axis.contour(plane.first, plane.second, plane.cost, levels=levels, colors="#44607a", linewidths=0.3)
    axis.plot(*plane.path.T, linewidth=1.4, label="path of training", **PATH)
    axis.plot(*plane.path[0], label="start", **START)
    axis.plot(*plane.path[-1], label="end", **END)
    if plane.saddle is not None:
        axis.plot(*plane.saddle, label="saddle, projected", **SADDLE)
    axis.set(xlim=plane.first[[0, -1]], ylim=plane.second[[0, -1]])
    axis.set(xlabel=f"1st direction of the path ({plane.explained:.0%} of it in this plane)", ylabel="2nd direction")
    look = {"frameon": True, "framealpha": 0.85, "edgecolor": "none", "handlelength": 1.2, "fontsize": 7.5}
    axis.legend(loc=_free_corner(plane), **look)


def _free_corner(plane: Plane) -> str:
    """Return the corner of the plane that is farthest from the path and the saddle, for a legend."""
    low = np.array([plane.first[0], plane.second[0]])
    places = plane.path if plane.saddle is None else np.vstack([plane.path, plane.saddle])
    places = (places - low) / (np.array([plane.first[-1], plane.second[-1]]) - low)
    corners = {"lower left": (0, 0), "lower right": (1, 0), "upper left": (0, 1), "upper right": (1, 1)}
    return max(corners, key=lambda name: float(np.linalg.norm(places - corners[name], axis=1).min()))


def _line_panel(axis: Axes, runs: dict[str, list[Run]]) -> None:
    for loss, members in runs.items():
        for k, run in enumerate(members):
            relative = (run.line - run.cost[-1]) / run.fall
            axis.plot(LINE, relative, linewidth=0.8, label=COSTS[loss] if k == 0 else None, **LOOKS[loss])
    for place in (0, 1):
        axis.axvline(place, color="#777777", linewidth=0.7, linestyle=":")
    axis.set(
        xlabel=r"place $\alpha$ on the straight line, start 0, end 1", ylabel="(cost $-$ cost at the end) / whole fall",
        ylim=(-0.3, 2),
    )  # fmt: skip
    axis.set_title("no wall on the straight line")
    axis.legend(loc="upper center")


def _cost_panel(axis: Axes, runs: dict[str, list[Run]]) -> None:
    for loss, members in runs.items():
        for k, run in enumerate(members):
            axis.plot(
                np.maximum(run.step, 4), run.cost / run.cost[0], linewidth=0.8, label=COSTS[loss] if k == 0 else None,
                **LOOKS[loss],
            )  # fmt: skip
        found = [r.saddle_cost / r.cost[0] for r in members if r.saddle is not None]
        if found:
            axis.axhline(
                float(np.median(found)), color=LOOKS[loss]["color"], linestyle=":", linewidth=1.6,
                label=f"saddles found: {COSTS[loss]}",
            )  # fmt: skip
    axis.set(xscale="log", xlabel="step (the start drawn at 4)", ylabel="cost / cost at the start", ylim=(0, 1.6))
    axis.set_title("the saddle is left quickly")
    axis.legend(loc="upper right")


def _index_panel(axis: Axes, runs: dict[str, list[Run]]) -> None:
    for loss, members in runs.items():
        n = members[0].x.shape[1]
        fraction = np.stack([r.index / n for r in members])
        low, middle, high = np.quantile(fraction, [0.1, 0.5, 0.9], axis=0)
        axis.plot(np.maximum(members[0].step, 4), middle, label=COSTS[loss], **LOOKS[loss])
        axis.fill_between(np.maximum(members[0].step, 4), low, high, color=LOOKS[loss]["color"], alpha=0.2, linewidth=0)
    axis.set(xscale="log", xlabel="step (the start drawn at 4)", ylabel="share of negative eigenvalues", ylim=(0, 0.6))
    axis.set_title("index along the path")
    axis.legend(loc="upper right")


STUDY = Study(
    "goodfellow_2015",
    "Trajectories of stochastic gradient descent meet few obstacles: a saddle near the start, escaped quickly, and a "
    "cost that falls along the straight line to the solution.",
    f"{PAPER}, figure 8.2.",
    measure,
)
