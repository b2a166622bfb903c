"""A gradient norm that does not shrink rules out critical points as the obstacle; one that shrinks proves nothing.

The test of Goodfellow, Bengio and Courville (2016), section 8.2.2: plot the norm of the gradient over time; if it does
not shrink to insignificant size, neither local minima nor any other kind of critical point is the problem. Here:
insignificant is below a hundredth of the norm at the start, over the last tenth of the path. Constructed cases, whose
truth is known, of four kinds: paths that reach minima; minibatch paths that wander round a minimum without ever coming
close; a gradient-flat passage, f = d x + x^3/3 + y^2/2, which has no critical point although |g| falls to d; separable
classes, whose cost falls for ever. Then training on digits, with and without weight decay, where Levenberg-Marquardt
searches from the ends of the paths say whether a critical point is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import simcore
from simcore.formulas.outcome import CRITICAL
from simcore.search import dense

from .. import canvas
from ..estimates import Array
from ..writers import Column, Table
from .paths import BOOK
from .proportions import share
from .runs import seed_of
from .study import Result, Study
from .verdicts import Claim, measurement

SEED = seed_of("gradient_norm_test")
SECTION = f"{BOOK}, 8.2.2"
INSIGNIFICANT = 0.01
THRESHOLDS = (0.1, INSIGNIFICANT, 0.001)
FLAT = 1e-4  # the gradient that is left in the gradient-flat passage
NEAR = 0.1  # a search that ends within this distance (relative to |x|, or 1) found the path's critical point


@dataclass(frozen=True)
class Case:
    """Paths of one kind: gradient norms (paths, records), and where they stand at the end.

    arrives : whether a critical point is where each path ends, (paths,) bool.
    decrement : length of the Newton step at the end, (paths,), |x| or 1 being the unit.
    """

    name: str
    kind: str
    step: Array
    norm: Array
    cost: Array
    arrives: NDArray[np.bool_]
    decrement: Array

    @property
    def shrinkage(self) -> Array:
        """Return the smallest norm in the last tenth of each path over the norm at its start."""
        last = self.norm[:, -max(2, self.norm.shape[1] // 10) :]
        return last.min(axis=1) / self.norm[:, 0]

    def ruled_out(self, threshold: float = INSIGNIFICANT) -> NDArray[np.bool_]:
        """Return the test's verdict on each path: True where it rules out critical points."""
        return self.shrinkage > threshold


def walk(name: str, kind: str, landscape: Any, truth: bool | None = None, **options: Any) -> Case:
    """Walk and judge the ends: ``truth`` where algebra knows it, else searches from the ends."""
    frame = simcore.trajectory(landscape, seed=SEED, positions=True, **options)
    rows = frame.groupby(["draw", "start"]).ngroups
    step, norm, cost = (frame[c].to_numpy().reshape(rows, -1) for c in ("step", "grad_norm", "cost"))
    final = frame[frame["step"] == frame["step"].max()]
    arrives, decrement = np.empty(rows, bool), np.empty(rows)
    for number, part in final.groupby("draw"):
        here = (final["draw"] == number).to_numpy()
        draw = landscape.draw(seed=SEED, draw=int(number))
        x = np.stack(part["x"].to_list())
        unit = np.maximum(1.0, np.linalg.norm(x, axis=1))
        decrement[here] = np.linalg.norm(newton_steps(draw, x), axis=1) / unit
        arrives[here] = search_says(draw, x, unit) if truth is None else truth
    return Case(name, kind, step[0], norm, cost, arrives, decrement)


def newton_steps(draw: Any, x: Array) -> Array:
    """Return H^-1 g at points (S, n), by least squares where H is singular to rounding."""
    g, h = draw.gradient(x), draw.hessian(x)
    return np.stack([np.linalg.lstsq(b, a, rcond=1e-12)[0] for a, b in zip(g, h, strict=True)])


