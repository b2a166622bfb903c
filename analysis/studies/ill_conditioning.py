"""The gradient's norm may grow while the error falls: the curvature along the gradient grows faster still.

The claims of Goodfellow, Bengio and Courville (2016), section 8.2.1, equation 8.10 and figure 8.1. A step -eps g
changes the cost by -eps g'g + eps^2 g'Hg / 2 up to third order, so it does harm once eps g'Hg > 2 g'g, however large g
is. Measured: gradient norm, g'Hg, cost and the error on unseen digits of networks trained by minibatches, for two
costs and several widths; the change of cost predicted and measured for one step of many sizes; on quadratics of known
spectrum the largest step that still converges, 2 / w_max, and the rate at the best step, (k - 1)/(k + 1), k the
condition number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import simcore
from simcore.networks.data import source

from .. import canvas
from ..estimates import Array, Estimate, mean
from ..writers import Column, Table
from .paths import BOOK, bound, points_of, spread
from .proportions import share
from .runs import seed_of
from .study import Result, Study
from .verdicts import Claim, measurement

SEED = seed_of("ill_conditioning")
SECTION = f"{BOOK}, 8.2.1"
STEP, BATCH = 0.4, 32
EARLY = 0.1  # share of the steps after which "while the error falls" begins: the first fall of both is over
NETWORKS = (("mse", "tanh", 8), ("mse", "tanh", 24), ("mse", "relu", 24))
NETWORKS += (("cross_entropy", "tanh", 8), ("cross_entropy", "tanh", 24), ("cross_entropy", "relu", 24))
SHOWN = (("mse", "tanh", 24), ("cross_entropy", "tanh", 24))
COSTS = {"mse": "mean squares", "cross_entropy": "cross-entropy"}
CONDITIONS = (2, 5, 10, 30, 100, 300, 1000)
STEPS = np.concatenate([np.logspace(-4, -1, 7), np.linspace(0.25, 3, 12), [5.0, 10.0]])  # in units of g'g / g'Hg


@dataclass(frozen=True)
class Training:
    """Records of one network's training, each of shape (starts, records)."""

    loss: str
    activation: str
    hidden: int
    step: Array
    cost: Array
    norm: Array
    curvature: Array
    error: Array  # share of unseen digits that are classified wrongly
    points: Array  # (6, n): where the first starts were at half of their steps

    @property
    def name(self) -> str:
        return f"64-{self.hidden}-10 {self.activation}, {COSTS[self.loss]}"

    def ends(self, values: Array) -> tuple[Array, Array]:
        """Return means over an early and the last tenth of the records, each (starts,)."""
        tenth = max(2, int(EARLY * values.shape[1]))
        return values[:, tenth : 2 * tenth].mean(axis=1), values[:, -tenth:].mean(axis=1)

    def norm_grows(self) -> NDArray[np.bool_]:
        """Return for each start whether the norm is larger at the end than early."""
        norm, last_norm = self.ends(self.norm)
        return last_norm > norm

    def grows(self) -> NDArray[np.bool_]:
        """Return for each start whether the norm is larger at the end than early, while the error is lower."""
        error, last_error = self.ends(self.error)
        return self.norm_grows() & (last_error < error)

    def curvature_gain(self) -> Array:
        """Return for each start ln of the growth of g'Hg / g'g from early to the end; -inf where it turned negative."""
        (bent, last_bent), (square, last_square) = self.ends(self.curvature), self.ends(self.norm**2)
        ratio = (last_bent / last_square) / (bent / square)
        return np.log(np.maximum(ratio, 1e-300))


def network(loss: str, activation: str, hidden: int, full: bool, unseen: bool = False) -> Any:
    """Return a network's cost on the digits that it is trained on, or on the rest, which it never sees."""
    inputs, targets = source({"kind": "digits", "samples": 1797}).load()
    seen = 1400 if full else 600
    part = slice(seen, None) if unseen else slice(seen)
    return simcore.MLP(
        widths=[64, hidden, 10], activation=activation, loss=loss, data=(inputs[part], targets[part])
    )  # fmt: skip


