"""The ball estimator for stationary fields in R^n: all critical points inside a ball round a random centre.

Each critical point of a stationary field is inside with a probability that does not depend on its index or basin, so
the counts inside, per volume, are unbiased for the densities of every index. What is left to do is to find all
points inside: ordinary starts are uniform in a larger ball of the same centre, the step cap is kept short, so that a
search ends near where it began, and rounds go on until every point inside has ``audit.ENOUGH_HITS`` ordinary hits and
searches from all points found in the larger ball (``targeted.py``) give nothing new inside. Points outside are kept as
neighbours to search from, and are not counted. There is no Euler sum here to check with.

Centres and starts have streams of their own: a ball shares no start with a ``newton`` search of the same seed.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Outcome
from simcore.errors import InputError
from simcore.formulas.random import normals
from simcore.landscapes.base import Draw, Landscape
from simcore.landscapes.starts import ball as uniform_in_ball
from simcore.progress import long_call
from simcore.search.audit import euler_sum
from simcore.search.enumerate import Enumeration
from simcore.search.frames import points_frame
from simcore.search.points import Points
from simcore.search.rounds import FIRST_ROUND, Rounds, check_limits
from simcore.search.search import Search, check_draws, split_target
from simcore.search.solvers import Solver
from simcore.search.summary import annotated, warn_if_incomplete
from simcore.search.target import Target, Workers
from simcore.validate import positive

Array = NDArray[np.float64]

EXPECTED = 10.0
"""Critical points that a ball holds on average, unless a radius is given."""
MAX_STARTS = 200_000
MARGIN = 0.2
"""How much larger the ball of starts is, in correlation lengths."""
LOCAL_CAP = 0.6
"""Longest step of a ball's searches, in correlation lengths, where ``step_cap`` is "auto"."""
CENTRE = 5.0
"""Standard deviation of the centre's coordinates, in correlation lengths."""


@dataclass(frozen=True)
class Ball:
    """Where points are counted: ``radius`` and ``start_radius`` are lengths in x, ``expected`` a mean count inside."""

    radius: float
    start_radius: float
    volume: float
    expected: float


def ball_critical_points(
    target: Landscape | Draw,
    *,
    draw: int | None = None,
    seed: int | None = None,
    radius: float | None = None,
    starts: int = FIRST_ROUND,
    max_starts: int = MAX_STARTS,
    solver: Solver | None = None,
    backend: str = "cpu",
    start_law: str | None = None,
    positions: bool = True,
    spectrum: bool = False,
    threads: int | None = None,
    progress: bool = False,
) -> Enumeration:
    """Find the critical points of one stationary field inside a ball round a random centre.

    Parameters
    ----------
    target : Landscape or Draw
        A ``GaussianField`` or one of its draws (then give no ``draw``).
    radius : float
        Of the ball, a length in x. Default: by the exact density, that of a ball with ``EXPECTED`` points on average.
    start_law : None
        A ball has its own starts.
    draw, seed, starts, max_starts, solver, backend, positions, spectrum, threads, progress
        As for ``enumerate_critical_points``; ``step_cap="auto"`` means ``LOCAL_CAP`` correlation lengths, or the
        landscape's rule where that is shorter.

    Returns
    -------
    Enumeration
        ``points`` inside, with the columns of an enumeration. ``audit`` as well, of the points inside, and: ``radius``,
        ``start_radius``, ``volume``, ``centre`` (a list), ``expected`` (volume times the density of
        ``expected_counts()``, which for random frequencies is that of infinitely many features; multiply ``volume`` by
        ``expected_counts(finite_features=True)`` to compare). ``euler_expected`` is None: ``complete`` rests on hits
        and on the searches from points.

    Raises
    ------
    InputError
        For an argument out of range, or a landscape that is not a stationary field in R^n.
    """
    landscape, only, seed = split_target(target, seed, draw=draw)
    search = local(
        Search.of(
            landscape,
            seed=seed,
            solver=solver,
            backend=backend,
            start_law=start_law,
            positions=positions,
            spectrum=spectrum,
            threads=threads,
        )
    )
    where = ball_of(landscape, radius)
    limits = check_limits(starts, max_starts)
    if only is None:
        number, _ = check_draws(landscape, 0 if draw is None else draw, 1, "draw")
        only = landscape.draw(seed=search.seed, draw=number)
    aim, workers = Target.of(search, only), Workers(search.threads)
    found = long_call("ball_critical_points", lambda: search_ball(aim, where, limits, workers), progress)
    warn_if_incomplete(found.audit, only)
    return Enumeration(found.points, annotated(found.audit, only))


def local(search: Search) -> Search:
    """Return a search with the local step cap of balls; ``InputError`` where it can be none of a ball."""
    landscape = search.landscape
    if not landscape.stationary:
        other = "enumerate_critical_points" if landscape.euler_characteristic is not None else "find_critical_points"
        raise InputError(
            f"{landscape.name} is not a stationary random field in R^n, such as gaussian_field, which the ball method "
            f"serves alone; use {other}"
        )
    if search.start_law is not None:
        raise InputError(f"start_law is {search.start_law!r}, but a ball has its own starts; leave start_law out")
    if search.solver.step_cap != "auto":
        return search
    cap = min(landscape.scales.step_cap, LOCAL_CAP * landscape.scales.length)
    return replace(search, options=search.options._replace(step_cap=cap))


@functools.lru_cache(maxsize=32)
def ball_of(landscape: Landscape, radius: float | None) -> Ball:
    """Return the ball of a given radius, or of ``EXPECTED`` points by the exact density."""
    n = landscape.n
    unit = math.exp(0.5 * n * math.log(math.pi) - math.lgamma(0.5 * n + 1))
    density = float(landscape.expected_counts()["mean_count"].sum())
    chosen = (EXPECTED / (density * unit)) ** (1 / n) if radius is None else positive("radius", radius)
    volume = unit * chosen**n
    return Ball(chosen, chosen + MARGIN * landscape.scales.length, volume, density * volume)


def search_ball(target: Target, where: Ball, limits: tuple[int, int], workers: Workers) -> Enumeration:
    """Run the rounds for one draw; ``limits`` = (starts, max_starts)."""
    chosen, draw = target.search, target.draw
    landscape, n = chosen.landscape, chosen.landscape.n
    centre = CENTRE * landscape.scales.length * normals(chosen.seed, landscape.stream("ball:centre"), draw.number, 0, n)
    stream = landscape.stream("ball:starts")
    points = Points(target, workers)

    def ordinary(first: int, count: int) -> Outcome:
        place = (stream, chosen.seed, draw.number, first, count)
        return target.newton(centre + uniform_in_ball(*place, n, where.start_radius))

    def within(radius: float) -> NDArray[np.bool_]:
        return np.linalg.norm(points.table.x - centre, axis=1) <= radius

    rounds = Rounds(
        target,
        points,
        workers,
        ordinary,
        counted=lambda: within(where.radius),
        explored=lambda: within(where.start_radius),
        right=lambda: True,
        local=True,
    )
    rounds.run(*limits)
    inside = within(where.radius)
    frame, certified = points_frame(target, points, inside)
    audit: dict[str, Any] = rounds.audit(certified)
    audit |= {"euler_sum": euler_sum(points.table.index[inside]), "euler_expected": None}
    audit |= {"radius": where.radius, "start_radius": where.start_radius, "volume": where.volume}
    audit |= {"proved": False, "proof": None}
    audit |= {"expected": where.expected, "centre": centre.tolist()}
    return Enumeration(frame, audit)
