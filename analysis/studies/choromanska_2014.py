"""The costs that training reaches, like the energies of a spin glass's minima, concentrate in a band as size grows.

Choromanska et al. (2014), figures 3 and 4: networks with one hidden layer of 25 to 500 rectified units, trained from
many random starts; beside them minima of the spherical 3-spin model. Both histograms narrow and move down with size.
For the spin model the exact law at finite n says how fast, and minima are counted once each by complete enumeration,
where the paper descends from random starts. The networks here see scikit-learn's digits, 10 whitened principal
components of 500 images, by stochastic gradient descent with batches of 32 and a fixed number of steps, from weights
of variance 1 / inputs of their layer, so that networks of every width start as functions of the same size; the paper
shows the cost of images not seen in training, so the other 1,297 digits give that cost here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simcore.backends.reference_network import layout
from simcore.networks.mlp import MLP
from simcore.statistics.intervals import of_draws, standard_deviation

from .. import canvas
from ..estimates import Estimate, mean, mean_costs
from ..writers import Column, Table
from .dauphin_2014 import sign_of
from .proportions import correlation
from .runs import compute, seed_of
from .study import Result, Study
from .verdicts import Claim, measurement

SEED = seed_of("choromanska_2014")
WIDTHS = (25, 50, 100, 250, 500)
RUNS = {False: 60, True: 200}
STEPS = {False: 400, True: 1000}
SPINS = {False: {4: 200, 6: 200, 8: 200, 10: 100}, True: {4: 600, 6: 600, 8: 600, 10: 300, 12: 100}}
"""Draws per n."""
LAYERS = 3
"""Indices 0, 1, .. of the spin model whose energies are judged."""
SAMPLES = 500
IMAGES = 1797
BLOCK = 30
"""Starts trained at a time, so that a training that was stopped goes on where it was."""
SOURCE = "Choromanska et al. (2014), figures 3 and 4"
EXACT = "Auffinger, Ben Arous & Cerny (2013), simcore.theory.spin"


def measure(full: bool, out: Path) -> Result:
    """Train the networks, enumerate the spin model, and judge how both move with size."""
    runs = out / "runs"
    trained = {h: trained_costs(h, RUNS[full], STEPS[full], runs / "networks") for h in WIDTHS}
    layers = {n: spin_points(n, draws, runs) for n, draws in SPINS[full].items()}
    spins = {n: points[points["morse_index"] == 0] for n, points in layers.items()}
    claims = [*network_claims(trained), *layer_claims(max(layers), layers[max(layers)]), *spread_claims(spins)]
    return Result(size_table(trained, spins, STEPS[full]), size_figure(trained, spins), claims)


def network(hidden: int, data: Any = None) -> MLP:
    """Return the network that is trained, or the same one on other data."""
    digits = {"kind": "digits", "pca": 10, "samples": SAMPLES}
    return MLP((10, hidden, 10), "relu", "cross_entropy", digits if data is None else data)


@cache
def unseen() -> tuple[np.ndarray, np.ndarray]:
    """Return the digits that training does not see, inputs (1297, 10) and labels, reduced as the training ones are.

    The reduction is affine: it is recovered from the training images and their reduced inputs by least squares.
    """
    images, labels = MLP((64, 1, 10), "relu", "cross_entropy", {"kind": "digits", "samples": IMAGES}).data.load()
    reduced = network(1).data.load()[0]
    linear = np.linalg.pinv(images[:SAMPLES] - images[:SAMPLES].mean(axis=0), rcond=1e-10) @ reduced
    inputs = (images[SAMPLES:] - images[:SAMPLES].mean(axis=0)) @ linear
    return inputs, labels[SAMPLES:]


def trained_costs(hidden: int, runs: int, steps: int, out: Path) -> np.ndarray:
    """Return the costs that training from ``runs`` starts ends at, of seen and unseen images, shape (runs, 2).

    Blocks of starts are kept in files.
    """
    out.mkdir(parents=True, exist_ok=True)
    parts = []
    for first in range(0, runs, BLOCK):
        kept = out / f"trained-{hidden}-{steps}-{first}.npy"
        if not kept.exists():
            np.save(kept, _trained(hidden, first, min(BLOCK, runs - first), steps))
        parts.append(np.load(kept, allow_pickle=False))
    return np.concatenate(parts)


def starts(hidden: int, first: int, count: int) -> np.ndarray:
    """Return starts whose layers' weights and biases are normal with variance 1 / inputs of the layer, (count, P)."""
    net = network(hidden)
    x = net.starts(seed=SEED, draw=0, first=first, count=count, law="gaussian_1")
    for fan_in, (weights, biases) in zip(net.widths[:-1], layout(net.widths), strict=True):
        for part in (weights, biases):
            x[:, part] /= np.sqrt(fan_in)
    return x