def train(loss: str, activation: str, hidden: int, full: bool) -> Training:
    """Train from many starts by minibatches and keep 60 records."""
    steps, starts = (6000, 32) if full else (1500, 16)
    frame = simcore.trajectory(
        network(loss, activation, hidden, full), method="sgd", step_size=STEP, steps=steps, every=steps // 60,
        starts=starts, batch_size=BATCH, seed=SEED, start_law="gaussian_0.1", positions=True,
    )  # fmt: skip
    step, cost, norm, curvature = (
        frame[c].to_numpy().reshape(starts, -1) for c in ("step", "cost", "grad_norm", "curvature")
    )
    points = points_of(frame)
    rest = network(loss, activation, hidden, full, unseen=True).draw(seed=SEED)
    error = np.stack([rest.error_rate(path) for path in points])
    return Training(loss, activation, hidden, step[0], cost, norm, curvature, error, points[:6, 30])


# ---- one step ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Steps:
    """Change of cost by one step -eps g from points of a training, for eps = STEPS g'g / g'Hg: (points, sizes)."""

    measured: Array
    predicted: Array
    scale: Array  # (points,) eps g'g at eps = g'g / g'Hg

    def deviation(self) -> Array:
        """Return |measured - predicted| / |predicted|, the prediction of first order where the second cancels it."""
        first = STEPS * self.scale[:, None]
        return np.abs(self.measured - self.predicted) / np.maximum(np.abs(self.predicted), 0.5 * first)

    def breaks(self, level: float = 0.1) -> Array:
        """Return the smallest size at which each point's deviation exceeds ``level``, in units of g'g / g'Hg."""
        beyond = self.deviation() > level
        return np.where(beyond.any(axis=1), STEPS[beyond.argmax(axis=1)], np.inf)


def one_step(training: Training, full: bool) -> Steps:
    """Take one step of each size from the points half-way through training, where the curvature is positive."""
    landscape = network(training.loss, training.activation, training.hidden, full)
    at = simcore.trajectory(landscape, method="gradient_descent", step_size=1e-3, steps=1, start=training.points)
    at = at[at["step"] == 0]
    best = (at["grad_norm"] ** 2 / at["curvature"]).to_numpy()
    good = best > 0
    measured, predicted = [], []
    for point, size in zip(training.points[good], best[good], strict=True):
        for step in STEPS * size:
            frame = simcore.trajectory(
                landscape, method="gradient_descent", step_size=step, steps=1, start=point, threads=1
            )
            measured.append(float(np.diff(frame["cost"])[0]))
            predicted.append(float(frame["predicted_change"].iloc[0]))
    shape = (-1, len(STEPS))
    scale = (best * at["grad_norm"].to_numpy() ** 2)[good]
    return Steps(np.reshape(measured, shape), np.reshape(predicted, shape), scale)


# ---- quadratics --------------------------------------------------------------------------------------------------
def quadratic(condition: float) -> Any:
    """Return 1/2 x'Wx with eight eigenvalues from 1 to the condition number, equally spaced in logarithm."""
    w = np.logspace(0, math.log10(condition), 8)
    return simcore.CustomLandscape(
        lambda x: 0.5 * float(x @ (w * x)), lambda x: w * x, lambda x: np.diag(w), simcore.Space(8), 8,
        length=1.0, gradient_scale=1.0,
    )  # fmt: skip


def largest_step(condition: float) -> float:
    """Return the largest step whose cost falls between steps 200 and 400, by bisection, over 2 / w_max."""
    landscape, low, high = quadratic(condition), 1.0, 3.0
    while high - low > 1e-3:
        middle = 0.5 * (low + high)
        frame = simcore.trajectory(
            landscape,
            method="gradient_descent",
            step_size=middle / condition,
            steps=400,
            every=200,
            starts=1,
            seed=SEED,
        )
        late = frame["cost"].to_numpy()[1:]
        # far beyond the edge costs overflow to inf, and inf < inf is false
        low, high = (middle, high) if late[1] < late[0] else (low, middle)
    return 0.5 * (low + high) / 2


