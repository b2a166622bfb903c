"""A minibatch's gradient is an unbiased estimate of the generalisation error's, while examples are not used twice.

The claims of Goodfellow, Bengio and Courville (2016), section 8.1.3, equation 8.9. Inputs x ~ N(0, S), targets from a
teacher plus noise of variance q, cost 1/2 |o - y|^2. Two students whose generalisation gradient is known exactly:

- linear, o = w.x, teacher w*: with e = w - w* the gradient is S e, the error (e'Se + q)/2, and the covariance of one
  example's gradient (e'Se + q) S + S e e' S (Isserlis' theorem);
- one hidden layer of tanh units on two inputs: Gauss-Hermite quadrature, whose own error the table states.

Fresh batches: mean and variance. Then stochastic gradient descent in several passes over N examples, many data sets at
once: with g_t the exact gradient at step t and G_t the batch's, the bias is sum (G_t - g_t).g_t / sum |g_t|^2 over a
pass, mean over mean. In the first pass every batch is fresh, so it is 0; later the examples have shaped the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from simcore.backends import reference_network
from simcore.backends.cpu.network_points import products as cpu_products
from simcore.backends.network_problems import Mlp

from .. import canvas
from ..estimates import Array, Estimate, mean, student
from ..writers import Column, Table
from .paths import BOOK, slope
from .runs import seed_of
from .study import Result, Study
from .verdicts import Claim

SEED = seed_of("minibatch_gradient")
SPECTRUM = np.array([2.0, 1.5, 1.2, 1.0, 0.8, 0.6, 0.5, 0.4])  # of S, for the linear student
NOISE = 0.5  # variance q
HIDDEN, INPUTS = 3, 2
NODES = 32  # of the quadrature, a dimension
SCALE = 0.6  # of the network's weights
BATCH = 5
RATE = {"linear": 0.05, "network": 0.2}
PASSES = 10
SECTION = f"{BOOK}, 8.1.3"


# ---- the two students --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Student:
    """A student of a fixed teacher; S students, or S batches of one, are rows."""

    name: str
    parameters: int
    inputs: int
    sample: Callable[[np.random.Generator, tuple[int, ...]], tuple[Array, Array]]  # x, y of so many examples
    gradient: Callable[[Array, Array, Array], Array]  # w (S, n), x (S, batch, d), y (S, batch) -> its mean gradient
    exact: Callable[[Array], Array]  # w (n,) or (S, n) -> the generalisation gradient
    error: Callable[[Array], Array]  # w (S, n) -> the generalisation error (S,)
    cost: Callable[[Array, Array, Array], Array]  # as gradient -> its mean cost (S,)


def linear_student() -> Student:
    """Return the linear student; its teacher's weights are 1/sqrt d each."""
    d = len(SPECTRUM)
    teacher = np.full(d, 1 / math.sqrt(d))

    def sample(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, Array]:
        x = rng.standard_normal((*shape, d)) * np.sqrt(SPECTRUM)
        return x, x @ teacher + math.sqrt(NOISE) * rng.standard_normal(shape)

    def residual(w: Array, x: Array, y: Array) -> Array:
        return (x * w[:, None]).sum(axis=-1) - y

    def gradient(w: Array, x: Array, y: Array) -> Array:
        return (x * residual(w, x, y)[..., None]).mean(axis=1)

    def cost(w: Array, x: Array, y: Array) -> Array:
        return 0.5 * (residual(w, x, y) ** 2).mean(axis=1)

    def error(w: Array) -> Array:
        return 0.5 * (((w - teacher) ** 2 * SPECTRUM).sum(axis=-1) + NOISE)

    return Student("linear", d, d, sample, gradient, lambda w: (w - teacher) * SPECTRUM, error, cost)


