"""What a family of functions is: one record that holds all that the rest of simcore asks about it.

A family is a named tuple of coefficients, its *problem*, and what is known of every function of that form. A new family
gives one ``Family``; a field that it leaves out is an error when its module is imported, and what it does not have it
says with a reason, ``Without("...")``: nothing becomes slow, or unproved, in silence. ``docs/adding.md`` builds one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from simcore.errors import InputError

Array = NDArray[np.float64]
Evaluation = tuple[Array, Array, Array]

UNIT = 2.0**-53
"""Unit of rounding."""


@dataclass(frozen=True)
class Without:
    """Says that a family lacks a part, and why; what then happens stands at the part's place in ``Family``."""

    reason: str


class Local(Protocol):
    """A function at S points: ``value`` (S,), ``gradient`` (S, n), and ``times(v)`` = H v for v of shape (S, n)."""

    value: Array
    gradient: Array

    def times(self, v: Array) -> Array: ...


class Derivatives(NamedTuple):
    """What a certificate needs to know at K points: f, |gradient|, |Hessian|_F, its number of negative eigenvalues, and
    a lower bound on the smallest |eigenvalue|; arrays of shape (K,)."""

    value: Array
    slope: Array
    size: Array
    negative: NDArray[Any]
    gap: Array


@dataclass(frozen=True)
class Terms:
    """The quantities of ``simcore.search.certify``'s theorem at K points, rounding included.

    residual, sigma : (K,), an upper bound on |F| and a lower one on the smallest |eigenvalue| of DF.
    lipschitz : (K,) or a number, a bound on |D^3 f| within ``reach``.
    shrink : by how much a ball in (x, nu) shrinks to one in x.
    """

    residual: Array
    sigma: Array
    lipschitz: Array | float
    reach: float
    shrink: float


Bound = Callable[[Array, Derivatives], Terms]


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family of functions; every field is to be given.

    problem : the named tuple of its coefficients, with properties ``domain`` and ``dimension``.
    evaluate : (problem, x) -> value (S,), gradient (S, n), Hessian (S, n, n) at x of shape (S, n), Riemannian: the slow
        twin, written from the definition.
    products : (problem, x, at_once) -> ``Local`` with exact Hessian-vector products, ``at_once`` saying that that with
        the gradient will be asked for; or None where the Hessian is cheaper. Without them trajectories form Hessians.
        This one and the next may be named, "module:function", where compiled code has them.
    sample_gradient : (problem, x, chosen) -> the gradient (S, n) of the cost that each start has on its own samples,
        numbers ``chosen`` (S, batch) of the rows of ``problem.inputs``; its mean over batches is the gradient. Without
        it there is no stochastic gradient descent.
    bounds : problem -> ``Bound``, or None for a problem without one. Without it no point is certified.
    flops : problem -> useful flops of one Newton iteration of one start, None where no formula is defined. Without them
        ``simcore bench`` reports times alone.
    cpu : the module that registers the compiled operations (``simcore.backends.cpu.dispatch``), imported when a
        function of the family is first searched. Without it the backend ``cpu`` evaluates the slow twin.
    cuda : the module of device functions: ``upload``, ``space``, ``best_edge``, ``routines``
        (``simcore.backends.cuda.loop``). Without it the backend ``cuda`` refuses the family.
    pool : the module of the pooled route (``simcore.backends.cuda.pool_search``). Without it the fused kernel serves.
    """

    problem: type
    evaluate: Callable[[Any, Array], Evaluation]
    products: Callable[[Any, Array, bool], Local | None] | str | Without
    sample_gradient: Callable[[Any, Array, NDArray[np.int64]], Array] | str | Without
    bounds: Callable[[Any], Bound | None] | Without
    flops: Callable[[Any], float | None] | Without
    cpu: str | Without
    cuda: str | Without
    pool: str | Without

    def __post_init__(self) -> None:
        named = isinstance(self.problem, type) and issubclass(self.problem, tuple)
        for name in ("domain", "dimension"):
            if not named or (not isinstance(vars(self.problem).get(name), property) and name not in self._entries):
                raise InputError(
                    f"problem {self.problem!r} has no {name}; give a NamedTuple with properties domain and dimension"
                )
        for field in fields(self)[1:]:
            given = vars(self)[field.name]
            module = field.name in ("cpu", "cuda", "pool")
            named = field.name in ("products", "sample_gradient") and isinstance(given, str) and ":" in given
            if not isinstance(given, Without) and not (isinstance(given, str) if module else callable(given) or named):
                wanted = "the name of a module" if module else "a function"
                raise InputError(f"{field.name} of {self.problem.__name__} is {given!r}; give {wanted} or Without(why)")

    def local(self, problem: Any, x: Array, at_once: bool = False) -> Local | None:
        """Return ``products`` at x; None where there are none, or the Hessian is cheaper."""
        found: Local | None = None
        if not isinstance(self.products, Without):
            found = _function(self.products)(problem, x, at_once)
        return found

    def gradient_on_samples(self, problem: Any, x: Array, chosen: NDArray[np.int64]) -> Array:
        """Return ``sample_gradient``; ``InputError`` for a family without samples."""
        if isinstance(self.sample_gradient, Without):
            raise InputError(f"{self.problem.__name__} has no samples: {self.sample_gradient.reason}")
        gradient: Array = _function(self.sample_gradient)(problem, x, chosen)
        return gradient

    @property
    def _entries(self) -> tuple[str, ...]:
        return tuple(vars(self.problem).get("_fields", ()))


def _function(given: Callable[..., Any] | str) -> Callable[..., Any]:
    """Return a function, imported where only its place is given."""
    if not isinstance(given, str):
        return given
    module, name = given.split(":")
    function: Callable[..., Any] = vars(import_module(module))[name]
    return function


_FAMILIES: dict[type, Family] = {}


def add(family: Family) -> Family:
    """Make a family known to all backends, searches, trajectories and benchmarks; return it."""
    _FAMILIES[family.problem] = family
    return family


def of(problem: Any) -> Family:
    """Return the family of a problem; ``InputError`` where none was added for its type."""
    found = _FAMILIES.get(type(problem))
    if found is None:
        raise InputError(
            f"{type(problem).__name__} is no problem that simcore knows; add its Family (docs/adding.md) with "
            "simcore.backends.family.add"
        )
    return found


def known() -> list[Family]:
    """Return all families, in the order in which they were added."""
    return list(_FAMILIES.values())
