"""Plain GOE: the number of negative eigenvalues of a random symmetric matrix, and its density of eigenvalues.

P_k = P(exactly k eigenvalues of GOE_n are negative) is *not* the law of critical points: those are weighted by |det H|
and shifted by the cost, which makes minima vastly more common. P_0 = 1/2, 1/2 - sqrt(2)/4, (pi - 2 sqrt 2)/(4 pi), ...
and ln P_0 ~ -(ln 3/4) n^2 (Dean and Majumdar 2006, PRL 97, 160201).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf

from simcore.theory.counting import log_normalisation, support_edge
from simcore.theory.frames import law_frame
from simcore.theory.order_statistics import ALL_INDICES_UP_TO, LOWEST, check_order, fill, wanted_counts

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


def goe_law(n: int) -> pd.DataFrame:
    """Return the law of the number of negative eigenvalues of GOE_n.

    Parameters
    ----------
    n : int
        Order of the matrix, 1..200: every index up to 50, beyond that the six lowest and the six highest.

    Returns
    -------
    DataFrame
        As ``simcore.theory.frames.law_frame``; ``fraction`` is P_k, costs do not exist (NaN); ``attrs["unit"]`` is
        "probability" and ``mean_count`` equals ``fraction``.

    Raises
    ------
    InputError
        If n is out of range.
    """
    n = check_order("n", n)
    log_probability, error = _log_probabilities(n)
    k = wanted_counts(n)
    nothing = np.full(len(k), np.nan)
    return law_frame(
        index=k,
        dimension=n,
        log_mean_count=log_probability[k],
        log_total=0.0,
        mean_cost=nothing,
        sd_cost=nothing,
        unit="probability",
        relative_error=error[k].max(),
        law={"n": n},
    )


@lru_cache(maxsize=256)
def _log_probabilities(n: int) -> tuple[Array, Array]:
    wanted = np.zeros(n + 1, dtype=bool)
    wanted[: n // 2 + 1 if n <= ALL_INDICES_UP_TO else LOWEST] = True
    log_weight, error = fill(n, np.zeros(1), None, wanted, distance=False)
    log_weight, error = log_weight[0], error[0]
    upper = np.arange(n + 1) > n / 2  # by the symmetry G -> -G
    return np.where(upper, log_weight[::-1], log_weight), np.where(upper, error[::-1], error)


def log_mean_distance_product(n: int, y: ArrayLike) -> Array:
    """Return ln E_{GOE_n}[prod |l_i - y|], from the one-point function of GOE_{n+1}.

    E prod |l_i - y| = Z_{n+1} / ((n+1) Z_n) exp(y^2/4) R_1(y), R_1 the density of the n + 1 eigenvalues at y.

    Parameters
    ----------
    n : int
        Order of the matrix, at least 1.
    y : (L,)
        Levels.

    Returns
    -------
    (L,) float64
    """
    y = np.asarray(y, dtype=float)
    return log_normalisation(n + 1) - log_normalisation(n) - np.log(n + 1) + y**2 / 4 + np.log(goe_density(n + 1, y))


def goe_density(order: int, y: ArrayLike) -> Array:
    """Return the density of eigenvalues of GOE_order at y; its integral is ``order``.

    With t = y / sqrt 2 and orthonormal Hermite functions phi_j of exp(-t^2/2),

        sqrt(2) R_1 = sum_{j<N} phi_j(t)^2 + sqrt(N/2) phi_{N-1}(t) (1/2) int sgn(t - s) phi_N(s) ds
                      [+ phi_{N-1}(t) / int phi_{N-1} for odd N].

    Parameters
    ----------
    order : int
        N, at least 1.
    y : (L,)
        Levels.

    Returns
    -------
    (L,) float64

    References
    ----------
    Mehta (2004), Random Matrices, 3rd edition, chapter 7.
    """
    t = np.asarray(y, dtype=float) / np.sqrt(2)
    previous, current, last = np.zeros_like(t), np.pi**-0.25 * np.exp(-(t**2) / 2), np.zeros_like(t)
    # half[j] = (1/2) int sgn(t - s) phi_j(s) ds and whole[j] = int phi_j, both by integrating
    # phi_j' = sqrt(j/2) phi_{j-1} - sqrt((j+1)/2) phi_{j+1}; index 0 of the lists is j = -1.
    half = [np.zeros_like(t), np.pi**0.25 * np.sqrt(0.5) * erf(t / np.sqrt(2))]
    whole = [0.0, np.sqrt(2) * np.pi**0.25]
    total = np.zeros_like(t)
    for j in range(order):
        total += current**2
        last = current
        half.append(np.sqrt(j / (j + 1)) * half[-2] - np.sqrt(2 / (j + 1)) * current)
        whole.append(np.sqrt(j / (j + 1)) * whole[-2])
        previous, current = current, np.sqrt(2 / (j + 1)) * t * current - np.sqrt(j / (j + 1)) * previous
    total += np.sqrt(order / 2) * last * half[order + 1]
    if order % 2:
        total += last / whole[order]
    return total / np.sqrt(2)


def log_gaussian_total(n: int, a: float, b: float = 0.0) -> float:
    """Return ln int exp(-a y^2 - b y) E_{GOE_n}[prod |l_i - y|] dy, a >= 1/4."""
    edge = max(support_edge(n + 1), abs(b) / (2 * a) + np.sqrt(n / a) + 12)
    y = np.arange(-edge, edge, min(0.02, 0.4 / np.sqrt(n)))
    with np.errstate(divide="ignore"):
        log_term = log_mean_distance_product(n, y) - a * y**2 - b * y
    shift = log_term.max()
    return float(shift + np.log(np.exp(log_term - shift).sum() * (y[1] - y[0])))
