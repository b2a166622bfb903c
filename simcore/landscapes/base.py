"""What every landscape is: a law over functions, and what one function, a draw, can do.

A landscape knows its law, its coefficients, its domain and its scales. It knows nothing of threads, files or
statistics.
"""

from __future__ import annotations

import json
import math
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simcore.arrays import real_array
from simcore.errors import InputError, unknown_name
from simcore.landscapes.validate import whole

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

_BOX = "give two sequences of numbers"


@dataclass(frozen=True)
class Symmetry:
    """A map of the domain onto itself under which a draw's function keeps its value up to a sign.

    f(apply(x)) = sign f(x). With sign -1 an index-k critical point goes to one of index D - k.
    ``apply`` takes and returns points of shape (batch, n) and is an involution.
    """

    name: str
    apply: Callable[[Array], Array]
    sign: int


@dataclass(frozen=True)
class Scales:
    """Lengths and sizes that make a search's limits dimensionless.

    length : correlation length, sqrt(Var f / Var of one gradient component) for a random field.
    gradient : root mean square gradient norm at a typical point; ``tolerance`` is relative to it.
    step_cap : the automatic step cap, a length in x (inf for none); its evidence is in the landscape's docstring.
    region : max |x_i| beyond which a start has left the domain (inf on a compact domain).
    """

    length: float
    gradient: float
    step_cap: float
    region: float


class Landscape(ABC):
    """A law over functions of n variables. Subclasses are frozen dataclasses, validated at construction."""

    name: ClassVar[str]
    law: ClassVar[str]  # one line: the law and its normalisation
    start_laws: ClassVar[tuple[str, ...]]  # the first is the default
    parameters: ClassVar[tuple[str, ...]]  # field names that identify the law, in column order
    descends_from: ClassVar[int | None] = None
    """Number of starts from which every other ordinary one of an enumeration begins with a few gradient steps."""

    n: int

    # ---- the law -------------------------------------------------------------------------------------------------
    @property
    def dimension(self) -> int:
        """Dimension D of the domain; the index of a critical point runs from 0 to D."""
        return self.n

    @property
    @abstractmethod
    def domain(self) -> Domain:
        """Where x lives: ``Torus``, ``Sphere``, ``Space`` or ``Box``."""

    @property
    @abstractmethod
    def scales(self) -> Scales:
        """Lengths and sizes of the search."""

    @property
    def euler_characteristic(self) -> int | None:
        """Sum over critical points of (-1)^index for every draw; None where it is not fixed."""
        return self.domain.euler_characteristic

    @property
    def draws(self) -> int | None:
        """Number of different draws: 1 where nothing is random, None where there are infinitely many."""
        return None

    def expected_counts(self, *, finite_features: bool = False) -> pd.DataFrame:
        """Exact law of the critical points (see ``simcore.expected_counts``); ``InputError`` where none is known."""
        raise InputError(f"no exact law is known for {self.name}; simcore theory lists those that have one")

    @abstractmethod
    def draw(self, *, seed: int, draw: int = 0) -> Draw:
        """Return function number ``draw`` of the stream ``seed``; the same pair gives the same bits everywhere."""

    # ---- starts --------------------------------------------------------------------------------------------------
    @abstractmethod
    def starts(self, *, seed: int, draw: int, first: int, count: int, law: str | None = None) -> Array:
        """Return starting points ``first .. first + count - 1`` of a draw, shape (count, n), each a function of
        (seed, draw, its own number, law) alone."""

    def check_start_law(self, law: str | None) -> str:
        """Return the law's name, the default for None; raise ``InputError`` with the choices for an unknown one."""
        if law is None:
            return self.start_laws[0]
        if law not in self.start_laws:
            raise unknown_name(f"start law of {self.name}", law, self.start_laws)
        return law

    # ---- identity ------------------------------------------------------------------------------------------------
    def to_dict(self) -> dict[str, Any]:
        """Return ``{"name": ..., parameter: value, ...}``, JSON-safe; ``registry.from_dict`` undoes it."""
        return {"name": self.name, **{f.name: getattr(self, f.name) for f in fields(self)}}  # type: ignore[arg-type]

    @cached_property
    def identity(self) -> str:
        """Canonical JSON of the law: what separates the random streams of different landscapes."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    def stream(self, purpose: str) -> int:
        """Return the 32-bit counter word of one purpose ("coefficients", "starts", ...) of this landscape.

        Different purposes, and landscapes that differ in any parameter, draw from different streams.
        """
        return zlib.crc32(f"{purpose}:{self.identity}".encode())


class Draw(ABC):
    """One function of a landscape. ``value``, ``gradient`` and ``hessian`` take x of shape (n,) or (batch, n)."""

    landscape: Landscape
    seed: int
    number: int  # which draw

    @property
    @abstractmethod
    def problem(self) -> Any:
        """Coefficients for a backend (``simcore.backends.problems``)."""

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        """Known symmetries of this very function, without the identity; together with it they form a group."""
        return ()

    def value(self, x: ArrayLike) -> Any:
        """Return f(x): a float for x of shape (n,), shape (batch,) for (batch, n)."""
        return self._evaluate(x, 0)

    def gradient(self, x: ArrayLike) -> Array:
        """Return the (Riemannian) gradient in ambient coordinates, shape as x."""
        return self._evaluate(x, 1)

    def hessian(self, x: ArrayLike) -> Array:
        """Return the (Riemannian) Hessian in ambient coordinates, shape (n, n) or (batch, n, n)."""
        return self._evaluate(x, 2)

    def _evaluate(self, x: ArrayLike, order: int) -> Any:
        n = self.landscape.n
        points = real_array("x", x, f"give real numbers of shape ({n},) or (batch, {n})")
        if points.ndim not in (1, 2) or points.shape[-1] != n:
            raise InputError(f"x has shape {points.shape}; give shape ({n},) or (batch, {n})")
        result = self._all_orders(np.atleast_2d(points))[order]
        if points.ndim == 2:
            return result
        return float(result[0]) if order == 0 else result[0]

    def _all_orders(self, points: Array) -> tuple[Array, Array, Array]:
        """Return value, gradient and Hessian at points of shape (batch, n): the reference backend's."""
        from simcore.backends import reference

        return reference.evaluate(self.problem, points)

    def __repr__(self) -> str:
        return f"{self.landscape!r}.draw(seed={self.seed}, draw={self.number})"

    def to_dict(self) -> dict[str, Any]:
        """Return the provenance of this function, JSON-safe: its landscape, seed and number."""
        return {"landscape": self.landscape.to_dict(), "seed": self.seed, "draw": self.number}


