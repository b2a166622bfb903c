"""The saddle of figure 8.2, where the weights are all zero: what it is, how flat it is round it, how long it holds.

With all weights and hidden biases zero a network says the same to every input; at the best such constant that is a
critical point. Its Hessian couples W_1 and W_2 alone (for tanh units, through the cross-covariance of inputs and
residuals), so h hidden units and a cross-covariance of rank r give h r negative eigenvalues, r at most the number of
inputs and, since the classes' residuals sum to zero, one less than that of classes. Gradient flow from distance d along
the lowest mode w takes the time ln(R/d)/|w| to leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import simcore
from simcore.formulas.outcome import CRITICAL
from simcore.search import dense

from ..estimates import Array, Estimate, mean
from .paths import Escape, Saddle, bound, escape, slope
from .proportions import counted_exactly
from .verdicts import Claim, measurement

DISTANCES = np.logspace(-2, -6, 5)
FAR = 0.03
"""Distance at which a path has left the saddle: the linear terms still rule there."""
LINEAR = 0.05
"""What the terms beyond the linear ones may change the slope of the time to escape by."""


@dataclass(frozen=True)
class Origin:
    """The saddle at w = 0 of one network, the times to escape from it, and where trainings pass it."""

    saddle: Saddle
    cost: float
    expected: int
    escape: Escape
    closest: Array  # (starts,) smallest distance of each training from it, over the distance from start to end
    flattening: Array  # (starts,) smallest gradient norm in the first steps over that at the start


def origin_of(draw: Any, widths: Sequence[int], paths: Sequence[Array], norms: Sequence[Array], early: int) -> Origin:
    """Find the saddle by a search from w = 0, which its symmetry keeps there, and follow paths away from it.

    paths, norms : positions (records, n) and gradient norms (records,) of each training; ``early`` records are looked
        at for the flattening.
    """
    found = dense.search(draw, np.zeros((1, draw.landscape.n)), simcore.LevenbergMarquardt(max_iterations=200))
    assert found.status[0] == CRITICAL, "a constant output has one best value"
    x = found.x[0]
    w, q = np.linalg.eigh(draw.hessian(x))
    saddle = Saddle(draw, x, w, q)
    inputs, hidden, outputs = widths
    closest = [np.linalg.norm(path - x, axis=1).min() / np.linalg.norm(path[-1] - path[0]) for path in paths]
    flattening = [norm[:early].min() / norm[0] for norm in norms]
    return Origin(
        saddle, float(found.cost[0]), hidden * min(inputs, outputs - 1), escape(saddle, DISTANCES, FAR, 1.0),
        np.array(closest), np.array(flattening),
    )  # fmt: skip


def origin_claims(words: str, origin: Origin, source: str) -> list[Claim]:
    """Return the claims about the saddle at w = 0, and how near trainings pass it."""
    weights = np.abs(origin.saddle.x[: origin.saddle.draw.landscape.n - origin.saddle.draw.landscape.widths[-1]]).max()
    rate = slope(-np.log(origin.escape.distances), origin.escape.escaped)

    def escaping(level: float) -> Estimate:
        return Estimate(rate, 0.0, min(1.0, rate), max(1.0, rate), level, kind="bound")

    where = f"{words}: the critical point where the weights are all zero"
    return [
        Claim(f"{where}: largest weight or hidden bias", 0.0, source, lambda level: bound(float(weights)), 1e-9),
        Claim(
            f"{where} is a saddle: negative eigenvalues", float(origin.expected),
            "hidden units times the rank of the inputs' cross-covariance with the residuals",
            counted_exactly(origin.saddle.index), 0.5,
        ),
        Claim(
            f"{where} is escaped quickly: time of gradient flow grows by 1/|w| for each factor e that the start is "
            "closer", 1.0, f"ln(R/d)/|w|, linear terms; {source}", escaping, LINEAR,
        ),
        measurement(
            f"{where}: distance at which training passes it, over the distance from start to end", source,
            lambda level: mean(origin.closest, level=level),
        ),
        measurement(
            f"{words}: flattening near it: smallest gradient norm of the early steps over that at the start", source,
            lambda level: mean(origin.flattening, level=level),
        ),
    ]  # fmt: skip
