"""The small networks as a backend sees them: plain arrays, in the manner of ``simcore.backends.problems``.

Parameters x of a network stand in the order W_1, b_1, W_2, b_2, ..., each matrix row-major (outputs, inputs).
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simcore.backends.problems import Array
from simcore.domains import Space, shared

ACTIVATIONS = ("tanh", "sigmoid", "softplus", "relu", "linear")
LOSSES = ("mse", "cross_entropy")


class Mlp(NamedTuple):
    """Training cost of a fully connected network o(v) = W_L a_{L-1} + b_L, a_l = phi(W_l a_{l-1} + b_l), a_0 = v.

    ``loss`` "mse": f = 1/(2N) sum_v |o(v) - y(v)|^2; "cross_entropy": f = -(1/N) sum_v sum_c y_c log softmax(o)_c.
    f gains (l2/2) |x|^2, biases included. ``inputs`` has shape (N, widths[0]), ``targets`` (N, widths[-1]).
    """

    widths: tuple[int, ...]
    activation: str
    loss: str
    inputs: Array
    targets: Array
    l2: float

    @property
    def dimension(self) -> int:
        """Number of parameters."""
        return sum((a + 1) * b for a, b in zip(self.widths[:-1], self.widths[1:], strict=True))

    @property
    def domain(self) -> Space:
        """R^n, n the number of parameters."""
        return shared(Space, self.dimension)


class Layer(NamedTuple):
    """One layer of a ``Chain``: ``filters`` units at each of P places, all places with the same weights.

    Unit (f, p) has z = sum_q x[weights + f fan + q] a[sources[p, q]] + x[bias + f]. ``sources``, whole numbers of shape
    (P, fan), name a sample's numbers: 0 .. d-1 its inputs, then the units of all layers in order, layer by layer, unit
    (f, p) of a layer as its (f P + p)-th.
    """

    filters: int
    sources: NDArray[np.int64]
    weights: int
    bias: int


class Chain(NamedTuple):
    """Training cost of a network whose layers feed the next one each, and whose weights may be shared.

    Cost, activations and penalty are those of ``Mlp``, which is the chain whose layers have one place each. Several
    places share the weights of a convolution; layers with the same ``weights`` and ``bias`` are the times of a
    recurrence. Units feed the layer after their own alone; inputs may feed any. The last layer has one place.
    """

    layers: tuple[Layer, ...]
    activation: str
    loss: str
    inputs: Array
    targets: Array
    l2: float
    dimension: int

    @property
    def domain(self) -> Space:
        """R^n, n the number of parameters."""
        return shared(Space, self.dimension)


@lru_cache(maxsize=64)
def dense_layers(widths: tuple[int, ...]) -> tuple[Layer, ...]:
    """Return the layers of a fully connected network."""
    layers, at, first = [], 0, 0
    for inputs, outputs in pairwise(widths):
        sources = first + np.arange(inputs, dtype=np.int64)[None]
        layers.append(Layer(outputs, sources, at, at + outputs * inputs))
        at, first = at + outputs * (inputs + 1), first + inputs
    return tuple(layers)


def chain(problem: Any) -> Chain:
    """Return an ``Mlp`` as the chain it is, and a chain as it stands."""
    if isinstance(problem, Chain):
        return problem
    layers = dense_layers(problem.widths)
    given = problem.activation, problem.loss, problem.inputs, problem.targets, problem.l2
    return Chain(layers, *given, problem.dimension)


class Linear(NamedTuple):
    """Population cost of a deep linear network without biases, f = 1/2 tr (W - T) S (W - T)^T, W = W_L ... W_1.

    ``covariance`` S = E[v v^T] has shape (widths[0], widths[0]); ``target`` T has shape (widths[-1], widths[0]).
    """

    widths: tuple[int, ...]
    covariance: Array
    target: Array

    @property
    def dimension(self) -> int:
        """Number of parameters."""
        return sum(a * b for a, b in zip(self.widths[:-1], self.widths[1:], strict=True))

    @property
    def domain(self) -> Space:
        """R^n, n the number of parameters."""
        return shared(Space, self.dimension)


class Sigmoid(NamedTuple):
    """One sigmoid unit, f = sum_i c_i (t_i - s(w . v_i))^2, s(z) = 1/(1 + exp(-z)).

    ``inputs`` has shape (m, d); ``targets`` and ``multiplicity`` have shape (m,).
    """

    inputs: Array
    targets: Array
    multiplicity: Array

    @property
    def dimension(self) -> int:
        """Number of weights d."""
        return self.inputs.shape[1]

    @property
    def domain(self) -> Space:
        """R^n, n the number of parameters."""
        return shared(Space, self.dimension)