# ---- domains -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Domain:
    """Where x lives, x float64 of shape (n,). Distances are what duplicates are merged by.

    Raises ``InputError`` unless n is a whole number of at least 1.
    """

    n: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", whole("n", self.n, 1))

    @property
    def euler_characteristic(self) -> int | None:
        """Euler characteristic, or None where it does not fix the alternating sum of critical points."""
        return None

    @property
    def compact(self) -> bool:
        """Whether all critical points of a draw can be enumerated."""
        return False

    @property
    def period(self) -> float:
        """Period of each coordinate, 0.0 where there is none."""
        return 0.0


@dataclass(frozen=True)
class Space(Domain):
    """``Space(n)``: all of R^n. Nothing bounds the critical points, so none of its searches is called complete."""


@dataclass(frozen=True)
class Torus(Domain):
    """``Torus(n)``: (0, 2 pi)^n, periodic with 2 pi in each coordinate; points are wrapped into [0, 2 pi).

    sum of (-1)^index over the critical points of a function = 0 (Morse).
    """

    @property
    def euler_characteristic(self) -> int:
        return 0

    @property
    def compact(self) -> bool:
        return True

    @property
    def period(self) -> float:
        return 2 * np.pi


@dataclass(frozen=True)
class Sphere(Domain):
    """``Sphere(n)``: |x|^2 = n in R^n, of radius sqrt(n) and dimension n - 1; points are given in ambient coordinates.

    sum of (-1)^index over the critical points of a function = 1 + (-1)^(n-1) (Morse).
    """

    @property
    def euler_characteristic(self) -> int:
        return 1 + (-1) ** (self.n - 1)

    @property
    def compact(self) -> bool:
        return True


@dataclass(frozen=True)
class Box:
    """``Box(low, high)``: the box low_i <= x_i <= high_i; a search that steps over a side has left the domain.

    ``low`` and ``high`` are sequences of n finite numbers, each low below its high; else ``InputError``. A function may
    have any number of critical points inside, so a search of a box is never called complete.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        sides = [real_array(f"{name} of Box", getattr(self, name), _BOX) for name in ("low", "high")]
        if any(side.ndim != 1 for side in sides):
            raise InputError(f"Box got low={self.low!r}, high={self.high!r}; {_BOX}")
        low, high = (tuple(side.tolist()) for side in sides)
        ordered = len(low) == len(high) > 0 and all(
            math.isfinite(a) and math.isfinite(b) and a < b for a, b in zip(low, high, strict=True)
        )
        if not ordered:
            raise InputError(
                f"Box got low={low}, high={high}; give as many finite lows as highs, each low below its high"
            )
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    @property
    def n(self) -> int:
        """Number of coordinates."""
        return len(self.low)

    @property
    def euler_characteristic(self) -> None:
        return None

    @property
    def compact(self) -> bool:
        return False

    @property
    def period(self) -> float:
        return 0.0
