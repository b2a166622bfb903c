"""Gradient descent escapes saddles, gradient flow is repelled by them, Newton's method is attracted.

The claims of Goodfellow, Bengio and Courville (2016), section 8.2.3, after Dauphin et al. (2014). Near a saddle with a
Hessian eigenvalue w < 0 the distance along its eigenvector grows by a factor 1 + eps |w| at each step of gradient
descent (linear terms), by exp(|w| t) along gradient flow; so a start at distance d needs the time ln(R/d)/|w| to reach
distance R. Newton's step removes the linear terms altogether, in every direction: the distance is squared.
Measured near saddles of a quadratic (where both laws are exact), of random functions and of a small network;
then where random starts end, by method.
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

import simcore

from .. import canvas
from ..estimates import Array, Estimate, mean
from ..writers import Column, Table
from .paths import BOOK, Escape, Saddle, escape, points_of, saddles_of, slope, spread
from .proportions import share
from .runs import seed_of
from .study import Result, Study
from .verdicts import Claim, measurement

SEED = seed_of("saddle_escape")
NEAR, FAR = 1e-6, 1e-3  # a path is followed between these distances, in correlation lengths
NEWTON = np.logspace(-2, -4, 9)  # distances of the starts of single Newton steps
STARTS = np.logspace(-2, -7, 6)  # distances of the starts whose times of escape are measured
STARTS_A_DRAW = 48
SOFT = 0.02  # modes softer than this fraction of the stiffest take too long to follow
SPECTRUM = np.array([-0.3, -1.0, 0.5, 2.0])
METHODS = ("gradient_descent", "newton", "saddle_free_newton")
WORDS = {"gradient_descent": "gradient descent", "newton": "Newton", "saddle_free_newton": "saddle-free Newton"}


@dataclass(frozen=True)
class Rates:
    """Measured growth over the predicted one at one saddle: by step of descent, by time of flow."""

    family: str
    saddle: Saddle
    descent: float
    flow: float
    order: float  # of Newton's convergence


def measure(full: bool, out: Path) -> Result:
    """Walk from saddles and from random starts, and judge the claims."""
    size = 4 if full else 1
    families = {
        "isotropic field, n = 3": (simcore.TorusField(n=3), 12 * size, 48, None),
        "spherical 3-spin, n = 6": (simcore.SphericalSpin(n=6), 10 * size, 48, None),
        "network, 13 parameters": (network(), 12 * size, 32, "gaussian"),
    }
    rates = {name: family_rates(name, *plan) for name, plan in families.items()}
    exact = quadratic_rates()
    times = escape_times(simcore.TorusField(n=3), 12 * size)
    ends = {method: random_ends(simcore.TorusField(n=3), method, 24 * size) for method in METHODS}
    claims = [*rate_claims(rates, exact), time_claim(times), *end_claims(ends)]
    return Result(table(rates, exact, ends), figure(times, ends), claims)


def network() -> Any:
    """Return the small network whose saddles are walked from: 2-3-1, tanh, data of a teacher, weight decay 0.01."""
    data = {"kind": "teacher", "widths": [2, 2, 1], "samples": 40, "noise": 0.1}
    return simcore.MLP(widths=[2, 3, 1], activation="tanh", loss="mse", data=data, l2=0.01)


# ---- rates -------------------------------------------------------------------------------------------------------
def family_rates(name: str, landscape: Any, draws: int, starts: int, law: str | None) -> list[Rates]:
    """Measure at one saddle of each index of each draw whose lowest eigenvalue is not too soft."""
    found = []
    for draw in range(draws):
        for saddle in saddles_of(landscape, draw, SEED, starts, law):
            lowest, stiffest = -saddle.eigenvalues[0], np.abs(saddle.eigenvalues).max()
            if lowest > SOFT * stiffest:
                found.append(Rates(name, saddle, descent_rate(saddle), flow_rate(saddle), newton_order(saddle)))
    return found


def near(saddle: Saddle, distance: float, count: int = 4) -> Array:
    """Return points at a distance from a saddle in fixed random directions, with a fair part along its lowest mode."""
    rng = np.random.default_rng([SEED, saddle.draw.number, saddle.index])
    c = rng.standard_normal((count, len(saddle.eigenvalues)))
    c[:, 0] = np.where(c[:, 0] < 0, -1.0, 1.0) * np.maximum(np.abs(c[:, 0]), 0.5)
    c /= np.linalg.norm(c, axis=1, keepdims=True)
    scale = saddle.draw.landscape.scales.length
    return saddle.x + distance * scale * (c @ saddle.vectors.T)


def descent_rate(saddle: Saddle) -> float:
    """Return the growth per step along the lowest mode over ln(1 + eps |w|), mean over four paths."""
    lowest = -saddle.eigenvalues[0]
    step = 0.2 / np.abs(saddle.eigenvalues).max()
    predicted = math.log1p(step * lowest)
    steps = math.ceil(math.log(FAR / NEAR) / predicted)
    frame = simcore.trajectory(
        saddle.draw, method="gradient_descent", step_size=step, steps=steps, every=steps, start=near(saddle, NEAR),
        positions=True, threads=1,
    )  # fmt: skip
    along = np.abs(saddle.coordinates(points_of(frame))[..., 0])
    return float(np.mean(np.log(along[:, -1] / along[:, 0]))) / (steps * predicted)


def flow_rate(saddle: Saddle) -> float:
    """Return the growth per unit of time along the lowest mode over |w|, mean over four paths."""
    lowest = -saddle.eigenvalues[0]
    frame = simcore.trajectory(
        saddle.draw, method="gradient_flow", step_size=math.log(FAR / NEAR) / lowest, steps=1, start=near(saddle, NEAR),
        positions=True, threads=1, tolerance=1e-10,
    )  # fmt: skip
    along = np.abs(saddle.coordinates(points_of(frame))[..., 0])
    return float(np.mean(np.log(along[:, -1] / along[:, 0]))) / math.log(FAR / NEAR)


def newton_order(saddle: Saddle) -> float:
    """Return the slope of ln(distance after one Newton step) against ln(distance before), distances 1e-2 .. 1e-4."""
    before = NEWTON
    starts = np.concatenate([near(saddle, d, 1) for d in before])
    frame = simcore.trajectory(saddle.draw, method="newton", steps=1, start=starts, positions=True, threads=1)
    after = np.linalg.norm(saddle.offset(points_of(frame)[:, 1]), axis=1)
    return slope(np.log(before), np.log(np.maximum(after, 1e-300)))


def quadratic_rates() -> dict[str, Array]:
    """Return measured over predicted rates of both unstable modes of a quadratic from four starts, by method."""
    landscape = simcore.CustomLandscape(
        lambda x: 0.5 * float(x @ (SPECTRUM * x)), lambda x: SPECTRUM * x, lambda x: np.diag(SPECTRUM),
        simcore.Space(4), 4, length=1.0, gradient_scale=1.0,
    )  # fmt: skip
    starts = np.random.default_rng(SEED).standard_normal((4, 4)) * 1e-4
    found = {}
    for method, step in (("gradient_descent", 0.1), ("gradient_flow", 0.5)):
        frame = simcore.trajectory(landscape, method=method, step_size=step, steps=20, start=starts, positions=True)
        growth = np.log(np.abs(points_of(frame)[:, -1, :2] / starts[:, :2]))
        w = np.abs(SPECTRUM[:2])
        predicted = 20 * (np.log1p(step * w) if method == "gradient_descent" else step * w)
        found[method] = (growth / predicted).ravel()
    return found


# ---- escape times ------------------------------------------------------------------------------------------------
def escape_times(landscape: Any, draws: int) -> list[Escape]:
    """Measure when gradient flow from distance d of a saddle of index 1 reaches distance 0.03 (correlation lengths)."""
    found = []
    for draw in range(draws):
        for saddle in saddles_of(landscape, draw, SEED, 48):
            if saddle.index == 1 and -saddle.eigenvalues[0] >= SOFT * np.abs(saddle.eigenvalues).max():
                found.append(escape(saddle, STARTS, 0.03, landscape.scales.length))
    return found


# ---- where random starts end -------------------------------------------------------------------------------------
def random_ends(landscape: Any, method: str, draws: int) -> Array:
    """Return the share of starts of each draw that end at each index, shape (draws, D + 2); the last: not at rest."""
    options: dict[str, Any] = {"steps": 100} if method != "gradient_descent" else {"steps": 1500}
    if method == "gradient_descent":
        # the Hessian's largest eigenvalue is about 2 sqrt n gradient scales a length
        options["step_size"] = 0.5 * landscape.scales.length / landscape.scales.gradient
    frame = simcore.trajectory(
        landscape,
        method=method,
        draws=draws,
        starts=STARTS_A_DRAW,
        seed=SEED,
        every=options["steps"],
        index=True,
        **options,
    )
    ends = frame[frame["step"] == options["steps"]]
    at_rest = ends["grad_norm"] < 1e-3 * landscape.scales.gradient
    index = np.where(at_rest, ends["morse_index"], landscape.dimension + 1).reshape(draws, -1)
    return np.stack([(index == k).mean(axis=1) for k in range(landscape.dimension + 2)], axis=1)


# ---- claims ------------------------------------------------------------------------------------------------------
def rate_claims(rates: dict[str, list[Rates]], exact: dict[str, Array]) -> list[Claim]:
    """Return the claims about rates near saddles: the mean over draws against 1, and Newton's order against 2."""
    claims = [
        Claim(
            "quadratic: growth per step of gradient descent over ln(1 + eps |w|)", 1.0, "exact algebra",
            lambda level: spread(exact["gradient_descent"]), 0.01,
        ),
        Claim(
            "quadratic: growth per unit of time of gradient flow over |w|", 1.0, "exact algebra",
            lambda level: rounded_spread(exact["gradient_flow"]), 0.01,
        ),
    ]  # fmt: skip
    for name, found in rates.items():
        for words, field, reference, resolution, rival in (
            ("growth per step of gradient descent over ln(1 + eps |w|)", "descent", 1.0, 0.01, 0.0),
            ("growth per unit of time of gradient flow over |w|", "flow", 1.0, 0.01, 0.0),
            ("Newton's method is attracted by saddles: order of its convergence", "order", 2.0, 0.1, 1.0),
        ):
            source = "linear terms at the saddle" if field != "order" else "Newton's method, quadratic convergence"
            claims.append(
                Claim(
                    f"{name}: {words}",
                    reference,
                    f"{source}; {BOOK}, 8.2.3",
                    _of_draws(found, field),
                    resolution,
                    rival,
                )
            )
    return claims


