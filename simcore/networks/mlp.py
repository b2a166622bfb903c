"""Fully connected networks: the training cost as a function of all weights and biases."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simcore import validate
from simcore.backends.network_problems import ACTIVATIONS, LOSSES, Mlp
from simcore.backends.reference_network import hidden_inputs
from simcore.errors import InputError
from simcore.landscapes.base import Array, Scales
from simcore.networks import data as training_data
from simcore.networks import symmetry
from simcore.networks.base import Network, NetworkDraw, layer_widths
from simcore.networks.starts import LAWS, sources, starts

KINK = 1e-9  # a rectified unit whose input on some sample is smaller lies at its kink: second derivatives jump there
_SMALL = {"kind": "teacher", "widths": [2, 2, 1], "samples": 7, "noise": 0.1}
_CLASSES = {"kind": "gaussian", "spectrum": [1.0, 2.0], "samples": 6, "targets": "classes", "outputs": 3}


class MlpDraw(NetworkDraw):
    """The training cost of one network on one set of data."""

    @cached_property
    def problem(self) -> Mlp:  # type: ignore[override]
        network = self.landscape
        x, y = network.data.load(seed=self.seed, draw=self.number, stream=network.stream("data"))
        if network.loss == "cross_entropy" and (y.min() < 0 or np.abs(y.sum(axis=1) - 1).max() > 1e-9):
            raise InputError("cross_entropy needs targets that are probabilities: none negative, each row summing to 1")
        return Mlp(network.widths, network.activation, network.loss, x, y, network.l2)

    def symmetry_dimension(self, x: Array) -> NDArray[np.int64]:
        return np.array([symmetry.mlp_orbit_dimension(self.problem, row) for row in x], np.int64)

    def saturated(self, x: Array) -> NDArray[np.bool_]:
        limit = {"tanh": 8.0, "sigmoid": 15.0}.get(self.problem.activation, np.inf)
        if self.problem.l2 > 0:  # nothing runs away from the penalty
            limit = np.inf
        return np.asarray((np.abs(hidden_inputs(self.problem, x)) > limit).any(axis=(1, 2)))

    def kinked(self, x: Array) -> NDArray[np.bool_]:
        if self.problem.activation != "relu":
            return super().kinked(x)
        return np.asarray((np.abs(hidden_inputs(self.problem, x)) < KINK).any(axis=(1, 2)))

    def canonical(self, x: Array) -> Array:
        return np.array([symmetry.canonical_mlp(self.problem, row) for row in x]).reshape(x.shape)

    def orbit_size(self, x: Array) -> int:
        """Return how many images a point x, shape (n,), has under permutations and signs of its hidden units."""
        return symmetry.orbit_size(self.problem, x)

    def outputs(self, x: Array) -> Array:
        """Return the network's outputs on its data, shape (S, N, outputs), for x of shape (S, n) or (n,)."""
        from simcore.backends.reference_network import outputs

        return outputs(self.problem, np.asarray(x, dtype=np.float64))

    def data_cost(self, x: Array) -> Array:
        """Return the cost without its L2 term, shape (S,), for x of shape (S, n)."""
        x = np.atleast_2d(x)
        return self.value(x) - 0.5 * self.problem.l2 * (x * x).sum(axis=1)

    def error_rate(self, x: Array) -> Array:
        """Return the fraction of samples whose largest output is not their largest target, shape (S,)."""
        return (self.outputs(x).argmax(axis=2) != self.problem.targets.argmax(axis=1)).mean(axis=1)


