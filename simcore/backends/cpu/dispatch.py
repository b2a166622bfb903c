"""One loop for every family of functions: the four operations that a family brings, chosen by the problem's type.

The loop of ``loop.py`` calls ``prepare``, ``evaluate``, ``system`` and ``advance``; Numba replaces each call, when it
compiles the loop for a problem, by the family's own function. So the loop exists once and costs no indirection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import types
from numba.extending import overload

_FAMILIES: dict[type, dict[str, Callable[..., Any]]] = {}


def register(problem: type, *, prepare: Any, evaluate: Any, system: Any, advance: Any) -> None:
    """Register the compiled operations of a problem type (a named tuple).

    prepare(problem) -> work: tables and scratch, once a call.
    evaluate(problem, work, X): value, gradient and packed Hessian of the tile's 24 starts, X of n rows of 24.
    system(problem, work, X, s, A, g) -> value: for lanes s .. s + 7 the packed tangent Hessian A and gradient g, D
    rows each. advance(problem, work, X, s, d, t): replace x by the point reached by the tangent step -t d.
    """
    _FAMILIES[problem] = {"prepare": prepare, "evaluate": evaluate, "system": system, "advance": advance}


def families() -> list[type]:
    """Return the registered problem types."""
    return list(_FAMILIES)


def _operation(problem: Any, name: str) -> Any:
    kind = getattr(problem, "instance_class", None) if isinstance(problem, types.BaseNamedTuple) else None
    return _FAMILIES[kind][name] if kind in _FAMILIES else None


def prepare(problem):
    """See ``register``."""
    raise NotImplementedError("called from compiled code alone")


def evaluate(problem, work, X):
    """See ``register``."""
    raise NotImplementedError("called from compiled code alone")


def system(problem, work, X, s, A, g):
    """See ``register``."""
    raise NotImplementedError("called from compiled code alone")


def advance(problem, work, X, s, d, t):
    """See ``register``."""
    raise NotImplementedError("called from compiled code alone")


@overload(prepare)
def _choose_prepare(problem):
    chosen = _operation(problem, "prepare")
    return None if chosen is None else lambda problem: chosen(problem)


@overload(evaluate)
def _choose_evaluate(problem, work, X):
    chosen = _operation(problem, "evaluate")
    return None if chosen is None else lambda problem, work, X: chosen(problem, work, X)


@overload(system)
def _choose_system(problem, work, X, s, A, g):
    chosen = _operation(problem, "system")
    return None if chosen is None else lambda problem, work, X, s, A, g: chosen(problem, work, X, s, A, g)


@overload(advance)
def _choose_advance(problem, work, X, s, d, t):
    chosen = _operation(problem, "advance")
    return None if chosen is None else lambda problem, work, X, s, d, t: chosen(problem, work, X, s, d, t)