def rounded_spread(values: Array) -> Estimate:
    """Return ``spread`` widened by the integrator's own tolerance."""
    e = spread(values)
    return Estimate(e.value, e.se, e.low - 1e-7, e.high + 1e-7, draws=e.draws, kind=e.kind)


def _of_draws(found: Sequence[Rates], field: str) -> Any:
    draws = sorted({r.saddle.draw.number for r in found})
    each = [np.mean([getattr(r, field) for r in found if r.saddle.draw.number == d]) for d in draws]
    return beyond_linear(each, *((NEWTON[-1], NEWTON[0]) if field == "order" else (NEAR, FAR)))


def beyond_linear(each: Sequence[float], near: float, far: float) -> Any:
    """Return the mean over draws, its interval widened by what the linear terms leave out.

    At distance d (correlation lengths) the next terms are of relative size d; over a stretch from ``near`` to ``far``
    they move a slope against ln d by about far / ln(far / near).
    """
    left_out = far / math.log(far / near)

    def estimate(level: float) -> Estimate:
        e = mean(each, level=level)
        return Estimate(e.value, e.se, e.low - left_out, e.high + left_out, e.level, e.sides, e.draws, e.kind)

    return estimate


def time_claim(times: Sequence[Escape]) -> Claim:
    """Return the claim about the time to escape against the distance of the start."""
    slopes = [slope(-np.log(e.distances), e.escaped) for e in times]
    return Claim(
        "isotropic field, n = 3: the time to escape grows by |w|^-1 for each factor e that the start is closer",
        1.0, f"ln(R/d)/|w|, linear terms; {BOOK}, 8.2.3", beyond_linear(slopes, STARTS[-1], STARTS[0]), 0.01,
        0.0,
    )  # fmt: skip


