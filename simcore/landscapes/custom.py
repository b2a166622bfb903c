"""A landscape of the user's own: three functions, a domain, and perhaps random coefficients."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from simcore import validate
from simcore.backends.problems import BATCH, Custom
from simcore.domains import Box, Domain, Space, Sphere, Torus
from simcore.errors import InputError
from simcore.landscapes import starts
from simcore.landscapes.base import Array, Draw, Landscape, Scales
from simcore.landscapes.checks import check_functions
from simcore.landscapes.drawn import Arrays, addressed, drawn_arrays, trial_arrays

_PROBES = 64


@dataclass(frozen=True, init=False)
class CustomLandscape(Landscape):
    """Functions of the user's own: one, or a family of them with random coefficients.

    Parameters
    ----------
    value, gradient, hessian : callables of one point x, float64 of shape (n,), and of the draw's coefficients
        ``value(x, *arrays)`` returns a float, ``gradient`` shape (n,), ``hessian`` shape (n, n): *Euclidean*
        derivatives. On ``Sphere(n)`` (|x|^2 = n) they are those of any smooth extension, and become Riemannian: P g
        and P (H - (g.x/n) I) P with P = I - x x'/n.
    domain : Box, Torus, Sphere or Space
        ``Box(low, high)`` sides; ``Torus(n)`` period 2 pi in each coordinate, which the functions must have;
        ``Sphere(n)``; ``Space(n)`` all of R^n.
    n : int
        Number of coordinates, the same as the domain's.
    coefficients : callable of a ``numpy.random.Generator``, optional
        Returns the arrays of one draw, a tuple, always as many and of the same kinds. Draw (seed, draw) calls it with
        a generator that is addressed by them (Philox 4x64, key seed, counter from (0, 0, draw, stream)), so that any
        draw is made again alone. Floating-point arrays become float64, whole numbers int64. Without it there is one
        draw, since nothing is random.
    length : float, optional
        Distance over which the gradient changes by its own size, which limits and default starts are relative to.
        Default: measured at 64 starting points (of eight draws of a family), root mean square |g| sqrt(n) / |H|_F.
    gradient_scale : float, optional
        Size of a typical gradient, which ``tolerance`` is relative to. Default: the root mean square at the same
        points.
    batch : callable, optional
        ``batch(x, *arrays)`` returns value (24,), gradient (24, n) and Hessian (24, n, n) at x of shape (24, n), row i
        from row i alone; called instead of the three functions. Where they share work, one njit batch saves it.

    Notes
    -----
    The search is the compiled one of every family. Functions compiled by Numba (``numba.njit``: all three, or
    ``batch``) run inside it, compiled once for all draws; others are called from it: ``batch``, which
    ``simcore.from_jax`` and ``simcore.from_torch`` make, once for 24 points, plain Python point by point. A draw can be
    pickled where its functions can, and where the landscape was made by the factory of a registered name.

    Start laws: "uniform" on a box, torus or sphere; "normal", standard deviation 1 round the origin, on ``Space``.

    Search: ``method = "auto"`` is Newton's method; step cap none for dimension D <= 2, else 3.2/sqrt(D) lengths (the
    rule measured on random fields). Region: in a box, the box: beyond a side a start has left the domain; in R^n,
    max |x_i| <= 10^6.

    The functions are tried at construction, at four fixed random points (some twenty evaluations each): gradient
    against differences of the value and Hessian against those of the gradient (relative error at most 1e-6), symmetry
    of the Hessian, period on a torus, finite float64 of the right shape; coefficients that depend on the generator
    alone and that no function writes into; rows of a batch that do not depend on each other.

    Raises ``InputError`` when a callable is none, the domain has another n, or a function fails one of these; the line
    says which, where, and by what relative error.
    """

    name: ClassVar[str] = "custom"
    law: ClassVar[str] = "functions of the user's own"
    parameters: ClassVar[tuple[str, ...]] = ("n",)
    arguments: ClassVar[dict[str, str]] = {"where": "domain", "draw_coefficients": "coefficients"}

    value: Callable[..., Any]
    gradient: Callable[..., Any]
    hessian: Callable[..., Any]
    where: Domain | Box
    n: int
    draw_coefficients: Callable[[np.random.Generator], Any] | None
    length: float | None
    gradient_scale: float | None
    batch: Callable[..., Any] | None

    # written out, because the arguments "domain" and "coefficients" are properties of every landscape, and so no fields
    def __init__(
        self,
        value: Callable[..., Any],
        gradient: Callable[..., Any],
        hessian: Callable[..., Any],
        domain: Domain,
        n: int,
        coefficients: Callable[[np.random.Generator], Any] | None = None,
        *,
        length: float | None = None,
        gradient_scale: float | None = None,
        batch: Callable[..., Any] | None = None,
    ) -> None:
        for what, function in (("value", value), ("gradient", gradient), ("hessian", hessian)):
            if not callable(function):
                raise InputError(f"{what} is {function!r}; give a function of one point x of shape (n,)")
        if coefficients is not None and not callable(coefficients):
            raise InputError(
                f"coefficients is {coefficients!r}; give a function of a numpy.random.Generator that returns arrays"
            )
        if batch is not None and not callable(batch):
            raise InputError(f"batch is {batch!r}; give a function of points x of shape ({BATCH}, n)")
        if not isinstance(domain, (Box, Torus, Sphere, Space)):
            raise InputError(f"domain is {domain!r}; give Box(low, high), Torus(n), Sphere(n) or Space(n)")
        n = validate.whole("n", n, 1)
        if domain.n != n:
            raise InputError(f"n is {n} but the domain has {domain.n} coordinates; give the same number")
        if isinstance(domain, Sphere) and n < 2:
            raise InputError("n is 1 on a sphere; give n of at least 2")
        length = None if length is None else validate.positive("length", length)
        gradient_scale = None if gradient_scale is None else validate.positive("gradient_scale", gradient_scale)
        given = (value, gradient, hessian, domain, n, coefficients, length, gradient_scale, batch)
        for field, argument in zip(fields(self), given, strict=True):
            object.__setattr__(self, field.name, argument)
        check_functions(self._problem(self._trial), length or 1.0)

    @cached_property
    def _trial(self) -> Arrays:
        """Coefficients that belong to no draw: what functions are tried with, and what all draws' kinds must be."""
        return trial_arrays(self.draw_coefficients)

    def _problem(self, arrays: Arrays) -> Custom:
        return Custom(self.value, self.gradient, self.hessian, self.where, arrays, self.batch)

    @property
    def domain(self) -> Any:
        return self.where

    @property
    def start_laws(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("normal",) if isinstance(self.domain, Space) else ("uniform",)

    @property
    def draws(self) -> int | None:
        return 1 if self.draw_coefficients is None else None

    @property
    def coefficients(self) -> float:
        """Multiplications of one value, a guess: as many as there are coefficients, but 50 n at least."""
        return max(super().coefficients, float(sum(array.size for array in self._trial)))

    @property
    def seconds_per_start(self) -> float:
        """That of built-in families where Numba compiled the functions, else 15 steps of 100 us more."""
        called = (self.value, self.gradient, self.hessian) if self.batch is None else (self.batch,)
        compiled = all(hasattr(function, "py_func") for function in called)
        return super().seconds_per_start + (0.0 if compiled else 15 * 1e-4)

    @cached_property
    def scales(self) -> Scales:  # type: ignore[override]
        length, gradient = self.length, self.gradient_scale
        if length is None or gradient is None:
            draws = 1 if self.draws == 1 else 8
            parts = []
            for k in range(draws):
                points = self.starts(seed=0, draw=k, first=0, count=_PROBES // draws)
                parts.append(self.draw(seed=0, draw=k)._all_orders(points))
            slope, curvature = (_root_mean_square(np.concatenate(some)) for some in list(zip(*parts, strict=True))[1:])
            gradient = gradient or slope or 1.0
            length = length or (slope * math.sqrt(self.dimension) / curvature if slope and curvature else 1.0)
        cap = math.inf if self.dimension <= 2 else 3.2 / math.sqrt(self.dimension) * length
        if isinstance(self.domain, Box):
            region = max(abs(side) for side in (*self.domain.low, *self.domain.high))
        else:
            region = 1e6 if isinstance(self.domain, Space) else math.inf
        return Scales(length, gradient, cap, region)

    def draw(self, *, seed: int, draw: int = 0) -> CustomDraw:
        seed, draw = validate.address(seed, draw)
        if draw != 0 and self.draw_coefficients is None:
            raise InputError(f"draw is {draw}; a custom landscape without coefficients is one function, draw 0")
        return CustomDraw(self, seed, draw)

    def starts(self, *, seed: int, draw: int, first: int, count: int, law: str | None = None) -> Array:
        name = self.check_start_law(law)
        place = (self.stream(f"starts:{name}"), seed, draw, first, count)
        if isinstance(self.domain, Space):
            return starts.normal(*place, self.n, self.length or 1.0)
        if isinstance(self.domain, Sphere):
            return starts.sphere(*place, self.n, math.sqrt(self.n))
        return starts.box(*place, *self.domain.sides)

    def to_dict(self) -> dict[str, Any]:
        """Return name, n, domain and the names of the functions: provenance only, unless a registered factory made it
        (``simcore.register``), whose name and parameters ``registry.from_dict`` turns back."""
        if self._known_as is not None:
            return dict(self._known_as)
        functions = {"value": self.value, "gradient": self.gradient, "hessian": self.hessian}
        if self.draw_coefficients is not None:
            functions["coefficients"] = self.draw_coefficients
        names = {what: _function_name(function) for what, function in functions.items()}
        return {"name": self.name, "n": self.n, "domain": self.domain.to_dict(), **names}

    def __reduce__(self) -> Any:
        if self._known_as is not None:
            from simcore.landscapes.registry import from_dict

            return from_dict, (dict(self._known_as),)
        settings: dict[str, Any] = {"length": self.length, "gradient_scale": self.gradient_scale, "batch": self.batch}
        given = (self.value, self.gradient, self.hessian, self.where, self.n, self.draw_coefficients)
        return functools.partial(CustomLandscape, **settings), given


class Derived:
    """What makes derivatives of ``function``, the user's own: landscapes are named after that, not after the maker."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


class CustomDraw(Draw):
    """One function of a ``CustomLandscape``."""

    def __init__(self, landscape: CustomLandscape, seed: int, number: int) -> None:
        self.landscape: Any = landscape
        self.seed, self.number = seed, number

    def __reduce__(self) -> Any:
        return CustomDraw, (self.landscape, self.seed, self.number)

    @cached_property
    def problem(self) -> Custom:  # type: ignore[override]
        law = self.landscape
        if law.draw_coefficients is None:
            return law._problem(())
        generator = addressed(self.seed, self.number, law.stream("coefficients"))
        return law._problem(drawn_arrays(law.draw_coefficients, generator, law._trial))


def _root_mean_square(parts: Array) -> float:
    sizes = np.sqrt((parts.reshape(len(parts), -1) ** 2).sum(axis=1))
    sizes = sizes[np.isfinite(sizes)]
    return float(np.sqrt(np.mean(sizes**2))) if len(sizes) else 0.0


def _function_name(function: Any) -> str:
    owner = getattr(function, "__self__", None)
    if isinstance(owner, Derived):
        function = owner.function
    module = getattr(function, "__module__", None) or "?"
    return f"{module}.{getattr(function, '__qualname__', None) or type(function).__name__}"
