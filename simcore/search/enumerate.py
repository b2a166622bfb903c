"""All critical points of one function: ordinary starts in growing rounds, until the rule below allows to stop.

A draw is ``complete`` when, together,

1. the sum of (-1)^index over all points is the Euler characteristic of the domain;
2. every symmetry orbit has at least 4 hits by ordinary starts, where half of them descend 8, plain and descended
   together (``audit.enough_hits``);
3. searches from every orbit (``targeted.py``) give nothing new;
4. no start ended at a degenerate point, and every image under the draw's symmetries is a critical point itself;
5. for a function of the user's own on a torus or sphere (``CustomLandscape``), whose error rate nobody has measured:
   short walks by arcs, which know no basins (``targeted.walk_from``), give nothing new. Their arrivals count like hits
   in rule 2.

This is an empirical rule, not a proof. The Euler sum alone does not see points missed in pairs; hits alone do not see
basins below about 3/starts: a bump of width 0.03 on a torus function of two variables is missed in eight draws of ten,
short walks included, one of width 0.1 in one of ten (``results/counts/bump.json``).
For random functions the two together have been measured against proofs: 1 of 9,847 complete draws lacked points
(``results/proof``); for a function of the user's own the audit says how small a basin may be missing. A draw that
reaches ``max_starts`` first is returned with ``complete`` False and a warning (``IncompleteWarning``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Outcome
from simcore.errors import InputError
from simcore.landscapes.base import Draw, Landscape
from simcore.progress import long_call
from simcore.proof.prove import Proof
from simcore.search import proved, saved
from simcore.search.audit import euler_sum
from simcore.search.coercive import MOST_MOVES, enumerate_classes
from simcore.search.frames import points_frame, positions
from simcore.search.points import Points
from simcore.search.rounds import FIRST_ROUND, Rounds, check_limits
from simcore.search.search import Search, check_draws, split_target
from simcore.search.solvers import Solver
from simcore.search.summary import annotated, summary, warn_if_incomplete
from simcore.search.target import Target, Workers
from simcore.search.targeted import flow
from simcore.validate import COUNTERS

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

MAX_STARTS = 8_000_000
"""Enough for 3-spin draws up to n = 20, which need up to three million."""
DESCENT = 4
"""Gradient steps, each at most 0.4 correlation lengths, that an ordinary start may begin with."""
DESCENDED = COUNTERS // 2
"""Number of the first start that descends."""


@dataclass(frozen=True)
class Enumeration:
    """The critical points of one draw and the audit of their completeness, as ``enumerate_critical_points`` gives them.

    points : DataFrame, a row a distinct point
        ``point`` int64, numbered by the first ordinary start that reached it, those that none reached last; ``cost``,
        ``grad_norm`` float64; ``morse_index``, ``nullity`` int32; ``hits`` int64, plain Newton searches that ended
        there; ``certified`` bool (``simcore.search.certify``); ``x`` (n float64) unless ``positions=False``;
        ``eigenvalues`` (D float64, ascending) with ``spectrum=True``.
    audit : dict
        ``distinct`` points; ``orbits`` under the draw's symmetries (the species of all that follows); plain ordinary
        ``starts``; ``descended_starts``, which begin with gradient steps; of both together ``singletons`` (orbits with
        one hit); ``least_hits`` of an orbit; ``coverage`` (Good-Turing); ``chao1`` (lower bound on the number of
        orbits); ``euler_sum``, ``euler_expected`` (None where not fixed); ``complete``; ``proved``; ``proof`` (None
        where none was tried, else a dict: ``method``, ``bound``, ``certified``, ``paths`` or ``boxes``, ``retracked``);
        ``certified_fraction``; ``targeted_starts``, ``targeted_points`` (first found by a search from another point),
        ``rounds``; ``broken_images`` (of a symmetry that does not hold); how many ordinary starts ended ``critical``,
        ``degenerate``, ``gradient_flat``, ``max_iterations``, ``left_domain``, ``not_finite``; ``saturation``, a list
        of [ordinary starts, orbits hit]; ``blind_below`` (3/starts: a basin that takes a smaller share of the starts
        may have been missed; 0 with a proof) and ``note``, one line: what ``complete`` is worth here.
    """

    points: pd.DataFrame
    audit: dict[str, Any]
    draw: Draw | None = field(default=None, repr=False, compare=False)
    """The function; None after ``load``."""

    @property
    def positions(self) -> Array:
        """Coordinates of the points, shape (points, n); ``InputError`` where they were not asked for."""
        if "x" not in self.points:
            raise InputError("this enumeration has no positions; make it with positions=True")
        return positions(self.points)

    def summary(self) -> str:
        """Return a few lines: points by index, whether that is all of them, and what this rests on."""
        return summary(self.points, self.audit)

    def save(self, path: str | Path) -> Path:
        """Write points and audit to one file, a name that ends in .npz; ``Enumeration.load`` reads it back."""
        return saved.save(self.points, self.audit, path)

    @classmethod
    def load(cls, path: str | Path) -> Enumeration:
        """Return an enumeration from its file; ``RunError`` where the file was altered."""
        return cls(*saved.load(path))

    def __repr__(self) -> str:
        return f"Enumeration: {self.summary()}"

    def _repr_html_(self) -> str:
        """Show the summary and the lowest points in a notebook."""
        shown = self.points.drop(columns=["x", "eigenvalues"], errors="ignore").sort_values("cost").head(10)
        more = len(self.points) - len(shown)
        rest = f"<p>and {more} more points</p>" if more else ""
        return f"<pre>{escape(self.summary())}</pre>{shown.to_html(index=False)}{rest}"


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
    prove: bool | str = "auto",
    positions: bool = True,
    spectrum: bool = False,
    threads: int | None = None,
    progress: bool = False,
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
        Ordinary starts of the first round; the rounds that follow are as long as the hits so far suggest. With a proof
        there are no further rounds than it needs, and ``starts=0`` leaves them out: hits are 0, the coverage is not a
        number.
    prove : "auto", True or False
        Prove that the list is complete: where that is cheap (the table of docs/proof.md), wherever a method exists, or
        not at all. Where a proof fails the search without one is made, and ``audit["proved"]`` is False.
    max_starts : int
        Ordinary starts after which an incomplete draw is given up, and says so.
    solver, backend, start_law, threads, progress
        As for ``find_critical_points``.
    positions : bool
        Column ``x``.
    spectrum : bool
        Column ``eigenvalues``.

    Returns
    -------
    Enumeration
        ``.points``, a DataFrame with a row a distinct point, and ``.audit``, a dict; see ``simcore.Enumeration``. A
        draw is ``audit["complete"]`` when the sum of (-1)^index is the domain's Euler characteristic (Morse), every
        symmetry orbit has at least 4 hits (8 where half of the starts descend), searches from every orbit give nothing
        new, and no start ended at a degenerate point; or when it is ``audit["proved"]``, by a theorem
        (``simcore.proof``). The former is an empirical rule; ``audit["note"]`` says what is known of its error rate. An
        incomplete enumeration warns (``simcore.IncompleteWarning``).

    Raises
    ------
    InputError
        For an argument out of range, a domain whose critical points can't be enumerated (R^n without confinement),
        ``prove=True`` where no method exists, or no starts where no proof is tried.
    """
    landscape, only, seed = split_target(target, seed, draw=draw)
    search = Search.of(
        landscape,
        seed=seed,
        solver=solver,
        backend=backend,
        start_law=start_law,
        positions=positions,
        spectrum=spectrum,
        threads=threads,
    )
    check_enumerable(landscape)
    prove = proved.check_prove(prove)
    limits = check_limits(starts, max_starts, least=0)
    if only is None:
        number, _ = check_draws(landscape, draw or 0, 1, "draw")
        only = landscape.draw(seed=search.seed, draw=number)
    aim, workers = Target.of(search, only), Workers(search.threads)
    found = long_call("enumerate_critical_points", lambda: enumerate_draw(aim, limits, workers, prove=prove), progress)
    warn_if_incomplete(found.audit, only)
    return Enumeration(found.points, annotated(found.audit, only), only)


