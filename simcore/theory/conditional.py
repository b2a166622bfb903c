"""The law of the index at a given cost: which eigenvalues are negative, once the height of a critical point is known.

Law. At a critical point of the spherical p-spin with energy per spin u the Hessian is a GOE matrix of order D = N - 1
shifted by y = u sqrt(pN/(p-1)) (``simcore.theory.spin``), and the weight that the energy itself carries is common to
all indices. So with q_k as in ``simcore.theory.counting``, for GOE_D,

    P(index k | u) = q_k(y) / sum_j q_j(y),        density of y over all points  ~  exp(-(p-1) y^2/(2p)) sum_j q_j(y),

which does not depend on p but for the scale of u. A minimum is likeliest far below, a maximum far above.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simcore.errors import InputError
from simcore.theory.counting import count_weights, support_edge
from simcore.theory.order_statistics import check_order

Array = NDArray[np.float64]

_LARGEST = 40
_NODES = 40  # Gauss-Legendre nodes a band: the integrands are entire


def spin_index_given_energy(n: int, energies: ArrayLike, p: int = 3) -> Array:
    """Return P(index = k | u) of the critical points of ``SphericalSpin(n, p)``, shape (len(energies), n).

    Parameters
    ----------
    n : int
        Number of spins, 2..40; the index runs from 0 to n - 1.
    energies : (L,)
        Energies per spin u = H/n.
    p : int
        Order of the interaction, at least 2.

    Raises
    ------
    InputError
        If n or p is out of range.
    """
    log_q = _log_weights(n, np.atleast_1d(np.asarray(energies, float)) * _scale(n, p))
    q = np.exp(log_q - log_q.max(axis=1, keepdims=True))
    return q / q.sum(axis=1, keepdims=True)


def spin_index_in_bands(n: int, edges: ArrayLike, p: int = 3) -> tuple[Array, Array]:
    """Return the exact share of each band of energies among all critical points, and of each index within it.

    Parameters
    ----------
    n, p : as in ``spin_index_given_energy``.
    edges : (B + 1,) ascending energies per spin; -inf and inf are allowed at the ends.

    Returns
    -------
    shares : (B,) mean number of critical points in the band over that of all.
    fractions : (B, n) fraction of each index in a band; rows sum to 1.

    Raises
    ------
    InputError
        If n or p is out of range, or the edges do not ascend.
    """
    scale, furthest = _scale(n, p), support_edge(n)
    y = np.clip(np.asarray(edges, float) * scale, -furthest, furthest)
    if y.ndim != 1 or len(y) < 2 or not (np.diff(y) > 0).all():
        raise InputError(f"edges of bands are {edges!r}; give at least two ascending energies between which points lie")
    whole = np.unique(np.concatenate([[-furthest], y, [furthest]]))
    counts = np.array([_integral(n, p, a, b) for a, b in pairwise(whole)])
    inside = [np.flatnonzero((whole[:-1] >= a) & (whole[1:] <= b)) for a, b in pairwise(y)]
    bands = np.array([counts[rows].sum(axis=0) for rows in inside])
    totals = bands.sum(axis=1)
    return totals / counts.sum(), bands / totals[:, None]


def _scale(n: int, p: int) -> float:
    check_order("n", n, _LARGEST)
    if n < 2:
        raise InputError(f"n is {n}; the sphere of a spin model has an index from n = 2 up")
    if isinstance(p, bool) or not isinstance(p, (int, np.integer)) or p < 2:
        raise InputError(f"p is {p!r}; the order of a p-spin model is a whole number, at least 2")
    return float(np.sqrt(p * n / (p - 1)))


def _log_weights(n: int, y: Array) -> Array:
    """ln q_k(y), (L, n); -inf where a count has a share below 1e-12 at that level."""
    return count_weights(n - 1, y).log_weight


def _integral(n: int, p: int, low: float, high: float) -> Array:
    """The integral of exp(-a y^2) q_k(y) over a band, up to one factor common to all, in pieces of length 1."""
    pieces = max(1, int(np.ceil(high - low)))
    ends = np.linspace(low, high, pieces + 1)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES // 2)
    half = 0.5 * (ends[1] - ends[0])
    y = (0.5 * (ends[:-1] + ends[1:])[:, None] + half * nodes).ravel()
    # the largest value of the integrand, about the factorial growth of E prod |l - y|, is taken out as a constant
    log_q = _log_weights(n, y) - ((p - 1) / (2 * p) * y**2)[:, None] - _log_weights(n, np.zeros(1)).max()
    return np.tile(half * weights, pieces) @ np.exp(log_q)
