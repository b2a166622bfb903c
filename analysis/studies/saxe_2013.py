"""Deep linear networks learn mode by mode: plateaus, then fast transitions.

The claims of Saxe, McClelland and Ganguli (2013). On whitened inputs the target's singular values s are the modes. From
a balanced start a mode of a two-layer network obeys du/dt = 2 u (s - u), with the closed form of
``simcore.theory.saxe``; with L layers du/dt = L u^{2 - 2/L} (s - u), integrated here. From small random starts each
mode grows out of c = (a + b)/2, a and b its parts in W_1 and W_2 (vectors over hidden units), as if balanced with
u0 = |c|^2; what c shares with the modes learnt before is lost to them, so c is made orthogonal to those first. The
plateaus between are visits to the saddles of Baldi and Hornik's table, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import integrate, interpolate, optimize

import simcore
from simcore.theory.saxe import half_time, mode_strength

from .. import canvas
from ..estimates import Array, mean
from ..writers import Column, Table
from .paths import bound, points_of, spread
from .proportions import share
from .runs import seed_of
from .study import Result, Study
from .verdicts import Claim, measurement

SEED = seed_of("saxe_2013")
STRENGTHS = (4.0, 2.0, 1.0, 0.5)
BALANCED = 1e-4  # u0 of every mode
SMALL = 1e-6  # standard deviation of the entries of a random start
PAPER = "Saxe, McClelland & Ganguli (2013)"


def orthogonal(n: int, number: int) -> Array:
    """Return a fixed random orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng([SEED, number]).standard_normal((n, n)))[0]


def task(depth: int, strengths: Sequence[float] = STRENGTHS) -> tuple[Any, Array, Array]:
    """Return the network with so many layers, and U, V of its target T = U diag(s) V^T; inputs are white."""
    n = len(strengths)
    u, v = orthogonal(n, 0), orthogonal(n, 1)
    target = (u * np.array(strengths)) @ v.T
    return simcore.LinearNetwork(widths=[n] * (depth + 1), covariance=[1.0] * n, cross_covariance=target), u, v


def balanced(depth: int, u: Array, v: Array, layer: float) -> Array:
    """Return the parameters of a balanced start: every layer has all singular values ``layer``, aligned in turn."""
    n = len(u)
    bases = [v, *(orthogonal(n, 10 + k) for k in range(depth - 1)), u]
    return np.concatenate([(layer * right @ left.T).ravel() for left, right in pairwise(bases)])


def modes(x: Array, n: int, u: Array, v: Array) -> Array:
    """Return the strengths u_i = (U^T W V)_ii of W = W_L ... W_1, shape (..., n), for x of shape (..., parameters)."""
    w = x.reshape(*x.shape[:-1], -1, n, n)
    product = w[..., 0, :, :]
    for k in range(1, w.shape[-3]):
        product = w[..., k, :, :] @ product
    return np.einsum("ki,...kl,li->...i", u, product, v)


def crossing(time: Array, strength: Array, level: float) -> float:
    """Return when a recorded strength first crosses a level, on the cubic spline through the records."""
    place = int(np.argmax(strength > level))
    if place == 0:
        return float("nan")
    near = slice(max(0, place - 4), place + 4)
    spline = interpolate.CubicSpline(time[near], strength[near] - level)
    return float(optimize.brentq(spline, time[place - 1], time[place]))


# ---- balanced starts ---------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Course:
    """Strengths along a path, (records, modes), beside the exact ones."""

    depth: int
    time: Array
    strength: Array
    exact: Array

    @property
    def error(self) -> float:
        return float(np.abs(self.strength - self.exact).max())


def exact_course(depth: int, s: float, u0: float, time: Array) -> Array:
    """Return u(t): the closed form for two layers, the inverse of the quadrature t(u) otherwise."""
    if depth == 2:
        return mode_strength(time, s, u0)

    def slope(t: float, u: Array) -> Array:
        return depth * u ** (2 - 2 / depth) * (s - u)

    found = integrate.solve_ivp(slope, (0, time[-1]), [u0], method="DOP853", t_eval=time, rtol=1e-13, atol=1e-16)
    return found.y[0]