def search_says(draw: Any, x: Array, unit: Array) -> NDArray[np.bool_]:
    """Return whether Levenberg-Marquardt from each point ends at a critical point near by."""
    found = dense.search(draw, x, simcore.LevenbergMarquardt(max_iterations=150))
    distance = np.linalg.norm(found.x - x, axis=1) / unit
    return (found.status == CRITICAL) & (distance < NEAR)


# ---- cases -------------------------------------------------------------------------------------------------------
def constructed(full: bool) -> list[Case]:
    """Return the constructed cases, whose truth algebra knows (the first: whose ends are certified minima)."""
    starts = 64 if full else 24
    field = simcore.TorusField(n=4)
    return [
        walk(
            "gradient descent on an isotropic field, n = 4", "reaches a minimum", field, method="gradient_descent",
            step_size=0.5 * field.scales.length / field.scales.gradient, steps=1000, every=10, draws=starts // 8,
            starts=8,
        ),
        walk(
            "minibatches on noisy linear regression", "wanders, never near", regression(), False, method="sgd",
            step_size=0.2, steps=1000, every=10, starts=starts, batch_size=4,
        ),
        walk(
            "gradient descent through a flat passage", "gradient-flat", flat_passage(), False,
            method="gradient_descent", step_size=0.1, steps=1600, every=10, start=passage_starts(starts),
        ),
        walk(
            "gradient descent on separable classes", "runs to infinity", separable(), False,
            method="gradient_descent", step_size=1.0, steps=4000, every=40, starts=starts,
        ),
    ]  # fmt: skip


def regression() -> Any:
    """Return linear regression on 60 noisy examples: one critical point, which constant steps never settle at."""
    data = {"kind": "teacher", "widths": [6, 1], "samples": 60, "noise": 1.0, "activation": "linear"}
    return simcore.MLP(widths=[6, 1], activation="linear", loss="mse", data=data)


def flat_passage() -> Any:
    """Return f = d x + x^3/3 + y^2/2: df/dx = d + x^2 > 0, so there is no critical point."""
    return simcore.CustomLandscape(
        lambda x: FLAT * float(x[0]) + float(x[0]) ** 3 / 3 + 0.5 * float(x[1]) ** 2,
        lambda x: np.array([FLAT + x[0] ** 2, x[1]]),
        lambda x: np.diag([2 * x[0], 1.0]),
        simcore.Space(2), 2, length=1.0, gradient_scale=1.0,
    )  # fmt: skip


def passage_starts(count: int) -> Array:
    """Return starts uniform in [0.8, 1.5] x [-1, 1], shape (count, 2)."""
    rng = np.random.default_rng([SEED, 5])
    return np.stack([rng.uniform(0.8, 1.5, count), rng.uniform(-1, 1, count)], axis=1)


def separable() -> Any:
    """Return logistic regression on two classes that a line separates: the cost has no finite critical point."""
    rng = np.random.default_rng([SEED, 6])
    side = np.repeat([1.0, -1.0], 20)
    inputs = rng.standard_normal((40, 2)) * 0.3 + side[:, None]
    assert (inputs.sum(axis=1) * side > 0).all(), "the line x + y = 0 separates the classes"
    targets = np.stack([side < 0, side > 0], axis=1).astype(float)
    return simcore.MLP(widths=[2, 2], activation="linear", loss="cross_entropy", data=(inputs, targets))


def digits(full: bool) -> list[Case]:
    """Return training of a small tanh network on digits: two costs, with minibatches, and with weight decay."""
    starts, steps = (32, 20000) if full else (12, 4000)
    cases = []
    for loss, words in (("mse", "mean squares"), ("cross_entropy", "cross-entropy")):
        for decay, method, step in ((0.0, "sgd", 0.4), (0.0, "gradient_descent", 0.5), (0.02, "gradient_descent", 0.5)):
            network = simcore.MLP(
                widths=[10, 5, 10], activation="tanh", loss=loss, data={"kind": "digits", "pca": 10, "samples": 300},
                l2=decay,
            )  # fmt: skip
            options = {"batch_size": 32} if method == "sgd" else {}
            name = f"{words}, {'minibatches' if method == 'sgd' else 'full batch'}{', weight decay' if decay else ''}"
            cases.append(
                walk(
                    name, "digits", network, method=method, step_size=step, steps=steps, every=steps // 100,
                    starts=starts, start_law="gaussian_0.3", **options,
                )
            )  # fmt: skip
    return cases