def contraction(condition: float) -> float:
    """Return the measured factor per step of the distance at the best step, 2 / (w_min + w_max)."""
    steps = max(60, int(4 * condition))
    frame = simcore.trajectory(
        quadratic(condition), method="gradient_descent", step_size=2 / (1 + condition), steps=steps, every=steps // 2,
        starts=1, seed=SEED,
    )  # fmt: skip
    cost = frame["cost"].to_numpy()
    return float((cost[2] / cost[1]) ** (0.5 / (steps - steps // 2)))


# ---- the study ---------------------------------------------------------------------------------------------------
def measure(full: bool, out: Path) -> Result:
    """Train networks on digits, take single steps, walk on quadratics, and judge the claims."""
    trainings = [train(*network, full) for network in NETWORKS]
    shown = [t for t in trainings if (t.loss, t.activation, t.hidden) in SHOWN]
    steps = {t.loss: one_step(t, full) for t in shown}
    edges = {k: largest_step(k) for k in CONDITIONS}
    rates = {k: contraction(k) for k in CONDITIONS}
    claims = [
        *[growth_claim(t) for t in trainings], *[curvature_claim(t) for t in trainings],
        *[step_claim(loss, s) for loss, s in steps.items()], *quadratic_claims(edges, rates),
    ]  # fmt: skip
    return Result(table(trainings, steps, edges, rates), figure(shown, steps, edges, rates), claims)


def growth_claim(run: Training) -> Claim:
    """Return how often the gradient norm grows while the error falls; figure 8.1 is an example, so none is judged."""
    hits, count = int(run.grows().sum()), len(run.cost)
    return measurement(
        f"{run.name}: the gradient norm grows while the error on unseen digits falls: share of starts",
        f"figure 8.1, an example; {SECTION}", share(hits, count),
    )  # fmt: skip


def curvature_claim(run: Training) -> Claim:
    """Return how often g'Hg grows faster than g'g: "often", the book says."""
    hits, count = int((run.curvature_gain() > 0).sum()), len(run.cost)
    return measurement(f"{run.name}: g'Hg grows faster than g'g: share of starts", SECTION, share(hits, count))


def step_claim(loss: str, steps: Steps) -> Claim:
    """Return the claim that a small step changes the cost as its second-order expansion predicts."""
    small = STEPS <= 0.01
    worst = float(steps.deviation()[:, small].max())
    return Claim(
        f"64-24-10 tanh, {COSTS[loss]}: steps up to 0.01 g'g/g'Hg change the cost as predicted: largest relative error",
        0.0, f"-eps g'g + eps^2 g'Hg/2, equation 8.10; {BOOK}", lambda level: bound(worst), 0.01,
    )  # fmt: skip


def quadratic_claims(edges: dict[int, float], rates: dict[int, float]) -> list[Claim]:
    """Return the claims about quadratics, without sampling."""
    ratio = list(rate_ratios(rates).values())

    def edge(level: float) -> Estimate:
        e = spread(list(edges.values()))
        return Estimate(e.value, 0.0, e.low - 5e-4, e.high + 5e-4, draws=e.draws, kind=e.kind)

    def rate(level: float) -> Estimate:
        e = spread(ratio)
        return Estimate(e.value, 0.0, e.low - 1e-9, e.high + 1e-9, draws=e.draws, kind=e.kind)

    where = f"quadratics of condition number {CONDITIONS[0]} to {CONDITIONS[-1]}"
    return [
        Claim(f"{where}: largest step that converges over 2/w_max", 1.0, "exact algebra", edge, 0.01),
        Claim(f"{where}: factor per step at the best step over (k - 1)/(k + 1)", 1.0, "exact algebra", rate, 0.01),
    ]


def rate_ratios(rates: dict[int, float]) -> dict[int, float]:
    """Return the measured factor per step over the exact one, (k - 1)/(k + 1), by condition number."""
    return {k: rate / ((k - 1) / (k + 1)) for k, rate in rates.items()}


def table(
    trainings: Sequence[Training], steps: dict[str, Steps], edges: dict[int, float], rates: dict[int, float]
) -> Table:
    """Return a row a network: error, cost, gradient norm and g'Hg/g'g early and at the end; then a row a quadratic."""
    rows = []
    for run in trainings:
        row: dict[str, Any] = {
            "what": run.name, "parameters": (64 + 1) * run.hidden + (run.hidden + 1) * 10, "starts": len(run.cost),
            "norm_grows": int(run.norm_grows().sum()), "grows": int(run.grows().sum()),
        }  # fmt: skip
        for key, values in (("error", run.error), ("cost", run.cost), ("norm", run.norm)):
            row[key], row[f"last_{key}"] = map(mean, run.ends(values))
        (bent, last_bent), (square, last_square) = run.ends(run.curvature), run.ends(run.norm**2)
        row |= {"ratio": mean(bent / square), "last_ratio": mean(last_bent / last_square)}
        if (run.loss, run.activation, run.hidden) in SHOWN:
            row["breaks"] = breaking(steps[run.loss])
        rows.append(row)
    ratios = rate_ratios(rates)
    for k, edge in edges.items():
        rows.append(
            {"what": f"quadratic, condition number {k}", "parameters": 8, "edge": edge, "rate": ratios[k]}
        )  # fmt: skip
    columns = [
        Column("what", "network and cost, or quadratic"), Column("parameters", "parameters"),
        Column("starts", "starts"),
        Column("error", "error on unseen digits, early"), Column("last_error", "at the end"),
        Column("cost", "cost, early"), Column("last_cost", "at the end"), Column("norm", "|g|, early"),
        Column("last_norm", "at the end"), Column("ratio", "g'Hg/g'g, early"), Column("last_ratio", "at the end"),
        Column("norm_grows", "norm grew in"), Column("grows", "and the error fell"),
        Column("breaks", "prediction 10 % off at eps g'Hg/g'g =", digits=2),
        Column("edge", "largest step over 2/w_max", digits=4), Column("rate", "rate over exact", digits=6),
    ]  # fmt: skip
    shrinking = [row for row in rows if row.get("norm_grows") == 0]
    falling = sum(row["last_ratio"].value < row["ratio"].value for row in shrinking)
    points = ", ".join(f"{len(run.measured)} points ({COSTS[loss]})" for loss, run in steps.items())
    notes = [
        f"Minibatches of {BATCH}, step {STEP:g}; early: the second tenth of training. Errors: one standard error "
        f"between starts. Single steps were taken half-way through training, at those of 6 points where g'Hg > 0: "
        f"{points}.",
        f"In {falling} of the {len(shrinking)} networks whose norm grows in none of the starts, g'Hg/g'g falls too: "
        "their training is not held up by the curvature along the gradient.",
    ]
    return Table(columns, rows, "Gradient norm and curvature through training on digits; quadratics", notes)


def breaking(steps: Steps) -> float | Estimate:
    """Return the median size at which the prediction is 10 % off, as a bound where no size tried was enough."""
    size = float(np.median(steps.breaks()))
    if math.isfinite(size):
        return size
    return Estimate(math.nan, math.nan, float(STEPS[-1]), math.inf, sides=1, draws=len(steps.measured))


# ---- figure ------------------------------------------------------------------------------------------------------
LOOKS = {
    "mse": {"color": canvas.EXACT["color"], "linestyle": "-"},
    "cross_entropy": {"color": canvas.HITS["color"], "linestyle": "--"},
}


def figure(
    shown: Sequence[Training], steps: dict[str, Steps], edges: dict[int, float], rates: dict[int, float]
) -> Figure:
    """Return six panels: norm, error and curvature through training; the change of cost by a step; quadratics."""
    with canvas.style():
        panels, axes = canvas.grid(2, 3, width=3.1, height=2.6)
        for run in shown:
            _band(axes[0, 0], run, run.norm)
            _band(axes[0, 1], run, 100 * run.error)
            _band(axes[0, 2], run, run.curvature / run.norm**2)
        axes[0, 0].set(ylabel=r"gradient norm $|g|$", yscale="log", title="the gradient norm may grow ...")
        axes[0, 1].set(ylabel="unseen digits misclassified, %", yscale="log", title="... while the error falls")
        for axis in axes[0, :2]:  # a third more above, for the legend
            low, high = axis.get_ylim()
            axis.set_ylim(low, high * (high / low) ** 0.3)
        canvas.log_ticks(axes[0, 1])
        axes[0, 2].axhline(
            2 / STEP, color="black", linestyle=":", linewidth=1, label=r"$2/\varepsilon$: full steps do harm"
        )
        axes[0, 2].set(ylabel=r"$g^\top Hg\,/\,g^\top g$", yscale="log", title="curvature along the gradient")
        axes[0, 2].set_ylim(3e-3, 400)
        for axis in axes[0]:
            axis.legend(loc="upper right")
            axis.set(xlabel="step of training", xlim=(0, shown[0].step[-1]))
        _change_panel(axes[1, 0], steps)
        _deviation_panel(axes[1, 1], steps)
        _quadratic_panel(axes[1, 2], edges, rates)
        canvas.panel_letters(axes)
    return panels


def _band(axis: Axes, run: Training, values: Array) -> None:
    with np.errstate(invalid="ignore", divide="ignore"):
        low, middle, high = np.nanquantile(np.where(values > 0, values, np.nan), [0.1, 0.5, 0.9], axis=0)
    axis.plot(run.step, middle, **LOOKS[run.loss], label=COSTS[run.loss])
    axis.fill_between(run.step, low, high, color=LOOKS[run.loss]["color"], alpha=0.2, linewidth=0)


def _change_panel(axis: Axes, steps: dict[str, Steps]) -> None:
    size = np.linspace(0, 3, 61)
    axis.plot(size, size * (0.5 * size - 1), color="black", label="predicted (8.10)")
    for loss, run in steps.items():
        middle = np.median(run.measured / run.scale[:, None], axis=0)
        marker = "o" if loss == "mse" else "s"
        axis.plot(
            STEPS, middle, marker, color=LOOKS[loss]["color"], markersize=4, markerfacecolor="white", label=COSTS[loss]
        )
    axis.axhline(0, color="black", linewidth=0.6)
    axis.axvline(2, color="#777777", linewidth=0.8, linestyle=":")
    axis.set(xlim=(0, 3), ylim=(-1, 3), xlabel=r"step $\varepsilon$, in units of $g^\top g\,/\,g^\top Hg$")
    axis.set_ylabel(r"change of cost, $\times\,g^\top Hg\,/\,(g^\top g)^2$")
    axis.set_title("a step helps up to 2")
    axis.legend(loc="upper left")


def _deviation_panel(axis: Axes, steps: dict[str, Steps]) -> None:
    for loss, run in steps.items():
        low, middle, high = np.quantile(run.deviation(), [0.1, 0.5, 0.9], axis=0)
        axis.plot(STEPS, middle, **LOOKS[loss], label=COSTS[loss])
        axis.fill_between(STEPS, low, high, color=LOOKS[loss]["color"], alpha=0.2, linewidth=0)
    axis.axhline(0.01, color="black", linestyle=":", linewidth=1, label="1 %")
    axis.set(
        xscale="log", yscale="log", xlabel=r"step $\varepsilon$, in units of $g^\top g\,/\,g^\top Hg$", ylim=(1e-7, 1e2)
    )
    axis.set_ylabel("relative error of the prediction")
    axis.set_title("where the prediction breaks")
    axis.legend(loc="upper left")


def _quadratic_panel(axis: Axes, edges: dict[int, float], rates: dict[int, float]) -> None:
    k = np.logspace(math.log10(1.6), 3.1, 100)
    axis.plot(k, 1 / np.log((k + 1) / (k - 1)), **canvas.EXACT, label=r"steps to fall by $e$, exact")
    axis.plot(list(rates), [-1 / math.log(r) for r in rates.values()], **canvas.DISTINCT, label="measured, best step")
    axis.plot(k, 2 / k, **canvas.COIN, label=r"largest step $\times\,w_{\min}$, exact")
    axis.plot(list(edges), [2 * e / c for c, e in edges.items()], **canvas.HITS, label="measured, by bisection")
    axis.set(xscale="log", yscale="log", xlabel=r"condition number $w_{\max}/w_{\min}$", ylim=(1e-3, 1e6))
    axis.set_ylabel("number of steps; size of a step")
    axis.set_title("quadratics: small steps, many of them")
    axis.legend(loc="upper left")


STUDY = Study(
    "ill_conditioning",
    "The gradient norm can grow throughout training while the error falls, because the curvature along the gradient "
    "grows faster; a step's effect is predicted to second order.",
    f"{SECTION}, equation 8.10 and figure 8.1.",
    measure,
)