def check_enumerable(landscape: Landscape) -> None:
    """Raise ``InputError`` where the critical points may be infinitely many, or no Euler sum can audit them.

    In a box points may be counted, but never called complete: the sum of (-1)^index is not fixed there, so the search
    ends when every point has its hits and searches from the points give nothing new.
    """
    if landscape.euler_characteristic is None and not landscape.domain.bounded and not landscape.coercive:
        instead = "count by ball_critical_points, or search" if landscape.stationary else "search"
        raise InputError(
            f"{landscape.name} has no compact domain, so its critical points can't be enumerated: a list needs "
            f"{landscape.to_be_enumerated}; {instead} by find_critical_points"
        )


def descended_of(target: Target) -> Callable[[int, int], Outcome] | None:
    """Return the search from ordinary starts that descend first, (first, count) -> Outcome; None where none do.

    On a sphere of many dimensions minima and maxima are deep, narrow and hardly ever reached from uniform starts. So
    beside each plain start there is one that makes ``DESCENT`` gradient steps first, down and up in turn, from a start
    of its own. Such starts know nothing of the points found, so they are ordinary ones; but their hits measure other
    basins, so ``hits`` leaves them out. Measured, starts until the rarest orbit of a 3-spin draw has five hits on
    average: n = 12 250,000 by plain starts, 13,000 to 50,000 where all make 2, 4 or 8 steps, 11,000 by plain ones and 4
    steps in turn; n = 14 500,000, more than 50,000, 26,000. On the torus and for confined fields plain starts are best.
    """
    if not target.search.landscape.descends:
        return None

    def search(first: int, count: int) -> Outcome:
        x = target.starts(DESCENDED + first, count)
        down = np.arange(first, first + count) % 2 == 0
        return target.newton(flow(target, x, np.where(down, -1.0, 1.0), DESCENT))

    return search