def network_student(count: int = NODES) -> Student:
    """Return the tanh student, o = v.tanh(W x + b) + c, parameters in simcore's order W, b, v, c."""
    teacher = SCALE * np.random.default_rng([SEED, 0]).standard_normal(HIDDEN * (INPUTS + 2) + 1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    grid = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, INPUTS)
    mass = np.outer(weights, weights).reshape(-1, 1) / weights.sum() ** 2
    at_nodes = tanh_network(grid, reference_network.outputs(tanh_network(grid), teacher)[0, :, 0])

    def sample(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Array, Array]:
        x = rng.standard_normal((*shape, INPUTS))
        clean = reference_network.outputs(tanh_network(x.reshape(-1, INPUTS)), teacher).reshape(shape)
        return x, clean + math.sqrt(NOISE) * rng.standard_normal(shape)

    def exact(w: Array) -> Array:
        rows = np.atleast_2d(w)
        residual = reference_network.outputs(at_nodes, rows) - at_nodes.targets
        return reference_network.pulled_back(at_nodes, rows, mass * residual).reshape(w.shape)

    def error(w: Array) -> Array:
        squares = (reference_network.outputs(at_nodes, w) - at_nodes.targets) ** 2
        return 0.5 * ((squares * mass).sum(axis=(1, 2)).reshape(w.shape[:-1]) + NOISE)

    return Student("network", len(teacher), INPUTS, sample, network_gradient, exact, error, network_cost)


def tanh_network(x: Array, y: Array | None = None) -> Mlp:
    """Return the tanh student on inputs (N, d) and targets (N,), cost the mean of (o - y)^2 / 2."""
    targets = np.zeros(len(x)) if y is None else y
    return Mlp((INPUTS, HIDDEN, 1), "tanh", "mse", x, targets[:, None], 0.0)


def network_gradient(w: Array, x: Array, y: Array) -> Array:
    """Return each row's gradient on its own batch by simcore's kernel: w (S, n), x (S, batch, d), y (S, batch)."""
    own = np.arange(y.size).reshape(y.shape)
    return cpu_products(tanh_network(x.reshape(-1, INPUTS), y.ravel()), w, order=1, chosen=own)[1]


def network_cost(w: Array, x: Array, y: Array) -> Array:
    """Return each row's mean cost on its own examples, (S,)."""
    own = np.arange(y.size).reshape(y.shape)
    return cpu_products(tanh_network(x.reshape(-1, INPUTS), y.ravel()), w, order=0, chosen=own)[0]


# ---- fresh batches -----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Fresh:
    """Minibatch gradients at one w, each batch new: blocks of batches are the units."""

    student: Student
    size: int
    batches: int
    at: Array  # (n,) parameters
    exact: Array  # (n,)
    means: Array  # (blocks, n)
    squares: Array  # (blocks,) mean |G - g|^2

    def p_value(self) -> float:
        """Return the p-value of Hotelling's T^2 of the mean: whether it is unbiased in all n components together.

        T^2 is the chi-square of all components, with the covariance estimated from b blocks, and
        T^2 (b - n) / ((b - 1) n) has the F law of n and b - n degrees of freedom.
        """
        n, b = len(self.exact), len(self.means)
        off = self.means.mean(axis=0) - self.exact
        covariance = np.cov(self.means.T) / b
        f = float(off @ np.linalg.solve(covariance, off)) * (b - n) / ((b - 1) * n)
        return float(stats.f.sf(f, n, b - n))

    def relative(self, level: float) -> Estimate:
        """Return the relative bias along g: mean (G - g).g / |g|^2."""
        return mean((self.means - self.exact) @ self.exact / (self.exact @ self.exact), level=level)

    def variance(self, level: float = 0.95) -> Estimate:
        """Return the total variance of a minibatch's gradient, trace of its covariance."""
        return mean(self.squares, level=level)


