"""Random-matrix model of a network's Hessian: Pennington and Bahri (2017, ICML), "Geometry of neural network loss
surfaces via random matrix theory".

Law. Near a critical point of energy E (half the mean squared residual of an output) the Hessian of a network with
P parameters and phi = P / (samples times outputs) is modelled as the free sum H_0 + H_1 of a Wishart matrix of ratio
phi, from the squares of the first derivatives, and a Wigner matrix of variance s^2 = 2 E, from the residuals times the
second derivatives. With R-transforms 1/(1 - phi z) and s^2 z its resolvent G(l) solves

    1/(1 - phi G) + s^2 G + 1/G = l,

a cubic; the density is |Im G| / pi. The lower edge of the spectrum is the largest value of the left side over G < 0,
and it reaches 0 at the critical energy

    E_c = (1 - 20 phi - 8 phi^2 + (1 + 8 phi)^{3/2}) / 16.

Below it no eigenvalue is negative; above it the index fraction grows as (E - E_c)^{3/2}, because the density grows as
a square root from its edge. It is a law for many parameters, of a model that takes both matrices for free.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq

from simcore.errors import InputError

_NODES = 64


def critical_energy(phi: float) -> float:
    """Return E_c, the energy above which eigenvalues are negative, for phi = parameters / (samples times outputs).

    Raises ``InputError`` unless 0 <= phi <= 1.
    """
    _check(phi)
    return (1 - 20 * phi - 8 * phi**2 + (1 + 8 * phi) ** 1.5) / 16


def lower_edge(energy: float, phi: float) -> float:
    """Return the smallest eigenvalue of the spectrum, in units of the Wishart matrix's mean eigenvalue.

    Raises ``InputError`` unless 0 <= phi <= 1 and energy >= 0.
    """
    _check(phi, energy)
    s2 = 2 * energy
    if s2 == 0:
        return (1 - math.sqrt(phi)) ** 2  # Marchenko and Pastur's edge
    if phi == 0:
        return 1 - 2 * math.sqrt(s2)  # the semicircle's, shifted by 1

    def slope(t: float) -> float:  # of the resolvent equation's left side at G = -t, times t^2: falls from 1 to below 0
        return 1 - s2 * t**2 - phi * (t / (1 + phi * t)) ** 2

    t = brentq(slope, 0.0, 1 / math.sqrt(s2), xtol=1e-14)
    return 1 / (1 + phi * t) - s2 * t - 1 / t


def index_fraction(energy: float, phi: float) -> float:
    """Return the fraction of negative eigenvalues at an energy; 0 below ``critical_energy``.

    The density is integrated from its edge with the square root taken out (Gauss-Legendre, 64 nodes: to 1e-9).

    Raises ``InputError`` unless 0 <= phi <= 1 and energy >= 0.
    """
    edge = lower_edge(energy, phi)
    if edge >= 0:
        return 0.0
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    u, w = 0.5 * (nodes + 1), 0.5 * weights
    density = np.array([_density(edge * (1 - v * v), 2 * energy, phi) for v in u])
    return float((w * density * 2 * u).sum() * -edge)


def _density(place: float, s2: float, phi: float) -> float:
    roots = np.roots([-s2 * phi, s2 + place * phi, 1 - phi - place, 1.0])
    return float(np.abs(roots.imag).max() / math.pi)


def _check(phi: float, energy: float = 0.0) -> None:
    if not 0 <= phi <= 1:
        raise InputError(f"phi is {phi}; give parameters / (samples times outputs), between 0 and 1")
    if not 0 <= energy < math.inf:
        raise InputError(f"energy is {energy}; give half a mean squared residual, 0 or more")