def _trained(hidden: int, first: int, count: int, steps: int) -> np.ndarray:
    from simcore import trajectory

    rows = trajectory(
        network(hidden), method="sgd", step_size=0.1, steps=steps, start=starts(hidden, first, count),
        first_start=first, seed=SEED, every=steps, positions=True,
    )  # fmt: skip
    ends = rows[rows.step == steps]
    others = network(hidden, unseen()).draw(seed=SEED).value(np.array(list(ends.x)))
    return np.column_stack([ends.cost.to_numpy(), others])


def spin_points(n: int, draws: int, out: Path) -> pd.DataFrame:
    """Return the points of the lowest ``LAYERS`` indices of complete enumerations: draw, morse_index, cost."""
    from simcore import load

    table = {"name": "spherical_spin", "n": n, "p": 3}
    points = load(compute(out / f"spin-{n}", [table], seed=SEED, draws=draws))
    return points.loc[points["morse_index"] < LAYERS, ["draw", "morse_index", "cost"]]


def network_claims(trained: dict[int, np.ndarray]) -> list[Claim]:
    """Mean and spread of the costs of unseen images, which the paper shows, fall with the number of hidden units."""
    sizes = np.log(list(trained))
    costs = np.stack(list(trained.values()), axis=1)  # (runs, widths, 2)

    def slope(statistic: Callable[[np.ndarray], np.ndarray], table: np.ndarray) -> float:
        return float(np.polyfit(sizes, statistic(table), 1)[0])

    mean_slope = partial(slope, lambda t: t.mean(axis=0))
    spread_slope = partial(slope, lambda t: np.log(t.std(axis=0, ddof=1)))
    words = f"{min(trained)} to {max(trained)} hidden units"
    measured = [
        measurement(
            f"{words}: slope of {what} of the cost of {images} images against ln(width)", SOURCE,
            _resampled(statistic, costs[:, :, k]),
        )
        for k, images in enumerate(("training", "unseen"))
        for statistic, what in ((mean_slope, "the mean"), (spread_slope, "ln(standard deviation)"))
    ]  # fmt: skip
    return [
        *[
            Claim(
                f"{words}: sign of the change of the {what} of the cost of unseen images with width", -1.0, SOURCE,
                sign_of(_resampled(statistic, costs[:, :, 1])), 0.5, 0.0,
            )
            for statistic, what in ((mean_slope, "mean"), (spread_slope, "standard deviation"))
        ],
        *measured,
        *[
            measurement(
                f"{h} hidden units: correlation of the costs of training and of unseen images over starts", SOURCE,
                correlation(trained[h][:, 0], trained[h][:, 1]),
            )
            for h in (min(trained), max(trained))
        ],
    ]  # fmt: skip


def _resampled(statistic: Callable[[np.ndarray], float], table: np.ndarray) -> Callable[[float], Estimate]:
    return lambda level: of_draws(statistic, table, level=level, kind="slope")


def exact_minima(n: int, index: int = 0) -> tuple[float, float]:
    """Return the exact mean and standard deviation of the energy per spin of minima, or of points of another index."""
    from simcore.landscapes.spin import SphericalSpin

    row = SphericalSpin(n, 3).expected_counts().sort_values("morse_index").iloc[index]
    return float(row.mean_cost), float(row.sd_cost)


