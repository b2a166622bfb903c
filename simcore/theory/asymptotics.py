"""Laws in many dimensions: growth of the ratio, cost against index, thresholds of the p-spin model, trivialisation.

These are limits, approached slowly; tests and studies compare with the finite-n laws of the other modules.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simcore.errors import InputError

Array = NDArray[np.float64]


def log_minima_fraction(n: ArrayLike) -> Array:
    """Return -n + (4 sqrt 2/3) sqrt n - (2^{7/4}/3) n^{1/4}: ln of the fraction of minima of an isotropic Gaussian
    field in n dimensions, up to O(ln n). Bray and Dean (2007) give the leading term; the rate per dimension tends to 1
    (coin flips: ln 2) as slowly as 1 - O(n^{-1/2}).
    """
    size: Array = np.asarray(n, dtype=float)
    return -size + 4 * np.sqrt(2) / 3 * np.sqrt(size) - 2**1.75 / 3 * size**0.25


def cost_of_index_fraction(fraction: ArrayLike, *, kappa: float = 1.0) -> Array:
    """Return f/sqrt(n) at critical points of index fraction alpha of an isotropic Gaussian field, n large.

    alpha = (theta - sin theta cos theta)/pi and f/sqrt n = -2 kappa cos theta, theta in (0, pi) (Bray and Dean 2007);
    kappa = |B'(0)|/sqrt(B''(0)), 1 for the covariance exp(-r^2/2).

    Parameters
    ----------
    fraction : array_like
        alpha = index/n, in [0, 1].
    kappa : float
        As above.

    Returns
    -------
    float64, the shape of fraction

    Raises
    ------
    InputError
        If a fraction is outside [0, 1].
    """
    alpha = np.asarray(fraction, dtype=float)
    if not np.all((alpha >= 0) & (alpha <= 1)):
        raise InputError("an index fraction lies between 0 and 1; some of those given do not")
    low, high = np.zeros_like(alpha), np.full_like(alpha, np.pi)
    for _ in range(60):  # bisection: the slope vanishes at both ends, where Newton's method would fail
        middle = (low + high) / 2
        below = (middle - np.sin(middle) * np.cos(middle)) / np.pi < alpha
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return -2 * kappa * np.cos((low + high) / 2)


def spin_complexity(u: ArrayLike, p: int, index: int | None = None) -> Array:
    """Return the p-spin complexity at energies per spin up to u: lim (1/N) ln E[number with H/N <= u].

    With E_inf = 2 sqrt((p-1)/p) and I_1(u) = int_{E_inf}^{|u|} (2/E_inf^2) sqrt(t^2 - E_inf^2) dt,

        index k:  theta_k(u) = ln(p-1)/2 - ((p-2)/(4(p-1))) u^2 - (k+1) I_1(u)   for u <= -E_inf, constant above,
        all:      theta(u) = ln(p-1)/2 - ((p-2)/(4(p-1))) u^2 [- I_1(u) for u < -E_inf]   for u <= 0, constant above

    (Auffinger, Ben Arous and Cerny 2013, theorems 2.5 and 2.8).

    Parameters
    ----------
    u : array_like
        Energy per spin, H/N.
    p : int
        Order of the interaction, at least 3.
    index : int, optional
        Index k of the critical points; None for all of them.

    Returns
    -------
    float64, the shape of u

    Raises
    ------
    InputError
        If p is below 3 or index is negative.
    """
    edge = spin_threshold(p)
    if index is not None and index < 0:
        raise InputError(f"index is {index}; an index is at least 0")
    energy: Array = np.minimum(np.asarray(u, dtype=float), 0.0 if index is None else -edge)
    beyond = np.maximum(-energy, edge)
    root = np.sqrt(beyond**2 - edge**2)
    rate = (beyond * root - edge**2 * np.log((beyond + root) / edge)) / edge**2
    times = 1 if index is None else index + 1
    return 0.5 * np.log(p - 1) - (p - 2) / (4 * (p - 1)) * energy**2 - times * rate


def spin_threshold(p: int) -> float:
    """Return E_inf = 2 sqrt((p-1)/p): below -E_inf critical points have finite index in the limit of large N."""
    if p < 3:
        raise InputError(f"p is {p}; thresholds are those of p-spin models with p at least 3")
    return float(2 * np.sqrt((p - 1) / p))


def spin_ground_state(p: int, index: int = 0) -> float:
    """Return E_k, minus the energy per spin below which there are no points of index k or more: theta_k(-E_k) = 0.

    E_0 is minus the ground state energy per spin in the limit of large N.
    """
    low, high = spin_threshold(p), 4 * np.sqrt(np.log(p) + 1)
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if spin_complexity(-middle, p, index) > 0 else (low, middle)
    return float((low + high) / 2)


def confined_complexity(m: float) -> tuple[float, float]:
    """Return lim ln(N_total)/n and lim ln(N_minima)/n for a Gaussian field in a parabola, mu = m sqrt(n).

    (m^2 - 1)/2 - ln m and -3/2 + 2m - m^2/2 - ln m for m < 1 (Fyodorov 2004; Fyodorov and Williams 2007), 0 for m >= 1.

    Raises InputError if m is not positive.
    """
    if not m > 0:
        raise InputError(f"m is {m!r}; the strength of the confinement is a positive number")
    if m >= 1:
        return 0.0, 0.0
    return (m * m - 1) / 2 - float(np.log(m)), -1.5 + 2 * m - m * m / 2 - float(np.log(m))
