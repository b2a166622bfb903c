"""Where points live, shared by all backends: spheres, tori and the tangent spaces of both."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def to_sphere(x: Array, gradient: Array, hessian: Array) -> tuple[Array, Array]:
    """Return the Riemannian gradient and Hessian on the sphere through x of Euclidean ones, in ambient coordinates."""
    radius2 = (x * x).sum(axis=1)
    radial = (gradient * x).sum(axis=1) / radius2
    identity = np.eye(x.shape[1])
    projector = identity - x[:, :, np.newaxis] * x[:, np.newaxis, :] / radius2[:, np.newaxis, np.newaxis]
    tangential = gradient - radial[:, np.newaxis] * x
    curved = projector @ (hessian - radial[:, np.newaxis, np.newaxis] * identity) @ projector
    return tangential, 0.5 * (curved + curved.swapaxes(1, 2))


def on_sphere(problem: Any) -> bool:
    """Whether the problem's domain is the sphere |x|^2 = n."""
    return getattr(problem, "sphere", False)


def tangent_basis(problem: Any, x: Array) -> Array:
    """Return an orthonormal basis of the tangent space at x as columns, shape (n, D)."""
    if not on_sphere(problem):
        return np.eye(len(x))
    return np.linalg.qr(np.column_stack([x, np.eye(len(x))]))[0][:, 1 : len(x)]


def move(problem: Any, x: Array, step: Array) -> Array:
    """Return the point reached from x by a tangent step: back to the sphere by scaling, wrapped on a torus."""
    moved = x + step
    if on_sphere(problem):
        return moved * np.sqrt(len(x) / (moved @ moved))
    period = getattr(problem, "period", 0.0)
    return wrap(moved, period)


def wrap(x: Array, period: float) -> Array:
    """Return x with coordinates in [0, period); unchanged where period is 0."""
    if period == 0.0:
        return x
    wrapped = x - period * np.floor(x / period)
    return np.where(wrapped >= period, 0.0, wrapped)


def outside(problem: Any, x: Array) -> bool:
    """Whether x has left the problem's box, if it has one."""
    low = getattr(problem, "low", None)
    return low is not None and bool((x < low).any() or (x > problem.high).any())
