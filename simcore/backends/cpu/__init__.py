"""The CPU backend: compiled tiles of 24 starts. One thread a call; callers run calls side by side (the GIL is
released).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends import families, reference
from simcore.backends.families import Without
from simcore.backends.problems import DESCENT_FROM, SINGLE_FROM, NewtonOptions, Outcome

Array = NDArray[np.float64]

NAME = "cpu"
BLOCK = 96
"""Starts that a thread takes at once at least: four tiles."""


def require() -> None:
    """Raise nothing: this backend computes wherever simcore is installed."""


def status() -> dict[str, Any]:
    """Return ``{"available": True}``."""
    return {"available": True}


def evaluate(problem: Any, x: Array) -> tuple[Array, Array, Array]:
    """Return value (S,), gradient (S, n) and Hessian (S, n, n) at x of shape (S, n), as ``reference.evaluate``."""
    from simcore.backends.cpu.derivatives import fill

    x, service = np.ascontiguousarray(x, dtype=np.float64), _service(problem)
    if service is None:
        return reference.evaluate(problem, x)
    if service.evaluate is not None:
        return service.evaluate(problem, x)
    rows, n = x.shape
    none = np.empty(0)
    result = np.empty(rows), np.empty((rows, n)), np.empty((rows, n, n))
    _run(problem, fill, x, *result, none, none, np.empty(0, np.int64), none)
    return result


def gaps(problem: Any, x: Array) -> tuple[Array, Array, Array, NDArray[np.int64], Array] | None:
    """Return value, |gradient|, |Hessian|_F, index and a lower bound on the smallest |eigenvalue| at x of shape (S, n).

    All of shape (S,); see ``derivatives.fill``. None for a problem that has no compiled kernel.
    """
    from simcore.backends.cpu.derivatives import fill

    service = _service(problem)
    if service is None or not service.certifies:
        return None
    x = np.ascontiguousarray(x, dtype=np.float64)
    rows = len(x)
    value, slope, norm, negative, gap = (np.empty(rows, kind) for kind in (float, float, float, np.int64, float))
    unasked = np.empty((0, 0)), np.empty((0, 0, 0))
    _run(problem, fill, x, value, *unasked, slope, norm, negative, gap)
    return value, slope, norm, negative, gap


def flow(problem: Any, x: Array, way: Array, steps: int, longest: float) -> Array | None:
    """Return where gradient steps lead from x of shape (S, n), down (way -1) or up (way 1, shape (S,)), no step being
    longer than ``longest``.

    See ``descent.follow``. None for a problem that has no compiled kernel.
    """
    from simcore.backends.cpu.descent import follow

    service = _service(problem)
    if service is None or not service.flows:
        return None
    x = np.array(x, dtype=np.float64, order="C")
    if len(x) > 0:
        _run(problem, follow, x, np.ascontiguousarray(way, np.float64), int(steps), float(longest))
    return x


def newton(problem: Any, starts: Array, options: NewtonOptions, counters: NDArray[np.int64] | None = None) -> Outcome:
    """Run capped Newton from each start, shape (S, n).

    ``counters``, int64 of shape (3,), is added to: lane evaluations, those of running starts, steps made again by
    pivoted elimination. A problem that has no compiled kernel is searched by the reference backend.
    """
    from simcore.backends.cpu.loop import search

    if _service(problem) is None:
        return reference.newton(problem, starts, options)
    starts, limits, outcome = _laid_out(problem, starts, options)
    if len(starts) > 0:
        counters = np.zeros(3, np.int64) if counters is None else counters
        _run(problem, search, starts, limits, *outcome, counters)
    return outcome._replace(x=problem.domain.wrap(outcome.x))


def levenberg_marquardt(problem: Any, starts: Array, options: NewtonOptions, rule: tuple[float, ...]) -> Outcome | None:
    """Search by Levenberg-Marquardt or saddle-free Newton from each start, shape (S, n); see ``marquardt.search`` for
    ``rule``.

    Statuses ``marquardt.UNDECIDED`` are for the caller to judge. None for a problem that has no such kernel, and for
    networks of so many parameters that one start at a time is faster.
    """
    service = _service(problem)
    if service is None or service.marquardt is None or not service.in_lanes(problem):
        return None
    starts, limits, outcome = _laid_out(problem, starts, options)
    if len(starts) > 0:
        service.marquardt(in_lanes(problem), starts, limits, tuple(float(number) for number in rule), *outcome)
    return outcome


def regularised_newton(
    problem: Any, starts: Array, options: NewtonOptions, length: float, counters: NDArray[np.int64] | None = None
) -> Outcome | None:
    """Run regularised Newton with chord steps from each start, shape (S, n); ``length`` is the correlation length.

    ``counters``, int64 of shape (3,), is added to: lane Hessians, those of running starts, gradients beside them.
    From ``DESCENT_FROM`` variables on the search begins with ``krylov.descend``, from ``SINGLE_FROM`` on its Hessians
    are summed in single precision first: what is recorded is judged in double precision. None for problems that it does
    not serve, those that are no sums of waves.
    """
    service = _service(problem)
    if service is None or not service.chords:
        return None
    from simcore.backends.cpu.krylov import descend
    from simcore.backends.cpu.regularised import search

    starts, limits, outcome = _laid_out(problem, starts, options)
    if len(starts) > 0:
        counters = np.zeros(3, np.int64) if counters is None else counters
        n, given, points = starts.shape[1], in_lanes(problem), outcome.x
        points[:] = starts
        outcome.iterations[:] = 0
        # Each part keeps its own tiles full, and leaves its points where the next part finds its starts.
        if n >= DESCENT_FROM:
            descend(given, points, float(options.step_cap), float(options.region), points, counters)
        for early in (True, False) if n >= SINGLE_FROM else (False,):
            search(given, points, float(length), limits, early, *outcome, counters)
    return outcome._replace(x=problem.domain.wrap(outcome.x))


def in_lanes(problem: Any) -> Any | None:
    """Return the problem as compiled loops with a start in each lane take it; None where they do not serve it."""
    service = _service(problem)
    return service.enter(problem) if service is not None and service.enter and service.in_lanes(problem) else None


def _service(problem: Any) -> Any:
    """Return how the loops serve this problem (``dispatch.Service``), after importing its family's operations; None
    where they do not."""
    from simcore.backends.cpu.dispatch import service_of

    found = service_of(problem)
    if found is None and not isinstance(module := families.of(problem).cpu, Without):
        import_module(module)
        found = service_of(problem)
    return found


def _run(problem: Any, loop: Any, *arguments: Any) -> None:
    """Call a compiled loop on a problem: ``loop(problem, dimension, *arguments)``."""
    service = _service(problem)
    if service.run is not None:
        service.run(problem, loop, *arguments)
    else:
        _loop(problem, loop)(service.enter(problem), problem.dimension, *arguments)


def _loop(problem: Any, loop: Any) -> Any:
    """Return a compiled loop; for a family from outside simcore the one whose cache knows that family's sources."""
    if type(problem).__module__.partition(".")[0] == "simcore":
        return loop
    from simcore.compilation import stamped

    homes = {type(problem).__module__, str(families.of(problem).cpu)}
    return stamped(loop, tuple(str(import_module(home).__file__) for home in sorted(homes)))


def _laid_out(problem: Any, starts: Array, options: NewtonOptions) -> tuple[Array, tuple[Any, ...], Outcome]:
    """Return starts, limits and empty outcome as the compiled loops take them."""
    starts = problem.domain.wrap(np.ascontiguousarray(starts, dtype=np.float64))
    limits = tuple(int(v) if name == "max_iterations" else float(v) for name, v in options._asdict().items())
    return starts, limits, Outcome.empty(*starts.shape)