def enumerate_draw(
    target: Target, limits: tuple[int, int], workers: Workers, *, prove: bool | str = "auto"
) -> Enumeration:
    """Prove one draw's list of points complete, or run the rounds; ``limits`` = (starts, max_starts)."""
    euler = target.search.landscape.euler_characteristic
    starts, most = limits
    tried = proved.wanted(target.draw, prove, starts)
    if target.search.landscape.coercive:
        return Enumeration(*enumerate_classes(target, starts, min(MOST_MOVES, most), workers))
    attempt: Proof | None = None
    followed = tried and proved.follows(target)
    if followed:
        found, attempt = proved.proved_points(target, workers)
        if found is not None and attempt is not None and proved.count_hits(target, found, starts, workers):
            every = np.ones(len(found), np.bool_)
            frame, certified = points_frame(target, found, every, polish=False)
            return Enumeration(frame, proved.audit(found, attempt, starts, certified, euler))
    limits = starts or FIRST_ROUND, most
    points = Points(target, workers)

    def everything() -> NDArray[np.bool_]:
        return np.ones(len(points), np.bool_)

    def euler_right() -> bool:
        return euler is not None and euler_sum(points.table.index) == euler

    def by_boxes() -> bool:
        nonlocal attempt
        attempt = proved.by_exclusion(target, points, workers)
        return attempt.proved

    rounds = Rounds(
        target,
        points,
        workers,
        target.ordinary,
        everything,
        everything,
        euler_right,
        decidable=euler is not None,
        descended=descended_of(target),
        settled=by_boxes if tried and not followed else None,
        walked=euler is not None and target.search.landscape.name == "custom",
    )
    rounds.run(*limits)
    if rounds.proved and attempt is not None and starts == 0:
        points.forget_hits()
        frame, certified = points_frame(target, points, everything())
        return Enumeration(frame, proved.audit(points, attempt, 0, certified, euler))
    frame, certified = points_frame(target, points, everything())
    audit = rounds.audit(certified) | {"euler_sum": euler_sum(points.table.index), "euler_expected": euler}
    audit |= {"proved": rounds.proved, "proof": None if attempt is None else attempt.mapping()}
    return Enumeration(frame, audit)
