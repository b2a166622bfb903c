"""What a benchmark is asked for, and the landscape that it means."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from simcore.errors import InputError


@dataclass(frozen=True)
class Settings:
    """The options of ``simcore bench``; None where a case has its own default."""

    landscape: str | None = None
    n: int | None = None
    features: int = 1024
    p: int = 3
    widths: tuple[int, ...] | None = None
    activation: str = "tanh"
    loss: str = "mse"
    threads: int = 1
    backend: str = "cpu"
    repeats: int = 5
    peers: bool = False

    def table(self, default: str, size: int) -> dict[str, Any]:
        """Return the landscape as a configuration table, with a case's own default name and size."""
        from simcore.landscapes import registry

        name = self.landscape or default
        known = registry.get_class(name).parameters
        table: dict[str, Any] = {"name": name}
        if "n" in known:
            table["n"] = size if self.n is None else self.n
        if "features" in known:
            table["features"] = self.features
        if "p" in known:
            table["p"] = self.p
        if "m" in known:
            table["m"] = 0.5
        if name in _NETWORKS:
            table.update(_NETWORKS[name](self.widths))
        return table

    def network(self) -> dict[str, Any]:
        """Return the network of ``bench network``: a fully connected one, by default of 101 parameters."""
        widths = self.widths or (8, 10, 1)
        if self.loss == "cross_entropy" and self.widths is None:
            widths = (8, 8, 3)
        table = {"name": "mlp", **_mlp(widths), "activation": self.activation, "loss": self.loss}
        if self.loss == "cross_entropy":
            count = table["data"]["samples"]
            classes = {"targets": "classes", "outputs": widths[-1], "samples": count}
            table["data"] = {"kind": "gaussian", "spectrum": [1.0] * widths[0], **classes}
        return table


def _mlp(widths: tuple[int, ...] | None) -> dict[str, Any]:
    """A tanh network that learns a smaller one from twice as many samples as it has parameters."""
    given = _required("mlp", widths)
    parameters = sum((a + 1) * b for a, b in pairwise(given))
    data = {"kind": "teacher", "widths": [given[0], 2, given[-1]], "samples": 2 * parameters, "noise": 0.1}
    return {"widths": list(given), "activation": "tanh", "loss": "mse", "data": data, "l2": 1e-2}


def _linear(widths: tuple[int, ...] | None) -> dict[str, Any]:
    """A linear autoencoder of a diagonal covariance with the eigenvalues 1, 2, 3, ..."""
    given = _required("linear_network", widths)
    return {"widths": list(given), "covariance": [float(i) for i in range(given[0], 0, -1)]}


def _sigmoid(widths: tuple[int, ...] | None) -> dict[str, Any]:
    """The family's own example."""
    from simcore.networks.sigmoid_unit import SigmoidUnit

    return dict(SigmoidUnit.example)


_NETWORKS = {"mlp": _mlp, "linear_network": _linear, "sigmoid_unit": _sigmoid}


def _required(name: str, widths: tuple[int, ...] | None) -> tuple[int, ...]:
    if widths is None:
        raise InputError(f"{name} needs its layer widths; give --widths, such as --widths 4,8,1")
    return widths