def end_claims(ends: dict[str, Array]) -> list[Claim]:
    """Return how often random starts end at saddles, by method, and the picture that Newton's hits are counts."""
    dimension = next(iter(ends.values())).shape[1] - 2
    law = simcore.expected_counts(simcore.TorusField(n=dimension)).sort_values("morse_index")
    exact = float(law["fraction"].iloc[1:dimension].sum())
    settled = 1 - ends["newton"][:, -1]
    newton = ends["newton"][:, 1:dimension].sum(axis=1) / settled
    claims = []
    for method in METHODS:
        caught = int((ends[method][:, 1 : dimension + 1].sum(axis=1) > 0).sum())
        claims.append(
            measurement(
                f"isotropic field, n = {dimension}: draws in which some of {STARTS_A_DRAW} random starts of "
                f"{WORDS[method]} end at saddles or maxima, as a share",
                f"saddles {'attract' if method == 'newton' else 'repel'} it; {BOOK}, 8.2.3",
                share(caught, len(ends[method])),
            )
        )  # fmt: skip
    claims.append(
        Claim(
            f"isotropic field, n = {dimension}: Newton ends at saddles as often as they occur among critical points",
            exact, "hits taken for counts; simcore.theory.gaussian", lambda level: mean(newton, level=level),
            0.5 * (1 - exact), 1.0, expected=False,
        )
    )  # fmt: skip
    return claims


