"""One loop for every family of functions: the four operations that a family brings, chosen by the problem's type.

The loop of ``loop.py`` calls ``prepare``, ``evaluate``, ``system`` and ``advance``; Numba replaces each call, when it
compiles the loop for a problem, by the family's own function. So the loop exists once and costs no indirection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import overload

from simcore.arrays import plain
from simcore.compilation import INNER_FLAGS

_OPERATIONS: dict[tuple[type, str], Callable[..., Any]] = {}


@dataclass(frozen=True)
class Service:
    """What the compiled loops do for a type of problem; declared beside its operations, ``register`` or ``serve``.

    enter : problem -> the named tuple for which the loops are compiled; None where only ``run`` can call them.
    run : (problem, loop, *arguments), in place of ``loop(enter(problem), dimension, *arguments)``.
    evaluate : (problem, x) -> value, gradient, Hessian at points, in place of ``derivatives.fill``.
    marquardt : the compiled Levenberg-Marquardt search (``marquardt.search``), where the family gets it.
    in_lanes : problem -> whether a lane holds a start; else one start at a time is faster, and loops of many starts
        (Levenberg-Marquardt, the arc walk) leave the problem to others.
    chords : whether regularised Newton with chord steps serves it (``krylov``, ``regularised``).
    certifies, flows : whether ``gaps`` and ``flow`` of the backend do.
    """

    enter: Callable[[Any], Any] | None
    run: Callable[..., None] | None = None
    evaluate: Callable[[Any, Any], Any] | None = None
    marquardt: Callable[..., None] | None = None
    in_lanes: Callable[[Any], bool] = lambda problem: True
    chords: bool = False
    certifies: bool = True
    flows: bool = True


_SERVICES: dict[type, Service] = {}


def serve(problem: type, service: Service) -> None:
    """Say how problems of a type are served."""
    _SERVICES[problem] = service


def service_of(problem: Any) -> Service | None:
    """Return what was said of the problem's type; None where nothing was."""
    return _SERVICES.get(type(problem))


def plain_problem(problem: Any) -> Any:
    """Return the problem with writable, contiguous float64 arrays and plain numbers: one compiled signature a
    family.
    """
    values = []
    for value in problem:
        if isinstance(value, np.ndarray):
            value = plain(value)
        elif isinstance(value, (bool, int, np.integer)):
            value = int(value)
        else:
            value = float(value)
        values.append(value)
    return type(problem)(*values)


def register(
    problem: type,
    tile: type,
    *,
    prepare: Any,
    evaluate: Any,
    system: Any,
    advance: Any,
    claim: Any = None,
    reach: Any = None,
    chords: bool = False,
) -> None:
    """Register the compiled operations of a problem type and of its tile, both named tuples; all loops serve it.

    prepare(problem) -> (tables, tile): layout of the coefficients, and scratch that holds an evaluated tile, once a
    call. evaluate(tables, tile, X): value, gradient and packed Hessian of the tile's 24 starts, X of n rows of 24.
    system(tile, X, s, A, g) -> value: for lanes s .. s + 7 the packed tangent Hessian A and gradient g, D rows each.
    advance(tile, X, s, d, t): replace x by the point reached by the tangent step -t d.

    Two more where a family needs them. claim(tile, owner), before an evaluation: lanes with owner < 0 have no start, so
    their values are not asked for. reach(tile, X, s, furthest): change max |x_i| of eight lanes, which a search
    compares with its region.

    A tile has one array: a call copies its arguments and counts a reference for each array taken from a tuple, which at
    small n costs more than the arithmetic.
    """
    serve(problem, Service(plain_problem, chords=chords))
    _OPERATIONS[problem, "prepare"] = prepare
    operations = {"evaluate": evaluate, "system": system, "advance": advance, "claim": claim, "reach": reach}
    for name, operation in operations.items():
        _OPERATIONS[tile, name] = operation


def _operation(given: Any, name: str, otherwise: Any = None) -> Any:
    if not isinstance(given, types.BaseNamedTuple):
        return None
    chosen = _OPERATIONS.get((given.instance_class, name))
    return otherwise if chosen is None else chosen.py_func


def prepare(problem):
    """See ``register``."""
    raise NotImplementedError("called from compiled code alone")


def evaluate(tables, tile, X):
    """See ``register``."""
    raise NotImplementedError("called from compiled code alone")


def system(tile, X, s, A, g):
    """See ``register``."""
    raise NotImplementedError("called from compiled code alone")


def advance(tile, X, s, d, t):
    """See ``register``."""
    raise NotImplementedError("called from compiled code alone")


def claim(tile, owner):
    """See ``register``."""
    raise NotImplementedError("called from compiled code alone")


def reach(tile, X, s, furthest):
    """See ``register``."""
    raise NotImplementedError("called from compiled code alone")


@overload(prepare, jit_options=INNER_FLAGS)
def _choose_prepare(problem):
    return _operation(problem, "prepare")


@overload(evaluate, jit_options=INNER_FLAGS)
def _choose_evaluate(tables, tile, X):
    return _operation(tile, "evaluate")


@overload(system, jit_options=INNER_FLAGS)
def _choose_system(tile, X, s, A, g):
    return _operation(tile, "system")


@overload(advance, jit_options=INNER_FLAGS)
def _choose_advance(tile, X, s, d, t):
    return _operation(tile, "advance")


@overload(claim, jit_options=INNER_FLAGS)
def _choose_claim(tile, owner):
    return _operation(tile, "claim", lambda tile, owner: None)


@overload(reach, jit_options=INNER_FLAGS)
def _choose_reach(tile, X, s, furthest):
    return _operation(tile, "reach", lambda tile, X, s, furthest: None)
