"""One sigmoid unit trained by squared error: the smallest network with bad local minima."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simcore.backends.network_problems import Sigmoid
from simcore.errors import InputError
from simcore.landscapes.base import Array, Scales
from simcore.networks.base import Network, NetworkDraw, matrix, normal_starts, vector

START_SCALES = (0.1, 1.0, 3.0)
SATURATION = 15.0  # s'(15) = 3e-7: with |g| below 1e-10 a null mode beyond it is an exponential tail


class SigmoidDraw(NetworkDraw):
    """The cost of one sigmoid unit on its data."""

    @cached_property
    def problem(self) -> Sigmoid:  # type: ignore[override]
        unit = self.landscape
        return Sigmoid(np.array(unit.inputs), np.array(unit.targets), np.array(unit.multiplicity))

    def saturated(self, x: Array) -> NDArray[np.bool_]:
        return np.any(np.abs(x @ self.problem.inputs.T) > SATURATION, axis=1)


@dataclass(frozen=True)
class SigmoidUnit(Network):
    """One sigmoid unit, f(w) = sum_i c_i (t_i - s(w.x_i))^2, s(z) = 1/(1 + exp(-z)).

    Parameters
    ----------
    inputs : matrix (m, d)
        The points x_i; append a column of ones for a bias.
    targets : m numbers in [0, 1]
    multiplicity : m numbers above 0, optional
        c_i, how often a point stands in the data; default 1.

    Notes
    -----
    Start laws: "normal", N(0, s^2) entries with s = 0.1, 1 and 3 in turn; "narrow", "unit" and "wide" are each alone.

    Search: ``method = "auto"`` is saddle-free Newton with steps of at most 1: it ends at minima, good and bad; ask
    for ``pseudo_inverse_newton`` to see saddles too. Gradient scale 1, length 1. A start has left the domain beyond
    max |w_j| = 100 / min_i max_j |x_ij|, or where |g| is below tolerance only because the unit is saturated. On
    linearly separable data with targets 0 and 1 there is no finite critical point: the cost falls for ever along the
    separating directions, and its starts end as ``left_domain`` or ``max_iterations``.

    Nothing is random: there is one draw. Raises ``InputError`` for shapes that don't fit or targets outside [0, 1].

    Source: Sontag & Sussmann (1989), Brady, Raghavan & Slawny (1989), Auer, Herbster & Warmuth (1996).
    """

    name: ClassVar[str] = "sigmoid_unit"
    law: ClassVar[str] = "one sigmoid unit on given points, cost sum_i c_i (t_i - sigma(w.x_i))^2"
    start_laws: ClassVar[tuple[str, ...]] = ("normal", "narrow", "unit", "wide")
    parameters: ClassVar[tuple[str, ...]] = ("inputs", "targets", "multiplicity")
    solver: ClassVar[str] = "saddle_free_newton"
    example: ClassVar[dict[str, Any]] = {
        "inputs": [[2.0, 2.0, 1.0], [3.0, -1.0, 1.0], [0.0, 2.0, 1.0], [4.0, 4.0, 1.0]],
        "targets": [0.1, 0.9, 0.9, 0.1],
    }
    conformance: ClassVar[tuple[dict[str, Any], ...]] = (
        {"inputs": [[1.0], [3.0]], "targets": [0.9, 0.1], "multiplicity": [1.0, 2.0]},
        example,
    )

    inputs: tuple[tuple[float, ...], ...]
    targets: tuple[float, ...]
    multiplicity: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        inputs = matrix("inputs", self.inputs)
        targets = vector("targets", self.targets, len(inputs))
        if min(targets) < 0 or max(targets) > 1:
            raise InputError(
                f"targets run from {min(targets)} to {max(targets)}; a sigmoid reaches 0 to 1, give such targets"
            )
        given = [1.0] * len(inputs) if self.multiplicity is None else self.multiplicity
        multiplicity = vector("multiplicity", given, len(inputs))
        if min(multiplicity) <= 0:
            raise InputError(f"multiplicity has {min(multiplicity)}; give numbers above 0, or leave the point out")
        if not np.any(inputs):
            raise InputError("all inputs are zero; give at least one other point")
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "targets", targets)
        object.__setattr__(self, "multiplicity", multiplicity)

    @property
    def n(self) -> int:  # type: ignore[override]
        """Number of weights, d."""
        return len(self.inputs[0])

    @property
    def samples(self) -> int:
        return len(self.inputs)

    @cached_property
    def scales(self) -> Scales:  # type: ignore[override]
        largest = np.abs(np.array(self.inputs)).max(axis=1)
        return Scales(1.0, 1.0, 1.0, 100.0 / float(largest[largest > 0].min()))

    def draw(self, *, seed: int, draw: int = 0) -> SigmoidDraw:
        return SigmoidDraw(self, *self._address(seed, draw))

    def starts(self, *, seed: int, draw: int, first: int, count: int, law: str | None = None) -> Array:
        name = self.check_start_law(law)
        if name == "normal":
            scale = np.array(START_SCALES)[np.arange(first, first + count) % 3]
        else:
            scale = np.full(count, dict(zip(self.start_laws[1:], START_SCALES, strict=True))[name])
        return normal_starts(self, name, seed, draw, first, count, scale)

    def sources(self, law: str, first: int, count: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        if law != "normal":
            return super().sources(law, first, count)
        return np.arange(first, first + count) % 3, self.start_laws[1:]

    def misclassified(self, w: Array) -> NDArray[np.int64]:
        """Return how many points (each once) lie on the wrong side of 1/2, shape (S,), for w of shape (S, d)."""
        side = np.array(self.inputs) @ np.atleast_2d(w).T > 0
        return (side != (np.array(self.targets) > 0.5)[:, None]).sum(axis=0)
