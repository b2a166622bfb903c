"""Deep linear networks, whose critical points are known exactly for one hidden layer (Baldi & Hornik 1989)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simcore.backends.network_problems import Linear
from simcore.errors import InputError
from simcore.landscapes.base import Array, Scales
from simcore.networks import symmetry
from simcore.networks.base import Network, NetworkDraw, layer_widths, matrix, normal_starts

if TYPE_CHECKING:
    import pandas as pd


SCALES = (0.1, 0.2, 0.3, 0.5)


class LinearDraw(NetworkDraw):
    """The population cost of one deep linear network."""

    @cached_property
    def problem(self) -> Linear:  # type: ignore[override]
        return self.landscape._problem

    def symmetry_dimension(self, x: Array) -> NDArray[np.int64]:
        return np.array([symmetry.linear_orbit_dimension(self.problem, row) for row in x], np.int64)

    def canonical(self, x: Array) -> Array:
        return np.array([symmetry.canonical_linear(self.problem, row) for row in x]).reshape(x.shape)


@dataclass(frozen=True)
class LinearNetwork(Network):
    """Deep linear network without biases: population cost f = 1/2 E|y - W_L ... W_1 x|^2.

    Parameters
    ----------
    widths : sequence of int
        (inputs, hidden, ..., outputs), at least two.
    covariance : matrix (inputs, inputs), or its diagonal
        S = E[x x^T], symmetric, positive semi-definite.
    cross_covariance : matrix (outputs, inputs), optional
        C = E[y x^T]. Without it y = x (an autoencoder; outputs = inputs). With it y is noise-free, y = C S^-1 x, so
        that E|y|^2 = tr(C S^-1 C^T); rows of C must lie in the range of S.

    f depends on the parameters (W_1, W_2, ..., row-major) through W = W_L ... W_1 alone: f = 1/2 tr (W - T) S (W - T)^T
    with T = C S^-1. Nothing is random: there is one draw.

    Notes
    -----
    Start laws: "normal", entries N(0, 0.5^2); "small", N(0, 0.05^2), near the saddle at 0; "wide", N(0, 1); "scales",
    N(0, s^2) with s = 0.1, 0.2, 0.3 and 0.5 in turn. The default reaches every class of critical points of the 4-2-4
    autoencoder with covariance (4, 3, 2, 1) within 4,000 starts; for wide networks "scales" with Levenberg-Marquardt
    reaches more of them (16-4-16: 45 classes in 60 starts, where the default solver finds 13).

    Search: ``method = "auto"`` is Newton's method with the pseudo-inverse and steps of at most 1. Gradient scale |S|
    (Frobenius), length 1; a start has left the domain beyond max |x_i| = 100.

    Symmetry: W_k -> A_k W_k A_{k-1}^{-1}. A critical point is one orbit; ``nullity`` is compared with its dimension
    there, 2pr - r^2 for one hidden layer of p units, r the rank of W. Deeper networks have critical points whose
    nullity is larger, W = 0 first of all: they are ``degenerate``. Points are merged modulo the group.

    Raises ``InputError`` for shapes that don't fit, a covariance that is not one, rows of C outside the range of S.

    Source: Baldi & Hornik (1989); Saxe, McClelland & Ganguli (2013).
    """

    name: ClassVar[str] = "linear_network"
    law: ClassVar[str] = "deep linear network, population cost 1/2 E|y - W_L ... W_1 x|^2"
    start_laws: ClassVar[tuple[str, ...]] = ("normal", "small", "wide", "scales")
    parameters: ClassVar[tuple[str, ...]] = ("widths", "covariance", "cross_covariance")
    solver: ClassVar[str] = "pseudo_inverse_newton"
    example: ClassVar[dict[str, Any]] = {"widths": [4, 2, 4], "covariance": [4.0, 3.0, 2.0, 1.0]}
    conformance: ClassVar[tuple[dict[str, Any], ...]] = (
        {"widths": [4, 2, 4], "covariance": [4.0, 3.0, 2.0, 1.0]},
        {"widths": [2, 3, 2, 1], "covariance": [[2.0, 0.5], [0.5, 1.0]], "cross_covariance": [[1.0, -0.5]]},
    )

    widths: tuple[int, ...]
    covariance: tuple[tuple[float, ...], ...]
    cross_covariance: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        widths = layer_widths(self.widths)
        covariance = matrix("covariance", self.covariance, diagonal=True)
        s = np.array(covariance)
        if s.shape != (widths[0], widths[0]):
            raise InputError(f"covariance has shape {s.shape}; the network has {widths[0]} inputs")
        values = np.linalg.eigvalsh(0.5 * (s + s.T))
        if (
            np.abs(s - s.T).max() > 1e-12 * np.abs(s).max()
            or values[0] < -1e-12 * max(values[-1], 0)
            or values[-1] <= 0
        ):
            raise InputError(
                "covariance is not one; give a symmetric matrix without negative eigenvalues, not all zero"
            )
        cross = None if self.cross_covariance is None else matrix("cross_covariance", self.cross_covariance)
        if cross is None and widths[-1] != widths[0]:
            raise InputError(f"widths is {widths}; without cross_covariance give as many outputs as inputs")
        if cross is not None:
            c = np.array(cross)
            if c.shape != (widths[-1], widths[0]):
                raise InputError(
                    f"cross_covariance has shape {c.shape}; give (outputs, inputs) = {(widths[-1], widths[0])}"
                )
            if np.abs(c @ np.linalg.pinv(s, hermitian=True) @ s - c).max() > 1e-9 * np.abs(c).max():
                raise InputError("cross_covariance has rows outside the range of covariance; no noise-free y has it")
        object.__setattr__(self, "widths", widths)
        object.__setattr__(self, "covariance", covariance)
        object.__setattr__(self, "cross_covariance", cross)

    @property
    def n(self) -> int:  # type: ignore[override]
        """Number of weights."""
        return self._problem.dimension

    @cached_property
    def _problem(self) -> Linear:
        s = np.array(self.covariance)
        if self.cross_covariance is None:
            target = np.eye(self.widths[0])
        else:
            target = np.array(self.cross_covariance) @ np.linalg.pinv(s, hermitian=True)
        return Linear(self.widths, s, target)

    @cached_property
    def scales(self) -> Scales:  # type: ignore[override]
        return Scales(1.0, float(np.linalg.norm(self._problem.covariance)), 1.0, 100.0)

    def draw(self, *, seed: int, draw: int = 0) -> LinearDraw:
        return LinearDraw(self, *self._address(seed, draw))

    def starts(self, *, seed: int, draw: int, first: int, count: int, law: str | None = None) -> Array:
        name = self.check_start_law(law)
        scale = {"normal": 0.5, "small": 0.05, "wide": 1.0, "scales": 1.0}[name]
        spread = np.array(SCALES)[np.arange(first, first + count) % len(SCALES)] if name == "scales" else scale
        return normal_starts(self, name, seed, draw, first, count, spread)

    def critical_classes(self) -> pd.DataFrame:
        """Return the exact list of critical points of a network with one hidden layer, a row a class (orbit).

        In the coordinates W_2, W_1 S^{1/2} the cost is an autoencoder's whose covariance eigenvalues are s_i^2, the
        squared singular values of T S^{1/2}; s_1 > s_2 > ... > 0. A class is a subset of at most p of them
        (``simcore.theory.linear``). Columns: ``subset`` (tuple of numbers from 1, largest s first), ``rank`` r,
        ``cost``, ``morse_index``, ``nullity`` = 2pr - r^2. Ordered by rank, then cost.

        Raises ``InputError`` unless there is one hidden layer, no wider than the others, outputs = inputs, and the
        s_i are distinct and positive.

        Source: Baldi & Hornik (1989), whose fact 4 this is.
        """
        from simcore.theory.linear import linear_autoencoder_table

        if len(self.widths) != 3 or self.widths[0] != self.widths[2]:
            raise InputError(f"widths is {self.widths}; the classes are known for one hidden layer, outputs = inputs")
        values, vectors = np.linalg.eigh(self._problem.covariance)
        root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        s = np.linalg.svd(self._problem.target @ root, compute_uv=False)
        if s[-1] <= 1e-9 * s[0] or (len(s) > 1 and (-np.diff(s)).min() <= 1e-9 * s[0]):
            raise InputError("the singular values are not distinct and positive: no isolated classes; change the data")
        table = linear_autoencoder_table(list(s * s), self.widths[1])
        table["subset"] = [tuple(i + 1 for i in subset) for subset in table.subset]
        return table.rename(columns={"loss": "cost", "zero_directions": "nullity"}).drop(columns="positive")
