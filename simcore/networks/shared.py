"""What networks with shared weights have in common: draws of a ``Chain``, symmetries of their units, starts.

The units of a convolution's channel, or a recurrent unit at all times, have the same weights. Such a *filter* may be
exchanged with another of its layer, and a tanh filter may change sign with everything that it feeds.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from simcore import validate
from simcore.backends.network_problems import LOSSES, Chain, Layer
from simcore.backends.problems import Array
from simcore.backends.reference_network import chain_numbers
from simcore.errors import InputError
from simcore.landscapes.base import Scales
from simcore.networks.base import Network, NetworkDraw, normal_starts
from simcore.networks.starts import GAUSSIAN, SCALES
from simcore.networks.symmetry import RANK, generic

ACTIVATIONS = ("tanh", "sigmoid", "softplus", "relu")
KINK = 1e-9  # as for ``MLP``: a rectified unit whose input is smaller lies at its kink
SATURATED = {"tanh": 8.0, "sigmoid": 15.0}


class ChainDraw(NetworkDraw):
    """The training cost of one network with shared weights on one set of data."""

    @cached_property
    def problem(self) -> Chain:  # type: ignore[override]
        network = self.landscape
        x, y = network.samples_of(self.seed, self.number)
        if network.loss == "cross_entropy" and (y.min() < 0 or np.abs(y.sum(axis=1) - 1).max() > 1e-9):
            raise InputError("cross_entropy needs targets that are probabilities: none negative, each row summing to 1")
        return Chain(network.layers, network.activation, network.loss, x, y, network.l2, network.n)

    def symmetry_dimension(self, x: Array) -> NDArray[np.int64]:
        return np.array([orbit_dimension(self.problem, row) for row in x], np.int64)

    def saturated(self, x: Array) -> NDArray[np.bool_]:
        limit = SATURATED.get(self.problem.activation, np.inf)
        if self.problem.l2 > 0:  # nothing runs away from the penalty
            return super().saturated(x)
        return np.asarray((np.abs(chain_numbers(self.problem, x)[0]) > limit).any(axis=(1, 2)))

    def kinked(self, x: Array) -> NDArray[np.bool_]:
        if self.problem.activation != "relu":
            return super().kinked(x)
        return np.asarray((np.abs(chain_numbers(self.problem, x)[0]) < KINK).any(axis=(1, 2)))

    def canonical(self, x: Array) -> Array:
        return np.array([canonical(self.problem, row) for row in x]).reshape(x.shape)

    def outputs(self, x: Array) -> Array:
        """Return the network's outputs on its data, shape (S, N, outputs), for x of shape (S, n) or (n,)."""
        return chain_numbers(self.problem, np.atleast_2d(np.asarray(x, dtype=np.float64)))[1]

    def error_rate(self, x: Array) -> Array:
        """Return the fraction of samples whose largest output is not their largest target, shape (S,)."""
        return (self.outputs(x).argmax(axis=2) != self.problem.targets.argmax(axis=1)).mean(axis=1)