# ---- table and figure --------------------------------------------------------------------------------------------
def table(rates: dict[str, list[Rates]], exact: dict[str, Array], ends: dict[str, Array]) -> Table:
    """Return a row a family and index: measured over predicted rates; then a row a method: where starts end."""
    rows: list[dict[str, Any]] = [
        {
            "where": "quadratic", "morse_index": 2, "saddles": 1, "descent": float(np.mean(exact["gradient_descent"])),
            "flow": float(np.mean(exact["gradient_flow"])),
        }
    ]  # fmt: skip
    for name, found in rates.items():
        for index in sorted({r.saddle.index for r in found}):
            here = [r for r in found if r.saddle.index == index]
            row: dict[str, Any] = {"where": name, "morse_index": index, "saddles": len(here)}
            for field in ("descent", "flow", "order"):
                row[field] = mean([getattr(r, field) for r in here])
            rows.append(row)
    for method, shares in ends.items():
        row = {"where": f"{STARTS_A_DRAW} random starts a draw, {WORDS[method]}", "draws": len(shares)}
        for k in range(shares.shape[1]):
            row[f"end_{k}"] = mean(shares[:, k])
        rows.append(row)
    last = shares.shape[1] - 1
    columns = [
        Column("where", "where"), Column("morse_index", "index"), Column("saddles", "saddles"),
        Column("descent", "descent / ln(1 + eps|w|)"), Column("flow", "flow / |w|"), Column("order", "Newton's order"),
        Column("draws", "draws"),
        *[Column(f"end_{k}", f"ends at index {k}" if k < last else "not at rest") for k in range(last + 1)],
    ]  # fmt: skip
    notes = [
        "Growth along the eigenvector of the lowest eigenvalue w between distances 1e-6 and 1e-3 (correlation lengths) "
        "over its prediction; Newton's order: of one step's distance from the saddle after it against that before, "
        "1e-2 to 1e-4. Errors: one standard error between saddles, or draws; the verdicts' intervals hold, beside it, "
        "the terms beyond the linear ones, of relative size distance / ln(range)."
    ]
    caption = "Near saddles: measured growth over the linear prediction; where random starts end"
    return Table(columns, rows, caption, notes)


def figure(times: Sequence[Escape], ends: dict[str, Array]) -> Figure:
    """Return phase portraits of three methods round a saddle; below: escape, its time, where random starts end."""
    with canvas.style():
        panels, axes = canvas.grid(2, 3, width=3.0, height=2.75)
        saddle = portrait_saddle()
        for axis, method in zip(axes[0], METHODS, strict=True):
            portrait(axis, saddle, method)
        axes[0, 0].set_ylabel("$x_2$")
        _escape_panel(axes[1, 0], times[0])
        _time_panel(axes[1, 1], times)
        _ends_panel(axes[1, 2], ends)
        canvas.panel_letters(axes)
    return panels


def portrait_saddle() -> Saddle:
    """Return a saddle of a two-dimensional field whose two eigenvalues are about as large."""
    candidates = [s for d in range(12) for s in saddles_of(simcore.TorusField(n=2), d, SEED, 48)]
    return min(candidates, key=lambda s: abs(math.log(-s.eigenvalues[1] / s.eigenvalues[0])))