def moments(points: pd.DataFrame) -> np.ndarray:
    """Return per draw the number of minima, the sum of their costs and of their squares, shape (draws, 3)."""
    groups = points.groupby("draw").cost
    return np.column_stack([groups.size(), groups.sum(), groups.apply(lambda c: float((c * c).sum()))]).astype(float)


def pooled_spread(table: np.ndarray) -> float:
    """Return the standard deviation of all minima's costs from per-draw moments."""
    count, first, second = table.sum(axis=0)
    return float(np.sqrt(max(second / count - (first / count) ** 2, 0.0)))


def spin_mean(points: pd.DataFrame, level: float = 0.95) -> Estimate:
    """Return the mean energy of all minima with its interval over draws."""
    table = moments(points)
    return mean_costs(table[:, 1:2], table[:, :1], level=level)[0]


def spin_spread(points: pd.DataFrame, level: float = 0.95) -> Estimate:
    """Return the standard deviation of the energies of all minima with its interval over draws."""
    e = of_draws(lambda table: float(np.log(pooled_spread(table))), moments(points), level=level, kind="sd")
    value, low, high = (float(np.exp(v)) for v in (e.value, e.low, e.high))
    return Estimate(value, value * e.se, low, high, level, e.sides, e.draws, "sd", e.note)


def layer_claims(n: int, points: pd.DataFrame) -> list[Claim]:
    """Critical points lie in layers by index: the mean energies of the lowest are the exact ones, each told from the
    next.
    """
    claims = []
    for index in range(LAYERS):
        centre, above = exact_minima(n, index)[0], exact_minima(n, index + 1)[0]
        layer = points[points["morse_index"] == index]
        claims.append(
            Claim(
                f"3-spin, n = {n}: layers by index: mean energy per spin of critical points of index {index}", centre,
                EXACT, _layer_mean(layer), 0.5 * (above - centre), above,
            )
        )  # fmt: skip
    return claims


def _layer_mean(layer: pd.DataFrame) -> Callable[[float], Estimate]:
    return lambda level: spin_mean(layer, level)


def spread_claims(spins: dict[int, pd.DataFrame]) -> list[Claim]:
    """The energies of minima concentrate as the exact law says: slope of the logarithm of their spread."""
    sizes = sorted(spins)
    x = np.log(sizes)
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    exact = float(weights @ np.log([exact_minima(n)[1] for n in sizes]))

    def slope(level: float) -> Estimate:
        parts = [spin_spread(spins[n], level) for n in sizes]  # independent draws
        value = float(weights @ np.log([e.value for e in parts]))
        logs = np.log([[e.low, e.value, e.high] for e in parts])
        down = np.where(weights > 0, logs[:, 1] - logs[:, 0], logs[:, 2] - logs[:, 1])
        up = np.where(weights > 0, logs[:, 2] - logs[:, 1], logs[:, 1] - logs[:, 0])
        low, high = (float(np.sqrt(((weights * d) ** 2).sum())) for d in (down, up))
        return Estimate(value, 0.0, value - low, value + high, level, 2, sum(map(len, spins.values())), "slope")

    return [
        Claim(
            f"3-spin, n = {sizes[0]} to {sizes[-1]}: the energies of minima concentrate: slope of ln(standard "
            "deviation) against ln n", exact, EXACT, slope, 0.5 * abs(exact), 0.0,
        )
    ]  # fmt: skip


