"""Small convolutional networks: filters over square images, strides in place of pooling, one dense layer on top."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from simcore import validate
from simcore.backends.network_problems import Layer
from simcore.errors import InputError
from simcore.landscapes.base import Array
from simcore.networks import data as training_data
from simcore.networks.shared import SharedNetwork

_PIXELS = {"kind": "gaussian", "spectrum": [1.0] * 16, "samples": 8, "targets": "classes", "outputs": 2}


@dataclass(frozen=True)
class ConvolutionalNetwork(SharedNetwork):
    """Training cost of a small convolutional network on square images of one channel.

    Layer k has ``filters[k]`` channels a_k = phi(z_k), z_k(f, y, x) = b_f + sum over channels c and offsets (u, v) of
    W_f,c,u,v a_{k-1}(c, s y + u, s x + v): kernels of side ``kernel``, stride s = ``stride``, no padding. The stride
    takes the place of pooling, so the cost is as smooth as phi. One dense layer gives the outputs.

    Parameters
    ----------
    filters : sequence of int
        Channels of each convolutional layer, one or two of them in most uses.
    activation : "tanh", "sigmoid", "softplus" or "relu"
    loss : "mse" or "cross_entropy"
        As for ``MLP``.
    data : str, table, pair of arrays or ``simcore.networks.data.Data``
        Images as rows of side^2 pixels, row by row; see ``simcore.networks.data``. Default the 8 x 8 digits.
    l2 : float
        Adds (l2/2)|x|^2 over all parameters, each shared weight counted once.
    kernel : int
        Side of the square of pixels that a unit sees, at least 1.
    stride : int
        Pixels from one unit to the next, at least 1.

    Notes
    -----
    Parameters x stand in the order W_1, b_1, W_2, b_2, ...: kernels as (filters, channels, kernel, kernel), the dense
    matrix as (outputs, channels x height x width), rows of rows.

    Start laws, search, statuses and the meaning of ``nullity`` are those of ``MLP``, with start laws "gaussian" and
    "gaussian_0.1" .. "gaussian_1". Symmetry: the channels of a layer may be permuted, tanh channels change sign; points
    are merged modulo these. No certificates.

    Raises ``InputError`` for unknown names, images that are not square or too small for the kernels, a negative l2.

    Source: Goodfellow, Bengio & Courville (2016), chapter 9; second derivatives by weight sharing:
    ``simcore.backends.cpu.network``.
    """

    name: ClassVar[str] = "convolutional_network"
    law: ClassVar[str] = "training cost of a small convolutional network, strides in place of pooling, optional L2"
    parameters: ClassVar[tuple[str, ...]] = ("filters", "activation", "loss", "data", "l2", "kernel", "stride")
    example: ClassVar[dict[str, Any]] = {
        "filters": [2],
        "activation": "tanh",
        "loss": "cross_entropy",
        "data": {"kind": "digits", "samples": 40},
        "l2": 0.01,
        "kernel": 3,
        "stride": 2,
    }
    conformance: ClassVar[tuple[dict[str, Any], ...]] = (
        {"filters": [2], "activation": "tanh", "loss": "mse", "data": _PIXELS, "l2": 0.02, "kernel": 2, "stride": 2},
        {"filters": [2, 2], "activation": "softplus", "loss": "cross_entropy", "data": _PIXELS, "l2": 0.1, "kernel": 2,
         "stride": 1},
        {"filters": [1], "activation": "sigmoid", "loss": "cross_entropy", "data": _PIXELS, "l2": 0.0, "kernel": 3,
         "stride": 1},
    )  # fmt: skip
    list_depths: ClassVar[dict[str, int]] = {"filters": 1, "data": 0}

    filters: tuple[int, ...]
    activation: str = "tanh"
    loss: str = "cross_entropy"
    data: Any = "digits"
    l2: float = 0.01
    kernel: int = 3
    stride: int = 2

    def __post_init__(self) -> None:
        if isinstance(self.filters, (str, bytes)) or not hasattr(self.filters, "__iter__"):
            raise InputError(f"filters is {self.filters!r}; give a list of the channels of each convolutional layer")
        filters = tuple(validate.whole("each of filters", f, 1) for f in self.filters)
        if not filters:
            raise InputError("filters is empty; give the channels of at least one convolutional layer")
        self._check()
        kernel, stride = validate.whole("kernel", self.kernel, 1), validate.whole("stride", self.stride, 1)
        found = training_data.source(self.data)
        if self.loss == "cross_entropy":
            found = training_data.labelled(found, None)
        _, inputs, outputs = found.shape
        side = round(inputs**0.5)
        if side * side != inputs:
            raise InputError(f"the data have {inputs} inputs, which is no square image; give side x side pixels a row")
        for number in range(len(filters)):
            if side < kernel:
                raise InputError(
                    f"layer {number + 1} sees images of {side} x {side} and kernels of {kernel} x {kernel}; "
                    "give fewer layers, smaller kernels or a smaller stride"
                )
            side = (side - kernel) // stride + 1
        if self.loss == "cross_entropy" and outputs < 2:
            raise InputError("cross_entropy needs at least 2 outputs, one a class; give labels or two columns")
        for name, value in (("filters", filters), ("kernel", kernel), ("stride", stride), ("data", found)):
            object.__setattr__(self, name, value)

    @property
    def layers(self) -> tuple[Layer, ...]:
        _, inputs, outputs = self.data.shape
        return _layers(round(inputs**0.5), self.filters, self.kernel, self.stride, outputs)

    @property
    def n(self) -> int:  # type: ignore[override]
        """Number of parameters, shared ones once."""
        last = self.layers[-1]
        return last.bias + last.filters

    @property
    def draws(self) -> int | None:
        return None if self.data.random else 1

    @property
    def samples(self) -> int:
        return int(self.data.shape[0])

    def samples_of(self, seed: int, draw: int) -> tuple[Array, Array]:
        x, y = self.data.load(seed=seed, draw=draw, stream=self.stream("data"))
        return x, y

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters with the description of the data, JSON-safe."""
        return {**super().to_dict(), "filters": list(self.filters), "data": self.data.describe()}


@lru_cache(maxsize=32)
def _layers(side: int, filters: tuple[int, ...], kernel: int, stride: int, outputs: int) -> tuple[Layer, ...]:
    """Return the chain: a place is a position of the kernel, rows of positions one after the other."""
    layers, at, first, channels = [], 0, 0, 1
    for count in filters:
        after = (side - kernel) // stride + 1
        c, u, v = np.meshgrid(np.arange(channels), np.arange(kernel), np.arange(kernel), indexing="ij")
        y, x = np.meshgrid(np.arange(after), np.arange(after), indexing="ij")
        rows, columns = stride * y.reshape(-1, 1) + u.ravel(), stride * x.reshape(-1, 1) + v.ravel()
        sources = first + c.ravel() * side * side + rows * side + columns
        fan = sources.shape[1]
        layers.append(Layer(count, sources.astype(np.int64), at, at + count * fan))
        at += count * (fan + 1)
        first, channels, side = first + channels * side * side, count, after
    sources = first + np.arange(channels * side * side, dtype=np.int64)[None]
    layers.append(Layer(outputs, sources, at, at + outputs * sources.shape[1]))
    return tuple(layers)