# ---- the study ---------------------------------------------------------------------------------------------------
def measure(full: bool, out: Path) -> Result:
    """Walk all cases, apply the test, and judge the claims."""
    built, trained = constructed(full), digits(full)
    return Result(table([*built, *trained]), figure(built, trained), [*built_claims(built), *digit_claims(trained)])


def built_claims(built: Sequence[Case]) -> list[Claim]:
    """Return the claims about the constructed cases: the test, and its converse, which is to be refuted."""
    _, wanders, flat, infinite = built
    converse = "the converse, that a norm which shrinks means a critical point: such paths that have one"
    return [
        wrong_claim("constructed cases", built),
        _measured(f"{wanders.name}: paths never near one on which the test rules it out", wanders.ruled_out()),
        *[
            Claim(
                f"{case.name}: {converse}: share", 1.0, "the test turned round",
                share(int(kept.sum()), len(kept)), 0.5, 0.0, expected=False,
            )
            for case in (flat, infinite)
            if len(kept := case.arrives[~case.ruled_out()])
        ],
    ]  # fmt: skip


def digit_claims(trained: Sequence[Case]) -> list[Claim]:
    """Return how often training arrives at critical points, and the claim that the test was never wrong there."""
    words = "training does not arrive at a critical point"
    return [*[_measured(f"{c.name}: {words}", ~c.arrives) for c in trained], wrong_claim("training, all", trained)]


def wrong_claim(where: str, cases: Sequence[Case]) -> Claim:
    """Return the test's own claim, that no path which it rules out is at a critical point.

    The rival is a test that tells nothing: it would rule out paths at critical points as often as they are among all.
    """
    wrong = np.concatenate([c.arrives[c.ruled_out()] for c in cases])
    base = float(np.concatenate([c.arrives for c in cases]).mean())
    words = f"{where}: paths on which the test rules out a critical point that is there: share"
    if not len(wrong) or not base:
        return _measured(f"{words} of all", np.concatenate([c.arrives & c.ruled_out() for c in cases]))
    return Claim(words, 0.0, SECTION, share(int(wrong.sum()), len(wrong)), 0.5 * base, base)


def _measured(words: str, hits: NDArray[np.bool_]) -> Claim:
    return measurement(f"{words}: share", SECTION, share(int(hits.sum()), len(hits)))


def table(cases: Sequence[Case]) -> Table:
    """Return a row a case: how far the norm shrank, the test's verdict at three thresholds, and the truth."""
    rows = []
    for case in cases:
        row: dict[str, Any] = {
            "case": case.name, "kind": case.kind, "paths": len(case.norm),
            "shrinkage": float(np.median(case.shrinkage)), "decrement": float(np.median(case.decrement)),
            "arrives": int(case.arrives.sum()),
        }  # fmt: skip
        for k, threshold in enumerate(THRESHOLDS):
            row[f"out_{k}"] = int(case.ruled_out(threshold).sum())
        rows.append(row)
    columns = [
        Column("case", "case"), Column("kind", "kind"), Column("paths", "paths"),
        Column("shrinkage", "|g| at the end / at the start (median)", digits=2),
        *[Column(f"out_{k}", f"ruled out at {t:g}") for k, t in enumerate(THRESHOLDS)],
        Column("arrives", "critical point there"), Column("decrement", "Newton step at the end (median)", digits=2),
    ]  # fmt: skip
    notes = [
        f"The test: critical points are ruled out where |g| stays above {INSIGNIFICANT:g} of its start (others for "
        "comparison). Critical point there: known by algebra, or a search from the end finds one at a distance below "
        f"{NEAR:g}, relative to its norm. Newton steps likewise."
    ]
    return Table(columns, rows, "What the norm of the gradient tells", notes)


