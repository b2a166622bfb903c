"""Searches from points already found: what ordinary starts may have missed.

From each critical point two kinds of start:

* along both soft directions, the eigenvectors of the largest negative and of the smallest positive eigenvalue, both
  ways, at REACHES correlation lengths: the index changes by one across a soft mode, so neighbours with a small basin
  lie there;
* descents and ascents: from each saddle down its softest negative direction to a minimum, up its softest positive one
  to a maximum, both ways, by gradient steps of length min(|g|/|H|_F, a fraction of the correlation length).

All go through the same Newton search at the end.

Arcs between critical points (``simcore.arcs``) know no basins: the walk that they make is uniform over the points, so
it reaches one that no start ever met. ``walk_from`` makes a short one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simcore.arcs.chains import Chains
from simcore.arcs.rule import ARRIVED, arc_rule
from simcore.search.target import Target

Array = NDArray[np.float64]

REACHES = (0.35, 1.0)
"""Distances from the point along a soft direction, in correlation lengths."""
DESCENT_STEPS = 24
DESCENT_REACH = 0.4
WALKERS, WALK_MOVES = 16, 10
"""Walkers of a short walk and the moves of each: a second or less for a plain Python function of two variables."""
WALK_TOLERANCE = 0.1
"""Longest correction of a step of its arcs: curves turn sharply in narrow places."""


def starts_from(target: Target, x: Array, *, flows: bool = True) -> Array:
    """Return starting points for Newton searches from critical points x of shape (K, n); without ``flows`` along soft
    directions only, which stays near x."""
    _, _, hessian = target.evaluate(x)
    eigenvalues, vectors = np.linalg.eigh(target.domain.tangent_hessian(x, hessian))
    vectors = target.domain.to_ambient(x, vectors)
    every = np.arange(len(x))
    dimension = eigenvalues.shape[1]
    index = (eigenvalues < 0).sum(axis=1)
    downhill = vectors[every, :, np.maximum(index - 1, 0)]
    uphill = vectors[every, :, np.minimum(index, dimension - 1)]
    saddle = (index > 0) & (index < dimension)
    can_fall, can_rise = index > 0, index < dimension

    length = target.search.landscape.scales.length
    soft = [
        target.domain.retract(x[able] + sign * reach * length * direction[able])
        for direction, able in ((downhill, can_fall), (uphill, can_rise))
        for reach in REACHES
        for sign in (1.0, -1.0)
    ]
    flowing = np.flatnonzero(saddle) if flows else every[:0]
    start, slope = [], []
    for direction, way in ((downhill, -1.0), (uphill, 1.0)):
        for sign in (1.0, -1.0):
            start.append(target.domain.retract(x[flowing] + sign * DESCENT_REACH * length * direction[flowing]))
            slope.append(np.full(len(flowing), way))
    flowed = flow(target, np.concatenate(start), np.concatenate(slope), DESCENT_STEPS)
    return np.concatenate([*soft, flowed])


def walk_from(target: Target, x: Array, index: NDArray[np.int64], cost: Array, number: int) -> Array:
    """Return the critical points that the ``number``-th short walk of this draw proposed, (K, n), copies included.

    x (W, n), index and cost (W,) are points to rounding; walkers begin at the first ``WALKERS`` of them, in turn. By
    NumPy even where a kernel is at hand: compiling one takes longer than the walk.
    """
    landscape = target.search.landscape
    begin = np.arange(WALKERS) % len(x)
    scales, period = landscape.scales, landscape.domain.period
    rule = arc_rule(scales.length, scales.gradient * target.scale, landscape.dimension, period, WALK_TOLERANCE)
    streams = [landscape.stream(f"targeted:{number}:{walker}") for walker in range(WALKERS)]
    address, flat = (target.search.seed, target.draw.number), np.zeros(landscape.dimension + 1)
    chains = Chains(
        target.problem, landscape.dimension, x[begin], index[begin], cost[begin], rule, flat, address, streams,
        compiled=False,
    )  # fmt: skip
    with np.errstate(all="ignore"):  # arcs that run into singular matrices are given up
        made = chains.advance(WALK_MOVES)
    return made.x[made.status == ARRIVED]


def flow(target: Target, x: Array, way: Array, steps: int, reach: float = DESCENT_REACH) -> Array:
    """Return where gradient steps lead from x of shape (K, n), down (way -1) or up (way 1, shape (K,)).

    No step is longer than ``reach`` correlation lengths.
    """
    longest = reach * target.search.landscape.scales.length
    there = target.search.backend.flow(target.problem, x, way, steps, longest)
    if there is not None:
        return target.domain.retract(there)
    for _ in range(steps if len(x) else 0):
        _, gradient, hessian = target.evaluate(x)
        slope = np.linalg.norm(gradient, axis=1)
        curvature = np.linalg.norm(hessian, axis=(1, 2))
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(slope > 0, np.minimum(slope / curvature * 2.0, longest) / slope, 0.0)
        x = target.domain.retract(x + (way * np.nan_to_num(step))[:, np.newaxis] * gradient)
    return x