def size_table(trained: dict[int, np.ndarray], spins: dict[int, pd.DataFrame], steps: int) -> Table:
    """Return a row a size: mean and standard deviation of costs, and the exact ones for spins."""
    rows: list[dict[str, Any]] = []
    for k, images in enumerate(("training", "unseen")):
        for hidden, costs in trained.items():
            rows.append(
                {"model": f"network, {images} images", "size": hidden, "count": len(costs),
                 "mean": mean(costs[:, k]), "spread": standard_deviation(costs[:, k]),
                 "low": float(costs[:, k].min()), "high": float(costs[:, k].max())}
            )  # fmt: skip
    for n, points in spins.items():
        centre, spread = exact_minima(n)
        rows.append(
            {"model": "spherical 3-spin", "size": n, "count": len(points), "mean": spin_mean(points),
             "spread": spin_spread(points), "low": float(points.cost.min()), "high": float(points.cost.max()),
             "exact_mean": centre, "exact_spread": spread}
        )  # fmt: skip
    columns = [
        Column("model", "model"), Column("size", "hidden units or n"), Column("count", "runs or minima"),
        Column("mean", "mean cost"), Column("exact_mean", "exact", digits=4),
        Column("spread", "standard deviation"), Column("exact_spread", "exact", digits=4),
        Column("low", "lowest", digits=3), Column("high", "highest", digits=3),
    ]  # fmt: skip
    epochs = steps / (SAMPLES // 32)
    notes = [
        f"Networks: {steps} steps of 0.1, {epochs:.0f} passes through the images, the same for every width: wide "
        "networks are further trained after as many steps, so the fall of the training cost is partly theirs.",
        "Errors: one standard error, between runs for networks and between draws for spins, whose minima are counted "
        "once each and whose mean is over all minima (annealed).",
    ]
    caption = "Trained costs of networks of growing width and energies of the minima of the 3-spin model of growing n"
    return Table(columns, rows, caption, notes)


def size_figure(trained: dict[int, np.ndarray], spins: dict[int, pd.DataFrame]) -> Figure:
    """Return both families of histograms side by side, and below them how they narrow."""
    with canvas.style():
        figure, axes = canvas.grid(2, 2, width=3.5, height=2.5)
        energies = {n: points.cost.to_numpy() for n, points in spins.items()}
        _histograms(axes[0, 0], {h: costs[:, 0] for h, costs in trained.items()}, "{} hidden")
        axes[0, 0].set_xlabel("training cost $f$ at the end")
        axes[0, 0].set_title("networks after training")
        _histograms(axes[0, 1], energies, "$n = {}$")
        axes[0, 1].set_xlabel("energy per spin $f = H/n$")
        axes[0, 1].set_title("minima of the spherical 3-spin")
        for k, (look, images) in enumerate(((canvas.DISTINCT, "training images"), (canvas.HITS, "unseen images"))):
            _spreads(axes[1, 0], {h: standard_deviation(c[:, k]) for h, c in trained.items()}, look, images)
        axes[1, 0].set_xlabel("hidden units $h$")
        _spreads(axes[1, 1], {n: spin_spread(p) for n, p in spins.items()}, canvas.DISTINCT, "measured")
        sizes = range(min(spins), max(spins) + 1)
        axes[1, 1].plot(sizes, [exact_minima(n)[1] for n in sizes], **canvas.EXACT, label="exact, finite $n$")
        axes[1, 1].set_xlabel("dimension $n$")
        axes[1, 0].set_title("spread, 95 % intervals")
        axes[1, 1].set_title("spread, 95 % intervals")
        for axis, members in zip(axes[1], (trained, spins), strict=True):
            axis.set_xscale("log")
            axis.set_yscale("log")
            axis.set_ylabel(r"standard deviation $\sigma_f$")
            axis.set_xticks(list(members), [str(size) for size in members])
            axis.minorticks_off()
            canvas.log_ticks(axis)
            axis.legend(loc="lower left")
        canvas.panel_letters(axes)
    return figure


def _histograms(axis: Axes, members: dict[int, np.ndarray], words: str) -> None:
    for (size, costs), colour, line in zip(members.items(), canvas.SEQUENCE, canvas.LINES, strict=False):
        axis.hist(costs, bins="sturges", density=True, histtype="step", color=colour, linestyle=line)
        axis.plot([], [], color=colour, linestyle=line, label=words.format(size))
    axis.set_ylabel("density")
    axis.legend(handlelength=2.6)


def _spreads(axis: Axes, members: dict[int, Estimate], look: dict[str, Any], label: str) -> None:
    values = list(members.values())
    error = [[e.value - e.low for e in values], [e.high - e.value for e in values]]
    axis.errorbar(list(members), [e.value for e in values], yerr=error, **look, label=label)


STUDY = Study(
    "choromanska_2014",
    "Trained costs of networks, like the energies of a spin glass's minima, fall and concentrate in a band as size "
    "grows.",
    "Choromanska et al. (2014).",
    measure,
)
