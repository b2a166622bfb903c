"""What the studies of training dynamics share: saddles to walk from, numerical bounds, spreads as estimates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..estimates import Array, Estimate

BOOK = "Goodfellow, Bengio & Courville (2016)"


def bound(error: float) -> Estimate:
    """Return a largest error as an estimate of zero: the interval from 0 to it. For results without sampling."""
    return Estimate(float(error), 0.0, min(0.0, float(error)), max(0.0, float(error)), kind="bound")


def spread(values: ArrayLike) -> Estimate:
    """Return the middle of some results without sampling, with the range of all of them as its interval."""
    x = np.asarray(values, float)
    low, high = float(x.min()), float(x.max())
    return Estimate(0.5 * (low + high), 0.0, low, high, draws=len(x), kind="range")


@dataclass(frozen=True)
class Saddle:
    """A saddle of one draw: its point, the Hessian's eigenvalues (ascending, tangent) and vectors."""

    draw: Any
    x: Array
    eigenvalues: Array  # (D,)
    vectors: Array  # (n, D), columns

    @property
    def index(self) -> int:
        return int((self.eigenvalues < 0).sum())

    def offset(self, x: Array) -> Array:
        """Return x - saddle, by the shortest way on a torus; shape as x."""
        return self.draw.landscape.domain.displacement(x, self.x)

    def coordinates(self, x: Array) -> Array:
        """Return the coordinates of x - saddle along the eigenvectors, shape (..., D)."""
        return self.offset(x) @ self.vectors


def saddles_of(landscape: Any, draw: int, seed: int, starts: int, law: str | None = None) -> list[Saddle]:
    """Return one saddle of each index that ``starts`` searches of a draw find, the first found of each."""
    import simcore

    function = landscape.draw(seed=seed, draw=draw)
    found = simcore.find_critical_points(function, starts=starts, positions=True, start_law=law, threads=1)
    good = found[found["status"] == "critical"]
    saddles = []
    for index, rows in good.groupby("morse_index"):
        if 0 < int(index) < landscape.dimension:
            saddles.append(saddle_at(function, rows["x"].iloc[0]))
    return saddles


def saddle_at(function: Any, x: ArrayLike) -> Saddle:
    """Return the critical point x of a draw, after two more Newton steps, with its eigenvalues.

    On the sphere the radial one is left out.
    """
    import simcore

    path = simcore.trajectory(function, method="newton", steps=2, start=x, positions=True, threads=1)
    point = path["x"].iloc[-1]
    w, q = np.linalg.eigh(function.hessian(point))
    if not function.landscape.domain.flat:
        radial = int(np.argmax(np.abs(point @ q)))
        w, q = np.delete(w, radial), np.delete(q, radial, axis=1)
    return Saddle(function, point, w, q)


@dataclass(frozen=True)
class Escape:
    """Paths of gradient flow away from one saddle, along its lowest mode."""

    distances: Array  # of the starts, in lengths
    time: Array  # (records,), times |w|
    distance: Array  # (starts, records), in lengths
    escaped: Array  # (starts,) times |w|


def escape(saddle: Saddle, starts: Array, far: float, length: float, steps: int = 240) -> Escape:
    """Measure when gradient flow from each distance d of a saddle reaches distance ``far``.

    starts : (S,) distances d, in units of ``length``, ascending closeness; along the lowest mode, of eigenvalue w < 0.
    """
    import simcore

    lowest = -saddle.eigenvalues[0]
    points = saddle.x + length * starts[:, None] * saddle.vectors[:, 0]
    span = math.log(far / starts[-1]) + 4.0
    frame = simcore.trajectory(
        saddle.draw, method="gradient_flow", step_size=span / lowest / steps, steps=steps, start=points, positions=True,
        threads=1,
    )  # fmt: skip
    distance = np.linalg.norm(saddle.offset(points_of(frame)), axis=2) / length
    time = np.linspace(0, span, steps + 1)
    # the distance grows while it is small: the first record beyond, and the line through ln d before it
    beyond = np.argmax(distance > far, axis=1)
    rows = np.arange(len(starts))
    high, low = np.log(distance[rows, beyond]), np.log(distance[rows, beyond - 1])
    escaped = time[beyond] - (high - math.log(far)) / (high - low) * time[1]
    return Escape(starts, time, distance, escaped)


def slope(x: ArrayLike, y: ArrayLike) -> float:
    """Return the slope of the straight line through points by least squares."""
    return float(np.polyfit(np.asarray(x, float), np.asarray(y, float), 1)[0])


def points_of(frame: Any) -> Array:
    """Return the positions of a trajectory's rows, shape (starts, records, n)."""
    x = np.stack(frame["x"].to_list())
    return x.reshape(frame["start"].nunique(), -1, x.shape[1])
