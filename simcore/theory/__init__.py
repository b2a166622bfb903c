"""Exact laws of critical points, without sampling.

Random functions: ``gaussian`` (isotropic Gaussian and torus fields), ``spin`` (spherical p-spin), ``confined`` (a
Gaussian field in a parabola), with the two laws that are *not* those of critical points, ``coin_flip`` and ``goe``,
beside them; ``finite_features`` (a field of finitely many random waves, by Monte Carlo); ``asymptotics`` (many
dimensions). Networks: ``linear`` (Baldi and Hornik's table of a linear autoencoder), ``saxe`` (learning dynamics of
deep linear networks), ``wishart_wigner`` (Pennington and Bahri's random-matrix model of a Hessian). ``tables`` turns
laws into rows for the command line. ``counting``, ``order_statistics`` and ``pfaffian`` are the machinery.

Words: index k, the number of negative Hessian eigenvalues; D, the dimension of the domain; saddle, 0 < k < D.
GOE_n: symmetric, Gaussian, variance 1 off the diagonal and 2 on it.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

_MODULES = (
    "asymptotics",
    "coin_flip",
    "conditional",
    "confined",
    "finite_features",
    "gaussian",
    "goe",
    "linear",
    "saxe",
    "spin",
    "tables",
    "wishart_wigner",
)

__all__ = list(_MODULES)


def __getattr__(name: str) -> ModuleType:
    if name in _MODULES:
        return import_module(f"simcore.theory.{name}")
    raise AttributeError(f"module 'simcore.theory' has no attribute {name!r}; it offers {', '.join(_MODULES)}")


def __dir__() -> list[str]:
    return sorted(__all__)