def balanced_course(depth: int, start: float, end: float, strengths: Sequence[float] = STRENGTHS) -> Course:
    """Integrate the gradient flow from a balanced start with u0 = ``start``, up to time ``end``."""
    landscape, u, v = task(depth, strengths)
    steps = 800
    frame = simcore.trajectory(
        landscape, method="gradient_flow", step_size=end / steps, steps=steps, tolerance=1e-13, positions=True,
        start=balanced(depth, u, v, start ** (1 / depth)),
    )  # fmt: skip
    time = frame["time"].to_numpy()
    strength = modes(points_of(frame)[0], len(strengths), u, v)
    exact = np.stack([exact_course(depth, s, start, time) for s in strengths], axis=1)
    return Course(depth, time, strength, exact)


def learning_time(depth: int, s: float, layer: float) -> float:
    """Return the exact time from u0 = layer^L to 0.9 s: the integral of du / (L u^{2 - 2/L} (s - u))."""
    start, end = layer**depth, 0.9 * s
    # in ln u: the integrand is smooth however small u0 is
    found = integrate.quad(
        lambda y: np.exp(y * (2 / depth - 1)) / (depth * (s - np.exp(y))), np.log(start), np.log(end), limit=200
    )
    return float(found[0])


def measured_learning_time(depth: int, s: float, layer: float) -> float:
    """Return the same time along the network's gradient flow; all modes have strength s."""
    landscape, u, v = task(depth, (s, s))
    steps = 600
    frame = simcore.trajectory(
        landscape, method="gradient_flow", step_size=1.05 * learning_time(depth, s, layer) / steps, steps=steps,
        tolerance=1e-11, positions=True, start=balanced(depth, u, v, layer),
    )  # fmt: skip
    strength = modes(points_of(frame)[0], 2, u, v)[:, 0]
    return crossing(frame["time"].to_numpy(), strength, 0.9 * s)


# ---- random starts -----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Learner:
    """One path from a small random start: strengths, cost, half-times and their predictions, plateaus."""

    time: Array
    strength: Array
    cost: Array
    half: Array  # (modes,)
    predicted: Array
    distance: (
        Array  # (records, modes): from the point to the saddle at which the first k modes are learnt, k = 0, 1, ..
    )
    index: Array  # (modes,) negative eigenvalues at the closest record of each


def random_learners(count: int) -> list[Learner]:
    """Integrate the two-layer flow from small random starts."""
    landscape, u, v = task(2)
    n, end, steps = len(STRENGTHS), 40.0, 1600
    starts = SMALL * np.random.default_rng([SEED, 2]).standard_normal((count, 2 * n * n))
    frame = simcore.trajectory(
        landscape, method="gradient_flow", step_size=end / steps, steps=steps, start=starts, positions=True,
        tolerance=1e-11,
    )  # fmt: skip
    time = frame["time"].to_numpy()[: steps + 1]
    costs = frame["cost"].to_numpy().reshape(count, -1)
    draw = landscape.draw(seed=0)
    return [_learner(draw, x, time, cost, u, v) for x, cost in zip(points_of(frame), costs, strict=True)]


def _learner(draw: Any, x: Array, time: Array, cost: Array, u: Array, v: Array) -> Learner:
    n = len(u)
    strength = modes(x, n, u, v)
    half = np.array([crossing(time, strength[:, i], s / 2) for i, s in enumerate(STRENGTHS)])
    distance = np.stack([np.linalg.norm(x - _saddle(x, k, u, v), axis=1) for k in range(n)], axis=1)
    closest = distance.argmin(axis=0)
    # zero modes along the saddle's orbit are off zero by as much as the point is off the saddle
    eigenvalues = np.linalg.eigvalsh(draw.hessian(x[closest]))
    index = (eigenvalues < -0.5 * STRENGTHS[-1]).sum(axis=1)
    return Learner(time, strength, cost, half, predicted_half_times(x[0], u, v), distance, index)


def predicted_half_times(x: Array, u: Array, v: Array) -> Array:
    """Return (1/2s) ln((s - u0)/u0) of each mode, u0 = |c|^2 with c = (a + b)/2 orthogonal to those learnt before."""
    n = len(u)
    w1, w2 = x.reshape(2, n, n)
    c = 0.5 * (w1 @ v + w2.T @ u)  # columns
    r = np.linalg.qr(c)[1]
    return np.array([half_time(s, float(r[i, i] ** 2)) for i, s in enumerate(STRENGTHS)])