class SharedNetwork(Network):
    """A landscape whose cost is a ``Chain``'s; subclasses give ``layers``, ``samples_of`` and ``n``."""

    start_laws: ClassVar[tuple[str, ...]] = ("gaussian", *GAUSSIAN)
    activation: str
    loss: str
    l2: float

    @property
    @abstractmethod
    def layers(self) -> tuple[Layer, ...]:
        """The layers, as ``network_problems.Layer`` describes them."""

    @abstractmethod
    def samples_of(self, seed: int, draw: int) -> tuple[Array, Array]:
        """Return inputs (N, d) and targets (N, c) of a draw."""

    def _check(self) -> None:
        validate.choice("activation", self.activation, ACTIVATIONS)
        validate.choice("loss", self.loss, LOSSES)
        if isinstance(self.l2, bool) or not isinstance(self.l2, (int, float)) or not 0 <= self.l2 < np.inf:
            raise InputError(f"l2 is {self.l2!r}; give a number of at least 0")
        object.__setattr__(self, "l2", float(self.l2))

    @cached_property
    def scales(self) -> Scales:  # type: ignore[override]
        return Scales(1.0, 1.0, 1.0, 100.0)

    def draw(self, *, seed: int, draw: int = 0) -> ChainDraw:
        return ChainDraw(self, *self._address(seed, draw))

    def starts(self, *, seed: int, draw: int, first: int, count: int, law: str | None = None) -> Array:
        name = self.check_start_law(law)
        first, count = validate.start_range(first, count)
        codes, names = self.sources(name, first, count)
        scale = np.array([SCALES[GAUSSIAN.index(one)] for one in names])[codes]
        return normal_starts(self, name, seed, draw, first, count, scale)

    def sources(self, law: str, first: int, count: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        names = GAUSSIAN if law == "gaussian" else (law,)
        return np.arange(first, first + count) % len(names), names


# ---- symmetries --------------------------------------------------------------------------------------------------
def _blocks(problem: Chain) -> list[tuple[Layer, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Return (layer, its parameters, from outside, consumers) of every hidden set of weights, from the input on.

    Parameters have shape (filters, fan + 1), the bias last; ``from outside`` are the columns that no filter of the same
    set feeds; consumers, shape (filters, k), are all parameters that multiply a filter's activations.
    """
    found = []
    d, layers = problem.inputs.shape[1], problem.layers
    for key in dict.fromkeys(layer.weights for layer in layers[:-1]):
        members = [i for i, layer in enumerate(layers) if layer.weights == key]
        layer, filters, fan = layers[members[-1]], layers[members[-1]].filters, layers[members[-1]].sources.shape[1]
        f = np.arange(filters)[:, None]
        parameters = np.concatenate([layer.weights + f * fan + np.arange(fan), layer.bias + f], axis=1)
        inner = np.zeros(fan + 1, bool)
        consumers: dict[int, list[int]] = {}
        begin = d + sum(other.filters * len(other.sources) for other in layers[: members[-1]])
        before = begin - (layers[members[-1] - 1].filters * len(layers[members[-1] - 1].sources) if members[-1] else 0)
        for at, first in ((members[-1], before), (members[-1] + 1, begin)):
            consumer = layers[at]
            if at == members[-1] and len(members) == 1:
                continue
            spots = len(layer.sources)
            width = consumer.sources.shape[1]
            for q, slot in enumerate(consumer.sources[0]):
                if slot < first:
                    continue
                if at == members[-1]:
                    inner[q] = True
                fed = [consumer.weights + g * width + q for g in range(consumer.filters)]
                consumers.setdefault(int(slot - first) // spots, []).extend(fed)
        outside = np.flatnonzero(~inner)
        found.append((layer, parameters, outside, np.array([consumers[i] for i in range(filters)], np.int64)))
    return found


def orbit_dimension(problem: Chain, x: Array) -> int:
    """Return the dimension of the orbit of x, shape (n,), under continuous symmetries, which a penalty breaks.

    With softmax outputs one vector may be added to all rows of the last layer, and a rectified filter be scaled.
    """
    if problem.l2 > 0.0:
        return 0
    dimension = problem.layers[-1].sources.shape[1] + 1 if problem.loss == "cross_entropy" else 0
    if problem.activation == "relu":
        for _, parameters, _, consumers in _blocks(problem):
            side = np.abs(x[parameters]).max(axis=1) + np.abs(x[consumers]).max(axis=1)
            dimension += int((side > RANK).sum())
    return dimension


def canonical(problem: Chain, x: Array) -> Array:
    """Return the canonical copy of x, shape (n,): equal, to rounding, for all copies of a generic point.

    Set by set from the input: a tanh filter's sign, a rectified one's scale (without penalty), then the filters' order,
    all by a generic projection of the weights that come from outside the set.
    """
    x = x.copy()
    free = problem.l2 == 0.0
    for _, parameters, outside, consumers in _blocks(problem):
        if problem.activation == "tanh":
            sign = np.where(_keys(x[parameters[:, outside]]) < 0, -1.0, 1.0)
            _scaled(x, parameters, consumers, sign, 1.0 / sign)
        if problem.activation == "relu" and free:
            incoming = np.sqrt((x[parameters[:, outside]] ** 2).sum(axis=1))
            scale = np.where(incoming > RANK, 1.0 / np.where(incoming > RANK, incoming, 1.0), 1.0)
            _scaled(x, parameters, consumers, scale, 1.0 / scale)
        order = np.argsort(_keys(x[parameters[:, outside]]), kind="stable")
        x = permuted(parameters, consumers, order, x)
    if problem.loss == "cross_entropy" and free:
        last = problem.layers[-1]
        fan = last.sources.shape[1]
        w = x[last.weights : last.weights + last.filters * fan].reshape(last.filters, fan)
        w -= w.mean(axis=0)
        x[last.bias : last.bias + last.filters] -= x[last.bias : last.bias + last.filters].mean()
    return x


def _keys(side: Array) -> Array:
    return np.asarray(side @ generic(1, side.shape[1])[0])


def _scaled(x: Array, parameters: NDArray, consumers: NDArray, before: Array, after: Array) -> None:
    """Multiply what makes each filter by ``before`` and what it feeds by ``after``; recurrent weights get both."""
    for i in range(len(parameters)):
        x[parameters[i]] *= before[i]
        x[consumers[i]] *= after[i]


def permuted(parameters: NDArray, consumers: NDArray, order: NDArray, x: Array) -> Array:
    """Return x with the filters of a set in another order: the new i-th is the old ``order[i]``-th."""
    moved = x.copy()
    moved[parameters] = x[parameters[order]]
    again = moved.copy()
    again[consumers] = moved[consumers[order]]
    return again
