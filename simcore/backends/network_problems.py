"""The small networks as a backend sees them: plain arrays, in the manner of ``simcore.backends.problems``.

Parameters x of a network stand in the order W_1, b_1, W_2, b_2, ..., each matrix row-major (outputs, inputs).
"""

from __future__ import annotations

from typing import NamedTuple

from simcore.backends.problems import Array
from simcore.domains import Space

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
        return Space(self.dimension)


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
        return Space(self.dimension)


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
        return Space(self.dimension)