def portrait(axis: Axes, saddle: Saddle, method: str) -> None:
    """Draw contours of the cost round a saddle, paths of a method from a ring of starts, an arrow at each start."""
    width = 1.2
    side = np.linspace(-width, width, 81)
    mesh = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    cost = saddle.draw.value(saddle.x + mesh).reshape(81, 81)
    axis.contour(side, side, cost, levels=14, colors="#bbbbbb", linewidths=0.5, linestyles="-")
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False) + 0.1
    ring = 0.85 * width * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    descent = method == "gradient_descent"
    options: dict[str, Any] = {} if descent else {"step_cap": 0.02}
    step = 0.02 / np.abs(saddle.eigenvalues).max() if descent else 0.1
    frame = simcore.trajectory(
        saddle.draw,
        method=method,
        step_size=step,
        steps=400,
        start=saddle.x + ring,
        positions=True,
        threads=1,
        **options,
    )
    paths = saddle.offset(points_of(frame))
    look = {"gradient_descent": canvas.EXACT["color"], "newton": canvas.HITS["color"], "saddle_free_newton": "#3f7f73"}
    for path in paths:
        jumps = np.abs(np.diff(path, axis=0)).max(axis=1) > width  # across the torus
        path = path[: int(np.argmax(jumps)) + 1] if jumps.any() else path
        axis.plot(path[:, 0], path[:, 1], color=look[method], linewidth=0.9)
        place = min(int(np.argmax(np.linalg.norm(path - path[0], axis=1) > 0.16 * width)) or 1, len(path) - 1)
        axis.annotate(
            "", path[place], path[max(place - 1, 0)], zorder=4,
            arrowprops={"arrowstyle": "-|>", "color": look[method], "mutation_scale": 11, "linewidth": 0.1},
        )  # fmt: skip
    axis.plot(ring[:, 0], ring[:, 1], "o", color="white", markeredgecolor="black", markersize=3, markeredgewidth=0.6)
    axis.plot(0, 0, marker="X", color="black", markersize=7, linestyle="none", zorder=5)
    axis.set(xlim=(-width, width), ylim=(-width, width), xlabel="$x_1$", aspect="equal")
    axis.set_title(f"{WORDS[method]} {'ends there' if method == 'newton' else 'leaves'}")


def _escape_panel(axis: Axes, escape: Escape) -> None:
    for k, (d, path) in enumerate(zip(escape.distances, escape.distance, strict=True)):
        axis.plot(escape.time, path, color=canvas.EXACT["color"], label="gradient flow" if k == 0 else None)
        until = np.linspace(0, math.log(0.5 / d), 2)
        axis.plot(until, d * np.exp(until), **canvas.COIN, label=r"$d\,e^{|w|t}$" if k == 0 else None)
    axis.set(yscale="log", ylim=(3e-8, 10), xlim=(0, escape.time[-1]))
    axis.set(xlabel=r"time $t\,\times\,|w|$, $w$ the lowest eigenvalue", ylabel="distance from the saddle")
    axis.set_title("escape is exponential")
    axis.legend(loc="lower right")


def _time_panel(axis: Axes, times: Sequence[Escape]) -> None:
    x = -np.log(times[0].distances)
    y = np.stack([e.escaped for e in times])
    axis.plot(x, x + math.log(0.03), **canvas.EXACT, label=r"$\ln(R/d)$")
    axis.errorbar(x, y.mean(axis=0), yerr=y.std(axis=0), **canvas.DISTINCT, label=f"{len(times)} saddles (mean, s.d.)")
    axis.set(xlabel=r"$\ln(1/d)$, $d$ the start's distance", ylabel=r"time to reach $R=0.03$ $\times\,|w|$")
    axis.set_title("closer starts stay longer")
    axis.legend(loc="upper left")


def _ends_panel(axis: Axes, ends: dict[str, Array]) -> None:
    count = next(iter(ends.values())).shape[1]
    width = 0.27
    law = (
        simcore.expected_counts(simcore.TorusField(n=count - 2)).sort_values("morse_index")["fraction"].to_numpy(float)
    )
    looks = (("#1f5fa8", ""), ("#e3a878", "///"), ("#a9cfc6", "..."))
    for k, ((method, shares), (color, hatch)) in enumerate(zip(ends.items(), looks, strict=True)):
        middle = shares.mean(axis=0)
        error = shares.std(axis=0, ddof=1) / math.sqrt(len(shares))
        at = np.arange(count) + (k - 1) * width
        axis.bar(
            at, middle, width, yerr=error, color=color, hatch=hatch, edgecolor="black", linewidth=0.4,
            label=WORDS[method], error_kw={"linewidth": 0.8},
        )  # fmt: skip
    look = {"color": "black", "markersize": 16, "markeredgewidth": 1.4}
    axis.plot(np.arange(count - 1), law, "_", label="all critical points", **look)
    axis.set_xticks(range(count), [*map(str, range(count - 1)), "none"])
    axis.set(xlabel="index of the point reached; none: not at rest", ylabel="share of random starts", ylim=(0, 1.05))
    axis.set_title("where random starts end")
    axis.legend(loc="upper right")


STUDY = Study(
    "saddle_escape",
    "Gradient descent escapes saddle points, gradient flow is repelled by them, and Newton's method is attracted.",
    f"{BOOK}, 8.2.3; Dauphin et al. (2014).",
    measure,
)