@dataclass(frozen=True)
class MLP(Network):
    """Training cost of a fully connected network, outputs o = W_L a_{L-1} + b_L, a_l = phi(W_l a_{l-1} + b_l).

    Parameters
    ----------
    widths : sequence of int
        (inputs, hidden, ..., outputs); they must fit the data.
    activation : "tanh", "sigmoid", "softplus", "relu" or "linear"
    loss : "mse" or "cross_entropy"
        1/(2N) sum |o - y|^2, or -(1/N) sum y . log softmax(o), over N samples.
    data : str, table, pair of arrays or ``simcore.networks.data.Data``
        Where the samples come from; see ``simcore.networks.data``.
    l2 : float
        Adds (l2/2)|x|^2 over all parameters, biases included. Without it critical points of these networks are
        degenerate or lie at infinity: on digits, no start of a tanh or softplus network ended at an isolated one.

    Parameters x stand in the order W_1, b_1, W_2, b_2, ..., each matrix row-major (outputs, inputs). With fixed data
    there is one draw; random kinds draw their data, and teacher, afresh in each draw.

    Notes
    -----
    Start laws (``simcore.networks.starts``): "gaussian", entries N(0, s^2) with s = 0.1, 0.3, 0.6, 1 in turn;
    "gaussian_0.1" .. "gaussian_1" alone; "gradient_descent", "sgd", "adam", "saddle_free_newton": points along such a
    trajectory plus noise; "descents": from saddles of the network with tied units; "mixed": all kinds in turn.

    Search: ``method = "auto"`` is Levenberg-Marquardt on the gradient, which ends at points of any index and stops
    early where the gradient is flat. Gradient scale 1, length 1, region max |x_i| <= 100: beyond it a unit has
    saturated, and |g| -> 0 at infinity; without L2 a start has left the domain as well where |g| is small only by
    saturation.

    relu: gradient and Hessian are those of the linear piece that x lies in. At a kink (a unit at zero on a sample)
    there are none, and minima do lie at kinks: no Newton method ends there, such starts say ``max_iterations``.

    Symmetry: units of a layer may be permuted, tanh units change sign (sigmoid units reflect, without L2): points are
    merged modulo these. ``nullity`` is compared with the dimension of the continuous symmetry at the point: without L2
    one per rectified unit, h + 1 for softmax outputs on h hidden units, the change of basis of linear layers.

    Raises ``InputError`` for unknown names, widths that don't fit the data, a negative l2.

    Source: exact Hessian: derived in ``simcore.backends.reference_network`` (cf. Bishop 1992).
    """

    name: ClassVar[str] = "mlp"
    law: ClassVar[str] = "training cost of a fully connected network, mean squares or cross-entropy, optional L2"
    start_laws: ClassVar[tuple[str, ...]] = LAWS
    parameters: ClassVar[tuple[str, ...]] = ("widths", "activation", "loss", "data", "l2")
    solver: ClassVar[str] = "levenberg_marquardt"
    example: ClassVar[dict[str, Any]] = {
        "widths": [3, 3, 2],
        "activation": "tanh",
        "loss": "mse",
        "data": {"kind": "teacher", "widths": [3, 3, 2], "samples": 100},
        "l2": 0.01,
    }
    example_draws: ClassVar[int] = 10
    conformance: ClassVar[tuple[dict[str, Any], ...]] = (
        {"widths": [2, 3, 1], "activation": "tanh", "loss": "mse", "data": _SMALL, "l2": 0.01},
        {"widths": [2, 3, 2, 1], "activation": "softplus", "loss": "mse", "data": _SMALL, "l2": 0.0},
        {"widths": [2, 2, 3], "activation": "sigmoid", "loss": "cross_entropy", "data": _CLASSES, "l2": 0.1},
        {"widths": [2, 2, 3], "activation": "relu", "loss": "cross_entropy", "data": _CLASSES, "l2": 0.0},
        {"widths": [2, 2, 1], "activation": "linear", "loss": "mse", "data": _SMALL, "l2": 0.0},
    )
    list_depths: ClassVar[dict[str, int]] = {"widths": 1, "data": 0}

    widths: tuple[int, ...]
    activation: str
    loss: str
    data: Any
    l2: float = 0.0

    def __post_init__(self) -> None:
        widths = layer_widths(self.widths)
        validate.choice("activation", self.activation, ACTIVATIONS)
        validate.choice("loss", self.loss, LOSSES)
        if isinstance(self.l2, bool) or not isinstance(self.l2, (int, float)) or not 0 <= self.l2 < np.inf:
            raise InputError(f"l2 is {self.l2!r}; give a number of at least 0")
        found = training_data.labelled(training_data.source(self.data), widths[-1] if widths[-1] > 1 else 0)
        samples, inputs, outputs = found.shape
        if self.loss == "cross_entropy" and outputs == 1 and outputs != widths[-1]:
            raise InputError(
                f"cross_entropy was given one number a sample, not all labels 0 to {widths[-1] - 1}; give such labels, "
                f"or one-hot rows, shape ({samples}, {widths[-1]}): numpy.eye({widths[-1]})[labels]"
            )
        if (inputs, outputs) != (widths[0], widths[-1]):
            raise InputError(
                f"widths is {widths}, but the data have {inputs} inputs and {outputs} outputs; make them equal"
            )
        if self.loss == "cross_entropy" and outputs < 2:
            raise InputError("cross_entropy needs at least 2 outputs, one a class; give two columns of targets")
        object.__setattr__(self, "widths", widths)
        object.__setattr__(self, "data", found)
        object.__setattr__(self, "l2", float(self.l2))

    @property
    def n(self) -> int:  # type: ignore[override]
        """Number of parameters."""
        return sum((a + 1) * b for a, b in zip(self.widths[:-1], self.widths[1:], strict=True))

    @property
    def draws(self) -> int | None:
        return None if self.data.random else 1

    @property
    def samples(self) -> int:
        return self.data.shape[0]

    @cached_property
    def scales(self) -> Scales:  # type: ignore[override]
        return Scales(1.0, 1.0, 1.0, 100.0)

    @property
    def coercive(self) -> bool:
        return self.l2 > 0.0 and len(self.widths) == 3 and self.activation in ("tanh", "sigmoid", "softplus")

    @property
    def starts_to_enumerate(self) -> float:
        """Walks from class to class take 768 to 2,304 moves, 0.5 to 2.5 s, where a list is enumerated (9 to 17
        parameters, l2 = 0.01, 20 samples): as long as some 600 starts. Weaker penalties take up to 70 times as long
        (``docs/counts.md``), which calibration sees and this does not."""
        return 600.0 if self.coercive else super().starts_to_enumerate

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"name": "mlp", ...}`` with the description of the data, JSON-safe."""
        return {**super().to_dict(), "widths": list(self.widths), "data": self.data.describe()}

    def draw(self, *, seed: int, draw: int = 0) -> MlpDraw:
        return MlpDraw(self, *self._address(seed, draw))

    def starts(self, *, seed: int, draw: int, first: int, count: int, law: str | None = None) -> Array:
        first, count = validate.start_range(first, count)
        return starts(self, self.check_start_law(law), seed, draw, first, count)

    def sources(self, law: str, first: int, count: int) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        return sources(law, first, count)
