"""Gradient flow dx/dt = -grad f, by SciPy's adaptive integrators, each start alone."""

from __future__ import annotations

import numpy as np

from simcore.backends.problems import Array
from simcore.progress import current
from simcore.trajectories.derivatives import Function
from simcore.trajectories.paths import Record
from simcore.trajectories.settings import Walk


def flow(function: Function, walk: Walk, x: Array, record: Record) -> None:
    """Integrate from points x, shape (S, n), and fill the record; NaN after a time that could not be reached."""
    places = walk.recorded()
    times = walk.step_size * np.array(places, float)
    path = np.stack([_one(function, walk, start, times) for start in x])
    with np.errstate(all="ignore"):
        for place in range(len(places)):
            here = function.at(path[:, place], True)
            bent = here.times(here.gradient)
            # along the flow df/dt = -g'g and d2f/dt2 = 2 g'Hg
            change = walk.step_size * (here.gradient * (walk.step_size * bent - here.gradient)).sum(axis=1)
            record.store(place, function, path[:, place], here, bent, change)


def _one(function: Function, walk: Walk, start: Array, times: Array) -> Array:
    """Return the points at the given times, shape (times, n)."""
    from scipy.integrate import solve_ivp

    domain, meter = function.problem.domain, current()

    def velocity(t: float, y: Array) -> Array:
        meter.check()
        x = y if domain.flat else domain.retract(y)
        return -function.at(x[None]).gradient[0]

    points = np.full((len(times), len(start)), np.nan)
    with np.errstate(all="ignore"):
        found = solve_ivp(
            velocity,
            (0.0, times[-1]),
            start,
            method=walk.integrator,
            t_eval=times,
            rtol=walk.tolerance,
            atol=1e-3 * walk.tolerance,
        )
    meter.step(walk.steps + 1)
    points[: found.y.shape[1]] = found.y.T
    return domain.retract(points)