def _saddle(x: Array, learnt: int, u: Array, v: Array) -> Array:
    """Return a point of the saddle at which the first ``learnt`` modes are learnt, close to each x, shape as x.

    W_1 = sum sqrt(s_i) h_i v_i^T, W_2 = sum sqrt(s_i) u_i h_i^T with orthonormal h, the polar factor of (a + b)/2.
    """
    n = len(u)
    w = x.reshape(-1, 2, n, n)
    c = 0.5 * (w[:, 0] @ v + w[:, 1].swapaxes(1, 2) @ u)[:, :, :learnt]
    left, _, right = np.linalg.svd(c, full_matrices=False)
    h = (left @ right) * np.sqrt(np.array(STRENGTHS[:learnt]))
    first = h @ v[:, :learnt].T
    second = u[:, :learnt] @ h.swapaxes(1, 2)
    return np.stack([first, second], axis=1).reshape(x.shape)


# ---- the study ---------------------------------------------------------------------------------------------------
def measure(full: bool, out: Path) -> Result:
    """Integrate from balanced and from random starts and judge the claims."""
    two = balanced_course(2, BALANCED, 18.0)
    deeper = []
    for depth in (3, 4, 5):
        end = 1.4 * learning_time(depth, 2.0, 1e-3 ** (1 / depth))
        deeper.append(balanced_course(depth, 1e-3, end, (4.0, 2.0)))
    learners = random_learners(96 if full else 24)
    depths = (2, 3, 4, 6, 8, 12, 16) if full else (2, 3, 4, 6, 8)
    times = {d: measured_learning_time(d, 2.0, 1.0) for d in depths}
    claims = [*balanced_claims(two, deeper), *random_claims(learners), depth_claim(times)]
    return Result(table(two, learners), figure(two, deeper, learners, times), claims)


def balanced_claims(two: Course, deeper: Sequence[Course]) -> list[Claim]:
    """Return the claims about balanced starts, without sampling: largest errors against 0, ratios against 1."""
    half = [crossing(two.time, two.strength[:, i], s / 2) / half_time(s, BALANCED) for i, s in enumerate(STRENGTHS)]
    claims = [
        Claim(
            "two layers, balanced start: largest |u - exact u(t)| over all modes and times", 0.0,
            f"simcore.theory.saxe; {PAPER}", lambda level: bound(two.error), 1e-6,
        ),
        Claim(
            "two layers, balanced start: half-time over (1/2s) ln((s - u0)/u0), all modes", 1.0,
            f"simcore.theory.saxe; {PAPER}", lambda level: _with_one(half), 1e-3,
        ),
    ]  # fmt: skip
    for course in deeper:
        claims.append(
            Claim(
                f"{course.depth} layers, balanced start: largest |u - u(t) of the mode equation|", 0.0,
                f"du/dt = L u^(2-2/L) (s - u), integrated; {PAPER}", _bound(course.error), 1e-6,
            )
        )  # fmt: skip
    return claims


def _bound(error: float) -> Any:
    return lambda level: bound(error)


def _with_one(ratios: Sequence[float]) -> Any:
    """Return the range of ratios computed without sampling, widened by the interpolation's own error, 1e-6."""
    e = spread(ratios)
    return type(e)(e.value, e.se, e.low - 1e-6, e.high + 1e-6, draws=e.draws, kind=e.kind)


def random_claims(learners: Sequence[Learner]) -> list[Claim]:
    """Return the claims about small random starts; the unit is the start."""
    error = max(float(np.abs(run.half / run.predicted - 1).max()) for run in learners)
    ordered = sum(bool((np.diff(run.half) > 0).all()) for run in learners)
    table_index = saddle_indices()
    visits = sum(bool((run.index == table_index).all()) for run in learners)
    return [
        Claim(
            f"two layers, random starts of size {SMALL:g}: half-times are (1/2s) ln((s - u0)/u0), u0 from the start; "
            "largest relative error",
            0.0, f"simcore.theory.saxe; {PAPER}", lambda level: bound(error), 1e-3,
        ),
        measurement(
            "two layers, random starts: share of starts that learn the modes in the order of their singular values",
            PAPER, share(ordered, len(learners)),
        ),
        measurement(
            "two layers, random starts: share of starts whose plateaus lie at saddles of the exact index, in order",
            "simcore.theory.linear; Baldi & Hornik (1989)", share(visits, len(learners)),
        ),
    ]  # fmt: skip


