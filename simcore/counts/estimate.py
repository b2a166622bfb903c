"""``estimate_counts``: how many critical points of each index one function has, beyond enumeration."""

from __future__ import annotations

import math
from typing import Any

from simcore.backends.network_problems import Linear, Mlp
from simcore.counts.result import Counts
from simcore.errors import InputError, unknown_name
from simcore.landscapes.base import Draw, Landscape
from simcore.progress import current, long_call
from simcore.search.search import Search, check_draws, split_target
from simcore.search.target import Target, Workers
from simcore.validate import positive, whole

METHODS = ("walk", "paths")
MAX_MOVES = 20_000_000
"""Moves of all walkers together, or paths, after which a count ends with what it has."""
PATIENCE = 4.0
"""An untrusted count ends when its error is so many times below the target."""
TARGET_ERROR = 0.1
"""Standard error of ln(saddles/minima) at which a count ends unless one is given."""


def estimate_counts(
    target: Landscape | Draw,
    *,
    draw: int | None = None,
    seed: int | None = None,
    method: str = "walk",
    target_error: float | None = None,
    moves: int | None = None,
    max_moves: int = MAX_MOVES,
    walkers: int = 16,
    threads: int | None = None,
    progress: bool = False,
) -> Counts:
    """Estimate the number of critical points of each index of one function, with errors and diagnostics.

    Parameters
    ----------
    target : Landscape or Draw
        The family, or one function of it (then give no ``draw``).
    draw, seed : int
        Which function; with the other arguments but ``threads`` they determine the result bit for bit. Default 0, or
        the seed of the draw given.
    method : "walk" or "paths"
        The arc walk, a reversible Markov chain on the critical points, for every landscape with smooth derivatives; or
        a uniform sample of the complex critical points of a 3-spin function, n <= 40 (``simcore.proof.paths``).
    target_error : float
        Standard error of ln(saddles/minima) at which to end, if the diagnostics hold then; default 0.1 unless ``moves``
        is given. For paths: relative standard error of the total; without it and without ``moves``, 20,000 paths.
    moves : int
        Moves of all walkers together (or paths), in place of a target.
    max_moves : int
        Where to end when the target is out of reach: the result has what was reached, and may be untrusted.
    walkers : int
        Independent walkers, at least 2; errors are between them. Fewer than 16 are never trusted. Not used by paths.
    threads, progress
        As for ``find_critical_points``.

    Returns
    -------
    Counts
        ``.counts`` (DataFrame, a row an index), ``.total``, ``.total_se``, ``.minima``, ``.diagnostics``; see
        ``simcore.Counts``. On ``GaussianField`` the walk gives the shares by index per unit volume: every unit is a
        draw of its own, numbers ``draw`` .. ``draw + walkers - 1``, and absolute counts are not numbers.

    Raises
    ------
    InputError
        For an argument out of range, or a function whose critical points are not isolated (continuous symmetries).

    Source
    ------
    ``docs/counts.md``: the walk, what is assumed of it, and what was measured. That the walk reaches every critical
    point is assumed, not proved; the diagnostics look for signs that it does not.
    """
    if method not in METHODS:
        raise unknown_name("method of estimate_counts", method, METHODS)
    landscape, only, seed = split_target(target, seed, draw=draw)
    chosen = Search.of(landscape, seed=seed, threads=threads)
    limits = Limits.of(target_error, moves, max_moves)
    walkers = whole("walkers", walkers, 2, 4096)
    number, _ = (0, 1) if only is not None else check_draws(landscape, draw or 0, 1, "draw")
    if method == "paths":
        function = only if only is not None else landscape.draw(seed=chosen.seed, draw=number)

        def work() -> Counts:
            from simcore.proof.paths import count_by_paths

            error, most, seed = target_error, max_moves, chosen.seed
            found = count_by_paths(
                function, seed=seed, target_error=error, paths=moves, max_paths=most, threads=chosen.threads
            )
            return Counts(*found)
    else:
        check_walkable(landscape, only)

        def work() -> Counts:
            return count_by_walk(landscape, only, number, chosen, limits, walkers, Workers(chosen.threads))

    return long_call("estimate_counts", work, progress)


class Limits:
    """When a walk ends: at an error, or after a number of moves of all walkers."""

    def __init__(self, error: float, fixed: int | None, most: int) -> None:
        self.error, self.fixed, self.most = error, fixed, most

    @classmethod
    def of(cls, target_error: Any, moves: Any, max_moves: Any) -> Limits:
        """Return the limits after checking them."""
        if target_error is not None and moves is not None:
            raise InputError("target_error and moves were both given; give the one that is to end the count")
        error = TARGET_ERROR if target_error is None else positive("target_error", target_error)
        most = whole("max_moves", max_moves, 1)
        return cls(error, None if moves is None else whole("moves", moves, 1), most)


def check_walkable(landscape: Landscape, only: Draw | None) -> None:
    """Raise ``InputError`` where critical points are not isolated, so that no chain of single points exists."""
    draw = only if only is not None else landscape.draw(seed=0, draw=0)
    problem = draw.problem
    if isinstance(problem, Mlp) and problem.activation == "relu":
        raise InputError("mlp with activation 'relu' has no second derivatives at its kinks; give a smooth activation")
    continuous = isinstance(problem, Mlp) and (problem.l2 == 0.0 or problem.activation == "linear")
    if continuous or isinstance(problem, Linear):
        raise InputError(
            f"{landscape.name} without l2, or with linear units, has critical points that are not isolated, which no "
            "walk can count; give l2 above 0, or search by find_critical_points"
        )


def count_by_walk(
    landscape: Landscape, only: Draw | None, number: int, chosen: Any, limits: Limits, walkers: int, pool: Workers
) -> Counts:
    """Run the walk of one draw (in R^n of one draw a unit) until ``limits`` end it."""
    from simcore.counts.walks import GROWTH, Walk

    free = not landscape.domain.compact and landscape.name == "gaussian_field"
    if free and only is None:
        draws = [landscape.draw(seed=chosen.seed, draw=number + unit) for unit in range(walkers)]
    else:
        draws = [only if only is not None else landscape.draw(seed=chosen.seed, draw=number)]
    if free and only is not None:
        raise InputError(
            "one draw of gaussian_field was given; in R^n the walk needs a draw a unit, so give the landscape"
        )
    walk = Walk([Target.of(chosen, draw) for draw in draws], walkers, pool.threads, pool)
    rows = len(walk.record.units)
    most = max(1, (limits.most if limits.fixed is None else min(limits.fixed, limits.most)) // rows)
    wanted = most if limits.fixed is not None else min(most, walk.first_look())
    meter = current()
    while True:
        meter.plan(wanted * rows, "moves")
        walk.advance(wanted - walk.record.moves)
        estimate, found = walk.look()
        if walk.record.moves >= most:
            break
        error = estimate.log_ratio_se if math.isfinite(estimate.log_ratio) else estimate.log_total_se
        if found["trusted"] and (error <= limits.error or walk.alone()):
            break
        meter.say(f"standard error {error:.2g}, {limits.error:.2g} wanted")
        if error <= limits.error / PATIENCE:
            break  # what the diagnostics miss does not come with more moves
        ratio = 1.1 * (error / limits.error) ** 2 if math.isfinite(error) else GROWTH[1]
        if error <= limits.error:
            ratio = 1.5
        wanted = min(most, math.ceil(walk.record.moves * min(max(ratio, GROWTH[0]), GROWTH[1])))
    found["target_error"] = None if limits.fixed is not None else limits.error
    return walk.result(estimate, found)