def fresh(student: Student, w: Array, size: int, batches: int, number: int) -> Fresh:
    """Draw so many batches and keep the means of 200 blocks."""
    rng = np.random.default_rng([SEED, 1, number])
    exact, blocks = student.exact(w), 200
    means, squares = np.empty((blocks, student.parameters)), np.empty(blocks)
    for block in range(blocks):
        x, y = student.sample(rng, (batches // blocks, size))
        gradient = student.gradient(np.broadcast_to(w, (len(x), len(w))), x, y)
        means[block] = gradient.mean(axis=0)
        squares[block] = ((gradient - exact) ** 2).sum(axis=1).mean()
    return Fresh(student, size, batches, w, exact, means, squares)


def linear_variance(w: Array) -> float:
    """Return the trace of the covariance of one example's gradient for the linear student."""
    g = linear_student().exact(w)
    e = g / SPECTRUM
    return float((e @ (SPECTRUM * e) + NOISE) * SPECTRUM.sum() + g @ g)


# ---- several passes ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Passes:
    """Stochastic gradient descent on many data sets of N examples; arrays (sets, passes) or (sets, passes + 1)."""

    student: str
    examples: int
    along: Array  # sum over a pass of (G - g).g
    square: Array  # sum over a pass of |g|^2
    training: Array  # training error after each pass, from 0
    general: Array  # generalisation error
    online: Array  # generalisation error with as many fresh examples

    def bias(self, number: int, level: float = 0.95) -> Estimate:
        """Return the relative bias in one pass (from 1): mean over mean, delta method over data sets."""
        top, bottom = self.along[:, number - 1], self.square[:, number - 1]
        value = float(top.mean() / bottom.mean())
        se = float((top - value * bottom).std(ddof=1) / math.sqrt(len(top)) / bottom.mean())
        half = student(level, len(top) - 1) * se
        return Estimate(value, se, value - half, value + half, level, draws=len(top), kind="annealed")


def passes(who: Student, examples: int, sets: int) -> Passes:
    """Train on many data sets, each in PASSES passes over its own examples in a new order each time."""
    rng = np.random.default_rng([SEED, 2, examples, who.parameters])
    x, y = who.sample(rng, (sets, examples))
    w = 0.3 * rng.standard_normal((sets, who.parameters)) if who.name == "network" else np.zeros((sets, who.parameters))
    online = w.copy()
    along, square = np.zeros((sets, PASSES)), np.zeros((sets, PASSES))
    training, general, fresh_error = [who.cost(w, x, y)], [who.error(w)], [who.error(w)]
    rows = np.arange(sets)[:, None]
    for number in range(PASSES):
        order = np.argsort(rng.random((sets, examples)), axis=1)
        for low in range(0, examples, BATCH):
            chosen = order[:, low : low + BATCH]
            gradient = who.gradient(w, x[rows, chosen], y[rows, chosen])
            exact = who.exact(w)
            along[:, number] += ((gradient - exact) * exact).sum(axis=1)
            square[:, number] += (exact * exact).sum(axis=1)
            w = w - RATE[who.name] * gradient
            new_x, new_y = who.sample(rng, (sets, BATCH))
            online = online - RATE[who.name] * who.gradient(online, new_x, new_y)
        training.append(who.cost(w, x, y))
        general.append(who.error(w))
        fresh_error.append(who.error(online))
    columns = (np.stack(part, axis=1) for part in (training, general, fresh_error))
    return Passes(who.name, examples, along, square, *columns)


# ---- the study ---------------------------------------------------------------------------------------------------
def measure(full: bool, out: Path) -> Result:
    """Draw fresh minibatches, train in passes, and judge the claims."""
    linear, network = linear_student(), network_student()
    at = {
        "linear": np.random.default_rng([SEED, 3]).standard_normal(linear.parameters),
        "network": SCALE * np.random.default_rng([SEED, 4]).standard_normal(network.parameters),
    }
    million = 10_000_000 if full else 1_000_000
    many = {
        "linear": fresh(linear, at["linear"], 8, million, 0),
        "network": fresh(network_student(2 * NODES), at["network"], 4, million // 4, 1),
    }
    sizes = [fresh(linear, at["linear"], m, million // 20, 10 + k) for k, m in enumerate((1, 4, 16, 64))]
    counts = (20, 40, 80, 160)
    trained = [passes(linear, n, 2000 if full else 400) for n in counts]
    trained.append(passes(network, 40, 1000 if full else 300))
    claims = [
        *fresh_claims(many, sizes, linear_variance(at["linear"])),
        *pass_claims(trained[1]), *pass_claims(trained[-1]), *worth_claims(trained[1]),
    ]  # fmt: skip
    return Result(table(many, sizes, trained, linear_variance(at["linear"])), figure(many, sizes, trained, at), claims)


def fresh_claims(many: dict[str, Fresh], sizes: list[Fresh], exact: float) -> list[Claim]:
    """Return the claims about fresh batches: mean in every component, and variance proportional to 1/m."""
    claims = []
    for name, run in many.items():
        where = f"{name} student, {run.batches} fresh minibatches of {run.size}"
        source = "exact gradient" if name == "linear" else "exact gradient (quadrature)"
        claims += [
            Claim(f"{where}: relative bias along the gradient", 0.0, f"{source}; {SECTION}", run.relative, 0.02, -1.0),
        ]  # fmt: skip
    return [
        *claims,
        Claim(
            "linear student, batches of 1 to 64: variance falls as 1/m: slope of ln variance against ln m", -1.0,
            f"independent examples; {SECTION}", lambda level: variance_slope(sizes, level), 0.02, 0.0,
        ),
        Claim(
            "linear student, batches of 64: m times the total variance of the gradient", exact,
            "Isserlis' theorem", lambda level: scaled(sizes[-1].variance(level), sizes[-1].size), 0.05 * exact,
            0.0,
        ),
    ]  # fmt: skip


def scaled(e: Estimate, factor: float) -> Estimate:
    """Return an estimate times a positive number."""
    return Estimate(e.value * factor, e.se * factor, e.low * factor, e.high * factor, e.level, e.sides, e.draws, e.kind)


def variance_slope(sizes: list[Fresh], level: float) -> Estimate:
    """Return the slope of ln variance against ln m; errors from the blocks of each size, independent of each other."""
    x = np.log([run.size for run in sizes])
    parts = [run.variance() for run in sizes]
    value = slope(x, np.log([p.value for p in parts]))
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    se = math.sqrt(sum((c * p.se / p.value) ** 2 for c, p in zip(weights, parts, strict=True)))
    half = student(level, len(sizes[0].squares) - 1) * se
    return Estimate(value, se, value - half, value + half, level, kind="slope")


def pass_claims(run: Passes) -> list[Claim]:
    """Return the claims that the first pass is unbiased, and that the tenth is, which is to be refuted.

    The rival, -1, is a batch whose mean says nothing about the generalisation gradient any more.
    """
    where = f"{run.student} student, {run.examples} examples, {len(run.along)} data sets"
    return [
        Claim(
            f"{where}: {words} pass, relative bias of minibatch gradients", 0.0, f"unbiased; {SECTION}",
            _bias(run, number), 0.2, -1.0, expected=number == 1,
        )
        for number, words in ((1, "first"), (PASSES, "tenth"))
    ]  # fmt: skip


def _bias(run: Passes, number: int) -> Any:
    return lambda level: run.bias(number, level)


def worth_claims(run: Passes) -> list[Claim]:
    """Return the claims about what passes are worth, as ratios of generalisation errors in excess of the noise."""
    excess = run.general - 0.5 * NOISE

    def ratio(level: float) -> Estimate:
        top, bottom = excess[:, -1], excess[:, 1]
        value = float(top.mean() / bottom.mean())
        se = float((top - value * bottom).std(ddof=1) / math.sqrt(len(top)) / bottom.mean())
        half = student(level, len(top) - 1) * se
        return Estimate(value, se, value - half, value + half, level, draws=len(top), kind="annealed")

    return [
        Claim(
            f"{run.student} student, {run.examples} examples: more passes over the same data do not pay: excess "
            "generalisation error after ten passes over that after one",
            1.0, f"no gain; {SECTION} says that they usually pay", ratio, 0.2, 0.0, expected=False,
        )
    ]  # fmt: skip


def table(many: dict[str, Fresh], sizes: list[Fresh], trained: list[Passes], exact: float) -> Table:
    """Return a row a set of fresh batches, then a row a training in passes."""
    rows: list[dict[str, Any]] = []
    for run in [*many.values(), *sizes]:
        variance = scaled(run.variance(), run.size)
        rows.append(
            {
                "what": f"fresh batches, {run.student.name}", "m": run.size, "units": run.batches,
                "bias_first": run.relative(0.95), "variance": variance,
                "exact": exact if run.student.name == "linear" else None,
            }
        )  # fmt: skip
    for trial in trained:
        rows.append(
            {
                "what": f"passes over {trial.examples} examples, {trial.student}", "m": BATCH,
                "units": len(trial.along),
                "bias_first": trial.bias(1), "bias_second": trial.bias(2),
                "bias_tenth": trial.bias(PASSES),
                "train": mean(trial.training[:, -1]), "general": mean(trial.general[:, -1]),
                "general_first": mean(trial.general[:, 1]), "online": mean(trial.online[:, -1]),
            }
        )  # fmt: skip
    columns = [
        Column("what", "what"), Column("m", "m", "$m$"), Column("units", "batches or data sets"),
        Column("bias_first", "bias, first use"), Column("bias_second", "second pass"),
        Column("bias_tenth", "tenth pass"),
        Column("variance", "m x variance"), Column("exact", "exact"),
        Column("general_first", "error after one pass"), Column("general", "after ten"),
        Column("train", "training error then"), Column("online", "ten times the data"),
    ]  # fmt: skip
    w = many["network"].at
    exactly = network_student(4 * NODES).exact(w)
    coarse, fine = (float(np.abs(network_student(k * NODES).exact(w) - exactly).max()) for k in (1, 2))
    notes = [
        "Bias: (G - g).g / |g|^2, mean over mean. Errors: of generalisation where not said otherwise. Largest error "
        f"of the quadrature in a component of the network's gradient: {fine:.0e} for the fresh batches, {coarse:.0e} "
        "for the passes.",
        "Fresh batches, all components at once: p-value of Hotelling's T^2 "
        + ", ".join(f"{run.p_value():.2g} ({name})" for name, run in many.items())
        + "; a test without a resolution, so no claim.",
    ]
    return Table(columns, rows, "Minibatch gradients against the exact gradient of the generalisation error", notes)


# ---- figure ------------------------------------------------------------------------------------------------------
def figure(many: dict[str, Fresh], sizes: list[Fresh], trained: list[Passes], at: dict[str, Array]) -> Figure:
    """Return four panels: components, variance, bias by pass and data size, errors by pass."""
    with canvas.style():
        panels, axes = canvas.grid(2, 2, width=3.5, height=2.7)
        _component_panel(axes[0, 0], many)
        _variance_panel(axes[0, 1], sizes, linear_variance(at["linear"]))
        _bias_panel(axes[1, 0], trained)
        _error_panel(axes[1, 1], trained[1])
        canvas.panel_letters(axes)
    return panels


def _component_panel(axis: Axes, many: dict[str, Fresh]) -> None:
    looks = {"linear": canvas.DISTINCT, "network": {**canvas.HITS, "markersize": 4}}
    for name, run in many.items():
        se = run.means.std(axis=0, ddof=1) / math.sqrt(len(run.means))
        z = (run.means.mean(axis=0) - run.exact) / se
        axis.plot(np.arange(1, len(z) + 1), z, **looks[name], label=f"{name}: {run.batches:,} batches")
    axis.axhspan(-1.96, 1.96, color="#dddddd", zorder=0, linewidth=0, label="95 % if unbiased")
    axis.axhline(0, color="black", linewidth=0.6)
    axis.set(xlabel="component of the gradient", ylabel="(mean $-$ exact) / s.e.", ylim=(-4, 6.5))
    canvas.whole_ticks(axis, [1, max(len(run.exact) for run in many.values())])
    axis.set_title("fresh batches: no bias")
    axis.legend(loc="upper right")


def _variance_panel(axis: Axes, sizes: list[Fresh], exact: float) -> None:
    m = np.array([run.size for run in sizes])
    parts = [run.variance() for run in sizes]
    axis.plot(m, exact / m, **canvas.EXACT, label="exact, $\\propto 1/m$")
    error = [[p.value - p.low for p in parts], [p.high - p.value for p in parts]]
    axis.errorbar(m, [p.value for p in parts], yerr=error, **canvas.DISTINCT, label="measured")
    axis.set(xscale="log", yscale="log", xlabel="batch size $m$", ylabel="variance of the gradient")
    axis.set_xticks(m, [str(v) for v in m])
    axis.minorticks_off()
    axis.set_title("variance falls as $1/m$")
    axis.legend(loc="upper right")


def _bias_panel(axis: Axes, trained: list[Passes]) -> None:
    numbers = np.arange(1, PASSES + 1)
    for k, run in enumerate(trained):
        parts = [run.bias(int(p)) for p in numbers]
        error = [[p.value - p.low for p in parts], [p.high - p.value for p in parts]]
        filled = "white" if run.student == "network" else canvas.SEQUENCE[k]
        axis.errorbar(
            numbers + 0.06 * (k - 2), [p.value for p in parts], yerr=error, color=canvas.SEQUENCE[k], linewidth=0.9,
            marker=canvas.MARKERS[k], linestyle=canvas.LINES[k], markersize=3.5, markerfacecolor=filled,
            label=f"{run.student}, {run.examples} examples",
        )  # fmt: skip
    axis.axhline(0, color="black", linewidth=0.6)
    axis.set(xlabel="pass over the data", ylabel="relative bias of the gradient", ylim=(-1.5, 0.9))
    canvas.whole_ticks(axis, numbers)
    axis.set_title("used again, they are biased")
    axis.legend(loc="upper right", ncols=2, columnspacing=0.8)


def _error_panel(axis: Axes, run: Passes) -> None:
    numbers = np.arange(PASSES + 1)
    for part, look, words in (
        (run.general, canvas.EXACT, "generalisation"),
        (run.training, {"color": canvas.HITS["color"], "linestyle": "--"}, "training"),
        (run.online, {"color": "black", "linestyle": ":"}, "generalisation, always new data"),
    ):
        middle = part.mean(axis=0)
        se = part.std(axis=0, ddof=1) / math.sqrt(len(part))
        axis.plot(numbers, middle, **look, label=words)
        axis.fill_between(numbers, middle - 2 * se, middle + 2 * se, color=look["color"], alpha=0.2, linewidth=0)
    axis.axhline(0.5 * NOISE, color="#777777", linewidth=0.7)
    axis.text(0.15, 0.5 * NOISE - 0.006, "noise of the targets", va="top", fontsize=7.5, color="#444444")
    axis.set(xlabel="passes", ylabel=f"error, {run.student} student, {run.examples} examples", xlim=(0, PASSES))
    axis.set_title("several passes still pay")
    axis.legend(loc="upper right")


STUDY = Study(
    "minibatch_gradient",
    "The gradient of a minibatch is an unbiased estimate of the generalisation error's gradient as long as no example "
    "is used twice; several passes bias it, and still pay.",
    f"{SECTION}, equation 8.9.",
    measure,
)
