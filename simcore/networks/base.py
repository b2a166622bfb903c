"""What the networks share: draws that know their symmetry, matrices as parameters, normal starts."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from simcore import validate
from simcore.arrays import real_array
from simcore.backends.network_problems import Chain, Mlp
from simcore.domains import Space
from simcore.errors import InputError
from simcore.landscapes.base import Array, Draw, Landscape
from simcore.landscapes.memory import refuse_evaluation


class NetworkDraw(Draw):
    """One network's cost as a function of its parameters."""

    degenerate_by_nature: ClassVar[bool] = True

    def __init__(self, landscape: Network, seed: int, number: int) -> None:
        self.landscape: Any = landscape
        self.seed, self.number = seed, number

    def _evaluate(self, x: ArrayLike, order: int) -> Any:
        points = real_array("x", x)
        if order == 2 or points.ndim != 2 or points.shape[1] != self.landscape.n:
            return super()._evaluate(x, order)
        refuse_evaluation(self.landscape, 0)
        if not isinstance(self.problem, (Mlp, Chain)):
            return super()._evaluate(x, order)
        from simcore.backends.cpu import network_points  # values and gradients need no Hessian

        return network_points.products(self.problem, points, order=order)[order]

    def _all_orders(self, points: Array) -> tuple[Array, Array, Array]:
        """Return value, gradient and Hessian at points of shape (batch, n), compiled where it can be."""
        from simcore.backends import cpu

        return cpu.evaluate(self.problem, points)


class Network(Landscape):
    """A landscape whose points are the parameters of a network; they live in R^n, unbounded."""

    solver: ClassVar[str] = "levenberg_marquardt"
    example_draws: ClassVar[int] = 1

    @cached_property
    def domain(self) -> Space:  # type: ignore[override]
        return Space(self.n)

    @property
    def draws(self) -> int | None:
        return 1

    @abstractmethod
    def draw(self, *, seed: int, draw: int = 0) -> NetworkDraw: ...

    def _address(self, seed: int, draw: int) -> tuple[int, int]:
        seed, draw = validate.address(seed, draw)
        if self.draws is not None and draw >= self.draws:
            raise InputError(f"draw is {draw}; {self.name} with fixed data has draw 0 alone")
        return seed, draw

    @property
    def to_be_enumerated(self) -> str:
        return "an mlp with one hidden layer of tanh, sigmoid or softplus units and l2 above 0"

    @property
    def coefficients(self) -> float:
        """Every sample goes through each parameter."""
        return float(self.n) * self.samples

    @property
    def numbers(self) -> float:
        """At least a number a sample."""
        return float(self.samples)

    @property
    def hessians_held(self) -> float:
        """One start at once: its Hessian, eigenvectors and their workspace."""
        return 6.0

    @property
    def seconds_per_start(self) -> float:
        """Fixed model of a start's time, for cutting sweeps into shards: 60 steps, each diagonalising a Hessian."""
        return 60 * (6e-10 * self.n**3 + 1e-8 * self.samples * self.n + 3e-5)

    @property
    def samples(self) -> int:
        """Number of training samples, 1 where the cost is a population's."""
        return 1


def layer_widths(value: Any, least: int = 2) -> tuple[int, ...]:
    """Return layer widths as a tuple; ``InputError`` unless at least two whole numbers above 0."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise InputError(f"widths is {value!r}; give a list of at least {least} layer widths, inputs first")
    found = tuple(validate.whole("each of widths", w, 1) for w in value)
    if len(found) < least:
        raise InputError(f"widths is {found}; give at least {least} layer widths, inputs first")
    return found


def matrix(name: str, value: Any, *, diagonal: bool = False) -> tuple[tuple[float, ...], ...]:
    """Return a matrix as a tuple of rows; with ``diagonal`` a vector stands for a diagonal matrix."""
    advice = f"give a matrix of finite numbers{' or the list of its diagonal' if diagonal else ''}"
    array = real_array(name, value, advice)
    if diagonal and array.ndim == 1 and array.size:
        array = np.diag(array)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise InputError(f"{name} has shape {array.shape}; {advice}")
    return tuple(tuple(float(v) for v in row) for row in array)


def vector(name: str, value: Any, length: int) -> tuple[float, ...]:
    """Return ``length`` finite numbers as a tuple."""
    array = real_array(name, value, f"give a list of {length} numbers")
    if array.shape != (length,) or not np.isfinite(array).all():
        raise InputError(f"{name} has shape {array.shape}; give a list of {length} finite numbers")
    return tuple(float(v) for v in array)


def normal_starts(
    landscape: Landscape, purpose: str, seed: int, draw: int, first: int, count: int, scale: Any
) -> Array:
    """Return normal starts, shape (count, n), with one standard deviation or one per start."""
    from simcore.formulas.random import start_normals

    first, count = validate.start_range(first, count)
    z = start_normals(seed, landscape.stream(f"starts:{purpose}"), draw, first, count, landscape.n)
    return z * np.reshape(np.broadcast_to(scale, (count,)), (count, 1))
