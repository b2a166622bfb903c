"""The CPU backend: compiled tiles of 24 starts. One thread a call; callers run calls side by side (the GIL is
released).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.backends import reference
from simcore.backends.geometry import wrap
from simcore.backends.problems import NewtonOptions, Outcome

Array = NDArray[np.float64]


def evaluate(problem: Any, x: Array) -> tuple[Array, Array, Array]:
    """Return value (S,), gradient (S, n) and Hessian (S, n, n) at x of shape (S, n), as ``reference.evaluate``."""
    from simcore.backends.cpu import spin, waves  # noqa: F401  (they register their kernels)
    from simcore.backends.cpu.derivatives import fill
    from simcore.backends.cpu.dispatch import families

    x = np.ascontiguousarray(x, dtype=np.float64)
    if type(problem) not in families():
        return reference.evaluate(problem, x)
    rows, n = x.shape
    result = np.empty(rows), np.empty((rows, n)), np.empty((rows, n, n))
    fill(_plain(problem), problem.dimension, x, *result)
    return result


def newton(problem: Any, starts: Array, options: NewtonOptions, counters: NDArray[np.int64] | None = None) -> Outcome:
    """Run capped Newton from each start, shape (S, n).

    ``counters``, int64 of shape (3,), is added to: lane evaluations, those of running starts, steps made again by
    pivoted elimination. A problem that has no compiled kernel is searched by the reference backend.
    """
    from simcore.backends.cpu import spin, waves  # noqa: F401  (they register their kernels)
    from simcore.backends.cpu.dispatch import families
    from simcore.backends.cpu.loop import search

    if type(problem) not in families():
        return reference.newton(problem, starts, options)
    starts = wrap(np.ascontiguousarray(starts, dtype=np.float64), getattr(problem, "period", 0.0))
    outcome = Outcome.empty(*starts.shape)
    if len(starts) == 0:
        return outcome
    limits = tuple(int(v) if name == "max_iterations" else float(v) for name, v in options._asdict().items())
    if counters is None:
        counters = np.zeros(3, np.int64)
    search(_plain(problem), problem.dimension, starts, limits, *outcome, counters)
    return outcome._replace(x=wrap(outcome.x, getattr(problem, "period", 0.0)))


def _plain(problem: Any) -> Any:
    """Return the problem with writable, contiguous float64 arrays and plain numbers: one compiled signature a
    family.
    """
    values = []
    for value in problem:
        if isinstance(value, np.ndarray):
            value = np.require(value, dtype=np.float64, requirements=["C", "W"])
        elif isinstance(value, (bool, int, np.integer)):
            value = int(value)
        else:
            value = float(value)
        values.append(value)
    return type(problem)(*values)
