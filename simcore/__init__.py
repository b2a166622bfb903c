"""simcore: critical points of random functions and small neural networks, counted honestly and fast.

    import simcore

    landscape = simcore.SphericalSpin(n=8, p=3)
    found = simcore.enumerate_critical_points(landscape, draw=0, seed=1)  # .points DataFrame, .audit
    exact = simcore.expected_counts(landscape)                            # DataFrame, a row an index

Public names load on first use, so that ``import simcore`` costs next to nothing: neither Numba nor pandas is
imported, and nothing is compiled, before a name needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from simcore import plot as plot
    from simcore import theory as theory
    from simcore.counts.estimate import estimate_counts as estimate_counts
    from simcore.counts.result import Counts as Counts
    from simcore.domains import Box as Box
    from simcore.domains import Space as Space
    from simcore.domains import Sphere as Sphere
    from simcore.domains import Torus as Torus
    from simcore.errors import IncompleteWarning as IncompleteWarning
    from simcore.errors import InputError as InputError
    from simcore.errors import RunError as RunError
    from simcore.errors import SimcoreError as SimcoreError
    from simcore.landscapes.autodiff import from_jax as from_jax
    from simcore.landscapes.autodiff import from_torch as from_torch
    from simcore.landscapes.base import Landscape
    from simcore.landscapes.custom import CustomLandscape as CustomLandscape
    from simcore.landscapes.registry import register as register
    from simcore.landscapes.spin import SphericalSpin as SphericalSpin
    from simcore.landscapes.waves import ConfinedField as ConfinedField
    from simcore.landscapes.waves import GaussianField as GaussianField
    from simcore.landscapes.waves import TorusField as TorusField
    from simcore.networks.convolutional import ConvolutionalNetwork as ConvolutionalNetwork
    from simcore.networks.linear import LinearNetwork as LinearNetwork
    from simcore.networks.mlp import MLP as MLP
    from simcore.networks.recurrent import RecurrentNetwork as RecurrentNetwork
    from simcore.networks.sigmoid_unit import SigmoidUnit as SigmoidUnit
    from simcore.run import run as run
    from simcore.search.ball import ball_critical_points as ball_critical_points
    from simcore.search.enumerate import Enumeration as Enumeration
    from simcore.search.enumerate import enumerate_critical_points as enumerate_critical_points
    from simcore.search.find import find_critical_points as find_critical_points
    from simcore.search.frames import positions as positions
    from simcore.search.graph import MorseGraph as MorseGraph
    from simcore.search.graph import morse_graph as morse_graph
    from simcore.search.solvers import Auto as Auto
    from simcore.search.solvers import LevenbergMarquardt as LevenbergMarquardt
    from simcore.search.solvers import Newton as Newton
    from simcore.search.solvers import PseudoInverseNewton as PseudoInverseNewton
    from simcore.search.solvers import RegularisedNewton as RegularisedNewton
    from simcore.search.solvers import SaddleFreeNewton as SaddleFreeNewton
    from simcore.statistics.audit import audit_counts as audit_counts
    from simcore.sweep import iter_shards as iter_shards
    from simcore.sweep import load as load
    from simcore.trajectories.trajectory import trajectory as trajectory

__version__ = "0.2.0"

_HOME = {
    "Auto": "simcore.search.solvers",
    "Box": "simcore.domains",
    "ConfinedField": "simcore.landscapes.waves",
    "ConvolutionalNetwork": "simcore.networks.convolutional",
    "Counts": "simcore.counts.result",
    "CustomLandscape": "simcore.landscapes.custom",
    "Enumeration": "simcore.search.enumerate",
    "GaussianField": "simcore.landscapes.waves",
    "IncompleteWarning": "simcore.errors",
    "InputError": "simcore.errors",
    "LevenbergMarquardt": "simcore.search.solvers",
    "LinearNetwork": "simcore.networks.linear",
    "MLP": "simcore.networks.mlp",
    "MorseGraph": "simcore.search.graph",
    "Newton": "simcore.search.solvers",
    "PseudoInverseNewton": "simcore.search.solvers",
    "RecurrentNetwork": "simcore.networks.recurrent",
    "RegularisedNewton": "simcore.search.solvers",
    "RunError": "simcore.errors",
    "SaddleFreeNewton": "simcore.search.solvers",
    "SigmoidUnit": "simcore.networks.sigmoid_unit",
    "SimcoreError": "simcore.errors",
    "Space": "simcore.domains",
    "Sphere": "simcore.domains",
    "SphericalSpin": "simcore.landscapes.spin",
    "Torus": "simcore.domains",
    "TorusField": "simcore.landscapes.waves",
    "audit_counts": "simcore.statistics.audit",
    "ball_critical_points": "simcore.search.ball",
    "enumerate_critical_points": "simcore.search.enumerate",
    "estimate_counts": "simcore.counts.estimate",
    "find_critical_points": "simcore.search.find",
    "from_jax": "simcore.landscapes.autodiff",
    "from_torch": "simcore.landscapes.autodiff",
    "iter_shards": "simcore.sweep",
    "load": "simcore.sweep",
    "morse_graph": "simcore.search.graph",
    "positions": "simcore.search.frames",
    "register": "simcore.landscapes.registry",
    "run": "simcore.run",
    "trajectory": "simcore.trajectories.trajectory",
}
"""The module that defines each public name."""

_MODULES = ("plot", "theory")

__all__ = ["__version__", "expected_counts", *_MODULES, *_HOME]


def expected_counts(landscape: Landscape, *, finite_features: bool = False) -> pd.DataFrame:
    """Return the exact law of a landscape's critical points, a row an index.

    Parameters
    ----------
    landscape : Landscape
        Any landscape with a known law: ``TorusField``, ``GaussianField``, ``SphericalSpin``, ``ConfinedField``.
    finite_features : bool
        For fields of random waves: the law of their own number of features, by Monte Carlo, instead of the law of
        infinitely many; adds the column ``mean_count_se``, which is 0 where the law is exact at any number.

    Returns
    -------
    DataFrame with columns
        ``morse_index`` (int), ``mean_count`` (per draw on a compact or confined domain, per unit volume on R^n;
        ``.attrs["unit"]`` says which), ``fraction`` (sums to 1), ``mean_cost`` and ``sd_cost`` (mean and standard
        deviation of f at critical points of that index). The exact laws also have ``log_mean_count`` and
        ``log_fraction``, natural logarithms, finite where the others underflow. All indices for n <= 50; beyond, the
        lowest (and the highest, where they are not much rarer). ``.attrs`` also holds ``total``, ``log_total``,
        ``complete`` (every index listed) and ``relative_error``.

    Raises
    ------
    InputError
        If no exact law is known for this landscape, or ``landscape`` is not one.

    Sources
    -------
    Kac-Rice: mean number of index k = int E[|det Hess f| 1(index = k) | grad f = 0] p_{grad f}(0) dx. The docstring of
    each module of ``simcore.theory`` turns it into integrals over GOE matrices and cites the paper.
    """
    from simcore.errors import instance_wanted
    from simcore.landscapes.base import Landscape

    if not isinstance(landscape, Landscape):
        raise instance_wanted("the landscape of expected_counts", landscape, "TorusField(n=4)")
    return landscape.expected_counts(finite_features=finite_features)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    elif name in _MODULES:
        value = import_module(f"simcore.{name}")
    else:
        raise AttributeError(f"module 'simcore' has no attribute {name!r}; it offers {', '.join(sorted(__all__))}")
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
