"""All critical points of one function: ordinary starts in growing rounds, until the rule below allows to stop.

A draw is ``complete`` when, together,

1. the sum of (-1)^index over all points is the Euler characteristic of the domain;
2. every symmetry orbit has at least ``audit.ENOUGH_HITS`` hits by ordinary starts;
3. searches from every orbit (``targeted.py``) give nothing new;
4. no start ended at a degenerate point, and every image under the draw's symmetries is a critical point itself.

The Euler sum alone does not see points missed in pairs; hits alone do not see small basins; together they have been
measured (``results/enumeration_audit``). A draw that reaches ``max_starts`` first is returned with ``complete`` False.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Outcome
from simcore.errors import InputError
from simcore.formulas.outcome import DEGENERATE, STATUSES
from simcore.landscapes.base import Box, Draw, Landscape
from simcore.landscapes.validate import COUNTERS, whole
from simcore.search.audit import ENOUGH_HITS, chao1, coverage, euler_sum
from simcore.search.certify import prove
from simcore.search.points import Points
from simcore.search.solvers import Solver
from simcore.search.spectrum import tangent_hessians, to_ambient
from simcore.search.target import TILE, Target, Workers, check_draws, settings, split_target, thread_count
from simcore.search.targeted import starts_from

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

FIRST_ROUND = 512
MAX_STARTS = 2_000_000
GROWTH = (1.3, 4.0)
"""Smallest and largest factor by which a round may raise the number of starts."""


@dataclass(frozen=True)
class Enumeration:
    """The critical points of one draw and the audit of their completeness.

    points : DataFrame, a row a distinct point
        ``point`` int64, numbered by the first ordinary start that reached it, those that none reached last; ``cost``,
        ``grad_norm`` float64; ``index``, ``nullity`` int32; ``hits`` int64, ordinary starts that ended there;
        ``certified`` bool (``simcore.search.certify``); ``x`` (n float64) unless ``positions=False``; ``eigenvalues``
        (D float64, ascending) with ``spectrum=True``.
    audit : dict
        ``distinct`` points; ``orbits`` under the draw's symmetries (the species of all that follows); ordinary
        ``starts``; ``singletons`` (orbits with one hit); ``least_hits`` of an orbit; ``coverage`` (Good-Turing);
        ``chao1`` (lower bound on the number of orbits); ``euler_sum``, ``euler_expected`` (None where not fixed);
        ``complete``; ``certified_fraction``; ``targeted_starts``, ``targeted_points`` (first found by a search from
        another point), ``rounds``; ``broken_images`` (of a symmetry that does not hold); how many ordinary starts ended
        ``critical``, ``degenerate``, ``gradient_flat``, ``max_iterations``, ``left_domain``, ``not_finite``;
        ``saturation``, a list of (ordinary starts, orbits hit).
    """

    points: pd.DataFrame
    audit: dict[str, Any]


def enumerate_critical_points(
    target: Landscape | Draw,
    *,
    draw: int | None = None,
    seed: int | None = None,
    starts: int = FIRST_ROUND,
    max_starts: int = MAX_STARTS,
    solver: Solver | None = None,
    backend: str = "cpu",
    start_law: str | None = None,
    positions: bool = True,
    spectrum: bool = False,
    threads: int | None = None,
) -> Enumeration:
    """Find all critical points of one function on a compact or confined domain, with an audit.

    Parameters
    ----------
    target : Landscape or Draw
        The family, or one function of it (then give no ``draw``).
    draw, seed : int
        Which function; with the other arguments they determine the result bit for bit. Default 0, or the seed of the
        draw given.
    starts : int
        Ordinary starts of the first round; the rounds that follow are as long as the hits so far suggest.
    max_starts : int
        Ordinary starts after which an incomplete draw is given up, and says so.
    solver, backend, start_law, threads
        As for ``find_critical_points``.
    positions, spectrum : bool
        Columns ``x`` and ``eigenvalues``.

    Raises
    ------
    InputError
        For an argument out of range, or a domain whose critical points can't be enumerated (R^n without confinement).
    """
    landscape, only, seed = split_target(target, seed, draw=draw)
    chosen = settings(landscape, seed=seed, solver=solver, backend=backend, start_law=start_law)
    check_enumerable(landscape)
    limits = check_limits(starts, max_starts)
    if only is None:
        number, _ = check_draws(landscape, draw or 0, 1)
        only = landscape.draw(seed=chosen.seed, draw=number)
    with Workers(thread_count(threads)) as workers:
        return enumerate_draw(Target.of(chosen, only), limits, workers, positions=positions, spectrum=spectrum)


def check_enumerable(landscape: Landscape) -> None:
    """Raise ``InputError`` where the critical points may be infinitely many, or no Euler sum can audit them.

    In a box points may be counted, but never called complete: the sum of (-1)^index is not fixed there.
    """
    if landscape.euler_characteristic is None and not isinstance(landscape.domain, Box):
        raise InputError(
            f"{landscape.name} has no compact domain, so its critical points can't be enumerated; count by method "
            "'ball' in R^n, or search by find_critical_points"
        )


def check_limits(starts: int, max_starts: int) -> tuple[int, int]:
    """Return (starts, max_starts) after checking them."""
    starts = whole("starts", starts, 1, COUNTERS)
    return starts, whole("max_starts", max_starts, starts, COUNTERS)


def enumerate_draw(
    target: Target, limits: tuple[int, int], workers: Workers, *, positions: bool, spectrum: bool
) -> Enumeration:
    """Run the rounds for one draw."""
    euler = target.settings.landscape.euler_characteristic
    points = Points(target, workers)
    wanted, most = limits
    done, rounds, targeted, targeted_points = 0, 0, 0, 0
    saturation: list[tuple[int, int]] = []
    searched = np.empty(0, np.int64)
    while True:
        outcome = workers.outcomes(partial(_ordinary, target, done), wanted - done)
        points.add_ordinary(outcome, done)
        done, rounds = wanted, rounds + 1
        saturation.append((done, int((points.orbit_hits()[1] > 0).sum())))
        # Searches from points found, until they give nothing new.
        while True:
            orbits = points.orbit_hits()[0]
            new = np.setdiff1d(orbits, searched, assume_unique=True)
            if len(new) == 0:
                break
            before = len(points)
            begin = starts_from(target, points.table.x[new])
            points.add_targeted(workers.outcomes(partial(_from, target, begin), len(begin)))
            searched = np.concatenate([searched, new])
            targeted += len(begin)
            targeted_points += len(points) - before
        least = _least(points)
        euler_right = euler is not None and euler_sum(points.table.index) == euler
        sound = points.broken == 0 and points.statuses[DEGENERATE] == 0
        complete = euler_right and least >= ENOUGH_HITS and sound
        if complete or not sound or done >= most:
            break
        wanted = min(_next_total(done, least, euler_right), most)
    frame, certified = _points_frame(target, points, positions, spectrum)
    audit = _audit(points, done, complete, euler, certified)
    audit |= {
        "targeted_starts": targeted,
        "targeted_points": targeted_points,
        "rounds": rounds,
        "saturation": saturation,
    }
    return Enumeration(frame, audit)


def _ordinary(target: Target, base: int, rows: slice) -> Outcome:
    return target.search(base + rows.start, rows.stop - rows.start)


def _from(target: Target, x: Array, rows: slice) -> Outcome:
    return target.newton(x[rows])


def _least(points: Points) -> int:
    hits = points.orbit_hits()[1]
    return int(hits.min()) if len(hits) else 0


def _next_total(done: int, least: int, euler_right: bool) -> int:
    """Return how many starts to have made after the next round: what the rarest orbit seems to need, within limits."""
    factor = 2.0 if least >= ENOUGH_HITS else 1.15 * ENOUGH_HITS / max(least, 0.5 if euler_right else 1.0)
    factor = min(max(factor, GROWTH[0]), GROWTH[1])
    return -(-int(done * factor) // TILE) * TILE


def _audit(points: Points, starts: int, complete: bool, euler: int | None, certified: NDArray) -> dict[str, Any]:
    hits = points.orbit_hits()[1]
    return {
        "distinct": len(points),
        "orbits": len(hits),
        "starts": starts,
        "singletons": int((hits == 1).sum()),
        "least_hits": _least(points),
        "coverage": coverage(hits),
        "chao1": chao1(hits),
        "euler_sum": euler_sum(points.table.index),
        "euler_expected": euler,
        "complete": bool(complete),
        "certified_fraction": float(certified.mean()) if len(certified) else float("nan"),
        "broken_images": points.broken,
        **{name: int(count) for name, count in zip(STATUSES, points.statuses, strict=True)},
    }


def _points_frame(target: Target, points: Points, positions: bool, spectrum: bool) -> tuple[pd.DataFrame, NDArray]:
    """Return the points in their final order, moved by one last Newton step, and which of them are certified."""
    import pandas as pd

    order = np.argsort(points.first, kind="stable")
    x, index = points.table.x[order], points.table.index[order]
    x = _polished(target, x)
    value, gradient, hessian = target.evaluate(x)
    eigenvalues = np.linalg.eigvalsh(tangent_hessians(target, x, hessian))
    proof = prove(target, x, index, value, gradient, eigenvalues)
    columns: dict[str, Any] = {
        "point": np.arange(len(x)),
        "cost": value,
        "index": index.astype(np.int32),
        "nullity": np.zeros(len(x), np.int32),
        "grad_norm": np.linalg.norm(gradient, axis=1),
        "hits": points.hits[order],
        "certified": proof.certified,
    }
    if positions:
        columns["x"] = list(x)
    if spectrum:
        columns["eigenvalues"] = list(eigenvalues)
    return pd.DataFrame(columns), proof.certified


def _polished(target: Target, x: Array) -> Array:
    """Return points one undamped Newton step further: from the square root of rounding error to rounding error."""
    _, gradient, hessian = target.evaluate(x)
    eigenvalues, vectors = np.linalg.eigh(tangent_hessians(target, x, hessian))
    ambient = to_ambient(target, x, vectors)
    along = np.einsum("sij,si->sj", ambient, gradient)
    return target.on_domain(x - np.einsum("sij,sj->si", ambient, along / eigenvalues))