def saddle_indices() -> Array:
    """Return the exact index of the saddles at which the first 0, 1, 2, ... modes are learnt."""
    classes = task(2)[0].critical_classes()
    by_subset = dict(zip(classes["subset"], classes["morse_index"], strict=True))
    return np.array([by_subset[tuple(range(1, k + 1))] for k in range(len(STRENGTHS))])


def depth_claim(times: dict[int, float]) -> Claim:
    """Return the claim about the learning time of orthogonal starts against depth."""
    ratios = [t / learning_time(d, 2.0, 1.0) for d, t in times.items()]
    return Claim(
        f"orthogonal starts, {min(times)} to {max(times)} layers: learning time over the mode equation's", 1.0,
        f"integral of du / (L u^(2-2/L) (s - u)); {PAPER}", lambda level: _with_one(ratios), 1e-3,
    )  # fmt: skip


def table(two: Course, learners: Sequence[Learner]) -> Table:
    """Return a row a mode: half-times from balanced and random starts; the plateau before it."""
    rows = []
    indices = saddle_indices()
    for i, s in enumerate(STRENGTHS):
        rows.append(
            {
                "mode": i + 1, "s": s, "half": crossing(two.time, two.strength[:, i], s / 2),
                "exact": half_time(s, BALANCED), "error": float(np.abs(two.strength - two.exact)[:, i].max()),
                "random": mean([run.half[i] / run.predicted[i] for run in learners]), "starts": len(learners),
                "morse_index": int(indices[i]), "visits": sum(int(run.index[i] == indices[i]) for run in learners),
                "distance": mean([run.distance[:, i].min() for run in learners]),
            }
        )  # fmt: skip
    columns = [
        Column("mode", "mode"), Column("s", "s", "$s$"), Column("half", "half-time, balanced", digits=7),
        Column("exact", "exact", digits=7), Column("error", "largest error of u", digits=2),
        Column("starts", "random starts"), Column("random", "half-time / predicted"),
        Column("morse_index", "index of the saddle before"),
        Column("visits", "visited by"), Column("distance", "closest distance"),
    ]  # fmt: skip
    notes = [
        "Saddle before: modes of larger s learnt, this one and the rest zero; visited by: random starts whose Hessian "
        "at the closest record has that index. Errors: one standard error between starts."
    ]
    return Table(columns, rows, "A two-layer linear network learns one mode after the other", notes)


# ---- figure ------------------------------------------------------------------------------------------------------
def figure(two: Course, deeper: Sequence[Course], learners: Sequence[Learner], times: dict[int, float]) -> Figure:
    """Return six panels: exact dynamics, random starts, cost, saddles visited, deeper networks, learning time."""
    with canvas.style():
        panels, axes = canvas.grid(2, 3, width=3.1, height=2.6)
        _course_panel(axes[0, 0], two)
        _random_panel(axes[0, 1], learners[0])
        _cost_panel(axes[0, 2], learners)
        _saddle_panel(axes[1, 0], learners[0])
        _deep_panel(axes[1, 1], two, deeper)
        _depth_panel(axes[1, 2], times)
        canvas.panel_letters(axes)
    return panels


def _course_panel(axis: Axes, two: Course) -> None:
    for i, s in enumerate(STRENGTHS):
        axis.plot(two.time, two.exact[:, i], **canvas.EXACT, label="exact $u(t)$" if i == 0 else None)
        look = {**canvas.DISTINCT, "markersize": 3, "marker": canvas.MARKERS[i], "markerfacecolor": "white"}
        axis.plot(two.time[::25], two.strength[::25, i], **look, label=f"network, $s={s:g}$")
    axis.set(xlabel="time $t$", ylabel="strength $u$ of a mode", xlim=(0, two.time[-1]), ylim=(0, 6.6))
    axis.set_title("balanced start")
    axis.legend(loc="upper right", ncols=2, columnspacing=0.8, handletextpad=0.4)