# ---- figure ------------------------------------------------------------------------------------------------------
def figure(built: Sequence[Case], trained: Sequence[Case]) -> Figure:
    """Return three panels: norms of the constructed cases, of training on digits, and norm against Newton step."""
    with canvas.style():
        panels, axes = canvas.grid(1, 3, width=3.4, height=3.3)
        for k, case in enumerate(built):
            _norms(axes[0, 0], case, k, case.kind)
        for k, case in enumerate(trained):
            _norms(axes[0, 1], case, k, case.name)
        _ends_panel(axes[0, 2], built, trained)
        for axis, words in zip(
            axes[0], ("constructed cases", "digits", "what the norm cannot tell apart"), strict=True
        ):
            axis.set_title(words)
        for axis in axes[0, :2]:
            axis.axhline(INSIGNIFICANT, color="black", linewidth=0.8, linestyle=":")
            axis.set(yscale="log", xlabel="part of the path walked", ylabel=r"$|g|$ / at the start", xlim=(0, 1))
        axes[0, 0].text(0.98, 0.7 * INSIGNIFICANT, "insignificant below", ha="right", va="top", fontsize=7.5)
        axes[0, 0].set_ylim(1e-8, 1e3)
        axes[0, 1].set_ylim(1e-8, 1e5)
        for axis in axes[0]:
            place = "upper left" if axis is axes[0, 2] else "upper center"
            axis.legend(loc=place, ncols=2 if axis is axes[0, 0] else 1, columnspacing=0.7, fontsize=7.5)
        canvas.panel_letters(axes)
    return panels


def _ends_panel(axis: Axes, built: Sequence[Case], trained: Sequence[Case]) -> None:
    """Norm against Newton step at the end, filled where a critical point is there."""
    for cases, marker, color, words in ((built, "o", "black", "constructed"), (trained, "^", "#c46a1b", "digits")):
        shrinkage, decrement, arrives = (
            np.concatenate([getattr(c, name) for c in cases]) for name in ("shrinkage", "decrement", "arrives")
        )
        for there, filled in ((True, color), (False, "white")):
            axis.plot(
                np.maximum(shrinkage, 1e-11)[arrives == there], np.maximum(decrement, 1e-13)[arrives == there], marker,
                color=color, markerfacecolor=filled, markersize=4, markeredgewidth=0.8,
                label=f"{words}: {'a' if there else 'no'} critical point",
            )  # fmt: skip
    axis.axvline(INSIGNIFICANT, color="black", linewidth=0.8, linestyle=":")
    axis.text(1.4 * INSIGNIFICANT, 1e-12, "ruled out", fontsize=8)
    axis.set(
        xscale="log", yscale="log", xlabel=r"$|g|$ at the end / at the start", xlim=(2e-12, 10), ylim=(1e-14, 1e10)
    )
    axis.set_ylabel("length of the Newton step at the end, relative")


def _norms(axis: Axes, case: Case, k: int, label: str) -> None:
    relative = case.norm / case.norm[:, :1]
    low, middle, high = np.quantile(np.maximum(relative, 1e-300), [0.1, 0.5, 0.9], axis=0)
    part = case.step / case.step[-1]
    axis.plot(part, middle, color=canvas.SEQUENCE[k], linestyle=canvas.LINES[k], label=label)
    axis.fill_between(part, low, high, color=canvas.SEQUENCE[k], alpha=0.15, linewidth=0)


STUDY = Study(
    "gradient_norm_test",
    "If the norm of the gradient does not shrink to insignificant size, neither local minima nor any other kind of "
    "critical point is the problem.",
    f"{SECTION}.",
    measure,
)
