"""What is searched: one draw, with its backend, limits and starts, and the threads that share the work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from simcore import forks
from simcore.backends.problems import NewtonOptions, Outcome
from simcore.domains import Domain
from simcore.formulas.outcome import CRITICAL, DEGENERATE, MAX_ITERATIONS
from simcore.landscapes.base import Draw
from simcore.progress import share
from simcore.search.search import Search
from simcore.search.solvers import TILE

Array = NDArray[np.float64]
Item = TypeVar("Item")
Result = TypeVar("Result")

DOUBT = 1e-8
"""Newton decrement, in correlation lengths, of an accepted end beyond which it is judged again. Measured: no start in
3,000 on torus n = 4, 3-spin n = 8 and 12 and waves n = 5 and 20, one in 3,000 on waves n = 50."""
forks.guard()


@dataclass(frozen=True)
class Target:
    """One draw to search."""

    search: Search
    draw: Draw
    problem: Any
    scale: float = 1.0

    @classmethod
    def of(cls, search: Search, draw: Draw) -> Target:
        """Return the draw with how it is searched.

        A draw may state the ``scale`` of its function relative to the landscape's law: gradients and costs are then
        judged relative to it, so that a user's units don't matter.
        """
        scale = float(draw.scale)
        if scale != 1.0:
            given = search.options
            small, floor = given.gradient_tolerance * scale, given.zero_floor * scale
            search = replace(search, options=given._replace(gradient_tolerance=small, zero_floor=floor))
        return cls(search, draw, draw.problem, scale)

    @classmethod
    def numbered(cls, search: Search, number: int) -> Target:
        """Return draw ``number`` of the search's landscape and seed."""
        return cls.of(search, search.landscape.draw(seed=search.seed, draw=number))

    @property
    def cost_unit(self) -> float:
        """Size of a typical difference of costs, gradient scale times correlation length."""
        scales = self.search.landscape.scales
        return self.scale * scales.gradient * scales.length

    def newton(self, x: Array) -> Outcome:
        """Search from points x of shape (S, n), by the backend's loop for the solver, else by the dense search.

        The dense search also serves functions with continuous symmetries, where nullity is judged by the orbit.
        """
        x, chosen = np.ascontiguousarray(x), self.search
        found = chosen.solver.compiled(chosen.backend, self.draw, self.problem, x, chosen.options)
        return self._dense(x, chosen.options) if found is None else self._examined(found)

    def _dense(self, x: Array, options: NewtonOptions) -> Outcome:
        from simcore.search import dense

        walk = self.search.backend.levenberg_marquardt
        return dense.search(self.draw, x, self.search.solver, self.evaluate, options, walk)

    def _examined(self, outcome: Outcome) -> Outcome:
        """Judge again, by all eigenvalues, the ends that a Newton loop leaves in doubt.

        Newton's steps shrink quadratically towards a nondegenerate point, so an accepted one lies far closer than its
        decrement's limit. Where the Hessian itself vanishes with the distance, as at a monkey saddle or a minimum of
        x^4, steps shrink by a constant factor and end just below the limit, and no relative threshold on eigenvalues
        at that place sees that they are null at the point. A gradient that is below tolerance in front of a long step
        tells of null modes as well.
        """
        limits = self.search.options
        far = outcome.decrement > DOUBT * self.search.landscape.scales.length
        small = outcome.grad_norm < limits.gradient_tolerance
        doubtful = (outcome.status == CRITICAL) & far | (outcome.status == MAX_ITERATIONS) & small
        rows = np.flatnonzero(doubtful | (outcome.status == DEGENERATE))
        if len(rows) == 0:
            return outcome
        again = self._dense(outcome.x[rows], limits._replace(max_iterations=0))
        sure = (again.status == CRITICAL) | (again.status == DEGENERATE)
        for name in ("status", "cost", "grad_norm", "decrement", "index", "nullity", "x"):
            getattr(outcome, name)[rows[sure]] = getattr(again, name)[sure]  # type: ignore[index]
        return outcome

    def evaluate(self, x: Array) -> tuple[Array, Array, Array]:
        """Return value, gradient and Hessian at x of shape (S, n)."""
        return self.search.backend.evaluate(self.problem, np.ascontiguousarray(x))

    def canonical(self, x: Array) -> Array:
        """Return one representative of each point's symmetry orbit, (S, n), where the draw merges symmetric copies."""
        return self.draw.canonical(x) if len(x) else x

    @property
    def domain(self) -> Domain:
        """Where the points live."""
        return self.search.landscape.domain

    def starts(self, first: int, count: int) -> Array:
        """Return starts ``first .. first + count - 1``, shape (count, n)."""
        chosen, number = self.search, self.draw.number
        return chosen.landscape.starts(seed=chosen.seed, draw=number, first=first, count=count, law=chosen.law)

    def ordinary(self, first: int, count: int) -> Outcome:
        """Search from ordinary starts ``first .. first + count - 1``."""
        return self.newton(self.starts(first, count))


class Workers:
    """Threads that share items of work; with one thread everything runs where it is called."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to end: threads live as long as one ``map``."""

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return function(item) in the order of the items; the first error is raised."""
        return share(function, items, self.threads)

    def outcomes(self, search: Callable[[slice], Outcome], count: int, least: int = 4 * TILE) -> Outcome:
        """Search rows 0 .. count - 1 in blocks of at least ``least``, some a thread; return them joined in order."""
        if self.threads == 1 or count <= max(2 * TILE, least // 2):
            return search(slice(0, count))
        return joined(self.map(search, blocks(count, 4 * self.threads, least)))


def blocks(count: int, pieces: int, least: int) -> list[slice]:
    """Cut 0 .. count - 1 into at most ``pieces`` slices of whole tiles, none (but the last) shorter than ``least``."""
    size = max(least, -(-count // pieces))
    size = -(-size // TILE) * TILE
    return [slice(begin, min(begin + size, count)) for begin in range(0, count, size)]


def joined(parts: Sequence[Outcome]) -> Outcome:
    """Return outcomes one after the other."""
    if len(parts) == 1:
        return parts[0]
    return Outcome(*(np.concatenate(column) for column in zip(*parts, strict=True)))
