"""A landscape of the user's own: three functions and a domain."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from simcore import validate
from simcore.backends.problems import Custom
from simcore.domains import Box, Domain, Space, Sphere, Torus
from simcore.errors import InputError
from simcore.landscapes import starts
from simcore.landscapes.base import Array, Draw, Landscape, Scales
from simcore.landscapes.checks import check_functions

_PROBES = 64


@dataclass(frozen=True, init=False)
class CustomLandscape(Landscape):
    """A function given by plain Python or njit callables; there is one draw, since nothing is random.

    Parameters
    ----------
    value, gradient, hessian : callables of one point x, float64 of shape (n,)
        Return a float, shape (n,) and shape (n, n): *Euclidean* derivatives. On ``Sphere(n)`` (|x|^2 = n) they are
        those of any smooth extension, and become Riemannian: P g and P (H - (g.x/n) I) P with P = I - x x'/n.
    domain : Box, Torus, Sphere or Space
        ``Box(low, high)`` sides; ``Torus(n)`` period 2 pi in each coordinate, which the functions must have;
        ``Sphere(n)``; ``Space(n)`` all of R^n.
    n : int
        Number of coordinates, the same as the domain's.
    length : float, optional
        Distance over which the gradient changes by its own size, which limits and default starts are relative to.
        Default: measured at 64 starting points, root mean square |g| sqrt(n) / |H|_F.
    gradient_scale : float, optional
        Size of a typical gradient, which ``tolerance`` is relative to. Default: the root mean square at the same
        points.

    Notes
    -----
    Start laws: "uniform" on a box, torus or sphere; "normal", standard deviation 1 round the origin, on ``Space``.

    Search: ``method = "auto"`` is Newton's method; step cap none for dimension D <= 2, else 3.2/sqrt(D) lengths (the
    rule measured on random fields). Region: in a box, the box: beyond a side a start has left the domain; in R^n,
    max |x_i| <= 10^6.

    The functions are tried at construction, at four fixed random points (some twenty evaluations each): gradient
    against differences of the value and Hessian against those of the gradient (relative error at most 1e-6), symmetry
    of the Hessian, period on a torus, finite float64 of the right shape.

    Raises ``InputError`` when a callable is none, the domain has another n, or a function fails one of these; the line
    says which, where, and by what relative error.
    """

    name: ClassVar[str] = "custom"
    law: ClassVar[str] = "one function of the user's own"
    parameters: ClassVar[tuple[str, ...]] = ("n",)

    value: Callable[[Array], float]
    gradient: Callable[[Array], Array]
    hessian: Callable[[Array], Array]
    where: Domain | Box
    n: int
    length: float | None
    gradient_scale: float | None

    # written out, because the argument "domain" is a property of every landscape and so can't be a field
    def __init__(
        self,
        value: Callable[[Array], float],
        gradient: Callable[[Array], Array],
        hessian: Callable[[Array], Array],
        domain: Domain,
        n: int,
        *,
        length: float | None = None,
        gradient_scale: float | None = None,
    ) -> None:
        for what, function in (("value", value), ("gradient", gradient), ("hessian", hessian)):
            if not callable(function):
                raise InputError(f"{what} is {function!r}; give a function of one point x of shape (n,)")
        if not isinstance(domain, (Box, Torus, Sphere, Space)):
            raise InputError(f"domain is {domain!r}; give Box(low, high), Torus(n), Sphere(n) or Space(n)")
        n = validate.whole("n", n, 1)
        if domain.n != n:
            raise InputError(f"n is {n} but the domain has {domain.n} coordinates; give the same number")
        if isinstance(domain, Sphere) and n < 2:
            raise InputError("n is 1 on a sphere; give n of at least 2")
        length = None if length is None else validate.positive("length", length)
        gradient_scale = None if gradient_scale is None else validate.positive("gradient_scale", gradient_scale)
        for field, given in zip(
            fields(self), (value, gradient, hessian, domain, n, length, gradient_scale), strict=True
        ):
            object.__setattr__(self, field.name, given)
        check_functions(_problem(self), length or 1.0)

    @property
    def domain(self) -> Any:
        return self.where

    @property
    def start_laws(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("normal",) if isinstance(self.domain, Space) else ("uniform",)

    @property
    def draws(self) -> int:
        return 1

    @cached_property
    def scales(self) -> Scales:  # type: ignore[override]
        length, gradient = self.length, self.gradient_scale
        if length is None or gradient is None:
            points = self.starts(seed=0, draw=0, first=0, count=_PROBES)
            _, slopes, curvatures = self.draw(seed=0)._all_orders(points)
            slope = _root_mean_square(slopes)
            curvature = _root_mean_square(curvatures)
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
        if draw != 0:
            raise InputError(f"draw is {draw}; a custom landscape is one function, draw 0")
        return CustomDraw(self, seed)

    def starts(self, *, seed: int, draw: int, first: int, count: int, law: str | None = None) -> Array:
        name = self.check_start_law(law)
        place = (self.stream(f"starts:{name}"), seed, draw, first, count)
        if isinstance(self.domain, Space):
            return starts.normal(*place, self.n, self.length or 1.0)
        if isinstance(self.domain, Sphere):
            return starts.sphere(*place, self.n, math.sqrt(self.n))
        if isinstance(self.domain, Torus):
            return starts.box(*place, np.zeros(self.n), np.full(self.n, 2 * np.pi))
        return starts.box(*place, self.domain.low, self.domain.high)

    def to_dict(self) -> dict[str, Any]:
        """Return name, n, domain and the names of the functions: provenance only, it can't be turned back."""
        functions = {what: _function_name(getattr(self, what)) for what in ("value", "gradient", "hessian")}
        return {"name": self.name, "n": self.n, "domain": self.domain.to_dict(), **functions}


class CustomDraw(Draw):
    """The one function of a ``CustomLandscape``."""

    def __init__(self, landscape: CustomLandscape, seed: int) -> None:
        self.landscape: Any = landscape
        self.seed, self.number = seed, 0

    @cached_property
    def problem(self) -> Custom:  # type: ignore[override]
        return _problem(self.landscape)

    def _all_orders(self, points: Array) -> tuple[Array, Array, Array]:
        from simcore.backends.custom import evaluate

        return evaluate(self.problem, points)


def _problem(at: CustomLandscape) -> Custom:
    return Custom(at.value, at.gradient, at.hessian, at.domain)


def _root_mean_square(parts: Array) -> float:
    sizes = np.sqrt((parts.reshape(len(parts), -1) ** 2).sum(axis=1))
    sizes = sizes[np.isfinite(sizes)]
    return float(np.sqrt(np.mean(sizes**2))) if len(sizes) else 0.0


def _function_name(function: Any) -> str:
    module = getattr(function, "__module__", None) or "?"
    return f"{module}.{getattr(function, '__qualname__', None) or type(function).__name__}"
