"""Where points live: R^n, boxes, tori and spheres, and all that is done with points because of it.

A domain brings points back to itself (``retract``), measures (``distance``, ``displacement``), says what is
``outside``, and gives an orthonormal basis of the tangent space (``frame``). D is the dimension of the domain; points
are float64 of shape (n,) or (S, n), in ambient coordinates. Row i of a result depends on row i of the input alone.

On the sphere |x|^2 = n a function is given by Euclidean derivatives g, H of any smooth extension. With P = I - x x'/n
its Riemannian gradient is P g and its Riemannian Hessian P (H - (g.x/n) I) P (Absil, Mahony & Sepulchre 2008, section
5.3). The frame at x is a Householder reflection's: I - 2 m m', m along x/|x| + sign(x_1) e_1, takes x to a multiple of
e_1, so its other columns span the tangent space; in them a Hessian costs O(n^2) to turn, not O(n^3).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from simcore.arrays import real_array
from simcore.errors import InputError
from simcore.validate import whole

Array = NDArray[np.float64]
_Kind = TypeVar("_Kind", bound="Domain")

_BOX = "give two sequences of numbers, a number a coordinate: Box([-1.0], [1.0])"


def short_way(gap: Any, period: float) -> Any:
    """Return |gap| the short way round a circle of this length, 0.0 for a line; for numbers, arrays, compiled code."""
    gap = np.abs(gap)
    if period > 0.0:
        gap = np.mod(gap, period)
        return np.minimum(gap, period - gap)
    return gap


class Domain:
    """What every domain knows; flat space is the default, and ``Torus``, ``Sphere`` and ``Box`` differ from it."""

    kind: ClassVar[str] = "space"
    n: int

    @property
    def sides(self) -> tuple[Array, Array]:
        """Lowest and highest coordinates, shape (n,) each; infinite where there are none."""
        return np.full(self.n, -np.inf), np.full(self.n, np.inf)

    @property
    def dimension(self) -> int:
        """Dimension D of the domain and of its tangent spaces."""
        return self.n

    @property
    def euler_characteristic(self) -> int | None:
        """Sum of (-1)^index over the critical points of every function, or None where it is not fixed."""
        return None

    @property
    def compact(self) -> bool:
        """Whether all critical points of a draw can be enumerated."""
        return False

    @property
    def bounded(self) -> bool:
        """Whether points can be counted one by one until none is new: on compact domains and in boxes."""
        return self.compact

    @property
    def period(self) -> float:
        """Period of each coordinate, 0.0 where there is none."""
        return 0.0

    @property
    def flat(self) -> bool:
        """Whether ambient coordinates are coordinates of the tangent space: Riemannian derivatives are Euclidean."""
        return True

    # ---- points --------------------------------------------------------------------------------------------------
    def wrap(self, x: Array) -> Array:
        """Return x with coordinates in [0, period); x itself where there is no period."""
        period = self.period
        if period == 0.0:
            return x
        wrapped = x - period * np.floor(x / period)
        return np.where(wrapped >= period, 0.0, wrapped)

    def retract(self, x: Array) -> Array:
        """Return the points of the domain next to x: scaled to the sphere, wrapped on a torus; x itself in R^n.

        ``retract(x + d)`` is how a step d is taken. A box does not hold points back; see ``outside``.
        """
        return self.wrap(x)

    def displacement(self, x: Array, y: Array) -> Array:
        """Return x - y, coordinate by coordinate the short way round on a torus; shape as x - y."""
        d = x - y
        period = self.period
        return d - period * np.round(d / period) if period > 0.0 else d

    def distance(self, x: Array, y: Array) -> Array:
        """Return the Euclidean distance of points in ambient coordinates, the short way round on a torus; shape (S,).

        On the sphere that is the length of the chord.
        """
        return np.linalg.norm(short_way(x - y, self.period), axis=-1)

    def outside(self, x: Array) -> NDArray[np.bool_]:
        """Return which points have left the domain, shape (S,) or (); only a box can be left."""
        return np.zeros(x.shape[:-1], bool)

    # ---- tangent spaces ------------------------------------------------------------------------------------------
    def tangent(self, x: Array, v: Array) -> Array:
        """Return the tangential part of vectors v at points x, shapes (S, n)."""
        return v

    def riemannian(self, x: Array, gradient: Array, hessian: Array) -> tuple[Array, Array]:
        """Return Riemannian gradient (S, n) and Hessian (S, n, n) of Euclidean ones at points x, (S, n)."""
        return gradient, hessian

    def frame(self, x: Array) -> Array:
        """Return orthonormal bases of the tangent spaces at x, (S, n), as columns, (S, n, D)."""
        return np.broadcast_to(np.eye(self.n), (len(x), self.n, self.n))

    def tangent_hessian(self, x: Array, hessian: Array) -> Array:
        """Return symmetric ambient Hessians (S, n, n) in the basis of ``frame``, (S, D, D)."""
        return hessian

    def to_ambient(self, x: Array, vectors: Array) -> Array:
        """Return tangent vectors (S, D, k), in the basis of ``frame``, in ambient coordinates, (S, n, k)."""
        return vectors

    def to_dict(self) -> dict[str, Any]:
        """Return the provenance of a domain, JSON-safe."""
        return {"kind": type(self).__name__}


@dataclass(frozen=True)
class _Coordinates(Domain):
    """A domain that n alone describes; ``InputError`` unless n is a whole number of at least 1."""

    n: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "n", whole("n", self.n, 1))


@dataclass(frozen=True)
class Space(_Coordinates):
    """``Space(n)``: all of R^n. Nothing bounds the critical points, so none of its searches is called complete."""


@dataclass(frozen=True)
class ConfinedSpace(Space):
    """R^n with a function that grows in all directions: all critical points lie in a ball, sum of (-1)^index = 1."""

    @property
    def euler_characteristic(self) -> int:
        return 1

    @property
    def compact(self) -> bool:
        return True


@dataclass(frozen=True)
class Torus(_Coordinates):
    """``Torus(n)``: (0, 2 pi)^n, periodic with 2 pi in each coordinate; points are wrapped into [0, 2 pi).

    sum of (-1)^index over the critical points of a function = 0 (Morse).
    """

    kind: ClassVar[str] = "torus"

    @property
    def sides(self) -> tuple[Array, Array]:
        return np.zeros(self.n), np.full(self.n, 2 * np.pi)

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
class Sphere(_Coordinates):
    """``Sphere(n)``: |x|^2 = n in R^n, of radius sqrt(n) and dimension n - 1; points are given in ambient coordinates.

    sum of (-1)^index over the critical points of a function = 1 + (-1)^(n-1) (Morse).
    """

    kind: ClassVar[str] = "sphere"

    @property
    def dimension(self) -> int:
        return self.n - 1

    @property
    def euler_characteristic(self) -> int:
        return 1 + (-1) ** (self.n - 1)

    @property
    def compact(self) -> bool:
        return True

    @property
    def flat(self) -> bool:
        return False

    def retract(self, x: Array) -> Array:
        """Return x scaled to the sphere; NaN for the origin, which has no nearest point."""
        return x * (math.sqrt(self.n) / np.linalg.norm(x, axis=-1, keepdims=True))

    def tangent(self, x: Array, v: Array) -> Array:
        return v - x * ((v * x).sum(axis=1) / (x * x).sum(axis=1))[:, None]

    def riemannian(self, x: Array, gradient: Array, hessian: Array) -> tuple[Array, Array]:
        radius2 = (x * x).sum(axis=1)
        radial = (gradient * x).sum(axis=1) / radius2
        identity = np.eye(self.n)
        projector = identity - x[:, :, None] * x[:, None, :] / radius2[:, None, None]
        curved = projector @ (hessian - radial[:, None, None] * identity) @ projector
        return gradient - radial[:, None] * x, 0.5 * (curved + curved.swapaxes(1, 2))

    def frame(self, x: Array) -> Array:
        return self.to_ambient(x, np.broadcast_to(np.eye(self.dimension), (len(x), self.dimension, self.dimension)))

    def tangent_hessian(self, x: Array, hessian: Array) -> Array:
        mirrored = _reflect(x, _reflect(x, hessian).swapaxes(1, 2))
        return mirrored[:, 1:, 1:]

    def to_ambient(self, x: Array, vectors: Array) -> Array:
        return _reflect(x, np.concatenate([np.zeros((len(x), 1, vectors.shape[2])), vectors], axis=1))


@lru_cache(maxsize=256)
def shared(kind: Callable[[int], _Kind], n: int) -> _Kind:
    """Return ``kind(n)``, one object for all who ask: a problem says where it lives at every call."""
    return kind(n)


def _reflect(x: Array, columns: Array) -> Array:
    """Apply to ``columns`` (S, n, k) the Householder reflection that takes x to a multiple of the first axis."""
    mirror = x / np.linalg.norm(x, axis=1, keepdims=True)
    mirror[:, 0] += np.where(mirror[:, 0] < 0, -1.0, 1.0)
    mirror /= np.linalg.norm(mirror, axis=1, keepdims=True)
    along = np.einsum("si,sik->sk", mirror, columns)
    return columns - 2.0 * mirror[:, :, np.newaxis] * along[:, np.newaxis, :]


@dataclass(frozen=True)
class Box(Domain):
    """``Box(low, high)``: the box low_i <= x_i <= high_i; a search that steps over a side has left the domain.

    ``low`` and ``high`` are sequences of n finite numbers, each low below its high; else ``InputError``. A function may
    have any number of critical points inside, so a search of a box is never called complete.
    """

    kind: ClassVar[str] = "box"

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        sides = [real_array(f"{name} of Box", side, _BOX) for name, side in (("low", self.low), ("high", self.high))]
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
    def n(self) -> int:  # type: ignore[override]
        """Number of coordinates."""
        return len(self.low)

    @property
    def sides(self) -> tuple[Array, Array]:
        return np.array(self.low), np.array(self.high)

    @property
    def bounded(self) -> bool:
        return True

    def outside(self, x: Array) -> NDArray[np.bool_]:
        return np.asarray((x < self.low).any(axis=-1) | (x > self.high).any(axis=-1))

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "Box", "low": list(self.low), "high": list(self.high)}
