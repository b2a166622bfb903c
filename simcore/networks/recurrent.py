"""Small recurrent networks (Elman's) on sequences made by a stated rule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from simcore import validate
from simcore.backends.network_problems import Layer
from simcore.landscapes.base import Array
from simcore.networks.shared import SharedNetwork

TASKS = ("recall", "mean", "parity")


@dataclass(frozen=True)
class RecurrentNetwork(SharedNetwork):
    """Training cost of an Elman network that reads a sequence x_1 .. x_T of numbers and answers at its end.

    h_t = phi(u x_t + W h_{t-1} + b), h_0 = 0, o = V h_T + c.

    Parameters
    ----------
    units : int
        Numbers in h.
    length : int
        T, at least 2.
    task : "recall", "mean" or "parity"
        recall: x_t ~ N(0, 1), y = x_1. mean: x_t ~ N(0, 1), y = (x_1 + ... + x_T) / sqrt T, which has variance 1.
        parity: x_t = +-1 with equal probabilities, y = x_1 x_2 ... x_T.
    samples : int
        Sequences N, drawn afresh in each draw.
    activation : "tanh", "sigmoid", "softplus" or "relu"
    loss : "mse" or "cross_entropy"
        1/(2N) sum (o - y)^2 with one output, or softmax with two outputs for the classes y < 0 and y >= 0.
    l2 : float
        Adds (l2/2)|x|^2 over all parameters, each shared weight counted once.

    Notes
    -----
    Parameters x stand in the order (u | W), b, V, c: the matrix (units, 1 + units) by rows, then biases, then V
    (outputs, units) by rows.

    Start laws, search, statuses and the meaning of ``nullity`` are those of ``MLP``, with start laws "gaussian" and
    "gaussian_0.1" .. "gaussian_1". Symmetry: units may be permuted, tanh units change sign; points are merged modulo
    these. No certificates.

    Raises ``InputError`` for unknown names and numbers out of range.

    Source: Elman, Finding structure in time, Cognitive Science 14 (1990) 179; second derivatives by weight sharing:
    ``simcore.backends.cpu.network``.
    """

    name: ClassVar[str] = "recurrent_network"
    law: ClassVar[str] = "training cost of a small Elman network on sequences made by a stated rule, optional L2"
    parameters: ClassVar[tuple[str, ...]] = ("units", "length", "task", "samples", "activation", "loss", "l2")
    example: ClassVar[dict[str, Any]] = {
        "units": 3,
        "length": 4,
        "task": "recall",
        "samples": 64,
        "activation": "tanh",
        "loss": "mse",
        "l2": 0.01,
    }
    example_draws: ClassVar[int] = 4
    conformance: ClassVar[tuple[dict[str, Any], ...]] = (
        {"units": 2, "length": 3, "task": "recall", "samples": 8, "activation": "tanh", "loss": "mse", "l2": 0.02},
        {"units": 2, "length": 4, "task": "parity", "samples": 9, "activation": "softplus", "loss": "cross_entropy",
         "l2": 0.1},
        {"units": 1, "length": 2, "task": "mean", "samples": 7, "activation": "sigmoid", "loss": "mse", "l2": 0.0},
    )  # fmt: skip

    units: int
    length: int
    task: str = "recall"
    samples: int = 64  # type: ignore[assignment]
    activation: str = "tanh"
    loss: str = "mse"
    l2: float = 0.01

    def __post_init__(self) -> None:
        for name, least in (("units", 1), ("length", 2), ("samples", 1)):
            object.__setattr__(self, name, validate.whole(name, getattr(self, name), least))
        validate.choice("task", self.task, TASKS)
        self._check()

    @property
    def layers(self) -> tuple[Layer, ...]:
        return _layers(self.units, self.length, 1 if self.loss == "mse" else 2)

    @property
    def n(self) -> int:  # type: ignore[override]
        """Number of parameters, shared ones once."""
        last = self.layers[-1]
        return last.bias + last.filters

    @property
    def draws(self) -> int | None:
        return None

    def samples_of(self, seed: int, draw: int) -> tuple[Array, Array]:
        from simcore.formulas.random import normals

        shape = self.samples, self.length
        x = normals(seed, self.stream("data"), draw, 0, self.samples * self.length).reshape(shape)
        if self.task == "parity":
            x = np.where(x < 0, -1.0, 1.0)
        y = {"recall": x[:, 0], "mean": x.sum(axis=1) / np.sqrt(self.length), "parity": x.prod(axis=1)}[self.task]
        targets = y[:, None] if self.loss == "mse" else np.eye(2)[(y >= 0).astype(int)]
        # h_0 = 0 stands behind the sequence, so that the first time has the layer of all others
        return np.concatenate([x, np.zeros((self.samples, self.units))], axis=1), targets


@lru_cache(maxsize=32)
def _layers(units: int, length: int, outputs: int) -> tuple[Layer, ...]:
    """Return the chain: one layer a time, all with the same weights, and the output."""
    width, layers = length + units, []
    for t in range(length):
        state = length if t == 0 else width + (t - 1) * units
        sources = np.concatenate([[t], state + np.arange(units)]).astype(np.int64)[None]
        layers.append(Layer(units, sources, 0, units * (1 + units)))
    at = units * (2 + units)
    sources = width + (length - 1) * units + np.arange(units, dtype=np.int64)[None]
    layers.append(Layer(outputs, sources, at, at + outputs * units))
    return tuple(layers)