def _random_panel(axis: Axes, run: Learner) -> None:
    for i, s in enumerate(STRENGTHS):
        axis.plot(run.time, run.strength[:, i], color=canvas.SEQUENCE[i], linestyle=canvas.LINES[i], label=f"$s={s:g}$")
        axis.plot(run.predicted[i], s / 2, "o", color="black", markersize=4, label="predicted half" if i == 3 else None)
    axis.set(xlabel="time $t$", ylabel="strength $u$ of a mode", xlim=(0, run.time[-1]), ylim=(0, 6.6))
    axis.set_title("small random start")
    axis.legend(loc="upper right", ncols=2, columnspacing=0.8)


def _cost_panel(axis: Axes, learners: Sequence[Learner]) -> None:
    levels = [0.5 * sum(s * s for s in STRENGTHS[k:]) for k in range(len(STRENGTHS))]
    for k, run in enumerate(learners[:8]):
        axis.plot(
            run.time, run.cost, color=canvas.EXACT["color"], linewidth=0.8, label="random starts" if k == 0 else None
        )
    for k, level in enumerate(levels):
        axis.axhline(level, **canvas.COIN, linewidth=0.9, label="cost of the saddles" if k == 0 else None)
        words = "nothing learnt" if k == 0 else f"{k} mode{'s' if k > 1 else ''} learnt"
        axis.text(0.98 * run.time[-1], level * 1.2, words, ha="right", fontsize=7.5, color="#444444")
    axis.set(xlabel="time $t$", ylabel="cost", yscale="log", ylim=(2e-3, 40), xlim=(0, run.time[-1]))
    axis.set_title("plateaus lie at the saddles")
    axis.legend(loc="lower left")


def _saddle_panel(axis: Axes, run: Learner) -> None:
    indices = saddle_indices()
    for k in range(len(STRENGTHS)):
        axis.plot(
            run.time, run.distance[:, k], color=canvas.SEQUENCE[k], linestyle=canvas.LINES[k],
            label=f"{k} learnt, index {indices[k]}",
        )  # fmt: skip
    axis.set(
        xlabel="time $t$", ylabel="distance from the saddle", yscale="log", xlim=(0, run.time[-1]), ylim=(1e-4, 300)
    )
    axis.set_title("one saddle after the other")
    axis.legend(loc="upper center", ncols=2, columnspacing=0.7, handletextpad=0.4, handlelength=1.8)


def _deep_panel(axis: Axes, two: Course, deeper: Sequence[Course]) -> None:
    for k, course in enumerate(deeper):
        axis.plot(course.time, course.exact[:, 1], color=canvas.SEQUENCE[k + 1], linestyle=canvas.LINES[k])
        axis.plot(
            course.time[::20], course.strength[::20, 1], marker=canvas.MARKERS[k], linestyle="none", markersize=3,
            color=canvas.SEQUENCE[k + 1], markerfacecolor="white", label=f"{course.depth} layers",
        )  # fmt: skip
    axis.plot([], [], color="#444444", label="mode equation")
    axis.set(xlabel="time $t$", ylabel="strength $u$, $s=2$", ylim=(0, 3.0), xlim=(0, deeper[-1].time[-1]))
    axis.set_title("deeper: longer plateaus, sharper steps")
    axis.legend(loc="upper left", ncols=2, columnspacing=0.8)


def _depth_panel(axis: Axes, times: dict[int, float]) -> None:
    depths = np.arange(2, max(times) + 1)
    for layer, look, words in ((1.0, canvas.EXACT, "orthogonal"), (0.5, canvas.COIN, "layers of size 1/2")):
        exact = [d * learning_time(d, 2.0, layer) for d in depths]
        axis.plot(depths, exact, **look, label=f"{words}: mode equation")
    axis.plot(list(times), [d * t for d, t in times.items()], **canvas.DISTINCT, label="orthogonal: network")
    axis.set(xlabel="layers $L$", ylabel=r"learning time $\times\,L$", yscale="log", ylim=(0.5, 30 * max(exact)))
    axis.set_title("orthogonal starts learn at any depth")
    canvas.whole_ticks(axis, depths)
    axis.legend(loc="upper left")


STUDY = Study(
    "saxe_2013",
    "A deep linear network learns its modes one after the other, along exactly known curves: plateaus near saddles, "
    "then fast transitions.",
    f"{PAPER}.",
    measure,
)
